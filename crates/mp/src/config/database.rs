//! Which database a command is about.

use std::path::{Path, PathBuf};

use super::connection::project_id;
use super::settings::{Key, Settings};
use super::{Env, data_folder};
use crate::args;
use crate::error::Error;

/// How many bytes a copy of a database may have, from gigabytes.
pub(crate) fn max_copy(flag: Option<f64>, env: Env<'_>) -> Result<u64, Error> {
    let gigabytes = match (flag, env.get("MP_MAX_COPY")) {
        (Some(gigabytes), _) => gigabytes,
        (None, None) => 4.0,
        (None, Some(text)) => text.trim().parse().unwrap_or(f64::NAN),
    };
    if gigabytes.is_finite() && gigabytes >= 0.0 {
        Ok((gigabytes * 1e9) as u64)
    } else {
        Err(Error::setting("the largest copy is not a number of gigabytes", "--max-copy 8, or MP_MAX_COPY"))
    }
}

/// The database to fetch into; it need not exist.
pub(crate) fn target_database(
    flag: Option<&Path>,
    project_id: Option<u64>,
    env: Env<'_>,
) -> Result<PathBuf, Error> {
    if let Some(path) = named_database(flag, env)? {
        if path.as_os_str() == ":memory:" {
            return Err(Error::setting(
                "a database in memory is gone when `mp` ends, and so is what was fetched into it",
                "--db FILE keeps it; `mp fetch … --stdout` prints rows and keeps nothing",
            ));
        }
        return Ok(path);
    }
    let id = project_id.ok_or_else(|| {
        Error::setting(
            "no database is given, and there is no project id to name one after",
            "--db PATH, or MP_DB",
        )
    })?;
    Ok(data_folder(env)?.join(format!("{id}.duckdb")))
}

/// The same for what needs no credentials.
pub(crate) fn load_database(
    database: &args::Database,
    connection: &args::Connection,
    env: Env<'_>,
) -> Result<PathBuf, Error> {
    let flag = database.db.as_deref();
    if named_database(flag, env)?.is_some() {
        return target_database(flag, None, env);
    }
    let found = Settings::of(env)?.find(Key::ProjectId, connection.project_id.as_deref());
    target_database(flag, project_id(found)?, env)
}

/// The database to read: the one that is named, the project's, or the only one there is.
pub(crate) fn existing_database(flag: Option<&Path>, env: Env<'_>) -> Result<PathBuf, Error> {
    of_project(flag, &args::Connection::default(), env)
}

/// The same for commands that may name the project.
pub(crate) fn local_database(
    database: &args::Database,
    connection: &args::Connection,
    env: Env<'_>,
) -> Result<PathBuf, Error> {
    of_project(database.db.as_deref(), connection, env)
}

fn of_project(flag: Option<&Path>, connection: &args::Connection, env: Env<'_>) -> Result<PathBuf, Error> {
    if let Some(path) = named_database(flag, env)? {
        return Ok(path);
    }
    let folder = data_folder(env)?;
    let settings = Settings::of(env)?;
    if let Some(id) = project_id(settings.find(Key::ProjectId, connection.project_id.as_deref()))? {
        return Ok(folder.join(format!("{id}.duckdb")));
    }
    let mut found = databases_in(&folder);
    match found.len() {
        0 => Err(Error::NoDatabase { folder }),
        1 => Ok(found.remove(0)),
        _ => Err(Error::SeveralDatabases { found }),
    }
}

/// The database that a flag, the environment or a file names. Files are not read if they need not be.
fn named_database(flag: Option<&Path>, env: Env<'_>) -> Result<Option<PathBuf>, Error> {
    if let Some(path) = flag.map(PathBuf::from).or_else(|| env.get("MP_DB").map(PathBuf::from)) {
        return Ok(Some(path));
    }
    Ok(Settings::of(env)?.find(Key::Db, None).value.map(PathBuf::from))
}

fn databases_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "duckdb") && path.is_file()).collect();
    found.sort();
    found
}
