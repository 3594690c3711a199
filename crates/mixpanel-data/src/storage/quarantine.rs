//! Refused lines: which of them stay when their days are fetched again.
//!
//! A refused line has no day. All that is known is that it came with certain days: its `chunk`. The
//! same days may come again in other company, so a line that comes again takes the place of its
//! older copy, and one that does not come again can only be of those of its days that were not
//! asked for again. When none are left, it is gone. Lines with the same bytes cannot be told apart.

use std::fmt::Write;

use jiff::civil::Date;

use super::chunk::{ChunkSpec, DayRange, Scope};
use super::connection::SqlConnection;
use super::ddl::literal;
use crate::error::Result;
use crate::value::Value;

/// The last of the lines that are there, -1 when there is none.
pub(super) fn last_line(connection: &mut dyn SqlConnection) -> Result<i64> {
    Ok(connection.scalar("SELECT max(rowid) FROM _quarantine", &[])?.as_i64().unwrap_or(-1))
}

/// Removes from the lines up to `last` what the ones behind it, and the days that were fetched, replace.
pub(super) fn settle(connection: &mut dyn SqlConnection, spec: &ChunkSpec<'_>, last: i64) -> Result<()> {
    let table = literal(spec.table);
    let all = format!("table_name = {table} AND rowid <= {last}");
    // Older versions did not write down the filters: lines of theirs are the table's own.
    let old = format!(
        "{all} AND coalesce(filter_hash, (SELECT max(filter_hash) FROM _tables WHERE table_name = {table}))
             = {}",
        literal(spec.recorded().0)
    );
    match &spec.scope {
        _ if spec.scope.replaces_all() => connection.execute(&format!("DELETE FROM _quarantine WHERE {all}")),
        // What was refused by the last fetch of the same profiles was of profiles that were asked for again.
        Scope::Profiles(_) => connection.execute(&format!("DELETE FROM _quarantine WHERE {old}")),
        // A file that is loaded again has all of its lines again.
        Scope::Load(loading) if loading.is_file => {
            connection.execute(&format!("DELETE FROM _quarantine WHERE {old}"))
        }
        // Another stream may have the same name: only lines that came again go.
        Scope::Load(_) => connection.execute(&format!(
            "DELETE FROM _quarantine WHERE {old} AND (line, bytes) IN (
                 SELECT line, bytes FROM _quarantine WHERE table_name = {table} AND rowid > {last})"
        )),
        Scope::Days(range) | Scope::Add(Some(range)) => settle_days(connection, &old, last, range),
        Scope::Everything(_) | Scope::Add(None) => Ok(()),
    }
}

fn settle_days(connection: &mut dyn SqlConnection, old: &str, last: i64, range: &DayRange) -> Result<()> {
    let chunks = connection.rows(&format!("SELECT DISTINCT chunk FROM _quarantine WHERE {old}"), &[])?;
    let chunks = chunks.iter().filter_map(|row| {
        let text = row[0].as_str()?;
        let left = without(&parse(text)?, range.from, range.to);
        (name(&left) != text).then(|| (literal(text), left))
    });
    let chunks: Vec<(String, Vec<(Date, Date)>)> = chunks.collect();
    if chunks.is_empty() {
        return Ok(());
    }
    let list = |chunks: &[&str]| chunks.join(", ");
    let touched: Vec<&str> = chunks.iter().map(|(text, _)| text.as_str()).collect();
    let inside: Vec<&str> =
        chunks.iter().filter(|(_, left)| left.is_empty()).map(|(text, _)| text.as_str()).collect();
    let is_inside =
        if inside.is_empty() { "false".to_owned() } else { format!("chunk IN ({})", list(&inside)) };
    // As many copies go as came again; first those that were of these days for certain.
    connection.execute(&format!(
        "DELETE FROM _quarantine WHERE rowid IN (
             SELECT row FROM (
                 SELECT rowid AS row, reason, bytes, row_number() OVER (
                     PARTITION BY reason, bytes ORDER BY {is_inside} DESC, rowid) AS copy
                 FROM _quarantine WHERE {old} AND chunk IN ({}))
             JOIN (SELECT reason, bytes, count(*) AS copies FROM _quarantine WHERE rowid > {last} GROUP BY ALL)
                 USING (reason, bytes)
             WHERE copy <= copies)",
        list(&touched)
    ))?;
    if range.is_sample {
        return Ok(());
    }
    if !inside.is_empty() {
        connection.execute(&format!("DELETE FROM _quarantine WHERE {old} AND {is_inside}"))?;
    }
    for (text, left) in chunks.iter().filter(|(_, left)| !left.is_empty()) {
        connection.execute(&format!(
            "UPDATE _quarantine SET chunk = {} WHERE {old} AND chunk = {text}",
            literal(&name(left))
        ))?;
    }
    Ok(())
}

/// Writes into the ledger how many lines were refused: on the first day that they may be of.
pub(super) fn count_in_ledger(connection: &mut dyn SqlConnection, table: &str) -> Result<()> {
    let counted = "SELECT CAST(count(*) AS BIGINT) FROM _quarantine AS refused
         WHERE refused.table_name = _ledger.table_name
           AND TRY_CAST(split_part(refused.chunk, '..', 1) AS DATE) = _ledger.day
           AND coalesce(refused.filter_hash, (SELECT max(own.filter_hash) FROM _tables AS own
                                              WHERE own.table_name = refused.table_name)) = _ledger.filter_hash";
    connection.run(
        &format!("UPDATE _ledger SET rejects = ({counted}) WHERE table_name = ? AND rejects <> ({counted})"),
        &[Value::Text(table.to_owned())],
    )
}

/// The days of a chunk, as it is called; `None` if it has none.
fn parse(chunk: &str) -> Option<Vec<(Date, Date)>> {
    let range = |text: &str| {
        let (from, to) = text.split_once("..")?;
        Some((from.parse().ok()?, to.parse().ok()?))
    };
    chunk.split(',').map(range).collect()
}

/// What days are called: `2024-01-01..2024-01-31`, with a comma between runs of them.
pub(super) fn name(days: &[(Date, Date)]) -> String {
    let mut text = String::new();
    for (from, to) in days {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{from}..{to}");
    }
    text
}

/// Days without those between `from` and `to`, both included.
fn without(days: &[(Date, Date)], from: Date, to: Date) -> Vec<(Date, Date)> {
    let mut left = Vec::new();
    for &(first, last) in days {
        if first < from {
            left.push((first, from.yesterday().map_or(first, |day| day.min(last))));
        }
        if last > to {
            left.push((to.tomorrow().map_or(last, |day| day.max(first)), last));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn days_are_taken_out_of_days() {
        let day = |day| date(2024, 1, day);
        let all = [(day(5), day(10))];
        for (from, to, left) in [
            (1, 4, vec![(5, 10)]),
            (11, 12, vec![(5, 10)]),
            (5, 10, vec![]),
            (1, 20, vec![]),
            (1, 5, vec![(6, 10)]),
            (10, 20, vec![(5, 9)]),
            (7, 8, vec![(5, 6), (9, 10)]),
        ] {
            let left: Vec<_> = left.into_iter().map(|(from, to)| (day(from), day(to))).collect();
            assert_eq!(without(&all, day(from), day(to)), left, "{from} to {to}");
            assert_eq!(parse(&name(&left)), (!left.is_empty()).then_some(left));
        }
        assert_eq!(
            name(&[(day(1), day(2)), (day(4), day(4))]),
            "2024-01-01..2024-01-02,2024-01-04..2024-01-04"
        );
        for other in ["records", "profiles", ""] {
            assert_eq!(parse(other), None);
        }
    }
}
