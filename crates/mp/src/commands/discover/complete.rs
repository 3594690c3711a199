//! Names from the local catalog, for a shell that completes a word.
//!
//! Nothing is said when something is wrong: a shell has no place for it.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;

use crate::args::Args;
use crate::commands::catalog::Catalog;
use crate::config::{File, Surroundings, Words, existing_database};
use crate::databases::Databases;
use crate::ui::Mask;

/// What a shell asks with: the words of its line, and how to open the database.
struct Asked {
    words: Vec<OsString>,
    databases: Databases,
}

thread_local! {
    /// The parser's functions for candidates take no arguments, so the question waits for them here.
    static ASKED: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

/// Answers a shell that completes a word, which asks by a variable. Whether one did.
pub(crate) fn answered(words: &[OsString], databases: &Databases) -> clap::error::Result<bool> {
    let asked = Asked { words: words.to_vec(), databases: databases.clone() };
    ASKED.set(Some(asked));
    let here = std::env::current_dir().ok();
    let answered = CompleteEnv::with_factory(Args::command).try_complete(words, here.as_deref());
    ASKED.set(None);
    answered
}

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
    let file: Option<File> = surroundings().and_then(|env| env.user_file().ok());
    let names = file.map(|file| file.accounts.into_keys().collect()).unwrap_or_default();
    offered(names)
}

/// Names of saved queries.
pub(crate) fn queries() -> Vec<CompletionCandidate> {
    offered(surroundings().map(|env| crate::commands::sql::saved_names(&env)).unwrap_or_default())
}

fn candidates(choose: impl Fn(Catalog) -> Vec<String>) -> Vec<CompletionCandidate> {
    let Some(env) = surroundings() else { return Vec::new() };
    let Ok(path) = existing_database(named_database().as_deref(), &env) else { return Vec::new() };
    let Ok(workspace) = env.databases().existing(&path, true) else { return Vec::new() };
    offered(choose(Catalog::read(workspace.storage())))
}

fn offered(names: Vec<String>) -> Vec<CompletionCandidate> {
    let safe = names.into_iter().filter(|name| crate::output::clean(name) == *name);
    safe.enumerate().map(|(at, name)| CompletionCandidate::new(name).display_order(Some(at))).collect()
}

fn surroundings() -> Option<Surroundings> {
    let databases = ASKED.with_borrow(|asked| Some(asked.as_ref()?.databases.clone()))?;
    Some(Surroundings::of_process(Words::default(), Mask::default(), databases))
}

/// `--db` of the line that is being completed.
fn named_database() -> Option<PathBuf> {
    let words = ASKED.with_borrow(|asked| Some(asked.as_ref()?.words.clone()))?;
    let at = words.iter().position(|word| word == "--db");
    let separate = at.and_then(|at| words.get(at + 1)).map(PathBuf::from);
    let joined =
        || words.iter().find_map(|word| word.to_string_lossy().strip_prefix("--db=").map(PathBuf::from));
    separate.or_else(joined)
}
