//! Names from the local catalog, for a shell that completes a word.
//!
//! Nothing is said when something is wrong: a shell has no place for it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap_complete::engine::CompletionCandidate;
use mixpanel_data::Workspace;

use crate::commands::catalog::Catalog;
use crate::config::{File, Surroundings, Words, existing_database};
use crate::ui::Mask;

/// Names of events, most frequent first.
pub(crate) fn events() -> Vec<CompletionCandidate> {
    candidates(|catalog| catalog.events)
}

/// Names of tables and views.
pub(crate) fn tables() -> Vec<CompletionCandidate> {
    candidates(|catalog| catalog.tables)
}

/// Names of properties, most frequent first.
pub(crate) fn properties() -> Vec<CompletionCandidate> {
    candidates(|catalog| catalog.properties)
}

/// Names of accounts.
pub(crate) fn accounts() -> Vec<CompletionCandidate> {
    let env = Surroundings::of_process(Words::default(), Mask::default());
    let file: Option<File> = env.user_file().ok();
    let names = file.map(|file| file.accounts.into_keys().collect()).unwrap_or_default();
    offered(names)
}

/// Names of saved queries.
pub(crate) fn queries() -> Vec<CompletionCandidate> {
    let env = Surroundings::of_process(Words::default(), Mask::default());
    offered(crate::commands::sql::saved_names(&env))
}

fn candidates(choose: impl Fn(Catalog) -> Vec<String>) -> Vec<CompletionCandidate> {
    let env = Surroundings::of_process(Words::default(), Mask::default());
    let Ok(path) = existing_database(named_database().as_deref(), &env) else { return Vec::new() };
    let Ok(workspace) = Workspace::open(path, true) else { return Vec::new() };
    offered(choose(Catalog::read(workspace.storage())))
}

fn offered(names: Vec<String>) -> Vec<CompletionCandidate> {
    let safe = names.into_iter().filter(|name| crate::output::clean(name) == *name);
    safe.enumerate().map(|(at, name)| CompletionCandidate::new(name).display_order(Some(at))).collect()
}

/// `--db` of the line that is being completed.
fn named_database() -> Option<PathBuf> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let at = words.iter().position(|word| word == "--db");
    let separate = at.and_then(|at| words.get(at + 1)).map(PathBuf::from);
    let joined =
        || words.iter().find_map(|word| word.to_string_lossy().strip_prefix("--db=").map(PathBuf::from));
    separate.or_else(joined)
}
