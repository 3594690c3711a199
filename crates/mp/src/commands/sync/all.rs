//! `mp sync --all`: one sync after the other, as the configuration file lists them. One that fails
//! keeps none of the others.

use jiff::Timestamp;
use mixpanel_data::{SyncOptions, SyncState, Value};

use super::{Done, Job, days, rejects};
use crate::args;
use crate::commands::{Reader, fetch, plan};
use crate::config::{Connection, Entry};
use crate::error::{self, Error};
use crate::output::{self, Column, List};

pub(super) fn run(args: &args::Sync, reader: Reader<'_>) -> Result<(), Error> {
    let (env, ui) = (reader.env, reader.ui);
    let listed = &env.files()?.user.sync;
    let only = env.words().account.as_deref();
    let is_meant = |entry: &&Entry| only.is_none() || entry.account.as_deref() == only;
    let entries: Vec<&Entry> = listed.iter().filter(is_meant).collect();
    if entries.is_empty() {
        let what = match only {
            Some(name) if !listed.is_empty() => {
                format!("no [[sync]] of the configuration file is of the account {name:?}")
            }
            _ => "the configuration file lists no [[sync]]".to_owned(),
        };
        return Err(Error::setting(what, "`mp help config` shows how to write one"));
    }
    // What is misspelt is told before anything is fetched.
    for entry in &entries {
        check(entry, reader)?;
    }
    let mut list = List::new([
        Column::text("account"),
        Column::text("table"),
        Column::text("database"),
        Column::text("state"),
        Column::text("from"),
        Column::text("to"),
        Column::number("days_fetched"),
        Column::number("rows"),
        Column::number("rejects"),
        Column::number("total_rows"),
        Column::number("profiles"),
        Column::number("requests"),
        Column::float("seconds"),
        Column::text("error"),
    ]);
    let mut failed = Vec::new();
    for entry in &entries {
        let label = label(entry);
        ui.say(&format!("sync of {label}"));
        let (row, errors) = match one(entry, args, reader) {
            Ok(done) => (row(entry, &done), errors(done)),
            Err(error) => (empty_row(entry), vec![error]),
        };
        // What the user stopped is no failure, and nothing else is begun.
        if let Some(stopped) = errors.iter().position(Error::is_cancelled) {
            return Err(errors.into_iter().nth(stopped).expect("it is there"));
        }
        if !errors.is_empty() {
            ui.warn(&format!("the sync of {label} failed:"));
        }
        let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
        for error in &errors {
            error::report(error, ui, None);
        }
        let told = if words.is_empty() { Value::Null } else { Value::Text(words.join("; ")) };
        list.push(row.into_iter().chain([told]));
        if !errors.is_empty() {
            failed.push(label);
        }
    }
    if !ui.is_quiet() || args.days.home.output.is_wanted() {
        output::list(&args.days.home.output, ui, &list)?;
    }
    if failed.is_empty() { Ok(()) } else { Err(Error::Syncs { failed, all: entries.len() }) }
}

fn table(entry: &Entry) -> &str {
    entry.table.as_deref().unwrap_or("events")
}

/// What an entry is called.
fn label(entry: &Entry) -> String {
    match &entry.account {
        Some(account) => format!("{account}, table {}", table(entry)),
        None => format!("table {}", table(entry)),
    }
}

/// Whether what an entry says can be understood.
fn check(entry: &Entry, reader: Reader<'_>) -> Result<(), Error> {
    if let Some(account) = &entry.account {
        reader.env.files()?.user.account(account)?;
    }
    day(entry)?;
    let is_empty = |text: &String| text.trim().is_empty();
    let names = [&entry.table, &entry.profiles, &entry.filter].into_iter().flatten().chain(&entry.events);
    if names.into_iter().any(is_empty) {
        let what = format!("the [[sync]] of {} has an empty text", label(entry));
        return Err(Error::setting(what, "leave the line out to mean the default"));
    }
    Ok(())
}

fn day(entry: &Entry) -> Result<Option<args::Day>, Error> {
    let Some(text) = &entry.from else { return Ok(None) };
    text.parse().map(Some).map_err(|why: String| {
        Error::setting(format!("the [[sync]] of {} has a first day {text:?}", label(entry)), why)
    })
}

fn one(entry: &Entry, args: &args::Sync, reader: Reader<'_>) -> Result<Done, Error> {
    let of_account = entry.account.as_deref().map(|name| reader.env.as_account(name));
    let env = of_account.as_ref().unwrap_or(reader.env);
    let connection = args::Connection::default();
    let clock = Connection::clock(&connection, env)?;
    let options = SyncOptions {
        table: table(entry).to_owned(),
        from: day(entry)?.map(|day| day.resolve(Timestamp::now(), &clock)),
        events: entry.events.clone(),
        filter: entry.filter.clone(),
        on_reject: args.taking.on_reject.into(),
        concurrency: args::capped(args.taking.concurrency, fetch::MOST_DOWNLOADS, reader.ui),
        refetch_loaded: args.refetch_loaded,
        ..plan::options(&args.days, &clock)
    };
    let job = Job {
        options,
        profiles: entry.profiles.as_deref(),
        db: entry.db.as_deref(),
        connection: &connection,
        wait: args.waiting.wait,
    };
    job.run(Reader { env, ..reader })
}

fn row(entry: &Entry, done: &Done) -> Vec<Value> {
    let events = &done.events;
    let state = match events.state {
        SyncState::Complete if matches!(done.profiles, Some(Err(_))) => "partial",
        SyncState::Complete => "complete",
        SyncState::Partial => "partial",
    };
    let number = |number: u64| Value::Integer(number.into());
    let database = events.database.as_ref().map(|path| path.display().to_string());
    vec![
        text(entry.account.clone()),
        Value::Text(events.table.clone()),
        text(database),
        Value::Text(state.to_owned()),
        Value::Text(events.from.to_string()),
        Value::Text(events.to.to_string()),
        number(days(events) as u64),
        number(events.rows()),
        number(rejects(events)),
        number(events.total_rows),
        done.fetched_profiles().map_or(Value::Null, |profiles| number(profiles.total_rows)),
        number(events.requests.into()),
        Value::Double(events.duration.as_secs_f64()),
    ]
}

/// Of an entry of which nothing is known.
fn empty_row(entry: &Entry) -> Vec<Value> {
    let mut row = vec![text(entry.account.clone()), Value::Text(table(entry).to_owned()), Value::Null];
    row.push(Value::Text("failed".to_owned()));
    row.resize(13, Value::Null);
    row
}

fn errors(done: Done) -> Vec<Error> {
    let profiles = done.profiles.and_then(Result::err);
    super::partial(done.events).err().into_iter().chain(profiles).collect()
}

fn text(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::Text)
}
