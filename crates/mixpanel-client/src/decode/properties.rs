//! All properties of a batch: what was seen of each, and the columns some of them have.

use arrow::array::{Array, StringArray};

use super::batch::{PropertyColumn, PropertyStats};
use super::column::{Column, Finished, Room};
use super::names::{NameId, NameTable, spell};
use super::number::{Number, is_wide};
use super::object::Slot;
use super::rebuild::rebuild_columns;
use super::scan::Value;
use crate::schema::ColumnKind;

/// Which properties become columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnPlan {
    /// Properties that have a column already, with its kind: batches give at least that kind.
    pub known: Vec<(String, ColumnKind)>,
    /// How many other properties may get a column, in the order of their first value. They keep it
    /// until the next plan.
    pub room: usize,
}

impl ColumnPlan {
    /// A column for every property, as far as any table has that many (2,048).
    pub fn all() -> Self {
        Self { known: Vec::new(), room: 2_048 }
    }
}

/// What one batch has of one property. Nothing of it is kept for the next one.
#[derive(Debug, Clone)]
struct Counts {
    nulls: u64,
    booleans: u64,
    integers: u64,
    wide_integers: u64,
    floats: u64,
    huge_numbers: u64,
    strings: u64,
    objects: u64,
    arrays: u64,
    first_us: i64,
    last_us: i64,
}

const NOTHING: Counts = Counts {
    nulls: 0,
    booleans: 0,
    integers: 0,
    wide_integers: 0,
    floats: 0,
    huge_numbers: 0,
    strings: 0,
    objects: 0,
    arrays: 0,
    first_us: i64::MAX,
    last_us: i64::MIN,
};

/// The times of an event or profile, for the earliest and for the latest of a property.
type Times = (i64, i64);
/// Those of a profile that has none.
const NO_TIME: Times = (i64::MAX, i64::MIN);

impl Counts {
    #[inline]
    fn add(&mut self, value: &Value, (first_us, last_us): Times) {
        self.first_us = self.first_us.min(first_us);
        self.last_us = self.last_us.max(last_us);
        match value {
            Value::String { .. } => self.strings += 1,
            Value::Number(Number::Integer(integer)) => {
                self.integers += 1;
                self.wide_integers += u64::from(is_wide(*integer));
            }
            Value::Number(Number::Double(_)) => self.floats += 1,
            Value::Boolean(_) => self.booleans += 1,
            Value::Null => self.nulls += 1,
            Value::Object => self.objects += 1,
            Value::Array => self.arrays += 1,
            Value::Number(Number::Huge { integer }) => {
                self.huge_numbers += 1;
                *(if *integer { &mut self.integers } else { &mut self.floats }) += 1;
            }
        }
    }

    fn stats(&self, name: &str) -> Option<PropertyStats> {
        let rows = self.booleans + self.integers + self.floats + self.strings + self.objects + self.arrays;
        (rows + self.nulls > 0).then(|| PropertyStats {
            name: name.to_owned(),
            rows,
            nulls: self.nulls,
            booleans: self.booleans,
            integers: self.integers,
            wide_integers: self.wide_integers,
            floats: self.floats,
            huge_numbers: self.huge_numbers,
            strings: self.strings,
            objects: self.objects,
            arrays: self.arrays,
            first_seen_us: self.first_us,
            last_seen_us: self.last_us,
        })
    }
}

#[derive(Debug)]
struct Property {
    counts: Counts,
    /// Place in `columns`.
    column: Option<u32>,
}

#[derive(Debug)]
struct Promoted {
    property: NameId,
    /// The kind the column already has elsewhere.
    floor: Option<ColumnKind>,
    column: Column,
}

/// Names forgotten between batches beyond this many, so that a project that makes up property names
/// without end does not fill the memory.
const MAX_REMEMBERED: usize = 65_536;

/// The properties, by the number of their name.
#[derive(Debug)]
pub(crate) struct Properties {
    properties: Vec<Property>,
    columns: Vec<Promoted>,
    room: usize,
}

impl Properties {
    pub(crate) fn new(plan: &ColumnPlan, names: &mut NameTable) -> Self {
        let mut table = Self { properties: Vec::new(), columns: Vec::new(), room: plan.room };
        for (name, kind) in &plan.known {
            let property = names.intern(name.as_bytes(), &spell(name));
            table.cover(names);
            if property >= names.fixed() && table.properties[property as usize].column.is_none() {
                table.promote(property, Some(*kind));
            }
        }
        table
    }

    /// Makes sure that there is an entry for every name.
    #[inline]
    fn cover(&mut self, names: &NameTable) {
        while self.properties.len() < names.len() {
            self.properties.push(Property { counts: NOTHING, column: None });
        }
    }

    fn promote(&mut self, property: NameId, floor: Option<ColumnKind>) {
        self.properties[property as usize].column = Some(self.columns.len() as u32);
        self.columns.push(Promoted { property, floor, column: Column::new(floor, Room::default()) });
    }

    /// Takes over the properties of the event or profile in `row`, of the time `time_us` if it has
    /// one.
    #[inline]
    pub(crate) fn add(
        &mut self,
        row: usize,
        time_us: Option<i64>,
        slots: &[Slot],
        scanned: &[u8],
        names: &NameTable,
    ) {
        self.cover(names);
        let times = time_us.map_or(NO_TIME, |time| (time, time));
        for slot in slots {
            if slot.property < names.fixed() {
                continue;
            }
            let entry = &mut self.properties[slot.property as usize];
            entry.counts.add(&slot.value, times);
            if entry.column.is_none() && self.room > 0 && slot.value != Value::Null {
                self.room -= 1;
                self.promote(slot.property, None);
            }
            if let Some(column) = self.properties[slot.property as usize].column {
                self.columns[column as usize].column.set(row, slot.value, slot.text(scanned));
            }
        }
    }

    /// The batch's columns and statistics, in the order in which the properties were first met. The
    /// next batch starts with the same properties promoted and everything else empty.
    pub(crate) fn finish(
        &mut self,
        texts: &StringArray,
        names: &mut NameTable,
    ) -> (Vec<PropertyColumn>, Vec<PropertyStats>) {
        let mut stats = Vec::new();
        for (id, entry) in self.properties.iter_mut().enumerate() {
            stats.extend(std::mem::replace(&mut entry.counts, NOTHING).stats(names.name(id as NameId)));
        }
        let mut finished = Vec::new();
        for promoted in &mut self.columns {
            let next = Column::new(promoted.floor, promoted.column.room());
            let column = std::mem::replace(&mut promoted.column, next);
            finished.push((promoted.property, column.finish(texts.len())));
        }
        finished.sort_unstable_by_key(|(property, _)| *property);
        let lost: Vec<_> = finished
            .iter()
            .filter_map(|(property, column)| match column {
                Finished::Lost(kind) => Some((names.name(*property), *kind)),
                Finished::Empty | Finished::Array(..) => None,
            })
            .collect();
        let mut refilled = rebuild_columns(texts, &lost).into_iter();
        let mut columns = Vec::new();
        for (property, column) in finished {
            let (kind, values) = match column {
                Finished::Empty => continue,
                Finished::Array(kind, values) => (kind, Some(values)),
                Finished::Lost(kind) => (kind, refilled.next()),
            };
            let name = names.name(property).to_owned();
            columns.extend(values.map(|values| PropertyColumn { name, kind, values }));
        }
        if names.len() > MAX_REMEMBERED {
            self.forget(names);
        }
        (columns, stats)
    }

    /// Starts over with the names of the promoted properties only.
    fn forget(&mut self, names: &mut NameTable) {
        let old = names.start_over();
        let promoted = std::mem::take(&mut self.columns);
        self.properties.clear();
        for Promoted { property, floor, .. } in promoted {
            let name = old.name(property);
            let property = names.intern(name.as_bytes(), &spell(name));
            self.cover(names);
            self.promote(property, floor);
        }
    }
}
