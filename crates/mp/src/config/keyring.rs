//! The keyring of the operating system: the secret of an account goes in, comes out, is removed.
//!
//! On macOS this is the keychain. Elsewhere it is the Secret Service (GNOME Keyring, KWallet,
//! KeePassXC), by its own program `secret-tool`: the libraries that speak to it over D-Bus are sixty
//! crates, which take longer to compile than everything else in this program. The attributes of an
//! entry are `service` and `username`, as such libraries write them.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use mixpanel_client::Secret;

use crate::error::Error;

/// A keyring may wait for a person who is not there.
const PATIENCE: Duration = Duration::from_secs(10);
const SERVICE: &str = "mp (mixpanel_data)";

/// Reads the secret of an account.
pub(super) fn from_keyring(account: &str) -> Result<Secret, Error> {
    let account = account.to_owned();
    patiently(move || system::read(&account)).map(Secret::new)
}

/// Keeps the secret of an account, in place of the one that was there.
pub(crate) fn into_keyring(account: &str, secret: &Secret) -> Result<(), Error> {
    let (account, text) = (account.to_owned(), secret.expose().to_owned());
    patiently(move || system::keep(&account, &text))
}

/// Removes the secret of an account, if it is there.
pub(crate) fn out_of_keyring(account: &str) -> Result<(), Error> {
    let account = account.to_owned();
    patiently(move || system::remove(&account))
}

/// On a thread of its own, as the service may never answer.
fn patiently<T: Send + 'static>(
    action: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Error> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(action()));
    let why = match receive.recv_timeout(PATIENCE) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(why)) => why,
        Err(RecvTimeoutError::Timeout) => format!("it did not answer for {} s", PATIENCE.as_secs()),
        Err(RecvTimeoutError::Disconnected) => "it ended without an answer".to_owned(),
    };
    let what = "the keyring of the operating system could not be used".to_owned();
    Err(Error::NoSecret { what, why: Some(why) })
}

#[cfg(target_os = "macos")]
mod system {
    use super::SERVICE;

    fn entry(account: &str) -> Result<keyring::Entry, String> {
        keyring::Entry::new(SERVICE, account).map_err(|error| error.to_string())
    }

    pub(super) fn read(account: &str) -> Result<String, String> {
        entry(account)?.get_password().map_err(|error| error.to_string())
    }

    pub(super) fn keep(account: &str, secret: &str) -> Result<(), String> {
        entry(account)?.set_password(secret).map_err(|error| error.to_string())
    }

    pub(super) fn remove(account: &str) -> Result<(), String> {
        match entry(account)?.delete_credential() {
            Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(not(target_os = "macos"))]
mod system {
    use std::io::{ErrorKind, Write};
    use std::process::{Command, Output, Stdio};

    use super::SERVICE;

    /// The program that comes with libsecret.
    const PROGRAM: &str = "secret-tool";

    pub(super) fn read(account: &str) -> Result<String, String> {
        let output = run(&["lookup", "service", SERVICE, "username", account], "")?;
        match String::from_utf8(output.stdout) {
            Ok(secret) if !secret.is_empty() => Ok(secret),
            Ok(_) => {
                Err(said(&output.stderr).unwrap_or_else(|| format!("it has no secret of \"{account}\"")))
            }
            Err(_) => Err(format!("the secret of \"{account}\" is not text")),
        }
    }

    pub(super) fn keep(account: &str, secret: &str) -> Result<(), String> {
        let label = format!("{SERVICE}: {account}");
        // The secret goes in by standard input: arguments can be seen by others.
        let output = run(&["store", "--label", &label, "service", SERVICE, "username", account], secret)?;
        if output.status.success() {
            return Ok(());
        }
        Err(said(&output.stderr).unwrap_or_else(|| format!("`{PROGRAM} store` ended with {}", output.status)))
    }

    /// `clear` also fails where there is nothing to remove, and then says nothing.
    pub(super) fn remove(account: &str) -> Result<(), String> {
        let output = run(&["clear", "service", SERVICE, "username", account], "")?;
        said(&output.stderr).map_or(Ok(()), Err)
    }

    fn run(words: &[&str], input: &str) -> Result<Output, String> {
        let mut child = Command::new(PROGRAM)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => format!(
                    "it is reached by the program `{PROGRAM}`, which is not installed (Debian and Ubuntu: \
                     apt install libsecret-tools; Fedora: dnf install libsecret)"
                ),
                _ => format!("`{PROGRAM}`: {error}"),
            })?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read has its reasons, and says them.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output().map_err(|error| format!("`{PROGRAM}`: {error}"))
    }

    /// What the program said, in one line. It never repeats a secret.
    fn said(stderr: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(stderr);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.to_owned())
    }
}
