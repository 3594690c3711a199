//! Where files are and how their bytes come: paths, folders, streams; blocks of plain bytes.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mixpanel_client::CancelToken;
use mixpanel_client::export::{ContentEncoding, Decompressed};

use super::fault::{Fault, of_body};
use crate::error::{Error, ErrorKind, Result};

/// So much is read at a time.
const BLOCK: usize = 256 << 10;

/// Files of a folder that can be events, by the ends of their names.
const ENDINGS: [&str; 9] =
    [".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".jsonl.gz", ".json.gz", ".ndjson.gz", ".csv.gz"];

/// Something to load.
pub enum LoadInput {
    /// A file, or a folder: its files whose names end like those of events, in the order of their names.
    Path(PathBuf),
    /// Anything else that can be read, such as standard input, and what to call it.
    Reader {
        /// What it is called in messages and in the ledger.
        name: String,
        /// Its bytes.
        reader: Box<dyn Read + Send>,
    },
}

impl LoadInput {
    /// A file or a folder.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        LoadInput::Path(path.into())
    }
}

impl fmt::Debug for LoadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadInput::Path(path) => f.debug_tuple("Path").field(path).finish(),
            LoadInput::Reader { name, .. } => {
                f.debug_struct("Reader").field("name", name).finish_non_exhaustive()
            }
        }
    }
}

/// One file.
pub(super) struct Source {
    /// What it is called: a path as it was given.
    pub(super) name: String,
    /// What it is recorded as: a path from the root, so that it means the same file from everywhere.
    pub(super) recorded: String,
    /// Its size, if it is known.
    pub(super) size: Option<u64>,
    from: Origin,
}

enum Origin {
    Path(PathBuf),
    /// A named pipe, such as a shell's `<(…)`.
    Pipe(PathBuf),
    Reader(Option<Box<dyn Read + Send>>),
}

/// The files that are meant, in order.
pub(super) fn sources(inputs: Vec<LoadInput>) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for input in inputs {
        match input {
            LoadInput::Reader { name, reader } => {
                let recorded = name.clone();
                found.push(Source { name, recorded, size: None, from: Origin::Reader(Some(reader)) });
            }
            LoadInput::Path(path) => {
                let meta = fs::metadata(&path).map_err(|error| no_file(&path, error))?;
                if !meta.is_dir() {
                    found.push(of_path(path)?);
                    continue;
                }
                let before = found.len();
                walk(&path, &mut found)?;
                if found.len() == before {
                    let why =
                        format!("in the folder there is no file whose name ends in {}", ENDINGS.join(", "));
                    return Err(Fault::file(why).about(&path.display().to_string()));
                }
            }
        }
    }
    Ok(found)
}

fn of_path(path: PathBuf) -> Result<Source> {
    let meta = fs::metadata(&path).map_err(|error| no_file(&path, error))?;
    let name = path.display().to_string();
    if meta.is_file() {
        let whole = fs::canonicalize(&path).map_err(|error| no_file(&path, error))?;
        let recorded = whole.display().to_string();
        return Ok(Source { name, recorded, size: Some(meta.len()), from: Origin::Path(path) });
    }
    if meta.file_type().is_fifo() {
        let recorded = name.clone();
        return Ok(Source { name, recorded, size: None, from: Origin::Pipe(path) });
    }
    Err(Fault::file("it is a device or a socket, not a file").about(&path.display().to_string()))
}

fn walk(folder: &Path, found: &mut Vec<Source>) -> Result<()> {
    let read = |error| no_file(folder, error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let kind = entry.file_type().map_err(read)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        // Links of folders may lead round in a circle.
        let is_events = ENDINGS.iter().any(|end| name.to_ascii_lowercase().ends_with(end));
        if kind.is_dir() || (is_events && entry.path().is_file()) {
            entries.push((entry.path(), kind.is_dir()));
        }
    }
    entries.sort();
    for (path, is_folder) in entries {
        if is_folder { walk(&path, found)? } else { found.push(of_path(path)?) }
    }
    Ok(())
}

fn no_file(path: &Path, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return ErrorKind::FileNotFound { path: path.to_path_buf() }.into();
    }
    Error::io("reading", path, error)
}

impl Source {
    /// Whether it can be opened as often as one likes.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.from, Origin::Path(_))
    }

    /// Opens it. A stream can be opened once.
    pub(super) fn open(&mut self, cancel: &CancelToken) -> Result<Input> {
        let reader: Box<dyn Read + Send> = match &mut self.from {
            Origin::Path(path) | Origin::Pipe(path) => {
                Box::new(fs::File::open(&*path).map_err(|error| no_file(path, error))?)
            }
            Origin::Reader(reader) => reader.take().unwrap_or_else(|| Box::new(std::io::empty())),
        };
        Input::new(reader, cancel.clone()).map_err(|fault| fault.about(&self.name))
    }
}

/// Bytes as they are read; a failure is kept beside, for whoever asks.
pub(super) struct Raw {
    reader: Box<dyn Read + Send>,
    cancel: CancelToken,
    /// What was read to see whether it is compressed.
    first: Option<Bytes>,
    read: Arc<AtomicU64>,
    failed: Arc<Mutex<Option<std::io::Error>>>,
}

impl Raw {
    fn block(&mut self) -> std::io::Result<Bytes> {
        let mut block = vec![0; BLOCK];
        let mut filled = 0;
        while filled < block.len() {
            match self.reader.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // A stream may come slowly, and what has come is worth looking at.
            if self.cancel.is_cancelled() {
                break;
            }
        }
        self.read.fetch_add(filled as u64, Ordering::Relaxed);
        block.truncate(filled);
        Ok(block.into())
    }
}

impl Iterator for Raw {
    type Item = mixpanel_client::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let cancelled = || Some(Err(mixpanel_client::ErrorKind::Cancelled.into()));
        if self.cancel.is_cancelled() {
            return cancelled();
        }
        let block = match self.first.take() {
            Some(first) => Ok(first),
            None => self.block(),
        };
        match block {
            Ok(block) if block.is_empty() => None,
            Ok(block) => Some(Ok(block)),
            Err(error) => {
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                cancelled()
            }
        }
    }
}

/// A file as blocks of plain bytes, of which the first ones can be looked at.
pub(super) struct Input {
    plain: Decompressed<Raw>,
    /// Blocks that were looked at.
    ahead: VecDeque<Bytes>,
    ended: bool,
    pub(super) gzip: bool,
    read: Arc<AtomicU64>,
    decoded: Arc<AtomicU64>,
    failed: Arc<Mutex<Option<std::io::Error>>>,
}

impl Input {
    fn new(reader: Box<dyn Read + Send>, cancel: CancelToken) -> Result<Self, Fault> {
        let (read, failed) = (Arc::default(), Arc::default());
        let mut raw =
            Raw { reader, cancel, first: None, read: Arc::clone(&read), failed: Arc::clone(&failed) };
        let first = raw.block().map_err(Fault::Read)?;
        let gzip = first.starts_with(&[0x1f, 0x8b]);
        raw.first = Some(first);
        let encoding = if gzip { ContentEncoding::Gzip } else { ContentEncoding::Identity };
        let plain = Decompressed::new(encoding, raw);
        Ok(Input { plain, ahead: VecDeque::new(), ended: false, gzip, read, decoded: Arc::default(), failed })
    }

    /// The first bytes, about so many of them, and whether they are all.
    pub(super) fn head(&mut self, bytes: usize) -> Result<(Vec<u8>, bool), Fault> {
        while !self.ended && self.ahead.iter().map(Bytes::len).sum::<usize>() < bytes {
            match self.plain.next() {
                Some(Ok(block)) => self.ahead.push_back(block),
                Some(Err(error)) => return Err(self.fault(&error, 0)),
                None => self.ended = true,
            }
        }
        let mut head = Vec::new();
        for block in &self.ahead {
            head.extend_from_slice(&block[..block.len().min(bytes.saturating_sub(head.len()))]);
        }
        let all = self.ended && head.len() == self.ahead.iter().map(Bytes::len).sum::<usize>();
        Ok((head, all))
    }

    /// Counts bytes read and bytes decoded, from any thread.
    pub(super) fn counters(&self) -> (Arc<AtomicU64>, Arc<AtomicU64>) {
        (Arc::clone(&self.read), Arc::clone(&self.decoded))
    }

    /// How reading failed, for those who only see the client's error.
    pub(super) fn failure(&self) -> Failure {
        Failure(Arc::clone(&self.failed))
    }

    fn fault(&self, error: &mixpanel_client::Error, lines: u64) -> Fault {
        self.failure().of(error, lines)
    }
}

/// How reading failed.
pub(super) struct Failure(Arc<Mutex<Option<std::io::Error>>>);

impl Failure {
    /// What an error means that came after so many lines.
    pub(super) fn of(&self, error: &mixpanel_client::Error, lines: u64) -> Fault {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Fault::Read(error),
            None => of_body(error, lines),
        }
    }
}

impl Iterator for Input {
    type Item = mixpanel_client::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = match self.ahead.pop_front() {
            Some(block) => Some(Ok(block)),
            None if self.ended => None,
            None => self.plain.next(),
        };
        if let Some(Ok(block)) = &block {
            self.decoded.fetch_add(block.len() as u64, Ordering::Relaxed);
        }
        block
    }
}
