//! Events that came after the start, by ingestion or from a test.
//!
//! They are kept as lines, like those of the world, under the day of their time read as UTC.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use jiff::civil::Date;

use crate::line::Line;

/// Added lines by day; each ends with a line feed.
#[derive(Debug, Default)]
pub(crate) struct Added(RwLock<BTreeMap<Date, Vec<u8>>>);

impl Added {
    /// Takes lines in, all or none, and tells the days they belong to.
    pub(super) fn add<L: AsRef<[u8]>>(&self, lines: &[L]) -> Result<Vec<Date>, String> {
        let mut dated = Vec::with_capacity(lines.len());
        for line in lines {
            let line = line.as_ref();
            if line.contains(&b'\n') {
                return Err("an event is one line".to_owned());
            }
            let event = Line::parse(line).map_err(|error| error.to_string())?;
            let date = event.date().ok_or("`properties.time` is not a time")?;
            dated.push((date, line));
        }
        let mut days = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (date, line) in &dated {
            let text = days.entry(*date).or_default();
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        let mut dates: Vec<Date> = dated.into_iter().map(|(date, _)| date).collect();
        dates.sort_unstable();
        dates.dedup();
        Ok(dates)
    }

    /// The lines of a range, both ends included, day by day.
    pub(crate) fn range(&self, from: Date, to: Date) -> Vec<(Date, Bytes)> {
        if from > to {
            return Vec::new();
        }
        let days = self.0.read().unwrap_or_else(PoisonError::into_inner);
        days.range(from..=to).map(|(&date, text)| (date, Bytes::copy_from_slice(text))).collect()
    }

    /// Whether a range, both ends included, has lines.
    pub(crate) fn any(&self, from: Date, to: Date) -> bool {
        let days = self.0.read().unwrap_or_else(PoisonError::into_inner);
        from <= to && days.range(from..=to).next().is_some()
    }

    /// The first and the last day that have lines.
    pub(super) fn span(&self) -> Option<(Date, Date)> {
        let days = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some((*days.first_key_value()?.0, *days.last_key_value()?.0))
    }
}
