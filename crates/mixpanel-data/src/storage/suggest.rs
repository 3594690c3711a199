//! What to write in the place of SQL that does not run, or does not say what it seems to.
//!
//! A text of SQL and DuckDB's message enter, one sentence leaves: about properties, paths, quotes,
//! lists and time zones, which are what people stumble over here. It is SQL's own advice, the same
//! for every front end.

use super::connection::SqlConnection;
use crate::error::{Error, ErrorKind};
use crate::value::Value;

/// A function for the project's local time, in every session: a TIMESTAMP holds UTC, and one
/// `AT TIME ZONE` would read it as the time of the zone.
pub const LOCAL_TIME: &str = "CREATE OR REPLACE TEMP MACRO local_time(moment, zone) AS \
    timezone(zone, CAST(moment AS TIMESTAMPTZ))";

/// What to try after an error of a query.
pub(super) fn suggest(connection: &mut dyn SqlConnection, sql: &str, error: &Error) -> Option<String> {
    let ErrorKind::Query { message, .. } = error.kind() else { return None };
    if sql.contains(['‘', '’', '“', '”', '„'])
        && (message.contains(['‘', '’', '“', '”', '„']) || message.contains("syntax error"))
    {
        return Some(
            "typographic quotes are letters for SQL: 'text' and \"name\" have straight ones".to_owned(),
        );
    }
    if let Some(near) = between(message, "JSON path error near '", "'") {
        let name: String = near.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        return Some(format!("a property whose name begins with $ has quotes in a path: '$.\"${name}\"'"));
    }
    if let Some(of) = between(message, "lists, structs and NULL, not ", "\n") {
        return Some(match of.trim() {
            "JSON" => "JSON becomes a list by a cast: UNNEST(items::JSON[])".to_owned(),
            _ => "text becomes a list by two casts: UNNEST(items::JSON::JSON[])".to_owned(),
        });
    }
    if message.contains("(JSON, BOOLEAN)'") || message.contains("(VARCHAR, BOOLEAN)'") {
        return Some(
            "-> and ->> bind less than a comparison: (properties->>'$.plan') = 'pro', with brackets"
                .to_owned(),
        );
    }
    let missing = between(message, "Referenced column \"", "\" ")
        .or_else(|| between(message, "does not have a column named \"", "\""))?;
    of_column(connection, sql, missing)
}

/// A column that is not there may be a property, or meant as text.
fn of_column(connection: &mut dyn SqlConnection, sql: &str, name: &str) -> Option<String> {
    let tables = "SELECT DISTINCT table_name FROM _properties WHERE name = $1 OR column_name = $1 ORDER BY 1";
    let found = connection.rows(tables, &[Value::Text(name.to_owned())]).unwrap_or_default();
    let found: Vec<String> = found.iter().map(|row| row[0].to_text()).collect();
    if let Some(table) = found.iter().find(|table| mentions(sql, table)) {
        let path = path_of(name);
        return Some(format!(
            "{name} is a property: a column of {table}_flat, and properties->>'{path}' in {table}"
        ));
    }
    sql.contains(&format!("\"{name}\""))
        .then(|| format!("text has single quotes, and \"…\" is a name: '{}'", name.replace('\'', "''")))
}

/// What a query says that is not what it seems to say, though it runs.
pub fn remark(sql: &str) -> Option<String> {
    const TURN: &str = "at time zone";
    let text = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let small = text.to_ascii_lowercase();
    for (at, _) in small.match_indices(TURN) {
        let before = small[..at].trim_end().trim_end_matches('"');
        let column = ["event_time", "last_seen", "first_seen"].into_iter().find(|name| {
            before
                .strip_suffix(name)
                .is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        });
        let behind = text[at + TURN.len()..].trim_start();
        let Some((column, zone)) = column.zip(between(behind, "'", "'").filter(|_| behind.starts_with('\'')))
        else {
            continue;
        };
        let rest = small[at + TURN.len()..].trim_start()[zone.len() + 2..].trim_start_matches([')', ' ']);
        if !["utc", "gmt", "etc/utc"].contains(&zone.to_ascii_lowercase().as_str()) && !rest.starts_with(TURN)
        {
            return Some(format!(
                "{column} AT TIME ZONE '{zone}' takes UTC for the time in {zone}; local_time({column}, '{zone}') is the time there"
            ));
        }
    }
    None
}

/// Whether a name stands in SQL as a word.
fn mentions(sql: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    sql.match_indices(name)
        .any(|(at, _)| !sql[..at].ends_with(word) && !sql[at + name.len()..].starts_with(word))
}

fn path_of(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { format!("$.{name}") } else { format!("$.\"{}\"", name.replace('\'', "''")) }
}

/// What stands between two pieces of a text; up to its end, if the second is not there.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = text.split_once(start)?.1;
    Some(rest.split_once(end).map_or(rest, |(inner, _)| inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_turn_of_utc_is_remarked_and_two_are_right() {
        for wrong in [
            "SELECT event_time AT TIME ZONE 'America/New_York' FROM events",
            "SELECT e.event_time\n  at time  zone 'Asia/Tokyo'",
            "SELECT \"event_time\" AT TIME ZONE 'Asia/Tokyo'",
        ] {
            assert!(remark(wrong).is_some_and(|text| text.contains("local_time(event_time, '")), "{wrong}");
        }
        for right in [
            "SELECT event_time AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York'",
            "SELECT (event_time AT TIME ZONE 'UTC') AT TIME ZONE 'America/New_York'",
            "SELECT my_event_time AT TIME ZONE 'Asia/Tokyo'",
            "SELECT event_time AT TIME ZONE zone",
            "SELECT local_time(event_time, 'Asia/Tokyo')",
            "SELECT event_time AT TIME ZONE",
        ] {
            assert_eq!(remark(right), None, "{right}");
        }
    }
}
