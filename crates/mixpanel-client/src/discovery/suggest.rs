//! Names that are like a name.

/// How many are suggested.
const MOST: usize = 5;

/// Up to five names like `wanted`, the likeliest first: the same but for case, then those that
/// contain it or that it contains, the shortest first, then those that share words with it.
pub fn similar(wanted: &str, names: &[String]) -> Vec<String> {
    let wanted = wanted.trim().to_lowercase();
    if wanted.is_empty() {
        return Vec::new();
    }
    let words = words(&wanted);
    let mut ranked: Vec<(usize, usize, &String)> = names
        .iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            if lower == wanted {
                return Some((0, 0, name));
            }
            // An empty name, or one of a letter, is contained in everything.
            if lower.contains(&wanted) || (lower.chars().count() > 2 && wanted.contains(&lower)) {
                return Some((1, name.len(), name));
            }
            let shared = self::words(&lower).iter().filter(|word| words.contains(word)).count();
            (shared > 0).then(|| (2, usize::MAX - shared, name))
        })
        .collect();
    ranked.sort();
    ranked.into_iter().take(MOST).map(|(_, _, name)| name.clone()).collect()
}

/// Words are separated by anything but letters and digits.
fn words(name: &str) -> Vec<String> {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_comes_before_parts_and_parts_before_words() {
        let names = ["Page View", "Sign Up", "sign-in", "Sign Up Completed", "signup", "Log In", ""];
        let names = names.map(str::to_owned);
        assert_eq!(similar("sign up", &names), ["Sign Up", "Sign Up Completed", "sign-in"]);
        assert_eq!(similar("SIGNUP", &names), ["signup"]);
        assert_eq!(similar("page_view_home", &names), ["Page View"]);
        assert!(similar("zebra", &names).is_empty() && similar(" ", &names).is_empty());
        let many: Vec<String> = (0..9).map(|n| format!("Purchase {n}")).collect();
        assert_eq!(similar("purchase", &many).len(), 5);
    }
}
