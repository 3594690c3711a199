//! The user's configuration file: accounts and settings, in TOML.
//!
//! ```toml
//! default = "work"
//!
//! [accounts.work]
//! username = "reader.mp-service-account"
//! secret = "…"                  # or secret_file, secret_command, keyring
//! project_id = 12345
//! region = "eu"
//!
//! [settings]
//! db = "/data/mixpanel.duckdb"
//!
//! [[sync]]                      # what `mp sync --all` brings up to date
//! account = "work"
//! from = "2024-01-01"
//! ```
//!
//! Unknown keys are errors, as a misspelt one would be silently without effect. Comments survive
//! when the file is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mixpanel_client::Secret;
use serde::Deserialize;
use toml_edit::{DocumentMut, Item, Table, value};

use super::private::{self, Trust};
use crate::error::Error;

/// A configuration file, as read.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    /// The whole text, secrets included.
    text: Secret,
    pub(crate) default: Option<String>,
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) settings: Settings,
    /// What is kept up to date.
    pub(crate) sync: Vec<Entry>,
}

/// A table that is kept up to date by `mp sync --all`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Of whose project; that in use unless told.
    pub(crate) account: Option<String>,
    pub(crate) table: Option<String>,
    /// The first day, as `--from` takes it.
    pub(crate) from: Option<String>,
    #[serde(default)]
    pub(crate) events: Vec<String>,
    #[serde(rename = "where")]
    pub(crate) filter: Option<String>,
    /// A table of all profiles to fetch, too.
    pub(crate) profiles: Option<String>,
    pub(crate) db: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    default: Option<String>,
    #[serde(default)]
    accounts: BTreeMap<String, Account>,
    #[serde(default)]
    settings: Settings,
    #[serde(default)]
    sync: Vec<Entry>,
}

/// An account: a credential, and the project that it is for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    /// Absent when a project secret stands for the user.
    pub(crate) username: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(crate) secret: Option<Secret>,
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) secret_command: Option<Vec<String>>,
    /// Whether the secret is in the keyring of the operating system.
    #[serde(default)]
    pub(crate) keyring: bool,
    #[serde(default, deserialize_with = "number_or_text")]
    pub(crate) project_id: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) clock_mode: Option<String>,
    pub(crate) base_url: Option<String>,
}

/// Settings that hold for every account.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) db: Option<PathBuf>,
    pub(crate) region: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) clock_mode: Option<String>,
    /// It may hold a password.
    #[serde(default, deserialize_with = "secret")]
    pub(crate) proxy: Option<Secret>,
    pub(crate) no_proxy: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
}

fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Secret::new))
}

/// Ids were written as text in older files.
pub(super) fn number_or_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Float(f64),
        Text(String),
    }
    Ok(Option::<Either>::deserialize(from)?.map(|either| match either {
        Either::Number(number) => number.to_string(),
        Either::Float(number) => number.to_string(),
        Either::Text(text) => text,
    }))
}

impl File {
    /// No file.
    pub(super) fn empty() -> Self {
        File {
            path: PathBuf::new(),
            text: Secret::new(""),
            default: None,
            accounts: BTreeMap::new(),
            settings: Settings::default(),
            sync: Vec::new(),
        }
    }

    /// Reads the file; one that does not exist is empty.
    pub(crate) fn read(path: &Path, trust: Trust) -> Result<Self, Error> {
        let text = private::read(path, trust)?.unwrap_or_default();
        File::parse(path, text)
    }

    pub(super) fn parse(path: &Path, text: String) -> Result<Self, Error> {
        let Raw { default, accounts, settings, sync } =
            toml_edit::de::from_str(&text).map_err(|error| broken(path, &text, &error))?;
        Ok(File { path: path.to_owned(), text: Secret::new(text), default, accounts, settings, sync })
    }

    /// The account of this name.
    pub(crate) fn account(&self, name: &str) -> Result<&Account, Error> {
        self.accounts.get(name).ok_or_else(|| Error::NoAccount {
            name: name.to_owned(),
            known: self.accounts.keys().cloned().collect(),
        })
    }

    /// The account to use when none is named: the default, or the only one there is.
    pub(crate) fn chosen(&self) -> Result<Option<&str>, Error> {
        match (&self.default, self.accounts.len()) {
            (Some(name), _) => self.account(name).map(|_| Some(name.as_str())),
            (None, 0) => Ok(None),
            (None, 1) => Ok(self.accounts.keys().next().map(String::as_str)),
            (None, _) => Err(Error::SeveralAccounts { known: self.accounts.keys().cloned().collect() }),
        }
    }

    /// Changes the file with `change`, which sees it as it is when nobody else changes it, and writes
    /// it as a whole, in private. Whatever must not have changed meanwhile is for `change` to check.
    pub(crate) fn edit(
        path: &Path,
        trust: Trust,
        change: impl FnOnce(&File, &mut DocumentMut) -> Result<(), Error>,
    ) -> Result<File, Error> {
        let turn = private::Turn::wait(path)?;
        let now = File::read(path, trust)?;
        let mut document: DocumentMut =
            now.text.expose().parse().map_err(|error: toml_edit::TomlError| {
                Error::setting(one_line(error.message()), "correct the file")
            })?;
        change(&now, &mut document)?;
        let file = File::parse(path, document.to_string())?;
        turn.write(file.text.expose())?;
        Ok(file)
    }

    /// A file of accounts that came from elsewhere.
    pub(super) fn of_accounts(
        path: &Path,
        default: Option<String>,
        accounts: BTreeMap<String, Account>,
    ) -> Self {
        File { path: path.to_owned(), default, accounts, ..File::empty() }
    }

    /// A file of nothing but one account, for what is asked before the account is stored.
    pub(super) fn of_account(name: &str, account: Account) -> Self {
        File { accounts: BTreeMap::from([(name.to_owned(), account)]), ..File::empty() }
    }
}

/// Puts an account into a document, in the place of one of the same name.
pub(crate) fn put(document: &mut DocumentMut, name: &str, account: &Account) {
    let mut table = Table::new();
    let mut set = |key: &str, text: Option<&str>| {
        if let Some(text) = text {
            table[key] = value(text);
        }
    };
    set("username", account.username.as_deref());
    set("secret", account.secret.as_ref().map(Secret::expose));
    set("secret_file", account.secret_file.as_deref().and_then(Path::to_str));
    set("region", account.region.as_deref());
    set("timezone", account.timezone.as_deref());
    set("clock_mode", account.clock_mode.as_deref());
    set("base_url", account.base_url.as_deref());
    if let Some(words) = &account.secret_command {
        table["secret_command"] = value(words.iter().collect::<toml_edit::Array>());
    }
    if account.keyring {
        table["keyring"] = value(true);
    }
    match account.project_id.as_deref().map(str::parse::<i64>) {
        Some(Ok(id)) => table["project_id"] = value(id),
        Some(Err(_)) => table["project_id"] = value(account.project_id.clone().unwrap_or_default()),
        None => {}
    }
    accounts(document)[name] = Item::Table(table);
}

/// The table of accounts, made if it is not there.
pub(crate) fn accounts(document: &mut DocumentMut) -> &mut Item {
    document.entry("accounts").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    })
}

/// What is wrong, and in which line; never the line itself, which may be that of a secret.
pub(super) fn broken(path: &Path, text: &str, error: &toml_edit::de::Error) -> Error {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = line.map_or_else(String::new, |line| format!(", line {line}"));
    let message = without_value(&one_line(error.message()));
    Error::BrokenConfig { what: format!("{}{place}: {message}", path.display()) }
}

/// A message about a wrong value shows it, and it may be the secret.
fn without_value(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((before, expected)) if before.starts_with("invalid ") => {
            format!("a value of the wrong kind, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<File, Error> {
        File::parse(Path::new("config.toml"), text.to_owned())
    }

    #[test]
    fn files_of_the_original_are_read() {
        let text = "default = \"a\"\n[accounts.a]\nusername = \"u\"\nsecret = \"s\"\nproject_id = \"7\"\nregion = \"us\"\n";
        let file = parse(text).unwrap();
        assert_eq!(file.chosen().unwrap(), Some("a"));
        assert_eq!(file.account("a").unwrap().project_id.as_deref(), Some("7"));
    }

    #[test]
    fn errors_name_the_line_and_never_show_it() {
        for (text, word) in [
            ("default = \n", "line 1"),
            ("[accounts.a]\nsecret = 'canary-1\n", "line 2"),
            ("[accounts.a]\nsecret = 17\n", "line 2"),
            ("[accounts.a]\nsecrt = \"canary-1\"\n", "secrt"),
            ("[accounts]\na = \"canary-1\"\n", "line 2"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word) && error.starts_with("config.toml"), "{error}");
            assert!(!error.contains("canary-1"), "{error}");
        }
    }

    #[test]
    fn comments_survive_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let text = "# mine\ndefault = \"a\" # really\n[accounts.a]\nusername = \"u\"\n";
        private::Turn::wait(&path).unwrap().write(text).unwrap();
        let account = Account { project_id: Some("7".into()), ..Account::default() };
        let put_it = |_: &File, document: &mut DocumentMut| {
            put(document, "b", &account);
            Ok(())
        };
        let file = File::edit(&path, Trust::OwnerAlone, put_it).unwrap();
        assert_eq!(file.accounts.len(), 2);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\ndefault = \"a\" # really\n"), "{text}");
        assert!(text.contains("[accounts.b]\nproject_id = 7\n"), "{text}");
        assert_eq!(
            File::read(&path, Trust::OwnerAlone).unwrap().account("b").unwrap().project_id.as_deref(),
            Some("7")
        );
    }

    #[test]
    fn no_account_is_guessed_among_several() {
        let two = "[accounts.a]\n[accounts.b]\n";
        assert!(matches!(parse(two).unwrap().chosen(), Err(Error::SeveralAccounts { .. })));
        let gone = "default = \"c\"\n[accounts.a]\n";
        assert!(matches!(parse(gone).unwrap().chosen(), Err(Error::NoAccount { .. })));
        assert_eq!(parse("[accounts.a]\n").unwrap().chosen().unwrap(), Some("a"));
        assert_eq!(parse("").unwrap().chosen().unwrap(), None);
    }
}
