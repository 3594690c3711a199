//! What reading costs at least, and what the slowest way costs.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::read::MultiGzDecoder;
use mixpanel_client::export::{
    ColumnPlan, ContentEncoding, DecodeOptions, Decompressed, EventDecoder, Line, Lines,
};
use mixpanel_data::arrow::array::RecordBatch;
use serde_json::Value;

use crate::loaders::{tell, tell_usage};

/// The files of a pattern `folder/*.jsonl.gz`, in the order of their names.
fn files(pattern: &str) -> Vec<PathBuf> {
    let folder = Path::new(pattern).parent().unwrap();
    let paths = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "gz")).collect();
    files.sort();
    files
}

/// The blocks of a file as they would come off the wire.
fn blocks(path: &Path) -> impl Iterator<Item = mixpanel_client::Result<bytes::Bytes>> {
    let mut file = File::open(path).unwrap();
    std::iter::from_fn(move || {
        let mut block = vec![0; 64 << 10];
        let length = file.read(&mut block).unwrap();
        block.truncate(length);
        (length > 0).then(|| Ok(block.into()))
    })
}

/// Decompresses all files with the code of the fetch, and decodes them if wanted.
pub(crate) fn read(decode: bool, pattern: &str) {
    let started = Instant::now();
    let mut decoder =
        EventDecoder::new(DecodeOptions { plan: ColumnPlan::all(), ..DecodeOptions::default() });
    let keep = |batch: RecordBatch| drop(std::hint::black_box(batch));
    for path in files(pattern) {
        if !decode {
            Decompressed::new(ContentEncoding::Gzip, blocks(&path)).for_each(|block| drop(block.unwrap()));
            continue;
        }
        for block in Lines::decode(ContentEncoding::Gzip, blocks(&path)) {
            for (number, line) in block.unwrap().lines() {
                let Line::Data(line) = line else { panic!("a line is too long") };
                decoder.push(line, number);
                if decoder.rows() == 4096 {
                    keep(decoder.finish_batch().rows);
                }
            }
        }
    }
    keep(decoder.finish_batch().rows);
    tell_usage(started);
}

/// As the Python original writes: a prepared `INSERT OR IGNORE` for each row, a
/// transaction for each thousand, a primary key.
pub(crate) fn row_by_row(pattern: &str, path: &str, rows: usize) {
    let connection = duckdb::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE events (event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL,
                 distinct_id VARCHAR NOT NULL, insert_id VARCHAR PRIMARY KEY, properties JSON)",
        )
        .unwrap();
    let started = Instant::now();
    let mut insert =
        connection.prepare("INSERT OR IGNORE INTO events VALUES (?, make_timestamp(?), ?, ?, ?)").unwrap();
    let lines = files(pattern).into_iter().flat_map(|path| {
        BufReader::new(MultiGzDecoder::new(File::open(path).unwrap())).lines().map(Result::unwrap)
    });
    let mut done = 0;
    connection.execute_batch("BEGIN").unwrap();
    for line in lines.take(rows) {
        let mut event: Value = serde_json::from_str(&line).unwrap();
        let mut properties = event["properties"].take();
        let fields = properties.as_object_mut().unwrap();
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => text,
            other => other.unwrap_or_default().to_string(),
        };
        let (user, id, time) = (text("distinct_id"), text("$insert_id"), text("time"));
        let time = time.parse::<i64>().unwrap() * 1_000_000;
        let name = event["event"].as_str().unwrap();
        insert.execute(duckdb::params![name, time, user, id, properties.to_string()]).unwrap();
        done += 1;
        if done % 1_000 == 0 {
            connection.execute_batch("COMMIT; BEGIN").unwrap();
        }
    }
    connection.execute_batch("COMMIT").unwrap();
    tell("rows", f64::from(done));
    tell_usage(started);
}
