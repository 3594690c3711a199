//! The one way in which storage speaks to DuckDB.
//!
//! Everything above this trait is SQL text and Arrow; everything below it is a
//! DuckDB library: the one of this crate ([`super::bundled`]) or whatever a
//! caller brings along, such as a Python `duckdb.DuckDBPyConnection`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;

use super::ddl::ident;
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Batches, Value};

/// One connection to one DuckDB database. Used by one thread at a time.
pub trait SqlConnection: Send {
    /// Runs one or several statements and ignores their results.
    fn execute(&mut self, sql: &str) -> Result<()>;

    /// Runs statements and hands the last one's result to `sink`, batch by batch.
    ///
    /// `params` fill the `?` of the last statement. The sink's error stops the
    /// query and is returned.
    fn query(&mut self, sql: &str, params: &[Value], sink: &mut dyn BatchSink) -> Result<()>;

    /// What the statements of a text are, as DuckDB's parser sees them, in order. Nothing is run.
    ///
    /// # Errors
    /// A text that cannot be parsed, or without a statement.
    fn statements(&mut self, sql: &str) -> Result<Vec<StatementKind>>;

    /// Inserts a stream of batches into a table, inside the current transaction.
    /// Returns the number of rows.
    ///
    /// The batches' columns go by name into the table's columns; columns that
    /// they do not mention become NULL. A column marked by [`json_field`] holds
    /// JSON text that is known to be valid. Unless `ordered`, rows may be stored
    /// in any order, by all threads. Batches are taken one at a time, from any thread; an error of the reader
    /// stops the insert, and if it carries an [`Error`] that one is returned.
    fn insert(
        &mut self,
        target: Target<'_>,
        rows: Box<dyn RecordBatchReader + Send>,
        ordered: bool,
    ) -> Result<u64>;

    /// Ends the transaction, and keeps what it did.
    fn commit(&mut self) -> Result<()> {
        self.execute("COMMIT")
    }

    /// Another connection to the same database.
    fn cursor(&self) -> Result<Box<dyn SqlConnection>>;

    /// A handle by which another thread stops what this connection is doing.
    fn interrupt_handle(&self) -> Arc<dyn Interrupt>;
}

/// A table to append to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A table of the database itself.
    Main(&'a str),
    /// A temporary table of this connection.
    Temporary(&'a str),
}

impl Target<'_> {
    /// The table's name for SQL.
    pub fn sql(&self) -> String {
        match self {
            Target::Main(table) => ident(table),
            Target::Temporary(table) => format!("temp.{}", ident(table)),
        }
    }
}

/// What a statement is, by DuckDB's own account of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatementKind {
    /// `SELECT`, `FROM`, `VALUES`, `SHOW`, `DESCRIBE`, `SUMMARIZE`, and pragmas that are questions.
    Select,
    /// `EXPLAIN`; with `ANALYZE` it runs what it explains.
    Explain,
    /// `CALL` of a function.
    Call,
    /// `EXECUTE` of a prepared statement, whatever that is.
    Execute,
    /// `INSERT`, `UPDATE`, `DELETE`, `MERGE INTO`, with `RETURNING` or without.
    Change,
    /// `CREATE` of anything, temporary or not.
    Create,
    /// `ALTER`, `DROP`.
    Alter,
    /// `COPY`, `EXPORT`.
    Copy,
    /// `PREPARE`.
    Prepare,
    /// `SET`, `RESET`, `SET VARIABLE`, `USE`, and pragmas that change something.
    Set,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`.
    Transaction,
    /// `ATTACH`, `DETACH`.
    Attach,
    /// `LOAD`, `INSTALL`.
    Load,
    /// `CHECKPOINT`, `VACUUM`, `ANALYZE`.
    Maintain,
    /// Something else, or one that cannot be told before those in front of it have run.
    Unknown,
}

impl StatementKind {
    /// Whether it asks for rows and can change nothing.
    pub fn is_question(self) -> bool {
        self == StatementKind::Select
    }
}

/// What running a statement gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// Rows.
    Rows,
    /// How many rows it changed: one number, in a row of one column.
    Changed,
    /// Nothing.
    Nothing,
}

/// How Arrow marks text that is JSON (its canonical extension types).
const EXTENSION: (&str, &str) = ("ARROW:extension:name", "arrow.json");

/// A text field whose values are JSON.
pub fn json_field(name: &str) -> Field {
    let metadata = HashMap::from([(EXTENSION.0.to_owned(), EXTENSION.1.to_owned())]);
    Field::new(name, DataType::Utf8, true).with_metadata(metadata)
}

/// Whether a field is marked as [`json_field`] does.
pub fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION.0).is_some_and(|name| name == EXTENSION.1)
}

/// `INSERT` of all rows of `source`, a table expression with the columns of `schema`.
pub fn insert_sql(target: Target<'_>, schema: &SchemaRef, source: &str) -> String {
    let columns: Vec<String> = schema.fields().iter().map(|field| ident(field.name())).collect();
    format!("INSERT INTO {} ({}) SELECT * FROM {source}", target.sql(), columns.join(", "))
}

/// The error that a reader failed with: the crate's own, if it carries one.
pub fn error_of_reader(error: ArrowError) -> Error {
    let ArrowError::ExternalError(inner) = error else {
        return Error::new(ErrorKind::Query { class: "Arrow".into(), message: error.to_string() });
    };
    match inner.downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => Error::new(ErrorKind::Query { class: "Arrow".into(), message: other.to_string() }),
    }
}

/// Stops a running statement from another thread.
pub trait Interrupt: Send + Sync {
    /// Makes the running statement fail; does nothing when there is none.
    fn interrupt(&self);
}

/// Receives a query's result.
pub trait BatchSink {
    /// Called first: what kind of result it is. The batches of one that is not rows can be ignored.
    fn returns(&mut self, returns: Returns) -> Result<()> {
        let _ = returns;
        Ok(())
    }

    /// Called once, before the first batch.
    fn schema(&mut self, schema: SchemaRef) -> Result<()>;

    /// Called for each batch, in order.
    fn batch(&mut self, batch: RecordBatch) -> Result<()>;
}

/// Collects everything.
#[derive(Default)]
pub(crate) struct Collect {
    returns: Option<Returns>,
    schema: Option<SchemaRef>,
    batches: Vec<RecordBatch>,
}

impl Collect {
    /// Hands over to another receiver what was collected.
    pub(crate) fn replay(self, sink: &mut dyn BatchSink) -> Result<()> {
        self.returns.map_or(Ok(()), |returns| sink.returns(returns))?;
        self.schema.map_or(Ok(()), |schema| sink.schema(schema))?;
        self.batches.into_iter().try_for_each(|batch| sink.batch(batch))
    }
}

impl BatchSink for Collect {
    fn returns(&mut self, returns: Returns) -> Result<()> {
        self.returns = Some(returns);
        Ok(())
    }

    fn schema(&mut self, schema: SchemaRef) -> Result<()> {
        self.schema = Some(schema);
        Ok(())
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<()> {
        self.batches.push(batch);
        Ok(())
    }
}

impl dyn SqlConnection + '_ {
    /// Runs a query and collects its result.
    pub(crate) fn collect(&mut self, sql: &str, params: &[Value]) -> Result<Batches> {
        let mut sink = Collect::default();
        self.query(sql, params, &mut sink)?;
        let schema = sink.schema.unwrap_or_else(|| Arc::new(arrow::datatypes::Schema::empty()));
        Ok(Batches { schema, batches: sink.batches })
    }

    /// The rows of a small result.
    pub(crate) fn rows(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Vec<Value>>> {
        Ok(self.collect(sql, params)?.to_rows().rows)
    }

    /// The first cell of the first row; NULL when there is no row.
    pub(crate) fn scalar(&mut self, sql: &str, params: &[Value]) -> Result<Value> {
        let first = self.rows(sql, params)?.into_iter().next();
        Ok(first.and_then(|row| row.into_iter().next()).unwrap_or(Value::Null))
    }

    /// Inserts one batch.
    pub(crate) fn append(&mut self, target: Target<'_>, batch: RecordBatch) -> Result<u64> {
        let schema = batch.schema();
        self.insert(target, Box::new(RecordBatchIterator::new([Ok(batch)], schema)), true)
    }

    /// Runs a statement with parameters and ignores its result.
    pub(crate) fn run(&mut self, sql: &str, params: &[Value]) -> Result<()> {
        self.query(sql, params, &mut Collect::default())
    }
}

/// Turns a DuckDB error message into an [`Error`], sorted by the class that
/// stands before its first `Error: ` (DuckDB 2.0). For implementations of
/// [`SqlConnection`].
pub fn error_from_message(message: &str) -> Error {
    Error::new(kind_of(message))
}

fn kind_of(message: &str) -> ErrorKind {
    let (class, rest) = match message.split_once(" Error: ") {
        Some((class, rest)) if class.len() < 40 => (class.trim(), rest),
        _ => match message.split_once(" exception: ") {
            Some((class, rest)) if class.len() < 40 => (class.trim(), rest),
            _ => ("", message),
        },
    };
    let text = rest.trim().to_owned();
    let says = |signs: &[&str]| signs.iter().any(|sign| rest.contains(sign));
    let full_disk = ["No space left on device", "File too large", "Disk quota exceeded"];
    let lower = rest.to_ascii_lowercase();
    let icu = ["icu extension", "extension 'icu", "extension \"icu\"", "icu_collate"];
    if icu.iter().any(|sign| lower.contains(sign)) {
        return ErrorKind::NoIcu;
    }
    let no_memory =
        ["not enough memory", "bad allocation", "bad_alloc", "Allocation failure", "Cannot allocate memory"];
    let system = [
        "Too many open files",
        "Input/output error",
        "Read-only file system",
        "Stale file handle",
        "Resource temporarily unavailable",
    ];
    // A user's own text may say anything; these classes have none.
    let is_systems =
        matches!(class, "" | "IO" | "FATAL" | "INTERNAL" | "TransactionContext" | "Data Corruption");
    match class {
        "INTERRUPT" => ErrorKind::Cancelled,
        "Out of Memory" => ErrorKind::OutOfMemory { message: text, spilling: true },
        _ if says(&full_disk) => ErrorKind::DiskFull { message: text },
        _ if is_systems && says(&no_memory) => ErrorKind::OutOfMemory { message: text, spilling: true },
        _ if is_systems && says(&system) => ErrorKind::Io { what: text },
        "TransactionContext" | "Transaction" if rest.contains("onflict") => {
            ErrorKind::Conflict { message: text }
        }
        // The message about a lock mentions read-only mode too, as advice.
        _ if rest.contains("read-only mode") && !rest.contains("Could not set lock") => {
            ErrorKind::ReadOnly { what: written_to(&text).unwrap_or(text) }
        }
        _ => ErrorKind::Query { class: class.to_owned(), message: text },
    }
}

/// What DuckDB says of a statement that would write, without its kind: a prepared one has another.
fn written_to(message: &str) -> Option<String> {
    let (_, rest) = message.strip_prefix("Cannot execute statement of type ")?.split_once(" on database ")?;
    let (name, _) = rest.split_once(" which is attached in read-only mode")?;
    Some(format!("the statement would change {name}, which is attached in read-only mode"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_lacks_is_told_from_what_sql_lacks() {
        let kind = |message: &str| kind_of(message);
        for message in [
            "TransactionContext Error: Failed to commit: Cannot open file \"a.duckdb.wal\": Too many open files",
            "IO Error: Cannot open file \"/a.duckdb.wal\": Too many open files",
            "FATAL Error: Failed: database has been invalidated. Original error: \"Input/output error\"",
            "Resource temporarily unavailable",
        ] {
            assert!(matches!(kind(message), ErrorKind::Io { .. }), "{message}");
        }
        for message in [
            "Data Corruption Error: ZSTD Decompression failed: Allocation error : not enough memory",
            "FATAL Error: Failed: database has been invalidated because of a previous fatal error. Original error: \
             \"Failed to create checkpoint because of error: ZSTD Compression failed: Allocation error : not enough memory\"",
            "Out of Memory Error: Allocation failure",
            "std::bad_alloc",
        ] {
            assert!(matches!(kind(message), ErrorKind::OutOfMemory { .. }), "{message}");
        }
        for message in [
            "Invalid Input Error: not enough memory, says the user",
            "Binder Error: Referenced column \"Too many open files\" not found",
            "IO Error: No files found that match the pattern \"x.csv\"",
        ] {
            assert!(matches!(kind(message), ErrorKind::Query { .. }), "{message}");
        }
    }
}
