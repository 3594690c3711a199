//! The way to Mixpanel: proxies, a company's own certificates, and what leaves how fast.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use mixpanel_client::network::{Network, NetworkSettings};
use mixpanel_client::{BaseUrls, Client, ErrorKind, Secret};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use support::{CANARY, Server, new_year, ok, options, refused};

const BODY: &str = "{\"event\":\"a\",\"properties\":{}}\n";

/// For localhost, by a root that no system trusts; both are good for a hundred years, and the key
/// guards nothing.
const ROOT: &[u8] = include_bytes!("tls/ca.pem");
const LEAF: &[u8] = include_bytes!("tls/leaf.pem");
const KEY: &[u8] = include_bytes!("tls/leaf.key");

#[test]
fn a_proxy_is_used_and_hosts_that_need_none_are_reached_without() {
    let (proxy, direct) = (Server::start([ok(BODY)]), Server::start([ok(BODY)]));
    for (no_proxy, through) in [(None, &proxy), (Some("example.com, 127.0.0.0/8"), &direct)] {
        let mut options = options(&direct.base());
        options.proxy = Some(Secret::new(proxy.base()));
        options.no_proxy = no_proxy.map(str::to_owned);
        Client::new(options).unwrap().export(&new_year()).unwrap();
        assert_eq!(through.requests().len(), 1, "{no_proxy:?}");
    }
    // Spoken to as a proxy: with the whole address.
    let head = &proxy.requests()[0];
    assert!(head.starts_with(&format!("GET {}/", direct.base())), "{head}");
}

/// What goes to Mixpanel through a proxy is a tunnel: the proxy sees a host and a port, and neither
/// path nor credentials.
#[test]
fn a_proxy_of_tls_sees_the_host_alone() {
    let proxy = Server::start([refused("407 Proxy Authentication Required", "", "")]);
    let mut options = options("https://data.mixpanel.example");
    let variables = [(
        "HTTPS_PROXY",
        format!("http://me:{CANARY}@{}", proxy.address).replace('/', "%2F").replace("%2F%2F", "//"),
    )];
    let lookup =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    Network::resolve(&options.base_urls, &NetworkSettings::default(), lookup).unwrap().apply(&mut options);
    let error = Client::new(options).unwrap().export(&new_year()).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Connect { host } if host == "data.mixpanel.example"),
        "{error:?}"
    );
    assert!(!support::all_texts(&error).contains(CANARY), "{}", support::all_texts(&error));
    let head = &proxy.requests()[0].to_ascii_lowercase();
    assert!(head.starts_with("connect data.mixpanel.example:443 http/1.1\r\n"), "{head}");
    // The proxy's own password is for it; Mixpanel's is not.
    assert!(
        head.contains("\r\nproxy-authorization: basic ") && !head.contains("\r\nauthorization:"),
        "{head}"
    );
}

/// Answers one TLS connection after another with the body; how many got as far as a request.
fn tls_server(connections: usize) -> (SocketAddr, Arc<Mutex<usize>>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let leaf = CertificateDer::pem_slice_iter(LEAF).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(leaf, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(Mutex::new(0));
    let count = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            let (mut stream, mut tls) = (stream.unwrap(), ServerConnection::new(config.clone()).unwrap());
            let mut tls = Stream::new(&mut tls, &mut stream);
            let mut head = [0; 4096];
            // Who does not trust us hangs up.
            if tls.read(&mut head).is_ok_and(|read| read > 0) {
                *count.lock().unwrap() += 1;
                let _ = tls.write_all(&support::answer("200 OK", "", BODY));
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    (address, requests)
}

#[test]
fn a_companys_own_root_is_trusted_where_it_is_named() {
    let (address, requests) = tls_server(2);
    let urls = BaseUrls::single_host(&format!("https://localhost:{}", address.port()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("company.pem");
    std::fs::write(&path, ROOT).unwrap();
    for (named, trusted) in [(None, false), (Some(path.clone()), true)] {
        let mut options = options("http://unused");
        options.base_urls = urls.clone();
        let settings = NetworkSettings { ca_file: named, ..NetworkSettings::default() };
        let network = Network::resolve(&urls, &settings, |_| None).unwrap();
        network.apply(&mut options);
        let outcome = Client::new(options).unwrap().export(&new_year());
        assert_eq!(outcome.is_ok(), trusted, "{network}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(matches!(error.kind(), ErrorKind::Tls { .. }), "{error:?}");
        }
    }
    assert_eq!(*requests.lock().unwrap(), 1);
}
