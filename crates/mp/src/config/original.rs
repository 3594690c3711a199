//! The configuration file of the Python original, `~/.mp/config.toml`. Its first versions wrote what
//! ours may hold as well. Of later ones only the accounts are looked at that have a secret.
//!
//! The original leaves the file readable by everybody. It is read all the same, as what it says is
//! still the user's; that others can read it is told each time, until it is not so.

use std::collections::BTreeMap;
use std::path::Path;

use mixpanel_client::Secret;
use toml_edit::{DocumentMut, Item, TableLike};

use super::file::{Account, File, put};
use super::private::{self, Trust};
use crate::error::Error;

/// What was found.
#[derive(Debug)]
pub(crate) struct Originals {
    pub(crate) file: File,
    /// Whether the file holds nothing that ours would not.
    pub(super) is_as_ours: bool,
    /// Accounts without a user name and a secret, which are of no use here.
    pub(crate) left_out: Vec<String>,
    /// The mode of the file, if others can read it.
    pub(crate) mode_for_others: Option<u32>,
}

/// Reads a file that others may have read too, but not written.
pub(super) fn read(path: &Path, trust: Trust) -> Result<Originals, Error> {
    let trust = if trust == Trust::Anybody { trust } else { Trust::OthersMayRead };
    let Some(text) = private::read(path, trust)? else {
        let hint = "`mp auth import FILE` reads another configuration file; `mp auth login` adds an account";
        return Err(Error::NoFile { path: path.to_owned(), hint });
    };
    let mode_for_others = private::mode_for_others(path);
    if let Ok(file) = File::parse(path, text.clone()) {
        return Ok(Originals { file, is_as_ours: true, left_out: Vec::new(), mode_for_others });
    }
    let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let line =
            error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        // Its message quotes nothing of the line, which may be that of a secret.
        Error::BrokenConfig { what: format!("{}, line {line}: it is not TOML", path.display()) }
    })?;
    let mut accounts = BTreeMap::new();
    let mut left_out = Vec::new();
    let tables = document.get("accounts").and_then(Item::as_table_like);
    for (name, item) in tables.into_iter().flat_map(|table| table.iter()) {
        match item.as_table_like().and_then(account) {
            Some(account) => drop(accounts.insert(name.to_owned(), account)),
            None => left_out.push(name.to_owned()),
        }
    }
    let active =
        document.get("active").and_then(Item::as_table_like).and_then(|active| text_of(active, "account"));
    let default = document.get("default").and_then(Item::as_str).map(str::to_owned).or(active);
    let default = default.filter(|name| accounts.contains_key(name));
    Ok(Originals {
        file: File::of_accounts(path, default, accounts),
        is_as_ours: false,
        left_out,
        mode_for_others,
    })
}

fn account(table: &dyn TableLike) -> Option<Account> {
    let username = text_of(table, "username")?;
    let secret = text_of(table, "secret")?;
    Some(Account {
        username: Some(username),
        secret: Some(Secret::new(secret)),
        project_id: text_of(table, "project_id").or_else(|| text_of(table, "default_project")),
        region: text_of(table, "region").map(|region| region.to_lowercase()),
        ..Account::default()
    })
}

/// A text that is not empty; numbers are texts too.
fn text_of(table: &dyn TableLike, key: &str) -> Option<String> {
    let item = table.get(key)?;
    let text =
        item.as_str().map(str::to_owned).or_else(|| item.as_integer().map(|number| number.to_string()));
    text.filter(|text| !text.trim().is_empty())
}

/// What is said of a file that others can read.
pub(super) fn caution(path: &Path, mode: u32) -> String {
    format!(
        "{0} holds secrets and can be read by others (mode {mode:o}): chmod 600 {0}; or `mp auth import` takes its \
         accounts over",
        path.display()
    )
}

/// Puts all accounts into a document, and the default, if it has none.
pub(super) fn put_all(document: &mut DocumentMut, from: &File) {
    for (name, account) in &from.accounts {
        put(document, name, account);
    }
    if let (None, Some(default)) = (document.get("default"), &from.default) {
        document["default"] = toml_edit::value(default);
    }
}

/// What is said when its accounts were taken over on the way.
pub(super) fn taken_over(from: &Path, to: &Path, count: usize) -> Option<String> {
    let (accounts, were) = if count == 1 { ("account", "was") } else { ("accounts", "were") };
    (count > 0).then(|| {
        let (from, to) = (from.display(), to.display());
        format!("{count} {accounts} of {from} {were} imported into {to}, which is used from now on")
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn accounts_with_a_secret_are_taken_and_others_left_out() {
        let (_folder, path) = written(
            "default = \"b\"\nodd = 1\n[accounts.a]\nusername = \"u\"\nsecret = \"s\"\nproject_id = \"7\"\nregion = \"EU\"\n\
             [accounts.b]\nusername = \"v\"\nsecret = \"t\"\nproject_id = 8\nregion = \"us\"\nextra = true\n\
             [accounts.c]\ntype = \"oauth_browser\"\nregion = \"us\"\n",
        );
        let found = read(&path, Trust::OwnerAlone).unwrap();
        assert!(!found.is_as_ours);
        assert_eq!(found.file.accounts.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((found.file.default.as_deref(), &found.left_out[..]), (Some("b"), &["c".to_owned()][..]));
        let a = &found.file.accounts["a"];
        assert_eq!((a.project_id.as_deref(), a.region.as_deref()), (Some("7"), Some("eu")));
        assert_eq!(found.file.accounts["b"].project_id.as_deref(), Some("8"));
    }

    #[test]
    fn the_schema_of_its_later_versions_is_understood() {
        let (_folder, path) = written(
            "[active]\naccount = \"team\"\n[accounts.team]\ntype = \"service_account\"\nregion = \"in\"\n\
             default_project = \"9\"\nusername = \"u\"\nsecret = \"s\"\n",
        );
        let found = read(&path, Trust::OwnerAlone).unwrap();
        assert_eq!(found.file.default.as_deref(), Some("team"));
        assert_eq!(found.file.accounts["team"].project_id.as_deref(), Some("9"));
    }

    #[test]
    fn a_broken_file_is_named_with_its_line_and_no_secret() {
        let (_folder, path) = written("[accounts.a]\nsecret = \"canary-1\n");
        let error = read(&path, Trust::OwnerAlone).unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("canary-1"), "{error}");
        assert!(read(Path::new("/nowhere/config.toml"), Trust::OwnerAlone).is_err());
    }
}
