//! What can be read of a damaged database, copied into a new one.
//!
//! Rows take the way of a caller's records: their columns are made from the texts
//! anew, so damage in a typed column is no loss. What cannot be read is found by
//! asking before anything is copied.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

use arrow::array::RecordBatch;
use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::time::ProjectClock;

use super::rows::{Selected, Span, WHOLE_ROW, between, can_be_read, on, rows_of, tables};
use super::{TableRepair, Trust, clock_of};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::StorageEngine;
use crate::storage::catalog::{Catalog, DEFAULT_MAX_COLUMNS};
use crate::storage::chunk::{ChunkSpec, Create, DayRange, OnReject, Present, Scope};
use crate::storage::connection::{SqlConnection, Target};
use crate::storage::ddl::{self, RESERVED, ident, literal, physical};
use crate::storage::definition::Definition;
use crate::storage::records::{EventRecord, ProfileRecord, Record, RecordSource, Rows};
use crate::storage::refill::in_transaction;
use crate::storage::verify::{Entries, VerifyDepth, readable};
use crate::types::{TableInfo, TableKind};
use crate::value::Value;

/// Rows that DuckDB reads at once: fewer are not worth asking for.
const UNIT: i64 = 2_048;

/// The ledger as it could be read, until the entries that hold go into the new one.
const LEDGER: &str = "_salvaged_ledger";

/// Rows of ours that belong to tables: moved as they are.
const BESIDE: [&str; 4] = ["_quarantine", "_held", "_vanished_profiles", "_pace"];

/// The name under which the new database sees the damaged one.
const DAMAGED: &str = "mp_damaged";

/// A damaged database, and the new one.
pub(super) struct Salvage<'a> {
    source: &'a StorageEngine,
    target: &'a StorageEngine,
    clock: &'a ProjectClock,
    trust: Trust,
    /// What is not in the new one, apart from rows of its tables.
    pub(super) left_out: Vec<String>,
    /// Whether entries of the ledger could not be read: nobody knows of which days.
    pub(super) lost_entries: bool,
}

impl<'a> Salvage<'a> {
    pub(super) fn new(
        source: &'a StorageEngine,
        target: &'a StorageEngine,
        clock: &'a ProjectClock,
        trust: Trust,
    ) -> Self {
        Salvage { source, target, clock, trust, left_out: Vec::new(), lost_entries: false }
    }

    /// Copies all that can be read. `work` is the damaged file.
    pub(super) fn run(&mut self, work: &Path) -> Result<Vec<TableRepair>> {
        self.execute(&format!("CREATE TABLE {LEDGER} AS SELECT * FROM _ledger LIMIT 0"))?;
        self.lost_entries = self.move_rows("_ledger", LEDGER)? > 0;
        let has_held = tables(self.source)?.iter().any(|table| table == "_held");
        if has_held && self.readable_rows("_held", WHOLE_ROW)?.1 > 0 {
            // Which days have older versions of events, nobody knows.
            self.trust = Trust::Nothing;
        }
        let mut repaired = Vec::new();
        for table in self.source.recorded_tables()? {
            repaired.push(match table.kind {
                TableKind::Events => self.events(&table)?,
                TableKind::Profiles => self.profiles(&table)?,
            });
        }
        // Behind the tables that they are about: the next one that opens the file puts held events in.
        for name in BESIDE {
            if name == "_pace" {
                self.execute("CREATE TABLE IF NOT EXISTS _pace (table_name VARCHAR NOT NULL, rows_per_second DOUBLE NOT NULL)")?;
            }
            let lost = self.move_rows(name, name)?;
            if lost > 0 && !matches!(name, "_pace" | "_held") {
                self.left_out.push(format!("rows of {name} that cannot be read"));
            }
        }
        self.execute(&format!("DROP TABLE {LEDGER}"))?;
        self.others(work, &mut repaired)?;
        Ok(repaired)
    }

    fn execute(&self, sql: &str) -> Result<()> {
        self.target.with_writer(|connection| connection.execute(sql))
    }

    /// A table of events: the days that can be read and believed, and what is in no day.
    fn events(&mut self, table: &TableInfo) -> Result<TableRepair> {
        let clock = clock_of(self.source, &table.name, self.clock);
        let entries = self.target.entries(LEDGER, &table.name)?;
        let rows = physical(&table.name);
        if entries.is_empty() {
            let (mut ranges, mut lost) = self.readable_rows(&rows, EventRecord::EXPRESSION)?;
            let was_fetched = || {
                let known = self.source.with_reader(|connection| Definition::load(connection, &table.name));
                known.is_ok_and(|definition| definition.project.is_some())
            };
            if self.lost_entries && (lost > 0 || self.trust == Trust::Nothing) && was_fetched() {
                // Days of which nobody can say whether they are whole: a sync fetches them.
                (ranges, lost) = (Vec::new(), 0);
            }
            let written =
                self.fill::<EventRecord>(table, &ranges, Some((Date::constant(1970, 1, 1), clock)))?;
            self.keep_entries(&table.name, &[])?;
            return Ok(done(table, written, Vec::new(), lost_rows(table, written, lost)));
        }
        let lost = self.lost_days(table, &entries, &clock)?;
        let spans: Vec<Span> = match self.trust {
            Trust::Nothing => {
                entries.keys().filter(|day| !lost.contains(day)).map(|day| on(*day, &clock)).collect()
            }
            _ => between(&lost, &clock),
        };
        let (mut good, mut lost_more) = (Vec::new(), 0);
        for span in spans {
            if can_be_read(self.source, &rows, EventRecord::EXPRESSION, &span.condition())? {
                good.push(span.condition());
                continue;
            }
            // Rows that are in no day of the ledger are in the way: then without them.
            let days = entries.keys().filter(|day| !lost.contains(day)).map(|day| on(*day, &clock));
            good.extend(days.filter(|day| span.holds(day)).map(|day| day.condition()));
            lost_more = 1;
        }
        let first = entries.keys().next().map(|day| (*day, clock));
        let written = self.fill::<EventRecord>(table, &good, first)?;
        let lost: Vec<Date> = lost.into_iter().collect();
        self.keep_entries(&table.name, &lost)?;
        if lost_more > 0 {
            let of_days = |all: bool| -> u64 {
                let days = entries.iter().filter(|(day, _)| all || !lost.contains(day));
                days.map(|(_, entry)| entry.rows).sum()
            };
            lost_more = (table.row_count + of_days(false)).saturating_sub(written + of_days(true)).max(1);
        }
        Ok(done(table, written, lost, lost_more))
    }

    /// Days of the ledger whose rows cannot be read, or are not to be believed.
    fn lost_days(
        &self,
        table: &TableInfo,
        entries: &Entries,
        clock: &ProjectClock,
    ) -> Result<BTreeSet<Date>> {
        match self.source.verify_table(table, entries, clock, VerifyDepth::Content) {
            Ok(found) => {
                let days = found.days.iter().filter(|day| !self.trust.takes(day.finding));
                Ok(days.map(|day| day.day).filter(|day| entries.contains_key(day)).collect())
            }
            Err(error) => readable(error).map(|_| entries.keys().copied().collect()),
        }
    }

    /// A table of profiles: it has no days. One that is not whole is not in the ledger.
    fn profiles(&mut self, table: &TableInfo) -> Result<TableRepair> {
        let (ranges, lost) = self.readable_rows(&physical(&table.name), ProfileRecord::EXPRESSION)?;
        let written = self.fill::<ProfileRecord>(table, &ranges, None)?;
        let lost_rows = lost_rows(table, written, lost);
        if lost_rows == 0 {
            self.keep_entries(&table.name, &[])?;
        }
        Ok(done(table, written, Vec::new(), lost_rows))
    }

    /// Puts the entries of a table's days into the new ledger, but for those that are lost.
    fn keep_entries(&self, table: &str, lost: &[Date]) -> Result<()> {
        let name = literal(table);
        let lost: Vec<String> = lost.iter().map(|day| format!("DATE '{day}'")).collect();
        let but =
            if lost.is_empty() { String::new() } else { format!("AND day NOT IN ({})", lost.join(", ")) };
        self.execute(&format!(
            "DELETE FROM _ledger WHERE table_name = {name};
             INSERT INTO _ledger BY NAME SELECT * FROM {LEDGER} WHERE table_name = {name} {but};"
        ))
    }

    /// Makes a table as it was, and fills it from these conditions on its rows; returns its rows.
    fn fill<R: Record + Selected>(
        &self,
        table: &TableInfo,
        conditions: &[String],
        first: Option<(Date, ProjectClock)>,
    ) -> Result<u64> {
        let (name, kind) = (&table.name, table.kind);
        let records = self
            .source
            .execute_batches(&format!("SELECT * FROM _tables WHERE table_name = {}", literal(name)))?;
        let metadata = self.source.get_metadata(name)?;
        let loaded = self.source.with_reader(|connection| Catalog::load(connection, name, kind));
        let catalog = match loaded {
            Ok(catalog) => catalog,
            Err(error) => readable(error).map(|_| Catalog::new(kind))?,
        };
        let columns: Vec<_> =
            catalog.promoted().map(|property| (property.column.clone(), property.kind)).collect();
        let record = |connection: &mut dyn SqlConnection| {
            connection.run("DELETE FROM _tables WHERE table_name = ?", &[Value::Text(name.clone())])?;
            for batch in &records.batches {
                connection.append(Target::Main("_tables"), batch.clone())?;
            }
            Ok::<_, Error>(())
        };
        let max_columns = self.target.with_writer(|connection| {
            record(connection)?;
            catalog.store(connection, name)?;
            connection.execute(&ddl::create_physical(name, kind, &columns))?;
            connection.execute(&ddl::create_view(name, kind))?;
            connection.execute(&ddl::create_flat_view(name, kind, &catalog.by_frequency()))?;
            let most = "SELECT max_columns FROM _tables WHERE table_name = ?";
            connection.scalar(most, &[Value::Text(name.clone())])
        })?;
        // A range, so that no row is taken for another one's repeat: they were compared when they came.
        let range = first.map(|(day, clock)| DayRange {
            from: day,
            to: day,
            clock,
            present: Present::AtMost(metadata.fetched_at),
            is_sample: false,
        });
        let spec = ChunkSpec {
            table: name,
            create: Create::No,
            scope: Scope::Everything(range),
            metadata: &metadata,
            filters: "",
            filter_hash: "",
            origin: None,
            definition: &Definition::default(),
            redefine: false,
            max_columns: max_columns
                .as_i64()
                .map_or(DEFAULT_MAX_COLUMNS, |most| most.unsigned_abs() as usize),
            on_reject: OnReject::Fail,
            request_id: None,
            now: metadata.fetched_at.max(Timestamp::UNIX_EPOCH),
        };
        let queries: Vec<String> = conditions
            .iter()
            .map(|condition| format!("SELECT {} FROM {}{condition}", R::SELECT, ident(&physical(name))))
            .collect();
        self.write::<R>(&spec, queries)?;
        self.target.finish(name, kind)?;
        self.target.with_writer(|connection| {
            record(connection)?;
            let rows = format!("(SELECT count(*) FROM {})", ident(&physical(name)));
            let counted =
                format!("UPDATE _tables SET row_count = {rows} WHERE table_name = {}", literal(name));
            connection.execute(&counted)?;
            Ok(connection.scalar(&format!("SELECT {rows}"), &[])?.as_i64().unwrap_or_default().unsigned_abs())
        })
    }

    /// One chunk of all that the queries give.
    fn write<R: Record>(&self, spec: &ChunkSpec<'_>, queries: Vec<String>) -> Result<()> {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Result<RecordBatch>>(1);
            let read = move || {
                for sql in queries {
                    let mut hand_over =
                        |batch| sender.send(Ok(batch)).map_err(|_| Error::from(ErrorKind::Cancelled));
                    if let Err(error) = self.source.execute_streaming(&sql, &mut |_| Ok(()), &mut hand_over) {
                        let _ = sender.send(Err(error));
                        return;
                    }
                }
            };
            thread::Builder::new().spawn_scoped(scope, read).map_err(Error::no_thread)?;
            let mut rows = RecordSource::<R>::new(Rows::try_batches(receiver));
            self.target.write(spec, &mut rows, &mut |_| {}).map(drop)
        })
    }

    /// Conditions on the row numbers of what can be read of a table, and how many rows that leaves
    /// out at most.
    fn readable_rows(&self, table: &str, expression: &str) -> Result<(Vec<String>, u64)> {
        let last = self.source.ask_scalar(&format!("SELECT max(rowid) FROM {}", ident(table)));
        let count = match last {
            Ok(last) => last.as_i64().map_or(0, |last| last + 1),
            Err(error) => return readable(error).map(|_| (Vec::new(), 1)),
        };
        let (mut good, mut lost) = (Vec::<(i64, i64)>::new(), 0);
        let mut open = vec![(0, count)];
        while let Some((from, to)) = open.pop().filter(|(from, to)| from < to) {
            if can_be_read(self.source, table, expression, &rows_of((from, to)))? {
                match good.last_mut() {
                    Some(last) if last.1 == from => last.1 = to,
                    _ => good.push((from, to)),
                }
            } else if to - from <= UNIT {
                lost += (to - from).unsigned_abs();
            } else {
                let half = from + ((to - from) / 2 + UNIT - 1) / UNIT * UNIT;
                open.extend([(half.min(to), to), (from, half.min(to))]);
            }
        }
        Ok((good.into_iter().map(rows_of).collect(), lost))
    }

    /// Moves the rows of a table of ours that can be read; returns how many cannot, at most.
    fn move_rows(&self, from: &str, to: &str) -> Result<u64> {
        if !tables(self.source)?.iter().any(|table| table == from) {
            return Ok(0);
        }
        let (ranges, lost) = self.readable_rows(from, WHOLE_ROW)?;
        for condition in ranges {
            let rows = self.source.execute_batches(&format!("SELECT * FROM {}{condition}", ident(from)))?;
            self.target.with_writer(|connection| {
                rows.batches
                    .into_iter()
                    .try_for_each(|batch| connection.append(Target::Main(to), batch).map(drop))
            })?;
        }
        Ok(lost)
    }

    /// Tables and views of the user's own.
    fn others(&mut self, work: &Path, repaired: &mut Vec<TableRepair>) -> Result<()> {
        let ours: BTreeSet<String> = repaired
            .iter()
            .flat_map(|table| [table.table.clone(), physical(&table.table), format!("{}_flat", table.table)])
            .chain(RESERVED.iter().map(|name| physical(name)))
            .chain(["_pace".to_owned()])
            .collect();
        let of_the_file = "NOT internal AND database_name NOT IN ('system', 'temp')";
        let tables = self.source.ask(
            &format!("SELECT table_name, sql, schema_name FROM duckdb_tables() WHERE {of_the_file} ORDER BY table_oid"),
            &[],
        )?;
        let tables = tables.rows.iter().map(|row| [0, 1, 2].map(|at| row[at].to_text()));
        let tables: Vec<[String; 3]> =
            tables.filter(|[name, _, schema]| schema != "main" || !ours.contains(name)).collect();
        if !tables.is_empty() {
            let path = literal(&work.display().to_string());
            self.execute(&format!("ATTACH {path} AS {DAMAGED} (READ_ONLY)"))?;
        }
        for [name, sql, schema] in &tables {
            if schema != "main" {
                self.left_out.push(format!("table {schema}.{name}"));
                continue;
            }
            let (ranges, lost) = self.readable_rows(name, WHOLE_ROW)?;
            let rows = ranges.iter().map(|condition| {
                let name = ident(name);
                format!("INSERT INTO {name} SELECT * FROM {DAMAGED}.main.{name}{condition};")
            });
            let copied = format!("{sql};{}", rows.collect::<String>());
            if let Err(error) = self.target.with_writer(|connection| in_transaction(connection, &copied)) {
                readable(error)?;
                self.left_out.push(format!("table {name}"));
                continue;
            }
            let count = self.target.ask_scalar(&format!("SELECT count(*) FROM {}", ident(name)))?;
            repaired.push(TableRepair {
                table: name.clone(),
                kind: None,
                rows: count.as_i64().unwrap_or_default().unsigned_abs(),
                lost_days: Vec::new(),
                lost_rows: lost,
            });
        }
        if !tables.is_empty() {
            self.execute(&format!("DETACH {DAMAGED}"))?;
        }
        self.views(&ours, of_the_file)
    }

    /// Views are copied as they are written; what else the file has is named.
    fn views(&mut self, ours: &BTreeSet<String>, of_the_file: &str) -> Result<()> {
        let views = self.source.ask(
            &format!(
                "SELECT view_name, sql, schema_name FROM duckdb_views() WHERE {of_the_file} ORDER BY view_oid"
            ),
            &[],
        )?;
        for row in &views.rows {
            let [name, sql, schema] = [0, 1, 2].map(|at| row[at].to_text());
            if schema == "main" && ours.contains(&name) {
                continue;
            }
            if schema != "main" || self.execute(&sql).is_err() {
                self.left_out.push(format!("view {schema}.{name}"));
            }
        }
        for (kind, names) in [
            ("macro", "SELECT DISTINCT function_name FROM duckdb_functions()"),
            ("type", "SELECT type_name FROM duckdb_types()"),
            ("sequence", "SELECT sequence_name FROM duckdb_sequences()"),
            ("index", "SELECT index_name FROM duckdb_indexes()"),
        ] {
            let internal = if kind == "sequence" || kind == "index" { "true" } else { "NOT internal" };
            let sql =
                format!("{names} WHERE {internal} AND database_name NOT IN ('system', 'temp') ORDER BY 1");
            let found = self.source.ask(&sql, &[])?;
            self.left_out.extend(found.rows.iter().map(|row| format!("{kind} {}", row[0].to_text())));
        }
        Ok(())
    }
}

/// Rows that a table lacks, when some could not be read.
fn lost_rows(table: &TableInfo, written: u64, unreadable: u64) -> u64 {
    if unreadable == 0 { 0 } else { table.row_count.saturating_sub(written).max(1) }
}

fn done(table: &TableInfo, rows: u64, lost_days: Vec<Date>, lost_rows: u64) -> TableRepair {
    TableRepair { table: table.name.clone(), kind: Some(table.kind), rows, lost_days, lost_rows }
}
