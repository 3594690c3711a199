//! The words of a database: tables, columns, events, properties. For completion.

use mixpanel_data::StorageEngine;

/// More events than these are not offered.
const MOST_EVENTS: usize = 500;

/// Names, each kind in the order in which they are offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalog {
    pub(crate) tables: Vec<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) properties: Vec<String>,
    pub(crate) keywords: Vec<String>,
    pub(crate) functions: Vec<String>,
}

impl Catalog {
    /// Reads what is there. What cannot be read is left out: nobody waits for completion's errors.
    pub(crate) fn read(storage: &StorageEngine) -> Self {
        let names = |sql: &str| -> Vec<String> {
            let rows = storage.execute_rows(sql, &[]).map(|result| result.rows).unwrap_or_default();
            rows.iter().filter_map(|row| row.first()?.as_str().map(str::to_owned)).collect()
        };
        let tables = names(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' \
             ORDER BY starts_with(table_name, '_'), table_name",
        );
        let columns = names(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'main' \
             AND NOT starts_with(table_name, '_') GROUP BY 1 ORDER BY 1",
        );
        let of_events = names("SELECT table_name FROM _tables WHERE type = 'events' ORDER BY 1");
        let mut events = Vec::new();
        for table in of_events {
            let table = table.replace('"', "\"\"");
            let found = names(&format!(
                "SELECT event_name FROM \"{table}\" GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {MOST_EVENTS}"
            ));
            events.extend(found.into_iter().filter(|name| !events.contains(name)).collect::<Vec<_>>());
        }
        let properties = names("SELECT name FROM _properties GROUP BY 1 ORDER BY sum(row_count) DESC, 1");
        let keywords = names("SELECT keyword_name FROM duckdb_keywords() ORDER BY 1");
        // Names with signs in them are operators, and those that begin with `__` are DuckDB's own.
        let functions = names(
            "SELECT DISTINCT function_name FROM duckdb_functions() \
             WHERE regexp_full_match(function_name, '[a-z][a-z0-9_]*') ORDER BY 1",
        );
        Catalog { tables, columns, events, properties, keywords, functions }
    }

    /// Names of tables and columns as SQL takes them, that begin so.
    pub(crate) fn sql_words(&self, beginning: &str) -> Vec<String> {
        matching(self.tables.iter().chain(&self.columns), beginning)
    }

    /// What may stand where a table must.
    pub(crate) fn table_words(&self, beginning: &str) -> Vec<String> {
        matching(self.tables.iter(), beginning)
    }

    /// What may stand in a text: events, and properties as JSON paths name them.
    pub(crate) fn texts(&self, beginning: &str) -> Vec<String> {
        if let Some(path) = beginning.strip_prefix("$.") {
            let plain = self.properties.iter().filter(|name| name.starts_with(path));
            return plain.map(|name| format!("$.{}", path_part(name))).collect();
        }
        let wanted = beginning.to_lowercase();
        let events = self.events.iter().filter(|name| name.to_lowercase().starts_with(&wanted));
        events.map(|name| name.replace('\'', "''")).collect()
    }
}

/// Names that begin so, as SQL writes them.
fn matching<'a>(names: impl Iterator<Item = &'a String>, beginning: &str) -> Vec<String> {
    let wanted = beginning.trim_start_matches('"').to_lowercase();
    let quoted = beginning.starts_with('"');
    let mut words: Vec<String> = Vec::new();
    for name in names {
        if name.to_lowercase().starts_with(&wanted) {
            let word = identifier(name, quoted);
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words
}

fn identifier(name: &str, always: bool) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !always { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn path_part(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { format!("\"{name}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Catalog {
            tables: names(&["events", "events_flat"]),
            columns: names(&["event_name", "$browser", "Plan Type"]),
            events: names(&["Purchase", "Product Viewed", "It's"]),
            properties: names(&["plan", "$browser"]),
            ..Catalog::default()
        }
    }

    #[test]
    fn words_are_offered_as_sql_takes_them() {
        assert_eq!(catalog().sql_words("ev"), ["events", "events_flat", "event_name"]);
        assert_eq!(catalog().sql_words("\"$b"), ["\"$browser\""]);
        assert_eq!(catalog().sql_words("plan"), ["\"Plan Type\""]);
    }

    #[test]
    fn texts_are_events_or_paths() {
        assert_eq!(catalog().texts("P"), ["Purchase", "Product Viewed"]);
        assert_eq!(catalog().texts("it"), ["It''s"]);
        assert_eq!(catalog().texts("$.p"), ["$.plan"]);
        assert_eq!(catalog().texts("$.$"), ["$.\"$browser\""]);
    }
}
