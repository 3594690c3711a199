//! A loopback server that answers with scripted bytes, so that tests control every byte of an
//! answer, when it comes, and how the connection ends.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::date;
use mixpanel_client::export::ExportRequest;
use mixpanel_client::retry::{Clock, RetryPolicy};
use mixpanel_client::{BaseUrls, CancelToken, Client, ClientOptions, Credentials};

/// A secret that must never be seen.
pub(crate) const CANARY: &str = "CANARY-7f3a/+x";

/// One step of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Delay(Duration),
    /// Ends the connection with a reset rather than a proper end.
    Reset,
    /// Says nothing more until the client goes away.
    Stall,
}

/// The answer to one connection. After the last step the connection is closed.
pub(crate) type Script = Vec<Step>;

/// Serves one script per connection, in order, and then refuses with status 599.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    aborted: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::serving(scripts.into_iter().collect::<Vec<_>>().into_iter())
    }

    /// The same with scripts that are made when their connection comes.
    pub(crate) fn serving(mut scripts: impl Iterator<Item = Script> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let aborted = Arc::new(AtomicBool::new(false));
        let stop = Arc::new(AtomicBool::new(false));
        let (log, gone, stopping) = (heads.clone(), aborted.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let script = scripts
                    .next()
                    .unwrap_or_else(|| vec![send("HTTP/1.1 599 Unscripted\r\nContent-Length: 0\r\n\r\n")]);
                serve(connection.unwrap(), &script, &log, &gone, &stopping);
            }
        });
        Self { address, heads, aborted, stop, thread: Some(thread) }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, heads and bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Whether a client went away during a stall.
    pub(crate) fn was_left(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    mut stream: TcpStream,
    script: &[Step],
    heads: &Mutex<Vec<String>>,
    gone: &AtomicBool,
    stop: &AtomicBool,
) {
    stream.set_nodelay(true).unwrap();
    let resets = script.iter().any(|step| matches!(step, Step::Reset));
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        // Closing a socket with unread input resets the connection, so one byte stays unread.
        if resets && head.ends_with(b"\r\n\r") {
            stream.peek(&mut byte).unwrap();
            head.push(byte[0]);
            continue;
        }
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    let mut body = vec![0; length(&head)];
    if stream.read_exact(&mut body).is_ok() {
        head.extend(body);
    }
    if !head.is_empty() {
        heads.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
    }
    for step in script {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(bytes).is_err() {
                    gone.store(true, Ordering::SeqCst);
                    return;
                }
            }
            Step::Delay(duration) => std::thread::sleep(*duration),
            Step::Reset => return,
            Step::Stall => {
                stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
                while !stop.load(Ordering::SeqCst) {
                    match stream.read(&mut byte) {
                        Err(error)
                            if matches!(
                                error.kind(),
                                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                            ) => {}
                        _ => {
                            gone.store(true, Ordering::SeqCst);
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// The length that a request promises for its body.
fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

pub(crate) fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A complete answer of the given status, with a length.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) fn ok(body: impl AsRef<[u8]>) -> Script {
    vec![Step::Send(answer("200 OK", "Content-Type: text/plain\r\n", body))]
}

pub(crate) fn refused(status: &str, headers: &str, body: &str) -> Script {
    vec![Step::Send(answer(status, headers, body))]
}

/// A complete answer in chunks of the given size.
pub(crate) fn chunked(headers: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Records waits, and lets time pass without waiting.
#[derive(Debug, Default)]
pub(crate) struct FakeClock {
    waits: Mutex<Vec<Duration>>,
}

impl FakeClock {
    /// The fixed time of day: 2024-01-01 00:00:00 UTC.
    pub(crate) const NOW: Duration = Duration::from_secs(1_704_067_200);

    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.waits.lock().unwrap().clone()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Self::NOW
    }

    fn monotonic(&self) -> Duration {
        self.waits().iter().sum()
    }

    fn sleep(&self, duration: Duration, _: &CancelToken) {
        self.waits.lock().unwrap().push(duration);
    }
}

pub(crate) fn service_account() -> Credentials {
    Credentials::service_account("ann", CANARY)
}

/// Options for a server, without retries.
pub(crate) fn options(base: &str) -> ClientOptions {
    let mut options = ClientOptions::new(service_account());
    options.project_id = Some(12345);
    options.base_urls = BaseUrls::single_host(base);
    options.retry = RetryPolicy::never();
    options.io_threads = 1;
    options
}

pub(crate) fn client(base: &str) -> Client {
    Client::new(options(base)).unwrap()
}

pub(crate) fn new_year() -> ExportRequest {
    ExportRequest::days(date(2024, 1, 1), date(2024, 1, 1))
}

/// A figure for `docs/reliability.md`: what was tried how often, and how often it failed. `ci/prove.py` reads it.
pub(crate) fn figure(what: &str, trials: usize, failures: usize, seed: u64, note: &str) {
    println!("\nfigure | {what} | trials {trials} | failures {failures} | seed {seed} | {note}");
}

/// Numbers from a seed.
pub(crate) fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// How many trials: set by `just prove`, or the small set's.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}

/// Everything that an error shows: itself, its causes, and their debug forms.
pub(crate) fn all_texts(error: &mixpanel_client::Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?} {:?}", error.url());
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text += &format!(" {inner} {inner:?}");
        cause = inner.source();
    }
    text
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}
