//! Rows as lines of JSON, in the shape in which they are stored.

use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use jiff::Timestamp;
use jiff::tz::Offset;

use super::push_line;
use crate::schema::PROPERTIES;

/// One object for each row: its columns in order. Times are UTC, without a zone, as SQL gives them,
/// and the properties are their exact text.
pub(super) fn records(rows: &RecordBatch) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    for row in 0..rows.num_rows() {
        line.clear();
        for (at, (field, values)) in rows.schema_ref().fields().iter().zip(rows.columns()).enumerate() {
            line.push(if at == 0 { b'{' } else { b',' });
            push_text(field.name(), &mut line);
            line.push(b':');
            push_value(field.name(), values, row, &mut line);
        }
        line.push(b'}');
        push_line(&line, &mut lines);
    }
    lines
}

fn push_value(name: &str, values: &ArrayRef, row: usize, into: &mut Vec<u8>) {
    if values.is_null(row) {
        into.extend_from_slice(b"null");
        return;
    }
    match values.data_type() {
        DataType::Timestamp(..) => {
            let micros = values.as_primitive::<TimestampMicrosecondType>().value(row);
            match Timestamp::from_microsecond(micros) {
                Ok(time) => {
                    let time = Offset::UTC.to_datetime(time);
                    write!(into, "\"{time}\"").expect("memory takes everything");
                }
                Err(_) => into.extend_from_slice(b"null"),
            }
        }
        _ if name == PROPERTIES => into.extend_from_slice(values.as_string::<i32>().value(row).as_bytes()),
        _ => push_text(values.as_string::<i32>().value(row), into),
    }
}

fn push_text(text: &str, into: &mut Vec<u8>) {
    serde_json::to_writer(into, text).expect("memory takes everything");
}

#[cfg(test)]
mod tests {
    use crate::engage::ProfileDecoder;
    use crate::export::{ColumnPlan, DecodeOptions, EventDecoder};

    #[test]
    fn events_are_written_as_they_are_stored() {
        let mut decoder = EventDecoder::new(DecodeOptions::default());
        let line = r#"{"event":"Say \"hi\"","properties":{"time":1602611311,"distinct_id":7,"$insert_id":"i","a": 1.50}}"#;
        decoder.push(line.as_bytes(), 1);
        let text = String::from_utf8(super::records(&decoder.finish_batch().rows)).unwrap();
        let expected = concat!(
            r#"{"event_name":"Say \"hi\"","event_time":"2020-10-13T17:48:31","distinct_id":"7","insert_id":"i","#,
            r#""properties":{"time":1602611311,"distinct_id":7,"$insert_id":"i","a": 1.50}}"#,
            "\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn profiles_are_written_as_they_are_stored_on_one_line_each() {
        let mut decoder = ProfileDecoder::new(&ColumnPlan::default());
        decoder.push(b"{\"$distinct_id\":\"a\",\"$properties\":{\n\"b\":1}}", 1);
        decoder.push(br#"{"$distinct_id":"c","$properties":{"$last_seen":"2024-01-02T03:04:05"}}"#, 2);
        let text = String::from_utf8(super::records(&decoder.finish_batch().rows)).unwrap();
        let expected = concat!(
            r#"{"distinct_id":"a","properties":{ "b":1},"last_seen":null}"#,
            "\n",
            r#"{"distinct_id":"c","properties":{"$last_seen":"2024-01-02T03:04:05"},"last_seen":"2024-01-02T03:04:05"}"#,
            "\n"
        );
        assert_eq!(text, expected);
    }
}
