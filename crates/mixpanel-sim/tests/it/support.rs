//! A small blocking HTTP client on a raw socket, which shows exactly what the server sent: chunks, broken
//! framing and all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mixpanel_sim::{Limits, Pace, SimConfig, Simulator};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// An answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// The body as it was chunked.
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Whether the framing was complete: the last chunk, or all that `Content-Length` promised.
    pub(crate) complete: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub(crate) fn is_gzip(&self) -> bool {
        self.header("content-encoding") == Some("gzip")
    }

    /// The body, decompressed if need be.
    pub(crate) fn plain(&self) -> Vec<u8> {
        if self.is_gzip() { gunzip(&self.body()).expect("a sound gzip stream") } else { self.body() }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.plain()).expect("UTF-8")
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.text().split_terminator('\n').map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The body of a success, as JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.plain()).expect("JSON")
    }

    /// The `error` of a JSON body.
    pub(crate) fn error(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body()).expect("a JSON body");
        body["error"].as_str().expect("an `error`").to_owned()
    }
}

pub(crate) fn gunzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::bufread::GzDecoder::new(bytes).read_to_end(&mut plain)?;
    Ok(plain)
}

/// A small world without limits.
pub(crate) fn small() -> SimConfig {
    SimConfig { days: 30, events_per_day: 100, limits: Limits::off(), ..SimConfig::default() }
}

pub(crate) fn start(config: SimConfig) -> Simulator {
    Simulator::start(config).expect("a simulator")
}

/// A small world with limits, on a clock that stands still.
pub(crate) fn start_limited(limits: Limits) -> Simulator {
    start(SimConfig { limits, pace: Pace::Manual, ..small() })
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// `name=value&…`, percent-encoded.
pub(crate) fn query(parameters: &[(&str, &str)]) -> String {
    let pair =
        |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    parameters.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// An export of a range by the service account, with more parameters.
pub(crate) fn export(simulator: &Simulator, from: &str, to: &str, more: &[(&str, &str)]) -> Answer {
    export_with(simulator, from, to, more, &[])
}

pub(crate) fn export_with(
    simulator: &Simulator,
    from: &str,
    to: &str,
    more: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Answer {
    let mut parameters = vec![("project_id", "12345"), ("from_date", from), ("to_date", to)];
    parameters.extend_from_slice(more);
    let config = simulator.config();
    let authorization = basic(&config.username, &config.secret);
    let mut all = vec![("Authorization", authorization.as_str())];
    all.extend_from_slice(headers);
    get(simulator, &format!("/api/2.0/export?{}", query(&parameters)), &all)
}

/// A query by the service account.
pub(crate) fn ask(simulator: &Simulator, endpoint: &str, parameters: &[(&str, &str)]) -> Answer {
    ask_with(simulator, endpoint, parameters, &[])
}

pub(crate) fn ask_with(
    simulator: &Simulator,
    endpoint: &str,
    parameters: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Answer {
    let mut all = vec![("project_id", "12345")];
    all.extend_from_slice(parameters);
    let config = simulator.config();
    let authorization = basic(&config.username, &config.secret);
    let mut with = vec![("Authorization", authorization.as_str())];
    with.extend_from_slice(headers);
    get(simulator, &format!("/api/query/{endpoint}?{}", query(&all)), &with)
}

pub(crate) fn get(simulator: &Simulator, target: &str, headers: &[(&str, &str)]) -> Answer {
    send(simulator, "GET", target, headers, "")
}

pub(crate) fn send(
    simulator: &Simulator,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    send_bytes(simulator, method, target, headers, body.as_bytes())
}

pub(crate) fn send_bytes(
    simulator: &Simulator,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(simulator.addr()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(300))).expect("a timeout");
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(&[request.as_bytes(), body].concat()).expect("sending");
    read_answer(&mut BufReader::new(stream)).expect("an answer's head")
}

fn read_answer(reader: &mut impl BufRead) -> std::io::Result<Answer> {
    let mut answer = Answer::default();
    let mut line = String::new();
    reader.read_line(&mut line)?;
    answer.status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        answer.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        // A failure here is part of the answer: framing that never became complete.
        answer.complete = read_chunks(reader, &mut answer.chunks).is_ok();
    } else {
        let length: usize = answer.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        answer.complete = reader.read_exact(&mut body).is_ok();
        answer.chunks.push(body);
    }
    Ok(answer)
}

fn read_chunks(reader: &mut impl BufRead, chunks: &mut Vec<Vec<u8>>) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(std::io::Error::other)?;
        let mut chunk = Vec::with_capacity(size);
        reader.take(size as u64).read_to_end(&mut chunk)?;
        let whole = chunk.len() == size;
        if size > 0 {
            chunks.push(chunk);
        }
        let mut end = [0; 2];
        reader.read_exact(&mut end)?;
        if !whole || end != *b"\r\n" {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        if size == 0 {
            return Ok(());
        }
    }
}
