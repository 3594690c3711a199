//! What to ask the engage query for (parameters as in Mixpanel's engage reference).

use serde_json::{Value, json};

use crate::error::{ErrorKind, Result};

/// A request for profiles: of users, or of the groups of one kind.
///
/// ```
/// use mixpanel_client::engage::EngageRequest;
///
/// let everybody = EngageRequest::default();
/// let payers = EngageRequest {
///     where_: Some(r#"properties["plan"] == "pro""#.into()),
///     output_properties: vec!["$email".into(), "plan".into()],
///     ..EngageRequest::default()
/// };
/// # let _ = (everybody, payers);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngageRequest {
    /// An expression that profiles must fulfil, in Mixpanel's own language.
    pub where_: Option<String>,
    /// Only members of the saved cohort with this id. Excludes `behaviors`.
    pub cohort: Option<String>,
    /// With a cohort: also members that have no profile.
    pub include_all_users: bool,
    /// Only these properties of each profile; all of them when empty.
    pub output_properties: Vec<String>,
    /// Only the profile with this id. Excludes `distinct_ids`.
    pub distinct_id: Option<String>,
    /// Only the profiles with these ids, however many: Mixpanel takes 2,000 at a time. An empty list
    /// asks for nothing, and nothing is sent.
    pub distinct_ids: Option<Vec<String>>,
    /// Profiles of the groups of this kind rather than of users.
    pub data_group_id: Option<String>,
    /// What users did, to be named in `where_`: each an object with `window`, `name` and
    /// `event_selectors`. Excludes `cohort`.
    pub behaviors: Vec<Value>,
    /// The instant that windows of behaviors end at, in seconds since 1970. With behaviors, it is
    /// now unless told otherwise, as it must be the same for all pages.
    pub as_of_timestamp: Option<i64>,
    /// How many results a page has, 1 to 1,000; Mixpanel's own choice unless told otherwise.
    pub page_size: Option<u32>,
}

/// The fields of a form.
pub(super) type Fields = Vec<(String, String)>;

impl EngageRequest {
    /// How many ids Mixpanel takes in one request.
    pub const MAX_IDS: usize = 2_000;
    /// The largest page.
    pub const MAX_PAGE_SIZE: u32 = 1_000;

    /// Whether it asks for some of the profiles only.
    pub fn is_selective(&self) -> bool {
        let Self { where_, cohort, distinct_id, distinct_ids, behaviors, as_of_timestamp, .. } = self;
        expression(where_).is_some()
            || cohort.is_some()
            || distinct_id.is_some()
            || distinct_ids.is_some()
            || !behaviors.is_empty()
            || as_of_timestamp.is_some()
    }

    /// Checks what can be checked without asking Mixpanel. `now` is in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] for parameters that exclude each other or make no sense.
    pub fn validate(&self, now: i64) -> Result<()> {
        let pages = 1..=Self::MAX_PAGE_SIZE;
        let what = if self.distinct_id.is_some() && self.distinct_ids.is_some() {
            "distinct_id and distinct_ids exclude each other".to_owned()
        } else if self.cohort.is_some() && !self.behaviors.is_empty() {
            "a cohort and behaviors exclude each other".to_owned()
        } else if self.cohort.as_ref().is_some_and(|id| id.trim().is_empty()) {
            "the cohort's id is empty".to_owned()
        } else if self.where_.as_ref().is_some_and(|expression| expression.trim().is_empty()) {
            // Mixpanel would take it for no filter at all.
            "the expression that profiles must fulfil is empty".to_owned()
        } else if self.output_properties.iter().any(|name| name.trim().is_empty()) {
            "the name of a property is empty".to_owned()
        } else if self.distinct_id.as_ref().is_some_and(|id| id.trim().is_empty()) {
            "the id of a user is empty".to_owned()
        } else if self.include_all_users && self.cohort.is_none() {
            "include_all_users is about the members of a cohort, and there is none".to_owned()
        } else if self.data_group_id.as_ref().is_some_and(|id| id.trim().is_empty()) {
            "the group's id is empty".to_owned()
        } else if let Some(time) = self.as_of_timestamp.filter(|time| !(0..=now).contains(time)) {
            format!("as_of_timestamp {time} is not between 1970 and now ({now}), in seconds")
        } else if let Some(size) = self.page_size.filter(|size| !pages.contains(size)) {
            format!("the page size {size} is not between 1 and {}", Self::MAX_PAGE_SIZE)
        } else if let Some(why) = self.behaviors.iter().find_map(wrong_behavior) {
            why
        } else {
            return Ok(());
        };
        Err(ErrorKind::InvalidRequest { what }.into())
    }

    /// The forms to send, one for each 2,000 ids.
    pub(super) fn forms(&self, now: i64) -> Vec<Fields> {
        let common = self.common(now);
        let Some(ids) = &self.distinct_ids else { return vec![common] };
        let mut seen = std::collections::HashSet::new();
        let ids: Vec<&String> = ids.iter().filter(|id| seen.insert(id.as_str())).collect();
        let form = |ids: &[&String]| {
            let mut fields = common.clone();
            fields.push(("distinct_ids".to_owned(), json!(ids).to_string()));
            fields
        };
        ids.chunks(Self::MAX_IDS).map(form).collect()
    }

    fn common(&self, now: i64) -> Fields {
        let mut fields = Vec::new();
        let mut add = |name: &str, value: String| fields.push((name.to_owned(), value));
        if let Some(expression) = expression(&self.where_) {
            add("where", expression.to_owned());
        }
        if let Some(id) = &self.cohort {
            // The documentation shows a number.
            let id = id.trim().parse::<u64>().map_or_else(|_| Value::from(id.trim()), Value::from);
            add("filter_by_cohort", json!({ "id": id }).to_string());
            // Mixpanel's own default is true.
            add("include_all_users", self.include_all_users.to_string());
        }
        if !self.output_properties.is_empty() {
            add("output_properties", json!(self.output_properties).to_string());
        }
        if let Some(id) = &self.distinct_id {
            add("distinct_id", id.clone());
        }
        if let Some(id) = &self.data_group_id {
            add("data_group_id", id.trim().to_owned());
        }
        if !self.behaviors.is_empty() {
            add("behaviors", json!(self.behaviors).to_string());
        }
        if let Some(time) = self.as_of_timestamp.or((!self.behaviors.is_empty()).then_some(now)) {
            add("as_of_timestamp", time.to_string());
        }
        if let Some(size) = self.page_size {
            add("page_size", size.to_string());
        }
        fields
    }
}

fn expression(where_: &Option<String>) -> Option<&str> {
    where_.as_deref().map(str::trim).filter(|expression| !expression.is_empty())
}

/// What is wrong with a behavior.
fn wrong_behavior(behavior: &Value) -> Option<String> {
    let text = |name: &str| behavior[name].as_str().is_some_and(|text| !text.is_empty());
    let missing = if !behavior.is_object() {
        "it is not an object"
    } else if !text("window") {
        "it has no window, such as \"30d\""
    } else if !text("name") {
        "it has no name"
    } else if behavior["event_selectors"].as_array().is_none_or(Vec::is_empty) {
        "it has no list of event_selectors"
    } else {
        return None;
    };
    Some(format!("behavior {behavior}: {missing}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn behavior() -> Value {
        json!({"window": "30d", "name": "b1", "event_selectors": [{"event": "Purchase"}]})
    }

    fn refused(request: EngageRequest) -> String {
        request.validate(NOW).unwrap_err().to_string()
    }

    #[test]
    fn everybody_is_asked_for_without_parameters() {
        let request = EngageRequest::default();
        assert!(request.validate(NOW).is_ok() && !request.is_selective());
        assert_eq!(request.forms(NOW), [vec![]]);
    }

    #[test]
    fn all_parameters_have_the_form_that_mixpanel_documents() {
        let request = EngageRequest {
            where_: Some("properties[\"a\"] == 1".into()),
            cohort: Some("123".into()),
            output_properties: vec!["$email".into(), "say \"hi\"".into()],
            distinct_id: Some("u1".into()),
            data_group_id: Some("77".into()),
            as_of_timestamp: Some(5),
            page_size: Some(250),
            ..EngageRequest::default()
        };
        assert!(request.validate(NOW).is_ok() && request.is_selective());
        let expected = [
            ("where", "properties[\"a\"] == 1"),
            ("filter_by_cohort", r#"{"id":123}"#),
            ("include_all_users", "false"),
            ("output_properties", r#"["$email","say \"hi\""]"#),
            ("distinct_id", "u1"),
            ("data_group_id", "77"),
            ("as_of_timestamp", "5"),
            ("page_size", "250"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(request.forms(NOW), [expected]);
    }

    #[test]
    fn behaviors_get_one_instant_for_all_pages() {
        let request = EngageRequest { behaviors: vec![behavior()], ..EngageRequest::default() };
        assert!(request.validate(NOW).is_ok());
        let forms = request.forms(NOW);
        assert_eq!(forms[0][0], ("behaviors".into(), json!([behavior()]).to_string()));
        assert_eq!(forms[0][1], ("as_of_timestamp".into(), NOW.to_string()));
    }

    #[test]
    fn many_ids_go_in_batches_and_each_once() {
        let ids = (0..2_500).map(|n| format!("u{n}")).chain(["u0".to_owned()]).collect();
        let request = EngageRequest { distinct_ids: Some(ids), ..EngageRequest::default() };
        let batches: Vec<Vec<String>> =
            request.forms(NOW).iter().map(|form| serde_json::from_str(&form[0].1).unwrap()).collect();
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2_000, 500]);
        assert_eq!((batches[0][0].as_str(), batches[1][499].as_str()), ("u0", "u2499"));
        let nobody = EngageRequest { distinct_ids: Some(Vec::new()), ..EngageRequest::default() };
        assert!(nobody.forms(NOW).is_empty() && nobody.is_selective());
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_it_is_sent() {
        let usual = EngageRequest::default;
        let both = EngageRequest { distinct_id: Some("a".into()), distinct_ids: Some(vec![]), ..usual() };
        assert!(refused(both).contains("exclude each other"));
        let both = EngageRequest { cohort: Some("1".into()), behaviors: vec![behavior()], ..usual() };
        assert!(refused(both).contains("exclude each other"));
        assert!(refused(EngageRequest { include_all_users: true, ..usual() }).contains("cohort"));
        assert!(refused(EngageRequest { cohort: Some(" ".into()), ..usual() }).contains("empty"));
        assert!(refused(EngageRequest { where_: Some("  ".into()), ..usual() }).contains("empty"));
        assert!(refused(EngageRequest { distinct_id: Some("".into()), ..usual() }).contains("empty"));
        let properties = vec!["a".into(), "".into()];
        assert!(refused(EngageRequest { output_properties: properties, ..usual() }).contains("empty"));
        assert!(refused(EngageRequest { data_group_id: Some("".into()), ..usual() }).contains("empty"));
        let future = EngageRequest { as_of_timestamp: Some(NOW + 1), ..usual() };
        assert!(refused(future).contains("1700000001"));
        for size in [0, 1_001] {
            assert!(refused(EngageRequest { page_size: Some(size), ..usual() }).contains("page size"));
        }
        for wrong in [json!(1), json!({}), json!({"window": "1d"}), json!({"window": "1d", "name": "x"})] {
            assert!(refused(EngageRequest { behaviors: vec![wrong], ..usual() }).contains("behavior"));
        }
    }
}
