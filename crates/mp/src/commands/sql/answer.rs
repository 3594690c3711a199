//! One statement run, its rows printed as they come.

use std::sync::Arc;

use mixpanel_data::arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use mixpanel_data::arrow::{array::AsArray, record_batch::RecordBatch};
use mixpanel_data::{BatchSink, ErrorKind, Returns, StatementKind, StorageEngine, Value, json_field};

use super::statements::Statement;
use crate::error::Error;
use crate::output::Page;
use crate::ui::{Ui, Working, counted};

/// What came of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Rows, which were printed.
    Rows,
    /// So many rows were changed, by a statement that is there to change rows.
    Changed(u64),
    /// Nothing to tell.
    Done,
}

impl Outcome {
    /// Says what was changed.
    pub(crate) fn tell(self, ui: &Ui) {
        if let Outcome::Changed(rows) = self {
            ui.say(&format!("{} changed", counted(rows, "row")));
        }
    }
}

/// Runs a statement, and prints its rows on a page that `page` opens if there are any.
pub(crate) fn answer<'a>(
    storage: &StorageEngine,
    statement: &Statement,
    values: &[Value],
    ui: &Ui,
    page: &mut dyn FnMut() -> Result<Page<'a>, Error>,
) -> Result<Outcome, Error> {
    let kinds = match storage.statements(&statement.sql) {
        Ok(kinds) => kinds,
        Err(error) => return Err(explained(storage, statement, values, error)),
    };
    if let Some(remark) = mixpanel_data::remark(&statement.sql) {
        ui.say(&format!("note: {remark}"));
    }
    let json = json_columns(storage, &kinds, statement, values);
    let mut printing = Printing {
        open: page,
        json,
        page: None,
        returns: Returns::Nothing,
        changed: 0,
        failed: None,
        working: ui.working(),
    };
    let run = storage.run(&statement.sql, values, &mut printing);
    printing.working.end();
    let Printing { page, returns, changed, failed, .. } = printing;
    let full = page.as_ref().is_some_and(Page::is_full);
    match (failed, run) {
        (Some(error), _) => return Err(error),
        (None, Err(error)) if !full => return Err(explained(storage, statement, values, error)),
        (None, _) => {}
    }
    if let Some(page) = page {
        page.end()?;
    }
    Ok(match returns {
        Returns::Rows => Outcome::Rows,
        Returns::Changed if kinds.last() == Some(&StatementKind::Change) => Outcome::Changed(changed),
        Returns::Changed | Returns::Nothing => Outcome::Done,
    })
}

/// The error with advice that knows the query and the database, where there is any.
fn explained(
    storage: &StorageEngine,
    statement: &Statement,
    values: &[Value],
    error: mixpanel_data::Error,
) -> Error {
    let ErrorKind::Query { class, .. } = error.kind() else { return error.into() };
    let number = |value: &Value| matches!(value, Value::Text(text) if text.parse::<f64>().is_ok());
    let as_text = statement.names.iter().zip(values).find(|(_, value)| number(value));
    let hint = match as_text {
        Some((name, _)) if ["Binder", "Conversion"].contains(&class.as_str()) => {
            Some(format!("a parameter is text unless it has a type: -p {name}:int=…"))
        }
        _ => storage.suggest(&statement.sql, &error).or_else(|| columns_hint(storage, statement, class)),
    };
    match hint {
        Some(hint) => Error::Query { source: error, hint },
        None => error.into(),
    }
}

/// Whose columns to look at: those of a table that the query names, its own or somebody's.
fn columns_hint(storage: &StorageEngine, statement: &Statement, class: &str) -> Option<String> {
    if class != "Binder" {
        return None;
    }
    let tables = storage.execute_rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' \
         AND regexp_matches($1, '(^|[^a-zA-Z0-9_])' || regexp_escape(table_name) || '($|[^a-zA-Z0-9_])') \
         ORDER BY length(table_name) DESC LIMIT 1",
        &[Value::Text(statement.sql.clone())],
    );
    let table = tables.ok()?.rows.first()?.first()?.to_text();
    Some(format!("`mp schema {}` lists the columns", crate::commands::shell_word(&table)))
}

/// Receives a result. What stops it is not always an error of the engine.
struct Printing<'a, 'p> {
    open: &'p mut dyn FnMut() -> Result<Page<'a>, Error>,
    json: Vec<bool>,
    page: Option<Page<'a>>,
    returns: Returns,
    changed: u64,
    failed: Option<Error>,
    working: Working,
}

impl Printing<'_, '_> {
    /// Keeps an error of ours, and stops the query.
    fn checked(&mut self, outcome: Result<(), Error>) -> mixpanel_data::Result<()> {
        outcome.map_err(|error| {
            self.failed = Some(error);
            ErrorKind::Cancelled.into()
        })
    }
}

impl BatchSink for Printing<'_, '_> {
    fn returns(&mut self, returns: Returns) -> mixpanel_data::Result<()> {
        self.returns = returns;
        if returns != Returns::Rows {
            return Ok(());
        }
        let opened = (self.open)().map(|page| self.page = Some(page));
        self.checked(opened)
    }

    fn schema(&mut self, schema: SchemaRef) -> mixpanel_data::Result<()> {
        let Some(page) = &mut self.page else { return Ok(()) };
        let begun = page.begin(marked(&schema, &self.json));
        self.checked(begun)
    }

    fn batch(&mut self, batch: RecordBatch) -> mixpanel_data::Result<()> {
        let Some(page) = &mut self.page else {
            let counts = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
            self.changed += counts.map_or(0, |counts| counts.values().iter().sum::<i64>().unsigned_abs());
            return Ok(());
        };
        if page.is_on_terminal() {
            self.working.end();
        }
        let printed = page.batch(&batch);
        self.working.rows(batch.num_rows());
        if printed.is_ok() && page.is_full() {
            return Err(ErrorKind::Cancelled.into());
        }
        self.checked(printed)
    }
}

/// Which columns of a query are JSON, as far as can be told without running it: the engine's
/// results call them text.
fn json_columns(
    storage: &StorageEngine,
    kinds: &[StatementKind],
    statement: &Statement,
    values: &[Value],
) -> Vec<bool> {
    let [kind] = kinds else { return Vec::new() };
    if !kind.is_question() {
        return Vec::new();
    }
    // In brackets, so that nothing but a query is run.
    match storage.execute_rows(&format!("DESCRIBE (\n{}\n)", statement.sql), values) {
        Ok(described) => described.rows.iter().map(|row| row[1].as_str() == Some("JSON")).collect(),
        // Not a plain query, or a wrong one, which running it will tell better.
        Err(_) => Vec::new(),
    }
}

/// The columns, with those that are JSON marked as such.
pub(crate) fn marked(schema: &SchemaRef, json: &[bool]) -> SchemaRef {
    if !json.contains(&true) {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().enumerate().map(|(at, field)| {
        if json.get(at) == Some(&true) && field.data_type() == &DataType::Utf8 {
            Arc::new(json_field(field.name()))
        } else {
            Arc::clone(field)
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
