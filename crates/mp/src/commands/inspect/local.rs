//! What there is in the local tables.

use jiff::Timestamp;
use mixpanel_client::Tabular;
use mixpanel_client::time::ProjectClock;
use mixpanel_data::inspect::LocalScope;
use mixpanel_data::{TableKind, Workspace};
use serde_json::json;

use super::super::Reader;
use super::super::ask::{names, result, rows};
use super::super::asking::confirm;
use super::super::sql::marked;
use crate::args::Local;
use crate::args::inspect::{Here, Kind, Removal, Scope};
use crate::args::{self, Plot};
use crate::config::existing_database;
use crate::error::Error;
use crate::output;
use crate::signals::Guarded;
use crate::ui::counted;

pub(super) fn run(what: &Here, reader: Reader<'_>) -> Result<(), Error> {
    let ui = reader.ui;
    match what {
        Here::Distribution(words) => scoped(&words.scope, reader, |workspace, scope| {
            workspace.property_distribution(scope, &words.event, &words.property, words.limit)
        }),
        Here::Numeric(words) => scoped(&words.scope, reader, |workspace, scope| {
            workspace.numeric_summary(scope, &words.event, &words.property, &words.percentiles)
        }),
        Here::Daily(words) => scoped(&words.scope, reader, |workspace, scope| {
            workspace.daily_counts(scope, chosen(&words.events.names()).as_deref())
        }),
        Here::Engagement(words) => scoped(&words.scope, reader, |workspace, scope| {
            workspace.engagement_distribution(scope, chosen(&words.events.names()).as_deref(), &words.buckets)
        }),
        Here::Coverage(words) => scoped(&words.scope, reader, |workspace, scope| {
            let properties: Vec<&str> =
                words.properties.iter().chain(&words.property).map(String::as_str).collect();
            workspace.property_coverage(scope, &words.event, &properties)
        }),
        Here::Info(words) => super::super::info::run(words, reader),
        Here::Tables(words) => super::super::tables::run(words, reader),
        Here::Schema(words) => {
            if words.sample {
                ui.say("--sample has no effect: `mp inspect sample -t TABLE` shows rows");
            }
            super::super::schema::as_one(&words.table.table, &words.table.local, reader)
        }
        Here::Sample(words) => {
            let workspace = open(&words.local, reader)?;
            let sample = workspace.sample(&words.table, words.rows)?;
            let columns = workspace.table_schema(&words.table)?.columns;
            let json: Vec<bool> = columns.iter().map(|column| column.sql_type == "JSON").collect();
            let schema = marked(&sample.schema, &json);
            rows(&words.local.output, &Plot::default(), ui, schema, &sample.batches)
        }
        Here::Summarize(words) => shown(&words.local, reader, |workspace| workspace.summarize(&words.table)),
        Here::Breakdown(words) => {
            shown(&words.local, reader, |workspace| workspace.event_breakdown(&words.table))
        }
        Here::Column(words) => shown(&words.local, reader, |workspace| {
            workspace.column_stats(&words.table, &words.column, words.top)
        }),
        Here::Keys(words) => {
            let keys = open(&words.local, reader)?.property_keys(&words.table, words.event.as_deref())?;
            names(&words.local.output, ui, "property", &keys)
        }
        Here::Drop(words) => {
            let workspace = to_change(&words.removal, &format!("the table {}", words.table), reader)?;
            (*workspace).drop(&[&words.table])?;
            let done = json!({"dropped": words.table});
            output::done(&words.removal.output, ui, &done, &format!("the table {} is removed", words.table))
        }
        Here::DropAll(words) => {
            let which = match words.kind {
                None => "all tables of events and profiles",
                Some(Kind::Events) => "all tables of events",
                Some(Kind::Profiles) => "all tables of profiles",
            };
            let workspace = to_change(&words.removal, which, reader)?;
            let kind = words.kind.map(|kind| match kind {
                Kind::Events => TableKind::Events,
                Kind::Profiles => TableKind::Profiles,
            });
            let before = workspace.storage().list_tables()?.len();
            workspace.drop_all(kind)?;
            let removed = before - workspace.storage().list_tables()?.len();
            let mut done = json!({"dropped_count": removed});
            if let Some(kind) = kind {
                done["type_filter"] = json!(kind.to_string());
            }
            let are = if removed == 1 { "is" } else { "are" };
            let said = format!("{} {are} removed", counted(removed as u64, "table"));
            output::done(&words.removal.output, ui, &done, &said)
        }
    }
}

/// The names of events, if any were given.
fn chosen(names: &[String]) -> Option<Vec<&str>> {
    (!names.is_empty()).then(|| names.iter().map(String::as_str).collect())
}

fn open(local: &Local, reader: Reader<'_>) -> Result<Guarded, Error> {
    Ok(reader.signals.guard(reader.existing(&local.database, &local.reading)?))
}

/// A database that will lose something, which was asked for.
fn to_change(removal: &Removal, what: &str, reader: Reader<'_>) -> Result<Guarded, Error> {
    let path = existing_database(removal.database.db.as_deref(), reader.env)?;
    let question = format!("Remove {what} in {}? This cannot be undone.", path.display());
    confirm(removal.force, &question, reader.signals)?;
    let open = || reader.env.databases().existing(&path, false);
    Ok(reader.signals.guard(reader.patiently(removal.waiting.wait, open)?))
}

fn shown<T: Tabular>(
    local: &Local,
    reader: Reader<'_>,
    ask: impl FnOnce(&Workspace) -> mixpanel_data::Result<T>,
) -> Result<(), Error> {
    let workspace = open(local, reader)?;
    let answer = ask(&workspace)?;
    result(&local.output, &Plot::default(), reader.ui, &answer)
}

fn scoped<T: Tabular>(
    words: &Scope,
    reader: Reader<'_>,
    ask: impl FnOnce(&Workspace, &LocalScope) -> mixpanel_data::Result<T>,
) -> Result<(), Error> {
    let now = Timestamp::now();
    let day = |day: args::Day| day.resolve(now, &ProjectClock::default());
    let mut scope = LocalScope::table(words.table.clone());
    (scope.from, scope.to) = (words.from.map(day), words.to.map(day));
    shown(&words.local, reader, |workspace| ask(workspace, &scope))
}
