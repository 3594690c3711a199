//! The bytes of a damaged database: copied, and put right as far as checksums tell
//! how. Files in, files out; DuckDB is not asked.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{RepairStep, Trust};
use crate::storage::duckdb_file::{
    BLOCKS, Current, HEADER, Headers, Log, corrected, corrected_records, metadata_blocks, place_of,
    read_up_to, seal, sound,
};
use crate::storage::journal;
use crate::storage::open::log_of;

/// What belongs to a database, behind its name: its log, the log of what was committed while a
/// checkpoint ran, and the rollback journal.
const SUFFIXES: [&str; 4] = ["", ".wal", ".wal.checkpoint", ".journal"];

/// The number of a checkpoint in a header, behind its checksum.
const ITERATION: usize = 8;
/// Where the fields of a database header end; zeros follow.
const FIELDS: usize = 8 + 7 * 8;

/// What was put right.
#[derive(Debug, Default)]
pub(super) struct Mended {
    pub(super) steps: Vec<RepairStep>,
    pub(super) trust: Trust,
}

/// Copies a database with all that belongs to it. The copies are their owner's alone.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for suffix in SUFFIXES {
        let beside = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let mut source = match File::open(beside(from)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => continue,
            other => other?,
        };
        if !source.metadata()?.is_file() {
            continue;
        }
        let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside(to))?;
        io::copy(&mut source, &mut target)?;
    }
    Ok(())
}

/// Puts right what checksums tell how to. `template` is the main header of a new database. `None`
/// when there is nothing to begin with: not even the headers make sense.
pub(super) fn mend(path: &Path, template: &[u8]) -> io::Result<Option<Mended>> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut mended = Mended::default();
    if journal::is_there(path) {
        let blocks = journal::restore(path, &file)?;
        mended.note(blocks, |blocks| RepairStep::Restored { blocks });
    }
    if !mended.headers(&file, &log_of(path), template)? {
        return Ok(None);
    }
    let Some(headers) = Headers::read(&file)? else { return Ok(None) };
    let Some(current) = headers.current().filter(|_| !headers.encrypted()) else { return Ok(None) };
    mended.blocks(&file, &current)?;
    mended.metadata(&file, &current)?;
    if let Ok(log) = File::options().read(true).write(true).open(log_of(path)) {
        mended.note(corrected_records(&log)?, |places| RepairStep::Corrected { places });
    }
    file.sync_all()?;
    Ok(Some(mended))
}

impl Mended {
    fn note(&mut self, count: u64, step: impl Fn(u64) -> RepairStep) {
        if count > 0 {
            self.steps.push(step(count));
        }
    }

    /// The main header, and the two that say where everything is.
    fn headers(&mut self, file: &File, log: &Path, template: &[u8]) -> io::Result<bool> {
        let mut bytes = vec![0; BLOCKS as usize];
        if read_up_to(file, &mut bytes, 0)? < bytes.len() {
            return Ok(false);
        }
        let mut corrections = 0;
        for header in bytes.chunks_exact_mut(HEADER).filter(|header| !sound(header)) {
            if let Some(right) = corrected(header).or_else(|| without_what_follows(header)) {
                header.copy_from_slice(&right);
                corrections += 1;
            }
        }
        self.note(corrections, |places| RepairStep::Corrected { places });
        let [main, first, second] = [0, 1, 2].map(|at| sound(&bytes[at * HEADER..(at + 1) * HEADER]));
        if !first && !second {
            return Ok(false);
        }
        if !main {
            // Which version wrote it, and the number that the log repeats.
            bytes[..HEADER].copy_from_slice(template);
            self.steps.push(RepairStep::MainHeader);
            self.trust = self.trust.max(Trust::Corrected);
        }
        if first != second {
            let (good, bad) = if first { (1, 2) } else { (2, 1) };
            let header = |at: usize| &bytes[at * HEADER..(at + 1) * HEADER];
            let [good, was] = [good, bad].map(|at| header(at).to_vec());
            let is_latest =
                is_of_log(log, iteration(&good)) || iteration(&was).checked_add(1) == Some(iteration(&good));
            bytes[bad * HEADER..(bad + 1) * HEADER].copy_from_slice(&good);
            self.steps.push(RepairStep::Header { older: !is_latest });
            if !is_latest {
                // Blocks that this state refers to may have been written over since.
                self.trust = Trust::Nothing;
            }
        }
        file.write_all_at(&bytes, 0)?;
        Ok(true)
    }

    /// Blocks with one wrong bit.
    fn blocks(&mut self, file: &File, current: &Current) -> io::Result<()> {
        let size = current.block_size as u64;
        let count = file.metadata()?.len().saturating_sub(BLOCKS) / size;
        let mut block = vec![0; current.block_size];
        let mut corrections = 0;
        for number in 0..count {
            file.read_exact_at(&mut block, place_of(number, current.block_size))?;
            if let Some(right) = corrected(&block) {
                file.write_all_at(&right, place_of(number, current.block_size))?;
                corrections += 1;
            }
        }
        if corrections > 0 {
            self.trust = self.trust.max(Trust::Corrected);
        }
        self.note(corrections, |places| RepairStep::Corrected { places });
        Ok(())
    }

    /// A damaged block of metadata keeps DuckDB from opening the file, though it may be damaged
    /// where nothing is. With another checksum it can be tried: the rows say what is true of it.
    fn metadata(&mut self, file: &File, current: &Current) -> io::Result<()> {
        let Some(list) = metadata_blocks(file, current)? else { return Ok(()) };
        let mut block = vec![0; current.block_size];
        let mut sealed = 0;
        for metadata in list {
            let place = place_of(metadata.number, current.block_size);
            if read_up_to(file, &mut block, place)? == block.len() && !sound(&block) {
                seal(&mut block);
                file.write_all_at(&block, place)?;
                sealed += 1;
            }
        }
        if sealed > 0 {
            self.trust = Trust::Nothing;
        }
        self.note(sealed, |blocks| RepairStep::Metadata { blocks });
        Ok(())
    }
}

/// A database header is short, and zeros follow: damage there is no loss.
fn without_what_follows(header: &[u8]) -> Option<Vec<u8>> {
    let mut shortened = header.to_vec();
    shortened[FIELDS..].fill(0);
    sound(&shortened).then_some(shortened)
}

fn iteration(header: &[u8]) -> u64 {
    header[ITERATION..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Whether a log follows this state of the file: then there is none that is newer.
fn is_of_log(log: &Path, iteration: u64) -> bool {
    let log = File::open(log).and_then(|file| Log::read(&file));
    log.is_ok_and(|log| log.iteration == Some(iteration))
}

/// The main header of a database.
pub(super) fn main_header(path: &Path) -> io::Result<Vec<u8>> {
    let mut header = vec![0; HEADER];
    File::open(path)?.read_exact_at(&mut header, 0)?;
    Ok(header)
}

/// Takes the logs away; returns whether there was anything in them.
pub(super) fn remove_logs(path: &Path) -> io::Result<bool> {
    let mut had = false;
    for suffix in [".wal", ".wal.checkpoint", ".wal.recovery"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let name = PathBuf::from(name);
        if let Ok(meta) = fs::symlink_metadata(&name) {
            had |= meta.len() > 0;
            fs::remove_file(&name)?;
        }
    }
    Ok(had)
}
