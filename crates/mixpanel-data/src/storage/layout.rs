//! From decoded batches to the columns of one `INSERT`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use mixpanel_client::export::{DecodedBatch, rebuild_column};
use mixpanel_client::schema::{ColumnKind, PROPERTIES};

use super::catalog::Catalog;
use super::connection::json_field;

/// The columns of one `INSERT`: the fixed ones, and the promoted properties
/// that the chunk has values for. Others stay out of it, since even columns of
/// nothing but NULL cost time.
pub(super) struct Layout {
    schema: SchemaRef,
    fixed: usize,
    /// Behind the fixed columns: property and kind.
    typed: Vec<(String, ColumnKind)>,
    by_name: HashMap<String, usize>,
}

impl Layout {
    /// `used` are names of properties; those without a column are left out.
    pub(super) fn new(fixed: &Schema, catalog: &Catalog, used: &BTreeSet<String>) -> Self {
        let mut fields: Vec<Field> = fixed
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                PROPERTIES => json_field(PROPERTIES),
                name => Field::new(name, field.data_type().clone(), true),
            })
            .collect();
        let mut layout = Layout {
            schema: Arc::new(Schema::empty()),
            fixed: fields.len(),
            typed: Vec::new(),
            by_name: HashMap::new(),
        };
        for property in catalog.promoted().filter(|property| used.contains(&property.name)) {
            fields.push(match property.kind {
                ColumnKind::Json => json_field(&property.column),
                kind => Field::new(&property.column, kind.arrow_type(), true),
            });
            layout.by_name.insert(property.name.clone(), layout.typed.len());
            layout.typed.push((property.name.clone(), property.kind));
        }
        layout.schema = Arc::new(Schema::new(fields));
        layout
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether every property of the batch that has a column has it here.
    pub(super) fn holds(&self, batch: &DecodedBatch, catalog: &Catalog) -> bool {
        batch
            .stats
            .iter()
            .filter(|seen| seen.rows > 0)
            .all(|seen| self.by_name.contains_key(&seen.name) || !catalog.is_promoted(&seen.name))
    }

    /// The batch in this layout. A property whose values its column cannot hold
    /// joins `stale`, and is NULL from then on.
    pub(super) fn fit(&self, batch: &DecodedBatch, stale: &mut HashSet<String>) -> RecordBatch {
        let rows = batch.rows.num_rows();
        let texts = batch.rows.column_by_name(PROPERTIES).expect("a fixed column").as_string::<i32>();
        let mut typed: Vec<Option<ArrayRef>> = vec![None; self.typed.len()];
        let at = |name: &str| self.by_name.get(name).copied();
        for column in &batch.columns {
            let Some(slot) = at(&column.name).filter(|_| !stale.contains(&column.name)) else { continue };
            let wants = self.typed[slot].1;
            let rounds =
                wants == ColumnKind::Double && column.kind != wants && has_wide_integers(batch, &column.name);
            typed[slot] = match rounds {
                true => None,
                false => fit_kind(&column.values, column.kind, wants, texts, &column.name),
            };
            if typed[slot].is_none() {
                stale.insert(column.name.clone());
            }
        }
        for seen in batch.stats.iter().filter(|seen| seen.rows > 0) {
            // Decoded under a plan without this column.
            if let Some(slot) = at(&seen.name)
                && typed[slot].is_none()
                && !stale.contains(&seen.name)
            {
                let wanted = self.typed[slot].1;
                let rounds = wanted == ColumnKind::Double && seen.wide_integers > 0;
                if !rounds && seen.kind().is_some_and(|kind| kind.join(wanted) == wanted) {
                    typed[slot] = Some(rebuild_column(texts, &seen.name, wanted));
                } else {
                    stale.insert(seen.name.clone());
                }
            }
        }
        let behind = typed
            .into_iter()
            .zip(&self.typed)
            .map(|(values, (_, kind))| values.unwrap_or_else(|| new_null_array(&kind.arrow_type(), rows)));
        debug_assert_eq!(batch.rows.num_columns(), self.fixed);
        let columns = batch.rows.columns().iter().cloned().chain(behind).collect();
        RecordBatch::try_new(self.schema(), columns).expect("columns as the layout says")
    }
}

/// Whether a property has integers that a double would round.
fn has_wide_integers(batch: &DecodedBatch, name: &str) -> bool {
    batch.stats.iter().any(|seen| seen.name == name && seen.wide_integers > 0)
}

/// A property's values with its column's kind; `None` when the column is too
/// narrow for them.
fn fit_kind(
    values: &ArrayRef,
    has: ColumnKind,
    wants: ColumnKind,
    texts: &StringArray,
    name: &str,
) -> Option<ArrayRef> {
    match (has, wants) {
        _ if has == wants => Some(values.clone()),
        (ColumnKind::BigInt, ColumnKind::Double) => cast(values, &DataType::Float64).ok(),
        (ColumnKind::Varchar | ColumnKind::Json, ColumnKind::Mixed) => Some(values.clone()),
        // Decoded before the column was chosen: exact text, not a re-rendering.
        (_, ColumnKind::Mixed) => Some(rebuild_column(texts, name, ColumnKind::Mixed)),
        _ => None,
    }
}
