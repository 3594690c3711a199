//! The filter set of a table: which events or profiles were asked for.

use mixpanel_client::engage::EngageRequest;
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
        Filters::of(&parts)
    }

    /// The filter set of a fetch of profiles. A long list of ids is told by its
    /// length and hash.
    pub(crate) fn of_profiles(request: &EngageRequest) -> Self {
        let json = |list: &Vec<String>| serde_json::to_string(list).expect("a list of texts");
        let mut parts = Vec::new();
        if let Some(group) = &request.data_group_id {
            parts.push(format!("group {}", group.trim()));
        }
        if let Some(names) = output_properties(request) {
            parts.push(format!("properties {}", json(&names)));
        }
        if let Some(filter) = request.where_.as_deref().map(str::trim).filter(|filter| !filter.is_empty()) {
            parts.push(format!("where {filter}"));
        }
        if let Some(cohort) = &request.cohort {
            let all = if request.include_all_users { " with members that have no profile" } else { "" };
            parts.push(format!("cohort {}{all}", cohort.trim()));
        }
        if let Some(id) = &request.distinct_id {
            parts.push(format!("id {}", serde_json::Value::from(id.as_str())));
        }
        if let Some(ids) = &request.distinct_ids {
            parts.push(match ids.len() {
                0..=20 => format!("ids {}", json(ids)),
                count => format!("{count} ids {:016x}", xxh3_64(json(ids).as_bytes())),
            });
        }
        if !request.behaviors.is_empty() {
            parts.push(format!("behaviors {}", serde_json::Value::from(request.behaviors.clone())));
        }
        if let Some(time) = request.as_of_timestamp {
            parts.push(format!("as of {time}"));
        }
        Filters::of(&parts)
    }

    /// What stands in the place of filters where rows came from a file.
    pub(crate) fn of_file(name: &str) -> Self {
        Filters::of(&[format!("loaded from {name}")])
    }

    fn of(parts: &[String]) -> Self {
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

/// The properties that were asked for, sorted; none means all.
pub(crate) fn output_properties(request: &EngageRequest) -> Option<Vec<String>> {
    let mut names = request.output_properties.clone();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then_some(names)
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
