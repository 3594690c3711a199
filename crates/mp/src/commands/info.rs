//! `mp info`: what a database is and holds.

use super::Reader;
use crate::args;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::output;

pub(crate) fn run(args: &args::Local, reader: Reader<'_>) -> Result<(), Error> {
    let ui = reader.ui;
    let workspace = reader.signals.guard(reader.existing(&args.database, &args.reading)?);
    let mut info = workspace.info()?;
    // What cannot be told is no reason to say nothing of the database.
    let settings = Settings::of(reader.env).ok();
    info.account = settings.and_then(|settings| settings.account_in_use().map(str::to_owned));
    let tables = if info.tables.is_empty() { "none yet".to_owned() } else { info.tables.join(", ") };
    let mut pairs = vec![
        ("database", info.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()),
        ("mode", info.mode.to_string()),
        ("size", format!("{:.1} MB", info.size_mb)),
        ("tables", tables),
    ];
    if !info.project_id.is_empty() {
        pairs.push(("project", format!("{}, region {}", info.project_id, info.region)));
    }
    pairs.extend(info.created_at.map(|at| ("created", at.strftime("%F %T UTC").to_string())));
    output::object(&args.output, ui, &info, &pairs)
}
