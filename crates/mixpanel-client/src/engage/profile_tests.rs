use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;

use super::*;
use crate::schema::ColumnKind;

fn batch(results: &[&str]) -> DecodedBatch {
    let mut decoder = ProfileDecoder::new(&ColumnPlan::all());
    for (number, result) in (1..).zip(results) {
        decoder.push(result.as_bytes(), number);
    }
    decoder.finish_batch()
}

fn texts(batch: &DecodedBatch, column: usize) -> Vec<&str> {
    batch.rows.column(column).as_string::<i32>().iter().map(Option::unwrap).collect()
}

fn times(batch: &DecodedBatch) -> Vec<Option<i64>> {
    batch.rows.column(2).as_primitive::<TimestampMicrosecondType>().iter().collect()
}

#[test]
fn ids_are_exact_texts() {
    let batch = batch(&[
        r#"{"$distinct_id":"u1","$properties":{}}"#,
        r#"{"$distinct_id":17,"$properties":{}}"#,
        r#"{"$distinct_id":1.50e3,"$properties":{}}"#,
        r#"{"$properties":{"a":1},"\u0024distinct_id":"a\"b\u00e9"}"#,
        r#"{"$distinct_id":"","$properties":{}}"#,
        r#"{"$distinct_id":123456789012345678901234567890,"$properties":{}}"#,
    ]);
    let expected = ["u1", "17", "1.50e3", "a\"bé", "", "123456789012345678901234567890"];
    assert_eq!(texts(&batch, 0), expected);
    assert_eq!(batch.keys[0], xxh3_64(b"u1"));
    assert!(batch.rejects.is_empty());
}

#[test]
fn properties_are_kept_byte_for_byte_and_become_columns() {
    let batch = batch(&[
        r#"{"$distinct_id":"a","$properties":{ "$last_seen" : "2024-01-02T03:04:05" , "time":7, "plan":"pro" }}"#,
        r#"{"$distinct_id":"b","$properties":{"time":8,"distinct_id":"other","last_seen":"x"}}"#,
    ]);
    assert_eq!(texts(&batch, 1)[0], r#"{ "$last_seen" : "2024-01-02T03:04:05" , "time":7, "plan":"pro" }"#);
    let names: Vec<&str> = batch.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["time", "plan", "distinct_id", "last_seen"]);
    assert_eq!(batch.columns[0].kind, ColumnKind::BigInt);
    let values: Vec<_> = batch.columns[0].values.as_primitive::<Int64Type>().iter().collect();
    assert_eq!(values, [Some(7), Some(8)]);
    let time = 1_704_164_645_000_000;
    assert_eq!(times(&batch), [Some(time), None]);
    let seen = |name: &str| batch.stats.iter().find(|seen| seen.name == name).unwrap();
    assert_eq!((seen("plan").first_seen_us, seen("plan").last_seen_us), (time, time));
    assert_eq!((seen("last_seen").first_seen_us, seen("last_seen").last_seen_us), (i64::MAX, i64::MIN));
}

#[test]
fn odd_times_are_null_and_stay_in_the_text() {
    let odd = ["\"\"", "\"yesterday\"", "1717974520", "null", "{}", "\"1969-12-31T23:59:59\"", "true"];
    for value in odd {
        let batch =
            batch(&[&format!(r#"{{"$distinct_id":"a","$properties":{{"$last_seen":{value},"b":1}}}}"#)]);
        assert_eq!(times(&batch), [None], "{value}");
        assert!(texts(&batch, 1)[0].contains(value));
        assert_eq!(batch.columns.len(), 1);
    }
    let good = [
        ("2008-06-09T23:08:40", 1_213_052_920_000_000),
        ("2008-06-09 23:08:40", 1_213_052_920_000_000),
        ("2008-06-09T23:08:40.25", 1_213_052_920_250_000),
        ("2008-06-09T23:08:40Z", 1_213_052_920_000_000),
        ("2008-06-10T01:08:40+02:00", 1_213_052_920_000_000),
        ("2008-06-09", 1_212_969_600_000_000),
        ("2008-06-09T23:08:4\\u0030", 1_213_052_920_000_000),
    ];
    for (text, time) in good {
        let batch = batch(&[&format!(r#"{{"$distinct_id":"a","$properties":{{"$last_seen":"{text}"}}}}"#)]);
        assert_eq!(times(&batch), [Some(time)], "{text}");
    }
}

#[test]
fn an_id_without_a_profile_has_no_properties() {
    let batch = batch(&[
        r#"{"$distinct_id":"a","$properties":{"plan":"pro"}}"#,
        r#"{"$distinct_id":"b"}"#,
        r#"{"$distinct_id":"c","$properties":null}"#,
    ]);
    assert_eq!(texts(&batch, 1), [r#"{"plan":"pro"}"#, "{}", "{}"]);
    assert_eq!(batch.columns[0].values.null_count(), 2);
}

#[test]
fn what_is_no_profile_is_put_aside_with_the_reason() {
    let cases: [(&[u8], RejectReason); 9] = [
        (b"null", RejectReason::NoDistinctId),
        (b"{}", RejectReason::NoDistinctId),
        (br#"{"$distinct_id":null,"$properties":{}}"#, RejectReason::NoDistinctId),
        (br#"{"$distinct_id":["a"],"$properties":{}}"#, RejectReason::BadDistinctId),
        (br#"{"$distinct_id":"a","$properties":[]}"#, RejectReason::NoProperties),
        (br#"{"$distinct_id":"a","$properties":{}"#, RejectReason::NotJson),
        (b"{\"$distinct_id\":\"\xff\",\"$properties\":{}}", RejectReason::NotUtf8),
        (br#"{"$distinct_id":"a","$properties":{"b":"\ud83d"}}"#, RejectReason::LoneSurrogate),
        (b"", RejectReason::NotJson),
    ];
    let mut decoder = ProfileDecoder::new(&ColumnPlan::all());
    for (number, (result, _)) in (1..).zip(&cases) {
        decoder.push(result, number);
    }
    let batch = decoder.finish_batch();
    assert_eq!((batch.rows.num_rows(), batch.lines), (0, 9));
    let reasons: Vec<_> = batch.rejects.iter().map(|reject| (reject.line, reject.reason)).collect();
    let expected: Vec<_> = (1..).zip(cases.map(|(_, reason)| reason)).collect();
    assert_eq!(reasons, expected);
}

#[test]
fn records_decode_as_results_do() {
    let mut decoder = ProfileDecoder::new(&ColumnPlan::all());
    let record = ProfileParts { distinct_id: "a", last_seen_us: Some(5), properties: br#" {"time": 1} "# };
    decoder.push_record(&record, 1);
    decoder.push_record(&ProfileParts { properties: b"[]", ..record }, 2);
    let batch = decoder.finish_batch();
    assert_eq!((texts(&batch, 1), times(&batch)), (vec![r#"{"time": 1}"#], vec![Some(5)]));
    assert_eq!(batch.columns[0].name, "time");
    assert_eq!(batch.rejects[0].reason, RejectReason::NoProperties);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(results in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8)) {
        let mut decoder = ProfileDecoder::new(&ColumnPlan::all());
        results.iter().for_each(|result| decoder.push(result, 1));
        prop_assert_eq!(decoder.finish_batch().lines, results.len() as u64);
    }

    #[test]
    fn no_tokens_make_it_panic(tokens in proptest::collection::vec(
        proptest::sample::select(vec!["{", "}", "\"$distinct_id\"", ":", ",", "\"$properties\"", "\"$last_seen\"",
            "\"a\"", "1", "null", "\"2024-01-01\"", "[", "]", " "]), 0..40)) {
        let text = tokens.concat();
        let mut decoder = ProfileDecoder::new(&ColumnPlan::all());
        decoder.push(text.as_bytes(), 1);
        let batch = decoder.finish_batch();
        prop_assert_eq!(batch.rows.num_rows() + batch.rejects.len(), 1);
        if !batch.rejects.iter().any(|reject| reject.reason == RejectReason::NotJson) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }
}
