//! `mp info`: what a database is and holds.

use crate::args;
use crate::config::Env;
use crate::error::Error;
use crate::output::{self, Format};
use crate::ui::Ui;

pub(crate) fn run(args: &args::Info, env: Env<'_>, ui: &Ui) -> Result<(), Error> {
    let workspace = super::open(&args.database, env)?;
    let info = workspace.info()?;
    let tables = if info.tables.is_empty() { "none yet".to_owned() } else { info.tables.join(", ") };
    let mut pairs = vec![
        ("database", info.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()),
        ("mode", info.mode.to_string()),
        ("size", format!("{:.1} MB", info.size_mb)),
        ("tables", tables),
    ];
    pairs.extend(info.created_at.map(|at| ("created", at.strftime("%F %T UTC").to_string())));
    output::object(Format::of_object(args.format.as_deref(), ui), ui, &info, &pairs)?;
    Ok(())
}
