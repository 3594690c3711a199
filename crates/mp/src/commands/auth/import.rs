//! `mp auth import`: the accounts of another configuration file, such as that of the Python original.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::{Reader, shell_word};
use crate::args;
use crate::config::{Account, put};
use crate::error::Error;
use crate::output;
use crate::ui::counted;

pub(super) fn run(args: &args::Import, reader: Reader<'_>) -> Result<(), Error> {
    let Reader { env, ui, .. } = reader;
    let from = args.file.clone().or_else(|| env.originals_config_file()).ok_or_else(|| {
        Error::setting("HOME is not set, so there is no file to import", "mp auth import FILE")
    })?;
    let to = env.own_config_file()?;
    if is_one_file(&from, &to) {
        let hint =
            format!("chmod 600 {} keeps others from reading it", shell_word(&to.display().to_string()));
        return Err(Error::setting(format!("{} is the file in use already", to.display()), hint));
    }
    let found = env.originals(&from)?;
    let mut known: Vec<String> = Vec::new();
    let file = env.edit_own_file(|ours, document| {
        let mut others: Vec<&str> = Vec::new();
        for (name, account) in &found.file.accounts {
            match ours.accounts.get(name) {
                // Ours may say more of it.
                Some(here) if is_same(here, account) => known.push(name.clone()),
                Some(_) if !args.replace => others.push(name),
                _ => put(document, name, account),
            }
        }
        if !others.is_empty() {
            let what = format!("there are other accounts of the same name already: {}", others.join(", "));
            return Err(Error::setting(what, "--replace replaces them; nothing was imported"));
        }
        if let (None, Some(default)) = (&ours.default, &found.file.default) {
            document["default"] = toml_edit::value(default);
        }
        Ok(())
    })?;
    let imported: Vec<&String> = found.file.accounts.keys().filter(|name| !known.contains(name)).collect();
    let said = format!("imported {} into {}", counted(imported.len() as u64, "account"), to.display());
    let done = json!({
        "imported": imported,
        "unchanged": known,
        "left_out": found.left_out,
        "default": file.chosen().ok().flatten(),
        "file": to,
    });
    output::done(&args.output, ui, &done, &said)?;
    if !found.left_out.is_empty() {
        let names = found.left_out.join(", ");
        ui.say(&format!("without a user name and a secret, and so left out: {names}"));
    }
    let place = shell_word(&from.display().to_string());
    match found.mode_for_others {
        Some(mode) => ui.caution(&format!(
            "{} still holds the secrets, and others can read it (mode {mode:o}): rm {place}, or chmod 600 {place}",
            from.display()
        )),
        None => ui.say(&format!("{} still holds the secrets, too: rm {place} if nothing reads it", from.display())),
    }
    Ok(())
}

fn is_one_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    real(one) == real(other)
}

/// Whether both are the same credential for the same project.
fn is_same(one: &Account, other: &Account) -> bool {
    let secret = |account: &Account| account.secret.as_ref().map(|secret| secret.expose().to_owned());
    (&one.username, &one.project_id, &one.region) == (&other.username, &other.project_id, &other.region)
        && secret(one) == secret(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_the_same_if_credential_and_project_are() {
        let account = |user: &str, id: &str| Account {
            username: Some(user.to_owned()),
            project_id: Some(id.to_owned()),
            secret: Some(mixpanel_client::Secret::new("s")),
            ..Account::default()
        };
        assert!(is_same(&account("u", "1"), &account("u", "1")));
        assert!(!is_same(&account("u", "1"), &account("u", "2")));
        let other = Account { secret: Some(mixpanel_client::Secret::new("t")), ..account("u", "1") };
        assert!(!is_same(&account("u", "1"), &other));
    }
}
