//! Serving a folder of recorded files.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use jiff::civil::date;
use mixpanel_sim::{SimConfig, SimError, Simulator, Source, World};

use crate::support::*;

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("mixpanel-sim-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn config(&self) -> SimConfig {
        SimConfig { source: Source::Recorded(self.0.clone()), ..small() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn line(event: &str, time: u64, id: &str, rest: &str) -> String {
    format!(
        r#"{{"event": "{event}",  "properties":{{"$insert_id":"{id}","distinct_id":"u","time":{time}{rest}}}}}"#
    )
}

#[test]
fn lines_are_served_as_they_were_recorded() {
    let folder = Folder::new("lines");
    // 2025-08-01T00:00:00Z and two days later; one time is in milliseconds.
    let (first, third) = (1_754_006_400, 1_754_006_400 + 2 * 86_400);
    let a = line("a", first, "1", r#","x":"\u2028 1e3","n":1.0"#);
    let b = line("b", third + 5, "2", "");
    let again = line("b", third + 5, "2", r#","mp_processing_time_ms":9"#);
    let c = line("c", (first + 86_399) * 1000, "3", "");
    fs::write(folder.0.join("1.jsonl"), format!("{a}\n{b}\n\n{again}")).unwrap();
    let file = fs::File::create(folder.0.join("2.jsonl.gz")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(format!("{c}\n").as_bytes()).unwrap();
    gzip.finish().unwrap();
    fs::write(folder.0.join("notes.txt"), "not an export").unwrap();

    let simulator = Simulator::start(folder.config()).unwrap();
    let world = simulator.world();
    assert_eq!((world.first_day(), world.last_day()), (date(2025, 8, 1), date(2025, 8, 3)));
    assert_eq!(world.event_count(world.first_day(), world.last_day()), 4);
    assert_eq!(world.unique_count(world.first_day(), world.last_day()), 3);
    // The recording is later than the configured `today`, so its own last day counts.
    let all = export(&simulator, "2025-08-01", "2025-08-03", &[]);
    assert_eq!(all.text(), format!("{a}\n{c}\n{b}\n{again}\n"));
    assert_eq!(export(&simulator, "2025-08-02", "2025-08-02", &[]).body().len(), 0);
    assert_eq!(export(&simulator, "2025-08-01", "2025-08-04", &[]).status, 400);
    let filtered = export(&simulator, "2025-08-01", "2025-08-03", &[("event", r#"["a"]"#)]);
    assert_eq!(filtered.text(), format!("{a}\n"));
    // Only the number changes, wherever in the line it stands.
    let ms = export(&simulator, "2025-08-03", "2025-08-03", &[("time_in_ms", "true"), ("limit", "1")]).text();
    let (head, tail) = b.split_once(&(third + 5).to_string()).unwrap();
    assert!(ms.starts_with(head) && ms.trim_end().ends_with(tail));
    assert_eq!(ms.trim_end().len(), b.len() + 3);
}

#[test]
fn what_cannot_be_served_is_an_error_at_the_start() {
    let folder = Folder::new("wrong");
    assert!(matches!(World::load(&folder.config()), Err(SimError::Config(_))));
    for (text, at) in [("{}\n", 1), ("\n\nnot json\n", 3), (r#"{"event":"a","properties":{"time":"x"}}"#, 1)]
    {
        fs::write(folder.0.join("1.jsonl"), text).unwrap();
        match World::load(&folder.config()) {
            Err(SimError::Line { line, .. }) => assert_eq!(line, at),
            other => panic!("{other:?}"),
        }
    }
    let missing = SimConfig { source: Source::Recorded(folder.0.join("nowhere")), ..small() };
    assert!(matches!(Simulator::start(missing), Err(SimError::Read { .. })));
    let zone = SimConfig { timezone: "Mars/Olympus".to_owned(), ..small() };
    assert!(matches!(Simulator::start(zone), Err(SimError::Config(_))));
}

/// Mixpanel's page on deduplication: by name, time, user and insert id together; an event that was
/// sent without an insert id takes no part.
#[test]
fn only_events_with_an_insert_id_are_counted_once() {
    let folder = Folder::new("identity");
    let time = 1_754_006_400_u64;
    let without = format!(r#"{{"event":"bare","properties":{{"distinct_id":"u","time":{time},"n":1}}}}"#);
    let processed = without.replace(r#""n":1"#, r#""n":1,"mp_processing_time_ms":7"#);
    let lines = [
        line("a", time, "1", ""),
        line("a", time, "1", r#","mp_processing_time_ms":9"#),
        line("a", time * 1000 + 1, "1", ""),
        line("a", time * 1000 + 2, "1", ""),
        without.clone(),
        without.clone(),
        processed,
        without.replace(r#""n":1"#, r#""$insert_id":null"#),
        without.replace(r#""n":1"#, r#""$insert_id":"""#),
    ];
    fs::write(folder.0.join("1.jsonl"), lines.join("\n")).unwrap();
    let simulator = Simulator::start(folder.config()).unwrap();
    let day = date(2025, 8, 1);
    assert_eq!(simulator.world().event_count(day, day), 9);
    assert_eq!(simulator.world().unique_count(day, day), 3 + 5);
    for (name, expected) in [("a", 3), ("bare", 5)] {
        let asked = [("event", name), ("from_date", "2025-08-01"), ("to_date", "2025-08-01")];
        let answer = ask(&simulator, "segmentation", &asked).json();
        assert_eq!(answer["data"]["values"][name]["2025-08-01"], expected, "{name}");
    }
}
