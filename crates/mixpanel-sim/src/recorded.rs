//! Serving recorded exports: a folder of JSON Lines files, kept byte for byte.
//!
//! Files are read in the order of their names, `*.jsonl`, `*.json` and `*.jsonl.gz`. Each line belongs to the
//! day of its `properties.time`, read as UTC, and keeps its place among the lines of that day.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use crate::error::SimError;
use crate::line::Line;
use crate::world::{DayData, dates};

#[derive(Default)]
struct Day {
    lines: Vec<u8>,
    rows: u64,
    seen: HashSet<u64>,
    without_identity: u64,
}

/// Reads a folder; days between the first and the last that have no lines become empty days.
pub(crate) fn load(folder: &Path) -> Result<Vec<DayData>, SimError> {
    let mut days: BTreeMap<Date, Day> = BTreeMap::new();
    for path in files(folder)? {
        let bytes = read(&path).map_err(|source| SimError::Read { path: path.clone(), source })?;
        for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let wrong = |reason| SimError::Line { path: path.clone(), line: index + 1, reason };
            let event = Line::parse(line).map_err(|error| wrong(error.to_string()))?;
            let date = event.date().ok_or_else(|| wrong("`properties.time` is not a time".to_owned()))?;
            let day = days.entry(date).or_default();
            day.lines.extend_from_slice(line);
            day.lines.push(b'\n');
            day.rows += 1;
            let Some(identity) = event.identity() else {
                day.without_identity += 1;
                continue;
            };
            let mut hasher = DefaultHasher::new();
            identity.hash(&mut hasher);
            day.seen.insert(hasher.finish());
        }
    }
    let (Some((&first, _)), Some((&last, _))) = (days.first_key_value(), days.last_key_value()) else {
        return Err(SimError::Config(format!("{} holds no events", folder.display())));
    };
    let filled = dates(first, last).map(|date| {
        let day = days.remove(&date).unwrap_or_default();
        DayData::recorded(date, day.rows, day.seen.len() as u64 + day.without_identity, day.lines.into())
    });
    Ok(filled.collect())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, SimError> {
    let failed = |source| SimError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if [".jsonl", ".json", ".jsonl.gz"].iter().any(|end| name.ends_with(end)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let bytes = fs::read(path)?;
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain)?;
    Ok(plain)
}
