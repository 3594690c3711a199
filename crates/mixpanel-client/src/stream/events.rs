//! Raw events as a stream: days after days, each chunk of them proven complete before its first row
//! is handed out.

use std::fmt;

use bytes::Bytes;
use jiff::Span;
use jiff::civil::Date;

use super::spool::Spool;
use super::{Buffer, StreamBatch, StreamCounts};
use crate::client::Client;
use crate::decode::{ColumnPlan, RejectReason};
use crate::error::{ErrorKind, Result};
use crate::export::{DecodeOptions, Decompressed, EventDecoder, ExportRequest, Line, LineBlock, Lines};
use crate::time::ProjectClock;

/// A chunk should have about so many bytes of JSON: so much is downloaded again when it breaks off,
/// and comes at least before its first row is handed out.
const TARGET_BYTES: u64 = 256 << 20;
/// No request spans more days; some servers refuse more.
const MAX_DAYS: u32 = 100;

/// How to stream events.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// Where rows wait until they are proven.
    pub buffer: Buffer,
    /// What the exported times mean.
    pub clock: ProjectClock,
    /// So many days share a request; by their size unless told otherwise, and without a buffer as
    /// many as possible. With a limit, all days are one request.
    pub days_per_request: Option<u32>,
    /// Which properties become columns in the batches; JSON does not need any.
    pub plan: ColumnPlan,
}

impl StreamOptions {
    /// Options for JSON: proven, and times in UTC.
    pub fn new(buffer: Buffer) -> Self {
        Self { buffer, clock: ProjectClock::default(), days_per_request: None, plan: ColumnPlan::default() }
    }
}

impl Client {
    /// Streams raw events, in the order of their days, without storing them. Nothing is sent before
    /// the stream is read.
    ///
    /// Unless the buffer is [`Buffer::None`], what the stream yields is proven: a download that
    /// breaks off is begun again, under the client's retry policy, and no row of it has been yielded
    /// by then.
    ///
    /// ```no_run
    /// use jiff::civil::date;
    /// use mixpanel_client::export::ExportRequest;
    /// use mixpanel_client::stream::{Buffer, Shape, StreamOptions};
    /// # fn example(client: &mixpanel_client::Client) -> mixpanel_client::Result<()> {
    /// let january = ExportRequest::days(date(2024, 1, 1), date(2024, 1, 31));
    /// let options = StreamOptions::new(Buffer::Memory { bytes: Buffer::BYTES });
    /// for batch in client.stream_events(&january, options)? {
    ///     for event in batch?.json(Shape::Raw) {
    ///         drop(event);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`]. The stream's own errors are those of
    /// [`export`](Client::export) and of its body, and [`ErrorKind::BufferFull`].
    pub fn stream_events(&self, request: &ExportRequest, options: StreamOptions) -> Result<EventStream> {
        request.validate()?;
        let at_once = options.buffer == Buffer::None || request.limit.is_some();
        // A sample is one request: its limit is for all days.
        let span = match (request.limit, options.days_per_request) {
            (Some(_), _) => u32::MAX,
            (None, Some(days)) => days.max(1),
            (None, None) if at_once => MAX_DAYS,
            (None, None) => 1,
        };
        let StreamOptions { buffer, clock, days_per_request, plan } = options;
        Ok(EventStream {
            client: self.clone(),
            next_day: Some(request.from),
            request: request.clone(),
            buffer,
            grows: !at_once && days_per_request.is_none(),
            span,
            chunk: None,
            decoder: EventDecoder::new(DecodeOptions { clock, plan, within: None }),
            counts: StreamCounts::default(),
            done: false,
        })
    }
}

/// Raw events, batch by batch. After an error there is nothing more.
pub struct EventStream {
    client: Client,
    request: ExportRequest,
    buffer: Buffer,
    /// The first day that was not asked for yet.
    next_day: Option<Date>,
    /// How many days the next request has, and whether that follows what was learnt.
    span: u32,
    grows: bool,
    chunk: Option<Chunk>,
    decoder: EventDecoder,
    counts: StreamCounts,
    done: bool,
}

type Source = Box<dyn Iterator<Item = Result<Bytes>> + Send>;
type SourceLines = Lines<Decompressed<Source>>;

/// Days that are being handed out.
struct Chunk {
    lines: SourceLines,
    days: u32,
    rows: u64,
    /// The first line that is no event.
    odd: Option<Vec<u8>>,
}

impl EventStream {
    /// What was handed out so far.
    pub fn counts(&self) -> StreamCounts {
        self.counts
    }

    fn next_batch(&mut self) -> Result<Option<StreamBatch>> {
        loop {
            let Some(chunk) = &mut self.chunk else {
                match self.open()? {
                    Some(chunk) => self.chunk = Some(chunk),
                    None => return Ok(None),
                }
                continue;
            };
            match chunk.lines.next().transpose()? {
                Some(block) => {
                    let batch = self.decode(&block);
                    if batch.decoded.lines > 0 {
                        return Ok(Some(batch));
                    }
                }
                None => self.finish_chunk()?,
            }
        }
    }

    /// Asks for the next days.
    fn open(&mut self) -> Result<Option<Chunk>> {
        loop {
            let Some(from) = self.next_day else { return Ok(None) };
            let last = from.saturating_add(Span::new().days(i64::from(self.span.min(1_000_000)) - 1));
            let to = last.min(self.request.to);
            let request = ExportRequest { from, to, ..self.request.clone() };
            let days = (to - from).get_days().unsigned_abs() + 1;
            let lines = match self.download(&request) {
                // Fewer days may fit.
                Err(error)
                    if days > 1 && self.grows && matches!(error.kind(), ErrorKind::BufferFull { .. }) =>
                {
                    self.span = days / 2;
                    continue;
                }
                downloaded => downloaded?,
            };
            self.next_day = to.tomorrow().ok().filter(|day| *day <= self.request.to);
            return Ok(Some(Chunk { lines, days, rows: 0, odd: None }));
        }
    }

    /// Gives the lines of a body: as it comes, or whole and proven.
    fn download(&self, request: &ExportRequest) -> Result<SourceLines> {
        if self.buffer == Buffer::None {
            let body = self.client.export(request)?;
            let (encoding, scrubber) = (body.encoding(), body.scrubber());
            return Ok(Lines::decode(encoding, Box::new(body) as Source).with_scrubber(scrubber));
        }
        self.client.retrier().run(|| {
            let body = self.client.export(request)?;
            let (encoding, scrubber) = (body.encoding(), body.scrubber());
            let mut spool = Spool::new(&self.buffer);
            // The copy is taken before decompression, as it is much smaller.
            let mut failed = None;
            let copied = body.map(|block| {
                let block = block?;
                spool.push(block.clone()).map(|()| block).map_err(|error| {
                    failed = Some(error);
                    ErrorKind::Cancelled.into()
                })
            });
            let proven =
                Lines::decode(encoding, copied).with_scrubber(scrubber).try_for_each(|block| block.map(drop));
            match failed {
                Some(error) => Err(error),
                None => {
                    proven?;
                    Ok(Lines::decode(encoding, Box::new(spool.into_blocks()?) as Source))
                }
            }
        })
    }

    fn decode(&mut self, block: &LineBlock) -> StreamBatch {
        let mut raw = Vec::new();
        for (number, line) in block.lines() {
            let rows = self.decoder.rows();
            match line {
                Line::Data(line) => {
                    self.decoder.push(line, number);
                    if self.decoder.rows() > rows {
                        super::push_line(line, &mut raw);
                    }
                }
                Line::Oversized { head, .. } => self.decoder.reject(number, RejectReason::TooLong, head),
            }
        }
        let decoded = self.decoder.finish_batch();
        let rows = decoded.rows.num_rows() as u64;
        self.counts.rows += rows;
        self.counts.rejects += decoded.rejects.len() as u64;
        if let Some(chunk) = &mut self.chunk {
            chunk.rows += rows;
            if let (None, Some(reject)) = (&chunk.odd, decoded.rejects.first()) {
                chunk.odd = Some(reject.bytes.clone());
            }
        }
        StreamBatch::new(decoded, raw)
    }

    fn finish_chunk(&mut self) -> Result<()> {
        let Some(Chunk { lines, days, rows, odd }) = self.chunk.take() else { return Ok(()) };
        if let (0, Some(head)) = (rows, odd) {
            // Not one event in all of it: some proxy's or server's own text.
            let snippet = String::from_utf8_lossy(&head[..head.len().min(200)]).into_owned();
            return Err(ErrorKind::NotExport { content_type: None, snippet }.into());
        }
        self.counts.chunks += 1;
        if self.grows {
            let each = (lines.bytes_seen() / u64::from(days)).max(1);
            let fitting = u32::try_from(TARGET_BYTES / each).unwrap_or(u32::MAX);
            self.span = fitting.min(self.span.saturating_mul(8)).clamp(1, MAX_DAYS);
        }
        Ok(())
    }
}

impl Iterator for EventStream {
    type Item = Result<StreamBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = self.next_batch().transpose();
        self.done = !matches!(batch, Some(Ok(_)));
        batch
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("request", &self.request)
            .field("buffer", &self.buffer)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
