//! Names that are like a name.

/// How many are suggested.
const MOST: usize = 5;

/// Up to five names like `wanted`, the likeliest first: the same but for case, then those that a
/// slip of the keyboard makes of it, then those that contain it or that it contains, the shortest
/// first, then those that share words with it.
pub fn similar(wanted: &str, names: &[String]) -> Vec<String> {
    let exact = letters(wanted.trim());
    let wanted = wanted.trim().to_lowercase();
    if wanted.is_empty() {
        return Vec::new();
    }
    let (small, words) = (letters(&wanted), words(&wanted));
    let ranked = |name: &String| {
        let rank = rank(&wanted, &small, &words, name)?;
        // Among equals, the one with the same capitals.
        Some((rank, distance(&exact, &letters(name))))
    };
    let mut ranked: Vec<((usize, usize), usize, &String)> =
        names.iter().filter_map(|name| ranked(name).map(|(rank, capitals)| (rank, capitals, name))).collect();
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().take(MOST).map(|(.., name)| name.clone()).collect()
}

/// The class of a name, and its place within; none if it is not like what is wanted.
fn rank(wanted: &str, letters: &[char], words: &[String], name: &str) -> Option<(usize, usize)> {
    let lower = name.trim().to_lowercase();
    if lower == wanted {
        return Some((0, 0));
    }
    let slips = distance(letters, &self::letters(&lower));
    if slips <= slips_allowed(letters.len()) {
        return Some((1, slips));
    }
    // An empty name, or one of a letter, is contained in everything.
    if lower.contains(wanted) || (lower.chars().count() > 2 && wanted.contains(&lower)) {
        return Some((2, name.len()));
    }
    let shared = self::words(&lower).iter().filter(|word| words.contains(word)).count();
    (shared > 0).then_some((3, usize::MAX - shared))
}

/// One slip in three letters and more, one more for each four, at most four.
fn slips_allowed(letters: usize) -> usize {
    match letters {
        0..=2 => 0,
        more => (more / 4).clamp(1, 4),
    }
}

fn letters(name: &str) -> Vec<char> {
    name.chars().collect()
}

/// How many letters were left out, added, exchanged for others, or swapped with their neighbours
/// (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let mut least = (above[j] + usize::from(left != right)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
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
    fn case_comes_before_slips_and_slips_before_parts_and_parts_before_words() {
        let names = ["Page View", "Sign Up", "sign-in", "Sign Up Completed", "signup", "Log In", ""];
        let names = names.map(str::to_owned);
        assert_eq!(similar("sign up", &names), ["Sign Up", "signup", "Sign Up Completed", "sign-in"]);
        assert_eq!(similar("SIGNUP", &names), ["signup", "Sign Up"]);
        assert_eq!(similar(" Sign Up ", &names)[0], "Sign Up");
        assert_eq!(similar("plna", &["Plan".to_owned(), "plan".to_owned()]), ["plan", "Plan"]);
        assert_eq!(similar("page_view_home", &names), ["Page View"]);
        assert!(similar("zebra", &names).is_empty() && similar(" ", &names).is_empty());
        let many: Vec<String> = (0..9).map(|n| format!("Purchase {n}")).collect();
        assert_eq!(similar("purchase", &many).len(), 5);
    }

    #[test]
    fn slips_of_the_keyboard_find_what_was_meant() {
        let names = ["Purchase", "Search", "Page View", "Plan Changed", "购买", "Run"].map(str::to_owned);
        for (slip, meant) in [
            ("Purchse", "Purchase"),
            ("Purchsae", "Purchase"),
            ("Purcahes", "Purchase"),
            ("Serach", "Search"),
            ("Seach", "Search"),
            ("Searrch", "Search"),
            ("Paeg Veiw", "Page View"),
            ("PlanChanged", "Plan Changed"),
            ("Rnu", "Run"),
        ] {
            assert_eq!(similar(slip, &names).first().map(String::as_str), Some(meant), "{slip}");
        }
        assert!(similar("Rx", &names).is_empty());
    }

    #[test]
    fn a_swap_is_one_slip() {
        let distance = |a: &str, b: &str| distance(&letters(a), &letters(b));
        assert_eq!(distance("serach", "search"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("abcd", "abcd"), 0);
    }
}
