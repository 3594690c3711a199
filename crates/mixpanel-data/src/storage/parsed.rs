//! Properties that have no column, read from the text of a row: many by one look at it.
//!
//! Each `properties->>'…'` parses the whole text. For a view with hundreds of such columns that is
//! nearly all the work of an export. DuckDB reads a list of paths with one parse, and leaves a list
//! out that nobody asks for; so paths go into lists: short ones for the most frequent properties, of
//! which single ones are asked for, and longer and longer ones for those behind them.

use std::collections::HashSet;

use mixpanel_client::schema::ColumnKind;

use super::catalog::Property;
use super::ddl::{from_text, ident, json_pointer, literal};

/// How many paths the first list has, and the longest one. Measured on texts of 25
/// properties, 377 of them in all: single columns cost twice to four times as much as by
/// themselves, all columns a tenth.
const SHORTEST: usize = 8;
const LONGEST: usize = 256;

/// Paths that are read with one parse.
struct Paths {
    name: String,
    room: usize,
    paths: Vec<String>,
}

/// The lists of a view.
pub(crate) struct Parsed {
    lists: Vec<Paths>,
    /// Names that are columns of the table, in lower case.
    taken: HashSet<String>,
}

impl Parsed {
    /// No lists yet, beside the columns of these properties.
    pub(crate) fn new(properties: &[Property]) -> Self {
        let taken = properties.iter().map(|property| property.column.to_lowercase()).collect();
        Parsed { lists: Vec::new(), taken }
    }

    /// The expression for a property, with its type. What a path does not give byte for byte is
    /// read by itself.
    pub(crate) fn read(&mut self, property: &Property) -> String {
        if matches!(property.kind, ColumnKind::Mixed | ColumnKind::Json) {
            return from_text(&property.name, property.kind);
        }
        let room = match self.lists.last() {
            None => Some(SHORTEST),
            Some(list) if list.paths.len() < list.room => None,
            Some(list) => Some((list.room * 2).min(LONGEST)),
        };
        if let Some(room) = room {
            let name = self.free_name();
            self.lists.push(Paths { name, room, paths: Vec::new() });
        }
        let at = self.lists.len() - 1;
        let list = &mut self.lists[at];
        list.paths.push(literal(&json_pointer(&property.name)));
        let value = format!("{}[{}]", ident(&list.name), list.paths.len());
        match property.kind {
            ColumnKind::Varchar => value,
            kind => format!("TRY_CAST({value} AS {})", kind.sql_type()),
        }
    }

    /// The table with the lists beside its columns.
    pub(crate) fn source(&self, table: &str) -> String {
        if self.lists.is_empty() {
            return table.to_owned();
        }
        let list = |list: &Paths| {
            format!("json_extract_string(properties, [{}]) AS {}", list.paths.join(", "), ident(&list.name))
        };
        let lists: Vec<String> = self.lists.iter().map(list).collect();
        format!("(SELECT *, {} FROM {table})", lists.join(", "))
    }

    /// A name that no column has.
    fn free_name(&self) -> String {
        let mut name = format!("parsed {}", self.lists.len());
        while self.taken.contains(&name) {
            name.push('\'');
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use mixpanel_client::export::PropertyStats;

    use super::*;

    fn property(name: &str, kind: ColumnKind) -> Property {
        let (name, column, stats) = (name.to_owned(), name.to_owned(), PropertyStats::default());
        Property { name, column, kind, promoted: false, stats }
    }

    #[test]
    fn lists_grow_and_what_must_be_exact_is_read_by_itself() {
        let mut parsed = Parsed::new(&[]);
        for number in 0..30 {
            parsed.read(&property(&format!("p{number}"), ColumnKind::Varchar));
        }
        for kind in [ColumnKind::Json, ColumnKind::Mixed] {
            assert_eq!(parsed.read(&property("j", kind)), from_text("j", kind));
        }
        assert_eq!(parsed.read(&property("n", ColumnKind::BigInt)), "TRY_CAST(\"parsed 2\"[7] AS BIGINT)");
        let sizes: Vec<usize> = parsed.lists.iter().map(|list| list.paths.len()).collect();
        assert_eq!(sizes, [8, 16, 7]);
        assert!(parsed.source("t").ends_with("AS \"parsed 2\" FROM t)"));
    }

    #[test]
    fn a_list_never_has_the_name_of_a_column() {
        let named = [property("Parsed 0", ColumnKind::Varchar), property("parsed 0'", ColumnKind::Varchar)];
        let mut parsed = Parsed::new(&named);
        assert_eq!(parsed.read(&named[0]), "\"parsed 0''\"[1]");
        assert_eq!(Parsed::new(&named).source("t"), "t");
    }
}
