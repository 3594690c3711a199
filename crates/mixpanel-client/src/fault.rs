//! The fine print of errors: what we waited for, and what was wrong with a body.

use std::fmt;

/// What a [`Timeout`](crate::ErrorKind::Timeout) was waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// A connection, including its TLS handshake.
    Connect,
    /// The first byte of the body.
    FirstByte,
    /// The next byte of the body.
    NextByte,
    /// The end of the body.
    WholeBody,
    /// More bytes than came: the body was slower than the least rate.
    MinRate,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::FirstByte => "waiting for the first byte of the body",
            Self::NextByte => "waiting for the next byte of the body",
            Self::WholeBody => "waiting for the end of the body",
            Self::MinRate => "of a body that comes too slowly",
        })
    }
}

/// How a body turned out to be incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Truncation {
    /// A line says `terminated early`: the server gave up, with status 200.
    TerminatedEarly,
    /// The last line has no line feed.
    MidLine,
    /// The gzip stream has no trailer.
    MissingGzipTrailer,
    /// The connection ended before the length or the last chunk that HTTP promised.
    Connection,
    /// Nothing says where the body ends: no length, no chunks. Compression is no proof, because a gzip
    /// stream may have several members and be cut between two of them.
    Unprovable,
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TerminatedEarly => "the server wrote `terminated early`",
            Self::MidLine => "the last line has no end",
            Self::MissingGzipTrailer => "the gzip trailer is missing",
            Self::Connection => "the connection was lost",
            Self::Unprovable => "neither a length nor chunks prove its end",
        })
    }
}

/// How a body turned out to be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Corruption {
    /// It does not begin like a gzip stream.
    GzipHeader,
    /// The compressed data makes no sense.
    GzipData,
    /// The decompressed bytes do not have the checksum (CRC-32) that the trailer names.
    GzipChecksum,
    /// The decompressed bytes do not have the length that the trailer names.
    GzipLength,
    /// Something that is not gzip follows the end of the gzip stream.
    TrailingGarbage,
    /// It grows beyond reason when decompressed.
    Bomb,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GzipHeader => "not a gzip stream",
            Self::GzipData => "invalid gzip data",
            Self::GzipChecksum => "wrong gzip checksum",
            Self::GzipLength => "wrong gzip length",
            Self::TrailingGarbage => "data after the end of the gzip stream",
            Self::Bomb => "it grows beyond the allowed ratio when decompressed",
        })
    }
}
