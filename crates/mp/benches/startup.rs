//! How long `mp` takes to start, beside a program that does nothing.
//!
//! `cargo bench --workspace --profile dev --bench startup` prints medians and ratios. With `-- --large`,
//! a database of a gigabyte is made in the temporary folder first, and `mp tables` is timed on it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 41;

fn time(program: &Path, args: &[&str]) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let mut command = Command::new(program);
            command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let started = Instant::now();
            let status = command.status().expect("the program starts");
            assert!(status.success(), "{program:?} {args:?}");
            started.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}

fn main() {
    let mp = Path::new(env!("CARGO_BIN_EXE_mp"));
    let nothing = time(Path::new("true"), &[]);
    let print = |name: &str, taken: Duration| {
        let ratio = taken.as_secs_f64() / nothing.as_secs_f64();
        println!(
            "{name:<34} {:>8.2} ms  {ratio:>6.1} × a program that does nothing",
            taken.as_secs_f64() * 1e3
        );
    };
    print("true", nothing);
    print("mp --version", time(mp, &["--version"]));
    print("mp sql --memory \"select 1\"", time(mp, &["sql", "--memory", "select 1"]));
    if std::env::args().any(|arg| arg == "--large") {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let db = folder.path().join("large.duckdb");
        let db = db.to_str().expect("a plain path");
        let run = |args: &[&str]| {
            let done = Command::new(mp).args(args).stdout(Stdio::null()).status();
            assert!(done.is_ok_and(|status| status.success()), "{args:?}");
        };
        run(&["-q", "demo", "--db", db]);
        // Random text does not shrink: 64 bytes a row.
        let fill = "CREATE TABLE filling AS SELECT sha256(random()::VARCHAR) AS t FROM range(16000000)";
        run(&["sql", "--db", db, "--write", fill]);
        let size = std::fs::metadata(db).map_or(0, |meta| meta.len());
        print(&format!("mp tables, {:.2} GB", size as f64 / 1e9), time(mp, &["tables", "--db", db]));
    }
}
