//! The environment and the configuration files, each read when first asked for.

use std::cell::OnceCell;
use std::env::VarError;
use std::path::PathBuf;

use toml_edit::DocumentMut;

use super::file::{Account, File};
use super::places;
use super::project::ProjectFile;
use crate::databases::Databases;
use crate::error::Error;
use crate::ui::Mask;

/// What the user said about configuration on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// `--config`
    pub(crate) config: Option<PathBuf>,
    /// `--account`
    pub(crate) account: Option<String>,
}

/// Both configuration files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) user: File,
    pub(crate) project: ProjectFile,
}

/// Gives the value of a variable.
type Lookup = Box<dyn Fn(&str) -> Option<String>>;

/// A variable of this process. One that is no text is not taken for absent, or another database
/// would be used without a word: it names nothing that is there, and the error shows it. Folders are
/// another matter, as something would be made in them.
fn variable(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) => Some(value),
        Err(VarError::NotUnicode(value)) if name != "HOME" && !name.starts_with("XDG_") => {
            Some(value.to_string_lossy().into_owned())
        }
        Err(_) => None,
    }
}

/// Where words are looked up.
pub(crate) struct Surroundings {
    lookup: Lookup,
    words: Words,
    here: Option<PathBuf>,
    mask: Mask,
    databases: Databases,
    files: OnceCell<Files>,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process(words: Words, mask: Mask, databases: Databases) -> Self {
        let here = std::env::current_dir().ok();
        Surroundings::new(variable, words, here, mask, databases)
    }

    /// Looks words up by `lookup`, and for a project file in `here` and above it.
    pub(crate) fn new(
        lookup: impl Fn(&str) -> Option<String> + 'static,
        words: Words,
        here: Option<PathBuf>,
        mask: Mask,
        databases: Databases,
    ) -> Self {
        Surroundings { lookup: Box::new(lookup), words, here, mask, databases, files: OnceCell::new() }
    }

    /// A variable of the environment; empty ones count as absent. A line end behind it is one that a
    /// file of variables had, of another system perhaps, and no part of the value.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?.trim_end_matches(['\r', '\n']).to_owned();
        Some(value).filter(|value| !value.is_empty())
    }

    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    /// What must not be printed.
    pub(crate) fn mask(&self) -> &Mask {
        &self.mask
    }

    /// How databases are opened.
    pub(crate) fn databases(&self) -> &Databases {
        &self.databases
    }

    /// Whether files that others can read are accepted.
    pub(crate) fn accepts_insecure(&self) -> bool {
        self.get("MP_ALLOW_INSECURE_CONFIG").is_some_and(|value| value == "1")
    }

    /// Where the user's configuration file is, or would be.
    pub(crate) fn config_file(&self) -> Result<PathBuf, Error> {
        places::config_file(self.words.config.as_deref(), self)
    }

    /// The configuration files. One that was named and is not there is an error.
    pub(crate) fn files(&self) -> Result<&Files, Error> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        // Without a home there is nothing to read, and what needs none goes on.
        let user = match self.config_file() {
            Ok(path) => {
                if self.words.config.is_some() && !path.exists() {
                    let source = std::io::ErrorKind::NotFound.into();
                    return Err(Error::Read { path, source });
                }
                File::read(&path, self.accepts_insecure())?
            }
            Err(_) => File::empty(),
        };
        for account in user.accounts.values() {
            account.secret.iter().for_each(|secret| self.mask.hide(secret));
        }
        let home = self.get("HOME").map(PathBuf::from);
        let project = match &self.here {
            Some(here) => ProjectFile::find(here, home.as_deref())?,
            None => None,
        };
        let files = Files { user, project: project.unwrap_or_default() };
        Ok(self.files.get_or_init(|| files))
    }

    /// The user's file: that which was named, or the usual one, also if it is not there.
    pub(crate) fn user_file(&self) -> Result<File, Error> {
        File::read(&self.config_file()?, self.accepts_insecure())
    }

    /// Changes the user's file; see [`File::edit`].
    pub(crate) fn edit_user_file(
        &self,
        change: impl FnOnce(&File, &mut DocumentMut) -> Result<(), Error>,
    ) -> Result<File, Error> {
        File::edit(&self.config_file()?, self.accepts_insecure(), change)
    }

    /// The same, with this account asked for.
    pub(crate) fn as_account(&self, name: &str) -> Self {
        let words = Words { account: Some(name.to_owned()), ..self.words.clone() };
        Surroundings::new(variable, words, self.here.clone(), self.mask.clone(), self.databases.clone())
    }

    /// The same environment, with a user's file that holds nothing but this account, and with the
    /// account asked for.
    pub(crate) fn with_account(name: &str, account: Account, mask: Mask, databases: Databases) -> Self {
        let words = Words { account: Some(name.to_owned()), ..Words::default() };
        let files = Files { user: File::of_account(name, account), project: ProjectFile::default() };
        let env = Surroundings::new(variable, words, None, mask, databases);
        Surroundings { files: OnceCell::from(files), ..env }
    }
}
