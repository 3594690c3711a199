//! The way to Mixpanel: proxies and certificates, as the environment and the configuration name them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{DB, Place, until};

/// A proxy that wants a password, and remembers what it was asked for.
fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = heads.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            seen.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
            let _ =
                stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (address, heads)
}

fn account() -> Place {
    Place::new().with("MP_PROJECT_ID", 1).with("MP_USERNAME", "reader").with("MP_SECRET", "CANARY-secret")
}

/// Nothing leaves this machine: the proxy is here.
#[test]
fn the_proxy_of_the_environment_is_asked_for_a_tunnel() {
    let (address, heads) = proxy();
    let place = account().with("HTTPS_PROXY", format!("http://{address}")).with("MP_REGION", "eu");
    let words = ["fetch", "events", "--from", "2024-01-01", "--to", "2024-01-01", "--db", DB];
    let child = place.start(words);
    until("the proxy", || (!heads.lock().unwrap().is_empty()).then_some(()));
    child.signal(Signal::SIGINT);
    let run = child.end();
    assert_eq!(run.code, Some(130), "{run:?}");
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("CONNECT data-eu.mixpanel.com:443 HTTP/1.1\r\n"), "{head}");
    assert!(!head.contains("CANARY") && !head.to_ascii_lowercase().contains("\r\nauthorization"), "{head}");
}

fn network(place: &Place) -> (String, String) {
    let run = place.run(["doctor", "--format", "json"]);
    let findings: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let finding = findings.iter().find(|finding| finding["check"] == "network").unwrap();
    let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("found"))
}

#[test]
fn the_doctor_names_proxies_and_certificates() {
    let system = "certificates of the system";
    assert_eq!(network(&Place::new()), ("ok".into(), format!("directly; {system}")));
    let place = Place::new()
        .with("HTTPS_PROXY", "http://me:CANARY@proxy.example:3128")
        .with("NO_PROXY", "intranet.example");
    let said = format!(
        "through the proxy http://***@proxy.example:3128 (HTTPS_PROXY), not for intranet.example (NO_PROXY); {system}"
    );
    assert_eq!(network(&place), ("ok".into(), said));
    // A simulator on this machine is reached without; and the configuration comes before what all
    // programs share.
    let local = place.with("MP_BASE_URL", "http://127.0.0.1:9");
    assert_eq!(network(&local).1, format!("directly; {system}"));
    let configured = Place::new()
        .config("[settings]\nproxy = \"http://configured.example:1\"\n")
        .with("HTTPS_PROXY", "http://other.example:1");
    assert!(network(&configured).1.contains("http://configured.example:1 (configuration)"));
    for (name, value, why) in [
        ("SSL_CERT_FILE", "/nonexistent.pem", "cannot be read"),
        ("MP_PROXY", "socks5://p:1", "supported are http and https"),
    ] {
        let (state, found) = network(&Place::new().with(name, value));
        assert!(state == "wrong" && found.contains(name) && found.contains(why), "{state}: {found}");
        // And a fetch says the same, before anything is sent.
        let run = account().with(name, value).run([
            "fetch",
            "events",
            "--from",
            "2024-01-01",
            "--to",
            "2024-01-01",
        ]);
        assert!(run.code == Some(2) && run.stderr.contains(name) && run.stderr.contains(why), "{run:?}");
    }
    // A folder that came with a repository names none.
    let place = Place::new();
    std::fs::write(place.here("mp.toml"), "proxy = \"http://evil.example:1\"\n").unwrap();
    assert!(place.run(["doctor"]).stdout.contains("may not set `proxy`"));
}
