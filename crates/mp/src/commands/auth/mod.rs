//! `mp auth`: accounts, and what is in effect.

mod import;
mod login;
mod status;
mod test;

use mixpanel_data::Value;
use serde_json::json;

use super::Reader;
use super::asking::confirm;
use crate::args;
use crate::config::settings::Settings;
use crate::config::{Account, File, accounts, out_of_keyring};
use crate::error::Error;
use crate::output::{self, Column, List};

pub(crate) fn run(args: &args::Auth, reader: Reader<'_>) -> Result<(), Error> {
    match args {
        args::Auth::Login(args) => login::run(args, reader),
        args::Auth::Add(args) => login::add(args, reader),
        args::Auth::Import(args) => import::run(args, reader),
        args::Auth::List(args) => list(args, reader),
        args::Auth::Show(args) => show(args, reader),
        args::Auth::Switch(args) => switch(args, reader),
        args::Auth::Remove(args) => remove(args, reader),
        args::Auth::Status(args) => status::run(args, reader),
        args::Auth::Test(args) => test::run(args, reader),
    }
}

fn list(args: &args::AuthList, reader: Reader<'_>) -> Result<(), Error> {
    let file = reader.env.user_file()?;
    if file.accounts.is_empty() {
        reader.ui.say("no accounts yet: `mp auth login` adds one");
    }
    let mut list = List::new([
        Column::text("name"),
        Column::boolean("is_default").also("default"),
        Column::text("username"),
        Column::text("project_id"),
        Column::text("region"),
        Column::text("secret"),
    ]);
    let default = file.chosen().ok().flatten();
    for (name, account) in &file.accounts {
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
        list.push([
            Value::Text(name.clone()),
            Value::Boolean(default == Some(name)),
            text(&account.username),
            text(&account.project_id),
            text(&account.region),
            Value::Text(kept(account).to_owned()),
        ]);
    }
    output::list(&args.output, reader.ui, &list)
}

/// Where the secret of an account is.
fn kept(account: &Account) -> &'static str {
    match account {
        Account { secret: Some(_), .. } => "in the configuration file",
        Account { secret_file: Some(_), .. } => "in a file",
        Account { secret_command: Some(_), .. } => "from a command",
        Account { keyring: true, .. } => "in the keyring",
        _ => "none",
    }
}

fn show(args: &args::Named, reader: Reader<'_>) -> Result<(), Error> {
    let file = reader.env.user_file()?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => in_use(&file, reader)?,
    };
    let account = file.account(&name)?;
    let kind = if account.username.is_some() { "service account" } else { "project secret" };
    let is_default = file.chosen().ok().flatten() == Some(name.as_str());
    let shown = json!({
        "name": name,
        "kind": kind,
        "username": account.username,
        "project_id": account.project_id,
        "region": account.region,
        "timezone": account.timezone,
        "clock_mode": account.clock_mode,
        "base_url": account.base_url,
        "secret": kept(account),
        "is_default": is_default,
        "default": is_default,
    });
    let pairs: Vec<_> = output::pairs_of(&shown).into_iter().filter(|(name, _)| *name != "default").collect();
    output::object(&args.output, reader.ui, &shown, &pairs)
}

/// The account whose credentials are used, as `mp auth status` tells it.
fn in_use(file: &File, reader: Reader<'_>) -> Result<String, Error> {
    if let Some(name) = Settings::of(reader.env)?.account_in_use() {
        return Ok(name.to_owned());
    }
    match file.chosen()? {
        Some(_) => Err(Error::setting(
            "no account is in use: the credentials are those of the environment",
            "`mp auth show NAME` shows an account, and `mp auth status` what is in effect",
        )),
        None => Err(Error::NoAccount { name: "default".to_owned(), known: Vec::new() }),
    }
}

fn switch(args: &args::Name, reader: Reader<'_>) -> Result<(), Error> {
    let name = args.name.as_str();
    reader.env.edit_user_file(|file, document| {
        file.account(name)?;
        document["default"] = toml_edit::value(name);
        Ok(())
    })?;
    let said = format!("{name} is the default account now");
    output::done(&args.output, reader.ui, &json!({"default": name}), &said)
}

fn remove(args: &args::Remove, reader: Reader<'_>) -> Result<(), Error> {
    let name = args.account.name.as_str();
    // One that is not there needs no question.
    reader.env.user_file()?.account(name)?;
    confirm(args.force, &format!("Remove the account {name}?"), reader.signals)?;
    let mut was_default = false;
    let file: File = reader.env.edit_user_file(|file, document| {
        if file.account(name)?.keyring {
            out_of_keyring(name)?;
        }
        was_default = file.default.as_deref() == Some(name);
        if let Some(table) = accounts(document).as_table_like_mut() {
            table.remove(name);
        }
        if was_default {
            document.remove("default");
        }
        Ok(())
    })?;
    let left: Vec<&str> = file.accounts.keys().map(String::as_str).collect();
    let said = format!("removed the account {name}");
    output::done(&args.account.output, reader.ui, &json!({"removed": name}), &said)?;
    if was_default && left.len() > 1 {
        reader.ui.say(&format!(
            "no account is the default now: `mp auth switch NAME`, one of {}",
            left.join(", ")
        ));
    }
    Ok(())
}
