//! What is recorded of a table, for whoever plans a fetch: its definition, its filters, its days.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::time::ProjectClock;

use super::chunk::start_of;
use super::ddl::{ident, physical};
use super::definition::Definition;
use super::engine::StorageEngine;
use super::introspect::timestamp;
use super::ledger::DayState;
use super::quarters::Quarters;
use super::unrecorded;
use crate::error::Result;
use crate::value::Value;

/// The filters and the reach of a table of events.
#[derive(Clone, Debug)]
pub(crate) struct TableFilters {
    pub(crate) hash: String,
    /// In words.
    pub(crate) text: String,
    pub(crate) events: Vec<String>,
    pub(crate) filter: Option<String>,
    /// The first day that was ever asked for.
    pub(crate) from: Option<Date>,
}

/// A day of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LedgerDay {
    /// Under the table's own filters; none if the day was only fetched under others.
    pub(crate) state: Option<DayState>,
    /// When rows of files were loaded last, if some are here.
    pub(crate) loaded_at: Option<Timestamp>,
    /// Under any filters.
    pub(crate) rows: u64,
    pub(crate) fetched_at: Option<Timestamp>,
}

impl StorageEngine {
    /// Whether rows of `asked` may go into a table that exists. Where its clock was never recorded,
    /// its rows say whether it is another one.
    ///
    /// # Errors
    /// [`DefinitionMismatch`](crate::ErrorKind::DefinitionMismatch).
    pub(crate) fn check_definition(&self, table: &str, asked: &Definition) -> Result<()> {
        self.with_reader(|connection| {
            let here = Definition::load(connection, table)?;
            here.allows(table, asked)?;
            match &asked.clock {
                Some(clock) if here.clock.is_none() => unrecorded::check_clock(connection, table, clock),
                _ => Ok(()),
            }
        })
    }

    /// What a table is a copy of, in words, such as `project 12345 in region us, UTC`. `None` if
    /// that was never recorded, or if there is no such table.
    pub fn source_of(&self, table: &str) -> Result<Option<String>> {
        let tables = self.list_tables()?;
        let Some(known) = tables.iter().find(|known| known.name.eq_ignore_ascii_case(table)) else {
            return Ok(None);
        };
        self.with_reader(|connection| Ok(Definition::load(connection, &known.name)?.in_words()))
    }

    /// The project and the region that all tables are copies of; `None` where that is not recorded,
    /// or not one.
    pub(crate) fn recorded_project(&self) -> Result<Option<(String, String)>> {
        let mut found = None;
        for table in self.recorded_tables()? {
            let definition = self.with_reader(|connection| Definition::load(connection, &table.name))?;
            let Some(here) = definition.project_id().zip(definition.region.clone()) else { continue };
            if found.get_or_insert_with(|| here.clone()) != &here {
                return Ok(None);
            }
        }
        Ok(found)
    }

    /// How many lines that were meant for a table could not be stored, by the word for the reason.
    /// They are in `_quarantine`.
    pub fn refused_lines(&self, table: &str) -> Result<BTreeMap<String, u64>> {
        let rows = self.ask(
            "SELECT reason, count(*) FROM _quarantine WHERE table_name = ? GROUP BY reason",
            &[Value::Text(table.to_owned())],
        )?;
        Ok(rows.rows.iter().map(|row| (row[0].to_text(), count(&row[1]))).collect())
    }

    /// Tables whose rows are not as many as were written: what SQL or another program has added, or,
    /// below zero, removed.
    pub fn changed_rows(&self) -> Result<Vec<(String, i64)>> {
        let mut changed = Vec::new();
        for table in self.recorded_tables()? {
            let rows = self.rows_of(&table.name)?.map_or(0, |rows| rows as i64);
            let difference = rows - table.row_count as i64;
            if difference != 0 {
                changed.push((table.name, difference));
            }
        }
        Ok(changed)
    }

    /// Days between two, both included, of which rows have gone since they were fetched. It costs
    /// nothing while the table has as many rows as were written.
    pub(crate) fn days_with_fewer_rows(
        &self,
        table: &str,
        clock: &ProjectClock,
        (from, to): (Date, Date),
    ) -> Result<BTreeSet<Date>> {
        if !self.changed_rows()?.iter().any(|(changed, _)| changed == table) {
            return Ok(BTreeSet::new());
        }
        let counted = self.ask(
            "SELECT day, CAST(sum(row_count) AS BIGINT) FROM _ledger
             WHERE table_name = ? AND day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE) GROUP BY day",
            &[Value::Text(table.to_owned()), Value::Date(from), Value::Date(to)],
        )?;
        let there = match self.rows_of(table)? {
            Some(_) => self.with_reader(|connection| Quarters::of(connection, table))?,
            None => Quarters::default(),
        };
        let fewer = counted.rows.iter().filter_map(|row| match row[0] {
            Value::Date(day) => {
                let end = start_of(day.tomorrow().unwrap_or(Date::MAX), clock);
                (there.between(start_of(day, clock), end) < count(&row[1])).then_some(day)
            }
            _ => None,
        });
        Ok(fewer.collect())
    }

    /// The rows that a table has; `None` if somebody has dropped it.
    pub(super) fn rows_of(&self, table: &str) -> Result<Option<u64>> {
        let name = physical(table);
        if !self.table_exists(&name)? {
            return Ok(None);
        }
        Ok(Some(count(&self.ask_scalar(&format!("SELECT count(*) FROM {}", ident(&name)))?)))
    }

    /// The filters of a table that exists.
    pub(crate) fn table_filters(&self, table: &str) -> Result<TableFilters> {
        let known = self.ask(
            "SELECT filter_hash, filters, filter_events, filter_where, from_date FROM _tables WHERE table_name = ?",
            &[Value::Text(table.to_owned())],
        )?;
        let row = known.rows.first().map(Vec::as_slice).unwrap_or_default();
        let text = |at: usize| row.get(at).and_then(Value::as_str).map(str::to_owned);
        Ok(TableFilters {
            hash: text(0).unwrap_or_default(),
            text: text(1).unwrap_or_default(),
            events: text(2).and_then(|names| serde_json::from_str(&names).ok()).unwrap_or_default(),
            filter: text(3),
            from: match row.get(4) {
                Some(Value::Date(day)) => Some(*day),
                _ => None,
            },
        })
    }

    /// The days of a table, both ends inclusive: how they stand under the table's own filters, and
    /// their rows under any, as rows may have been added under others.
    pub(crate) fn ledger_days(&self, table: &str, from: Date, to: Date) -> Result<BTreeMap<Date, LedgerDay>> {
        let rows = self.ask(
            "SELECT day, max(state) FILTER (own), CAST(sum(row_count) AS BIGINT), max(fetched_at) FILTER (own),
                    max(fetched_at) FILTER (state = 'loaded')
             FROM (SELECT _ledger.*, _tables.type IS NOT NULL AS own
                   FROM _ledger LEFT JOIN _tables USING (table_name, filter_hash)
                   WHERE table_name = ? AND day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE))
             GROUP BY day",
            &[Value::Text(table.to_owned()), Value::Date(from), Value::Date(to)],
        )?;
        let days = rows.rows.iter().filter_map(|row| match row[0] {
            Value::Date(day) => {
                let state = row[1].as_str().map(DayState::from_str);
                let (fetched_at, loaded_at) = (timestamp(&row[3]), timestamp(&row[4]));
                Some((day, LedgerDay { state, loaded_at, rows: count(&row[2]), fetched_at }))
            }
            _ => None,
        });
        Ok(days.collect())
    }

    /// Rows and bytes that the days of a table had when they were fetched.
    pub(crate) fn ledger_sizes(&self, table: &str) -> Result<BTreeMap<Date, (u64, u64)>> {
        let rows = self.ask(
            "SELECT day, CAST(sum(row_count + duplicates) AS BIGINT), CAST(sum(bytes) AS BIGINT) FROM _ledger
             WHERE table_name = ? AND state NOT IN ('partial', 'unavailable') GROUP BY day",
            &[Value::Text(table.to_owned())],
        )?;
        let days = rows.rows.iter().filter_map(|row| match row[0] {
            Value::Date(day) => Some((day, (count(&row[1]), count(&row[2])))),
            _ => None,
        });
        Ok(days.collect())
    }

    /// Rows of these days that came from files, as they were counted when they came.
    pub(crate) fn loaded_rows(&self, table: &str, from: Date, to: Date) -> Result<u64> {
        let loaded = self.ask(
            "SELECT CAST(sum(row_count) AS BIGINT) FROM _ledger
             WHERE table_name = ? AND state = 'loaded' AND day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)",
            &[Value::Text(table.to_owned()), Value::Date(from), Value::Date(to)],
        )?;
        Ok(count(&loaded.rows[0][0]))
    }

    /// The first and the last day of which rows are here, fetched or loaded.
    pub(crate) fn first_and_last_day(&self, table: &str) -> Result<Option<(Date, Date)>> {
        let ends = self.ask(
            "SELECT min(day), max(day) FROM _ledger WHERE table_name = ?",
            &[Value::Text(table.to_owned())],
        )?;
        match ends.rows[0][..] {
            [Value::Date(first), Value::Date(last)] => Ok(Some((first, last))),
            _ => Ok(None),
        }
    }

    /// The clock that a table's days are cut by, where it is written down.
    pub(crate) fn recorded_clock(&self, table: &str) -> Result<Option<ProjectClock>> {
        let definition = self.with_reader(|connection| Definition::load(connection, table))?;
        Ok(definition.clock.map(|clock| clock.project_clock()))
    }

    /// Whether some of these days are in the table under other filters, too. Rows of files do not count.
    pub(crate) fn has_other_filters(&self, table: &str, from: Date, to: Date, hash: &str) -> Result<bool> {
        let others = self.ask(
            "SELECT count(*) FROM _ledger WHERE table_name = ? AND filter_hash <> ?
                AND state NOT IN ('unavailable', 'loaded')
                AND day BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)",
            &[
                Value::Text(table.to_owned()),
                Value::Text(hash.to_owned()),
                Value::Date(from),
                Value::Date(to),
            ],
        )?;
        Ok(others.rows[0][0].as_i64() != Some(0))
    }
}

fn count(value: &Value) -> u64 {
    value.as_i64().unwrap_or_default().unsigned_abs()
}
