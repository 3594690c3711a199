//! The database file: bytes in, checksums and block numbers out.
//!
//! ```text
//! 0      main header ┐
//! 4096   header 1    ├ 4,096 bytes each: checksum (8), then content
//! 8192   header 2    ┘
//! 12288  block 0, block 1, …: checksum (8), then content
//! ```
//!
//! Of the two database headers, the one with the higher iteration counts. A
//! checkpoint writes the other one, last of all. Read from DuckDB 2.0's
//! `single_file_block_manager.cpp`, `metadata_manager.cpp` and `checksum.cpp`;
//! the same since DuckDB 1.0.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where the first block begins.
pub(in crate::storage) const BLOCKS: u64 = 3 * HEADER as u64;

pub(in crate::storage) const HEADER: usize = 4096;
/// The flag of encrypted files, in the main header behind checksum, `DUCK` and version.
const FLAGS: usize = 8 + 4 + 8;
/// A metadata block is cut into so many pieces.
const PIECES: u64 = 64;
/// "None" in pointers.
const NOWHERE: u64 = u64::MAX;

/// What words are multiplied by in the checksum.
pub(super) const FACTOR: u64 = 0xbf58_476d_1ce4_e5b9;

/// DuckDB's checksum.
pub(in crate::storage) fn checksum(content: &[u8]) -> u64 {
    let words = content.chunks_exact(8);
    let rest = words.remainder();
    let words = words.map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
    let sum = words.fold(5381, |sum, word| sum ^ word.wrapping_mul(FACTOR));
    if rest.is_empty() { sum } else { sum ^ checksum_of_rest(rest) }
}

/// The same of the last one to seven bytes. Headers and blocks have none.
pub(super) fn checksum_of_rest(rest: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = 0xe17a_1465 ^ (rest.len() as u64).wrapping_mul(M);
    let word = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    hash = (hash ^ word).wrapping_mul(M);
    hash = (hash ^ hash >> 47).wrapping_mul(M);
    hash ^ hash >> 47
}

/// Whether the checksum of a header or block is that of the content behind it.
pub(in crate::storage) fn sound(block: &[u8]) -> bool {
    block.first_chunk().is_some_and(|stored| checksum(&block[8..]) == u64::from_le_bytes(*stored))
}

/// The three headers of a file, as read at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::storage) struct Headers(Vec<u8>);

/// What the database header that counts says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Current {
    /// Grows with each checkpoint.
    pub(in crate::storage) iteration: u64,
    /// Where the list of free blocks begins, which ends in that of the metadata blocks.
    free_list: u64,
    /// How many blocks there were at the checkpoint.
    blocks: u64,
    /// Bytes of a block, checksum included.
    pub(in crate::storage) block_size: usize,
}

impl Headers {
    /// Reads the headers; `None` when one of them is being written.
    pub(in crate::storage) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = vec![0; BLOCKS as usize];
        if read_up_to(file, &mut bytes, 0)? < bytes.len() {
            return Ok(None);
        }
        Ok(Headers::from_bytes(bytes))
    }

    /// Headers that were read or kept; `None` when one of them is not whole.
    pub(in crate::storage) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let whole = bytes.len() as u64 == BLOCKS && bytes.chunks_exact(HEADER).all(sound);
        whole.then_some(Headers(bytes))
    }

    /// Each of the three with its place. The first is the main header, which no
    /// checkpoint writes; it has the random number that tells one database from
    /// another.
    pub(in crate::storage) fn each(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.0.chunks_exact(HEADER).enumerate().map(|(at, header)| (at * HEADER, header))
    }

    pub(in crate::storage) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the blocks are encrypted.
    pub(in crate::storage) fn encrypted(&self) -> bool {
        self.0[FLAGS] & 1 != 0
    }

    /// The header that counts; `None` when its block size makes no sense.
    pub(in crate::storage) fn current(&self) -> Option<Current> {
        let field = |header: usize, at: usize| {
            let from = header * HEADER + 8 + at * 8;
            self.0[from..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let header = if field(1, 0) > field(2, 0) { 1 } else { 2 };
        let block_size = usize::try_from(field(header, 4)).ok()?;
        let sensible = block_size.is_power_of_two() && (HEADER..=1 << 20).contains(&block_size);
        sensible.then_some(Current {
            iteration: field(header, 0),
            free_list: field(header, 2),
            blocks: field(header, 3),
            block_size,
        })
    }
}

/// A block of metadata, which is cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct MetadataBlock {
    pub(in crate::storage) number: u64,
    /// A bit for each piece that the next checkpoint may write.
    pub(in crate::storage) free: u64,
}

/// The blocks that hold metadata, from the list in the file; `None` when the
/// list cannot be followed, as in the middle of a write.
///
/// Those with free pieces are the only blocks that DuckDB writes in place while
/// a header refers to them: a checkpoint adds its own pieces to them.
pub(in crate::storage) fn metadata_blocks(
    file: &File,
    current: &Current,
) -> io::Result<Option<Vec<MetadataBlock>>> {
    let mut list = List { file, current, next: current.free_list, piece: Vec::new(), at: 0, left: 0 };
    // Each piece can be in the list once.
    list.left = current.blocks.saturating_mul(PIECES);
    match list.metadata_blocks() {
        Ok(blocks) => Ok(Some(blocks)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where a block begins.
pub(in crate::storage) fn place_of(block: u64, block_size: usize) -> u64 {
    BLOCKS + block * block_size as u64
}

/// A list of numbers, written across pieces of metadata blocks.
struct List<'a> {
    file: &'a File,
    current: &'a Current,
    /// The next piece: a block's number, and above it the piece's in eight bits.
    next: u64,
    piece: Vec<u8>,
    at: usize,
    left: u64,
}

impl List<'_> {
    fn metadata_blocks(&mut self) -> io::Result<Vec<MetadataBlock>> {
        if self.next == NOWHERE {
            return Ok(Vec::new());
        }
        for _ in 0..self.count()? {
            self.skip(8)?; // a free block
        }
        for _ in 0..self.count()? {
            self.skip(8 + 4)?; // a block that is used several times, and how often
        }
        let count = self.count()?;
        (0..count)
            .map(|_| {
                let block = MetadataBlock { number: self.number()?, free: self.number()? };
                if block.number < self.current.blocks { Ok(block) } else { Err(nonsense()) }
            })
            .collect()
    }

    /// How many entries follow: never more than there are blocks.
    fn count(&mut self) -> io::Result<u64> {
        let count = self.number()?;
        if count <= self.current.blocks { Ok(count) } else { Err(nonsense()) }
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        for byte in &mut bytes {
            if self.at == self.piece.len() {
                self.turn()?;
            }
            *byte = self.piece[self.at];
            self.at += 1;
        }
        Ok(u64::from_le_bytes(bytes))
    }

    fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        while bytes > 0 {
            if self.at == self.piece.len() {
                self.turn()?;
            }
            let here = bytes.min(self.piece.len() - self.at);
            self.at += here;
            bytes -= here;
        }
        Ok(())
    }

    /// Reads the next piece.
    fn turn(&mut self) -> io::Result<()> {
        let (block, piece) = (self.next & (NOWHERE >> 8), self.next >> 56);
        if block >= self.current.blocks || piece >= PIECES || self.left == 0 {
            return Err(nonsense());
        }
        self.left -= 1;
        let length = (self.current.block_size as u64 - 8) / PIECES / 8 * 8;
        let place = BLOCKS + block * self.current.block_size as u64 + 8 + piece * length;
        self.piece.resize(length as usize, 0);
        self.file.read_exact_at(&mut self.piece, place).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => nonsense(),
            _ => error,
        })?;
        self.next = self.piece.first_chunk().map_or(NOWHERE, |bytes| u64::from_le_bytes(*bytes));
        self.at = 8;
        Ok(())
    }
}

fn nonsense() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Reads until the buffer is full or the file ends; gives the number of bytes.
pub(in crate::storage) fn read_up_to(file: &File, buffer: &mut [u8], place: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], place + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
