//! Plain blocks in, blocks of whole lines out, and the rules about how an export may end.
//!
//! Pure and synchronous. Lines end at the byte 0x0A and nowhere else: other "line ends" of
//! Unicode occur inside of exported strings. Lines are not parsed here, with one exception: a
//! line that looks like an error report is, because only the stream as a whole can refuse it.

use bytes::Bytes;
use memchr::{memchr, memchr_iter, memrchr};

use super::gunzip::{ContentEncoding, Decompressed};
use crate::credentials::Scrubber;
use crate::error::{Error, ErrorKind, Result, Truncation};
use crate::status::{Report, history_days};

/// What Mixpanel writes as a line of its own when it gives up on an export that it has already
/// answered with status 200. Seen with and without the first word.
const NOTICES: [&[u8]; 2] = [b"terminated early", b"export terminated early"];

/// How much of an oversized line is kept, in bytes.
const KEPT_OF_OVERSIZED: usize = 4096;

/// One line, without its line feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The line.
    Data(&'a [u8]),
    /// A line longer than the limit; it has not been kept.
    Oversized {
        /// Its length in bytes.
        len: u64,
        /// Its first 4,096 bytes.
        head: &'a [u8],
    },
}

/// Some whole lines, most of them still where decompression put them.
#[derive(Clone, Debug)]
pub struct LineBlock {
    first_line: u64,
    /// The line that began in an earlier block.
    carried: Option<Carried>,
    data: Bytes,
    max_line: usize,
}

#[derive(Clone, Debug)]
struct Carried {
    kept: Bytes,
    len: u64,
}

impl LineBlock {
    /// The lines that are not blank, each with its number. Numbers count from 1 at the start of
    /// the body and include blank lines.
    pub fn lines(&self) -> LineIter<'_> {
        LineIter {
            number: self.first_line,
            carried: self.carried.as_ref(),
            rest: &self.data,
            max_line: self.max_line,
        }
    }

    /// The number of the first line.
    pub fn first_line(&self) -> u64 {
        self.first_line
    }

    /// The size in bytes, line feeds included.
    pub fn bytes(&self) -> u64 {
        self.carried.as_ref().map_or(0, |carried| carried.len + 1) + self.data.len() as u64
    }
}

/// Iterates over the lines of a [`LineBlock`].
#[derive(Clone, Debug)]
pub struct LineIter<'a> {
    number: u64,
    carried: Option<&'a Carried>,
    rest: &'a [u8],
    max_line: usize,
}

impl<'a> Iterator for LineIter<'a> {
    type Item = (u64, Line<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (bytes, len) = if let Some(carried) = self.carried.take() {
                (&carried.kept[..], carried.len)
            } else if let Some(end) = memchr(b'\n', self.rest) {
                let (line, rest) = self.rest.split_at(end);
                self.rest = &rest[1..];
                (line, line.len() as u64)
            } else {
                return None;
            };
            let number = self.number;
            self.number += 1;
            if len > self.max_line as u64 {
                let head = &bytes[..bytes.len().min(KEPT_OF_OVERSIZED)];
                return Some((number, Line::Oversized { len, head }));
            }
            // Most lines begin with a brace; only the others are looked at closely.
            if bytes.first() == Some(&b'{') || !bytes.trim_ascii().is_empty() {
                return Some((number, Line::Data(bytes)));
            }
        }
    }
}

/// Splits plain blocks into lines: an iterator of [`LineBlock`] over an iterator of blocks.
///
/// Nothing that it yields may be kept unless it ends without an error: only the end proves that
/// the body was complete. After an error it yields nothing more.
///
/// # Errors
///
/// [`ErrorKind::Truncated`] if the body does not end with a line feed or says `terminated early`
/// on a line of its own, [`ErrorKind::InBand`] or [`ErrorKind::Forbidden`] if a line is an error
/// report, [`ErrorKind::NotExport`] if the body is HTML, and the errors of the inner iterator.
#[derive(Debug)]
pub struct Lines<I> {
    inner: I,
    max_line: usize,
    tail: Tail,
    next_line: u64,
    bytes: u64,
    has_content: bool,
    /// The last line so far ends like a notice, but has something else before it.
    ends_like_notice: bool,
    scrubber: Scrubber,
    done: bool,
}

/// The beginning of a line whose end has not arrived.
#[derive(Debug, Default)]
struct Tail {
    kept: Vec<u8>,
    len: u64,
}

impl Tail {
    fn push(&mut self, bytes: &[u8], max_line: usize) {
        self.len += bytes.len() as u64;
        if self.len <= max_line as u64 {
            self.kept.extend_from_slice(bytes);
        } else {
            let room = KEPT_OF_OVERSIZED.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
            self.kept.truncate(KEPT_OF_OVERSIZED);
            self.kept.shrink_to_fit();
        }
    }
}

impl<S: Iterator<Item = Result<Bytes>>> Lines<Decompressed<S>> {
    /// Decompresses and splits a body: live or stored, it is the same code.
    pub fn decode(encoding: ContentEncoding, blocks: S) -> Self {
        Self::new(Decompressed::new(encoding, blocks))
    }
}

impl<I: Iterator<Item = Result<Bytes>>> Lines<I> {
    /// The usual limit on the length of a line, in bytes.
    pub const MAX_LINE: usize = 32 * 1024 * 1024;

    /// Wraps plain blocks, with the usual limit.
    pub fn new(inner: I) -> Self {
        Self::with_max_line(inner, Self::MAX_LINE)
    }

    /// Wraps plain blocks. Lines of more than `max_line` bytes become [`Line::Oversized`].
    pub fn with_max_line(inner: I, max_line: usize) -> Self {
        Self {
            inner,
            max_line,
            tail: Tail::default(),
            next_line: 1,
            bytes: 0,
            has_content: false,
            ends_like_notice: false,
            scrubber: Scrubber::default(),
            done: false,
        }
    }

    pub(crate) fn with_scrubber(mut self, scrubber: Scrubber) -> Self {
        self.scrubber = scrubber;
        self
    }

    /// The blocks underneath.
    pub fn get_ref(&self) -> &I {
        &self.inner
    }

    /// How many lines have been seen, blank ones included.
    pub fn lines_seen(&self) -> u64 {
        self.next_line - 1
    }

    /// How many plain bytes have been seen.
    pub fn bytes_seen(&self) -> u64 {
        self.bytes
    }

    fn next_block(&mut self) -> Result<Option<LineBlock>> {
        while let Some(block) = self.inner.next() {
            let block = block?;
            self.bytes += block.len() as u64;
            let Some(last) = memrchr(b'\n', &block) else {
                self.tail.push(&block, self.max_line);
                continue;
            };
            let (carried, start) = self.finish_tail(&block)?;
            let data = block.slice(start..last + 1);
            let first_line = self.next_line;
            self.next_line += u64::from(carried.is_some());
            self.check_lines(&data)?;
            self.tail.push(&block[last + 1..], self.max_line);
            return Ok(Some(LineBlock { first_line, carried, data, max_line: self.max_line }));
        }
        self.check_end()?;
        Ok(None)
    }

    /// Completes the line that an earlier block began; gives it and where the next one starts.
    fn finish_tail(&mut self, block: &[u8]) -> Result<(Option<Carried>, usize)> {
        if self.tail.len == 0 {
            return Ok((None, 0));
        }
        let end = memchr(b'\n', block).unwrap_or(block.len());
        self.tail.push(&block[..end], self.max_line);
        let Tail { kept, len } = std::mem::take(&mut self.tail);
        self.check_line(&kept, len, true)?;
        Ok((Some(Carried { kept: kept.into(), len }), end + 1))
    }

    fn check_lines(&mut self, data: &[u8]) -> Result<()> {
        let mut start = 0;
        for end in memchr_iter(b'\n', data) {
            let line = &data[start..end];
            self.check_line(line, line.len() as u64, true)?;
            self.next_line += 1;
            start = end + 1;
        }
        Ok(())
    }

    /// Refuses lines that make the whole body worthless. The first test lets normal lines through.
    /// `whole` is false for what follows the last line feed.
    fn check_line(&mut self, line: &[u8], len: u64, whole: bool) -> Result<()> {
        if (line.starts_with(b"{\"event\"") && line.ends_with(b"}")) || len > self.max_line as u64 {
            self.has_content = true;
            self.ends_like_notice = false;
            return Ok(());
        }
        self.check_odd_line(line, whole)
    }

    #[cold]
    fn check_odd_line(&mut self, line: &[u8], whole: bool) -> Result<()> {
        let line = line.trim_ascii();
        let Some(first) = line.first() else { return Ok(()) };
        let is_first = !std::mem::replace(&mut self.has_content, true);
        if NOTICES.iter().any(|notice| line.eq_ignore_ascii_case(notice)) {
            return Err(self.truncated(Truncation::TerminatedEarly));
        }
        // A record that is cut and then followed by the notice. Only the end of the body can tell
        // it from a record that was broken over two lines, so it is remembered until then.
        self.ends_like_notice = NOTICES.iter().any(|notice| ends_with_ignore_case(line, notice));
        // A brace alone opens an object written over several lines, as error reports can be.
        if is_first && (*first == b'<' || (whole && line == b"{")) {
            let snippet =
                self.scrubber.show(&String::from_utf8_lossy(&line[..line.len().min(KEPT_OF_OVERSIZED)]));
            return Err(ErrorKind::NotExport { content_type: None, snippet }.into());
        }
        let Some(message) = Report::from_line(line, &self.scrubber) else { return Ok(()) };
        let kind = match history_days(&message) {
            Some(days) => ErrorKind::Forbidden { status: 200, message, history_days: Some(days) },
            None => ErrorKind::InBand { message },
        };
        Err(kind.into())
    }

    fn check_end(&mut self) -> Result<()> {
        if self.tail.len > 0 {
            // What stands there may explain itself better than "not a whole line" does.
            let Tail { kept, len } = std::mem::take(&mut self.tail);
            self.check_line(&kept, len, false)?;
            if !self.ends_like_notice {
                return Err(self.truncated(Truncation::MidLine));
            }
        }
        if self.ends_like_notice {
            return Err(self.truncated(Truncation::TerminatedEarly));
        }
        Ok(())
    }

    fn truncated(&self, what: Truncation) -> Error {
        ErrorKind::Truncated { what, bytes: self.bytes }.into()
    }
}

fn ends_with_ignore_case(text: &[u8], end: &[u8]) -> bool {
    text.len() >= end.len() && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
}

impl<I: Iterator<Item = Result<Bytes>>> Iterator for Lines<I> {
    type Item = Result<LineBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let block = self.next_block().transpose();
        self.done = !matches!(block, Some(Ok(_)));
        block
    }
}
