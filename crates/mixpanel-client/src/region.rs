//! Where Mixpanel lives: the one table of hosts.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use crate::error::{Error, ErrorKind, Result};

/// The data residency of a project. A project lives in exactly one region, and its credentials
/// are unknown in the others (Mixpanel's data residency pages).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Region {
    /// United States, the default.
    #[default]
    Us,
    /// European Union.
    Eu,
    /// India.
    In,
}

impl Region {
    /// All regions.
    pub const ALL: [Self; 3] = [Self::Us, Self::Eu, Self::In];

    /// The short name: `us`, `eu` or `in`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::In => "in",
        }
    }

    /// The table: the host of raw exports, and the host of everything else.
    const fn hosts(self) -> (&'static str, &'static str) {
        match self {
            Self::Us => ("data.mixpanel.com", "mixpanel.com"),
            Self::Eu => ("data-eu.mixpanel.com", "eu.mixpanel.com"),
            Self::In => ("data-in.mixpanel.com", "in.mixpanel.com"),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Region {
    type Err = Error;

    /// Reads a short name; upper and lower case are the same.
    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|region| region.as_str().eq_ignore_ascii_case(name.trim()));
        known.ok_or_else(|| {
            let what = format!("unknown region `{name}`: the regions are us, eu and in");
            ErrorKind::InvalidRequest { what }.into()
        })
    }
}

/// The address of each family of endpoints, without a slash at the end.
///
/// Whoever can set these receives the credentials, so [`Client::new`](crate::Client::new) refuses
/// anything but https; plain http is for this machine only (`localhost`, `127.0.0.0/8`, `::1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrls {
    /// Raw event export; `/export` is added to it.
    pub export: String,
    /// Reports and discovery; `/segmentation` and the like are added to it.
    pub query: String,
    /// Profiles.
    pub engage: String,
    /// Projects, schemas, bookmarks.
    pub app: String,
}

impl BaseUrls {
    /// The addresses of a region.
    pub fn for_region(region: Region) -> Self {
        let (data, main) = region.hosts();
        Self::on_hosts(&format!("https://{data}"), &format!("https://{main}"))
    }

    /// All families on one host, as the simulator serves them, for instance `http://127.0.0.1:8080`.
    pub fn single_host(base: &str) -> Self {
        let base = base.trim_end_matches('/');
        Self::on_hosts(base, base)
    }

    fn on_hosts(data: &str, main: &str) -> Self {
        Self {
            export: format!("{data}/api/2.0"),
            query: format!("{main}/api/query"),
            engage: format!("{main}/api/2.0/engage"),
            app: format!("{main}/api/app"),
        }
    }

    pub(crate) fn parse(&self) -> Result<ParsedUrls> {
        let export = parse("export", &self.export)?;
        let query = parse("query", &self.query)?;
        let engage = parse("engage", &self.engage)?;
        let app = parse("app", &self.app)?;
        let needs_tls = [&export, &query, &engage, &app].iter().any(|url| url.scheme() == "https");
        Ok(ParsedUrls { export, query, engage, app, needs_tls })
    }
}

impl Default for BaseUrls {
    fn default() -> Self {
        Self::for_region(Region::default())
    }
}

/// Addresses that have passed the checks.
#[derive(Clone, Debug)]
pub(crate) struct ParsedUrls {
    pub(crate) export: Url,
    pub(crate) query: Url,
    pub(crate) engage: Url,
    pub(crate) app: Url,
    /// At least one address uses https.
    pub(crate) needs_tls: bool,
}

fn parse(family: &str, text: &str) -> Result<Url> {
    let fail = |reason: &str| -> Error {
        // The text is not repeated: a faulty address may hold a password.
        ErrorKind::InvalidRequest { what: format!("the {family} base URL {reason}") }.into()
    };
    let url =
        Url::parse(text.trim_end_matches('/')).map_err(|error| fail(&format!("is not a URL ({error})")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fail("contains a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fail("contains a query or a fragment"));
    }
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(fail("must use https (http is for loopback addresses only)")),
        _ => Err(fail("must use https")),
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_its_hosts() {
        let table = [
            (Region::Us, "https://data.mixpanel.com/api/2.0", "https://mixpanel.com/api/"),
            (Region::Eu, "https://data-eu.mixpanel.com/api/2.0", "https://eu.mixpanel.com/api/"),
            (Region::In, "https://data-in.mixpanel.com/api/2.0", "https://in.mixpanel.com/api/"),
        ];
        for (region, export, rest) in table {
            let urls = BaseUrls::for_region(region);
            assert_eq!(urls.export, export);
            assert_eq!(urls.query, format!("{rest}query"));
            assert_eq!(urls.engage, format!("{rest}2.0/engage"));
            assert_eq!(urls.app, format!("{rest}app"));
            assert!(urls.parse().unwrap().needs_tls);
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_written_back() {
        for region in Region::ALL {
            assert_eq!(region.to_string().to_uppercase().parse::<Region>().unwrap(), region);
        }
        let error = "uk".parse::<Region>().unwrap_err().to_string();
        assert!(error.contains("`uk`") && error.contains("us, eu and in"), "{error}");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        let good = [
            "http://127.0.0.1:9",
            "http://127.8.9.1",
            "http://[::1]:80/x/",
            "http://localhost:1",
            "https://a.b",
        ];
        for base in good {
            let parsed = BaseUrls::single_host(base).parse().unwrap();
            assert_eq!(parsed.needs_tls, base.starts_with("https"), "{base}");
        }
        let bad = [
            "http://mixpanel.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://[::ffff:127.0.0.1]",
            "http://128.0.0.1",
            "http://0.0.0.0",
            "ftp://localhost",
            "file:///etc",
            "localhost:80",
            "https://user:CANARY@data.mixpanel.com",
            "http://CANARY@localhost",
            "https://data.mixpanel.com?CANARY",
            "https://data.mixpanel.com#x",
            "",
        ];
        for base in bad {
            let error = BaseUrls::single_host(base).parse().map(|_| base).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("CANARY"));
        }
    }

    #[test]
    fn each_family_is_checked() {
        let evil = "http://example.com".to_owned();
        let good = BaseUrls::default;
        assert!(BaseUrls { query: evil.clone(), ..good() }.parse().is_err());
        assert!(BaseUrls { engage: evil.clone(), ..good() }.parse().is_err());
        assert!(BaseUrls { app: evil.clone(), ..good() }.parse().is_err());
        assert!(BaseUrls { export: evil, ..good() }.parse().is_err());
    }
}
