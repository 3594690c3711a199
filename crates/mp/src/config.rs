//! What the program works with: flags first, then the environment, then defaults.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use mixpanel_client::budget::RequestBudget;
use mixpanel_client::retry::{RetryNotice, RetryObserver};
use mixpanel_client::time::{ClockMode, ProjectClock};
use mixpanel_client::{BaseUrls, Client, ClientOptions, Credentials, Region};
use mixpanel_data::Project;

use crate::args;
use crate::error::Error;
use crate::signals::Signals;

/// Looks an environment variable up; empty ones count as absent.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A project and the way to it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) credentials: Credentials,
    pub(crate) project_id: Option<u64>,
    pub(crate) region: Region,
    pub(crate) base_urls: BaseUrls,
    pub(crate) clock: ProjectClock,
    /// Whether requests are counted, and where, for all processes of this user.
    pub(crate) budget: Option<Option<PathBuf>>,
}

impl Connection {
    pub(crate) fn resolve(args: &args::Connection, env: Env<'_>) -> Result<Self, Error> {
        let pick = |flag: &Option<String>, name: &str| flag.clone().or_else(|| env(name));
        let project_id = project_id(pick(&args.project_id, "MP_PROJECT_ID"))?;
        let region = region(pick(&args.region, "MP_REGION"))?;
        let clock = Self::clock(args, env)?;
        // Another server, such as the simulator, has limits of its own.
        let (base_urls, budget) = match pick(&args.base_url, "MP_BASE_URL") {
            Some(base) => (BaseUrls::single_host(&base), None),
            None => (BaseUrls::for_region(region), Some(state_folder(env))),
        };
        let credentials = credentials(project_id, env)?;
        Ok(Connection { credentials, project_id, region, base_urls, clock, budget })
    }

    /// What the project's times and days are; needs no credentials.
    pub(crate) fn clock(args: &args::Connection, env: Env<'_>) -> Result<ProjectClock, Error> {
        let pick = |flag: &Option<String>, name: &str| flag.clone().or_else(|| env(name));
        let timezone = pick(&args.timezone, "MP_TIMEZONE");
        clock(timezone.as_deref().unwrap_or("UTC"), pick(&args.clock_mode, "MP_CLOCK_MODE"))
    }

    /// The project to fetch from; `on_retry` is told about waits.
    pub(crate) fn project(
        self,
        signals: &Signals,
        on_retry: impl Fn(RetryNotice<'_>) + Send + Sync + 'static,
    ) -> Result<Project, Error> {
        let mut options = ClientOptions::new(self.credentials);
        options.project_id = self.project_id;
        options.base_urls = self.base_urls;
        options.cancel = signals.cancel();
        options.budget = self.budget.map(|folder| Arc::new(budget(folder.as_deref(), &options)));
        options.observer = Some(RetryObserver::new(on_retry));
        options.seed = u64::from(std::process::id()) ^ Timestamp::now().as_microsecond().unsigned_abs();
        Ok(Project {
            client: Client::new(options)?,
            project_id: self.project_id.map(|id| id.to_string()).unwrap_or_default(),
            region: self.region.to_string(),
            account: None,
            clock: self.clock,
        })
    }
}

/// The request budget of the project, shared by all processes; without a folder to keep it in, that
/// of this process.
fn budget(folder: Option<&Path>, options: &ClientOptions) -> RequestBudget {
    // A project secret stands for its project.
    let project = match (&options.credentials, options.project_id) {
        (Credentials::ProjectSecret { secret }, _) => secret.expose().to_owned(),
        (_, id) => id.unwrap_or_default().to_string(),
    };
    let project = format!("{} {project}", options.base_urls.export);
    folder
        .and_then(|folder| RequestBudget::in_folder(&folder.join("budget"), &project).ok())
        .unwrap_or_else(RequestBudget::in_memory)
}

/// `$XDG_STATE_HOME/mixpanel_data`, or the same below `~/.local/state`.
fn state_folder(env: Env<'_>) -> Option<PathBuf> {
    let base = match (env("XDG_STATE_HOME").filter(|path| Path::new(path).is_absolute()), env("HOME")) {
        (Some(base), _) => PathBuf::from(base),
        (None, Some(home)) => Path::new(&home).join(".local/state"),
        (None, None) => return None,
    };
    Some(base.join("mixpanel_data"))
}

fn project_id(text: Option<String>) -> Result<Option<u64>, Error> {
    let Some(text) = text else { return Ok(None) };
    let id = text.trim().parse().map_err(|_| {
        let hint = "the project id is a number: Mixpanel shows it under Project Settings";
        Error::setting(format!("the project id {text:?} is not a number"), hint)
    })?;
    Ok(Some(id))
}

fn region(text: Option<String>) -> Result<Region, Error> {
    let Some(text) = text else { return Ok(Region::default()) };
    text.parse().map_err(|_| {
        Error::setting(format!("unknown region {text:?}"), "--region us, eu or in (or MP_REGION)")
    })
}

fn clock(timezone: &str, mode: Option<String>) -> Result<ProjectClock, Error> {
    let mode = match mode.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("utc") => ClockMode::Utc,
        Some("local" | "local-as-utc") => ClockMode::LocalAsUtc,
        Some(other) => {
            let hint = "--clock-mode utc, or local for projects made before 2023 (or MP_CLOCK_MODE)";
            return Err(Error::setting(format!("unknown clock mode {other:?}"), hint));
        }
    };
    ProjectClock::new(timezone, mode).map_err(|_| {
        let hint = "a name such as America/New_York, as in the project's settings";
        Error::setting(format!("unknown time zone {timezone:?}"), hint)
    })
}

fn credentials(project_id: Option<u64>, env: Env<'_>) -> Result<Credentials, Error> {
    let (username, secret) = (env("MP_USERNAME"), env("MP_SECRET"));
    if let (None, None, Some(secret)) = (&username, &secret, env("MP_PROJECT_SECRET")) {
        return Ok(Credentials::project_secret(secret));
    }
    let id = project_id.map(drop);
    match (username, secret, id) {
        (Some(username), Some(secret), Some(())) => Ok(Credentials::service_account(username, secret)),
        (username, secret, id) => {
            let given = [
                ("MP_USERNAME", username.is_some()),
                ("MP_SECRET", secret.is_some()),
                ("MP_PROJECT_ID", id.is_some()),
            ];
            let missing = given.into_iter().filter(|(_, given)| !given).map(|(name, _)| name).collect();
            Err(Error::NoCredentials { missing })
        }
    }
}

/// How many bytes a copy of a database may have, from gigabytes.
pub(crate) fn max_copy(flag: Option<f64>, env: Env<'_>) -> Result<u64, Error> {
    let gigabytes = match (flag, env("MP_MAX_COPY")) {
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
    if let Some(path) = named_database(flag, env) {
        return Ok(path);
    }
    let id = project_id.ok_or_else(|| {
        Error::setting(
            "no database is named, and there is no project id to name one by",
            "--db PATH, or MP_DB",
        )
    })?;
    Ok(data_folder(env)?.join(format!("{id}.duckdb")))
}

/// The database to read: the one that is named, the project's, or the only one there is.
pub(crate) fn existing_database(flag: Option<&Path>, env: Env<'_>) -> Result<PathBuf, Error> {
    of_project(flag, env("MP_PROJECT_ID"), env)
}

/// The same for commands that may name the project.
pub(crate) fn local_database(
    database: &args::Database,
    connection: &args::Connection,
    env: Env<'_>,
) -> Result<PathBuf, Error> {
    let project = connection.project_id.clone().or_else(|| env("MP_PROJECT_ID"));
    of_project(database.db.as_deref(), project, env)
}

fn of_project(flag: Option<&Path>, project: Option<String>, env: Env<'_>) -> Result<PathBuf, Error> {
    if let Some(path) = named_database(flag, env) {
        return Ok(path);
    }
    let folder = data_folder(env)?;
    if let Some(id) = project_id(project)? {
        return Ok(folder.join(format!("{id}.duckdb")));
    }
    let mut found = databases_in(&folder);
    match found.len() {
        0 => Err(Error::NoDatabase { folder }),
        1 => Ok(found.remove(0)),
        _ => Err(Error::SeveralDatabases { found }),
    }
}

fn named_database(flag: Option<&Path>, env: Env<'_>) -> Option<PathBuf> {
    flag.map(PathBuf::from).or_else(|| env("MP_DB").map(PathBuf::from))
}

fn databases_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "duckdb") && path.is_file()).collect();
    found.sort();
    found
}

/// `$XDG_DATA_HOME/mixpanel_data`, or the same below `~/.local/share`.
fn data_folder(env: Env<'_>) -> Result<PathBuf, Error> {
    let base = match (env("XDG_DATA_HOME").filter(|path| Path::new(path).is_absolute()), env("HOME")) {
        (Some(base), _) => PathBuf::from(base),
        (None, Some(home)) => Path::new(&home).join(".local/share"),
        (None, None) => {
            return Err(Error::setting("HOME is not set, so there is no data folder", "--db PATH"));
        }
    };
    Ok(base.join("mixpanel_data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: &args::Connection, env: &[(&str, &str)]) -> Result<Connection, Error> {
        let find =
            |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Connection::resolve(flags, &find)
    }

    const ACCOUNT: [(&str, &str); 3] = [("MP_USERNAME", "u"), ("MP_SECRET", "s"), ("MP_PROJECT_ID", "7")];

    #[test]
    fn flags_come_before_the_environment() {
        let flags = args::Connection {
            project_id: Some("8".into()),
            region: Some("EU".into()),
            ..args::Connection::default()
        };
        let env = [&ACCOUNT[..], &[("MP_REGION", "in")]].concat();
        let connection = resolve(&flags, &env).unwrap();
        assert_eq!((connection.project_id, connection.region), (Some(8), Region::Eu));
        let connection = resolve(&args::Connection::default(), &env).unwrap();
        assert_eq!((connection.project_id, connection.region), (Some(7), Region::In));
        assert!(connection.base_urls.export.contains("data-in."));
        assert_eq!(connection.budget, Some(None), "counted, by this process only: there is no HOME");
        let other = [&env[..], &[("MP_BASE_URL", "http://127.0.0.1:9"), ("HOME", "/h")]].concat();
        assert_eq!(resolve(&args::Connection::default(), &other).unwrap().budget, None);
        let home = [&env[..], &[("HOME", "/h")]].concat();
        let folder = resolve(&args::Connection::default(), &home).unwrap().budget.unwrap();
        assert_eq!(folder.as_deref(), Some(Path::new("/h/.local/state/mixpanel_data")));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = resolve(&args::Connection::default(), &ACCOUNT[..1]).unwrap_err();
        assert!(
            matches!(error, Error::NoCredentials { missing } if missing == ["MP_SECRET", "MP_PROJECT_ID"])
        );
    }

    #[test]
    fn a_project_secret_needs_no_project() {
        let connection = resolve(&args::Connection::default(), &[("MP_PROJECT_SECRET", "s")]).unwrap();
        assert!(!connection.credentials.needs_project_id());
        assert!(target_database(None, None, &|_| None).is_err());
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for (name, value) in [
            ("MP_REGION", "uk"),
            ("MP_PROJECT_ID", "x1"),
            ("MP_TIMEZONE", "Mars/One"),
            ("MP_CLOCK_MODE", "odd"),
        ] {
            let env = [&[(name, value)], &ACCOUNT[..]].concat();
            let error = resolve(&args::Connection::default(), &env).unwrap_err();
            assert!(matches!(&error, Error::Setting { what, .. } if what.contains(value)), "{error}");
        }
    }

    #[test]
    fn the_only_database_is_found_and_several_are_not_guessed() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("mixpanel_data");
        let env = |name: &str| (name == "XDG_DATA_HOME").then(|| home.path().display().to_string());
        assert!(matches!(existing_database(None, &env), Err(Error::NoDatabase { .. })));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("1.duckdb"), "").unwrap();
        std::fs::write(folder.join("notes.txt"), "").unwrap();
        assert_eq!(existing_database(None, &env).unwrap(), folder.join("1.duckdb"));
        std::fs::write(folder.join("2.duckdb"), "").unwrap();
        assert!(
            matches!(existing_database(None, &env), Err(Error::SeveralDatabases { found }) if found.len() == 2)
        );
        let flags = args::Connection { project_id: Some("2".into()), ..args::Connection::default() };
        let named = local_database(&args::Database::default(), &flags, &env).unwrap();
        assert_eq!(named, folder.join("2.duckdb"));
    }
}
