//! The filter set of a table: which events were asked for.

use xxhash_rust::xxh3::xxh3_64;

/// A canonical filter set: the same question always has the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filters {
    text: String,
    hash: String,
}

impl Filters {
    pub(crate) fn new(events: Option<&[String]>, filter: Option<&str>) -> Self {
        let mut events: Vec<&str> = events.unwrap_or_default().iter().map(String::as_str).collect();
        events.sort_unstable();
        events.dedup();
        let filter = filter.map(str::trim).filter(|filter| !filter.is_empty());
        let mut parts = Vec::new();
        if !events.is_empty() {
            parts.push(format!("events {}", serde_json::to_string(&events).expect("a list of texts")));
        }
        if let Some(filter) = filter {
            parts.push(format!("where {filter}"));
        }
        let text = if parts.is_empty() { "no filters".to_owned() } else { parts.join(" and ") };
        let hash = format!("{:016x}", xxh3_64(text.as_bytes()));
        Filters { text, hash }
    }

    /// The filters in words.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_blanks_do_not_matter() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let one = Filters::new(Some(&names(&["b", "a", "b"])), Some(" x "));
        let other = Filters::new(Some(&names(&["a", "b"])), Some("x"));
        assert_eq!(one, other);
        assert_eq!(one.text(), r#"events ["a","b"] and where x"#);
        assert_eq!(Filters::new(None, Some("  ")), Filters::new(Some(&[]), None));
    }
}
