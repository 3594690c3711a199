//! The environment and the configuration files, each read when first asked for.

use std::cell::{OnceCell, RefCell};
use std::env::VarError;
use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use super::file::{Account, File};
use super::original::{self, Originals, put_all};
use super::places::{self, ConfigFile};
use super::private::Trust;
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
    cautions: RefCell<Vec<String>>,
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
        let (files, cautions) = (OnceCell::new(), RefCell::default());
        Surroundings { lookup: Box::new(lookup), words, here, mask, databases, files, cautions }
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

    /// Whose hands a configuration file may have gone through.
    fn trust(&self) -> Trust {
        match self.get("MP_ALLOW_INSECURE_CONFIG") {
            Some(value) if value == "1" => Trust::Anybody,
            _ => Trust::OwnerAlone,
        }
    }

    /// Where the user's configuration file is, or would be.
    pub(crate) fn config_file(&self) -> Result<PathBuf, Error> {
        places::config_file(self.words.config.as_deref(), self).map(|file| file.path)
    }

    /// Our own configuration file, also where that of the Python original is in use.
    pub(crate) fn own_config_file(&self) -> Result<PathBuf, Error> {
        places::own_config_file(self.words.config.as_deref(), self)
    }

    /// Where the Python original keeps its accounts.
    pub(crate) fn originals_config_file(&self) -> Option<PathBuf> {
        places::originals_config_file(self)
    }

    /// What is to be known about the files that were read.
    pub(crate) fn cautions(&self) -> Vec<String> {
        self.cautions.take()
    }

    /// Reads the user's file: ours, or that of the Python original, which it leaves readable by all.
    fn read_user_file(&self, file: &ConfigFile) -> Result<File, Error> {
        if !file.is_originals {
            return File::read(&file.path, self.trust());
        }
        let found = self.originals(&file.path)?;
        let mode = found.mode_for_others.filter(|_| self.trust() != Trust::Anybody);
        *self.cautions.borrow_mut() =
            mode.map(|mode| original::caution(&file.path, mode)).into_iter().collect();
        Ok(found.file)
    }

    /// The configuration files. One that was named and is not there is an error.
    pub(crate) fn files(&self) -> Result<&Files, Error> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        // Without a home there is nothing to read, and what needs none goes on.
        let user = match places::config_file(self.words.config.as_deref(), self) {
            Ok(file) => {
                if self.words.config.is_some() && !file.path.exists() {
                    let hint = "give --config an existing file; without --config, the usual one is used";
                    return Err(Error::NoFile { path: file.path, hint });
                }
                self.read_user_file(&file)?
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
        self.read_user_file(&places::config_file(self.words.config.as_deref(), self)?)
    }

    /// Changes the user's file; see [`File::edit`]. That of the Python original is changed where it is,
    /// unless it holds more than we understand: then its accounts are taken over into ours first.
    pub(crate) fn edit_user_file(
        &self,
        change: impl FnOnce(&File, &mut DocumentMut) -> Result<(), Error>,
    ) -> Result<File, Error> {
        let file = places::config_file(self.words.config.as_deref(), self)?;
        if !file.is_originals {
            return File::edit(&file.path, self.trust(), change);
        }
        let found = self.originals(&file.path)?;
        if found.is_as_ours {
            let trust = if self.trust() == Trust::Anybody { Trust::Anybody } else { Trust::OthersMayRead };
            // It is written so that others can read it no longer.
            self.cautions.take();
            return File::edit(&file.path, trust, change);
        }
        let ours = self.own_config_file()?;
        let edited = File::edit(&ours, self.trust(), |_, document| {
            put_all(document, &found.file);
            change(&found.file, document)
        })?;
        self.cautions.borrow_mut().extend(original::taken_over(&file.path, &ours, found.file.accounts.len()));
        Ok(edited)
    }

    /// Changes our own file, also where that of the Python original is in use.
    pub(crate) fn edit_own_file(
        &self,
        change: impl FnOnce(&File, &mut DocumentMut) -> Result<(), Error>,
    ) -> Result<File, Error> {
        File::edit(&self.own_config_file()?, self.trust(), change)
    }

    /// The accounts of a file that another program wrote, such as the Python original.
    pub(crate) fn originals(&self, path: &Path) -> Result<Originals, Error> {
        original::read(path, self.trust())
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
