//! The log beside a database: which of its bytes are whole transactions.
//!
//! ```text
//! version, the database's number, iteration   not protected by a checksum
//! length (8), checksum (8), record            again and again
//! ```
//!
//! A transaction ends in a record that says so and nothing else, `FLUSH`. What
//! follows the last one is not committed. Read from DuckDB 2.0's
//! `write_ahead_log.cpp` and `wal_replay.cpp`.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use super::correct::correct;
use super::layout::{checksum, read_up_to};

/// The end of a transaction as it stands in the log: length, checksum, record.
const FLUSH: [u8; 5] = [100, 0, 100, 0xff, 0xff];
/// Length and checksum of a record.
const FRAME: u64 = 16;
/// The longest that the first, unprotected record can be.
const LONGEST_HEADER: usize = 96;

/// A log, as far as it can be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Log {
    /// The state of the file that it follows; `None` when that cannot be read.
    pub(in crate::storage) iteration: Option<u64>,
    /// The random number of the database that it belongs to.
    database: Vec<u64>,
    /// So many bytes from the beginning are whole transactions.
    pub(in crate::storage) committed: u64,
    /// Bytes altogether.
    pub(in crate::storage) length: u64,
    pub(in crate::storage) end: LogEnd,
}

/// What comes behind the last whole transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum LogEnd {
    /// Nothing, or records of a transaction that was not committed, whole or cut off.
    Open,
    /// A record that is not what was written. `commits` transactions end behind it.
    Damaged { commits: u64 },
}

impl Log {
    /// Reads a log to its end, or to where it makes no sense any more.
    pub(in crate::storage) fn read(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut head = [0; LONGEST_HEADER];
        let there = read_up_to(file, &mut head, 0)?;
        let mut log = Log { iteration: None, database: Vec::new(), committed: 0, length, end: LogEnd::Open };
        let Some(mut at) = log.version_record(&head[..there]) else {
            // A log that was only just begun, or no log of DuckDB's at all.
            let commits = flushes(file, 0)?;
            if there == LONGEST_HEADER || commits > 0 {
                log.end = LogEnd::Damaged { commits };
            }
            return Ok(log);
        };
        let mut reader = BufReader::with_capacity(1 << 20, file);
        io::Seek::seek(&mut reader, io::SeekFrom::Start(at))?;
        let mut record = Vec::new();
        while at < length {
            match frame(&mut reader, length - at, &mut record)? {
                Frame::Whole => {}
                // The log ends in the middle of a record; unless it is the length that is wrong.
                Frame::Cut => {
                    let commits = flushes(file, at)?;
                    if commits > 0 {
                        log.end = LogEnd::Damaged { commits };
                    }
                    break;
                }
                Frame::Wrong => {
                    log.end = LogEnd::Damaged { commits: flushes(file, at)? };
                    break;
                }
            }
            at += FRAME + record.len() as u64;
            if record == FLUSH {
                log.committed = at;
            }
        }
        Ok(log)
    }

    /// Takes in the first record and returns its length; `None` for anything else.
    fn version_record(&mut self, bytes: &[u8]) -> Option<u64> {
        let mut fields = Fields { bytes, at: 0 };
        fields.expect(100)?;
        (fields.number()? == 98).then_some(())?;
        fields.expect(101)?;
        // In this version records have checksums, and nothing is encrypted. Others are DuckDB's business.
        if fields.number()? != 2 {
            return Some(self.length);
        }
        loop {
            match fields.field()? {
                102 => {
                    let count = fields.number()?.min(64);
                    self.database = (0..count).map(|_| fields.number()).collect::<Option<_>>()?;
                }
                103 => self.iteration = Some(fields.number()?),
                0xffff => return Some(fields.at as u64),
                _ => return None,
            }
        }
    }
}

enum Frame {
    Whole,
    /// It is longer than what is left.
    Cut,
    /// Its checksum is another one.
    Wrong,
}

/// Reads the next record.
fn frame(reader: &mut impl Read, left: u64, record: &mut Vec<u8>) -> io::Result<Frame> {
    if left < FRAME {
        return Ok(Frame::Cut);
    }
    let (mut length, mut stored) = ([0; 8], [0; 8]);
    reader.read_exact(&mut length)?;
    reader.read_exact(&mut stored)?;
    let length = u64::from_le_bytes(length);
    if length == 0 || length > left - FRAME {
        return Ok(Frame::Cut);
    }
    record.clear();
    reader.take(length).read_to_end(record)?;
    Ok(if checksum(record) == u64::from_le_bytes(stored) { Frame::Whole } else { Frame::Wrong })
}

/// Puts single wrong bits of records right, from the beginning to a record that
/// makes no sense all the same; returns in how many records. The file must be open
/// for reading and writing.
pub(in crate::storage) fn corrected_records(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut head = [0; LONGEST_HEADER];
    let there = read_up_to(file, &mut head, 0)?;
    let mut log = Log { iteration: None, database: Vec::new(), committed: 0, length, end: LogEnd::Open };
    let Some(mut at) = log.version_record(&head[..there]) else { return Ok(0) };
    let mut corrected = 0;
    let mut bytes = [0; FRAME as usize];
    while at < length && read_up_to(file, &mut bytes, at)? == bytes.len() {
        let [size, stored] =
            [0, 8].map(|from| bytes[from..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b)));
        let left = length - at - FRAME;
        // The length itself has no checksum: each of its bits may be the wrong one.
        let sizes = std::iter::once(size).chain((0..48).map(|bit| size ^ 1 << bit));
        let mut next = None;
        for size in sizes.filter(|size| (1..=left).contains(size)) {
            let mut record = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            file.read_exact_at(&mut record, at + FRAME)?;
            if checksum(&record) == stored {
                next = Some((size, stored, record));
                break;
            }
        }
        let (should, stored, record) = match next {
            Some(found) => found,
            None if (1..=left).contains(&size) => {
                let mut record = vec![0; usize::try_from(size).map_err(io::Error::other)?];
                file.read_exact_at(&mut record, at + FRAME)?;
                let mut stored = stored;
                if !correct(&mut stored, &mut record) {
                    break;
                }
                (size, stored, record)
            }
            None => break,
        };
        let whole = [&should.to_le_bytes()[..], &stored.to_le_bytes(), &record].concat();
        let mut is = vec![0; whole.len()];
        file.read_exact_at(&mut is, at)?;
        if is != whole {
            file.write_all_at(&whole, at)?;
            corrected += 1;
        }
        at += FRAME + should;
    }
    if corrected > 0 {
        file.sync_all()?;
    }
    Ok(corrected)
}

/// How many transactions end behind a place, found by the bytes that end them.
fn flushes(file: &File, from: u64) -> io::Result<u64> {
    let mut pattern = Vec::with_capacity(FRAME as usize + FLUSH.len());
    pattern.extend_from_slice(&(FLUSH.len() as u64).to_le_bytes());
    pattern.extend_from_slice(&checksum(&FLUSH).to_le_bytes());
    pattern.extend_from_slice(&FLUSH);
    let mut buffer = vec![0; 1 << 20];
    let (mut place, mut count) = (from, 0);
    loop {
        let here = read_up_to(file, &mut buffer, place)?;
        if here < pattern.len() {
            return Ok(count);
        }
        count += buffer[..here].windows(pattern.len()).filter(|window| *window == pattern).count() as u64;
        place += (here - pattern.len() + 1) as u64;
    }
}

/// DuckDB's binary serialisation: two bytes that name a field, then its value.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn field(&mut self) -> Option<u16> {
        let bytes = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += 2;
        Some(u16::from_le_bytes(*bytes))
    }

    fn expect(&mut self, field: u16) -> Option<()> {
        (self.field()? == field).then_some(())
    }

    /// A number of seven bits in each byte (LEB128).
    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(all(test, feature = "duckdb"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::StorageEngine;

    /// A database with `commits` transactions in its log, as a killed process leaves it.
    fn logged(folder: &Path, commits: u64) -> PathBuf {
        let path = folder.join("data.duckdb");
        let storage = StorageEngine::open(&path).unwrap();
        storage.execute("CREATE TABLE numbers AS SELECT 0 AS i; CHECKPOINT;").unwrap();
        for n in 1..=commits {
            storage.execute(&format!("INSERT INTO numbers SELECT {n} FROM range({n} * 7)")).unwrap();
        }
        let copy = folder.join("log");
        fs::copy(folder.join("data.duckdb.wal"), &copy).unwrap();
        copy
    }

    #[test]
    fn a_log_is_followed_to_its_last_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let path = logged(folder.path(), 5);
        let whole = fs::read(&path).unwrap();
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            Log::read(&File::open(&path).unwrap()).unwrap()
        };
        let log = read(&whole);
        assert_eq!(
            (log.committed, log.length, log.end),
            (whole.len() as u64, whole.len() as u64, LogEnd::Open)
        );
        let file = File::open(folder.path().join("data.duckdb")).unwrap();
        assert!(
            log.iteration.unwrap()
                <= super::super::Headers::read(&file).unwrap().unwrap().current().unwrap().iteration
        );

        // Cut anywhere, it ends with a transaction, and never a later one.
        let mut last = 0;
        for length in 0..whole.len() {
            let log = read(&whole[..length]);
            assert!(log.committed <= length as u64 && log.committed >= last, "{length}");
            last = log.committed;
        }
        assert!(last > 0);
    }

    #[test]
    fn a_wrong_bit_of_a_record_is_put_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = logged(folder.path(), 3);
        let whole = fs::read(&path).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        assert_eq!(corrected_records(&file).unwrap(), 0);
        let (mut right, mut tried) = (0, 0);
        for place in (LONGEST_HEADER as u64..whole.len() as u64).step_by(5) {
            let byte = whole[place as usize];
            file.write_all_at(&[byte ^ 1 << (place % 8)], place).unwrap();
            let corrected = corrected_records(&file).unwrap();
            let now = fs::read(&path).unwrap();
            tried += 1;
            if corrected == 1 {
                assert!(now == whole, "at {place}");
                right += 1;
            } else {
                assert_eq!(corrected, 0, "at {place}");
            }
            file.write_all_at(&[byte], place).unwrap();
        }
        assert!(right * 2 > tried, "{right} of {tried}");
        assert!(fs::read(&path).unwrap() == whole);
    }

    #[test]
    fn damage_is_noticed_with_the_transactions_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = logged(folder.path(), 3);
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let whole = Log::read(&file).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for place in (0..whole.length).step_by(3) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, place).unwrap();
            file.write_all_at(&[byte[0] ^ 0x10], place).unwrap();
            let log = Log::read(&file).unwrap();
            assert!(log != whole, "the bit at {place} is noticed");
            if let LogEnd::Damaged { commits } = log.end {
                seen.insert(commits);
            }
            file.write_all_at(&byte, place).unwrap();
        }
        assert!(seen.is_superset(&[0, 1, 2, 3].into()), "{seen:?}");
    }
}
