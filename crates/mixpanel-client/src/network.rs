//! The way from a machine to Mixpanel: a proxy, hosts that need none, certificates to trust.
//!
//! The words of a configuration and a lookup of variables enter, [`ClientOptions`] leave. Nothing is
//! read from the environment here: who may read it passes the lookup.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Url};

use crate::client::ClientOptions;
use crate::credentials::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::region::BaseUrls;

/// What a configuration says about the network; variables of this program's own come before it, and
/// those that all programs share behind it.
#[derive(Clone, Debug, Default)]
pub struct NetworkSettings {
    /// The address of a proxy, or `none`.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without it, separated by commas.
    pub no_proxy: Option<String>,
    /// A file with certificates (PEM) to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
}

/// A word, and where it is from.
#[derive(Clone, Debug)]
struct Word<T> {
    value: T,
    origin: &'static str,
}

/// The way to Mixpanel.
#[derive(Clone, Debug, Default)]
pub struct Network {
    proxy: Option<Word<Secret>>,
    no_proxy: Option<Word<String>>,
    ca_files: Vec<Word<PathBuf>>,
    certificates: Vec<u8>,
}

const CONFIGURATION: &str = "configuration";
/// Instead of a proxy: there is to be none.
const NONE: &str = "none";
/// A file of certificates is not longer, in bytes.
const LONGEST_FILE: u64 = 16 << 20;

impl Network {
    /// The variables that are looked up. Where two mean the same, the first comes first.
    pub const VARIABLES: [&'static str; 12] = [
        "MP_PROXY",
        "MP_NO_PROXY",
        "MP_CA_FILE",
        "https_proxy",
        "HTTPS_PROXY",
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
        "SSL_CERT_FILE",
    ];

    /// The way to these addresses. `lookup` gives the value of a variable.
    ///
    /// A proxy that all programs share is not meant for this machine itself, as for a simulator;
    /// one that was set for this program is.
    ///
    /// # Errors
    /// [`ErrorKind::Setup`] if a proxy's address or a file of certificates cannot be used. It says where
    /// that is from.
    pub fn resolve(
        urls: &BaseUrls,
        settings: &NetworkSettings,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let lookup = |name: &'static str| {
            let value = lookup(name).filter(|value| !value.trim().is_empty())?;
            Some(Word { value: value.trim().to_owned(), origin: name })
        };
        let first = |names: &[&'static str]| names.iter().copied().find_map(&lookup);
        let target = Url::parse(&urls.export).ok();
        let is_https = target.as_ref().is_none_or(|url| url.scheme() == "https");
        let shared: &[&str] = match &target {
            Some(url) if is_this_machine(url) => &[],
            _ if is_https => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
            _ => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        };
        let proxy = first(&["MP_PROXY"])
            .or_else(|| Some(configured(settings.proxy.as_ref()?.expose().to_owned())))
            .or_else(|| first(shared))
            .filter(|word| !word.value.eq_ignore_ascii_case(NONE));
        if let Some(word) = &proxy {
            check_proxy(word)?;
        }
        let no_proxy = first(&["MP_NO_PROXY"])
            .or_else(|| Some(configured(settings.no_proxy.clone()?)))
            .or_else(|| first(&["no_proxy", "NO_PROXY"]))
            .filter(|_| proxy.is_some());
        let path = |word: Word<String>| Word { value: PathBuf::from(word.value), origin: word.origin };
        let own = first(&["MP_CA_FILE"]).map(path);
        let own = own.or_else(|| Some(configured(settings.ca_file.clone()?)));
        let ca_files = own.into_iter().chain(first(&["SSL_CERT_FILE"]).map(path));
        // Who speaks plainly trusts nobody.
        let ca_files: Vec<_> = ca_files.filter(|_| is_https).collect();
        let mut certificates = Vec::new();
        for word in &ca_files {
            certificates.extend(read_certificates(word)?);
            certificates.push(b'\n');
        }
        let proxy = proxy.map(|word| Word { value: Secret::new(word.value), origin: word.origin });
        Ok(Self { proxy, no_proxy, ca_files, certificates })
    }

    /// Puts it into a client's options.
    pub fn apply(&self, options: &mut ClientOptions) {
        options.proxy = self.proxy.as_ref().map(|word| word.value.clone());
        options.no_proxy = self.no_proxy.as_ref().map(|word| word.value.clone());
        options.root_certificates = (!self.ca_files.is_empty()).then(|| self.certificates.clone());
    }

    /// The proxy's address, which may hold a password.
    pub fn proxy(&self) -> Option<&Secret> {
        self.proxy.as_ref().map(|word| &word.value)
    }
}

/// In a sentence, without a password: `through the proxy http://proxy:3128 (HTTPS_PROXY), …`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.proxy {
            None => f.write_str("directly")?,
            Some(word) => {
                write!(f, "through the proxy {} ({})", shown(word.value.expose()), word.origin)?;
            }
        }
        if let Some(word) = &self.no_proxy {
            write!(f, ", not for {} ({})", word.value, word.origin)?;
        }
        f.write_str("; certificates of the system")?;
        for word in &self.ca_files {
            write!(f, " and of {} ({})", word.value.display(), word.origin)?;
        }
        Ok(())
    }
}

fn configured<T>(value: T) -> Word<T> {
    Word { value, origin: CONFIGURATION }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// An address without a scheme is that of an HTTP proxy.
fn parse_proxy(address: &str) -> Option<Url> {
    let whole = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    Url::parse(&whole).ok().filter(Url::has_host)
}

fn check_proxy(word: &Word<String>) -> Result<()> {
    let origin = word.origin;
    let Some(url) = parse_proxy(&word.value) else {
        return Err(setup(format!("the proxy of {origin} has no address such as http://proxy.example:3128")));
    };
    match url.scheme() {
        "http" | "https" => Ok(()),
        other => Err(setup(format!("the proxy of {origin} is for {other}; supported are http and https"))),
    }
}

/// A proxy's address without user and password.
fn shown(address: &str) -> String {
    let Some(url) = parse_proxy(address) else { return "***".to_owned() };
    let user = if url.username().is_empty() && url.password().is_none() { "" } else { "***@" };
    format!("{}://{user}{}", url.scheme(), crate::redact::host_of(&url))
}

fn read_certificates(word: &Word<PathBuf>) -> Result<Vec<u8>> {
    let (path, origin) = (&word.value, word.origin);
    let named = format!("the certificates of {origin}, {},", path.display());
    let text = read(path).map_err(|error| setup(format!("{named} cannot be read")).with_source(error))?;
    let found = Certificate::from_pem_bundle(&text)
        .map_err(|error| setup(format!("{named} are damaged")).with_source(error))?;
    if found.is_empty() {
        return Err(setup(format!("{named} are not there: the file has none in PEM format")));
    }
    Ok(text)
}

/// Neither a pipe nor a device is waited for.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() || found.len() > LONGEST_FILE {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no file of certificates"));
    }
    std::fs::read(path)
}

fn setup(what: String) -> Error {
    ErrorKind::Setup { what }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;

    fn resolve(urls: &BaseUrls, settings: &NetworkSettings, variables: &[(&str, &str)]) -> Result<Network> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Network::resolve(urls, settings, find)
    }

    fn said(urls: &BaseUrls, variables: &[(&str, &str)]) -> String {
        resolve(urls, &NetworkSettings::default(), variables).unwrap().to_string()
    }

    #[test]
    fn the_word_that_is_meant_for_this_program_comes_first() {
        let there = BaseUrls::for_region(Region::Eu);
        let plain = "; certificates of the system";
        assert_eq!(said(&there, &[]), format!("directly{plain}"));
        let shared =
            [("HTTPS_PROXY", "proxy.example:3128"), ("HTTP_PROXY", "http://other:1"), ("NO_PROXY", "a, .b")];
        assert_eq!(
            said(&there, &shared),
            format!(
                "through the proxy http://proxy.example:3128 (HTTPS_PROXY), not for a, .b (NO_PROXY){plain}"
            )
        );
        let settings =
            NetworkSettings { proxy: Some(Secret::new("https://secure:8443")), ..Default::default() };
        let configured = resolve(&there, &settings, &shared).unwrap().to_string();
        assert!(configured.starts_with("through the proxy https://secure:8443 (configuration), not for"));
        let own = resolve(&there, &settings, &[("MP_PROXY", "http://own:1")]).unwrap().to_string();
        assert!(own.starts_with("through the proxy http://own:1 (MP_PROXY)"), "{own}");
        let none =
            resolve(&there, &settings, &[("MP_PROXY", "none"), ("ALL_PROXY", "http://all:1")]).unwrap();
        assert!(none.proxy().is_none() && none.to_string().starts_with("directly"));
        assert!(said(&there, &[("ALL_PROXY", "http://all:1"), ("HTTPS_PROXY", " ")]).contains("(ALL_PROXY)"));
    }

    #[test]
    fn a_shared_proxy_is_not_for_this_machine() {
        for here in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:2", "https://127.8.0.1"] {
            let here = BaseUrls::single_host(here);
            let shared =
                [("http_proxy", "http://p:1"), ("HTTPS_PROXY", "http://p:1"), ("ALL_PROXY", "http://p:1")];
            assert!(said(&here, &shared).starts_with("directly"), "{here:?}");
            assert!(said(&here, &[("MP_PROXY", "http://p:1")]).contains("(MP_PROXY)"));
        }
        let other = BaseUrls::single_host("http://mixpanel.example");
        assert!(
            said(&other, &[("HTTPS_PROXY", "http://p:1"), ("http_proxy", "http://q:1")])
                .contains("http://q:1")
        );
    }

    #[test]
    fn no_password_is_shown() {
        let there = BaseUrls::default();
        let network =
            resolve(&there, &NetworkSettings::default(), &[("HTTPS_PROXY", "http://me:CANARY@p:3128")])
                .unwrap();
        assert!(network.to_string().contains("http://***@p:3128"), "{network}");
        assert!(!format!("{network} {network:?}").contains("CANARY"));
    }

    #[test]
    fn what_cannot_be_used_says_where_it_is_from() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "no certificate").unwrap();
        let (empty, folder) = (empty.to_str().unwrap(), folder.path().to_str().unwrap());
        let cases = [
            ("HTTPS_PROXY", "http://", "has no address"),
            ("ALL_PROXY", "socks5://p:1", "is for socks5"),
            ("SSL_CERT_FILE", "/nonexistent.pem", "cannot be read"),
            ("MP_CA_FILE", folder, "cannot be read"),
            ("MP_CA_FILE", "/dev/zero", "cannot be read"),
            ("MP_CA_FILE", empty, "has none in PEM format"),
        ];
        for (name, value, why) in cases {
            let error =
                resolve(&BaseUrls::default(), &NetworkSettings::default(), &[(name, value)]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(why), "{name}={value}: {text}");
        }
        // Without TLS, nobody needs certificates.
        let plain = BaseUrls::single_host("http://127.0.0.1:1");
        assert!(
            resolve(&plain, &NetworkSettings::default(), &[("SSL_CERT_FILE", "/nonexistent.pem")]).is_ok()
        );
    }
}
