//! Blocks of bytes that wait: in memory, and beyond a bound in a file without a name.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use bytes::Bytes;

use super::Buffer;
use crate::error::{Error, ErrorKind, Result};

/// What a block in memory takes besides its bytes.
const BLOCK_BYTES: usize = 64;

#[derive(Debug)]
pub(super) struct Spool {
    limit: usize,
    folder: Option<PathBuf>,
    memory: VecDeque<Bytes>,
    held: usize,
    file: Option<BufWriter<File>>,
}

impl Spool {
    pub(super) fn new(buffer: &Buffer) -> Self {
        let (limit, folder) = match buffer {
            Buffer::Memory { bytes } => (*bytes, None),
            Buffer::Spill { bytes, folder } => (*bytes, Some(folder.clone())),
            Buffer::None => (0, None),
        };
        Self { limit, folder, memory: VecDeque::new(), held: 0, file: None }
    }

    /// Adds a block.
    pub(super) fn push(&mut self, block: Bytes) -> Result<()> {
        self.held += block.len() + BLOCK_BYTES;
        if self.file.is_none() && self.held > self.limit {
            let Some(folder) = &self.folder else {
                return Err(ErrorKind::BufferFull { limit: self.limit }.into());
            };
            // It has no name from the start, so it is gone with its last handle, whatever happens.
            let file = tempfile::tempfile_in(folder).map_err(failed)?;
            self.file = Some(BufWriter::with_capacity(1 << 20, file));
            for waiting in std::mem::take(&mut self.memory) {
                self.write(&waiting)?;
            }
        }
        if self.file.is_some() {
            self.write(&block)
        } else {
            self.memory.push_back(block);
            Ok(())
        }
    }

    fn write(&mut self, block: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let length = (block.len() as u64).to_le_bytes();
        file.write_all(&length).and_then(|()| file.write_all(block)).map_err(failed)
    }

    /// The blocks, in order.
    pub(super) fn into_blocks(self) -> Result<Blocks> {
        let Some(file) = self.file else { return Ok(Blocks::Memory(self.memory)) };
        let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(Blocks::File(BufReader::with_capacity(1 << 20, file)))
    }
}

/// Iterates over the blocks of a [`Spool`].
#[derive(Debug)]
pub(super) enum Blocks {
    Memory(VecDeque<Bytes>),
    File(BufReader<File>),
}

impl Iterator for Blocks {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Memory(blocks) => blocks.pop_front().map(Ok),
            Self::File(file) => read(file).map_err(failed).transpose(),
        }
    }
}

fn read(file: &mut BufReader<File>) -> io::Result<Option<Bytes>> {
    let mut length = [0; 8];
    match file.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = u64::from_le_bytes(length);
    let mut block = Vec::new();
    file.take(length).read_to_end(&mut block)?;
    if block.len() as u64 == length {
        Ok(Some(block.into()))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Buffer).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Vec<Bytes> {
        (0..200_usize).map(|n| Bytes::from(vec![n as u8; n * 37 % 5_000])).collect()
    }

    fn through(buffer: &Buffer) -> Result<Vec<Bytes>> {
        let mut spool = Spool::new(buffer);
        blocks().into_iter().try_for_each(|block| spool.push(block))?;
        spool.into_blocks()?.collect()
    }

    #[test]
    fn what_goes_in_comes_out_from_memory_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [0, 1, 10_000, 100_000, 1 << 30] {
            let buffer = Buffer::Spill { bytes, folder: folder.path().to_owned() };
            assert_eq!(through(&buffer).unwrap(), blocks(), "{bytes}");
        }
        assert_eq!(through(&Buffer::Memory { bytes: 1 << 30 }).unwrap(), blocks());
    }

    #[test]
    fn the_file_is_never_seen_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(&Buffer::Spill { bytes: 10, folder: folder.path().to_owned() });
        blocks().into_iter().for_each(|block| spool.push(block).unwrap());
        assert!(spool.file.is_some());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn memory_alone_has_a_bound() {
        let error = through(&Buffer::Memory { bytes: 1_000 }).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::BufferFull { limit: 1_000 });
        let nowhere = Buffer::Spill { bytes: 10, folder: "/nonexistent".into() };
        assert_eq!(*through(&nowhere).unwrap_err().kind(), ErrorKind::Buffer);
    }
}
