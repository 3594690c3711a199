//! Columns that were too narrow: made again and filled from the exact texts.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use mixpanel_client::export::rebuild_column;
use mixpanel_client::schema::ColumnKind;

use super::catalog::{Catalog, Property};
use super::connection::{BatchSink, SqlConnection, Target, json_field};
use super::ddl::{self, ident, literal, physical};
use crate::error::Result;
use crate::types::TableKind;

/// Gives properties that outgrew their column a wider one and fills it from the
/// exact texts. Until that is done the typed view computes them, so it is right
/// whenever this is interrupted, and right if this fails: the chunk itself is
/// committed, and the property merely stays slower to read.
pub(super) fn refill(
    connection: &mut dyn SqlConnection,
    table: &str,
    kind: TableKind,
    catalog: &mut Catalog,
    stale: &HashSet<String>,
) {
    for name in stale {
        let Some(property) = catalog.get(name).cloned() else { continue };
        let staged = stage_column(connection, table, &property);
        if staged.is_ok() {
            catalog.get_mut(name).expect("a property of this table").promoted = true;
            let flat = ddl::create_flat_view(table, kind, &catalog.by_frequency());
            if publish_column(connection, table, &property, &flat).is_err() {
                catalog.get_mut(name).expect("a property of this table").promoted = false;
            }
        }
        // It may not be there; it goes with the connection in any case.
        let _ = connection.execute("DROP TABLE IF EXISTS temp.mp_refill");
    }
}

/// Makes the column anew with its wider type, and computes its values into a
/// temporary table.
fn stage_column(connection: &mut dyn SqlConnection, table: &str, property: &Property) -> Result<()> {
    let rows = ident(&physical(table));
    let column = ident(&property.column);
    let sql_type = property.kind.sql_type();
    in_transaction(
        connection,
        &format!(
            "ALTER TABLE {rows} DROP COLUMN {column}; ALTER TABLE {rows} ADD COLUMN {column} {sql_type};"
        ),
    )?;
    checkpoint(connection);
    connection.execute(&format!("CREATE OR REPLACE TEMP TABLE mp_refill (row BIGINT, value {sql_type})"))?;
    let mut reader = connection.cursor()?;
    let mut sink = Refill { writer: connection, name: &property.name, kind: property.kind };
    reader.query(&format!("SELECT rowid, properties FROM {rows}"), &[], &mut sink)
}

/// Puts the staged values into the column and the column into the typed view.
fn publish_column(
    connection: &mut dyn SqlConnection,
    table: &str,
    property: &Property,
    flat_view: &str,
) -> Result<()> {
    let rows = ident(&physical(table));
    let column = ident(&property.column);
    in_transaction(
        connection,
        &format!(
            "UPDATE {rows} SET {column} = filled.value FROM temp.mp_refill AS filled
                 WHERE {rows}.rowid = filled.row;
             UPDATE _properties SET promoted = true WHERE table_name = {} AND name = {};
             {flat_view};",
            literal(table),
            literal(&property.name),
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

/// Receives rows and their texts, and stages the recomputed column.
struct Refill<'a> {
    writer: &'a mut dyn SqlConnection,
    name: &'a str,
    kind: ColumnKind,
}

impl BatchSink for Refill<'_> {
    fn schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<()> {
        let values = rebuild_column(batch.column(1).as_string::<i32>(), self.name, self.kind);
        let value = match self.kind {
            ColumnKind::Json => json_field("value"),
            kind => Field::new("value", kind.arrow_type(), true),
        };
        let schema = Schema::new(vec![Field::new("row", DataType::Int64, true), value]);
        let staged = RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(batch.column(0)), values])
            .expect("columns of one length");
        self.writer.append(Target::Temporary("mp_refill"), staged)?;
        Ok(())
    }
}

/// Writes the log into the file. Not possible while others read, and then not
/// needed either: the log is as durable.
pub(super) fn checkpoint(connection: &mut dyn SqlConnection) {
    let _ = connection.execute("CHECKPOINT");
}
