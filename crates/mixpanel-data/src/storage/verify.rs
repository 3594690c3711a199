//! The rows against the books: what the ledger says of each day, and what is there.
//! Reads only.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::export::{event_key, rebuild_columns};
use mixpanel_client::schema::ColumnKind;
use mixpanel_client::time::ProjectClock;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::StorageEngine;
use super::catalog::Catalog;
use super::chunk::{DayRange, Present, exported, start_of};
use super::ddl::{ident, physical};
use super::filling::{day_around, within};
use super::ledger::DayCount;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{TableInfo, TableKind};
use crate::value::Value;

/// How closely [`StorageEngine::verify`] looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyDepth {
    /// Counts rows by day.
    Quick,
    /// Reads the rows, and compares their content with what was received.
    #[default]
    Content,
    /// Reads every column, and compares the typed ones with the texts.
    Data,
}

/// What was found in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// The table.
    pub table: String,
    /// What it holds.
    pub kind: TableKind,
    /// Rows that the table's records say it has.
    pub expected_rows: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Days in order. None for tables that no fetch filled.
    pub days: Vec<DayVerification>,
    /// Columns with values that are not what the texts say, and in how many rows.
    pub columns: BTreeMap<String, u64>,
    /// Why not all of it can be read.
    pub unreadable: Option<String>,
}

/// What was found of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DayVerification {
    /// The project day.
    pub day: Date,
    /// Rows that the ledger has for it.
    pub expected_rows: u64,
    /// Rows that were read.
    pub rows: u64,
    /// How the two compare.
    pub finding: Finding,
}

/// How a day compares with its ledger entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// Rows and content are what was received.
    Right,
    /// The number of rows is right. Their content was not looked at, or cannot be
    /// compared: duplicates were dropped, or rows were added.
    Counted,
    /// More or fewer rows than the ledger says.
    OtherRows,
    /// As many rows, with other content.
    OtherContent,
    /// Rows of a day that is not in the ledger.
    NoEntry,
    /// Some of its rows cannot be read.
    Unreadable,
}

impl Finding {
    /// Whether the day is as it should be, as far as can be seen.
    pub fn is_good(self) -> bool {
        matches!(self, Finding::Right | Finding::Counted)
    }
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.unreadable.is_none()
            && self.columns.is_empty()
            && self.rows == self.expected_rows
            && self.days.iter().all(|day| day.finding.is_good())
    }
}

/// What a ledger has for the days of a table.
pub(super) type Entries = BTreeMap<Date, Entry>;

/// What the ledger has for a day.
pub(super) struct Entry {
    pub(super) rows: u64,
    bytes: u64,
    hash: Option<u64>,
}

impl StorageEngine {
    /// Compares all tables with what the ledger says of them. `clock` says to which
    /// day a row belongs.
    ///
    /// # Errors
    /// [`Cancelled`](ErrorKind::Cancelled), and when the books themselves cannot be
    /// read. Rows that cannot be read are a finding.
    pub fn verify(&self, clock: &ProjectClock, depth: VerifyDepth) -> Result<Vec<Verification>> {
        let tables = self.list_tables()?;
        let verify = |table: &TableInfo| {
            let entries = self.entries("_ledger", &table.name)?;
            self.verify_table(table, &entries, clock, depth)
        };
        tables.iter().map(verify).collect()
    }

    /// Compares a table with these entries of a ledger.
    pub(super) fn verify_table(
        &self,
        table: &TableInfo,
        entries: &Entries,
        clock: &ProjectClock,
        depth: VerifyDepth,
    ) -> Result<Verification> {
        let mut tally = Tally::new(self, table, clock, depth)?;
        let mut unreadable = None;
        let mut bad = Vec::new();
        if let Err(error) = tally.read(self, "") {
            unreadable = Some(readable(error)?);
            // Which days, then: each by itself.
            tally = Tally::new(self, table, clock, depth)?;
            for day in entries.keys() {
                let after = day.tomorrow().unwrap_or(Date::MAX);
                let bounds = within((start_of(*day, clock), start_of(after, clock)));
                if let Err(error) = tally.read(self, &bounds) {
                    readable(error)?;
                    bad.push(*day);
                }
            }
        }
        let mut days = Vec::new();
        for (day, entry) in entries.iter().filter(|_| table.kind == TableKind::Events) {
            let found = tally.days.remove(day).unwrap_or_default();
            let finding = match () {
                () if bad.contains(day) => Finding::Unreadable,
                () if found.lines != entry.rows => Finding::OtherRows,
                () if depth == VerifyDepth::Quick || entry.hash.is_none() => Finding::Counted,
                () if entry.hash == Some(found.content_hash) => Finding::Right,
                // Rows that were added under other filters are in the count alone.
                () if entry.bytes != found.bytes => Finding::Counted,
                () => Finding::OtherContent,
            };
            days.push(DayVerification { day: *day, expected_rows: entry.rows, rows: found.lines, finding });
        }
        // Tables that were filled from records have no ledger.
        if !entries.is_empty() && table.kind == TableKind::Events {
            days.extend(tally.days.iter().map(|(day, found)| DayVerification {
                day: *day,
                expected_rows: 0,
                rows: found.lines,
                finding: Finding::NoEntry,
            }));
            days.sort_by_key(|day| day.day);
        }
        Ok(Verification {
            table: table.name.clone(),
            kind: table.kind,
            expected_rows: table.row_count,
            rows: tally.rows,
            days,
            columns: tally.wrong,
            unreadable,
        })
    }

    /// What a ledger has for a table, day by day.
    pub(super) fn entries(&self, ledger: &str, table: &str) -> Result<Entries> {
        let rows = self.ask(
            &format!(
                "SELECT day, CAST(sum(row_count) AS BIGINT), CAST(sum(bytes) AS BIGINT), count(*),
                    CAST(sum(duplicates) AS BIGINT), min(content_hash)
                 FROM {} WHERE table_name = ? AND state <> 'unavailable' GROUP BY day",
                ident(ledger)
            ),
            &[Value::Text(table.to_owned())],
        )?;
        let number = |value: &Value| value.as_i64().unwrap_or_default().unsigned_abs();
        let entry = |row: &Vec<Value>| {
            let Value::Date(day) = row[0] else { return None };
            // Of several fetches into one day, or with duplicates, the hash is not that of the rows.
            let plain = number(&row[3]) == 1 && number(&row[4]) == 0;
            let hash = row[5].as_str().filter(|_| plain).and_then(|text| u64::from_str_radix(text, 16).ok());
            Some((day, Entry { rows: number(&row[1]), bytes: number(&row[2]), hash }))
        };
        Ok(rows.rows.iter().filter_map(entry).collect())
    }
}

/// The text of an error that means damage; others are errors.
pub(super) fn readable(error: Error) -> Result<String> {
    match error.kind() {
        ErrorKind::Query { .. } | ErrorKind::Io { .. } | ErrorKind::NotADatabase { .. } => {
            Ok(error.to_string())
        }
        _ => Err(error),
    }
}

/// What is counted while rows go by.
struct Tally {
    kind: TableKind,
    depth: VerifyDepth,
    sql: String,
    range: DayRange,
    /// Typed columns, by property.
    typed: Vec<(String, ColumnKind)>,
    names: Vec<String>,
    rows: u64,
    days: BTreeMap<Date, DayCount>,
    wrong: BTreeMap<String, u64>,
}

impl Tally {
    fn new(
        storage: &StorageEngine,
        table: &TableInfo,
        clock: &ProjectClock,
        depth: VerifyDepth,
    ) -> Result<Self> {
        let mut columns = match (table.kind, depth) {
            (TableKind::Events, VerifyDepth::Quick) => vec!["event_time".to_owned()],
            (TableKind::Events, _) => {
                ["event_time", "event_name", "distinct_id", "insert_id", "CAST(properties AS VARCHAR)"]
                    .map(String::from)
                    .to_vec()
            }
            (TableKind::Profiles, VerifyDepth::Quick) => vec!["distinct_id".to_owned()],
            (TableKind::Profiles, _) => {
                ["distinct_id", "last_seen", "CAST(properties AS VARCHAR)"].map(String::from).to_vec()
            }
        };
        let (mut typed, mut names) = (Vec::new(), Vec::new());
        if depth == VerifyDepth::Data {
            let catalog =
                storage.with_reader(|connection| Catalog::load(connection, &table.name, table.kind))?;
            for property in catalog.by_frequency().iter().filter(|property| property.promoted) {
                typed.push((property.name.clone(), property.kind));
                names.push(property.column.clone());
                columns.push(ident(&property.column));
            }
        }
        let sql = format!("SELECT {} FROM {}", columns.join(", "), ident(&physical(&table.name)));
        let range = DayRange {
            from: Date::MIN,
            to: Date::MAX,
            clock: clock.clone(),
            present: Present::AtMost(Timestamp::MAX),
            is_sample: false,
        };
        let (rows, days, wrong) = Default::default();
        Ok(Tally { kind: table.kind, depth, sql, range, typed, names, rows, days, wrong })
    }

    fn read(&mut self, storage: &StorageEngine, condition: &str) -> Result<()> {
        let sql = format!("{}{condition}", self.sql);
        storage.execute_streaming(&sql, &mut |_| Ok(()), &mut |batch| {
            self.take(&batch);
            Ok(())
        })
    }

    fn take(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        if self.kind == TableKind::Events {
            self.count_days(batch);
        }
        if self.depth == VerifyDepth::Data {
            self.compare_columns(batch);
        }
    }

    fn count_days(&mut self, batch: &RecordBatch) {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>().values();
        let mut known: Option<(i64, i64, Date)> = None;
        for (row, time) in times.iter().enumerate() {
            let day = match known {
                Some((from, to, day)) if (from..to).contains(time) => day,
                _ => known.insert(day_around(*time, &self.range)).2,
            };
            let count = self.days.entry(day).or_default();
            if self.depth == VerifyDepth::Quick {
                count.lines += 1;
                continue;
            }
            let text = |column: usize| batch.column(column).as_string::<i32>().value(row);
            let key = event_key(text(1), exported(*time, &self.range.clock), text(2), received_id(text(3)));
            count.add(text(4).len(), xxh3_64_with_seed(text(4).as_bytes(), key));
        }
    }

    fn compare_columns(&mut self, batch: &RecordBatch) {
        let first = batch.num_columns() - self.typed.len();
        let texts = batch.column(first - 1).as_string::<i32>();
        let wanted: Vec<(&str, ColumnKind)> =
            self.typed.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        for (at, should) in rebuild_columns(texts, &wanted).iter().enumerate() {
            let is = batch.column(first + at);
            let wrong = count_differences(is, should);
            if wrong > 0 {
                *self.wrong.entry(self.names[at].clone()).or_default() += wrong;
            }
        }
    }
}

/// The insert id of which the key was made. Events that came without one and are
/// equal share an id that was made for them, with a number behind it.
fn received_id(stored: &str) -> &str {
    const MADE: usize = "mp-".len() + 32;
    match stored.as_bytes().get(MADE) {
        Some(b'-') if stored.starts_with("mp-") => &stored[..MADE],
        _ => stored,
    }
}

/// In how many rows two columns differ. Their types may be named differently.
fn count_differences(one: &dyn Array, other: &dyn Array) -> u64 {
    if one.to_data() == other.to_data() {
        return 0;
    }
    let text = |array: &dyn Array| cast(array, &DataType::Utf8);
    let (Ok(one), Ok(other)) = (text(one), text(other)) else { return one.len() as u64 };
    let (one, other) = (one.as_string::<i32>(), other.as_string::<i32>());
    one.iter().zip(other.iter()).filter(|(one, other)| one != other).count() as u64
}
