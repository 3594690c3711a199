//! Laws of decoding, checked against an independent reading of the same lines.
//!
//! `PROPTEST_CASES` sets how many cases each law gets.

mod generate;
mod oracle;

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use mixpanel_client::export::{
    ColumnPlan, DecodeOptions, DecodedBatch, EventDecoder, RejectReason, rebuild_column,
};
use mixpanel_client::schema::ColumnKind;
use proptest::prelude::*;

type Lines = [Vec<u8>];

fn decoder(plan: ColumnPlan) -> EventDecoder {
    EventDecoder::new(DecodeOptions { plan, ..DecodeOptions::default() })
}

fn decode(lines: &Lines, plan: ColumnPlan) -> DecodedBatch {
    let mut decoder = decoder(plan);
    for (number, line) in (1..).zip(lines) {
        decoder.push(line, number);
    }
    decoder.finish_batch()
}

/// A column's values in a form that compares exactly.
fn rendered(values: &ArrayRef, kind: ColumnKind) -> Vec<Option<String>> {
    assert_eq!(values.data_type(), &kind.arrow_type());
    match kind {
        ColumnKind::Boolean => values.as_boolean().iter().map(|v| v.map(|v| v.to_string())).collect(),
        ColumnKind::BigInt => {
            values.as_primitive::<Int64Type>().iter().map(|v| v.map(|v| v.to_string())).collect()
        }
        ColumnKind::Double => {
            values.as_primitive::<Float64Type>().iter().map(|v| v.map(oracle::exact)).collect()
        }
        ColumnKind::Varchar | ColumnKind::Json | ColumnKind::Mixed => {
            values.as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect()
        }
    }
}

fn text(batch: &DecodedBatch, column: usize) -> Vec<&str> {
    batch.rows.column(column).as_string::<i32>().iter().map(Option::unwrap).collect()
}

/// Compares everything a batch says with what the oracle says about its lines.
fn agree(lines: &Lines, known: &[(String, ColumnKind)], batch: &DecodedBatch) -> Result<(), TestCaseError> {
    let unmarked = |(place, line): (usize, &Vec<u8>)| {
        let marked = place == 0 && line.starts_with("\u{feff}".as_bytes());
        oracle::read(if marked { &line[3..] } else { line })
    };
    let read: Vec<_> = lines.iter().enumerate().map(unmarked).collect();
    let refused = (1u64..).zip(&read).filter_map(|(number, read)| Some((number, *read.as_ref().err()?)));
    let rejects: Vec<_> = batch.rejects.iter().map(|reject| (reject.line, reject.reason)).collect();
    prop_assert_eq!(rejects, refused.collect::<Vec<_>>());
    let events: Vec<_> = read.iter().filter_map(|read| read.as_ref().ok()).collect();
    prop_assert_eq!(batch.lines, lines.len() as u64);
    prop_assert_eq!(batch.rows.num_rows(), events.len());
    prop_assert_eq!((batch.keys.len(), batch.processed_ms.len()), (events.len(), events.len()));

    prop_assert_eq!(text(batch, 0), events.iter().map(|event| &event.name[..]).collect::<Vec<_>>());
    let times = batch.rows.column(1).as_primitive::<TimestampMicrosecondType>().values().to_vec();
    prop_assert_eq!(times, events.iter().map(|event| event.time_us).collect::<Vec<_>>());
    prop_assert_eq!(text(batch, 2), events.iter().map(|event| &event.distinct_id[..]).collect::<Vec<_>>());
    for (got, event) in text(batch, 3).into_iter().zip(&events) {
        match &event.insert_id {
            Some(expected) => prop_assert_eq!(got, expected),
            None => prop_assert!(got.starts_with("mp-") && got.len() == 35),
        }
    }
    prop_assert_eq!(text(batch, 4), events.iter().map(|event| &event.properties[..]).collect::<Vec<_>>());
    prop_assert_eq!(&batch.processed_ms, &events.iter().map(|event| event.processed_ms).collect::<Vec<_>>());

    let mut properties: BTreeMap<&str, oracle::Property<'_>> = BTreeMap::new();
    for (row, event) in events.iter().enumerate() {
        for (name, raw) in &event.members {
            if !["time", "distinct_id", "$insert_id"].contains(&&name[..]) {
                properties.entry(name).or_default().values.push((row, raw, event.time_us));
            }
        }
    }
    for stats in &batch.stats {
        let property = properties.get(&stats.name[..]);
        prop_assert!(property.is_some(), "{} was not there", stats.name);
        prop_assert_eq!(stats, &property.unwrap().stats(&stats.name));
    }
    prop_assert_eq!(batch.stats.len(), properties.len());

    let mut expected = BTreeMap::new();
    for (name, property) in &properties {
        let floor = known.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind);
        if let Some(kind) = property.kind(floor) {
            expected.insert(*name, (kind, property.column(kind, events.len())));
        }
    }
    let mut got = BTreeMap::new();
    for column in &batch.columns {
        let values = rendered(&column.values, column.kind);
        let again = rebuild_column(batch.rows.column(4).as_string(), &column.name, column.kind);
        prop_assert_eq!(&rendered(&again, column.kind), &values);
        got.insert(&column.name[..], (column.kind, values));
    }
    prop_assert_eq!(got, expected);
    Ok(())
}

proptest! {
    #[test]
    fn events_decode_to_what_they_say(lines in generate::lines(12)) {
        agree(&lines, &[], &decode(&lines, ColumnPlan::all()))?;
    }

    #[test]
    fn known_columns_are_never_narrowed(
        lines in generate::lines(8),
        kinds in prop::collection::vec(prop::sample::select(&ColumnKind::ALL[..]), generate::KEYS.len()),
    ) {
        let known: Vec<_> = generate::KEYS.iter().map(|key| (*key).to_owned()).zip(kinds).collect();
        agree(&lines, &known, &decode(&lines, ColumnPlan { known: known.clone(), room: 1_000 }))?;
    }

    #[test]
    fn damaged_lines_are_refused_for_the_right_reason(lines in prop::collection::vec(generate::damaged(), 1..8)) {
        agree(&lines, &[], &decode(&lines, ColumnPlan::all()))?;
    }

    #[test]
    fn any_bytes_at_all(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8)) {
        agree(&lines, &[], &decode(&lines, ColumnPlan::all()))?;
    }

    #[test]
    fn any_tokens_at_all(lines in prop::collection::vec(generate::tokens(), 0..8)) {
        agree(&lines, &[], &decode(&lines, ColumnPlan::all()))?;
    }

    #[test]
    fn order_makes_no_difference(
        (lines, shuffled) in generate::lines(10).prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle()))
    ) {
        let kinds = |batch: &DecodedBatch| {
            batch.columns.iter().map(|column| (column.name.clone(), column.kind)).collect::<BTreeMap<_, _>>()
        };
        let rows = |batch: &DecodedBatch| {
            let columns: BTreeMap<_, _> =
                batch.columns.iter().map(|c| (&c.name[..], rendered(&c.values, c.kind))).collect();
            let mut rows: Vec<_> = (0..batch.rows.num_rows())
                .map(|row| {
                    let values: Vec<_> = columns.iter().map(|(name, v)| (name.to_string(), v[row].clone())).collect();
                    (batch.keys[row], text(batch, 4)[row].to_owned(), values)
                })
                .collect();
            rows.sort();
            rows
        };
        let (one, other) = (decode(&lines, ColumnPlan::all()), decode(&shuffled, ColumnPlan::all()));
        prop_assert_eq!(kinds(&one), kinds(&other));
        prop_assert_eq!(rows(&one), rows(&other));
    }

    #[test]
    fn cutting_makes_no_difference(
        lines in generate::lines(12),
        cuts in prop::collection::vec(any::<bool>(), 12),
    ) {
        let whole = decode(&lines, ColumnPlan::all());
        let mut decoder = decoder(ColumnPlan::all());
        let mut batches = Vec::new();
        for ((number, line), cut) in (1..).zip(&lines).zip(cuts) {
            decoder.push(line, number);
            if cut {
                batches.push(decoder.finish_batch());
            }
        }
        batches.push(decoder.finish_batch());
        for column in &whole.columns {
            let mut values = Vec::new();
            let mut kind = None;
            for batch in &batches {
                let properties = batch.rows.column(4).as_string();
                values.extend(rendered(&rebuild_column(properties, &column.name, column.kind), column.kind));
                let part = batch.columns.iter().find(|part| part.name == column.name);
                kind = kind.into_iter().chain(part.map(|part| part.kind)).reduce(ColumnKind::join);
                if let Some(part) = part.filter(|part| part.kind == column.kind) {
                    let direct = rendered(&part.values, part.kind);
                    prop_assert_eq!(&values[values.len() - direct.len()..], &direct[..]);
                }
            }
            prop_assert_eq!(&values, &rendered(&column.values, column.kind));
            // Only an integer that a double would round makes the whole wider than its parts.
            let stats = whole.stats.iter().find(|stats| stats.name == column.name).unwrap();
            prop_assert!(kind == Some(column.kind) || stats.wide_integers > 0);
        }
        let mut merged = BTreeMap::new();
        for stats in batches.iter().flat_map(|batch| &batch.stats) {
            merged.entry(&stats.name).and_modify(|sum: &mut mixpanel_client::export::PropertyStats| sum.merge(stats))
                .or_insert_with(|| stats.clone());
        }
        prop_assert_eq!(merged.into_values().collect::<Vec<_>>(), {
            let mut stats = whole.stats.clone();
            stats.sort_by(|a, b| a.name.cmp(&b.name));
            stats
        });
        prop_assert_eq!(batches.iter().flat_map(|batch| batch.keys.clone()).collect::<Vec<_>>(), whole.keys.clone());
        prop_assert_eq!(batches.iter().map(|batch| batch.lines).sum::<u64>(), whole.lines);
        let properties: Vec<_> = batches.iter().flat_map(|batch| text(batch, 4)).collect();
        prop_assert_eq!(properties, text(&whole, 4));
    }

    #[test]
    fn made_insert_ids_know_no_order(
        members in prop::collection::btree_map("[a-z]{1,4}", generate::value(), 0..8).prop_flat_map(|members| {
            let members: Vec<_> = members.into_iter().collect();
            (Just(members.clone()), Just(members).prop_shuffle())
        }),
        processed in any::<[i64; 2]>(),
    ) {
        let line = |members: &[(String, String)], processed: i64| {
            let members: String = members.iter().map(|(name, value)| format!(r#","{name}":{value}"#)).collect();
            format!(r#"{{"event":"e","properties":{{"time":5,"mp_processing_time_ms":{processed}{members}}}}}"#)
                .into_bytes()
        };
        let lines = [
            line(&members.0, processed[0]),
            line(&members.1, processed[0]),
            line(&members.1, processed[1]),
        ];
        let batch = decode(&lines, ColumnPlan::all());
        prop_assert_eq!(batch.rows.num_rows(), 3);
        let ids = text(&batch, 3);
        prop_assert_eq!(&ids[0], &ids[1]);
        prop_assert_eq!(batch.keys[0], batch.keys[1]);
        prop_assert_eq!(ids[0] == ids[2], processed[0] == processed[1]);
    }
}

#[test]
fn every_reason_has_words() {
    use RejectReason::*;
    let reasons = [
        TooLong,
        NotUtf8,
        NotJson,
        LoneSurrogate,
        NoEvent,
        NoProperties,
        NoTime,
        BadTime,
        OtherDay,
        BadDistinctId,
    ];
    let mut words: Vec<_> = reasons.iter().map(|reason| (reason.to_string(), reason.as_str())).collect();
    words.sort();
    words.dedup_by_key(|words| words.1);
    assert_eq!(words.len(), reasons.len());
}
