//! One gzip stream out of pieces that were compressed apart.
//!
//! A day is compressed once, on its own, as a run of raw deflate blocks that ends on a byte border (a full
//! flush). Because such runs can simply follow each other inside a single deflate stream, a response for any
//! range of days is: one gzip header, the days' runs, an empty final block, and a trailer whose checksum is
//! combined from the days' checksums. So every range costs nothing to serve, and is still the single-member
//! stream that a real server sends.

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};

/// The ten bytes that open a gzip member: deflate, no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty final block with fixed codes: ends the deflate stream.
const FINAL_BLOCK: [u8; 2] = [0x03, 0x00];
/// Checksum and length, four bytes each.
pub(crate) const TRAILER_LEN: usize = 8;

/// A compressed piece that can stand anywhere in a gzip stream.
#[derive(Debug)]
pub(crate) struct Segment {
    blocks: Bytes,
    crc: Crc,
    plain_len: u64,
}

impl Segment {
    pub(crate) fn compress(plain: &[u8], level: u32) -> Segment {
        let mut crc = Crc::new();
        crc.update(plain);
        if plain.is_empty() {
            return Segment { blocks: Bytes::new(), crc, plain_len: 0 };
        }
        let mut deflate = Compress::new(Compression::new(level.clamp(1, 9)), false);
        let mut blocks = Vec::with_capacity(plain.len() / 4 + 64);
        loop {
            if blocks.capacity() - blocks.len() < 4096 {
                blocks.reserve(blocks.capacity() / 2 + 4096);
            }
            let rest = &plain[deflate.total_in() as usize..];
            deflate
                .compress_vec(rest, &mut blocks, FlushCompress::Full)
                .expect("deflating memory cannot fail");
            // Room left over means that everything, flush marker included, has been written.
            if deflate.total_in() as usize == plain.len() && blocks.len() < blocks.capacity() {
                break;
            }
        }
        blocks.shrink_to_fit();
        Segment { blocks: blocks.into(), crc, plain_len: plain.len() as u64 }
    }

    pub(crate) fn plain_len(&self) -> u64 {
        self.plain_len
    }
}

/// Lays segments end to end as one gzip stream.
pub(crate) fn stream<'a>(segments: impl IntoIterator<Item = &'a Segment>) -> Vec<Bytes> {
    let mut parts = vec![Bytes::from_static(&HEADER)];
    let mut crc = Crc::new();
    for segment in segments {
        if segment.plain_len > 0 {
            crc.combine(&segment.crc);
            parts.push(segment.blocks.clone());
        }
    }
    let mut end = Vec::with_capacity(FINAL_BLOCK.len() + TRAILER_LEN);
    end.extend_from_slice(&FINAL_BLOCK);
    end.extend_from_slice(&crc.sum().to_le_bytes());
    end.extend_from_slice(&crc.amount().to_le_bytes());
    parts.push(end.into());
    parts
}

/// Compresses one text as a whole gzip stream.
pub(crate) fn member(plain: &[u8], level: u32) -> Vec<Bytes> {
    stream([&Segment::compress(plain, level)])
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn gunzip(parts: &[Bytes]) -> Vec<u8> {
        let bytes = parts.concat();
        let mut plain = Vec::new();
        // `GzDecoder` reads a single member, so this also proves that there is only one.
        let mut decoder = flate2::bufread::GzDecoder::new(&bytes[..]);
        decoder.read_to_end(&mut plain).unwrap();
        assert!(decoder.into_inner().is_empty(), "nothing may follow the member");
        plain
    }

    #[test]
    fn any_run_of_segments_is_one_stream() {
        let texts: Vec<Vec<u8>> = [0usize, 1, 100, 70_000, 0, 1_000_000]
            .iter()
            .map(|&len| (0..len).map(|i| crate::random::mix(i as u64 / 3) as u8 % 17 + b'a').collect())
            .collect();
        let segments: Vec<Segment> = texts.iter().map(|text| Segment::compress(text, 6)).collect();
        for from in 0..texts.len() {
            for to in from..texts.len() {
                assert_eq!(gunzip(&stream(&segments[from..=to])), texts[from..=to].concat());
            }
        }
        assert!(gunzip(&stream([])).is_empty());
    }
}
