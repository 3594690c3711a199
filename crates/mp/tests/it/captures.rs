//! The pictures of terminals in the docs: each is what the command above it shows.
//!
//! `UPDATE_CAPTURES=1` draws them again.

use std::fs;
use std::path::Path;

use mixpanel_sim::{Limits, SimConfig, Simulator};

use crate::docs::{docs, pages, steps};
use crate::screen::Screen;
use crate::shell::{Terminal, program};
use crate::support::{Place, mp};

/// Checks a picture, or draws it again.
#[track_caller]
fn is_kept(svg: &str, path: &Path) {
    if std::env::var_os("UPDATE_CAPTURES").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, svg).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert!(kept == svg, "{} is not what is shown; UPDATE_CAPTURES=1 draws it again", path.display());
}

/// The commands of a page in their order, each with the picture that stands below its block.
fn commands(text: &str) -> Vec<(String, Option<String>)> {
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    for (at, part) in text.split("```").enumerate() {
        if at % 2 == 1 {
            if let Some(block) = part.strip_prefix("console\n") {
                found.extend(steps(block).into_iter().map(|step| (step.command, None)));
            }
            continue;
        }
        let image = part.lines().find_map(|line| {
            let path = line.strip_prefix("![")?.split_once("](../")?.1;
            Some(path.strip_suffix(')')?.to_owned())
        });
        if let (Some(image), Some(last)) = (image, found.last_mut()) {
            last.1 = Some(image);
        }
    }
    found
}

#[test]
fn pictures_of_terminals_are_what_the_commands_above_them_show() {
    let mut all = Vec::new();
    pages(&docs(), &mut all);
    let mut count = 0;
    for page in all {
        let commands = commands(&fs::read_to_string(&page).unwrap());
        if commands.iter().all(|(_, image)| image.is_none()) {
            continue;
        }
        let place = Place::new().with("PATH", program_path());
        let mut terminal = Terminal::open(&place);
        for (command, image) in commands {
            let screen = terminal.run(&command, &[]);
            if let Some(image) = image {
                is_kept(&screen.svg(&command), &docs().join(image));
                count += 1;
            }
        }
    }
    assert!(count >= 5, "only {count} pictures were found");
}

/// A PATH that leads to the program of this build.
fn program_path() -> String {
    let folder = mp().parent().unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default())
}

#[test]
fn a_fetch_shows_how_far_it_is() {
    // Slowly enough that the end, which is told from the rows of half a second and more, is not there before.
    let config = SimConfig {
        days: 30,
        events_per_day: 1_000,
        limits: Limits::off(),
        bytes_per_second: Some(200_000),
        ..SimConfig::default()
    };
    let simulator = Simulator::start(config).unwrap();
    let place = Place::at(&simulator);
    let (from, to) = (simulator.world().first_day().to_string(), simulator.world().last_day().to_string());
    let words = ["fetch", "events", "--from", &from, "--to", &to, "--concurrency", "1"];
    let mut fetch = program(&place, &words);
    let mut seen = Vec::new();
    for part in [" rows", "MB/s", "ETA "] {
        seen.extend_from_slice(expectrl::Expect::expect(&mut fetch, part).unwrap().as_bytes());
    }
    let screen = Screen::of(&seen);
    let line = screen.lines().last().cloned().unwrap_or_default();
    for part in [" rows  ", " MB  ", " MB/s", "  ETA"] {
        assert!(line.contains(part), "{part:?} in {line:?}");
    }
    assert!(line.chars().count() <= 80, "{line}");
    // It differs from run to run, so its picture is only drawn when it is asked for.
    let picture = docs().join("images/progress.svg");
    if std::env::var_os("UPDATE_CAPTURES").is_some() {
        is_kept(&screen.svg(&format!("mp {}", words.join(" "))), &picture);
    }
    let kept = fs::read_to_string(picture).unwrap_or_default();
    assert!(kept.contains(" rows  ") && kept.contains("ETA "), "UPDATE_CAPTURES=1 draws the picture");
}
