//! `mp auth login` and `mp auth add`: a new account.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use mixpanel_client::Secret;
use nix::sys::termios::{self, LocalFlags, SetArg};

use super::super::Reader;
use super::test;
use crate::args;
use crate::config::{Account, File, into_keyring, put, secret_words};
use crate::error::Error;
use crate::signals::Signals;

/// Asks for what is missing when `asks`, stores the account, and checks it.
pub(super) fn run(args: &args::Login, asks: bool, reader: Reader<'_>) -> Result<(), Error> {
    let file = reader.env.user_file()?;
    let name = args.name.clone().unwrap_or_else(|| "default".to_owned());
    check_name(&name)?;
    if file.accounts.contains_key(&name) && !args.replace {
        return Err(Error::AccountExists { name });
    }
    let may_ask = asks && io::stdin().is_terminal() && !args.secret_stdin;
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
        fill(&mut account.username, "User name of the service account", "--username USER", may_ask, signals)?;
        fill(&mut account.project_id, "Project id", "--project-id ID", may_ask, signals)?;
        if account.region.is_none() && may_ask {
            let region = ask("Region: us, eu, in, or nothing to find out", signals)?;
            account.region = Some(region).filter(|region| !region.is_empty());
        }
    }
    check(&account)?;
    let kept_elsewhere = account.secret_file.is_some() || account.secret_command.is_some();
    if !kept_elsewhere {
        let secret = secret(args, may_ask, signals)?;
        reader.env.mask().hide(&secret);
        if args.keyring {
            into_keyring(&name, &secret)?;
        } else {
            account.secret = Some(secret);
        }
    }
    let first = file.accounts.is_empty() || file.accounts.keys().eq([&name]);
    let store = |file: &File, account: &Account| {
        file.edit(|document| {
            put(document, &name, account);
            if first || args.default {
                document["default"] = toml_edit::value(name.as_str());
            }
        })
    };
    let file: File = store(&file, &account)?;
    reader.ui.say(&format!("stored the account {name} in {}", file.path.display()));
    if !asks {
        return Ok(());
    }
    // What Mixpanel knows better than we guessed goes into the account too.
    let mut tested = match test::of_account(&name, &args.connection, reader) {
        Err(Error::OtherRegion { found, .. }) if account.region.is_none() => {
            reader.ui.say(&found.to_string());
            account.region = Some(found.region.to_string());
            store(&file, &account)?;
            test::of_account(&name, &args.connection, reader)
        }
        outcome => outcome,
    }?;
    if let Some(zone) = tested.better_timezone() {
        account.timezone = Some(zone.clone());
        store(&file, &account)?;
        tested.timezone = zone;
    }
    test::tell(&tested, &args::Output::default(), reader)
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

/// Questions are talk, so they go to standard error.
fn ask(question: &str, signals: &Signals) -> Result<String, Error> {
    let _asking = signals.while_asking();
    let mut line = String::new();
    let asked = write!(io::stderr(), "{question}: ").and_then(|()| io::stdin().lock().read_line(&mut line));
    asked.map_err(|source| Error::Read { path: "standard input".into(), source })?;
    Ok(line.trim().to_owned())
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

fn secret(args: &args::Login, may_ask: bool, signals: &Signals) -> Result<Secret, Error> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::Interrupted => signals.typed().into(),
        _ => Error::Read { path: "standard input".into(), source },
    };
    let text = if args.secret_stdin {
        let _asking = signals.while_asking();
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
        line
    } else if let Some(secret) = std::env::var("MP_SECRET").ok().filter(|secret| !secret.is_empty()) {
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
