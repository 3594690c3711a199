//! Which word wins: a flag, the environment, the project file, the user's file, a default, in this
//! order; and where it came from.
//!
//! An account that is named by `--account` comes right behind the flags, as it was asked for. A
//! username and a secret are never mixed: the environment's username takes the environment's secret.

use std::fmt;

use mixpanel_client::{Credentials, Secret};

use super::file::Account;
use super::{Env, Files, keyring, secret};
use crate::error::Error;

/// Something that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    ProjectId,
    Region,
    Timezone,
    ClockMode,
    BaseUrl,
    Db,
}

impl Key {
    pub(crate) const ALL: [Key; 6] =
        [Key::ProjectId, Key::Region, Key::Timezone, Key::ClockMode, Key::BaseUrl, Key::Db];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Key::ProjectId => "project_id",
            Key::Region => "region",
            Key::Timezone => "timezone",
            Key::ClockMode => "clock_mode",
            Key::BaseUrl => "base_url",
            Key::Db => "db",
        }
    }

    /// What holds when nothing is said, if there is such a thing.
    pub(crate) fn default(self) -> Option<&'static str> {
        match self {
            Key::Region => Some("us"),
            Key::Timezone => Some("UTC"),
            Key::ClockMode => Some("utc"),
            Key::ProjectId | Key::BaseUrl | Key::Db => None,
        }
    }

    /// The variables, the first of them first.
    fn variables(self) -> &'static [&'static str] {
        match self {
            Key::ProjectId => &["MP_PROJECT_ID", "MIXPANEL_PROJECT_ID"],
            Key::Region => &["MP_REGION"],
            Key::Timezone => &["MP_TIMEZONE"],
            Key::ClockMode => &["MP_CLOCK_MODE"],
            Key::BaseUrl => &["MP_BASE_URL"],
            Key::Db => &["MP_DB"],
        }
    }

    fn of_account(self, account: &Account) -> Option<String> {
        match self {
            Key::ProjectId => account.project_id.clone(),
            Key::Region => account.region.clone(),
            Key::Timezone => account.timezone.clone(),
            Key::ClockMode => account.clock_mode.clone(),
            Key::BaseUrl => account.base_url.clone(),
            Key::Db => None,
        }
    }

    fn of_project_file(self, files: &Files) -> Option<String> {
        let file = &files.project;
        match self {
            Key::ProjectId => file.project_id.clone(),
            Key::Region => file.region.clone(),
            Key::Timezone => file.timezone.clone(),
            Key::ClockMode => file.clock_mode.clone(),
            Key::Db => file.db.as_ref().map(|path| path.display().to_string()),
            // An address decides who gets the credential.
            Key::BaseUrl => None,
        }
    }

    fn of_settings(self, files: &Files) -> Option<String> {
        let settings = &files.user.settings;
        match self {
            Key::Region => settings.region.clone(),
            Key::Timezone => settings.timezone.clone(),
            Key::ClockMode => settings.clock_mode.clone(),
            Key::Db => settings.db.as_ref().map(|path| path.display().to_string()),
            Key::ProjectId | Key::BaseUrl => None,
        }
    }
}

/// Where a word came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Variable(&'static str),
    ProjectFile(String),
    Account(String),
    UserFile,
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag => f.write_str("flag"),
            Origin::Variable(name) => write!(f, "environment {name}"),
            Origin::ProjectFile(path) => write!(f, "project file {path}"),
            Origin::Account(name) => write!(f, "account {name}"),
            Origin::UserFile => f.write_str("configuration file"),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A word, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) value: Option<String>,
    pub(crate) origin: Origin,
}

impl Found {
    /// Where a wrong word stands, if that is not plain to see.
    pub(crate) fn place(&self) -> String {
        match &self.origin {
            Origin::Flag | Origin::Variable(_) | Origin::Default => String::new(),
            origin => format!("; it is from the {origin}"),
        }
    }
}

/// The account that is in use, and who chose it.
struct Chosen<'a> {
    name: &'a str,
    account: &'a Account,
    /// Whether `--account` named it.
    by_flag: bool,
}

/// All sources of words.
pub(crate) struct Settings<'a> {
    env: Env<'a>,
    files: &'a Files,
    chosen: Option<Chosen<'a>>,
    /// Why no account could be chosen, where that matters.
    undecided: Option<Error>,
}

/// How the secret is given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    Variable(&'static str),
    FileOfVariable(String),
    CommandOfVariable(String),
    InAccount(&'a str),
}

impl<'a> Settings<'a> {
    /// Reads what there is.
    pub(crate) fn of(env: Env<'a>) -> Result<Self, Error> {
        let files = env.files()?;
        let by_flag = env.words().account.clone();
        let named =
            by_flag.clone().or_else(|| env.get("MP_ACCOUNT")).or_else(|| files.project.account.clone());
        let (chosen, undecided) = match named {
            Some(name) => {
                files.user.account(&name)?;
                let found = files.user.accounts.get_key_value(&name);
                (found.map(|(name, account)| (name.as_str(), account)), None)
            }
            None => match files.user.chosen() {
                Ok(name) => {
                    let found = name.and_then(|name| files.user.accounts.get_key_value(name));
                    (found.map(|(name, account)| (name.as_str(), account)), None)
                }
                Err(error) => (None, Some(error)),
            },
        };
        let by_flag = by_flag.is_some();
        let chosen = chosen.map(|(name, account)| Chosen { name, account, by_flag });
        Ok(Settings { env, files, chosen, undecided })
    }

    /// The word for a key, given what the flag says.
    pub(crate) fn find(&self, key: Key, flag: Option<&str>) -> Found {
        let found = |value: String, origin| Found { value: Some(value), origin };
        if let Some(value) = flag {
            return found(value.to_owned(), Origin::Flag);
        }
        let of_account = || {
            let chosen = self.chosen.as_ref()?;
            Some((key.of_account(chosen.account)?, Origin::Account(chosen.name.to_owned())))
        };
        if self.chosen.as_ref().is_some_and(|chosen| chosen.by_flag)
            && let Some((value, origin)) = of_account()
        {
            return found(value, origin);
        }
        for name in key.variables() {
            if let Some(value) = self.env.get(name) {
                return found(value, Origin::Variable(name));
            }
        }
        if let Some(value) = key.of_project_file(self.files) {
            return found(value, Origin::ProjectFile(self.files.project.path.display().to_string()));
        }
        if let Some((value, origin)) = of_account() {
            return found(value, origin);
        }
        if let Some(value) = key.of_settings(self.files) {
            return found(value, Origin::UserFile);
        }
        Found { value: None, origin: Origin::Default }
    }

    /// The account whose credentials are used, if they are from an account.
    pub(crate) fn account_in_use(&self) -> Option<&'a str> {
        let chosen = self.chosen.as_ref()?;
        let by_environment = self.username_variable().is_some() || self.project_secret().is_some();
        (chosen.by_flag || !by_environment).then_some(chosen.name)
    }

    /// Who chose the account.
    pub(crate) fn account_origin(&self) -> String {
        let origin = match &self.chosen {
            _ if self.account_in_use().is_none() => Origin::Default,
            Some(chosen) if chosen.by_flag => Origin::Flag,
            _ if self.env.get("MP_ACCOUNT").is_some() => Origin::Variable("MP_ACCOUNT"),
            _ if self.files.project.account.is_some() => {
                Origin::ProjectFile(self.files.project.path.display().to_string())
            }
            _ => Origin::UserFile,
        };
        origin.to_string()
    }

    /// The username and where it is from; none when a project secret stands for it.
    pub(crate) fn username(&self) -> Found {
        let account = self.account_in_use().and(self.chosen.as_ref());
        match (account, self.username_variable()) {
            (Some(chosen), _) => Found {
                value: chosen.account.username.clone(),
                origin: Origin::Account(chosen.name.to_owned()),
            },
            (None, Some((name, value))) => Found { value: Some(value), origin: Origin::Variable(name) },
            (None, None) => Found { value: None, origin: Origin::Default },
        }
    }

    fn username_variable(&self) -> Option<(&'static str, String)> {
        ["MP_USERNAME", "MIXPANEL_USERNAME"].into_iter().find_map(|name| Some((name, self.env.get(name)?)))
    }

    fn project_secret(&self) -> Option<String> {
        let alone = self.username_variable().is_none() && self.env.get("MP_SECRET").is_none();
        self.env.get("MP_PROJECT_SECRET").filter(|_| alone)
    }

    /// How the secret is given, without reading it.
    pub(crate) fn secret_source(&self) -> Option<Source<'a>> {
        let account = self.account_in_use().and(self.chosen.as_ref());
        let in_account = account.filter(|chosen| has_secret(chosen.account));
        let in_account = in_account.map(|chosen| Source::InAccount(chosen.name));
        if account.is_none() && self.project_secret().is_some() {
            return Some(Source::Variable("MP_PROJECT_SECRET"));
        }
        let in_environment = || {
            let plain =
                ["MP_SECRET", "MIXPANEL_SECRET"].into_iter().find(|name| self.env.get(name).is_some());
            plain
                .map(Source::Variable)
                .or_else(|| self.env.get("MP_SECRET_FILE").map(Source::FileOfVariable))
                .or_else(|| self.env.get("MP_SECRET_COMMAND").map(Source::CommandOfVariable))
        };
        if account.is_some_and(|chosen| chosen.by_flag) {
            in_account.or_else(in_environment)
        } else {
            in_environment().or(in_account)
        }
    }

    /// Whether this secret, without a user name, stands for its project.
    pub(crate) fn is_project_secret(&self, source: &Source<'_>) -> bool {
        self.account_in_use().is_some() || *source == Source::Variable("MP_PROJECT_SECRET")
    }

    /// Reads the secret.
    fn secret(&self, source: &Source<'_>) -> Result<Option<Secret>, Error> {
        match source {
            Source::Variable(name) => Ok(self.env.get(name).map(Secret::new)),
            Source::FileOfVariable(path) => secret::from_file(path.as_ref()).map(Some),
            Source::CommandOfVariable(text) => secret::from_command(&secret::words(text)?).map(Some),
            Source::InAccount(name) => {
                let Some(account) = self.files.user.accounts.get(*name) else { return Ok(None) };
                if let Some(secret) = &account.secret {
                    return Ok(Some(secret.clone()));
                }
                if let Some(path) = &account.secret_file {
                    return secret::from_file(path).map(Some);
                }
                if let Some(words) = &account.secret_command {
                    return secret::from_command(words).map(Some);
                }
                if account.keyring { keyring::from_keyring(name).map(Some) } else { Ok(None) }
            }
        }
    }

    /// The credentials; `has_project` says whether a project is known.
    pub(crate) fn credentials(self, has_project: bool) -> Result<Credentials, Error> {
        let username = self.username();
        let source = self.secret_source();
        let secret = match &source {
            Some(source) => self.secret(source)?,
            None => None,
        };
        let account = self.account_in_use();
        let stands_for_project = source.as_ref().is_some_and(|source| self.is_project_secret(source));
        match (username.value, secret) {
            (None, Some(secret)) if stands_for_project => Ok(Credentials::project_secret(secret)),
            (Some(username), Some(secret)) if has_project => {
                Ok(Credentials::service_account(username, secret))
            }
            (username, secret) => {
                if let (None, Some(error)) = (&username, self.undecided) {
                    return Err(error);
                }
                if let (Some(name), None) = (account, &secret) {
                    return Err(Error::NoSecret {
                        what: format!("the account {name} has no secret"),
                        why: None,
                    });
                }
                let given = [
                    ("MP_USERNAME", username.is_some()),
                    ("MP_SECRET", secret.is_some()),
                    ("MP_PROJECT_ID", has_project),
                ];
                let missing = given.into_iter().filter(|(_, given)| !given).map(|(name, _)| name).collect();
                Err(Error::NoCredentials { missing })
            }
        }
    }
}

fn has_secret(account: &Account) -> bool {
    account.secret.is_some()
        || account.secret_file.is_some()
        || account.secret_command.is_some()
        || account.keyring
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Variable(name) => write!(f, "environment {name}"),
            Source::FileOfVariable(_) => f.write_str("environment MP_SECRET_FILE"),
            Source::CommandOfVariable(_) => f.write_str("environment MP_SECRET_COMMAND"),
            Source::InAccount(name) => write!(f, "account {name}"),
        }
    }
}
