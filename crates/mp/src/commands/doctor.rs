//! `mp doctor`: what is wrong with the setup, each finding with its fix.

use std::fs;
use std::io::Write;
use std::path::Path;

use mixpanel_client::BaseUrls;
use mixpanel_data::{ErrorKind, Value};

use super::{Reader, shadows, shell_word};
use crate::args;
use crate::config::settings::{Key, Settings};
use crate::config::{self, data_folder, existing_database, state_folder};
use crate::error::{self, Error};
use crate::output::table::wrapped;
use crate::output::{self, Column, List};
use crate::ui::counted;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    /// Something may be missing; commands that do not need it work.
    Note,
    Wrong,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Note => "note",
            State::Wrong => "wrong",
        }
    }
}

struct Finding {
    check: &'static str,
    state: State,
    found: String,
    fix: Option<String>,
}

fn ok(check: &'static str, found: impl Into<String>) -> Finding {
    Finding { check, state: State::Ok, found: found.into(), fix: None }
}

fn note(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { check, state: State::Note, found: found.into(), fix: Some(fix.into()) }
}

fn wrong(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { check, state: State::Wrong, found: found.into(), fix: Some(fix.into()) }
}

/// A failure of one of our own functions, with the advice that it would have got.
fn failed(check: &'static str, error: &Error) -> Finding {
    let (what, hint) = error::explained(error);
    wrong(check, what, hint.unwrap_or_else(|| "see the message".to_owned()))
}

pub(crate) fn run(args: &args::Doctor, reader: Reader<'_>) -> Result<(), Error> {
    let mut findings = vec![config(reader)];
    if findings.iter().all(|finding| finding.state != State::Wrong) {
        findings.push(credentials(reader));
        findings.push(project(reader));
        findings.push(network(reader));
        findings.push(database(args, reader));
    }
    findings.push(folder("data folder", data_folder(reader.env).ok().as_deref()));
    findings.push(folder("state folder", state_folder(reader.env).as_deref()));
    findings.push(folder("temporary folder", Some(&std::env::temp_dir())));
    findings.push(engine(reader));
    if args.output.is_table(reader.ui) {
        let room = reader.ui.to_terminal.then(output::terminal_width);
        let mut out = output::stdout();
        out.write_all(told(&findings, room).as_bytes())?;
        out.flush()?;
        return outcome(&findings);
    }
    let mut list = List::new(["check", "state", "found", "fix"].map(Column::text));
    for finding in &findings {
        let state = finding.state.word();
        let fix = finding.fix.clone().map_or(Value::Null, Value::Text);
        let texts = [finding.check.to_owned(), state.to_owned(), finding.found.clone()];
        list.push(texts.map(Value::Text).into_iter().chain([fix]));
    }
    output::list(&args.output, reader.ui, &list)?;
    outcome(&findings)
}

fn outcome(findings: &[Finding]) -> Result<(), Error> {
    match findings.iter().filter(|finding| finding.state == State::Wrong).count() {
        0 => Ok(()),
        count => Err(Error::Unwell { count }),
    }
}

/// The findings for people: whole, whatever room there is, with a cure below what needs one.
fn told(findings: &[Finding], room: Option<usize>) -> String {
    let wide = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let left = wide + 9;
    let room = room.map(|room| room.saturating_sub(left).max(20));
    let mut text = String::new();
    for finding in findings {
        let mut lines = wrapped(&output::clean(&finding.found), room);
        if let Some(fix) = &finding.fix {
            lines.extend(wrapped(&format!("→ {}", output::clean(fix)), room));
        }
        for (at, line) in lines.iter().enumerate() {
            let (state, check) = if at == 0 { (finding.state.word(), finding.check) } else { ("", "") };
            text.push_str(format!("{state:5}  {check:wide$}  {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn config(reader: Reader<'_>) -> Finding {
    let check = "configuration";
    if let Err(error) = reader.env.files() {
        return failed(check, &error);
    }
    match reader.env.config_file() {
        Ok(path) if path.exists() => ok(check, path.display().to_string()),
        Ok(path) => note(check, format!("there is no {}", path.display()), "mp auth login"),
        Err(error) => failed(check, &error),
    }
}

/// Without reading the secret: a command may ask a person.
fn credentials(reader: Reader<'_>) -> Finding {
    let check = "credentials";
    let settings = match Settings::of(reader.env) {
        Ok(settings) => settings,
        Err(error) => return failed(check, &error),
    };
    match (settings.username().value, settings.secret_source()) {
        (Some(name), Some(source)) => ok(check, format!("user {name}, secret from the {source}")),
        (None, Some(source)) if settings.is_project_secret(&source) => {
            ok(check, format!("a project secret, from the {source}"))
        }
        (None, Some(source)) => note(
            check,
            format!("there is a secret from the {source}, but no user name, so nothing can be fetched"),
            "mp auth login, or set MP_USERNAME; a project secret belongs in MP_PROJECT_SECRET",
        ),
        (_, None) => note(
            check,
            "there is no secret, so nothing can be fetched",
            "mp auth login, or set MP_USERNAME and MP_SECRET",
        ),
    }
}

fn project(reader: Reader<'_>) -> Finding {
    let check = "project";
    let settings = match Settings::of(reader.env) {
        Ok(settings) => settings,
        Err(error) => return failed(check, &error),
    };
    let id = settings.find(Key::ProjectId, None);
    let region = settings.find(Key::Region, None);
    match id.value {
        None => note(check, "no project is named", "mp auth login, or set MP_PROJECT_ID"),
        Some(id) if id.trim().parse::<u64>().is_err() => wrong(
            check,
            format!("the project id {id:?} is not a number"),
            "Mixpanel shows it under Project Settings",
        ),
        Some(id) => ok(check, format!("{id}, region {}", region.value.as_deref().unwrap_or("us (default)"))),
    }
}

/// How Mixpanel is reached: proxies and certificates. Nothing is sent.
fn network(reader: Reader<'_>) -> Finding {
    let check = "network";
    let urls = Settings::of(reader.env).map(|settings| {
        let region = settings.find(Key::Region, None).value.and_then(|region| region.trim().parse().ok());
        let base = settings.find(Key::BaseUrl, None).value;
        base.map_or_else(
            || BaseUrls::for_region(region.unwrap_or_default()),
            |base| BaseUrls::single_host(&base),
        )
    });
    match urls.and_then(|urls| config::network(&urls, reader.env)) {
        Ok(network) => ok(check, network.to_string()),
        Err(error) => failed(check, &error),
    }
}

fn database(args: &args::Doctor, reader: Reader<'_>) -> Finding {
    let check = "database";
    let path = match existing_database(args.database.db.as_deref(), reader.env) {
        Ok(path) => path,
        Err(Error::NoDatabase { folder }) => {
            return note(
                check,
                format!("there is none in {}", folder.display()),
                "mp fetch events --from 7d --to yesterday, or mp demo",
            );
        }
        Err(error) => return failed(check, &error),
    };
    let looked = reader.env.databases().existing(&path, true);
    let look = |workspace: mixpanel_data::Workspace| {
        let storage = workspace.storage();
        Ok((storage.list_tables()?.len(), storage.changed_rows()?, storage.shadowed_names()?))
    };
    match looked.and_then(look) {
        Ok((_, _, names)) if !names.is_empty() => note(
            check,
            format!("{}: {}", path.display(), shadows(&names)),
            "ask whoever made the file; mp sql --write \"DROP MACRO NAME\" (or TYPE) removes one",
        ),
        Ok((tables, changed, _)) if changed.is_empty() => {
            ok(check, format!("{}, {tables} table{}", path.display(), if tables == 1 { "" } else { "s" }))
        }
        Ok((_, changed, _)) => {
            let told = changed.iter().map(|(table, difference)| match difference {
                ..0 => format!(
                    "{} fewer in {table} than were fetched",
                    counted(difference.unsigned_abs(), "row")
                ),
                _ => {
                    format!("{} more in {table} than were fetched", counted(difference.unsigned_abs(), "row"))
                }
            });
            let told = told.collect::<Vec<_>>().join("; ");
            note(
                check,
                format!("{}: {told}", path.display()),
                "`mp sync` fetches days with missing rows again",
            )
        }
        Err(error) if matches!(error.kind(), ErrorKind::DatabaseNotFound { .. }) => note(
            check,
            format!("{} is not there yet", path.display()),
            "mp fetch events --from 7d --to yesterday",
        ),
        Err(error) if matches!(error.kind(), ErrorKind::DatabaseLocked { .. }) => {
            ok(check, format!("{}, which another process is writing", path.display()))
        }
        Err(error) => failed(check, &error.into()),
    }
}

/// Whether something can be written in a folder, or in the one where it would be made.
fn folder(check: &'static str, path: Option<&Path>) -> Finding {
    let Some(path) = path else { return wrong(check, "HOME is not set", "export HOME") };
    let there = path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let probe = there.join(format!(".mp-doctor-{}", std::process::id()));
    let written = fs::File::create_new(&probe).map(drop);
    let _ = fs::remove_file(&probe);
    match written {
        Ok(()) => ok(check, path.display().to_string()),
        Err(error) => wrong(
            check,
            format!("{} cannot be written: {error}", there.display()),
            format!("chmod u+w {}", shell_word(&there.display().to_string())),
        ),
    }
}

fn engine(reader: Reader<'_>) -> Finding {
    let check = "engine";
    match reader.env.databases().empty().and_then(|workspace| workspace.sql_scalar("SELECT version()")) {
        Ok(version) => ok(check, format!("mp {}, DuckDB {}", env!("CARGO_PKG_VERSION"), version.to_text())),
        Err(error) => failed(check, &error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cure_is_told_whole_however_narrow_the_terminal_is() {
        let cure =
            "mp auth login --project 12345 --region eu --username reader.mp-service-account --no-browser";
        let findings = [ok("engine", "fine"), wrong("configuration", "it is damaged", cure)];
        for room in [40, 80, 200] {
            let text = told(&findings, Some(room));
            let words: Vec<&str> = text.split_whitespace().collect();
            for word in cure.split_whitespace() {
                assert!(words.contains(&word), "{word} in {text}");
            }
            assert!(text.lines().all(|line| line.chars().count() <= room.max(60)), "{text}");
        }
        assert!(told(&findings, None).contains(&format!("→ {cure}")));
    }
}
