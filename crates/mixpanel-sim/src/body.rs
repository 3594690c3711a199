//! Response bodies: bytes in chunks of odd sizes, pauses, and deliberate breaks.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;

use crate::limits::Running;
use crate::random::Random;

/// A part of a body's script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Data(Bytes),
    Wait(Duration),
    /// Drops the connection without ending the body.
    Abort,
}

/// Time for the last bytes before an abort to leave the server.
const FLUSH: Duration = Duration::from_millis(30);
/// How far to look for a multi-byte character to cut through.
const LOOK_AHEAD: usize = 2048;

/// Turns a script into a streamed body, of which so many bytes are sent in a second. `running` is held until the
/// body has been sent or dropped.
pub(crate) fn body(
    steps: Vec<Step>,
    random: Random,
    bytes_per_second: Option<u32>,
    running: Option<Running>,
) -> Body {
    let state = State { steps: steps.into(), random, bytes_per_second, chunks: 0, _running: running };
    Body::from_stream(stream::unfold(state, |mut state| async move {
        let item = state.next().await?;
        Some((item, state))
    }))
}

struct State {
    steps: VecDeque<Step>,
    random: Random,
    bytes_per_second: Option<u32>,
    chunks: u64,
    _running: Option<Running>,
}

impl State {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            match self.steps.pop_front()? {
                Step::Data(bytes) if bytes.is_empty() => {}
                Step::Data(bytes) => {
                    let length = self.length();
                    let chunk = self.gather(bytes, length);
                    self.chunks += 1;
                    if let Some(rate) = self.bytes_per_second {
                        let time = chunk.len() as f64 / f64::from(rate.max(1));
                        tokio::time::sleep(Duration::from_secs_f64(time)).await;
                    }
                    return Some(Ok(chunk));
                }
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::Abort => {
                    tokio::time::sleep(FLUSH).await;
                    return Some(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "scripted fault")));
                }
            }
        }
    }

    /// The length of the next chunk: the first few are tiny, later ones large with a small one now and then.
    fn length(&mut self) -> usize {
        let random = &mut self.random;
        let length = match self.chunks {
            0..4 => random.between(1, 700),
            _ if random.chance(0.05) => random.between(1, 3000),
            _ => random.between(20_000, 131_072),
        };
        length as usize
    }

    /// A chunk of about the wanted length, shorter only if the data ends. Only where two parts meet is it a
    /// copy: parts are days, and were chunks to end with them, borders would too often be line ends.
    fn gather(&mut self, mut bytes: Bytes, length: usize) -> Bytes {
        let look = self.chunks < 12 || self.random.chance(0.1);
        if length < bytes.len() {
            let chunk = bytes.split_to(border(&bytes, length, look));
            self.steps.push_front(Step::Data(bytes));
            return chunk;
        }
        let mut chunk = Vec::new();
        while let Some(Step::Data(next)) = self.steps.front_mut() {
            if chunk.is_empty() {
                chunk.extend_from_slice(&bytes);
            }
            let missing = length - chunk.len();
            if next.len() > missing {
                chunk.extend_from_slice(&next.split_to(border(next, missing, look)));
                break;
            }
            chunk.extend_from_slice(next);
            self.steps.pop_front();
        }
        if chunk.is_empty() { bytes } else { chunk.into() }
    }
}

/// Where to cut near `length`: with `look`, inside the next multi-byte character if there is one.
fn border(bytes: &[u8], length: usize, look: bool) -> usize {
    let near = &bytes[length..bytes.len().min(length + LOOK_AHEAD)];
    // A byte of the form 10xxxxxx continues a character, so a border before it splits one.
    let inside = near.iter().position(|byte| byte & 0xC0 == 0x80).filter(|_| look);
    length + inside.unwrap_or(0)
}
