//! Faults on demand: everything that has been seen to go wrong with an export, and some things that might.
//!
//! A [`Fault`] says what goes wrong; a [`ScriptedFault`] adds when: how many requests pass before it, how many
//! it hits, which endpoint it is for (the export, unless it says otherwise), and which day a request must cover.
//! Faults wait in a queue, and each request takes the first one that fits. They come from three places: [`Simulator::fault`](crate::Simulator::fault), `POST /sim/faults`
//! (see [`ScriptedFault::from_json`]), and the request header `X-Sim-Fault: name` or `X-Sim-Fault: name:argument`.

mod apply;
mod parse;
mod queue;

use std::time::Duration;

use bytes::Bytes;
use jiff::civil::Date;

pub(crate) use queue::{Asked, FaultQueue};

/// Something that goes wrong with one answer.
///
/// Fractions are of the answer's length, from 0 to 1. Faults of compression do nothing to an answer that is not
/// compressed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The text stops at a line border and ends with a line that is not JSON; status 200, framing complete.
    TerminatedEarly {
        /// How much of the text is there; 0 leaves only the last line.
        fraction: f64,
        /// That line, such as `terminated early` or `export terminated early`.
        message: String,
    },
    /// The connection is dropped in the middle of the encoded body.
    CutConnection {
        /// Where; 1 sends the whole body and leaves out only the end of the chunked framing.
        fraction: f64,
    },
    /// The connection is dropped just before the gzip trailer.
    CutBeforeTrailer,
    /// The text ends in the middle of a line, but compression and framing are complete.
    CleanCloseMidLine {
        /// How much of the text is there, moved into a line if this is a border.
        fraction: f64,
    },
    /// The eight bytes of the gzip trailer are missing; framing complete.
    GzipNoTrailer,
    /// The checksum in the gzip trailer is wrong.
    GzipBadCrc,
    /// The answer begins late.
    SlowFirstByte {
        /// By how much real time.
        delay: Duration,
    },
    /// The answer stops for a while and then goes on.
    Stall {
        /// After how many encoded bytes.
        after_bytes: usize,
        /// For how much real time.
        delay: Duration,
    },
    /// Another answer altogether.
    Status {
        /// The status code.
        status: u16,
        /// The body.
        body: String,
        /// The value of `Retry-After`, if there is to be one.
        retry_after: Option<String>,
        /// The value of `Content-Type`.
        content_type: String,
    },
    /// A 429 as the export endpoint sends it, though no limit was reached.
    TooManyRequests {
        /// The value of `Retry-After`, seconds or an HTTP date; often there is none.
        retry_after: Option<String>,
    },
    /// A 429 as the Query API sends it, though no limit was reached.
    QueryLimit(QueryLimit),
    /// Status 200, and the body is a JSON object with an `error`.
    InBandError {
        /// The message.
        message: String,
    },
    /// Status 200, and the body is a web page, as proxies and log-in pages send it.
    HtmlPage,
    /// Bytes appear between the lines.
    InsertLines {
        /// After how many lines, 0 being the very beginning.
        after_line: usize,
        /// What is inserted; a line feed follows each.
        lines: Vec<Bytes>,
    },
    /// The text is replaced by exactly this one and compressed as usual.
    ReplaceBody(Bytes),
    /// The last line feed is missing.
    NoFinalNewline,
    /// A redirect (302) to somewhere else.
    Redirect {
        /// The value of `Location`.
        location: String,
    },
}

/// The kinds of 429 of the Query API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryLimit {
    /// Too many queries in an hour: `RateLimit` headers, and `Retry-After` an hour.
    Hourly,
    /// Too many queries at once: `RateLimit` headers, and `Retry-After` a few seconds.
    Concurrency,
    /// The server is busy: no such headers at all.
    LoadShedding,
}

const JSON: &str = "application/json";

/// The body of a scripted status, if no other is given.
fn status_body(status: u16) -> String {
    format!(r#"{{"error":"scripted fault","status":"error","code":{status}}}"#)
}

impl Fault {
    /// A line `terminated early` after a part of the text.
    pub fn terminated_early(fraction: f64) -> Fault {
        Fault::TerminatedEarly { fraction, message: "terminated early".to_owned() }
    }

    /// A status with a JSON body.
    pub fn status(status: u16) -> Fault {
        let (body, content_type) = (status_body(status), JSON.to_owned());
        Fault::Status { status, body, retry_after: None, content_type }
    }

    /// Hits this many requests.
    pub fn times(self, times: u32) -> ScriptedFault {
        ScriptedFault { times, ..self.into() }
    }

    /// Lets this many fitting requests pass first.
    pub fn after(self, requests: u32) -> ScriptedFault {
        ScriptedFault { after: requests, ..self.into() }
    }

    /// Hits only requests whose range covers this day.
    pub fn on_day(self, day: Date) -> ScriptedFault {
        ScriptedFault { day: Some(day), ..self.into() }
    }

    /// Hits requests to this endpoint; see [`ScriptedFault::endpoint`].
    pub fn on_endpoint(self, endpoint: impl Into<String>) -> ScriptedFault {
        ScriptedFault { endpoint: Some(endpoint.into()), ..self.into() }
    }
}

/// A fault and the requests it is for.
///
/// ```
/// use mixpanel_sim::{Fault, ScriptedFault};
///
/// // The third and the fourth request are answered with 503.
/// let script: ScriptedFault = Fault::status(503).after(2).times(2);
/// assert_eq!((script.after, script.times), (2, 2));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptedFault {
    /// What goes wrong.
    pub fault: Fault,
    /// How many fitting requests pass before it.
    pub after: u32,
    /// How many requests it hits.
    pub times: u32,
    /// A day that a request's range must cover.
    pub day: Option<Date>,
    /// Where: the path below `/api/query` or `/api/app`, such as `segmentation` or `projects/1/schemas`, which
    /// stands for what is below it too; or `query` or `app` for all of these. Without it, the export.
    pub endpoint: Option<String>,
}

impl From<Fault> for ScriptedFault {
    fn from(fault: Fault) -> ScriptedFault {
        ScriptedFault { fault, after: 0, times: 1, day: None, endpoint: None }
    }
}

impl ScriptedFault {
    /// Hits this many requests.
    pub fn times(self, times: u32) -> ScriptedFault {
        ScriptedFault { times, ..self }
    }

    /// Lets this many fitting requests pass first.
    pub fn after(self, requests: u32) -> ScriptedFault {
        ScriptedFault { after: requests, ..self }
    }

    /// Hits only requests whose range covers this day.
    pub fn on_day(self, day: Date) -> ScriptedFault {
        ScriptedFault { day: Some(day), ..self }
    }

    /// Hits requests to this endpoint; see [`ScriptedFault::endpoint`].
    pub fn on_endpoint(self, endpoint: impl Into<String>) -> ScriptedFault {
        ScriptedFault { endpoint: Some(endpoint.into()), ..self }
    }
}
