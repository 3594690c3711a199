//! Settings of a session that have one value on every machine and in every
//! build: the time zone is UTC, the calendar the Gregorian.
//!
//! Dates, casts and comparisons would change their meaning with them, also
//! those of our own SQL. A zone is said in the query, by `AT TIME ZONE`.

use crate::error::{Error, ErrorKind};

/// Name and value. Both settings are those of DuckDB's ICU extension.
pub(super) const FIXED_SETTINGS: [(&str, &str); 2] = [("TimeZone", "UTC"), ("Calendar", "gregorian")];

/// Statements that give them their values, for `SESSION` or `GLOBAL`.
pub fn fix_settings(scope: &str) -> String {
    FIXED_SETTINGS.iter().map(|(name, value)| format!("SET {scope} {name} = '{value}';")).collect()
}

/// Whether SQL may change one of them, so that a closer look is due: its statements that set something
/// are run on a connection of their own first, since only DuckDB knows what they set.
pub fn may_change_fixed_setting(sql: &str) -> bool {
    let lower = sql.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    any(&["zone", "calendar"]) && any(&["set", "pragma"])
}

/// The error for a setting that has another value by now.
pub fn changed_setting(now: impl Fn(&'static str) -> Option<String>) -> Option<Error> {
    FIXED_SETTINGS.into_iter().find_map(|(name, value)| {
        let wanted = now(name)?;
        // DuckDB has several names for one zone.
        let same = wanted.eq_ignore_ascii_case(value) || ["Etc/UTC", "Etc/UCT"].contains(&wanted.as_str());
        (!same).then(|| ErrorKind::FixedSetting { name, value, wanted }.into())
    })
}
