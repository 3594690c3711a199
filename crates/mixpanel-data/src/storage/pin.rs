//! Checkpoints that leave row groups as they are.
//!
//! A checkpoint of DuckDB's merges small row groups with their neighbours, and
//! compresses all of them once more: half of the time of a load (measured).
//! While a transaction is open that could move rows, it writes what is new and
//! nothing else (a concurrent checkpoint). So one is held open while chunks are
//! written; merging is left to [`compact`].

use super::connection::SqlConnection;
use crate::error::Result;
use crate::value::Value;

/// An open transaction that might delete rows, and does not. Ended on drop.
pub(super) struct Pin(Box<dyn SqlConnection>);

impl Pin {
    pub(super) fn hold(connection: &dyn SqlConnection) -> Result<Self> {
        let mut cursor = connection.cursor()?;
        cursor.execute("BEGIN; DELETE FROM _held WHERE false;")?;
        Ok(Pin(cursor))
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // It has changed nothing: that it ends is all that counts.
        let _ = self.0.execute("ROLLBACK");
    }
}

/// Writes the log into the file. Not possible while others write, and then not
/// needed either: the log is as durable.
pub(super) fn checkpoint(connection: &mut dyn SqlConnection) {
    if let Ok(_pin) = Pin::hold(connection) {
        let _ = connection.execute("CHECKPOINT");
    }
}

/// Gives the space of deleted rows back, when they are more than a quarter of a
/// table. This writes the whole table once more.
pub(super) fn compact(connection: &mut dyn SqlConnection, rows: &str) -> Result<()> {
    let deleted = connection.scalar(
        &format!("SELECT coalesce(max(rowid) + 1, 0) - count(*) > count(*) // 4 + 100_000 FROM {rows}"),
        &[],
    )?;
    if deleted == Value::Boolean(true) {
        // It may fail while others read; the next fetch tries again.
        let _ = connection.execute("CHECKPOINT");
    }
    Ok(())
}
