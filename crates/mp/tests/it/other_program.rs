//! The program of this build beside another one that must behave alike: the Python package's `mp`,
//! which is the same code over another DuckDB. `MP_TEST_PROGRAM` names it, and `ci/python.sh` runs
//! these tests. With that variable all other tests of this folder run the other program too.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::live::{QUESTIONS, TIMELESS, days};
use crate::program::commands;
use crate::signals::holder;
use crate::support::{DB, Place, Running, fetch_all, listening, mp, simulator, small_world};

fn native() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_mp"))
}

fn both() -> [&'static Path; 2] {
    assert_ne!(mp(), native(), "MP_TEST_PROGRAM names another program");
    [native(), mp()]
}

/// What a run leaves: the exit code and both streams, but for when the server answered.
fn run(place: &Place, program: &Path, words: &[&str]) -> (Option<i32>, Vec<u8>, String) {
    let output = place.program(program).args(words).output().unwrap();
    let now = regex::bytes::Regex::new(r"T\d\d:\d\d:\d\d\.\d{6}\+00:00").unwrap();
    let stdout = if words.contains(&"engage-stats") {
        now.replace_all(&output.stdout, &b"T00:00:00.000000+00:00"[..]).into_owned()
    } else {
        output.stdout
    };
    (output.status.code(), stdout, String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn same(place: &Place, words: &[&str]) {
    let [ours, other] = both().map(|program| run(place, program, words));
    if ours != other {
        let text = |(code, out, err): &(Option<i32>, Vec<u8>, String)| {
            format!("exit {code:?}\n{}{err}", String::from_utf8_lossy(out))
        };
        panic!("{words:?}\n--- native\n{}\n--- {}\n{}", text(&ours), mp().display(), text(&other));
    }
}

/// Commands that print no data of their own: they change something, wait for a person, or their
/// output tells how long it took.
const OTHERS: [&str; 19] = [
    "demo",
    "fetch events",
    "fetch profiles",
    "load",
    "import-original",
    "repair",
    "sync",
    "auth login",
    "auth add",
    "auth import",
    "auth switch",
    "auth remove",
    "auth test",
    "query activity-feed",
    "query report",
    "inspect drop",
    "inspect drop-all",
    "shell",
    "sim",
];

/// Commands without a question of their own in `live.rs`.
const MORE: [&[&str]; 22] = [
    &["verify"],
    &["plan", "--from", "2025-01-01", "--to", "2025-01-31"],
    &["status"],
    &["auth", "list"],
    &["auth", "show", "nobody"],
    &["auth", "status"],
    &["inspect", "events"],
    &["inspect", "lexicon-schema", "--type", "event", "--name", "Purchase"],
    &["sql", "SELECT * FROM events ORDER BY ALL LIMIT 20"],
    &["sql", "SELECT * FROM events_flat ORDER BY ALL LIMIT 20"],
    &["sql", "SELECT * FROM profiles_flat ORDER BY ALL LIMIT 20"],
    &["sql", "-p", "name=Purchase", "SELECT count(*) FROM events WHERE event_name = $name"],
    &[
        "sql",
        "--plot",
        "SELECT event_time::DATE AS day, count(*) AS events FROM events GROUP BY ALL ORDER BY 1",
    ],
    &["sql", "SELECT nope FROM events"],
    &["sql", "DELETE FROM _events"],
    &["run", "nothing"],
    &["info"],
    &["tables"],
    &["schema", "events_flat"],
    &["doctor"],
    &["help", "formats"],
    &["completions", "bash"],
];

/// One row of everything that DuckDB has a type for.
const TYPES: &str = "SELECT true AS b, 1::UTINYINT AS u1, -1::HUGEINT AS h, 170141183460469231731687303715884105727::HUGEINT AS big, \
    1.5::FLOAT AS f, 0.1::DOUBLE AS d, 'nan'::DOUBLE AS nan, 12.50::DECIMAL(10,2) AS dec, 'tex\"t, é' AS t, \
    '\\xAA'::BLOB AS blob, DATE '2024-02-29' AS day, TIME '12:34:56.789' AS time, TIMESTAMP '2024-01-01 00:00:00.123456' AS ts, \
    TIMESTAMP_S '2024-01-01 00:00:00' AS s, TIMESTAMP_NS '2024-01-01 00:00:00.123456789' AS ns, \
    TIMESTAMPTZ '2024-01-01 00:00:00+02' AS tz, INTERVAL '1 month 2 days 3 seconds' AS i, \
    'b0a1e6a8-1111-4222-8333-444455556666'::UUID AS id, '101'::BIT AS bits, [1, NULL, 3] AS list, \
    {'a': 1, 'b': [true]} AS struct, MAP {'k': 1} AS map, 'x'::ENUM ('x', 'y') AS en, '{\"a\": 1.10}'::JSON AS json, \
    union_value(n := 5) AS un, NULL AS nothing";

#[test]
#[ignore = "needs another program in MP_TEST_PROGRAM"]
fn both_programs_print_the_same() {
    let simulator = simulator(3, 600);
    let place = Place::at(&simulator).with("MP_DB", DB);
    place.ok(fetch_all(&simulator));
    place.ok(["fetch", "profiles", "--db", DB]);
    let days = days(&simulator);
    let dated = QUESTIONS.iter().map(|words| [words, &days.each_ref().map(String::as_str)[..]].concat());
    let all: Vec<Vec<&str>> = dated.chain(TIMELESS.iter().chain(&MORE).map(|words| words.to_vec())).collect();
    // A command that is new has to be compared, or named as one that cannot be.
    let compared: BTreeSet<String> = commands(&place)
        .iter()
        .map(|words| words.join(" "))
        .filter(|name| !all.iter().any(|words| words.join(" ").starts_with(name.as_str())))
        .collect();
    let others: BTreeSet<String> =
        OTHERS.iter().map(|name| (*name).to_owned()).chain(["man".to_owned()]).collect();
    assert!(compared.is_subset(&others), "not compared: {:?}", compared.difference(&others));
    // Each question in one format, so that all formats have their turn.
    let formats = ["table", "vertical", "plain", "json", "jsonl", "csv", "tsv", "markdown"];
    // A sample is another one each time.
    let all = all.iter().filter(|words| !words.starts_with(&["inspect", "sample"]));
    for (at, words) in all.enumerate() {
        let takes_format = !matches!(words[0], "help" | "completions") && !words.contains(&"--plot");
        let format = ["--format", formats[at % formats.len()]];
        same(&place, &[&words[..], if takes_format { &format } else { &[] }].concat());
    }
    for format in formats.iter().chain(&["arrow"]) {
        let types = if *format == "arrow" {
            TYPES.replace("union_value(n := 5) AS un, ", "")
        } else {
            TYPES.to_owned()
        };
        same(&place, &["sql", "--memory", "--format", format, &types]);
    }
    same(&place, &["sql", "--format", "parquet", "SELECT * FROM events_flat ORDER BY ALL"]);
}

#[test]
#[ignore = "needs another program in MP_TEST_PROGRAM"]
fn both_programs_end_alike() {
    let world = small_world();
    let place = Place::at(&world);
    place.ok(fetch_all(&world));
    let many = "SELECT * FROM range(3000000)";
    let endless = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b WHERE a.range < b.range";
    let ends = both().map(|program| {
        let shell = |script: &str| {
            let mut command = place.program(Path::new("bash"));
            let words = ["-c", script, program.to_str().unwrap(), many];
            let output = command.args(words).output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (output.status.code(), text(output.stdout), text(output.stderr))
        };
        // A reader that has seen enough, standard streams that are closed, a full device.
        let pipe = shell("\"$0\" sql --memory --format csv \"$1\" | head -n 2; echo ${PIPESTATUS[0]}");
        let closed = shell("\"$0\" sql --memory --format csv \"$1\" >&-; echo $? 2>&1");
        let all_closed = shell("\"$0\" sql --db new.duckdb --write 'CREATE TABLE t AS SELECT 1' <&- >&- 2>&-; echo $?");
        let full = shell("\"$0\" sql --memory --format csv \"$1\" >/dev/full; echo $?");
        // What it writes is its user's alone, whatever the umask.
        let made = shell(
            "umask 0; rm -f made.duckdb; \"$0\" demo --days 1 --events-per-day 5 --db made.duckdb >/dev/null 2>&1; \
             \"$0\" sql --memory --output made.csv 'SELECT 1'; stat -c '%a %n' made.*",
        );
        let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].map(|signal| {
            let start = || {
                let mut command = place.program(program);
                command.args(["sql", "--write", "--db", DB, endless]).stdin(Stdio::null());
                listening(&mut command);
                Running::start(command)
            };
            let (child, _) = holder(start, || place.run(["info", "--no-snapshot", "--db", DB]));
            child.signal(signal);
            let run = child.end();
            (run.code, run.stdout, run.stderr)
        });
        let ignored = shell("(trap '' INT; \"$0\" sql --memory 'SELECT 1' & kill -INT $!; wait $!; echo $?)");
        (pipe, closed, all_closed, full, made, signals, ignored)
    });
    assert_eq!(ends[0], ends[1]);
}
