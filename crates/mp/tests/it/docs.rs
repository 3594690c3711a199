//! The pages under `docs`: every command in them is run, and the reference is what the program says.
//!
//! A block marked `console` is a session: lines that begin with `$ ` are commands (a here-document goes
//! on until its end), the lines below are what they print. `…` stands for anything; a command without
//! lines below may print what it likes; `# exit N` is an exit code other than 0. A block marked `sh` is
//! for the reader's own data: its `mp` commands are only parsed. A block marked `terminal` is a session
//! with questions (`session.rs`), and a picture below a block is what its last command shows
//! (`captures.rs`).

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::support::{Place, Run, mp};

pub(crate) fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

pub(crate) fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
    found.sort();
}

/// The blocks of a page that are marked so.
pub(crate) fn blocks(text: &str, mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut block, line.strip_prefix("```")) {
            (None, Some(language)) => block = Some((language.trim() == mark, String::new())),
            (Some(_), Some(_)) => {
                found.extend(block.take().filter(|(wanted, _)| *wanted).map(|(_, text)| text))
            }
            (Some((_, text)), None) => text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    found
}

pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) exit: i32,
    pub(crate) expected: Vec<String>,
}

pub(crate) fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut until: Option<String> = None;
    for line in block.lines() {
        if let (Some(end), Some(step)) = (&until, steps.last_mut()) {
            step.command.push_str(&format!("\n{line}"));
            if line == end {
                until = None;
            }
        } else if let Some(command) = line.strip_prefix("$ ") {
            let exit =
                command.rsplit_once("# exit ").and_then(|(_, code)| code.trim().parse().ok()).unwrap_or(0);
            until = command.split_once("<<'").and_then(|(_, rest)| Some(rest.split_once('\'')?.0.to_owned()));
            steps.push(Step { command: command.to_owned(), exit, expected: Vec::new() });
        } else {
            steps.last_mut().expect("a block begins with a command").expected.push(line.to_owned());
        }
    }
    steps
}

/// Whether the lines are those expected: a line `…` is any number of lines, `…` in a line any text.
pub(crate) fn matches(expected: &[String], lines: &[&str]) -> bool {
    match (expected.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "…" => {
            matches(rest, lines) || lines.split_first().is_some_and(|(_, later)| matches(expected, later))
        }
        (Some((first, rest)), Some((line, later))) => like(first, line) && matches(rest, later),
        _ => false,
    }
}

fn like(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('…') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    after.is_empty()
        || (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| like(after, &rest[at..]))
}

#[test]
fn dots_stand_for_anything() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a…c\n…\nz"), &["abc", "x", "y", "z"]));
    assert!(matches(&lines("…"), &[]));
    assert!(
        !matches(&lines("a"), &["b"]) && !matches(&lines("a"), &["a", "b"]) && !matches(&lines("…a"), &["b"])
    );
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs all steps of a page in one shell.
fn run(page: &Path, steps: &[Step]) {
    let place = Place::new();
    let port = free_port().to_string();
    let folder = mp().parent().unwrap();
    let mut script =
        format!("export PATH='{}':\"$PATH\"\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n", folder.display());
    for (at, step) in steps.iter().enumerate() {
        let command = step.command.replace("8123", &port);
        script.push_str(&format!("{command}\ncode=$?\n"));
        if command.contains("mp sim") {
            // It says where it is when it is there.
            script.push_str("tries=0; until [ -s sim.url ] || [ $tries -gt 600 ]; do tries=$((tries+1)); sleep 0.1; done\n");
        }
        script.push_str(&format!("printf '\\n@@%d %d\\n' {at} $code\n"));
    }
    let mut shell = place.program(Path::new("bash"));
    let output = Run::of(shell.args(["-c", &script]).output().unwrap());
    let mut rest = output.stdout.as_str();
    for (at, step) in steps.iter().enumerate() {
        let name = page.file_name().unwrap().to_string_lossy();
        let mark = format!("\n@@{at} ");
        let (printed, after) =
            rest.split_once(&mark).unwrap_or_else(|| panic!("{name}: {}: {output:?}", step.command));
        let (code, after) = after.split_once('\n').unwrap();
        assert_eq!(code, step.exit.to_string(), "{name}: {}\n{printed}\n{}", step.command, output.stderr);
        let printed = printed.replace(&port, "8123");
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            step.expected.is_empty() || matches(&step.expected, &lines),
            "{name}: {}\nexpected:\n{}\nprinted:\n{printed}\n{}",
            step.command,
            step.expected.join("\n"),
            output.stderr
        );
        rest = after;
    }
}

#[test]
fn every_session_runs_and_prints_what_the_page_says() {
    let mut all = Vec::new();
    pages(&docs(), &mut all);
    let mut count = 0;
    for page in all {
        let text = fs::read_to_string(&page).unwrap();
        let steps: Vec<Step> = blocks(&text, "console").iter().flat_map(|block| steps(block)).collect();
        if !steps.is_empty() {
            count += steps.len();
            run(&page, &steps);
        }
    }
    assert!(count > 50, "only {count} commands were found");
}

#[test]
fn commands_for_the_readers_own_data_are_words_that_mp_knows() {
    let mut all = Vec::new();
    pages(&docs(), &mut all);
    all.push(docs().join("../README.md"));
    let place = Place::new();
    for page in all {
        for block in blocks(&fs::read_to_string(&page).unwrap(), "sh") {
            for line in block.lines().filter(|line| line.starts_with("mp ")) {
                let words = format!(
                    "\"$0\" {} --help",
                    line.trim_start_matches("mp ").split(" #").next().unwrap().split(" > ").next().unwrap()
                );
                let mut shell = place.program(Path::new("sh"));
                let run = Run::of(shell.args(["-c", &words]).arg(mp()).output().unwrap());
                assert_eq!(run.code, Some(0), "{}: {line}: {run:?}", page.display());
            }
        }
    }
}

#[test]
fn the_reference_is_what_the_program_says() {
    let place = Place::new();
    place.ok(["reference", "made"]);
    for entry in fs::read_dir(place.here("made")).unwrap() {
        let made = entry.unwrap().path();
        let kept = docs().join("reference").join(made.file_name().unwrap());
        let text = fs::read_to_string(&made).unwrap();
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            fs::write(&kept, &text).unwrap();
        }
        let found = fs::read_to_string(&kept).unwrap_or_default();
        assert!(
            found == text,
            "{} is not what `mp reference` makes; UPDATE_REFERENCE=1 writes it",
            kept.display()
        );
    }
}

#[test]
fn the_summary_names_every_page_once() {
    let summary = fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    let mut all = Vec::new();
    pages(&docs(), &mut all);
    for page in all {
        let name = page.strip_prefix(docs()).unwrap().display().to_string();
        let chapters = summary.matches(&format!("({name})")).count();
        assert_eq!(chapters, usize::from(name != "SUMMARY.md"), "chapters of {name}");
    }
}

/// Names of functions, in Rust and in Python, and the paths of files, of this repository.
fn names_of_the_sources(folder: &Path, names: &mut BTreeSet<String>, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            if !matches!(&*name, "target" | "__pycache__" | "venv") && !name.starts_with('.') {
                names_of_the_sources(&path, names, files);
            }
            continue;
        }
        files.push(path.display().to_string());
        let word = match path.extension().and_then(|end| end.to_str()) {
            Some("rs") => "fn ",
            Some("py") => "def ",
            _ => continue,
        };
        let text = fs::read_to_string(&path).unwrap();
        names.extend(text.split(word).skip(1).map(|rest| {
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
        }));
    }
}

/// What is written as `code`.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn tests_and_files_that_the_documents_name_exist() {
    let root = docs().join("..");
    let (mut names, mut files) = (BTreeSet::new(), Vec::new());
    for folder in ["crates", "python", "ci"] {
        names_of_the_sources(&root.join(folder), &mut names, &mut files);
    }
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let architecture = read("ARCHITECTURE.md");
    let (_, invariants) = architecture.split_once("## Invariants").unwrap();
    let (invariants, _) = invariants.split_once("\n## ").unwrap();
    let reliability = read("docs/reliability.md");
    let is_name = |word: &str, underscores: usize| {
        word.matches('_').count() >= underscores
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    // In prose, a column or a setting has an underscore, too.
    let tests: Vec<&str> = quoted(invariants)
        .filter(|word| is_name(word, 1))
        .chain(quoted(&reliability).chain(quoted(&architecture)).filter(|word| is_name(word, 4)))
        .collect();
    assert!(tests.len() > 60, "{tests:?}");
    let missing: Vec<_> = tests.iter().filter(|name| !names.contains(**name)).collect();
    assert!(missing.is_empty(), "there are no functions of these names: {missing:?}");
    let paths = quoted(invariants)
        .chain(quoted(&reliability))
        .filter(|word| word.ends_with(".rs") || word.ends_with(".py"));
    let missing: Vec<_> =
        paths.filter(|word| !files.iter().any(|file| file.ends_with(&format!("/{word}")))).collect();
    assert!(missing.is_empty(), "there are no files of these names: {missing:?}");
}
