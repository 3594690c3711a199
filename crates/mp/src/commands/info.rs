//! `mp info`: what a database is and holds.

use super::Reader;
use crate::args;
use crate::error::Error;
use crate::output;

pub(crate) fn run(args: &args::Local, reader: Reader<'_>) -> Result<(), Error> {
    let ui = reader.ui;
    let workspace = reader.signals.guard(reader.existing(&args.database, &args.reading)?);
    let info = workspace.info()?;
    let tables = if info.tables.is_empty() { "none yet".to_owned() } else { info.tables.join(", ") };
    let mut pairs = vec![
        ("database", info.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()),
        ("mode", info.mode.to_string()),
        ("size", format!("{:.1} MB", info.size_mb)),
        ("tables", tables),
    ];
    pairs.extend(info.created_at.map(|at| ("created", at.strftime("%F %T UTC").to_string())));
    output::object(&args.output, ui, &info, &pairs)
}
