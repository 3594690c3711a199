//! Saved queries: SQL files beside the configuration file, which `mp run NAME` runs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use mixpanel_data::Value;

use crate::commands::Reader;
use crate::config::{Env, queries_folder};
use crate::error::Error;
use crate::output::{self, Column, List};
use crate::text;
use crate::{args, commands::shell_word};

/// Saves a query. A saved one is not replaced by another.
pub(super) fn save(name: &str, sql: &str, env: Env<'_>) -> Result<PathBuf, Error> {
    let path = path_of(name, env)?;
    let unwritable = |source| Error::Write { path: path.clone(), source };
    match fs::read(&path) {
        Ok(text) if text.trim_ascii() == sql.trim().as_bytes() => return Ok(path),
        Ok(_) => {
            let hint = format!("another name, or first: rm {}", shell_word(&path.display().to_string()));
            return Err(Error::setting(format!("there is another query named {name:?}"), hint));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(Error::Read { path, source }),
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unwritable)?;
    }
    let mut file = fs::File::create_new(&path).map_err(unwritable)?;
    file.write_all(format!("{}\n", sql.trim()).as_bytes()).map_err(unwritable)?;
    Ok(path)
}

/// Reads a saved query.
pub(super) fn load(name: &str, env: Env<'_>) -> Result<String, Error> {
    let path = path_of(name, env)?;
    text::read(&path).map_err(|error| match error {
        Error::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let known = names(path.parent().unwrap_or(Path::new(".")));
            Error::NoQuery { name: name.to_owned(), known }
        }
        other => other,
    })
}

/// Lists the saved queries.
pub(super) fn list(args: &args::Run, reader: Reader<'_>) -> Result<(), Error> {
    let folder = queries_folder(reader.env)?;
    let mut list = List::new([Column::text("name"), Column::text("query")]);
    for name in names(&folder) {
        let text = text::read(&folder.join(format!("{name}.sql"))).unwrap_or_default();
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        list.push([Value::Text(name), Value::Text(line)]);
    }
    output::list(&args.answer.output, reader.ui, &list)
}

/// The names of the saved queries.
pub(crate) fn all(env: Env<'_>) -> Vec<String> {
    queries_folder(env).map(|folder| names(&folder)).unwrap_or_default()
}

fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut names: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|end| end == "sql"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// A name is a file's name and nothing more.
fn path_of(name: &str, env: Env<'_>) -> Result<PathBuf, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Error::setting(
            format!("{name:?} cannot name a query"),
            "letters, digits, `-` and `_`, for instance: weekly-signups",
        ));
    }
    Ok(queries_folder(env)?.join(format!("{name}.sql")))
}
