//! The rollback journal: what a checkpoint is about to write over, kept beside
//! the database until it is done.
//!
//! A checkpoint of DuckDB's writes what is new into free blocks, and the header
//! last, so that it counts as a whole or not at all. With one exception: blocks
//! of metadata that have free pieces get new pieces in place. A process that is
//! killed in the middle of such a write, or a machine that loses power, leaves a
//! block whose checksum is wrong, and DuckDB opens the file never again. So:
//!
//! 1. [`Journal::arm`] writes the headers and these blocks, as they are, into
//!    `NAME.journal`, and waits until they are on the disk. It belongs to one
//!    state of the file, named by the header's iteration.
//! 2. The checkpoint.
//! 3. [`Journal::settle`] removes it, once the checkpoint's header is on the disk.
//!
//! [`restore`] is for the next one that opens the file: if the journal is whole
//! and the file's header is still the one it was written for, the checkpoint did
//! not end, and damaged blocks are put back. Nothing else writes to blocks that
//! the header refers to, so the state is the one before the checkpoint, and the
//! log has the rest. A journal that is not whole was not finished: then the
//! checkpoint had not begun.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use super::duckdb_file::{BLOCKS, Headers, metadata_blocks, place_of, read_up_to, sound};

const MAGIC: &[u8; 8] = b"MPJRNL01";
const HASH: usize = 16;

/// The journal of a database that this process has open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// The database. Opened before DuckDB opens it and closed after: closing any
    /// handle of a file gives up all locks that the process has on it (POSIX).
    database: File,
    /// The state that the journal on the disk belongs to.
    armed: Option<u64>,
}

impl Journal {
    /// To be called before DuckDB opens the file.
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        Ok(Journal { path: journal_of(database), database: File::open(database)?, armed: None })
    }

    /// Makes sure that the next checkpoint can be undone.
    ///
    /// # Errors
    /// Then there must be no checkpoint: the log is as durable.
    pub(super) fn arm(&mut self) -> io::Result<()> {
        let headers = Headers::read(&self.database)?.ok_or_else(torn)?;
        let current = headers.current().ok_or_else(torn)?;
        if self.armed == Some(current.iteration) {
            return Ok(());
        }
        let mut saved = Saved { headers, block_size: current.block_size, blocks: Vec::new() };
        for block in metadata_blocks(&self.database, &current)?.ok_or_else(torn)? {
            if block.free == 0 {
                continue;
            }
            let mut content = vec![0; current.block_size];
            self.database.read_exact_at(&mut content, place_of(block.number, current.block_size))?;
            if !sound(&content) {
                return Err(torn());
            }
            saved.blocks.push((block.number, content));
        }
        self.armed = None;
        saved.write(&self.path)?;
        self.armed = Some(current.iteration);
        Ok(())
    }

    /// Removes the journal, unless the file needs it.
    pub(super) fn settle(&mut self) {
        let Some(iteration) = self.armed.take() else { return };
        let over = match Headers::read(&self.database) {
            Ok(Some(headers)) => headers.current().is_some_and(|current| current.iteration > iteration),
            _ => return,
        };
        // Without a checkpoint since, the blocks are as they were; or it failed half-way.
        let whole =
            over || Saved::read(&self.path).ok().flatten().is_some_and(|saved| saved.holds(&self.database));
        if whole {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Where the journal of a database is.
pub(super) fn journal_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".journal");
    PathBuf::from(name)
}

/// Puts back what a checkpoint left half-written; returns how many blocks and
/// headers that were. `database` must be open for reading and writing, and
/// nobody may have it open. A journal that is not needed any more is removed.
pub(super) fn restore(path: &Path, database: &File) -> io::Result<u64> {
    let journal = journal_of(path);
    let restored = match Saved::read(&journal)? {
        Some(saved) => saved.restore(database)?,
        None => 0,
    };
    if is_ours(&journal)? {
        fs::remove_file(&journal)?;
    }
    Ok(restored)
}

/// Whether the file is a journal, or the beginning of one that was not finished.
fn is_ours(journal: &Path) -> io::Result<bool> {
    let file = match File::open(journal) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut head = [0; MAGIC.len()];
    let there = read_up_to(&file, &mut head, 0)?;
    // After a loss of power, a file that was not waited for may be nothing but zeros.
    Ok(MAGIC.starts_with(&head[..there]) || head == [0; MAGIC.len()])
}

/// Whether [`restore`] has something to do.
pub(super) fn is_there(database: &Path) -> bool {
    fs::symlink_metadata(journal_of(database)).is_ok()
}

/// A state of the file: its headers, and the blocks that may be written in place.
struct Saved {
    headers: Headers,
    block_size: usize,
    blocks: Vec<(u64, Vec<u8>)>,
}

impl Saved {
    fn write(&self, path: &Path) -> io::Result<()> {
        let room = BLOCKS as usize + self.blocks.len() * (8 + self.block_size) + 64;
        let mut bytes = Vec::with_capacity(room);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(self.headers.bytes());
        bytes.extend_from_slice(&(self.blocks.len() as u64).to_le_bytes());
        for (number, content) in &self.blocks {
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(content);
        }
        bytes.extend_from_slice(&xxh3_128(&bytes).to_le_bytes());
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600).custom_flags(no_link);
        let (file, new) = match options.open(path) {
            Ok(file) => (file, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (options.create_new(true).open(path)?, true)
            }
            Err(error) => return Err(error),
        };
        if !new && !is_ours(path)? {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file has the journal's name"));
        }
        file.write_all_at(&bytes, 0)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_all()?;
        if new { sync_folder_of(path) } else { Ok(()) }
    }

    /// `None` when there is none, or when it was not finished.
    fn read(path: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Saved::parse(&bytes))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (bytes, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
        if xxh3_128(bytes).to_le_bytes() != hash {
            return None;
        }
        let (headers, rest) = bytes.strip_prefix(MAGIC)?.split_at_checked(BLOCKS as usize)?;
        let headers = Headers::from_bytes(headers.to_vec())?;
        let block_size = headers.current()?.block_size;
        let (count, rest) = rest.split_first_chunk()?;
        let blocks: Vec<_> = rest
            .chunks_exact(8 + block_size)
            .map(|block| {
                let (number, content) = block.split_at(8);
                (u64::from_le_bytes(number.try_into().unwrap_or_default()), content.to_vec())
            })
            .collect();
        (blocks.len() as u64 == u64::from_le_bytes(*count)).then_some(Saved { headers, block_size, blocks })
    }

    fn restore(&self, database: &File) -> io::Result<u64> {
        let mut there = vec![0; BLOCKS as usize];
        if read_up_to(database, &mut there, 0)? < there.len() {
            return Ok(0);
        }
        let mut restored = 0;
        for (place, kept) in self.headers.each() {
            let now = &there[place..place + kept.len()];
            if now == kept {
                continue;
            }
            // Another checkpoint has ended since; or it is another file by now. The
            // main header is never written again.
            if sound(now) || place == 0 {
                return Ok(0);
            }
            database.write_all_at(kept, place as u64)?;
            restored += 1;
        }
        let mut content = vec![0; self.block_size];
        for (number, saved) in &self.blocks {
            let place = place_of(*number, self.block_size);
            let here = read_up_to(database, &mut content, place)?;
            if here < content.len() || !sound(&content) {
                database.write_all_at(saved, place)?;
                restored += 1;
            }
        }
        if restored > 0 {
            database.sync_all()?;
        }
        Ok(restored)
    }

    /// Whether the file is in this state, and whole.
    fn holds(&self, database: &File) -> bool {
        let mut content = vec![0; self.block_size];
        let headers = Headers::read(database).ok().flatten();
        headers.is_some_and(|headers| headers.bytes() == self.headers.bytes())
            && self.blocks.iter().all(|(number, _)| {
                let read = database.read_exact_at(&mut content, place_of(*number, self.block_size));
                read.is_ok() && sound(&content)
            })
    }
}

fn torn() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file is being written")
}

/// Makes names in the folder of `path` durable: files that were made or removed.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(all(test, feature = "duckdb"))]
mod tests {
    use super::*;
    use crate::StorageEngine;
    use crate::value::Value;

    const HASH: &str = "SELECT bit_xor(hash(i, t)) FROM numbers";

    /// A database whose metadata has free pieces, and what is in it.
    fn database(folder: &Path) -> (PathBuf, Value) {
        let path = folder.join("data.duckdb");
        let storage = StorageEngine::open(&path).unwrap();
        storage
            .execute("CREATE TABLE numbers AS SELECT i, md5(CAST(i AS VARCHAR)) AS t FROM range(9000) r(i); CHECKPOINT;")
            .unwrap();
        (path, storage.execute_scalar(HASH).unwrap())
    }

    /// Arms the journal, and goes away as a killed process does. Gives the place of
    /// a block that the next checkpoint writes over.
    fn arm_and_die(path: &Path) -> u64 {
        let mut journal = Journal::of(path).unwrap();
        journal.arm().unwrap();
        let saved = Saved::read(&journal.path).unwrap().unwrap();
        std::mem::forget(journal);
        place_of(saved.blocks[0].0, saved.block_size)
    }

    fn spoil(path: &Path, place: u64) {
        File::options().write(true).open(path).unwrap().write_all_at(&[0xa5; 4096], place).unwrap();
    }

    #[test]
    fn a_half_written_block_or_header_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, expected) = database(folder.path());
        let block = arm_and_die(&path);
        for (place, read_only) in [(block, false), (block + 8192, true), (4096, false), (8192, true)] {
            arm_and_die(&path);
            spoil(&path, place);
            let storage = StorageEngine::open_existing(&path, read_only).unwrap();
            assert_eq!(storage.recovery().unwrap().restored_blocks, 1, "at {place}");
            assert_eq!(storage.execute_scalar(HASH).unwrap(), expected);
            drop(storage);
            assert!(!is_there(&path), "a journal that was used is gone");
        }
        spoil(&path, block);
        assert!(StorageEngine::open(&path).is_err(), "without a journal, the same damage is one");
    }

    #[test]
    fn a_journal_of_another_state_or_database_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = database(folder.path());
        arm_and_die(&path);
        let old = fs::read(journal_of(&path)).unwrap();
        let storage = StorageEngine::open(&path).unwrap();
        storage.execute("INSERT INTO numbers SELECT i, 'more' FROM range(1000) r(i); CHECKPOINT;").unwrap();
        let expected = storage.execute_scalar(HASH).unwrap();
        drop(storage);
        let before = fs::read(&path).unwrap();
        for bytes in [&old[..], &old[..old.len() - 1], &[0; 9000], &[]] {
            fs::write(journal_of(&path), bytes).unwrap();
            let storage = StorageEngine::open_existing(&path, true).unwrap();
            assert_eq!((storage.recovery(), storage.execute_scalar(HASH).unwrap()), (None, expected.clone()));
            drop(storage);
            assert!(!is_there(&path) && fs::read(&path).unwrap() == before);
        }
        let other = tempfile::tempdir().unwrap();
        let (another, expected) = database(other.path());
        fs::write(journal_of(&another), &old).unwrap();
        let storage = StorageEngine::open(&another).unwrap();
        assert_eq!((storage.recovery(), storage.execute_scalar(HASH).unwrap()), (None, expected));
    }

    #[test]
    fn a_file_of_the_journals_name_is_left_alone_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = database(folder.path());
        fs::write(journal_of(&path), "my diary").unwrap();
        let storage = StorageEngine::open(&path).unwrap();
        storage.execute("INSERT INTO numbers VALUES (-1, 'x')").unwrap();
        let expected = storage.execute_scalar(HASH).unwrap();
        let refused = storage.execute("CHECKPOINT").unwrap_err();
        assert!(refused.to_string().contains("preparing a checkpoint"), "{refused}");
        drop(storage);
        assert_eq!(fs::read_to_string(journal_of(&path)).unwrap(), "my diary");
        assert_eq!(StorageEngine::open(&path).unwrap().execute_scalar(HASH).unwrap(), expected);
    }

    #[test]
    fn the_journal_is_private_and_goes_with_the_engine() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = database(folder.path());
        assert!(!is_there(&path));
        let storage = StorageEngine::open(&path).unwrap();
        storage.execute("INSERT INTO numbers VALUES (-1, 'x'); CHECKPOINT;").unwrap();
        let mode = fs::metadata(journal_of(&path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(storage);
        assert!(!is_there(&path));
    }
}
