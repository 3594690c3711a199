//! Tests of single lines; `tests/decode.rs` has the laws that hold for all of them.

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

use super::*;
use crate::decode::batch::{PropertyColumn, Reject};
use crate::schema::ColumnKind;
use crate::time::ClockMode;

fn decoder(plan: ColumnPlan) -> EventDecoder {
    EventDecoder::new(DecodeOptions { plan, ..DecodeOptions::default() })
}

fn batch(lines: &[&str]) -> DecodedBatch {
    let mut decoder = decoder(ColumnPlan::all());
    for (number, line) in (1..).zip(lines) {
        decoder.push(line.as_bytes(), number);
    }
    decoder.finish_batch()
}

/// An event whose properties are a time and these members.
fn event(members: &str) -> String {
    format!(r#"{{"event":"e","properties":{{"time":1700000000,"$insert_id":"i",{members}}}}}"#)
}

fn column<'a>(batch: &'a DecodedBatch, name: &str) -> &'a PropertyColumn {
    batch.columns.iter().find(|column| column.name == name).unwrap()
}

fn texts(batch: &DecodedBatch, name: &str) -> Vec<String> {
    let values = batch.rows.column_by_name(name).unwrap().as_string::<i32>();
    values.iter().map(|text| text.unwrap().to_owned()).collect()
}

fn times(batch: &DecodedBatch) -> Vec<i64> {
    batch.rows.column(1).as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

#[track_caller]
fn refused(line: impl AsRef<[u8]>, reason: RejectReason) {
    let mut decoder = decoder(ColumnPlan::all());
    decoder.push(line.as_ref(), 5);
    let batch = decoder.finish_batch();
    let kept = &line.as_ref()[..line.as_ref().len().min(Reject::MAX_BYTES)];
    let reject = &batch.rejects[0];
    assert_eq!((reject.line, reject.reason), (5, reason), "{}", String::from_utf8_lossy(kept));
    assert!(reject.bytes == kept);
    assert_eq!((batch.rejects.len(), batch.rows.num_rows(), batch.lines), (1, 0, 1));
    assert!(batch.stats.is_empty() && batch.columns.is_empty() && batch.keys.is_empty());
}

#[test]
fn an_event_as_documented() {
    let line = r#"{"event":"Signed up","properties":{"time":1602611311,"distinct_id":"u1","$insert_id":"hpuD","mp_processing_time_ms":1602625711874,"plan":"pro","amount":12.50}}"#;
    let batch = batch(&[line]);
    assert_eq!(texts(&batch, "event_name"), ["Signed up"]);
    assert_eq!(texts(&batch, "distinct_id"), ["u1"]);
    assert_eq!(texts(&batch, "insert_id"), ["hpuD"]);
    assert_eq!(texts(&batch, "properties"), [&line[line.find("{\"time").unwrap()..line.len() - 1]]);
    assert_eq!(times(&batch), [1_602_611_311_000_000]);
    assert_eq!(batch.processed_ms, [Some(1_602_625_711_874)]);
    assert_eq!(batch.keys, [crate::export::event_key("Signed up", 1_602_611_311_000_000, "u1", "hpuD")]);
    let names: Vec<_> = batch.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    let expected = [
        ("mp_processing_time_ms", ColumnKind::BigInt),
        ("plan", ColumnKind::Varchar),
        ("amount", ColumnKind::Double),
    ];
    assert_eq!(names, expected);
    assert_eq!(batch.stats.len(), 3);
    assert_eq!((batch.stats[0].integers, batch.stats[0].first_seen_us), (1, 1_602_611_311_000_000));
    assert_eq!((batch.lines, batch.rejects.len()), (1, 0));
}

#[test]
fn space_order_and_unknown_members_do_not_matter() {
    let lines = [
        "\u{feff} {\"x\":[{}],\"properties\" : {\"time\":1} ,\"y\":null, \"event\" :\"e\"}\r",
        "{\"\\u0065vent\":\"e\",\"properties\":{\"time\":1}}\t \n",
    ];
    let batch = batch(&lines);
    assert_eq!(batch.rejects, []);
    assert_eq!(texts(&batch, "properties"), [r#"{"time":1}"#; 2]);
    assert_eq!(texts(&batch, "insert_id")[0], texts(&batch, "insert_id")[1]);
    assert_eq!(batch.keys[0], batch.keys[1]);
    assert_eq!(batch.processed_ms, [None, None]);
}

#[test]
fn a_byte_order_mark_only_at_the_start() {
    let mut decoder = decoder(ColumnPlan::all());
    decoder.push("\u{feff}{\"event\":\"e\",\"properties\":{\"time\":1}}".as_bytes(), 2);
    assert_eq!(decoder.finish_batch().rejects[0].reason, RejectReason::NotJson);
}

#[test]
fn of_duplicates_the_first_counts() {
    let first =
        r#"{"event":"a","event":1,"properties":{"time":1,"time":2,"p":1,"p":"x","\u0070":2},"properties":7}"#;
    let batch = batch(&[first]);
    assert_eq!((texts(&batch, "event_name"), times(&batch)), (vec!["a".to_owned()], vec![1_000_000]));
    assert_eq!(column(&batch, "p").kind, ColumnKind::BigInt);
    refused(r#"{"event":1,"event":"a","properties":{"time":1}}"#, RejectReason::NoEvent);
    refused(r#"{"event":"a","properties":7,"properties":{"time":1}}"#, RejectReason::NoProperties);
}

#[test]
fn lines_that_are_not_json() {
    let good = event(r#""p":1"#);
    for line in ["", " ", "terminated early", "export terminated early", "{", "nul", &good[..good.len() - 1]]
    {
        refused(line, RejectReason::NotJson);
    }
    for garbage in ["x", "}", ",", "{}", "\0", " 1"] {
        refused(format!("{good}{garbage}"), RejectReason::NotJson);
    }
    for value in ["tru", "01", "1.", "\"\u{0}\"", "\"\t\"", "[1,]", "{\"a\"}", "'x'", r#""\x""#, "NaN", ""] {
        refused(event(&format!(r#""p":{value}"#)), RejectReason::NotJson);
    }
    refused(event(&format!(r#""p":{}"#, "[".repeat(1_000) + &"]".repeat(1_000))), RejectReason::NotJson);
    refused("[".repeat(1_000_000), RejectReason::NotJson);
    refused(r#"{"event":"e","properties":{"time":1,"p":[1}}"#, RejectReason::NotJson);
}

#[test]
fn nesting_up_to_128_levels() {
    // The line's object and that of the properties are two of them.
    let nested = |depth: usize| event(&format!(r#""p":{}{}"#, "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(batch(&[&nested(126)]).rejects, []);
    refused(nested(127), RejectReason::NotJson);
}

#[test]
fn lines_that_are_not_text() {
    refused(b"{\"event\":\"\xff\",\"properties\":{\"time\":1}}", RejectReason::NotUtf8);
    refused(b"{\"event\":\"e\",\"properties\":{\"time\":1,\"a\":\"\xed\xa0\x80\"}}", RejectReason::NotUtf8);
    for members in [r#""p":"\ud800""#, r#""\udc00":1"#, r#""p":[{"q":"\ud800\u0041"}]"#, r#""time":"\udfff""#]
    {
        refused(event(members), RejectReason::LoneSurrogate);
    }
    refused(r#"{"event":"\ud800","properties":{"time":1}}"#, RejectReason::LoneSurrogate);
    refused(r#"{"event":"e","properties":{"time":1},"x":"\ud800"}"#, RejectReason::LoneSurrogate);
}

#[test]
fn lines_that_are_no_events() {
    for line in
        ["{}", "[]", "1", "null", r#"{"properties":{"time":1}}"#, r#"{"event":null,"properties":{"time":1}}"#]
    {
        refused(line, RejectReason::NoEvent);
    }
    for line in [r#"{"event":"e"}"#, r#"{"event":"e","properties":null}"#, r#"{"event":"e","properties":[]}"#]
    {
        refused(line, RejectReason::NoProperties);
    }
    for line in [r#"{"event":"e","properties":{}}"#, r#"{"event":"e","properties":{"time":null}}"#] {
        refused(line, RejectReason::NoTime);
    }
    for time in [
        r#""1700000000""#,
        "true",
        "[]",
        "{}",
        "-1",
        "-0.5",
        "1e400",
        "1e18",
        "253402300800000",
        "99999999999999999999",
    ] {
        refused(format!(r#"{{"event":"e","properties":{{"time":{time}}}}}"#), RejectReason::BadTime);
    }
    for id in ["true", "false", "[]", r#"{"a":1}"#] {
        refused(event(&format!(r#""distinct_id":{id}"#)), RejectReason::BadDistinctId);
    }
}

#[test]
fn seconds_and_milliseconds() {
    let cases = [
        ("0", 0),
        ("-0", 0),
        ("1700000000", 1_700_000_000_000_000),
        ("1700000000123", 1_700_000_000_123_000),
        ("1700000000.25", 1_700_000_000_250_000),
        ("1700000000.123457", 1_700_000_000_123_457),
        ("1.7e9", 1_700_000_000_000_000),
        ("1700000000123.5", 1_700_000_000_123_500),
        ("99999999999", 99_999_999_999_000_000),
        ("100000000000", 100_000_000_000_000),
        ("253402300799999", 253_402_300_799_999_000),
    ];
    for (time, expected) in cases {
        let line = format!(r#"{{"event":"e","properties":{{"time":{time}}}}}"#);
        assert_eq!(times(&batch(&[&line])), [expected], "{time}");
    }
}

#[test]
fn the_clock_is_the_projects() {
    let clock = ProjectClock::new("America/New_York", ClockMode::LocalAsUtc).unwrap();
    let mut decoder = EventDecoder::new(DecodeOptions { clock, ..DecodeOptions::default() });
    // 2022-11-06 01:30 happens twice; the first is meant. Then noon of the same day.
    for time in [1_667_698_200, 1_667_736_000] {
        decoder.push(format!(r#"{{"event":"e","properties":{{"time":{time}}}}}"#).as_bytes(), 1);
    }
    decoder.push(br#"{"event":"e","properties":{"time":253402300799999}}"#, 3);
    let batch = decoder.finish_batch();
    assert_eq!(times(&batch)[..2], [1_667_712_600_000_000, 1_667_754_000_000_000]);
    assert_eq!(batch.rejects.len() + batch.rows.num_rows(), 3);
}

#[test]
fn users() {
    let cases = [
        (r#""distinct_id":"a\nb""#, "a\nb"),
        (r#""distinct_id":"""#, ""),
        (r#""distinct_id":null"#, ""),
        (r#""x":1"#, ""),
        (r#""distinct_id":-12.50"#, "-12.50"),
        (r#""distinct_id":123456789012345678901234567890"#, "123456789012345678901234567890"),
    ];
    for (members, expected) in cases {
        assert_eq!(texts(&batch(&[&event(members)]), "distinct_id"), [expected]);
    }
}

#[test]
fn insert_ids_are_made_when_there_are_none() {
    let with = |members: &str| {
        let line = format!(r#"{{"event":"e","properties":{{"time":1,{members}}}}}"#);
        texts(&batch(&[&line]), "insert_id").swap_remove(0)
    };
    assert_eq!(with(r#""$insert_id":"a\u0062""#), "ab");
    assert_eq!(with(r#""$insert_id":1.50"#), "1.50");
    let made = with(r#""a":1,"b":[1, 2]"#);
    assert!(made.starts_with("mp-") && made.len() == 35 && made[3..].bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(made, with(r#""b":[1, 2],"\u0061":1"#));
    // Without an insert id, what was processed twice was sent twice.
    for other in [
        r#""b":[1, 2],"a":1,"mp_processing_time_ms":5"#,
        r#""a":1,"b":[1,2]"#,
        r#""a":1"#,
        r#""a":1,"b":[1, 2],"c":null"#,
        r#""a":"1","b":[1, 2]"#,
    ] {
        assert_ne!(made, with(other));
    }
    for none in ["null", "true", "[]", "{}", "\"\""] {
        assert!(with(&format!(r#""$insert_id":{none}"#)).starts_with("mp-"));
    }
    // Ids in stored tables must stay what they are.
    assert_eq!(made, "mp-7e4be907ae2abc90ab1ac0958096eb0d");
}

#[test]
fn kinds_of_values() {
    let batch = batch(&[&event(
        r#""b":true,"i":-5,"f":1.50,"z":-0,"s":"x\"","o":{"a": 1},"a":[1 ,2],"n":null,"big":9223372036854775808,"huge":1e400,"":"empty","Plan":1,"plan":"x""#,
    )]);
    let kinds: Vec<_> = batch.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    use ColumnKind::{BigInt, Boolean, Double, Json, Mixed, Varchar};
    let expected = [
        ("b", Boolean),
        ("i", BigInt),
        ("f", Double),
        ("z", Double),
        ("s", Varchar),
        ("o", Json),
        ("a", Json),
        ("big", Mixed),
        ("huge", Mixed),
        ("", Varchar),
        ("Plan", BigInt),
        ("plan", Varchar),
    ];
    assert_eq!(kinds, expected);
    let text = |name: &str| column(&batch, name).values.as_string::<i32>().value(0).to_owned();
    assert_eq!((text("s"), text("o"), text("a")), ("x\"".into(), r#"{"a": 1}"#.into(), "[1 ,2]".into()));
    assert_eq!((text("big"), text("huge")), ("9223372036854775808".into(), "1e400".into()));
    let stats = |name: &str| batch.stats.iter().find(|stats| stats.name == name).unwrap();
    assert_eq!((stats("n").nulls, stats("n").rows, stats("n").kind()), (1, 0, None));
    assert_eq!((stats("big").integers, stats("big").huge_numbers), (1, 1));
    assert_eq!((stats("huge").floats, stats("huge").huge_numbers), (1, 1));
    for column in &batch.columns {
        assert_eq!(stats(&column.name).kind(), Some(column.kind));
    }
}

#[test]
fn absent_and_null_values() {
    let lines = [event(r#""p":null"#), event(r#""p":1,"q":true"#), event(r#""q":null"#), event(r#""p":2"#)];
    let batch = batch(&lines.each_ref().map(String::as_str));
    let p: Vec<_> = column(&batch, "p").values.as_primitive::<Int64Type>().iter().collect();
    assert_eq!(p, [None, Some(1), None, Some(2)]);
    let q: Vec<_> = column(&batch, "q").values.as_boolean().iter().collect();
    assert_eq!(q, [None, Some(true), None, None]);
}

#[test]
fn widening_keeps_the_exact_text() {
    let lines =
        [event(r#""p":1.50,"q":1"#), event(r#""p":"x","q":2.0"#), event(r#""p":7"#), event(r#""p":[1.0]"#)];
    let batch = batch(&lines.each_ref().map(String::as_str));
    let p: Vec<_> = column(&batch, "p").values.as_string::<i32>().iter().flatten().collect();
    assert_eq!((column(&batch, "p").kind, p), (ColumnKind::Mixed, vec!["1.50", "x", "7", "[1.0]"]));
    let q: Vec<_> = column(&batch, "q").values.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(q, [Some(1.0), Some(2.0), None, None]);
}

#[test]
fn the_plan_is_a_floor() {
    let known = vec![
        ("m".to_owned(), ColumnKind::Mixed),
        ("d".to_owned(), ColumnKind::Double),
        ("b".to_owned(), ColumnKind::Boolean),
        ("absent".to_owned(), ColumnKind::Json),
        ("time".to_owned(), ColumnKind::BigInt),
    ];
    let mut decoder = decoder(ColumnPlan { known, room: 0 });
    for _ in 0..2 {
        decoder.push(event(r#""other":1,"b":"x","d":3,"m":5"#).as_bytes(), 1);
        let batch = decoder.finish_batch();
        let kinds: Vec<_> = batch.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
        assert_eq!(kinds, [("m", ColumnKind::Mixed), ("d", ColumnKind::Double), ("b", ColumnKind::Mixed)]);
        assert_eq!(column(&batch, "m").values.as_string::<i32>().value(0), "5");
        assert_eq!(column(&batch, "d").values.as_primitive::<Float64Type>().value(0), 3.0);
        assert_eq!(batch.stats.len(), 4);
    }
}

#[test]
fn room_goes_to_the_first_values_and_stays() {
    let mut decoder = decoder(ColumnPlan { known: Vec::new(), room: 2 });
    let names = |batch: &DecodedBatch| batch.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    decoder.push(event(r#""a":null,"b":1"#).as_bytes(), 1);
    decoder.push(event(r#""c":1,"a":2,"bad":"#).as_bytes(), 2);
    decoder.push(event(r#""a":1,"c":1,"d":1"#).as_bytes(), 3);
    assert_eq!(names(&decoder.finish_batch()), ["a", "b"]);
    decoder.push(event(r#""d":1,"c":1,"a":"x""#).as_bytes(), 4);
    let batch = decoder.finish_batch();
    assert_eq!((names(&batch), batch.columns[0].kind), (vec!["a".to_owned()], ColumnKind::Varchar));
    decoder.push(event(r#""a":1,"d":1"#).as_bytes(), 5);
    decoder.set_plan(ColumnPlan { known: vec![("d".to_owned(), ColumnKind::BigInt)], room: 0 });
    assert_eq!(names(&decoder.finish_batch()), ["a"]);
    decoder.push(event(r#""a":1,"d":1"#).as_bytes(), 5);
    assert_eq!(names(&decoder.finish_batch()), ["d"]);
}

#[test]
fn batches_are_independent() {
    let mut decoder = decoder(ColumnPlan::all());
    decoder.push(event(r#""p":"x""#).as_bytes(), 1);
    decoder.push(b"nonsense", 2);
    decoder.reject(3, RejectReason::TooLong, b"abc");
    assert!(decoder.rows() == 1 && decoder.bytes() > 100);
    let first = decoder.finish_batch();
    assert_eq!((first.lines, first.rejects.len()), (3, 2));
    assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
    decoder.push(event(r#""p":1"#).as_bytes(), 4);
    let second = decoder.finish_batch();
    assert_eq!((second.lines, second.columns[0].kind, second.stats[0].strings), (1, ColumnKind::BigInt, 0));
    let empty = decoder.finish_batch();
    assert_eq!((empty.lines, empty.rows.num_rows(), empty.rows.num_columns()), (0, 0, 5));
}

#[test]
fn a_line_of_20_megabytes() {
    let long = "ä\\n".repeat(20 << 18);
    let line = event(&format!(r#""p":"{long}""#));
    assert!(line.len() > 20_000_000);
    let batch = batch(&[&line]);
    let value = column(&batch, "p").values.as_string::<i32>().value(0).to_owned();
    assert_eq!(value, long.replace("\\n", "\n"));
}

#[test]
fn names_without_end() {
    let mut decoder = decoder(ColumnPlan { known: vec![("k".to_owned(), ColumnKind::BigInt)], room: 1 });
    for round in 0..3 {
        let members: Vec<_> = (0..50_000).map(|n| format!(r#""p {round} {n}":{n}"#)).collect();
        decoder.push(event(&format!(r#""k":1,"p":2,{}"#, members.join(","))).as_bytes(), 1);
        assert!(decoder.bytes() > 50_000 * 200);
        let batch = decoder.finish_batch();
        assert_eq!((batch.columns.len(), batch.stats.len()), (2, 50_002));
        assert_eq!((&batch.columns[0].name[..], &batch.columns[1].name[..]), ("k", "p"));
    }
}

#[test]
fn rebuilding_gives_the_same_column() {
    let lines = [event(r#""p":1.50,"q":{"a":"\u0000"}"#), event(r#""p":true,"q":[1]"#)];
    let batch = batch(&lines.each_ref().map(String::as_str));
    let properties: &StringArray = batch.rows.column(4).as_string();
    for column in &batch.columns {
        let again = crate::export::rebuild_column(properties, &column.name, column.kind);
        assert_eq!(&*again, &*column.values);
        assert_eq!(again.len(), 2);
    }
}

#[test]
fn a_decoder_goes_to_another_thread() {
    let mut decoder = decoder(ColumnPlan::all());
    let batch = std::thread::spawn(move || {
        decoder.push(event(r#""p":1"#).as_bytes(), 1);
        decoder.finish_batch()
    });
    assert_eq!(batch.join().unwrap().rows.num_rows(), 1);
}

#[test]
fn what_was_not_asked_for_is_refused_by_the_time_in_utc() {
    // 1 June 2024 in Tokyo: from 15:00 UTC of the day before.
    let start = 1_717_167_600_000_000;
    let day = 86_400_000_000;
    let clock = ProjectClock::new("Asia/Tokyo", ClockMode::LocalAsUtc).unwrap();
    let options = DecodeOptions { clock, within: Some((start, start + day)), ..DecodeOptions::default() };
    let mut decoder = EventDecoder::new(options);
    let first = 1_717_200_000;
    for (number, time) in [first - 1, first, first + 86_399, first + 86_400].into_iter().enumerate() {
        let line = format!(r#"{{"event":"e","properties":{{"time":{time}}}}}"#);
        decoder.push(line.as_bytes(), number as u64 + 1);
    }
    let batch = decoder.finish_batch();
    let refused: Vec<_> = batch.rejects.iter().map(|reject| (reject.line, reject.reason)).collect();
    assert_eq!(refused, [(1, RejectReason::OtherDay), (4, RejectReason::OtherDay)]);
    assert_eq!((batch.rows.num_rows(), batch.lines), (2, 4));
}
