//! Columns: summaries and statistics.

use std::collections::HashSet;

use serde::Serialize;

use super::place::Place;
use super::scope::{count, percent};
use crate::error::{Error, Result};
use crate::storage::{ident, literal};
use crate::value::Value;
use crate::workspace::Workspace;

/// Every column of a table, in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The table.
    pub table: String,
    /// Its rows.
    pub row_count: u64,
    /// Its columns, the properties among them.
    pub columns: Vec<ColumnSummary>,
}

/// A column, as DuckDB's `SUMMARIZE` sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnSummary {
    /// Its name.
    pub column_name: String,
    /// Its type in SQL.
    pub column_type: String,
    /// The smallest value, as text.
    pub min: Option<String>,
    /// The largest value, as text.
    pub max: Option<String>,
    /// About how many different values.
    pub approx_unique: u64,
    /// The mean of numbers.
    pub avg: Option<f64>,
    /// The standard deviation of numbers.
    pub std: Option<f64>,
    /// A quarter is below it, as text.
    pub q25: Option<String>,
    /// Half is below it, as text.
    pub q50: Option<String>,
    /// Three quarters are below it, as text.
    pub q75: Option<String>,
    /// Rows with a value.
    pub count: u64,
    /// Rows without one, in percent.
    pub null_percentage: f64,
}

/// One column, or expression, in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnStats {
    /// The table.
    pub table: String,
    /// The column or expression, as given.
    pub column: String,
    /// Its type in SQL.
    pub dtype: String,
    /// Rows with a value.
    pub count: u64,
    /// Rows without one.
    pub null_count: u64,
    /// Rows without one, in percent.
    pub null_pct: f64,
    /// How many different values, exactly.
    pub unique_count: u64,
    /// Different values in percent of values.
    pub unique_pct: f64,
    /// The most frequent values.
    pub top_values: Vec<ValueCount>,
    /// The smallest number, with all its digits.
    pub min: Option<Value>,
    /// The largest number, with all its digits.
    pub max: Option<Value>,
    /// The mean of numbers.
    pub mean: Option<f64>,
    /// The standard deviation of numbers.
    pub std: Option<f64>,
}

/// A value and how often it occurs; as JSON a pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "(Value, u64)")]
pub struct ValueCount {
    /// The value.
    pub value: Value,
    /// How often.
    pub count: u64,
}

impl From<ValueCount> for (Value, u64) {
    fn from(counted: ValueCount) -> Self {
        (counted.value, counted.count)
    }
}

/// Text that one question reads at a time for all of its computed columns, in bytes.
const SLICE_BYTES: usize = 128 << 20;

/// Rows that DuckDB handles at a time.
const VECTOR_ROWS: usize = 2_048;

/// Columns that one question has at most.
const MAX_SLICE: usize = 64;

/// Types that figures can be computed of.
const NUMERIC: [&str; 13] = [
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
];

impl Workspace {
    /// Every column of a table in figures, each property as a column of its own. Tables and views
    /// that SQL has made have their own columns.
    ///
    /// # Errors
    /// [`TableNotFound`](crate::ErrorKind::TableNotFound).
    pub fn summarize(&self, table: &str) -> Result<Summary> {
        let place = self.place(table)?;
        let mut summary = Summary { table: place.name.clone(), row_count: 0, columns: Vec::new() };
        let slices = if place.is_fetched {
            self.slices(&place.name)?
        } else {
            let columns = self.storage().get_schema(&place.name)?.columns;
            let names: Vec<String> = columns.iter().map(|column| ident(&column.name)).collect();
            names.chunks(MAX_SLICE).map(<[String]>::to_vec).collect()
        };
        for slice in slices {
            self.summarize_columns(&place.columns, &slice, &mut summary)?;
        }
        Ok(summary)
    }

    /// The view that has the columns of an expression: the typed one, else the plain one.
    fn relation_of<'a>(&self, place: &'a Place, expression: &str) -> Result<&'a String> {
        let describe = |from: &str| format!("DESCRIBE SELECT ({expression}) FROM {from}");
        match self.storage().ask(&describe(&place.columns), &[]) {
            Ok(_) => Ok(&place.columns),
            Err(error) => match self.storage().ask(&describe(&place.texts), &[]) {
                Ok(_) => Ok(&place.texts),
                Err(_) => Err(error),
            },
        }
    }

    /// How many computed columns may be asked for in one question. DuckDB reads the texts anew for each,
    /// as many rows as it handles at a time, with memory that its limit does not count.
    pub(super) fn computed_at_once(&self, table: &str) -> Result<usize> {
        let some = format!(
            "SELECT avg(strlen(properties)) FROM (SELECT properties FROM {} LIMIT 20000)",
            ident(table)
        );
        let text = self.storage().ask_scalar(&some)?.as_f64().unwrap_or(0.0) as usize;
        Ok((SLICE_BYTES / (VECTOR_ROWS * text.max(1))).clamp(1, MAX_SLICE))
    }

    /// The columns of a typed view, quoted, in groups that may be asked for in one question.
    fn slices(&self, table: &str) -> Result<Vec<Vec<String>>> {
        let name = literal(table);
        let computed =
            format!("SELECT column_name FROM _properties WHERE table_name = {name} AND NOT promoted");
        let computed = self.storage().ask(&computed, &[])?.rows;
        let computed: HashSet<String> = computed.iter().map(|row| row[0].to_text()).collect();
        let at_once = self.computed_at_once(table)?;
        let schema = self.storage().get_schema(&format!("{table}_flat"))?;
        let mut slices: Vec<Vec<String>> = Vec::new();
        let mut room = 0;
        for column in &schema.columns {
            // A stored column weighs next to nothing.
            let weight = if computed.contains(&column.name) { MAX_SLICE / at_once } else { 1 };
            if weight > room {
                slices.push(Vec::new());
                room = MAX_SLICE;
            }
            room = room.saturating_sub(weight);
            slices.last_mut().expect("one was begun").push(ident(&column.name));
        }
        Ok(slices)
    }

    fn summarize_columns(&self, flat: &str, columns: &[String], summary: &mut Summary) -> Result<()> {
        let sql = format!(
            "SELECT column_name, column_type, min, max, approx_unique, avg, std, q25, q50, q75
             FROM (SUMMARIZE SELECT {} FROM {flat})",
            columns.join(", ")
        );
        let rows = self.storage().ask(&sql, &[])?.rows;
        // DuckDB's own count is that of all rows, and its percentage is rounded.
        let counts: Vec<String> = columns.iter().map(|column| format!(", count({column})")).collect();
        let counts = format!("SELECT count(*){} FROM {flat}", counts.concat());
        let counts: Vec<u64> =
            self.storage().ask(&counts, &[])?.rows.swap_remove(0).iter().map(count).collect();
        let text = |value: &Value| (!value.is_null()).then(|| value.to_text());
        let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
        let column = |(row, count): (&Vec<Value>, &u64)| ColumnSummary {
            column_name: row[0].to_text(),
            column_type: row[1].to_text(),
            min: text(&row[2]),
            max: text(&row[3]),
            approx_unique: self::count(&row[4]),
            avg: number(&row[5]),
            std: number(&row[6]),
            q25: text(&row[7]),
            q50: text(&row[8]),
            q75: text(&row[9]),
            count: *count,
            null_percentage: percent(counts[0].saturating_sub(*count), counts[0]),
        };
        summary.row_count = counts[0];
        summary.columns.extend(rows.iter().zip(&counts[1..]).map(column));
        Ok(())
    }

    /// One column of a table's typed view in figures; or any SQL expression over its columns, or over
    /// those of the plain view (`properties->>'$.plan'`), which is run as it is. Tables and views that
    /// SQL has made have their own columns.
    ///
    /// # Errors
    /// [`TableNotFound`](crate::ErrorKind::TableNotFound); [`Query`](crate::ErrorKind::Query) for an
    /// expression that makes no sense.
    pub fn column_stats(&self, table: &str, column: &str, top_n: usize) -> Result<ColumnStats> {
        let place = self.place(table)?;
        if column.trim().is_empty() {
            return Err(Error::argument("column", "it is empty"));
        }
        let typed = if place.is_fetched { format!("{}_flat", place.name) } else { place.name.clone() };
        let schema = self.storage().get_schema(&typed)?;
        // A name with a space or a dollar is a name, not an expression.
        let named = schema.columns.iter().find(|known| known.name == column);
        let (expression, from) = match named {
            Some(known) => (ident(&known.name), &place.columns),
            None => (format!("({column})"), self.relation_of(&place, column)?),
        };
        let values = format!("(SELECT {expression} AS value FROM {from})");
        let figures = format!(
            "SELECT count(*), count(value), count(DISTINCT value), any_value(typeof(value)) FROM {values}"
        );
        let figures = &self.storage().ask(&figures, &[])?.rows[0];
        let (rows, present, unique) = (count(&figures[0]), count(&figures[1]), count(&figures[2]));
        let dtype = figures[3].to_text();
        let top = format!(
            "SELECT value, count(*) AS times FROM {values} WHERE value IS NOT NULL
             GROUP BY value ORDER BY times DESC, value LIMIT {top_n}"
        );
        let top = self.storage().ask(&top, &[])?.rows;
        let top_values = top.into_iter().map(|mut row| {
            let times = count(&row[1]);
            ValueCount { value: row.swap_remove(0), count: times }
        });
        let numeric = NUMERIC.contains(&dtype.split('(').next().unwrap_or_default());
        let numbers = if numeric {
            let sql = format!(
                "SELECT min(value), max(value), avg(value)::DOUBLE, stddev(value)::DOUBLE FROM {values}"
            );
            self.storage().ask(&sql, &[])?.rows.swap_remove(0)
        } else {
            vec![Value::Null; 4]
        };
        let exact = |at: usize| numbers.get(at).filter(|value| !value.is_null()).cloned();
        let about = |at: usize| numbers.get(at).and_then(Value::as_f64);
        Ok(ColumnStats {
            table: place.name,
            column: column.to_owned(),
            dtype,
            count: present,
            null_count: rows - present,
            null_pct: percent(rows - present, rows),
            unique_count: unique,
            unique_pct: percent(unique, present),
            top_values: top_values.collect(),
            min: exact(0),
            max: exact(1),
            mean: about(2),
            std: about(3),
        })
    }
}
