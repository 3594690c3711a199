//! Columns that were too narrow: made again and filled from the exact texts.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use mixpanel_client::export::rebuild_columns;
use mixpanel_client::schema::ColumnKind;

use super::catalog::{Catalog, Property};
use super::connection::{BatchSink, SqlConnection, Target, json_field};
use super::ddl::{self, ident, literal, physical};
use crate::error::Result;
use crate::types::TableKind;
use crate::value::Value;

/// Gives properties that outgrew their column a wider one and fills it from the
/// exact texts, all of them in one pass. Until that is done the typed view
/// computes them, so it is right whenever this is interrupted, and right if
/// this fails: the property merely stays slower to read.
pub(super) fn refill(connection: &mut dyn SqlConnection, table: &str, kind: TableKind) -> Result<()> {
    let mut catalog = Catalog::load(connection, table, kind)?;
    let stale = outgrown(connection, table, &catalog)?;
    if stale.is_empty() {
        return Ok(());
    }
    let filled = stage(connection, table, &stale);
    if filled.is_ok() {
        for property in &stale {
            catalog.get_mut(&property.name).expect("a property of this table").promoted = true;
        }
        let flat = ddl::create_flat_view(table, kind, &catalog.by_frequency());
        publish(connection, table, &stale, &flat)?;
    }
    // It may not be there; it goes with the connection in any case.
    let _ = connection.execute("DROP TABLE IF EXISTS temp.mp_refill");
    filled
}

/// Properties that have a column in the table, but not in the catalog any more.
fn outgrown(connection: &mut dyn SqlConnection, table: &str, catalog: &Catalog) -> Result<Vec<Property>> {
    let columns = connection.rows(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND schema_name = 'main' AND NOT internal",
        &[Value::Text(physical(table))],
    )?;
    let here = |property: &Property| columns.iter().any(|row| row[0].as_str() == Some(&property.column));
    Ok(catalog.unpromoted().filter(|property| here(property)).cloned().collect())
}

/// Makes the columns anew with their wider types, and computes their values
/// into a temporary table.
fn stage(connection: &mut dyn SqlConnection, table: &str, stale: &[Property]) -> Result<()> {
    let rows = ident(&physical(table));
    let anew: String = stale
        .iter()
        .map(|property| {
            let (column, sql_type) = (ident(&property.column), property.kind.sql_type());
            format!(
                "ALTER TABLE {rows} DROP COLUMN {column}; ALTER TABLE {rows} ADD COLUMN {column} {sql_type};"
            )
        })
        .collect();
    in_transaction(connection, &anew)?;
    let mut sink = Refill::new(connection, stale);
    let values: Vec<String> = stale
        .iter()
        .enumerate()
        .map(|(at, property)| format!("value_{at} {}", property.kind.sql_type()))
        .collect();
    sink.writer
        .execute(&format!("CREATE OR REPLACE TEMP TABLE mp_refill (row BIGINT, {})", values.join(", ")))?;
    let mut reader = sink.writer.cursor()?;
    reader.query(&format!("SELECT rowid, properties FROM {rows}"), &[], &mut sink)
}

/// Puts the staged values into the columns and the columns into the typed view.
fn publish(
    connection: &mut dyn SqlConnection,
    table: &str,
    stale: &[Property],
    flat_view: &str,
) -> Result<()> {
    let rows = ident(&physical(table));
    let set = |(at, property): (usize, &Property)| format!("{} = filled.value_{at}", ident(&property.column));
    let set: Vec<String> = stale.iter().enumerate().map(set).collect();
    let names: Vec<String> = stale.iter().map(|property| literal(&property.name)).collect();
    in_transaction(
        connection,
        &format!(
            "UPDATE {rows} SET {} FROM temp.mp_refill AS filled WHERE {rows}.rowid = filled.row;
             UPDATE _properties SET promoted = true WHERE table_name = {} AND name IN ({});
             {flat_view};",
            set.join(", "),
            literal(table),
            names.join(", "),
        ),
    )
}

/// Runs statements, all or none of them.
pub(super) fn in_transaction(connection: &mut dyn SqlConnection, statements: &str) -> Result<()> {
    let result = connection.execute(&format!("BEGIN; {statements} COMMIT;"));
    if result.is_err() {
        let _ = connection.execute("ROLLBACK");
    }
    result
}

/// Receives rows and their texts, and stages the recomputed columns.
struct Refill<'a> {
    writer: &'a mut dyn SqlConnection,
    wanted: Vec<(String, ColumnKind)>,
    schema: SchemaRef,
}

impl<'a> Refill<'a> {
    fn new(writer: &'a mut dyn SqlConnection, stale: &[Property]) -> Self {
        let row = Field::new("row", DataType::Int64, true);
        let values = stale.iter().enumerate().map(|(at, property)| {
            let name = format!("value_{at}");
            match property.kind {
                ColumnKind::Json => json_field(&name),
                kind => Field::new(name, kind.arrow_type(), true),
            }
        });
        let schema = Arc::new(Schema::new(std::iter::once(row).chain(values).collect::<Vec<_>>()));
        let wanted = stale.iter().map(|property| (property.name.clone(), property.kind)).collect();
        Refill { writer, wanted, schema }
    }
}

impl BatchSink for Refill<'_> {
    fn schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<()> {
        let wanted: Vec<(&str, ColumnKind)> =
            self.wanted.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        let values = rebuild_columns(batch.column(1).as_string::<i32>(), &wanted);
        let columns: Vec<ArrayRef> = std::iter::once(Arc::clone(batch.column(0))).chain(values).collect();
        let staged = RecordBatch::try_new(Arc::clone(&self.schema), columns).expect("columns of one length");
        self.writer.append(Target::Temporary("mp_refill"), staged)?;
        Ok(())
    }
}
