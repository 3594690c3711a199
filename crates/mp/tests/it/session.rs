//! A new user's first session, as its page tells it: from installing to an answer, at a terminal.
//!
//! A line that ends with `⏎` is a question and what is typed; the secret is not on the page.

use std::path::Path;

use mixpanel_sim::{Limits, SimConfig, Simulator};

use crate::docs::{blocks, docs, matches, steps};
use crate::shell::Terminal;
use crate::support::{Place, Run, mp};

const SECRET: &str = "never-to-be-seen-7f3a";

/// Makes the archive that is installed, out of the program of this build.
fn package(place: &Place) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/package.sh");
    let mut command = place.program(Path::new("bash"));
    command.arg(script).arg(mp()).env("OUT", place.here(""));
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn a_new_user_gets_from_installing_to_an_answer_as_the_page_says() {
    let text = std::fs::read_to_string(docs().join("tutorial/first-session.md")).unwrap();
    let simulator = Simulator::start(SimConfig {
        username: "reader.mp-service-account".to_owned(),
        secret: SECRET.to_owned(),
        project_id: 12345,
        today: jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date(),
        days: 31,
        events_per_day: 100,
        limits: Limits::off(),
        ..SimConfig::default()
    })
    .unwrap();
    let place = Place::new().with("MP_BASE_URL", simulator.base_url());
    package(&place);
    let mut terminal = Terminal::open(&place);
    let all: Vec<_> = blocks(&text, "terminal").iter().flat_map(|block| steps(block)).collect();
    assert!(all.len() > 5, "{} commands", all.len());
    for step in all {
        let answer = |line: &String| {
            let (question, answer) = line.strip_suffix('⏎')?.rsplit_once(": ")?;
            let answer = if question.starts_with("Secret") { SECRET } else { answer.trim() };
            Some((format!("{question}: "), answer.to_owned()))
        };
        let answers: Vec<(String, String)> = step.expected.iter().filter_map(answer).collect();
        let answers: Vec<(&str, &str)> = answers.iter().map(|(q, a)| (q.as_str(), a.as_str())).collect();
        let lines = terminal.run(&step.command, &answers).lines();
        assert!(lines.iter().all(|line| !line.contains(SECRET)), "the secret was shown: {lines:#?}");
        let shown = |line: &String| line.trim_end_matches('⏎').trim_end().to_owned();
        let expected: Vec<String> = step.expected.iter().map(shown).collect();
        let seen: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert!(
            expected.is_empty() || matches(&expected, &seen),
            "$ {}\nexpected:\n{}\nseen:\n{}",
            step.command,
            expected.join("\n"),
            lines.join("\n")
        );
        assert_eq!(terminal.code(), step.exit.to_string(), "$ {}\n{}", step.command, lines.join("\n"));
    }
}
