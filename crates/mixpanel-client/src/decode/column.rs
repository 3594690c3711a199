//! One property's column under construction.
//!
//! Values arrive row by row; rows without one cost nothing until the next value comes. The kind
//! starts at that of the first value, or at a given floor, and only widens. What a widened column
//! already holds is converted in place, save where doubles must become text again: how they were
//! written is not known any more, so the column is given up and filled from the exact texts later.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, NullBufferBuilder, new_null_array};
use arrow::buffer::BooleanBuffer;

use super::number::{Number, is_wide};
use super::scan::Value;
use super::text::TextColumn;
use crate::schema::ColumnKind;

impl Value {
    /// The kind of a column that has only this value; none for null.
    #[inline]
    pub(crate) fn kind(&self) -> Option<ColumnKind> {
        Some(match self {
            Value::Null => return None,
            Value::Boolean(_) => ColumnKind::Boolean,
            Value::Number(Number::Integer(_)) => ColumnKind::BigInt,
            Value::Number(Number::Double(_)) => ColumnKind::Double,
            Value::Number(Number::Huge { .. }) => ColumnKind::Mixed,
            Value::String { .. } => ColumnKind::Varchar,
            Value::Object | Value::Array => ColumnKind::Json,
        })
    }
}

#[derive(Debug)]
enum Values {
    /// No value yet.
    Nothing,
    Boolean(Vec<bool>),
    BigInt(Vec<i64>),
    Double(Vec<f64>),
    /// `Varchar`, `Json` and `Mixed` alike: strings as what they say, others as their JSON text.
    Text(TextColumn),
    /// To be filled from the exact texts.
    Lost,
}

/// A column of one kind, which may widen.
#[derive(Debug)]
pub(crate) struct Column {
    kind: Option<ColumnKind>,
    values: Values,
    present: NullBufferBuilder,
    /// How many rows there are, nulls and all.
    rows: usize,
    /// Whether it has an integer that a double would round.
    wide: bool,
    room: Room,
}

/// How much to reserve for a column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Room {
    rows: usize,
    bytes: usize,
}

/// What became of a column.
#[derive(Debug)]
pub(crate) enum Finished {
    /// Nothing but nulls.
    Empty,
    /// Its kind and values.
    Array(ColumnKind, ArrayRef),
    /// Its kind; the values must be read from the exact texts.
    Lost(ColumnKind),
}

impl Column {
    /// An empty column whose kind will be at least `floor`.
    pub(crate) fn new(floor: Option<ColumnKind>, room: Room) -> Self {
        let present = NullBufferBuilder::new(room.rows);
        Self { kind: floor, values: Values::Nothing, present, rows: 0, wide: false, room }
    }

    /// What this column took: room for the next one like it.
    pub(crate) fn room(&self) -> Room {
        let bytes = if let Values::Text(text) = &self.values { text.bytes() } else { 0 };
        Room { rows: self.rows, bytes }
    }

    /// Sets the value of `row`, which is behind all rows set so far, widening the column if need
    /// be. `text` is the value's text, of a string without the quotes.
    #[inline]
    pub(crate) fn set(&mut self, row: usize, value: Value, text: &[u8]) {
        let Some(kind) = value.kind() else { return };
        let wide = matches!(value, Value::Number(Number::Integer(integer)) if is_wide(integer));
        if self.kind != Some(kind) || wide {
            self.admit(kind, wide);
        }
        self.put(row, value, text);
    }

    /// Sets the value of `row` as far as the column's kind can hold it.
    pub(crate) fn set_if_it_fits(&mut self, row: usize, value: Value, text: &[u8]) {
        let fits = match (self.kind, value.kind()) {
            (_, None) => false,
            (Some(ColumnKind::Double), Some(ColumnKind::BigInt)) => true,
            (Some(ColumnKind::Varchar | ColumnKind::Mixed), _) => true,
            (kind, its) => kind == its,
        };
        if fits {
            self.put(row, value, text);
        }
    }

    /// Widens the column so that it can take a value of this kind.
    fn admit(&mut self, kind: ColumnKind, wide: bool) {
        self.wide |= wide;
        let mut joined = self.kind.map_or(kind, |own| own.join(kind));
        if joined == ColumnKind::Double && self.wide {
            joined = ColumnKind::Mixed;
        }
        if self.kind != Some(joined) {
            self.widen(joined);
        }
    }

    #[cold]
    fn widen(&mut self, kind: ColumnKind) {
        self.kind = Some(kind);
        let values = std::mem::replace(&mut self.values, Values::Nothing);
        self.values = match (values, kind) {
            (Values::Nothing, _) => Values::Nothing,
            (Values::BigInt(integers), ColumnKind::Double) => {
                Values::Double(integers.into_iter().map(|integer| integer as f64).collect())
            }
            (Values::BigInt(integers), _) => {
                Values::Text(self.texts(&integers, |integer| integer.to_string()))
            }
            (Values::Boolean(booleans), _) => {
                Values::Text(self.texts(&booleans, |boolean| boolean.to_string()))
            }
            (Values::Double(_) | Values::Lost, _) => Values::Lost,
            (Values::Text(text), _) => Values::Text(text),
        };
    }

    fn texts<T>(&self, values: &[T], text: impl Fn(&T) -> String) -> TextColumn {
        let mut column = TextColumn::default();
        for (row, value) in values.iter().enumerate() {
            if self.present.is_valid(row) {
                column.push(text(value).as_bytes());
            } else {
                column.pad(row + 1);
            }
        }
        column
    }

    #[inline]
    fn put(&mut self, row: usize, value: Value, text: &[u8]) {
        if let Values::Nothing = self.values {
            self.start();
        }
        if self.rows < row {
            self.pad(row);
        }
        match (&mut self.values, value) {
            (Values::Text(column), Value::String { escaped }) => column.push_literal(text, escaped),
            (Values::Text(column), _) => column.push(text),
            (Values::BigInt(column), Value::Number(Number::Integer(integer))) => column.push(integer),
            (Values::Double(column), Value::Number(Number::Double(double))) => column.push(double),
            (Values::Double(column), Value::Number(Number::Integer(integer))) => column.push(integer as f64),
            (Values::Boolean(column), Value::Boolean(boolean)) => column.push(boolean),
            (Values::Lost, _) => return,
            (values, value) => unreachable!("a column widens before it takes {value:?}: {values:?}"),
        }
        self.present.append_non_null();
        self.rows += 1;
    }

    #[cold]
    fn start(&mut self) {
        let Room { rows, bytes } = self.room;
        self.values = match self.kind {
            None => Values::Nothing,
            Some(ColumnKind::Boolean) => Values::Boolean(Vec::with_capacity(rows)),
            Some(ColumnKind::BigInt) => Values::BigInt(Vec::with_capacity(rows)),
            Some(ColumnKind::Double) => Values::Double(Vec::with_capacity(rows)),
            Some(ColumnKind::Varchar | ColumnKind::Json | ColumnKind::Mixed) => {
                Values::Text(TextColumn::with_capacity(rows, bytes))
            }
        };
    }

    /// Appends nulls until there are `rows`.
    fn pad(&mut self, rows: usize) {
        match &mut self.values {
            Values::Nothing | Values::Lost => return,
            Values::Boolean(column) => column.resize(rows, false),
            Values::BigInt(column) => column.resize(rows, 0),
            Values::Double(column) => column.resize(rows, 0.0),
            Values::Text(column) => column.pad(rows),
        }
        self.present.append_n_nulls(rows - self.rows);
        self.rows = rows;
    }

    /// The column with `rows` rows.
    pub(crate) fn finish(mut self, rows: usize) -> Finished {
        self.pad(rows);
        let Some(kind) = self.kind else { return Finished::Empty };
        let nulls = self.present.build();
        let array: ArrayRef = match self.values {
            Values::Nothing => return Finished::Empty,
            Values::Lost => return Finished::Lost(kind),
            Values::Boolean(column) => Arc::new(BooleanArray::new(BooleanBuffer::from(column), nulls)),
            Values::BigInt(column) => Arc::new(Int64Array::new(column.into(), nulls)),
            Values::Double(column) => Arc::new(Float64Array::new(column.into(), nulls)),
            Values::Text(column) => column.finish(nulls),
        };
        Finished::Array(kind, array)
    }

    /// The column with `rows` rows, as an array of its kind even when it is empty.
    pub(crate) fn finish_array(self, rows: usize, kind: ColumnKind) -> ArrayRef {
        match self.finish(rows) {
            Finished::Array(_, array) => array,
            Finished::Empty | Finished::Lost(_) => new_null_array(&kind.arrow_type(), rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int64Type};

    const INT: Value = Value::Number(Number::Integer(7));
    const WIDE: Value = Value::Number(Number::Integer((1 << 53) + 1));
    const DOUBLE: Value = Value::Number(Number::Double(1.5));

    fn column(floor: Option<ColumnKind>, values: &[(usize, Value, &str)]) -> Finished {
        let mut column = Column::new(floor, Room::default());
        for (row, value, text) in values {
            column.set(*row, *value, text.as_bytes());
        }
        column.finish(5)
    }

    fn texts(finished: Finished) -> (ColumnKind, Vec<Option<String>>) {
        let Finished::Array(kind, array) = finished else { panic!("{finished:?}") };
        let column = array.as_string::<i32>();
        (kind, column.iter().map(|text| text.map(str::to_owned)).collect())
    }

    #[test]
    fn gaps_are_null() {
        let Finished::Array(kind, array) = column(None, &[(1, INT, "7"), (3, WIDE, "")]) else { panic!() };
        assert_eq!(kind, ColumnKind::BigInt);
        let values: Vec<_> = array.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(values, [None, Some(7), None, Some((1 << 53) + 1), None]);
    }

    #[test]
    fn integers_become_doubles() {
        let Finished::Array(kind, array) = column(None, &[(0, INT, "7"), (2, DOUBLE, "1.5"), (4, INT, "7")])
        else {
            panic!()
        };
        assert_eq!(kind, ColumnKind::Double);
        let values: Vec<_> = array.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(values, [Some(7.0), None, Some(1.5), None, Some(7.0)]);
    }

    #[test]
    fn no_integer_is_rounded() {
        let text = "9007199254740993";
        for values in [[(0, WIDE, text), (1, DOUBLE, "1.50")], [(0, DOUBLE, "1.50"), (1, WIDE, text)]] {
            match column(None, &values) {
                Finished::Array(kind, _) | Finished::Lost(kind) => assert_eq!(kind, ColumnKind::Mixed),
                Finished::Empty => panic!(),
            }
        }
        let (kind, _) = texts(column(Some(ColumnKind::Double), &[(0, WIDE, text)]));
        assert_eq!(kind, ColumnKind::Mixed);
    }

    #[test]
    fn exact_conversions_to_text() {
        let yes = Value::Boolean(true);
        let plain = Value::String { escaped: false };
        let (kind, values) = texts(column(None, &[(1, yes, "true"), (2, INT, "7"), (3, plain, "x")]));
        assert_eq!(kind, ColumnKind::Mixed);
        assert_eq!(values, [None, Some("true".into()), Some("7".into()), Some("x".into()), None]);
        let (kind, values) = texts(column(None, &[(1, INT, "7"), (2, Value::Object, "{}")]));
        assert_eq!(
            (kind, values[1].as_deref(), values[2].as_deref()),
            (ColumnKind::Mixed, Some("7"), Some("{}"))
        );
    }

    #[test]
    fn doubles_are_not_written_again() {
        let finished = column(None, &[(0, DOUBLE, "1.50"), (1, Value::Array, "[]"), (2, INT, "7")]);
        assert!(matches!(finished, Finished::Lost(ColumnKind::Mixed)));
    }

    #[test]
    fn a_floor_stays() {
        let (kind, values) = texts(column(Some(ColumnKind::Mixed), &[(0, DOUBLE, "1.50")]));
        assert_eq!((kind, values[0].as_deref()), (ColumnKind::Mixed, Some("1.50")));
        assert!(matches!(column(Some(ColumnKind::Json), &[(0, Value::Null, "null")]), Finished::Empty));
        let (kind, _) = texts(column(Some(ColumnKind::BigInt), &[(0, Value::Array, "[]")]));
        assert_eq!(kind, ColumnKind::Mixed);
    }

    #[test]
    fn only_what_fits() {
        for kind in ColumnKind::ALL {
            let mut column = Column::new(Some(kind), Room::default());
            let values = [Value::Null, Value::Boolean(true), INT, DOUBLE, Value::Array];
            for (row, value) in values.into_iter().enumerate() {
                column.set_if_it_fits(row, value, b"[]");
            }
            let array = column.finish_array(5, kind);
            assert_eq!((array.data_type(), array.len()), (&kind.arrow_type(), 5));
            let expected = match kind {
                ColumnKind::Boolean | ColumnKind::BigInt | ColumnKind::Json => 4,
                ColumnKind::Double => 3,
                ColumnKind::Varchar | ColumnKind::Mixed => 1,
            };
            assert_eq!(array.null_count(), expected, "{kind}");
        }
    }
}
