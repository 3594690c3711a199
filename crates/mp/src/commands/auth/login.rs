//! `mp auth login` and `mp auth add`: a new account. A login asks Mixpanel before anything is stored.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use mixpanel_client::Secret;
use nix::sys::termios::{self, LocalFlags, SetArg};
use serde_json::json;

use super::super::Reader;
use super::super::asking::ask;
use super::test;
use crate::args;
use crate::config::{Account, File, into_keyring, put, secret_words};
use crate::error::Error;
use crate::output;
use crate::signals::Signals;

/// Asks for what is missing, checks the account with Mixpanel, and stores it.
pub(super) fn run(args: &args::Login, reader: Reader<'_>) -> Result<(), Error> {
    let mut new = New::begin(args, Asking::ForAll, reader)?;
    let tested = ask_mixpanel(&new.name, &mut new.account, args, reader)?;
    let (file, name) = (store(&new.name, new.account, args, reader)?, new.name);
    reader.ui.say(&format!("stored the account {name} in {}", file.path.display()));
    test::tell(&tested, &args::Output::default(), reader)
}

/// Stores an account without checking it.
pub(super) fn add(args: &args::Add, reader: Reader<'_>) -> Result<(), Error> {
    if args.interactive && !io::stdin().is_terminal() {
        let hint = "--username, --project-id, and --secret-stdin for the secret";
        return Err(Error::setting("there is no terminal to prompt at", hint));
    }
    let asking = if args.interactive { Asking::InAnyCase } else { Asking::ForSecret };
    let New { name, account } = New::begin(&args.login, asking, reader)?;
    let file = store(&name, account, &args.login, reader)?;
    let is_default = file.chosen().ok().flatten() == Some(name.as_str());
    let said = format!("stored the account {name} in {}", file.path.display());
    output::done(&args.output, reader.ui, &json!({"added": name, "is_default": is_default}), &said)
}

/// What is asked for at a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// Whatever is missing.
    ForAll,
    /// The secret, if it is missing.
    ForSecret,
    /// Whatever is missing, and the secret wherever else there is one.
    InAnyCase,
}

/// An account that is not stored yet.
struct New {
    name: String,
    account: Account,
}

impl New {
    fn begin(args: &args::Login, asking: Asking, reader: Reader<'_>) -> Result<Self, Error> {
        let name = args.name.clone().unwrap_or_else(|| "default".to_owned());
        check_name(&name)?;
        // Before the questions, and once more when it is stored.
        check_new(&reader.env.user_file()?, &name, args.replace)?;
        let at_terminal = io::stdin().is_terminal() && !args.secret_stdin;
        let may_ask = at_terminal && asking != Asking::ForSecret;
        let mut account = Account {
            username: args.username.clone(),
            secret_file: args.secret_file.as_deref().map(absolute).transpose()?,
            secret_command: args.secret_command.as_deref().map(secret_words).transpose()?,
            keyring: args.keyring,
            project_id: args.connection.project_id.clone(),
            region: args.connection.region.clone(),
            timezone: args.connection.timezone.clone(),
            clock_mode: args.connection.clock_mode.clone(),
            base_url: args.connection.base_url.clone(),
            ..Account::default()
        };
        let signals = reader.signals;
        if !args.project_secret {
            fill(
                &mut account.username,
                "User name of the service account",
                "--username USER",
                may_ask,
                signals,
            )?;
            fill(&mut account.project_id, "Project id", "--project-id ID", may_ask, signals)?;
            if account.region.is_none() && may_ask && asking == Asking::ForAll {
                let region = ask("Region (us, eu or in; leave empty to detect it)", signals)?;
                account.region = Some(region).filter(|region| !region.is_empty());
            }
        }
        check(&account)?;
        let kept_elsewhere = account.secret_file.is_some() || account.secret_command.is_some();
        if !kept_elsewhere {
            let secret = secret(args, at_terminal, asking == Asking::InAnyCase, signals)?;
            reader.env.mask().hide(&secret);
            account.secret = Some(secret);
        }
        Ok(New { name, account })
    }
}

/// Asks Mixpanel about an account that is not stored yet. What it knows better than we guessed goes
/// into the account.
fn ask_mixpanel(
    name: &str,
    account: &mut Account,
    args: &args::Login,
    reader: Reader<'_>,
) -> Result<test::Tested, Error> {
    let tested = match test::of_account(name, account, &args.connection, reader) {
        Err(Error::OtherRegion { found, .. }) if account.region.is_none() => {
            reader.ui.say(&found.to_string());
            account.region = Some(found.region.to_string());
            test::of_account(name, account, &args.connection, reader)
        }
        outcome => outcome,
    };
    let mut tested =
        tested.map_err(|error| Error::NotStored { name: name.to_owned(), source: Box::new(error) })?;
    if let Some(zone) = tested.better_timezone() {
        account.timezone = Some(zone.clone());
        tested.timezone = zone;
    }
    Ok(tested)
}

/// Puts the account into the file, and its secret where it was to be kept.
fn store(name: &str, mut account: Account, args: &args::Login, reader: Reader<'_>) -> Result<File, Error> {
    reader.env.edit_user_file(|file, document| {
        check_new(file, name, args.replace)?;
        if args.keyring
            && let Some(secret) = account.secret.take()
        {
            into_keyring(name, &secret)?;
        }
        put(document, name, &account);
        let first = file.accounts.is_empty() || file.accounts.keys().eq([name]);
        if first || args.default {
            document["default"] = toml_edit::value(name);
        }
        Ok(())
    })
}

fn check_new(file: &File, name: &str, replace: bool) -> Result<(), Error> {
    if file.accounts.contains_key(name) && !replace {
        return Err(Error::AccountExists { name: name.to_owned() });
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Error> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if !name.is_empty() && name.chars().all(good) {
        return Ok(());
    }
    Err(Error::setting(
        format!("{name:?} cannot name an account"),
        "letters, digits, `-` and `_`, for instance: work",
    ))
}

/// What would only fail later is refused now.
fn check(account: &Account) -> Result<(), Error> {
    if let Some(id) = &account.project_id
        && id.trim().parse::<u64>().is_err()
    {
        let hint = "the project id is a number: Mixpanel shows it under Project Settings";
        return Err(Error::setting(format!("the project id {id:?} is not a number"), hint));
    }
    if let Some(region) = &account.region
        && region.parse::<mixpanel_client::Region>().is_err()
    {
        return Err(Error::setting(format!("unknown region {region:?}"), "--region us, eu or in"));
    }
    Ok(())
}

fn fill(
    field: &mut Option<String>,
    question: &str,
    flag: &str,
    may_ask: bool,
    signals: &Signals,
) -> Result<(), Error> {
    if field.is_some() {
        return Ok(());
    }
    if !may_ask {
        return Err(Error::setting(format!("{} is missing", question.to_lowercase()), flag));
    }
    let answer = ask(question, signals)?;
    if answer.is_empty() {
        return Err(Error::setting(format!("{} is missing", question.to_lowercase()), flag));
    }
    *field = Some(answer);
    Ok(())
}

/// A path that is good in every folder.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Asks at the terminal, which is silent before the question is there: what is pasted or typed ahead
/// is not shown either.
fn ask_unseen(question: &str) -> io::Result<String> {
    let terminal = std::fs::File::open("/dev/tty")?;
    let before = termios::tcgetattr(&terminal)?;
    let mut silent = before.clone();
    // Ctrl-C is a character from now on, so that nothing ends the program before the echo is back.
    silent.local_flags.remove(LocalFlags::ECHO | LocalFlags::ISIG);
    termios::tcsetattr(&terminal, SetArg::TCSANOW, &silent)?;
    let typed = rpassword::prompt_password(question);
    termios::tcsetattr(&terminal, SetArg::TCSANOW, &before)?;
    typed
}

fn secret(args: &args::Login, may_ask: bool, ask_first: bool, signals: &Signals) -> Result<Secret, Error> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::Interrupted => signals.typed().into(),
        _ => Error::Read { path: "standard input".into(), source },
    };
    let text = if args.secret_stdin {
        let _asking = signals.while_asking();
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
        line
    } else if let Some(secret) = std::env::var("MP_SECRET").ok().filter(|it| !it.is_empty() && !ask_first) {
        secret
    } else if may_ask {
        ask_unseen("Secret (not shown): ").map_err(unreadable)?
    } else {
        return Err(Error::setting(
            "no secret",
            "--secret-stdin reads it from standard input; MP_SECRET, --secret-file and --secret-command work too",
        ));
    };
    match text.trim() {
        "" => Err(Error::setting("the secret is empty", "--secret-stdin < FILE, or type it when asked")),
        secret => Ok(Secret::new(secret)),
    }
}
