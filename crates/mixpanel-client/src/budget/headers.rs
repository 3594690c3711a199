//! What a server says about its limits: `Retry-After`, and the `RateLimit` and
//! `RateLimit-Policy` headers of the IETF draft that Mixpanel follows
//! (rate-limits reference).

use std::time::Duration;

/// The part of an answer that is about limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) retry_after: Option<Duration>,
    /// Requests that a window allows.
    pub(crate) policy: Option<(u32, Duration)>,
    /// Requests that are left, and when the count begins anew.
    pub(crate) left: Option<(u32, Option<Duration>)>,
    /// Requests that may run at once.
    pub(crate) concurrent: Option<u32>,
}

/// The names of the limits: requests per project, and how many of them at once.
const PROJECT: &str = "project";
const CONCURRENCY: &str = "project-concurrency";
/// More places at once than this are not believed.
const MOST_AT_ONCE: u64 = 100;
/// Windows beyond a day are not believed.
const LONGEST: u64 = 24 * 3600;

impl Said {
    pub(crate) fn new(retry_after: Option<Duration>, rate_limit: Option<&str>, policy: Option<&str>) -> Self {
        let seconds = |value: Option<u64>| value.map(|value| Duration::from_secs(value.min(LONGEST)));
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let left = rate_limit.and_then(|text| {
            let item = item(text, PROJECT)?;
            Some((number(parameter(item, "r")?), seconds(parameter(item, "t"))))
        });
        let concurrent = policy
            .and_then(|text| parameter(item(text, CONCURRENCY)?, "q"))
            .filter(|places| (1..=MOST_AT_ONCE).contains(places))
            .map(number);
        let policy = policy.and_then(|text| {
            let item = item(text, PROJECT)?;
            let (quota, window) = (parameter(item, "q")?, parameter(item, "w")?);
            (quota > 0 && window > 0).then(|| (number(quota), Duration::from_secs(window.min(LONGEST))))
        });
        Self { retry_after: retry_after.filter(|wait| !wait.is_zero()), policy, left, concurrent }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The parameters of the list item with this name: `"name";a=1;b=2, "other";a=3`.
fn item<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(',').find_map(|item| {
        let (found, parameters) = item.split_once(';').unwrap_or((item, ""));
        (found.trim().trim_matches('"') == name).then_some(parameters)
    })
}

fn parameter(parameters: &str, name: &str) -> Option<u64> {
    parameters.split(';').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        if found.trim() == name { value.trim().parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mixpanels_examples_are_read() {
        let policy = r#""project";q=60;w=3600, "project-concurrency";q=5;qu="concurrent-requests""#;
        let said = Said::new(
            Some(Duration::from_secs(3600)),
            Some(r#""project";r=0;t=3600, "project-concurrency";r=3"#),
            Some(policy),
        );
        let hour = Duration::from_secs(3600);
        assert_eq!(
            said,
            Said {
                retry_after: Some(hour),
                policy: Some((60, hour)),
                left: Some((0, Some(hour))),
                concurrent: Some(5)
            }
        );
        let said = Said::new(None, Some(r#""project";r=12, "project-concurrency";r=0;t=10"#), None);
        assert_eq!(said, Said { left: Some((12, None)), ..Said::default() });
        assert!(Said::new(Some(Duration::ZERO), Some("project"), Some("\"project\";q=0;w=0")).is_nothing());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(a in ".*", b in r#"("project")?[;, =rtqw0-9"]*"#) {
            Said::new(None, Some(&a), Some(&b));
            Said::new(None, Some(&b), Some(&a));
        }
    }
}
