//! `mp fetch profiles`: profiles of users or groups into a table, or to standard output.

use jiff::Timestamp;
use mixpanel_client::engage::ProfilePages;
use mixpanel_data::{FetchProfiles, FetchProgress, ProfileProgress, ProfilesResult, Workspace};

use super::fetch::{self, Fetched, Parts};
use super::{Reader, fetch_stream, place};
use crate::args;
use crate::config::{Connection, Env, target_database};
use crate::error::Error;
use crate::output;
use crate::signals::Signals;
use crate::ui::{Progress, Ui, counted, megabytes, rate, thousands};

pub(crate) fn run(args: &args::FetchProfiles, env: Env<'_>, ui: &Ui, signals: &Signals) -> Result<(), Error> {
    let ui = &args.needless.heed(ui);
    let connection = Connection::resolve(&args.home.connection, env)?;
    let today = connection.clock.day_of(Timestamp::now().as_microsecond());
    let progress = ui.progress(today, today);
    let project_id = connection.project_id;
    let project = connection.project(signals, ui)?;
    progress.watch(&project.client);
    let request = args.which.request();
    if args.stream.stdout {
        args::not_streamed(args.concurrency, None, &args.home.output, ui);
        let stream = project.stream_profiles(&request, &args.stream.buffer())?;
        // Rows may go to the same terminal.
        progress.finish();
        return fetch_stream::print(stream, &args.stream, &args.home.output, ui);
    }
    let path = target_database(args.home.database.db.as_deref(), project_id, env)?;
    let builder = Workspace::builder().project(project);
    let reader = Reader { env, ui, signals };
    let workspace =
        signals.guard(reader.patiently(args.waiting.wait, || env.databases().file(builder.clone(), &path))?);
    let wanted = FetchProfiles {
        table: args.name.clone(),
        request,
        append: args.append,
        replace: args.replace,
        on_reject: args.on_reject.into(),
        concurrency: args::capped(args.concurrency, ProfilePages::MAX_CONCURRENCY, ui),
    };
    let result = bring(&workspace, &wanted, &progress, ui)?;
    let pages = args.needless.parallel.then_some(result.pages).map(Parts::pages);
    let told = Fetched::new("profiles", &result, result.duration, None, pages);
    output::object(&args.home.output, ui, &told, &summary(&result))
}

/// Fetches profiles, and says what must not be overlooked.
pub(super) fn bring(
    workspace: &Workspace,
    wanted: &FetchProfiles,
    progress: &Progress,
    ui: &Ui,
) -> Result<ProfilesResult, Error> {
    let unrecorded = fetch::is_unrecorded(workspace, &wanted.table)?;
    let result = workspace.fetch_profiles_with(wanted, &mut |now| progress.update(&shown(now)));
    progress.finish();
    let result = result?;
    fetch::adopted(ui, workspace, &result.table, unrecorded)?;
    if result.rejects > 0 {
        ui.say(&format!(
            "{} could not be stored; see the table _quarantine",
            counted(result.rejects, "result")
        ));
    }
    if result.vanished > 0 {
        ui.say(&format!(
            "{} no longer in Mixpanel; see the table _vanished_profiles",
            counted(result.vanished, "stored profile")
        ));
    }
    Ok(result)
}

/// The same for the bar, which counts rows.
fn shown(now: &ProfileProgress) -> FetchProgress {
    FetchProgress {
        rows: now.results,
        bytes_received: now.bytes_decoded,
        bytes_decoded: now.bytes_decoded,
        elapsed: now.elapsed,
        attempt: now.attempt,
        ..FetchProgress::default()
    }
}

fn summary(result: &ProfilesResult) -> Vec<(&'static str, String)> {
    let speed = rate(result.results as f64, result.duration) as u64;
    vec![
        ("database", place(result.database.as_deref())),
        ("table", result.table.clone()),
        ("profiles", thousands(result.rows)),
        ("updated", thousands(result.updated)),
        ("vanished", thousands(result.vanished)),
        ("duplicates dropped", thousands(result.duplicates)),
        ("results rejected", thousands(result.rejects)),
        ("rows in the table", thousands(result.total_rows)),
        (
            "received",
            format!("{} MB of JSON in {} pages", megabytes(result.bytes_decoded), thousands(result.pages)),
        ),
        ("requests", thousands(result.requests)),
        ("time", format!("{:.1} s, {} profiles/s", result.duration.as_secs_f64(), thousands(speed))),
    ]
}
