//! Questions to the person at the terminal. They are talk, so they go to standard error.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::error::Error;
use crate::signals::Signals;

/// Asks, and gives the answer without the spaces around it.
pub(super) fn ask(question: &str, signals: &Signals) -> Result<String, Error> {
    let _asking = signals.while_asking();
    let mut line = String::new();
    let asked = write!(io::stderr(), "{question}: ").and_then(|()| io::stdin().lock().read_line(&mut line));
    asked.map_err(|source| Error::Read { path: "standard input".into(), source })?;
    Ok(line.trim().to_owned())
}

/// Sees to it that something is wanted that cannot be undone: by `--force`, or by a yes at the
/// terminal. Without a terminal nobody is asked, and what a pipe holds is no answer.
pub(super) fn confirm(force: bool, question: &str, signals: &Signals) -> Result<(), Error> {
    if force {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let what =
            "nothing was removed: this cannot be undone, and there is no terminal to ask for confirmation";
        return Err(Error::setting(what, "--force does it without asking"));
    }
    let answer = ask(&format!("{question} [y/N]"), signals)?;
    if matches!(answer.to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Error::setting("nothing was removed", "answer y, or --force does it without asking"))
}
