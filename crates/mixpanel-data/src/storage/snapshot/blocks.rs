//! The blocks of a database, copied: all of them once, and later those that changed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::storage::duckdb_file::{
    BLOCKS, Current, Headers, MetadataBlock, metadata_blocks, place_of, read_up_to, sound,
};

/// A copy of a database's main file that can be brought up to date.
pub(super) struct Replica {
    file: File,
    /// For each block, a hash of what was copied. DuckDB's own checksum would not
    /// do: it is the same for the same words in another order.
    known: Vec<Option<u128>>,
}

impl Replica {
    /// Makes the file at `path`, which must not exist.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Replica { file, known: Vec::new() })
    }

    /// Makes the copy share the source's bytes, where the file system can.
    pub(super) fn share(&self, source: &File) -> io::Result<()> {
        share(source, &self.file)
    }

    /// Brings the copy up to date with the source, whose headers have just been
    /// read: reads all blocks, and writes those that are not what was copied
    /// before. Returns the bytes that were written. `proceed` is asked before
    /// each block.
    pub(super) fn update(
        &mut self,
        source: &File,
        headers: &Headers,
        current: &Current,
        proceed: &dyn Fn() -> bool,
    ) -> io::Result<u64> {
        let length = source.metadata()?.len();
        let size = current.block_size as u64;
        let count = length.saturating_sub(BLOCKS).div_ceil(size);
        self.known.resize(usize::try_from(count).map_err(io::Error::other)?, None);
        let mut block = vec![0; current.block_size];
        let mut copied = 0;
        for (number, known) in self.known.iter_mut().enumerate() {
            if !proceed() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let place = BLOCKS + number as u64 * size;
            let here = read_up_to(source, &mut block, place)?;
            let hash = Some(xxh3_128(&block[..here]));
            if *known != hash {
                self.file.write_all_at(&block[..here], place)?;
                *known = hash;
                copied += here as u64;
            }
        }
        self.file.write_all_at(headers.bytes(), 0)?;
        self.file.set_len(length)?;
        Ok(copied)
    }

    /// Whether all metadata blocks that the header refers to are whole.
    pub(super) fn metadata_is_sound(&self, current: &Current) -> io::Result<bool> {
        let Some(numbers) = metadata_blocks(&self.file, current)? else { return Ok(false) };
        let mut block = vec![0; current.block_size];
        for MetadataBlock { number, .. } in numbers {
            let place = place_of(number, current.block_size);
            if read_up_to(&self.file, &mut block, place)? < block.len() || !sound(&block) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether files in `folder` can share their bytes with `source`.
pub(super) fn can_share(source: &File, folder: &Path) -> bool {
    // A file without a name: nobody sees it.
    tempfile::tempfile_in(folder).is_ok_and(|file| share(source, &file).is_ok())
}

#[cfg(target_os = "linux")]
fn share(source: &File, target: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(target, source)?)
}

#[cfg(not(target_os = "linux"))]
fn share(_: &File, _: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
