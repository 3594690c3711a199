//! The ledger: what is here, day by day, and where it came from. Written in the
//! same transaction as the rows it speaks of.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::chunk::{Arrival, ChunkSpec, DayRange, Scope};
use super::connection::SqlConnection;
use super::ddl::literal;
use super::definition::{self, Definition};
use crate::error::Result;
use crate::value::Value;

/// What is known of a day's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DayState {
    /// All of the day's rows are here.
    Complete,
    /// The day is over and Mixpanel has nothing for it.
    Empty,
    /// The day was not over, or only a part of it was asked for.
    Partial,
    /// The day lies before the history that the project's plan keeps.
    Unavailable,
    /// Rows of the day came from a file; whether they are all, nobody knows.
    Loaded,
}

impl DayState {
    /// The state that a word of the table stands for; what is not known is no proof.
    pub(crate) fn from_str(word: &str) -> Self {
        [DayState::Complete, DayState::Empty, DayState::Unavailable, DayState::Loaded]
            .into_iter()
            .find(|state| state.as_str() == word)
            .unwrap_or(DayState::Partial)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            DayState::Complete => "complete",
            DayState::Empty => "empty",
            DayState::Partial => "partial",
            DayState::Unavailable => "unavailable",
            DayState::Loaded => "loaded",
        }
    }
}

/// Counts of one day within a chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct DayCount {
    /// Lines that became rows, duplicates included.
    pub(crate) lines: u64,
    pub(crate) duplicates: u64,
    /// Bytes of the properties' text.
    pub(crate) bytes: u64,
    /// Sum over the lines, so that their order does not matter.
    pub(crate) content_hash: u64,
}

impl DayCount {
    /// Counts a row by the length of its text and the hash of its content.
    pub(crate) fn add(&mut self, bytes: usize, content: u64) {
        self.lines += 1;
        self.bytes += bytes as u64;
        self.content_hash = self.content_hash.wrapping_add(content);
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn merge(&mut self, other: &DayCount) {
        self.lines += other.lines;
        self.duplicates += other.duplicates;
        self.bytes += other.bytes;
        self.content_hash = self.content_hash.wrapping_add(other.content_hash);
    }

    /// What is known of a day with these counts, when days from `open_from` on may not be over.
    pub(crate) fn state(&self, day: Date, open_from: Date) -> DayState {
        if day >= open_from {
            DayState::Partial
        } else if self.lines == 0 {
            DayState::Empty
        } else {
            DayState::Complete
        }
    }
}

/// Writes one entry for each day of a chunk, in place of earlier ones of the
/// same filters. Rejected lines have no day of their own; they are counted
/// afterwards, see [`super::quarantine`].
pub(crate) fn record_days(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    range: &DayRange,
    days: &BTreeMap<Date, DayCount>,
    open_from: Date,
) -> Result<()> {
    let text = |text: &str| Value::Text(text.to_owned());
    let condition = match spec.scope {
        Scope::Everything(_) => "",
        // Rows of files have gone with the others.
        Scope::Days(_) => {
            "AND (filter_hash = ? OR state = 'loaded') AND day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)"
        }
        // What was complete stays so when rows are added.
        Scope::Add(_) | Scope::Load(_) | Scope::Profiles(_) => {
            "AND filter_hash = ? AND day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)
             AND state IN ('partial', 'unavailable')"
        }
    };
    let days_asked = [text(spec.filter_hash), Value::Date(range.from), Value::Date(range.to)];
    let mut parameters = vec![text(spec.table)];
    if !condition.is_empty() {
        parameters.extend(days_asked.clone());
    }
    // What was a part stays counted when rows are added.
    let before = match spec.scope {
        Scope::Add(_) => connection.rows(
            &format!("SELECT day, row_count FROM _ledger WHERE table_name = ? {condition}"),
            &parameters,
        )?,
        _ => Vec::new(),
    };
    let rows_before = |day: Date| {
        let rows = before.iter().find(|row| row[0] == Value::Date(day)).and_then(|row| row[1].as_i64());
        rows.unwrap_or_default().unsigned_abs()
    };
    connection.run(&format!("DELETE FROM _ledger WHERE table_name = ? {condition}"), &parameters)?;
    let kept = connection.rows(
        "SELECT day FROM _ledger
         WHERE filter_hash = ? AND day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE) AND table_name = ?",
        &[days_asked.as_slice(), &[text(spec.table)]].concat(),
    )?;
    let is_kept = |day: Date| kept.iter().any(|row| row[0] == Value::Date(day));
    let integer = |value: u64| Value::Integer(value.into());
    for (day, count) in days.iter().filter(|(day, _)| **day >= range.from && **day <= range.to) {
        if is_kept(*day) {
            // Its rows have become more, and all of it was looked at again.
            let whole = count.state(*day, open_from) != DayState::Partial;
            connection.run(
                "UPDATE _ledger SET row_count = row_count + ?, fetched_at = CASE WHEN ? THEN ? ELSE fetched_at END
                 WHERE filter_hash = ? AND day = CAST(? AS DATE) AND table_name = ?",
                &[
                    integer(count.lines.saturating_sub(count.duplicates)),
                    Value::Boolean(whole),
                    Value::Timestamp(spec.now),
                    text(spec.filter_hash),
                    Value::Date(*day),
                    text(spec.table),
                ],
            )?;
            continue;
        }
        connection.run(
            "INSERT INTO _ledger VALUES (?, CAST(? AS DATE), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                text(spec.table),
                Value::Date(*day),
                text(spec.filter_hash),
                text(count.state(*day, open_from).as_str()),
                integer(rows_before(*day) + count.lines.saturating_sub(count.duplicates)),
                integer(count.duplicates),
                integer(0),
                integer(count.bytes),
                text(&format!("{:016x}", count.content_hash)),
                Value::Timestamp(spec.now),
                spec.request_id.clone().map_or(Value::Null, Value::Text),
                text(spec.filters),
            ],
        )?;
    }
    Ok(())
}

/// Writes what a file has brought: an entry for each of its days, besides those of fetches and of
/// other files. A file that is loaded again adds to its own.
pub(crate) fn record_loaded(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    days: &BTreeMap<Date, DayCount>,
) -> Result<()> {
    let (hash, origin) = spec.recorded();
    let (table, hash, origin) = (literal(spec.table), literal(hash), literal(origin));
    let now = spec.now.as_microsecond();
    let all: Vec<String> = days
        .iter()
        .map(|(day, count)| {
            let rows = count.lines.saturating_sub(count.duplicates);
            format!(
                "(DATE '{day}', {rows}, {}, {}, '{:016x}')",
                count.duplicates, count.bytes, count.content_hash
            )
        })
        .collect();
    for some in all.chunks(1_000) {
        let came = format!(
            "(SELECT * FROM (VALUES {}) AS came(day, row_count, duplicates, bytes, content_hash))",
            some.join(", ")
        );
        connection.execute(&format!(
            "UPDATE _ledger SET row_count = _ledger.row_count + came.row_count, duplicates = came.duplicates,
                    fetched_at = make_timestamp({now})
             FROM {came} AS came
             WHERE _ledger.table_name = {table} AND _ledger.filter_hash = {hash} AND _ledger.day = came.day;
             INSERT INTO _ledger
             SELECT {table}, came.day, {hash}, 'loaded', came.row_count, came.duplicates, 0, came.bytes,
                    came.content_hash, make_timestamp({now}), NULL, {origin}
             FROM {came} AS came
             WHERE came.day NOT IN (SELECT day FROM _ledger WHERE table_name = {table} AND filter_hash = {hash})"
        ))?;
    }
    Ok(())
}

/// Notes that days lie before the history that the project's plan keeps. What is
/// known of a day otherwise stays.
pub(crate) fn record_unavailable(
    connection: &mut dyn SqlConnection,
    table: &str,
    filter_hash: &str,
    days: &[Date],
    now: jiff::Timestamp,
) -> Result<()> {
    let days: Vec<String> = days.iter().map(|day| format!("(DATE '{day}')")).collect();
    if days.is_empty() {
        return Ok(());
    }
    let (table, hash) = (literal(table), literal(filter_hash));
    connection.execute(&format!(
        "BEGIN;
         DELETE FROM _ledger
             WHERE table_name = {table} AND filter_hash = {hash} AND state = 'unavailable' AND day IN ({list});
         INSERT INTO _ledger
             SELECT {table}, day, {hash}, 'unavailable', 0, 0, 0, 0, '', make_timestamp({now}), NULL, NULL
             FROM (VALUES {list}) AS gone(day)
             WHERE day NOT IN (SELECT day FROM _ledger WHERE table_name = {table} AND filter_hash = {hash});
         COMMIT;",
        list = days.join(", "),
        now = now.as_microsecond(),
    ))
}

/// Writes the one entry of a fetch of profiles, on its day (UTC), in place of
/// the last one with the same filters; of all, if all that was there is gone.
pub(crate) fn record_profiles(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    count: &DayCount,
    rejects: u64,
) -> Result<()> {
    let Scope::Profiles(arrival) = spec.scope else { return Ok(()) };
    let text = |text: &str| Value::Text(text.to_owned());
    let integer = |value: u64| Value::Integer(value.into());
    if spec.scope.replaces_all() {
        connection.run("DELETE FROM _ledger WHERE table_name = ?", &[text(spec.table)])?;
    } else {
        let which = [text(spec.table), text(spec.recorded().0)];
        connection.run("DELETE FROM _ledger WHERE table_name = ? AND filter_hash = ?", &which)?;
    }
    let whole = matches!(arrival, Arrival::Snapshot | Arrival::Upsert { whole: true });
    let state = match (whole, count.lines) {
        _ if spec.origin.is_some() => DayState::Loaded,
        (false, _) => DayState::Partial,
        (true, 0) => DayState::Empty,
        (true, _) => DayState::Complete,
    };
    connection.run(
        "INSERT INTO _ledger VALUES (?, CAST(? AS DATE), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            text(spec.table),
            Value::Date(jiff::tz::Offset::UTC.to_datetime(spec.now).date()),
            text(spec.recorded().0),
            text(state.as_str()),
            integer(count.lines - count.duplicates),
            integer(count.duplicates),
            integer(rejects),
            integer(count.bytes),
            text(&format!("{:016x}", count.content_hash)),
            Value::Timestamp(spec.now),
            Value::Null,
            text(spec.recorded().1),
        ],
    )
}

/// Writes the table's own entry: its definition, its filters, its reach, its size.
pub(crate) fn record_table(
    connection: &mut dyn SqlConnection,
    spec: &ChunkSpec<'_>,
    total_rows: u64,
) -> Result<()> {
    let text = |text: &str| Value::Text(text.to_owned());
    let date = |date: Option<Date>| date.map_or(Value::Null, Value::Date);
    let everything = spec.scope.replaces_all();
    let known = connection.rows(
        "SELECT created_at, from_date, to_date, filter_hash, filters, filter_events, filter_where,
                filter_cohort, filter_output_properties, filter_group, filter_behaviors
         FROM _tables WHERE table_name = ?",
        &[text(spec.table)],
    )?;
    let known = known.into_iter().next();
    let definition = match spec.redefine {
        true => spec.definition.clone(),
        false => Definition::load(connection, spec.table)?.completed_by(spec.definition),
    };
    let day = |at: usize| match known.as_ref().map(|row| &row[at]) {
        Some(Value::Date(day)) if !everything => Some(*day),
        _ => None,
    };
    let created_at = known.as_ref().map_or(Value::Timestamp(spec.now), |row| row[0].clone());
    let from = [day(1), spec.metadata.from_date].into_iter().flatten().min();
    let to = [day(2), spec.metadata.to_date].into_iter().flatten().max();
    // Rows that were added under other filters do not change what the table is.
    let keep = |at: usize, new: Value| match &known {
        Some(row) if !everything => row[at].clone(),
        _ => new,
    };
    let list = |names: &Option<Vec<String>>| {
        let json = |names| text(&serde_json::to_string(names).expect("a list of texts"));
        names.as_ref().map_or(Value::Null, json)
    };
    let maybe = |value: &Option<String>| value.as_deref().map_or(Value::Null, text);
    let metadata = spec.metadata;
    let values = [
        text(spec.table),
        text(&spec.metadata.kind.to_string()),
        keep(3, text(spec.filter_hash)),
        keep(4, text(spec.filters)),
        keep(5, list(&metadata.filter_events)),
        keep(6, maybe(&metadata.filter_where)),
        created_at,
        Value::Timestamp(spec.metadata.fetched_at),
        date(from),
        date(to),
        Value::Integer(total_rows.into()),
        Value::Integer(spec.max_columns as i128),
        keep(7, maybe(&metadata.filter_cohort_id)),
        keep(8, list(&metadata.filter_output_properties)),
        keep(9, maybe(&metadata.filter_group_id)),
        keep(10, maybe(&metadata.filter_behaviors)),
    ];
    connection.run("DELETE FROM _tables WHERE table_name = ?", &[text(spec.table)])?;
    connection.run(
        &format!(
            "INSERT INTO _tables (
                 table_name, type, filter_hash, filters, filter_events, filter_where, created_at, fetched_at,
                 from_date, to_date, row_count, max_columns,
                 filter_cohort, filter_output_properties, filter_group, filter_behaviors, {})
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS DATE), CAST(? AS DATE), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            definition::COLUMNS.join(", ")
        ),
        &values.into_iter().chain(definition.values()).collect::<Vec<_>>(),
    )
}
