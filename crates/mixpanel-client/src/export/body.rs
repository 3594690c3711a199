//! The body of an export while it is being downloaded.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, TRANSFER_ENCODING};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::gunzip::{ContentEncoding, Decompressed};
use super::lines::Lines;
use super::pipe::{PipeReader, PipeWriter, pipe};
use crate::cancel::CancelToken;
use crate::client::Timeouts;
use crate::credentials::Scrubber;
use crate::error::{Error, ErrorKind, Phase, Result, Truncation};
use crate::redact::{RedactedUrl, shown_text};
use crate::runtime::Runtime;
use crate::status::Report;

/// How many downloaded bytes wait for the reader at most; then the network has to wait.
const BUFFERED: usize = 8 * 1024 * 1024;

/// The bytes of an export as they come off the wire, still compressed if the server chose to
/// ([`encoding`](Self::encoding)).
///
/// `next` blocks until there are bytes. The download runs ahead of the reader by 8 MB at most,
/// and is given up when this is dropped.
///
/// # Errors
///
/// [`ErrorKind::Truncated`] if HTTP's own framing is not finished, [`ErrorKind::Timeout`] if the
/// server falls silent, [`ErrorKind::Cancelled`]. An error comes at once, before blocks that are
/// still waiting, since it makes them worthless; after it, there is nothing more.
pub struct ExportBody {
    reader: PipeReader,
    encoding: ContentEncoding,
    request_id: Option<String>,
    date: Option<SystemTime>,
    url: RedactedUrl,
    scrubber: Scrubber,
    cancel: CancelToken,
    task: JoinHandle<()>,
    done: bool,
    /// Keeps the task's threads alive.
    _runtime: Arc<Runtime>,
}

impl ExportBody {
    /// How the blocks are encoded.
    pub fn encoding(&self) -> ContentEncoding {
        self.encoding
    }

    /// The server's own name for this request, if it gave one.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// When the answer began, by the server's clock (its `Date` header): what was sent cannot be
    /// newer. `None` if it does not say.
    pub fn date(&self) -> Option<SystemTime> {
        self.date
    }

    /// How many bytes have arrived from the network, which is more than `next` has given so far.
    pub fn bytes_received(&self) -> u64 {
        self.reader.received()
    }

    /// The address it came from.
    pub fn url(&self) -> &RedactedUrl {
        &self.url
    }

    /// What hides secrets in texts of the server.
    pub(crate) fn scrubber(&self) -> Scrubber {
        self.scrubber.clone()
    }

    /// Decompresses this body and splits it into lines.
    pub fn into_lines(self) -> Lines<Decompressed<Self>> {
        self.into_lines_through(|blocks| blocks)
    }

    /// The same, with the decompressed blocks passing through an iterator of the caller's, such as
    /// one that holds them back for a while.
    pub fn into_lines_through<I: Iterator<Item = Result<Bytes>>>(
        self,
        through: impl FnOnce(Decompressed<Self>) -> I,
    ) -> Lines<I> {
        let scrubber = self.scrubber.clone();
        Lines::new(through(Decompressed::new(self.encoding, self))).with_scrubber(scrubber)
    }
}

impl Iterator for ExportBody {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let block = if self.cancel.is_cancelled() {
            Some(Err(ErrorKind::Cancelled.into()))
        } else {
            self.reader.next()
        };
        self.done = !matches!(block, Some(Ok(_)));
        block.map(|block| block.map_err(|error: Error| error.with_url(self.url.clone())))
    }
}

impl Drop for ExportBody {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for ExportBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportBody")
            .field("encoding", &self.encoding)
            .field("request_id", &self.request_id)
            .field("bytes_received", &self.bytes_received())
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A response with status 200 that can be an export, and its first bytes.
#[derive(Debug)]
pub(crate) struct Opening {
    response: Response,
    encoding: ContentEncoding,
    request_id: Option<String>,
    date: Option<SystemTime>,
    first: Option<Bytes>,
}

impl Opening {
    /// Looks at the headers and waits for the first bytes: up to here, a failure costs nothing
    /// but another request.
    pub(crate) async fn read(
        mut response: Response,
        deadline: Instant,
        after: Duration,
        scrubber: &Scrubber,
    ) -> Result<Self> {
        let encoding = check_headers(response.headers())?;
        let request_id = header(response.headers(), "x-request-id").map(|id| shown_text(&id));
        let date = server_date(response.headers());
        let mut first = next_block(&mut response, 0, deadline, Phase::FirstByte, after).await?;
        if let Some(content_type) =
            header(response.headers(), CONTENT_TYPE.as_str()).filter(|kind| is_html(kind))
        {
            let body = first.take().unwrap_or_default();
            let snippet = Report::from_body(&body, encoding == ContentEncoding::Gzip, scrubber);
            let content_type = Some(shown_text(&content_type));
            return Err(ErrorKind::NotExport { content_type, snippet }.into());
        }
        Ok(Self { response, encoding, request_id, date, first })
    }

    /// Lets the rest of the body flow.
    pub(crate) fn start(
        self,
        runtime: &Arc<Runtime>,
        url: RedactedUrl,
        scrubber: Scrubber,
        cancel: CancelToken,
        timeouts: Timeouts,
    ) -> ExportBody {
        let (writer, reader) = pipe(BUFFERED);
        let Self { response, encoding, request_id, date, first } = self;
        let token = cancel.clone();
        let task = runtime.spawn(async move {
            let outcome = tokio::select! {
                biased;
                () = token.cancelled() => Err(ErrorKind::Cancelled.into()),
                outcome = pump(response, first, &writer, timeouts) => outcome,
            };
            writer.finish(outcome);
        });
        let done = false;
        ExportBody {
            reader,
            encoding,
            request_id,
            date,
            url,
            scrubber,
            cancel,
            task,
            done,
            _runtime: runtime.clone(),
        }
    }
}

/// Moves blocks from the network to the reader until the framing says that it was all.
async fn pump(
    mut response: Response,
    first: Option<Bytes>,
    writer: &PipeWriter,
    timeouts: Timeouts,
) -> Result<()> {
    let Some(first) = first else { return Ok(()) };
    writer.push(first).await;
    // Only time spent waiting for the network counts: a slow reader is not the server's fault.
    let mut left = timeouts.body;
    let (mut waited, mut came) = (Duration::ZERO, 0);
    loop {
        let start = Instant::now();
        let (phase, limit) =
            if left < timeouts.idle { (Phase::WholeBody, left) } else { (Phase::NextByte, timeouts.idle) };
        let after = if phase == Phase::WholeBody { timeouts.body } else { timeouts.idle };
        let Some(block) = next_block(&mut response, writer.received(), start + limit, phase, after).await?
        else {
            return Ok(());
        };
        left = left.saturating_sub(start.elapsed());
        waited += start.elapsed();
        came += block.len() as u64;
        let rate = timeouts.min_rate;
        if waited >= rate.over {
            if came < rate.bytes_per_second.saturating_mul(waited.as_secs()) {
                return Err(ErrorKind::Timeout { phase: Phase::MinRate, after: waited }.into());
            }
            (waited, came) = (Duration::ZERO, 0);
        }
        writer.push(block).await;
    }
}

/// Waits for the next bytes; `None` at the end that the framing promised.
pub(crate) async fn next_block(
    response: &mut Response,
    received: u64,
    deadline: Instant,
    phase: Phase,
    after: Duration,
) -> Result<Option<Bytes>> {
    loop {
        match timeout_at(deadline, response.chunk()).await {
            Err(_) => return Err(ErrorKind::Timeout { phase, after }.into()),
            Ok(Ok(Some(block))) if block.is_empty() => {}
            Ok(Ok(block)) => return Ok(block),
            Ok(Err(error)) => {
                let kind = ErrorKind::Truncated { what: Truncation::Connection, bytes: received };
                return Err(Error::new(kind).with_source(error.without_url()));
            }
        }
    }
}

/// Decides from the headers whether the body can be an export whose end can be proven.
///
/// Only a length or chunks prove it. Compression alone does not: a gzip stream may have any number
/// of members, and one that is cut between two of them looks whole.
fn check_headers(headers: &HeaderMap) -> Result<ContentEncoding> {
    let encoding = ContentEncoding::from_header(header(headers, CONTENT_ENCODING.as_str()).as_deref())?;
    match framing(headers) {
        // An empty answer is an empty export, even if the server names the encoding that it
        // would have used.
        Framing::Length(0) => Ok(ContentEncoding::Identity),
        Framing::Length(_) | Framing::Chunks => Ok(encoding),
        Framing::UntilClose => Err(ErrorKind::Truncated { what: Truncation::Unprovable, bytes: 0 }.into()),
    }
}

/// What ends a body (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunks,
    UntilClose,
}

/// A transfer coding comes before a length, and only as the last one do chunks end a body.
fn framing(headers: &HeaderMap) -> Framing {
    let codings =
        headers.get_all(TRANSFER_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    if let Some(codings) = codings.reduce(|all, more| format!("{all},{more}").into()) {
        let last = codings.rsplit(',').next().unwrap_or_default().trim();
        return if last.eq_ignore_ascii_case("chunked") { Framing::Chunks } else { Framing::UntilClose };
    }
    let length = header(headers, CONTENT_LENGTH.as_str()).and_then(|length| length.trim().parse().ok());
    length.map_or(Framing::UntilClose, Framing::Length)
}

pub(crate) fn is_html(content_type: &str) -> bool {
    content_type.trim_start().get(..9).is_some_and(|start| start.eq_ignore_ascii_case("text/html"))
}

/// The time at which an answer began, by the server's clock.
pub(crate) fn server_date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(header(headers, DATE.as_str())?.trim()).ok()
}

pub(crate) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Reads the body of a refusal, as far as it comes and fits.
pub(crate) async fn read_refusal(response: &mut Response, limit: usize, patience: Duration) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(block)) = response.chunk().await {
            body.extend_from_slice(&block[..block.len().min(limit - body.len())]);
            if body.len() == limit {
                break;
            }
        }
    };
    // What has come by then is enough: the status alone decides what kind of error it is.
    let _ = timeout(patience, reading).await;
    body
}
