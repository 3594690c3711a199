//! `mp.toml`: what a folder of work says about its project. It may come with a cloned repository,
//! so it holds no credential and no address to send one to, and its database is below its folder.

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::file::{broken, number_or_text};
use crate::error::Error;
use crate::text;

/// The name of the file.
pub(crate) const NAME: &str = "mp.toml";

/// A project file, as read.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProjectFile {
    pub(crate) path: PathBuf,
    pub(crate) account: Option<String>,
    pub(crate) project_id: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) clock_mode: Option<String>,
    /// Absolute.
    pub(crate) db: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    account: Option<String>,
    #[serde(default, deserialize_with = "number_or_text")]
    project_id: Option<String>,
    region: Option<String>,
    timezone: Option<String>,
    clock_mode: Option<String>,
    db: Option<PathBuf>,
}

const FORBIDDEN: [&str; 10] = [
    "base_url",
    "proxy",
    "no_proxy",
    "ca_file",
    "username",
    "secret",
    "secret_file",
    "secret_command",
    "keyring",
    "accounts",
];

impl ProjectFile {
    /// Finds the file in a folder or above it, up to the home folder or the root of a repository.
    pub(crate) fn find(from: &Path, home: Option<&Path>) -> Result<Option<Self>, Error> {
        for folder in from.ancestors() {
            let path = folder.join(NAME);
            match fs::read(&path).and_then(text::decode) {
                Ok(text) => return ProjectFile::parse(&path, &text).map(Some),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Read { path, source }),
            }
            if home == Some(folder) || folder.join(".git").exists() {
                break;
            }
        }
        Ok(None)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let keys: toml_edit::DocumentMut = text.parse().unwrap_or_default();
        if let Some(key) = FORBIDDEN.into_iter().find(|key| keys.contains_key(key)) {
            let what = format!("{} may not say `{key}`: a folder of work is not the place", path.display());
            return Err(Error::BrokenConfig { what });
        }
        let raw: Raw = toml_edit::de::from_str(text).map_err(|error| broken(path, text, &error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let stays = |db: &PathBuf| {
            db.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        };
        if let Some(db) = raw.db.as_ref().filter(|db| !stays(db)) {
            let what = format!("{}: the database {} is not below this folder", path.display(), db.display());
            return Err(Error::BrokenConfig { what });
        }
        let Raw { account, project_id, region, timezone, clock_mode, db } = raw;
        let db = db.map(|db| folder.join(db));
        Ok(ProjectFile { path: path.to_owned(), account, project_id, region, timezone, clock_mode, db })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_above_but_not_beyond_the_repository() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("repo").join("deep");
        fs::create_dir_all(&inner).unwrap();
        fs::write(root.path().join(NAME), "project_id = 1\n").unwrap();
        let found = ProjectFile::find(&inner, None).unwrap().unwrap();
        assert_eq!(found.project_id.as_deref(), Some("1"));
        fs::create_dir(root.path().join("repo/.git")).unwrap();
        assert!(ProjectFile::find(&inner, None).unwrap().is_none());
    }

    #[test]
    fn a_cloned_repository_gets_no_credential_and_no_foreign_file() {
        for text in [
            "base_url = \"https://evil.example\"",
            "secret = \"x\"",
            "accounts.a.secret = \"x\"",
            "db = \"/etc/passwd\"",
            "db = \"../other.duckdb\"",
            "unknown = 1",
        ] {
            let parsed = ProjectFile::parse(Path::new("/w/mp.toml"), text);
            assert!(matches!(parsed, Err(Error::BrokenConfig { .. })), "{text}");
        }
        let good = ProjectFile::parse(Path::new("/w/mp.toml"), "db = \"data/a.duckdb\"").unwrap();
        assert_eq!(good.db, Some(PathBuf::from("/w/data/a.duckdb")));
    }
}
