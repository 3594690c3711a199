use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use mixpanel_data::Value;
use mixpanel_data::arrow::record_batch::RecordBatch;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn bytes(format: Format, batch: &RecordBatch) -> Vec<u8> {
    let buffer = Buffer::default();
    let mut sink =
        format.sink(Out::to(buffer.clone()), Look { room: None, colour: false, escape_formulas: false });
    sink.begin(&batch.schema()).unwrap();
    // In pieces, as results come.
    for row in 0..batch.num_rows() {
        sink.batch(&batch.slice(row, 1)).unwrap();
    }
    sink.end().unwrap().finish().unwrap();
    let bytes = buffer.0.lock().unwrap();
    bytes.clone()
}

fn text(format: Format, list: &List) -> String {
    String::from_utf8(bytes(format, &list.batch().unwrap())).unwrap()
}

fn nothing() -> List {
    List::new([Column::text("name"), Column::number("n")])
}

fn odd() -> List {
    let mut list = List::new([
        Column::text("t"),
        Column::float("x"),
        Column::json("j"),
        Column::number("id"),
        Column::bytes("size"),
    ]);
    list.push([
        Value::Text("a\"b,|\u{1b}é".into()),
        Value::Double(f64::NAN),
        Value::Text(r#"{"n": 12345678901234567890123, "s": "é"}"#.into()),
        Value::Integer(9_007_199_254_740_993),
        Value::Integer(1_234_567),
    ]);
    list.push([Value::Null, Value::Double(1.5), Value::Null, Value::Integer(-1), Value::Null]);
    list
}

const ROWS: [Format; 8] = [
    Format::Table,
    Format::Json,
    Format::Jsonl,
    Format::Csv,
    Format::Tsv,
    Format::Markdown,
    Format::Vertical,
    Format::Plain,
];

#[test]
fn every_format_has_a_form_for_nothing() {
    let shown: String =
        ROWS.iter().map(|format| format!("## {format:?}\n{}", text(*format, &nothing()))).collect();
    insta::assert_snapshot!("formats_of_nothing", shown);
}

#[test]
fn every_format_writes_odd_values() {
    let shown: String =
        ROWS.iter().map(|format| format!("## {format:?}\n{}", text(*format, &odd()))).collect();
    insta::assert_snapshot!("formats_of_odd_values", shown);
}

#[test]
fn parquet_and_arrow_give_back_what_they_got() {
    use mixpanel_data::arrow::compute::concat_batches;
    use mixpanel_data::arrow::ipc::reader::StreamReader;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    for list in [odd(), nothing()] {
        let batch = list.batch().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes(Format::Parquet, &batch)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen().unwrap()).unwrap();
        let schema = std::sync::Arc::clone(reader.schema());
        let read: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        let read = concat_batches(&schema, &read).unwrap();
        assert_eq!(mixpanel_data::rows_of(&read).len(), batch.num_rows());
        assert_eq!(
            format!("{:?}", mixpanel_data::rows_of(&read)),
            format!("{:?}", mixpanel_data::rows_of(&batch))
        );

        let stream = StreamReader::try_new(io::Cursor::new(bytes(Format::Arrow, &batch)), None).unwrap();
        let schema = stream.schema();
        let read: Vec<RecordBatch> = stream.map(Result::unwrap).collect();
        let read = concat_batches(&schema, &read).unwrap();
        assert_eq!(read.schema(), batch.schema());
        assert_eq!(read.num_rows(), batch.num_rows());
    }
}
