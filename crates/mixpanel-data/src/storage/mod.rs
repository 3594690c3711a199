//! Storage: batches in, SQL out. The only module that speaks to DuckDB.

#[cfg(feature = "duckdb")]
mod bundled;
mod catalog;
pub(crate) mod chunk;
mod claimed;
pub(crate) mod connection;
#[cfg(feature = "duckdb")]
mod database;
mod ddl;
mod dedup;
mod definition;
mod difference;
mod duckdb_file;
mod engine;
mod exact;
#[cfg(feature = "duckdb")]
mod feed;
mod filling;
pub(crate) mod filters;
mod fixed;
mod format;
#[cfg(feature = "duckdb")]
mod functions;
mod guard;
mod held;
mod holder;
mod introspect;
mod journal;
mod known;
mod layout;
mod ledger;
mod making;
mod memory;
mod mode;
mod open;
mod original;
mod parsed;
mod pin;
mod place;
mod profiles;
mod protect;
mod quarantine;
mod quarters;
mod records;
mod recovery;
mod refill;
mod repair;
mod sandbox;
#[cfg(feature = "duckdb")]
mod session;
mod snapshot;
#[cfg(feature = "duckdb")]
mod statement;
mod stream;
mod suggest;
mod turn;
mod unrecorded;
mod verify;
mod writer;

pub use chunk::OnReject;
pub use connection::{
    BatchSink, Interrupt, Returns, SqlConnection, StatementKind, Target, error_from_message, error_of_reader,
    insert_sql, is_json, json_field,
};
pub use engine::{Progress, StorageEngine};
pub use fixed::{changed_setting, fix_settings, may_change_fixed_setting};
pub use mode::{MemoryOptions, remove_ephemeral_files, sweep_ephemeral_files};
pub use open::Connector;
pub use original::OriginalTable;
pub use place::names_no_file;
pub use records::{EventRecord, ProfileRecord, Rows};
pub use recovery::{LogRecovery, Recovery};
pub use repair::{Repair, RepairStep, TableRepair};
pub use snapshot::{Snapshot, SnapshotOptions};
pub use suggest::{LOCAL_TIME, remark};
pub use verify::{DayVerification, Finding, Verification, VerifyDepth};

pub(crate) use catalog::DEFAULT_MAX_COLUMNS;
pub(crate) use ddl::{check_table_name, from_text, ident, literal, physical};
pub(crate) use definition::Definition;
pub(crate) use ledger::DayState;
pub(crate) use records::is_full;

/// Opens databases with the DuckDB of this crate.
#[cfg(feature = "duckdb")]
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeConnector;

#[cfg(feature = "duckdb")]
impl Connector for NativeConnector {
    fn connect(
        &self,
        path: Option<&std::path::Path>,
        settings: &[(&str, String)],
    ) -> crate::Result<Box<dyn SqlConnection>> {
        Ok(Box::new(bundled::open(path, settings)?))
    }
}
