//! The property catalog of a table: which properties there are, of what kind,
//! and which of them have a column of their own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use mixpanel_client::export::{ColumnPlan, PropertyStats};
use mixpanel_client::schema::ColumnKind;

use super::connection::{SqlConnection, Target};
use super::ddl::MAX_FLAT_COLUMNS;
use crate::error::Result;
use crate::types::TableKind;
use crate::value::Value;

/// How many properties of a table get a column, unless told otherwise.
pub(crate) const DEFAULT_MAX_COLUMNS: usize = 100;

/// A property that fewer rows have than one in so many gets no column. It would
/// cost each row as much as any other column, and the first row to have it in a
/// chunk would end one `INSERT` and begin another.
const ROWS_PER_VALUE: u64 = 1_000;

/// One property of a table.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    /// The name, exactly as Mixpanel sends it.
    pub(crate) name: String,
    /// The name of its column, in the typed view and, if promoted, in the table.
    pub(crate) column: String,
    /// What its column holds, or would hold.
    pub(crate) kind: ColumnKind,
    /// Whether the physical table has a column for it.
    pub(crate) promoted: bool,
    /// What decoding has seen of it; a day that is fetched again counts again.
    pub(crate) stats: PropertyStats,
}

/// The properties of one table.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    properties: Vec<Property>,
    by_name: HashMap<String, usize>,
    /// Column names in use, in lower case: DuckDB's names ignore case.
    taken: HashSet<String>,
}

impl Catalog {
    /// A catalog without properties.
    pub(crate) fn new(kind: TableKind) -> Self {
        let fixed = kind.shape().columns.iter().chain(TableKind::Events.shape().columns);
        let taken = fixed.map(|(name, _)| (*name).to_owned()).chain(["rowid".to_owned()]).collect();
        Catalog { properties: Vec::new(), by_name: HashMap::new(), taken }
    }

    pub(crate) fn load(connection: &mut dyn SqlConnection, table: &str, kind: TableKind) -> Result<Self> {
        let mut catalog = Catalog::new(kind);
        let sql = "SELECT name, column_name, kind, promoted, row_count, nulls, booleans, integers, wide_integers,
                          floats, huge_numbers, strings, objects, arrays, epoch_us(first_seen), epoch_us(last_seen)
                   FROM _properties WHERE table_name = ? ORDER BY rowid";
        for row in connection.rows(sql, &[Value::Text(table.into())])? {
            let text = |at: usize| row[at].as_str().unwrap_or_default().to_owned();
            let count = |at: usize| row[at].as_i64().unwrap_or_default() as u64;
            let time = |at: usize, unseen: i64| row[at].as_i64().unwrap_or(unseen);
            catalog.insert(Property {
                column: text(1),
                kind: text(2).parse().unwrap_or(ColumnKind::Mixed),
                promoted: row[3] == Value::Boolean(true),
                stats: PropertyStats {
                    name: text(0),
                    rows: count(4),
                    nulls: count(5),
                    booleans: count(6),
                    integers: count(7),
                    wide_integers: count(8),
                    floats: count(9),
                    huge_numbers: count(10),
                    strings: count(11),
                    objects: count(12),
                    arrays: count(13),
                    first_seen_us: time(14, i64::MAX),
                    last_seen_us: time(15, i64::MIN),
                },
                name: text(0),
            });
        }
        Ok(catalog)
    }

    /// Replaces the stored catalog of `table` inside the current transaction.
    pub(crate) fn store(&self, connection: &mut dyn SqlConnection, table: &str) -> Result<()> {
        connection.run("DELETE FROM _properties WHERE table_name = ?", &[Value::Text(table.into())])?;
        if self.properties.is_empty() {
            return Ok(());
        }
        let all = &self.properties;
        let texts = |f: &dyn Fn(&Property) -> String| -> ArrayRef {
            Arc::new(all.iter().map(|p| Some(f(p))).collect::<StringArray>())
        };
        let counts = |f: fn(&PropertyStats) -> u64| -> ArrayRef {
            Arc::new(all.iter().map(|p| Some(f(&p.stats) as i64)).collect::<Int64Array>())
        };
        let times = |f: fn(&PropertyStats) -> i64| -> ArrayRef {
            let seen = |p: &Property| p.stats.rows + p.stats.nulls > 0;
            // Profiles need not have a time.
            let time =
                |p: &Property| seen(p).then(|| f(&p.stats)).filter(|time| time.unsigned_abs() < 1 << 62);
            Arc::new(all.iter().map(time).collect::<TimestampMicrosecondArray>())
        };
        let promoted = all.iter().map(|p| Some(p.promoted)).collect::<BooleanArray>();
        let batch = RecordBatch::try_from_iter([
            ("table_name", texts(&|_| table.to_owned())),
            ("name", texts(&|p| p.name.clone())),
            ("column_name", texts(&|p| p.column.clone())),
            ("kind", texts(&|p| p.kind.to_string())),
            ("promoted", Arc::new(promoted) as ArrayRef),
            ("row_count", counts(|s| s.rows)),
            ("nulls", counts(|s| s.nulls)),
            ("booleans", counts(|s| s.booleans)),
            ("integers", counts(|s| s.integers)),
            ("wide_integers", counts(|s| s.wide_integers)),
            ("floats", counts(|s| s.floats)),
            ("huge_numbers", counts(|s| s.huge_numbers)),
            ("strings", counts(|s| s.strings)),
            ("objects", counts(|s| s.objects)),
            ("arrays", counts(|s| s.arrays)),
            ("first_seen", times(|s| s.first_seen_us)),
            ("last_seen", times(|s| s.last_seen_us)),
        ])
        .expect("columns of one length");
        connection.append(Target::Main("_properties"), batch)?;
        Ok(())
    }

    fn insert(&mut self, property: Property) {
        self.taken.insert(property.column.to_ascii_lowercase());
        self.by_name.insert(property.name.clone(), self.properties.len());
        self.properties.push(property);
    }

    /// A column name for a property: its own name, with a number behind it when
    /// that name is taken. Once given, it is stored and never changes.
    fn column_for(&self, name: &str) -> String {
        let clean = name.replace('\0', "\u{fffd}");
        let base = if clean.is_empty() { "_empty".to_owned() } else { clean };
        let free = |candidate: &str| !self.taken.contains(&candidate.to_ascii_lowercase());
        if free(&base) {
            return base;
        }
        (2u32..)
            .map(|number| format!("{base}_{number}"))
            .find(|candidate| free(candidate))
            .expect("a free number")
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Property> {
        self.by_name.get(name).map(|at| &self.properties[*at])
    }

    /// Whether a property has a column.
    pub(crate) fn is_promoted(&self, name: &str) -> bool {
        self.get(name).is_some_and(|property| property.promoted)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Property> {
        self.by_name.get(name).map(|at| &mut self.properties[*at])
    }

    /// The properties for the typed view: most frequent first, then by name.
    pub(crate) fn by_frequency(&self) -> Vec<Property> {
        let mut all = self.properties.clone();
        all.sort_by(|a, b| b.stats.rows.cmp(&a.stats.rows).then_with(|| a.name.cmp(&b.name)));
        all.truncate(MAX_FLAT_COLUMNS);
        all
    }

    pub(crate) fn promoted(&self) -> impl Iterator<Item = &Property> {
        self.properties.iter().filter(|property| property.promoted)
    }

    pub(crate) fn unpromoted(&self) -> impl Iterator<Item = &Property> {
        self.properties.iter().filter(|property| !property.promoted)
    }

    /// What decoding should build columns for: what has one already, and new
    /// properties as long as there is room for one.
    pub(crate) fn plan(&self, max_columns: usize) -> ColumnPlan {
        let known: Vec<_> = self.promoted().map(|p| (p.name.clone(), p.kind)).collect();
        let room = if known.len() < max_columns { ColumnPlan::all().room } else { 0 };
        ColumnPlan { known, room }
    }

    /// Takes in what decoding saw. Properties that were not known are added,
    /// without a column. Returns whether the typed view is out of date: a
    /// property is new, or what is computed for it has another kind now.
    pub(crate) fn observe(&mut self, stats: &[PropertyStats]) -> bool {
        let mut changed = false;
        for seen in stats {
            match self.get_mut(&seen.name) {
                Some(property) => {
                    property.stats.merge(seen);
                    if let (false, Some(kind)) = (property.promoted, property.stats.kind()) {
                        let wider = property.kind.join(kind);
                        changed |= wider != property.kind;
                        property.kind = wider;
                    }
                }
                None => {
                    // Only nulls so far: there is nothing to show for it yet.
                    let Some(kind) = seen.kind() else { continue };
                    let column = self.column_for(&seen.name);
                    let name = seen.name.clone();
                    self.insert(Property { name, column, kind, promoted: false, stats: seen.clone() });
                    changed = true;
                }
            }
        }
        changed
    }

    /// Takes promoted properties out of their columns when values are coming
    /// that these cannot hold; returns whether there were any.
    pub(crate) fn widen(&mut self, coming: &[PropertyStats]) -> bool {
        let mut any = false;
        for seen in coming {
            let Some(kind) = seen.kind() else { continue };
            let Some(property) = self.get_mut(&seen.name).filter(|property| property.promoted) else {
                continue;
            };
            let mut all = property.stats.clone();
            all.merge(seen);
            let joined = match property.kind.join(kind) {
                ColumnKind::Double if all.wide_integers > 0 => ColumnKind::Mixed,
                joined => joined,
            };
            if joined != property.kind {
                (property.kind, property.promoted) = (joined, false);
                any = true;
            }
        }
        any
    }

    /// Chooses properties for the free columns: of those in `stats`, counts of
    /// `rows` rows, that this catalog does not know yet, the ones that most rows
    /// have, and at least one in a thousand. They are added with `kind` and
    /// counted as not seen; [`observe`](Self::observe) counts.
    pub(crate) fn promote(
        &mut self,
        stats: &[PropertyStats],
        rows: u64,
        max_columns: usize,
    ) -> Vec<(String, ColumnKind)> {
        let free = max_columns.saturating_sub(self.promoted().count());
        let mut fresh: Vec<(&PropertyStats, ColumnKind)> = stats
            .iter()
            .filter(|seen| seen.rows >= rows / ROWS_PER_VALUE && self.get(&seen.name).is_none())
            .filter_map(|seen| Some((seen, seen.kind()?)))
            .collect();
        fresh.sort_by(|(a, _), (b, _)| b.rows.cmp(&a.rows).then_with(|| a.name.cmp(&b.name)));
        fresh.truncate(free);
        let mut columns = Vec::with_capacity(fresh.len());
        for (seen, kind) in fresh {
            let column = self.column_for(&seen.name);
            let stats = PropertyStats { name: seen.name.clone(), ..empty_stats() };
            columns.push((column.clone(), kind));
            self.insert(Property { name: seen.name.clone(), column, kind, promoted: true, stats });
        }
        columns
    }

    /// Forgets all counts; columns and kinds stay. For a table whose rows are
    /// all replaced.
    pub(crate) fn reset_counts(&mut self) {
        for property in &mut self.properties {
            let name = property.stats.name.clone();
            property.stats = PropertyStats { name, ..empty_stats() };
        }
    }
}

/// Nothing seen yet.
fn empty_stats() -> PropertyStats {
    PropertyStats { first_seen_us: i64::MAX, last_seen_us: i64::MIN, ..PropertyStats::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, strings: u64, integers: u64) -> PropertyStats {
        PropertyStats { name: name.into(), rows: strings + integers, strings, integers, ..empty_stats() }
    }

    #[test]
    fn names_that_differ_in_case_or_meet_a_fixed_column_get_a_number() {
        let mut catalog = Catalog::new(TableKind::Events);
        catalog.observe(&[
            seen("plan", 1, 0),
            seen("Plan", 1, 0),
            seen("PLAN", 1, 0),
            seen("event_name", 1, 0),
        ]);
        catalog.observe(&[seen("", 1, 0), seen("plan_2", 1, 0)]);
        let column = |name: &str| catalog.get(name).unwrap().column.clone();
        assert_eq!(column("plan"), "plan");
        assert_eq!(column("Plan"), "Plan_2");
        assert_eq!(column("PLAN"), "PLAN_3");
        assert_eq!(column("event_name"), "event_name_2");
        assert_eq!(column(""), "_empty");
        assert_eq!(column("plan_2"), "plan_2_2");
    }

    #[test]
    fn the_most_frequent_new_properties_are_promoted_up_to_the_limit() {
        let mut catalog = Catalog::new(TableKind::Events);
        let stats = [seen("rare", 1, 0), seen("often", 50, 0), seen("also", 0, 40)];
        let columns = catalog.promote(&stats, 100, 2);
        assert_eq!(columns, [("often".into(), ColumnKind::Varchar), ("also".into(), ColumnKind::BigInt)]);
        assert!(catalog.observe(&stats), "`rare` is new to the view");
        assert_eq!(catalog.get("often").unwrap().stats.rows, 50);
        assert!(!catalog.get("rare").unwrap().promoted);
        assert!(catalog.promote(&[seen("later", 9, 0)], 9, 2).is_empty());
        assert_eq!(catalog.plan(2).room, 0);

        let mut catalog = Catalog::new(TableKind::Events);
        let stats = [seen("enough", 32, 0), seen("too few", 31, 0)];
        assert_eq!(catalog.promote(&stats, 32_768, 100), [("enough".into(), ColumnKind::Varchar)]);
    }

    #[test]
    fn the_kind_of_a_computed_property_widens() {
        let mut catalog = Catalog::new(TableKind::Events);
        assert!(catalog.observe(&[seen("price", 0, 1)]));
        assert!(!catalog.observe(&[seen("price", 0, 5)]));
        assert!(catalog.observe(&[seen("price", 1, 0)]));
        assert_eq!(catalog.get("price").unwrap().kind, ColumnKind::Mixed);
        let nulls = PropertyStats { nulls: 3, ..seen("nothing", 0, 0) };
        assert!(!catalog.observe(&[nulls]));
        assert!(catalog.get("nothing").is_none());
    }
}
