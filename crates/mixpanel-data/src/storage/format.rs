//! The tables of our bookkeeping, and how a file of an older version gets them.

/// Version of the tables below. A file with a higher one is refused.
pub(crate) const VERSION: u32 = 4;

/// Which version a file has, and who made it.
const MARK: &str = "CREATE TABLE IF NOT EXISTS _format (version INTEGER NOT NULL, created_at TIMESTAMP NOT NULL, created_by VARCHAR);";

/// All others, as this version has them. What is there is left alone.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS _tables (
    table_name VARCHAR NOT NULL, type VARCHAR NOT NULL, filter_hash VARCHAR NOT NULL, filters VARCHAR NOT NULL,
    filter_events VARCHAR, filter_where VARCHAR, created_at TIMESTAMP NOT NULL, fetched_at TIMESTAMP NOT NULL,
    from_date DATE, to_date DATE, row_count BIGINT NOT NULL, max_columns INTEGER NOT NULL,
    filter_cohort VARCHAR, filter_output_properties VARCHAR, filter_group VARCHAR, filter_behaviors VARCHAR,
    project_id VARCHAR, region VARCHAR, data_view VARCHAR, clock_mode VARCHAR, timezone VARCHAR, time_unit VARCHAR);
CREATE TABLE IF NOT EXISTS _properties (
    table_name VARCHAR NOT NULL, name VARCHAR NOT NULL, column_name VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    promoted BOOLEAN NOT NULL, row_count BIGINT NOT NULL, nulls BIGINT NOT NULL, booleans BIGINT NOT NULL,
    integers BIGINT NOT NULL, wide_integers BIGINT NOT NULL, floats BIGINT NOT NULL, huge_numbers BIGINT NOT NULL,
    strings BIGINT NOT NULL, objects BIGINT NOT NULL, arrays BIGINT NOT NULL,
    first_seen TIMESTAMP, last_seen TIMESTAMP);
CREATE TABLE IF NOT EXISTS _ledger (
    table_name VARCHAR NOT NULL, day DATE NOT NULL, filter_hash VARCHAR NOT NULL, state VARCHAR NOT NULL,
    row_count BIGINT NOT NULL, duplicates BIGINT NOT NULL, rejects BIGINT NOT NULL, bytes BIGINT NOT NULL,
    content_hash VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL, request_id VARCHAR, filters VARCHAR);
CREATE TABLE IF NOT EXISTS _quarantine (
    table_name VARCHAR NOT NULL, chunk VARCHAR NOT NULL, line BIGINT NOT NULL, reason VARCHAR NOT NULL,
    bytes BLOB NOT NULL, quarantined_at TIMESTAMP NOT NULL, filter_hash VARCHAR);
CREATE TABLE IF NOT EXISTS _held (
    table_name VARCHAR NOT NULL, line BIGINT NOT NULL, event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL,
    distinct_id VARCHAR NOT NULL, insert_id VARCHAR NOT NULL, properties VARCHAR NOT NULL, processed_ms BIGINT);
CREATE TABLE IF NOT EXISTS _vanished_profiles (
    table_name VARCHAR NOT NULL, distinct_id VARCHAR NOT NULL, vanished_at TIMESTAMP NOT NULL,
    last_seen TIMESTAMP, properties VARCHAR NOT NULL);
CREATE OR REPLACE VIEW _metadata AS
    SELECT table_name, type, fetched_at, from_date, to_date, row_count FROM _tables;
";

/// What older versions' tables lack.
const COLUMNS: &str = "
ALTER TABLE _tables ADD COLUMN IF NOT EXISTS filter_cohort VARCHAR;
ALTER TABLE _tables ADD COLUMN IF NOT EXISTS filter_output_properties VARCHAR;
ALTER TABLE _tables ADD COLUMN IF NOT EXISTS filter_group VARCHAR;
ALTER TABLE _tables ADD COLUMN IF NOT EXISTS filter_behaviors VARCHAR;
ALTER TABLE _ledger ADD COLUMN IF NOT EXISTS filters VARCHAR;
ALTER TABLE _tables ADD COLUMN IF NOT EXISTS project_id VARCHAR;
ALTER TABLE _tables ADD COLUMN IF NOT EXISTS region VARCHAR;
ALTER TABLE _tables ADD COLUMN IF NOT EXISTS data_view VARCHAR;
ALTER TABLE _tables ADD COLUMN IF NOT EXISTS clock_mode VARCHAR;
ALTER TABLE _tables ADD COLUMN IF NOT EXISTS timezone VARCHAR;
ALTER TABLE _tables ADD COLUMN IF NOT EXISTS time_unit VARCHAR;
ALTER TABLE _quarantine ADD COLUMN IF NOT EXISTS filter_hash VARCHAR;
";

/// Makes them in a database that has none.
pub(super) fn create() -> String {
    format!(
        "BEGIN; {MARK} INSERT INTO _format VALUES ({VERSION}, CAST(now() AS TIMESTAMP), {MAKER}); {TABLES} COMMIT;"
    )
}

/// Makes what is missing in a database of an older version, or in one whose making was cut short.
pub(super) fn complete() -> String {
    format!(
        "BEGIN; {MARK}
         INSERT INTO _format SELECT {VERSION}, CAST(now() AS TIMESTAMP), {MAKER} WHERE NOT EXISTS (FROM _format);
         {TABLES} {COLUMNS}
         UPDATE _format SET version = {VERSION} WHERE version < {VERSION};
         COMMIT;"
    )
}

const MAKER: &str = concat!("'mixpanel_data ", env!("CARGO_PKG_VERSION"), "'");
