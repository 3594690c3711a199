//! The logs beside a database, as copied, and whether they still are what was copied.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

/// What DuckDB appends to a database's name for its log, and for the log of
/// what is committed while a checkpoint runs. In the order of copying: a commit
/// that is not in the first is in the second, which is copied later.
const SUFFIXES: [&str; 2] = [".wal", ".wal.checkpoint"];

/// Copies of both logs.
pub(super) struct Logs(Vec<Log>);

/// A log that was there and was copied.
struct Log {
    path: PathBuf,
    file: (u64, u64),
    bytes: u64,
    hash: u128,
}

impl Logs {
    /// Copies the logs of `database` beside `target`. What is left there of an
    /// earlier copy goes.
    pub(super) fn copy(database: &Path, target: &Path) -> io::Result<Self> {
        let mut logs = Vec::new();
        for suffix in SUFFIXES {
            let (from, to) = (beside(database, suffix), beside(target, suffix));
            match File::open(&from) {
                Ok(file) => logs.push(Log::copy(from, file, &to)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::remove_file(&to) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                },
                Err(error) => return Err(error),
            }
        }
        Ok(Logs(logs))
    }

    /// Whether each log is still the same file and begins with what was copied.
    /// Logs only grow, except when a checkpoint ends, which takes them away, and
    /// when a commit fails, which cuts its records off again.
    pub(super) fn still_hold(&self) -> io::Result<bool> {
        for log in &self.0 {
            if !log.still_holds()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|log| log.bytes).sum()
    }
}

impl Log {
    fn copy(path: PathBuf, file: File, target: &Path) -> io::Result<Self> {
        let meta = file.metadata()?;
        let mut options = OpenOptions::new();
        let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(target)?;
        let mut hash = Xxh3::new();
        let bytes = each_piece(file, u64::MAX, |piece| {
            hash.update(piece);
            out.write_all(piece)
        })?;
        Ok(Log { path, file: (meta.dev(), meta.ino()), bytes, hash: hash.digest128() })
    }

    fn still_holds(&self) -> io::Result<bool> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        if (meta.dev(), meta.ino()) != self.file {
            return Ok(false);
        }
        let mut hash = Xxh3::new();
        let bytes = each_piece(file, self.bytes, |piece| {
            hash.update(piece);
            Ok(())
        })?;
        Ok(bytes == self.bytes && hash.digest128() == self.hash)
    }
}

/// The size of a database's logs, as they are now.
pub(super) fn size_of_logs(database: &Path) -> u64 {
    SUFFIXES
        .iter()
        .filter_map(|suffix| fs::metadata(beside(database, suffix)).ok())
        .map(|meta| meta.len())
        .sum()
}

/// Gives a file's bytes piece by piece, at most `limit` of them.
fn each_piece(file: File, limit: u64, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut file = file.take(limit);
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(count) => {
                each(&buffer[..count])?;
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
