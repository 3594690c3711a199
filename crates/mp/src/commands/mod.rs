//! The commands, one file each: resolved words in, rows out.

pub(crate) mod demo;
pub(crate) mod fetch;
pub(crate) mod info;
pub(crate) mod plan;
pub(crate) mod schema;
pub(crate) mod sim;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod tables;

use mixpanel_data::Workspace;

use crate::args;
use crate::config::{Env, existing_database};
use crate::error::Error;

/// Opens the database that the command is about, for reading. No credentials are needed.
fn open(database: &args::Database, env: Env<'_>) -> Result<Workspace, Error> {
    let path = existing_database(database.db.as_deref(), env)?;
    Ok(Workspace::open(path, true)?)
}

/// A word for the shell: quoted if it must be.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=+,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(shell_word("./demo.duckdb"), "./demo.duckdb");
        assert_eq!(shell_word("my file's.duckdb"), r"'my file'\''s.duckdb'");
    }
}
