//! Compressed blocks in, plain blocks out, nothing taken on trust.
//!
//! Pure and synchronous: stored bytes go through the same code as a live download. Every member
//! of the gzip stream must carry its trailer, and the trailer must agree with the data.

use bytes::{Buf as _, Bytes};
use flate2::{Decompress, FlushDecompress, Status};

use crate::error::{Corruption, Error, ErrorKind, Result, Truncation};
use crate::redact::shown_text;

/// Size of a plain block, in bytes. The last one may be smaller.
const BLOCK: usize = 512 * 1024;

/// A window of 2^15 bytes, the largest (and usual) one of the format.
const WINDOW_BITS: u8 = 15;

/// How the bytes of a body are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentEncoding {
    /// Not at all.
    Identity,
    /// As gzip. Mixpanel compresses bodies above 1,400 bytes if asked to (export reference).
    Gzip,
}

impl ContentEncoding {
    /// Reads the value of a `Content-Encoding` header.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnexpectedEncoding`] for anything but gzip and identity.
    pub fn from_header(value: Option<&str>) -> Result<Self> {
        let name = value.unwrap_or_default().trim();
        if name.is_empty() || name.eq_ignore_ascii_case("identity") {
            Ok(Self::Identity)
        } else if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            Ok(Self::Gzip)
        } else {
            Err(ErrorKind::UnexpectedEncoding { encoding: shown_text(name) }.into())
        }
    }
}

/// How far a compressed body may expand before it counts as an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatioLimit {
    /// The largest allowed ratio of plain to compressed bytes. The format itself ends at 1032.
    pub ratio: u64,
    /// Plain bytes that are free of the rule.
    pub after: u64,
}

impl Default for RatioLimit {
    fn default() -> Self {
        Self { ratio: 1000, after: 64 * 1024 * 1024 }
    }
}

/// Undoes a [`ContentEncoding`]: an iterator of plain blocks over an iterator of encoded ones.
///
/// After an error it yields nothing more.
#[derive(Debug)]
pub enum Decompressed<I> {
    /// Passes blocks through.
    Identity(I),
    /// Decompresses.
    Gzip(Gunzip<I>),
}

impl<I: Iterator<Item = Result<Bytes>>> Decompressed<I> {
    /// Wraps encoded blocks.
    pub fn new(encoding: ContentEncoding, inner: I) -> Self {
        match encoding {
            ContentEncoding::Identity => Self::Identity(inner),
            ContentEncoding::Gzip => Self::Gzip(Gunzip::new(inner)),
        }
    }

    /// The encoded blocks.
    pub fn get_ref(&self) -> &I {
        match self {
            Self::Identity(inner) => inner,
            Self::Gzip(gunzip) => &gunzip.inner,
        }
    }
}

impl<I: Iterator<Item = Result<Bytes>>> Iterator for Decompressed<I> {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Identity(inner) => inner.next(),
            Self::Gzip(gunzip) => gunzip.next(),
        }
    }
}

/// Decompresses gzip blocks of any size into plain blocks of 512 KB.
///
/// Any number of members may follow each other. The stream must have at least one, and end with
/// a complete one: no bytes at all are an error too.
///
/// # Errors
///
/// [`ErrorKind::Truncated`] if the trailer is missing, [`ErrorKind::Corrupt`] if anything does
/// not fit, and the errors of the inner iterator.
#[derive(Debug)]
pub struct Gunzip<I> {
    inner: I,
    input: Bytes,
    member: Member,
    limit: RatioLimit,
    read: u64,
    written: u64,
    done: bool,
}

/// Where we are in the sequence of members.
#[derive(Debug)]
enum Member {
    /// Before the first one.
    None,
    /// The first byte of a header has been seen.
    Magic { first: bool },
    /// Inside of one.
    Open(Box<Decompress>),
    /// After a complete one.
    Closed,
}

impl<I: Iterator<Item = Result<Bytes>>> Gunzip<I> {
    /// Wraps compressed blocks, with the usual limit on expansion.
    pub fn new(inner: I) -> Self {
        Self::with_limit(inner, RatioLimit::default())
    }

    /// Wraps compressed blocks.
    pub fn with_limit(inner: I, limit: RatioLimit) -> Self {
        let member = Member::None;
        Self { inner, input: Bytes::new(), member, limit, read: 0, written: 0, done: false }
    }

    /// Compressed bytes used so far.
    pub fn bytes_in(&self) -> u64 {
        self.read
    }

    /// Plain bytes made so far.
    pub fn bytes_out(&self) -> u64 {
        self.written
    }

    /// Fills one block, as far as there is input. An empty block means the proper end.
    fn fill(&mut self) -> Result<Vec<u8>> {
        let mut block = Vec::with_capacity(BLOCK);
        // The last bytes of input may hold more output than the block has room for, so the
        // decoder is asked first, and new input is fetched only when it has used up the old.
        loop {
            if self.input.is_empty() && !self.refill()? {
                return match self.member {
                    Member::Closed => Ok(block),
                    _ => Err(self.truncated()),
                };
            }
            self.step(&mut block)?;
            if block.len() == block.capacity() {
                return Ok(block);
            }
        }
    }

    /// Fetches input; false at the end.
    fn refill(&mut self) -> Result<bool> {
        for block in self.inner.by_ref() {
            self.input = block?;
            if !self.input.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Uses some input, and perhaps makes output.
    fn step(&mut self, block: &mut Vec<u8>) -> Result<()> {
        match &mut self.member {
            Member::None => self.expect_magic(0x1f, true),
            Member::Closed => self.expect_magic(0x1f, false),
            Member::Magic { first } => {
                let first = *first;
                self.expect_magic(0x8b, first)
            }
            Member::Open(decoder) => {
                let before = (decoder.total_in(), block.len());
                let status = decoder.decompress_vec(&self.input, block, FlushDecompress::None);
                let used = decoder.total_in() - before.0;
                let made = (block.len() - before.1) as u64;
                self.read += used;
                self.written += made;
                let status = match status {
                    Ok(status) => status,
                    Err(error) => return Err(self.corrupt(corruption(error.message())).with_source(error)),
                };
                self.input.advance(used as usize);
                if self.written > self.limit.after && self.written / self.limit.ratio.max(1) > self.read {
                    return Err(self.corrupt(Corruption::Bomb));
                }
                if status == Status::StreamEnd {
                    self.member = Member::Closed;
                } else if used == 0 && made == 0 {
                    // Input and room are there, yet nothing moves: not a stream to wait for.
                    return Err(self.corrupt(Corruption::GzipData));
                }
                Ok(())
            }
        }
    }

    /// Takes one of the two bytes that open a member. Looking at them here, and not in the
    /// decoder, tells garbage after the end from a member that is cut short.
    fn expect_magic(&mut self, byte: u8, first: bool) -> Result<()> {
        if self.input[0] != byte {
            let what = if first { Corruption::GzipHeader } else { Corruption::TrailingGarbage };
            return Err(self.corrupt(what));
        }
        self.input.advance(1);
        self.read += 1;
        if byte == 0x1f {
            self.member = Member::Magic { first };
            return Ok(());
        }
        let mut decoder = Box::new(Decompress::new_gzip(WINDOW_BITS));
        let fed = decoder.decompress(&[0x1f, 0x8b], &mut [], FlushDecompress::None);
        self.member = Member::Open(decoder);
        fed.map(drop).map_err(|error| self.corrupt(Corruption::GzipHeader).with_source(error))
    }

    fn truncated(&self) -> Error {
        ErrorKind::Truncated { what: Truncation::MissingGzipTrailer, bytes: self.read }.into()
    }

    fn corrupt(&self, what: Corruption) -> Error {
        ErrorKind::Corrupt { what, bytes: self.read }.into()
    }
}

/// Reads the decoder's messages, which are those of zlib since forever.
fn corruption(message: Option<&str>) -> Corruption {
    match message {
        Some("incorrect data check") => Corruption::GzipChecksum,
        Some("incorrect length check") => Corruption::GzipLength,
        Some(message) if message.contains("header") => Corruption::GzipHeader,
        _ => Corruption::GzipData,
    }
}

impl<I: Iterator<Item = Result<Bytes>>> Iterator for Gunzip<I> {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let block = self.fill();
        self.done = !matches!(&block, Ok(block) if block.len() >= BLOCK);
        match block {
            Ok(block) if block.is_empty() => None,
            block => Some(block.map(Bytes::from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_encodings() {
        let read = |value| ContentEncoding::from_header(value).ok();
        assert_eq!(read(None), Some(ContentEncoding::Identity));
        assert_eq!(read(Some("identity")), Some(ContentEncoding::Identity));
        assert_eq!(read(Some(" GZIP")), Some(ContentEncoding::Gzip));
        assert_eq!(read(Some("x-gzip")), Some(ContentEncoding::Gzip));
        for unknown in ["br", "gzip, gzip", "deflate", "zstd"] {
            assert_eq!(read(Some(unknown)), None, "{unknown}");
        }
    }
}
