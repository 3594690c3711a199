//! How much memory DuckDB uses, and keeping in-memory tables small.

use std::sync::atomic::{AtomicU64, Ordering};

use super::connection::SqlConnection;
use super::pin::checkpoint;
use crate::error::Result;

/// Used and allowed bytes.
pub(super) fn memory_in_use(connection: &mut dyn SqlConnection) -> Result<(u64, u64)> {
    let used =
        connection.scalar("SELECT CAST(sum(memory_usage_bytes) AS BIGINT) FROM duckdb_memory()", &[])?;
    let limit = connection.scalar("SELECT current_setting('memory_limit')", &[])?;
    let limit = limit.as_str().map_or(u64::MAX, parse_size);
    Ok((used.as_i64().unwrap_or_default() as u64, limit))
}

/// DuckDB's way to print sizes: `1.5 GiB`.
fn parse_size(text: &str) -> u64 {
    let (number, unit) = text.trim().split_once(' ').unwrap_or((text, "bytes"));
    let number: f64 = number.parse().unwrap_or(f64::MAX);
    let factor = match unit {
        "KiB" => 1u64 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => 1,
    };
    (number * factor as f64) as u64
}

/// What is less is left for later: a checkpoint takes as long as a small chunk.
const WORTH_COMPRESSING: u64 = 64 << 20;

/// Keeps tables in memory small.
#[derive(Debug, Default)]
pub(super) struct Compression {
    /// Bytes in use behind the last checkpoint.
    left: AtomicU64,
}

impl Compression {
    /// Checkpoints while there is room for it: that compresses in-memory tables,
    /// so that more fits. Near the limit it would do harm: a checkpoint that runs
    /// out of memory invalidates the whole database. Unless `last`, it waits until
    /// there is something to gain.
    pub(super) fn run(&self, connection: &mut dyn SqlConnection, last: bool) {
        let Ok((used, limit)) = memory_in_use(connection) else { return };
        let grown = used.saturating_sub(self.left.load(Ordering::Relaxed));
        if used >= limit / 5 * 3 || (grown < WORTH_COMPRESSING.min(limit / 10) && !last) {
            return;
        }
        // It may fail while a query is running; the next chunk tries again.
        checkpoint(connection);
        if let Ok((left, _)) = memory_in_use(connection) {
            self.left.store(left, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_read_as_duckdb_prints_them() {
        assert_eq!(parse_size("512 bytes"), 512);
        assert_eq!(parse_size("1.5 GiB"), 3 << 29);
        assert_eq!(parse_size("190.7 MiB"), 199_963_443);
    }
}
