//! Where a secret comes from: the environment, a file, a program, the keyring. Never from a flag,
//! which other users and the shell's history would see.

use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use mixpanel_client::Secret;
use mixpanel_data::ErrorKind;
use nix::sys::signal::{SigSet, Signal};

use crate::error::Error;
use crate::text;

/// A program may ask a person.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);
/// A secret is short; more is something else.
const LONGEST: u64 = 64 * 1024;

/// Reads a secret from a file: its first line.
pub(super) fn from_file(path: &Path) -> Result<Secret, Error> {
    let text = fs::File::open(path).and_then(|file| text::read_all(file.take(LONGEST)));
    let text = text.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    first_line(&text).ok_or_else(|| Error::NoSecret {
        what: format!("the secret file {} is empty", path.display()),
        why: None,
    })
}

/// Runs a program, without a shell, and takes the first line that it prints.
pub(super) fn from_command(words: &[String]) -> Result<Secret, Error> {
    let Some((program, args)) = words.split_first() else {
        return Err(Error::NoSecret { what: "the secret command is empty".to_owned(), why: None });
    };
    // Only the program is named: its arguments may be telling.
    let failed = |why: String| Error::NoSecret {
        what: format!("the secret command `{program}` gave no secret"),
        why: Some(why),
    };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    for name in ["MP_SECRET", "MP_PROJECT_SECRET", "MIXPANEL_SECRET"] {
        command.env_remove(name);
    }
    // We block signals, and a program that asks a person is to be stopped by Ctrl-C.
    let unblock = || SigSet::empty().thread_set_mask().map_err(std::io::Error::from);
    // SAFETY: between fork and exec only the signal mask is set, which is allowed there.
    unsafe { command.pre_exec(unblock) };
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let stdout = child.stdout.take();
    let (send, receive) = mpsc::channel();
    let reader = move || {
        let _ = send.send(stdout.map(|out| text::read_all(out.take(LONGEST))));
    };
    std::thread::Builder::new().spawn(reader).map_err(|error| failed(error.to_string()))?;
    let text = match receive.recv_timeout(COMMAND_PATIENCE) {
        Ok(Some(Ok(text))) => text,
        Ok(_) => return Err(failed("what it printed is not text".to_owned())),
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(format!("nothing for {} s", COMMAND_PATIENCE.as_secs())));
        }
    };
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.signal() == Some(Signal::SIGINT as i32) {
        return Err(mixpanel_data::Error::from(ErrorKind::Cancelled).into());
    }
    if !status.success() {
        return Err(failed(format!("it ended with {status}")));
    }
    first_line(&text).ok_or_else(|| failed("it printed nothing".to_owned()))
}

fn first_line(text: &str) -> Option<Secret> {
    let line = text.lines().next().unwrap_or_default().trim();
    (!line.is_empty()).then(|| Secret::new(line))
}

/// Words as a shell reads them, with quotes but without anything else.
pub(crate) fn words(text: &str) -> Result<Vec<String>, Error> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Error::setting("MP_SECRET_COMMAND has a quote without an end", "close the quote"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<String, Error> {
        from_command(&words(text).unwrap()).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn commands_give_their_first_line() {
        assert_eq!(run("printf '%s\\n' \"one two\" three").unwrap(), "one two");
        for wrong in ["false", "true", "no-such-program-here x", ""] {
            assert!(matches!(run(wrong), Err(Error::NoSecret { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn commands_get_the_signals_that_we_block() {
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGTERM);
        blocked.thread_block().unwrap();
        assert!(matches!(run("sh -c 'kill -TERM $$; echo alive'"), Err(Error::NoSecret { .. })));
    }

    #[test]
    fn words_are_split_without_a_shell() {
        assert_eq!(
            words(r#"op read "a b" 'c $HOME' d\ e"#).unwrap(),
            ["op", "read", "a b", "c $HOME", "d e"]
        );
        assert_eq!(words("a ''").unwrap(), ["a", ""]);
        assert!(words("a 'b").is_err());
    }

    #[test]
    fn files_give_their_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(matches!(from_file(&path), Err(Error::Read { .. })));
        fs::write(&path, "\n").unwrap();
        assert!(matches!(from_file(&path), Err(Error::NoSecret { .. })));
        fs::write(&path, "s3cret\r\nmore\n").unwrap();
        assert_eq!(from_file(&path).unwrap().expose(), "s3cret");
    }
}
