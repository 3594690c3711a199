//! The command line program `mp`, run inside of the interpreter: over Python's DuckDB, which is
//! imported when a database is opened first.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::prelude::*;

use crate::connection::ModuleConnector;

/// What a Rust program ends with when it panics; the message is printed by then.
const PANICKED: u8 = 101;

/// Runs `mp` with these words, its name in front, and gives the exit code. It takes over the signals
/// of the process: to be called once, by a process that does nothing else.
#[pyfunction]
pub(crate) fn run_command_line(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| {
        let run = AssertUnwindSafe(|| mp::main(words, Arc::new(ModuleConnector::default())));
        catch_unwind(run).unwrap_or(PANICKED)
    })
}
