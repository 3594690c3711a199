//! Columns from the exact texts: slower than decoding, and right for any property at any time.

use arrow::array::{Array, ArrayRef, StringArray};

use super::column::{Column, Room};
use super::names::{NameTable, OF_EVENTS, spell};
use super::object::read_object;
use super::scan::Scanner;
use crate::schema::ColumnKind;

/// The column of kind `kind` that the property `name` has in these texts of the `properties` column.
///
/// It fills a column that was widened, or that a property gets only now. A row without the
/// property, or with a value that the kind cannot hold, is null; `Mixed` and `Varchar` hold every
/// value, and `Double` holds integers, rounded beyond 2^53. A text that is null, or that is not a
/// JSON object, gives null.
pub fn rebuild_column(properties: &StringArray, name: &str, kind: ColumnKind) -> ArrayRef {
    let column = rebuild_columns(properties, &[(name, kind)]).pop();
    column.expect("one column for one name")
}

/// [`rebuild_column`] for several properties in one pass over the texts. The names are distinct.
pub fn rebuild_columns(properties: &StringArray, wanted: &[(&str, ColumnKind)]) -> Vec<ArrayRef> {
    let mut names = NameTable::new(OF_EVENTS);
    let mut columns = Vec::with_capacity(wanted.len());
    let mut place_of = Vec::new();
    for (place, (name, kind)) in wanted.iter().enumerate() {
        let id = names.intern(name.as_bytes(), &spell(name)) as usize;
        place_of.resize(names.len(), None);
        place_of[id] = Some(place);
        columns.push((Column::new(Some(*kind), Room::default()), *kind));
    }
    let (mut scratch, mut slots) = (Vec::new(), Vec::new());
    let rows = if wanted.is_empty() { 0 } else { properties.len() };
    for row in 0..rows {
        if properties.is_null(row) {
            continue;
        }
        let text = properties.value(row).as_bytes();
        if read_object(&mut Scanner::new(text), 0, &mut names, &mut scratch, &mut slots).is_err() {
            continue;
        }
        for slot in &slots {
            if let Some(Some(place)) = place_of.get(slot.property as usize) {
                let column = &mut columns[*place].0;
                column.set_if_it_fits(row, slot.value, slot.text(text));
            }
        }
    }
    columns.into_iter().map(|(column, kind)| column.finish_array(properties.len(), kind)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type};

    fn texts() -> StringArray {
        StringArray::from(vec![
            Some(r#"{"a":1.50,"b":true,"a":9}"#),
            Some(r#"{"b":{"c":[1, 2]},"\u0061":"x\n"}"#),
            None,
            Some(r#"{"b":null,"c":0}"#),
            Some("not an object"),
            Some(r#"{"time":12,"a":12}"#),
        ])
    }

    fn text_column(name: &str, kind: ColumnKind) -> Vec<Option<String>> {
        let column = rebuild_column(&texts(), name, kind);
        column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn mixed_is_the_exact_text() {
        let expected =
            [Some("1.50"), Some("x\n"), None, None, None, Some("12")].map(|text| text.map(str::to_owned));
        assert_eq!(text_column("a", ColumnKind::Mixed), expected);
        assert_eq!(text_column("b", ColumnKind::Mixed)[1].as_deref(), Some(r#"{"c":[1, 2]}"#));
        assert_eq!(text_column("b", ColumnKind::Json).iter().flatten().count(), 1);
        assert_eq!(text_column("none", ColumnKind::Varchar), [const { None }; 6]);
    }

    #[test]
    fn typed_is_what_fits() {
        let wanted = [("a", ColumnKind::BigInt), ("time", ColumnKind::Double), ("b", ColumnKind::Boolean)];
        let columns = rebuild_columns(&texts(), &wanted);
        let integers: Vec<_> = columns[0].as_primitive::<Int64Type>().iter().collect();
        assert_eq!(integers, [None, None, None, None, None, Some(12)]);
        let doubles: Vec<_> = columns[1].as_primitive::<Float64Type>().iter().collect();
        assert_eq!(doubles[5], Some(12.0));
        let booleans: Vec<_> = columns[2].as_boolean().iter().collect();
        assert_eq!(booleans, [Some(true), None, None, None, None, None]);
    }

    #[test]
    fn nothing_wanted_nothing_done() {
        assert!(rebuild_columns(&texts(), &[]).is_empty());
    }
}
