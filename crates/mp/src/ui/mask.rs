//! Secrets do not appear in talk, whoever put them there.

use std::sync::{Arc, PoisonError, RwLock};

use mixpanel_client::Secret;

/// What secrets are shown as.
const MASK: &str = "***";
/// Shorter ones would match by chance.
const SHORTEST: usize = 4;

/// The secrets of this run. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mask(Arc<RwLock<Vec<Secret>>>);

impl Mask {
    /// Hides a secret from now on, in the forms that a server may echo.
    pub(crate) fn hide(&self, secret: &Secret) {
        let text = secret.expose();
        if text.len() < SHORTEST {
            return;
        }
        let percent = |upper: bool| {
            text.bytes().fold(String::new(), |shown, byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    shown + &char::from(byte).to_string()
                }
                other if upper => shown + &format!("%{other:02X}"),
                other => shown + &format!("%{other:02x}"),
            })
        };
        let mut secrets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for form in [text.to_owned(), percent(true), percent(false)].map(Secret::new) {
            if !secrets.contains(&form) {
                secrets.push(form);
            }
        }
    }

    /// The text without them.
    pub(crate) fn over(&self, text: &str) -> String {
        let secrets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_in_the_forms_that_servers_echo() {
        let mask = Mask::default();
        mask.hide(&Secret::new("s3cret/+x"));
        mask.hide(&Secret::new("abc"));
        let text = "abc s3cret/+x s3cret%2F%2Bx s3cret%2f%2bx";
        assert_eq!(mask.clone().over(text), "abc *** *** ***");
    }
}
