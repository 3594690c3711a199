//! The SQL of our own tables and views: names and types, nothing that runs.
//!
//! For each table `T` there is the physical table `_T`, the view `T` with the
//! plan's columns and the view `T_flat` with every known property as a column
//! (design D2). Pure text: these functions know no connection.

use mixpanel_client::schema::ColumnKind;

use super::catalog::Property;
use super::exact::exact_text;
use super::parsed::Parsed;
use crate::error::{ErrorKind, Result};
use crate::types::TableKind;

/// Names after `_` of the tables of our bookkeeping (`format.rs`).
pub(crate) const RECORDS: [&str; 7] =
    ["format", "tables", "properties", "ledger", "quarantine", "held", "vanished_profiles"];

/// Names after `_` that are our bookkeeping, and so cannot be tables.
pub(super) const RESERVED: [&str; 8] =
    ["format", "tables", "properties", "ledger", "quarantine", "metadata", "held", "vanished_profiles"];

/// Checks a table name: letters, digits and underscores, not starting with an
/// underscore, not one of our own names.
pub(crate) fn check_table_name(name: &str) -> Result<()> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > 200 {
        "it is longer than 200 characters"
    } else if name.starts_with('_') {
        "names that start with an underscore are reserved"
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        "only letters, digits and underscores are allowed"
    } else if name.to_ascii_lowercase().ends_with("_flat") {
        "names that end with _flat are reserved for the typed views"
    } else if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        "it is reserved for this library's own records"
    } else {
        return Ok(());
    };
    Err(ErrorKind::InvalidTableName { name: name.to_owned(), why }.into())
}

/// The identifier, quoted for SQL.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The text, quoted for SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Name of the table that holds the rows of `table`.
pub(crate) fn physical(table: &str) -> String {
    format!("_{table}")
}

/// What differs between events and profiles, as SQL.
pub(crate) struct Shape {
    /// Fixed columns: name and definition.
    pub(crate) columns: &'static [(&'static str, &'static str)],
    /// Columns that make two rows the same thing.
    pub(crate) key: &'static [&'static str],
    /// The key column by which possible duplicates are looked up.
    pub(crate) lookup: &'static str,
    /// Fixed columns of the typed view.
    pub(crate) flat: &'static [&'static str],
}

const EVENTS: Shape = Shape {
    columns: &[
        ("event_name", "VARCHAR NOT NULL"),
        ("event_time", "TIMESTAMP NOT NULL"),
        ("distinct_id", "VARCHAR NOT NULL"),
        ("insert_id", "VARCHAR NOT NULL"),
        ("properties", "JSON NOT NULL USING COMPRESSION zstd"),
    ],
    key: &["event_name", "event_time", "distinct_id", "insert_id"],
    lookup: "insert_id",
    flat: &["event_name", "event_time", "distinct_id", "insert_id"],
};

const PROFILES: Shape = Shape {
    columns: &[
        ("distinct_id", "VARCHAR NOT NULL"),
        ("properties", "JSON NOT NULL USING COMPRESSION zstd"),
        ("last_seen", "TIMESTAMP"),
    ],
    key: &["distinct_id"],
    lookup: "distinct_id",
    flat: &["distinct_id", "last_seen"],
};

impl TableKind {
    pub(crate) fn shape(self) -> &'static Shape {
        match self {
            TableKind::Events => &EVENTS,
            TableKind::Profiles => &PROFILES,
        }
    }
}

/// `CREATE TABLE` of the physical table. It replaces the leftovers of a creation
/// that never finished; a finished table is in `_tables`, which callers check.
pub(crate) fn create_physical(table: &str, kind: TableKind, columns: &[(String, ColumnKind)]) -> String {
    let fixed = kind.shape().columns.iter().map(|(name, definition)| format!("{name} {definition}"));
    let typed = columns.iter().map(|(name, kind)| format!("{} {}", ident(name), kind.sql_type()));
    let all: Vec<String> = fixed.chain(typed).collect();
    format!("CREATE OR REPLACE TABLE {} ({})", ident(&physical(table)), all.join(", "))
}

/// The plan's view: the fixed columns and nothing else.
pub(crate) fn create_view(table: &str, kind: TableKind) -> String {
    let columns: Vec<&str> = kind.shape().columns.iter().map(|(name, _)| *name).collect();
    format!(
        "CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}",
        ident(table),
        columns.join(", "),
        ident(&physical(table))
    )
}

/// Properties beyond this many stay reachable through `properties` only.
pub(crate) const MAX_FLAT_COLUMNS: usize = 1000;

/// The analysts' view: every known property under its own name, most frequent
/// first. A promoted property is its column, the others are read from the text,
/// many at a time.
pub(crate) fn create_flat_view(table: &str, kind: TableKind, properties: &[Property]) -> String {
    let mut columns: Vec<String> = kind.shape().flat.iter().map(|name| (*name).to_owned()).collect();
    let mut parsed = Parsed::new(properties);
    for property in properties.iter().take(MAX_FLAT_COLUMNS) {
        let column = ident(&property.column);
        columns.push(if property.promoted {
            column
        } else {
            format!("{} AS {column}", parsed.read(property))
        });
    }
    format!(
        "CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}",
        ident(&format!("{table}_flat")),
        columns.join(", "),
        parsed.source(&ident(&physical(table)))
    )
}

/// The expression that reads a property out of the JSON text, with its type.
pub(crate) fn from_text(name: &str, kind: ColumnKind) -> String {
    let path = literal(&json_pointer(name));
    match kind {
        ColumnKind::Varchar => format!("(properties->>{path})"),
        ColumnKind::Mixed => format!("({})", exact_text(name, true)),
        ColumnKind::Json => format!("CAST({} AS JSON)", exact_text(name, false)),
        kind => format!("TRY_CAST(properties->>{path} AS {})", kind.sql_type()),
    }
}

/// A JSON pointer (RFC 6901) to a top-level key. DuckDB reads a path that
/// starts with a slash as a pointer; in it no character but `~` and `/` needs
/// an escape, unlike in its `$.` paths.
pub(super) fn json_pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_follow_the_rules() {
        for good in ["events", "Events2", "2024", "a_b", "flat", "x".repeat(200).as_str()] {
            assert!(check_table_name(good).is_ok(), "{good}");
        }
        for bad in ["", "_x", "a-b", "a b", "é", "a\"b", "events_flat", "Ledger", "x;y", &"x".repeat(201)] {
            assert!(check_table_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_fixed_columns_are_those_that_decoding_gives() {
        let here = |shape: &Shape| shape.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let there = mixpanel_client::schema::event_fields();
        assert_eq!(here(&EVENTS), there.each_ref().map(|field| field.name().as_str()));
        let there = mixpanel_client::schema::profile_fields();
        assert_eq!(here(&PROFILES), there.each_ref().map(|field| field.name().as_str()));
    }

    #[test]
    fn quoting_survives_quotes() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(json_pointer("a/b~c"), "/a~1b~0c");
    }
}
