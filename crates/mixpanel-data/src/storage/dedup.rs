//! Duplicates: of the rows with one key, the one that Mixpanel processed last
//! stays.
//!
//! Keys are watched by hash while rows pass by; only rows whose hash occurred
//! before are compared in full, by SQL, after they are in. The watch is
//! bounded: a chunk with more keys is searched by SQL as a whole.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringBuilder};
use mixpanel_client::export::EventBatch;

use super::catalog::Catalog;
use super::chunk::{ChunkSpec, Scope};
use super::connection::{SqlConnection, Target};
use super::ddl::ident;
use crate::error::Result;
use crate::types::TableKind;

/// So many keys are watched: about 26 MB.
const MAX_KEYS: usize = (1 << 20) / 8 * 7;

/// When Mixpanel took an event in, by its own clock.
const PROCESSED: &str = "mp_processing_time_ms";

/// Keys are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_ne_bytes(word);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// What is remembered of a key's best row.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    processed_ms: Option<i64>,
    content: u64,
}

/// The keys of a chunk.
#[derive(Default)]
pub(super) struct Keys {
    seen: HashMap<u64, Version, BuildHasherDefault<Identity>>,
    /// Lookup values of rows whose key hash occurred before; not yet in the database.
    suspects: StringBuilder,
    found: bool,
    /// More keys than can be watched.
    overflow: bool,
    /// Two rows of one key that only their texts tell apart.
    ties: bool,
}

impl Keys {
    /// Watches a batch. `contents` are hashes of its rows' texts.
    pub(super) fn note(&mut self, kind: TableKind, batch: &EventBatch, contents: &[u64]) {
        if self.overflow {
            return;
        }
        if self.seen.len() + batch.keys.len() > MAX_KEYS {
            self.overflow = true;
            self.ties = true;
            self.seen = HashMap::default();
            return;
        }
        let lookup = batch.rows.column_by_name(kind.shape().lookup).expect("a key column");
        let lookup = lookup.as_string::<i32>();
        for (row, key) in batch.keys.iter().enumerate() {
            let processed_ms = batch.processed_ms.get(row).copied().flatten();
            let version = Version { processed_ms, content: contents[row] };
            match self.seen.entry(*key) {
                Entry::Vacant(entry) => {
                    entry.insert(version);
                }
                Entry::Occupied(mut entry) => {
                    let known = entry.get_mut();
                    self.ties |= known.processed_ms == processed_ms && known.content != version.content;
                    if processed_ms > known.processed_ms {
                        *known = version;
                    }
                    self.suspects.append_value(lookup.value(row));
                }
            }
        }
    }

    /// How many suspects wait to be stored.
    pub(super) fn waiting(&self) -> usize {
        arrow::array::ArrayBuilder::len(&self.suspects)
    }

    /// Makes room for suspects in the database.
    pub(super) fn prepare(connection: &mut dyn SqlConnection) -> Result<()> {
        connection.execute("CREATE OR REPLACE TEMP TABLE mp_suspects (lookup VARCHAR)")
    }

    /// Stores the suspects so far.
    pub(super) fn store(&mut self, connection: &mut dyn SqlConnection) -> Result<()> {
        if self.waiting() == 0 {
            return Ok(());
        }
        self.found = true;
        let values = Arc::new(self.suspects.finish());
        let batch = RecordBatch::try_from_iter_with_nullable([("lookup", values as _, true)]);
        connection.append(Target::Temporary("mp_suspects"), batch.expect("one column"))?;
        Ok(())
    }

    /// Removes all rows but one of each key among the rows `within`, SQL for the
    /// rows that the chunk may meet. `all` when rows may meet ones that were
    /// there before. Returns the times of the removed rows, microseconds UTC.
    pub(super) fn remove_duplicates(
        &self,
        connection: &mut dyn SqlConnection,
        spec: &ChunkSpec<'_>,
        catalog: &Catalog,
        table: &str,
        within: &str,
        all: bool,
    ) -> Result<Vec<Option<i64>>> {
        let kind = spec.metadata.kind;
        let shape = kind.shape();
        let lookup = shape.lookup;
        if all || self.overflow {
            connection.execute(&format!(
                "INSERT INTO temp.mp_suspects
                 SELECT {lookup} FROM {table}{within} GROUP BY {lookup} HAVING count(*) > 1"
            ))?;
        } else if !self.found {
            return Ok(Vec::new());
        }
        let key = shape.key.join(", ");
        let (extra, newest) = self.newest_first(spec, catalog);
        let time = if kind == TableKind::Events { "epoch_us(event_time)" } else { "NULL::BIGINT" };
        let removed = connection.rows(
            &format!(
                "DELETE FROM {table} WHERE rowid IN (
                     SELECT row FROM (
                         SELECT row, row_number() OVER (PARTITION BY {key} ORDER BY {newest}) AS position
                         FROM (SELECT rowid AS row, {key}{extra} FROM {table}{within})
                         WHERE {lookup} IN (SELECT lookup FROM temp.mp_suspects))
                     WHERE position > 1)
                 RETURNING {time}"
            ),
            &[],
        )?;
        Ok(removed.into_iter().map(|row| row[0].as_i64()).collect())
    }

    /// What is needed besides the key to say which row stays, and the order by
    /// it: the row that stays comes first.
    fn newest_first(&self, spec: &ChunkSpec<'_>, catalog: &Catalog) -> (String, String) {
        if spec.metadata.kind == TableKind::Profiles {
            return (String::new(), "row DESC".into());
        }
        let processed = match catalog.get(PROCESSED) {
            Some(property) if property.promoted && property.kind.sql_type() == "BIGINT" => ident(&property.column),
            _ => format!("TRY_CAST(properties->>'$.{PROCESSED}' AS BIGINT)"),
        };
        // Rows of one key and one processing time: the one that came first, or,
        // where rows come in no order, one that does not depend on it.
        let texts = !spec.keeps_order() && (self.ties || matches!(spec.scope, Scope::Add(_)));
        let (more, tie) = if texts { (", properties", "properties, ") } else { ("", "") };
        (format!(", {processed} AS processed{more}"), format!("processed DESC NULLS LAST, {tie}row"))
    }
}
