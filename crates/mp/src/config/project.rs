//! `mp.toml`: what a folder of work says about its project. It may come with a cloned repository,
//! so it holds no credential and no address to send one to, and neither the file itself nor its
//! database leads out of its folder.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use nix::libc;
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
            if let Some(text) = read(&path)? {
                let file = ProjectFile::parse(&path, &text)?;
                if let Some(db) = &file.db {
                    check_inside(&path, db, folder)?;
                }
                return Ok(Some(file));
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
            let what =
                format!("{} may not set `{key}`: a project's folder is not the place for it", path.display());
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

/// A file of a few settings; anything larger is something else.
const LARGEST: u64 = 1 << 16;

/// Reads a project file, if there is one: a regular file of a reasonable size, in its folder.
fn read(path: &Path) -> Result<Option<String>, Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let broken = |what: &str| Error::BrokenConfig { what: format!("{} {what}", path.display()) };
    match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(source) => return Err(unreadable(source)),
        Ok(found) if found.is_symlink() => check_inside(path, path, path.parent().unwrap_or(Path::new(".")))?,
        Ok(_) => {}
    }
    // Neither waits for a pipe nor becomes the terminal's owner.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(broken("is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(broken(&format!("has more than {LARGEST} bytes: it is no project file")));
    }
    text::decode(bytes).map(Some).map_err(|_| broken("is not text in UTF-8"))
}

/// Checks that no link on the way to `target`, which need not be there, leads out of the folder.
fn check_inside(file: &Path, target: &Path, folder: &Path) -> Result<(), Error> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let leaves = |at: &Path| {
        let what = if at == file { "it".to_owned() } else { at.display().to_string() };
        let what =
            format!("{}: {what} is a link that leads out of this folder, or to nothing", file.display());
        Err(Error::BrokenConfig { what })
    };
    let home = fs::canonicalize(folder).map_err(unreadable(folder))?;
    let mut at = folder.to_owned();
    for part in target.strip_prefix(folder).unwrap_or(target).components() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(Error::Read { path: at, source }),
            Ok(found) if found.is_symlink() => match fs::canonicalize(&at) {
                Ok(led) if led.starts_with(&home) => {}
                _ => return leaves(&at),
            },
            Ok(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn broken(folder: &Path, word: &str) {
        let found = ProjectFile::find(folder, None);
        assert!(
            matches!(&found, Err(Error::BrokenConfig { what }) if what.contains(word)),
            "{word}: {found:?}"
        );
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("repo");
        fs::create_dir_all(inner.join("data")).unwrap();
        fs::create_dir(inner.join(".git")).unwrap();
        let outside = root.path().join("outside.toml");
        fs::write(&outside, "project_id = 1\n").unwrap();
        let file = inner.join(NAME);
        for (target, word) in
            [("../outside.toml", "leads out"), ("nowhere", "to nothing"), ("/dev/null", "leads out")]
        {
            symlink(target, &file).unwrap();
            broken(&inner, word);
            fs::remove_file(&file).unwrap();
        }
        // A link that stays is as good as a file.
        fs::write(inner.join("data/real.toml"), "project_id = 2\n").unwrap();
        symlink("data/real.toml", &file).unwrap();
        let found = ProjectFile::find(&inner, None).unwrap().unwrap();
        assert_eq!(found.project_id.as_deref(), Some("2"));
        fs::remove_file(&file).unwrap();
        for (link, target, db, good) in [
            ("out", "..", "out/a.duckdb", false),
            ("a.duckdb", "../a.duckdb", "a.duckdb", false),
            ("b.duckdb", "data/b.duckdb", "b.duckdb", false),
            ("in", "data", "in/new.duckdb", true),
        ] {
            symlink(target, inner.join(link)).unwrap();
            fs::write(&file, format!("db = \"{db}\"\n")).unwrap();
            match good {
                true => assert!(ProjectFile::find(&inner, None).unwrap().unwrap().db.is_some(), "{db}"),
                false => broken(&inner, "link"),
            }
        }
    }

    #[test]
    fn pipes_devices_and_large_files_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NAME);
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRUSR).unwrap();
        broken(folder.path(), "not a regular file");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        broken(folder.path(), "not a regular file");
        fs::remove_dir(&file).unwrap();
        fs::write(&file, vec![b'#'; LARGEST as usize + 1]).unwrap();
        broken(folder.path(), "more than");
        fs::write(&file, b"region = \"\xff\"").unwrap();
        broken(folder.path(), "UTF-8");
    }

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
