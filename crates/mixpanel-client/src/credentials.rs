//! What proves who we are, and the care taken that it is never shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result};
use crate::redact::shown_text;

/// Stands in a text where a secret was.
const MASK: &str = "***";

/// Secrets shorter than this are not searched for in texts: they would match by chance.
const SHORTEST_SEARCHED: usize = 4;

/// A text that must not be seen.
///
/// There is no `Display` and no serialisation, and `Debug` shows a mask. The only way to the text
/// is [`expose`](Self::expose), which is easy to find in a review.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Gives the text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Secret {
    fn bare(&self) -> Self {
        Self(bare(&self.0).to_owned())
    }
}

/// A word without what editors, `.env` files and copying put around it.
fn bare(text: &str) -> &str {
    let blank = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
    let word = text.trim_matches(blank);
    let quoted = |quote| word.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(word).trim_matches(blank)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({MASK})")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The two ways to log in that Mixpanel's export and query APIs know (Mixpanel's authentication page).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A service account. It may see several projects, so a project id goes with every request.
    ServiceAccount {
        /// The user name, such as `name.abc123.mp-service-account`.
        username: String,
        /// The secret, which Mixpanel shows once, when the account is made.
        secret: Secret,
    },
    /// The secret of one project (older name: API secret), which also says which project is meant.
    /// Mixpanel's authentication page calls it deprecated and gives 3 March 2027 as its end.
    ProjectSecret {
        /// The secret.
        secret: Secret,
    },
}

impl Credentials {
    /// Makes the credentials of a service account.
    ///
    /// What files and copying add to them is left out: blanks and line ends around them, a byte
    /// order mark, one pair of quotes. None of these can be part of a user name or a secret.
    pub fn service_account(username: impl Into<String>, secret: impl Into<Secret>) -> Self {
        let (username, secret) = (username.into(), secret.into());
        Self::ServiceAccount { username: bare(&username).to_owned(), secret: secret.bare() }
    }

    /// Makes the credentials of a project, out of a secret as [`service_account`](Self::service_account)
    /// takes it.
    pub fn project_secret(secret: impl Into<Secret>) -> Self {
        Self::ProjectSecret { secret: secret.into().bare() }
    }

    /// Tells whether requests must name the project.
    pub fn needs_project_id(&self) -> bool {
        matches!(self, Self::ServiceAccount { .. })
    }

    /// A hash of a project secret, by which the copies of two projects are told apart where no
    /// project id was given. It does not lead back to the secret: half as long, it fits as many
    /// secrets as there are hashes. An account has none: it may see many projects.
    pub fn project_mark(&self) -> Option<String> {
        match self {
            Self::ProjectSecret { secret } => {
                Some(format!("{:016x}", xxh3_64(format!("project of {}", secret.expose()).as_bytes())))
            }
            Self::ServiceAccount { .. } => None,
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let fault = match self {
            Self::ServiceAccount { username, .. } if username.is_empty() => {
                "the service account has no user name"
            }
            Self::ServiceAccount { username, .. } if username.contains(':') => {
                "the service account's user name contains `:`"
            }
            _ if self.secret().is_empty() => "the secret is empty",
            _ => return Ok(()),
        };
        Err(ErrorKind::InvalidRequest { what: fault.to_owned() }.into())
    }

    /// The value of the `Authorization` header.
    pub(crate) fn authorization(&self) -> Secret {
        Secret(format!("Basic {}", self.basic()))
    }

    /// Makes what hides these credentials in texts that come back from a server.
    pub(crate) fn scrubber(&self) -> Scrubber {
        let secret = self.secret();
        let mut needles: Vec<String> = [self.basic(), STANDARD.encode(secret)]
            .into_iter()
            .flat_map(|padded| {
                // Padding may be left out, and the alphabet be the one for addresses.
                let bare = padded.trim_end_matches('=').to_owned();
                let for_addresses = bare.replace('+', "-").replace('/', "_");
                let percent = percent_encode(&padded);
                [lowercase_escapes(&percent), percent, padded, for_addresses, bare]
            })
            .collect();
        let percent = percent_encode(secret);
        needles.extend([lowercase_escapes(&percent), percent, secret.replace('/', "\\/"), secret.to_owned()]);
        needles.retain(|needle| needle.len() >= SHORTEST_SEARCHED);
        // The longer ones first: of padding, too, nothing is left.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        needles.dedup();
        Scrubber { needles }
    }

    /// User and secret in the form of HTTP Basic authentication. A project secret is the user, and
    /// the password is empty (Mixpanel's authentication page).
    fn basic(&self) -> String {
        STANDARD.encode(match self {
            Self::ServiceAccount { username, secret } => format!("{username}:{}", secret.expose()),
            Self::ProjectSecret { secret } => format!("{}:", secret.expose()),
        })
    }

    fn secret(&self) -> &str {
        match self {
            Self::ServiceAccount { secret, .. } | Self::ProjectSecret { secret } => secret.expose(),
        }
    }
}

/// Masks a secret, and its usual encodings, in texts that we did not write ourselves.
#[derive(Clone, Default)]
pub(crate) struct Scrubber {
    needles: Vec<String>,
}

impl Scrubber {
    pub(crate) fn scrub(&self, text: String) -> String {
        self.needles.iter().fold(
            text,
            |text, needle| {
                if text.contains(needle) { text.replace(needle, MASK) } else { text }
            },
        )
    }

    /// Makes a server's text fit to be shown. Secrets are masked before the text is cut: half a
    /// secret would not be recognised.
    pub(crate) fn show(&self, text: &str) -> String {
        shown_text(&self.scrub(text.to_owned()))
    }

    /// Masks secrets in the texts that an error carries.
    pub(crate) fn scrub_error(&self, mut error: Error) -> Error {
        error.map_texts(|text| self.scrub(text));
        error
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrubber")
    }
}

/// `%2F` as `%2f`, which is the same.
fn lowercase_escapes(text: &str) -> String {
    let mut escaped = 0;
    let lower = |c: char| {
        escaped = if c == '%' { 3 } else { escaped - i32::from(escaped > 0) };
        if escaped > 0 { c.to_ascii_lowercase() } else { c }
    };
    text.chars().map(lower).collect()
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_and_copying_put_around_a_secret_is_no_part_of_it() {
        let clean = Credentials::service_account("user", "s3cret");
        for secret in [
            "s3cret\r",
            "s3cret\r\n",
            " s3cret ",
            "\"s3cret\"",
            "'s3cret'\r",
            "\u{feff}s3cret",
            "\"s3cret\r\"",
        ] {
            assert_eq!(Credentials::service_account("user\r", secret), clean, "{secret:?}");
            assert_eq!(Credentials::project_secret(secret), Credentials::project_secret("s3cret"));
        }
        assert_eq!(
            Credentials::service_account("u", "a\"b").authorization(),
            Credentials::ServiceAccount { username: "u".into(), secret: "a\"b".into() }.authorization()
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let account = Credentials::service_account("ann", "CANARY");
        assert_eq!(format!("{account:?}"), "ServiceAccount { username: \"ann\", secret: Secret(***) }");
        assert!(!format!("{:?} {:?}", account.scrubber(), account.authorization()).contains("CANARY"));
    }

    #[test]
    fn basic_header_of_both_kinds() {
        assert_eq!(Credentials::service_account("u", "s").authorization().expose(), "Basic dTpz");
        assert_eq!(Credentials::project_secret("s").authorization().expose(), "Basic czo=");
    }

    #[test]
    fn project_secrets_have_marks_that_do_not_show_them() {
        let mark = |secret: &str| Credentials::project_secret(secret).project_mark().unwrap();
        assert_eq!(mark("CANARY"), mark("CANARY"));
        assert_ne!(mark("CANARY"), mark("CANARY2"));
        assert!(!mark("CANARY").contains("CANARY"));
        assert_eq!(Credentials::service_account("ann", "CANARY").project_mark(), None);
    }

    #[test]
    fn faulty_credentials_are_refused() {
        for bad in [
            Credentials::service_account("", "s"),
            Credentials::service_account("a:b", "s"),
            Credentials::service_account("a", ""),
            Credentials::project_secret(""),
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
        assert!(Credentials::service_account("a", "b:c").validate().is_ok());
    }

    #[test]
    fn scrubs_the_secret_in_all_its_forms() {
        let credentials = Credentials::service_account("ann", "CAN/ARY+1");
        let seen = format!("CAN/ARY+1 {} CAN%2FARY%2B1", credentials.authorization().expose());
        assert_eq!(credentials.scrubber().scrub(seen), "*** Basic *** ***");
    }

    #[test]
    fn scrubs_what_a_header_may_be_written_as() {
        // `>` and `?` give the characters in which the alphabets differ, and padding of each length.
        for secret in ["CANARY>?>?~~", "CANARY>?>?~~1", "CANARY>?>?~~12", "a/CANARY/b"] {
            let credentials = Credentials::service_account("ann", secret);
            let basic = credentials.authorization().expose().trim_start_matches("Basic ").to_owned();
            let bare = basic.trim_end_matches('=');
            let forms = [
                basic.clone(),
                bare.to_owned(),
                bare.replace('+', "-").replace('/', "_"),
                percent_encode(&basic),
                percent_encode(&basic).replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d"),
                secret.replace('/', "\\/"),
                percent_encode(secret).replace("%2F", "%2f").replace("%3E", "%3e").replace("%3F", "%3f"),
            ];
            for form in forms {
                let seen = credentials.scrubber().scrub(format!("Authorization: Basic {form}, sent"));
                assert_eq!(seen.replace('=', ""), "Authorization: Basic ***, sent", "{form}");
            }
        }
    }

    #[test]
    fn does_not_scrub_tiny_secrets() {
        assert_eq!(Credentials::project_secret("s").scrubber().scrub("sss".to_owned()), "sss");
    }
}
