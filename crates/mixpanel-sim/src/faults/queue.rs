//! Which request meets which fault.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use jiff::civil::Date;

use super::{Fault, ScriptedFault};

/// What a request asks for, as far as faults go by it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// `export`, `query`, `app` or `ingestion`.
    pub(crate) group: &'a str,
    /// The endpoint's path below the group's; with it for ingestion, as its paths are those of queries.
    pub(crate) endpoint: &'a str,
    /// The first and the last day, if the request has a range.
    pub(crate) days: Option<(Date, Date)>,
}

impl Asked<'_> {
    fn is_at(&self, endpoint: Option<&str>) -> bool {
        let wanted = endpoint.unwrap_or("export").trim_matches('/');
        let below = self.endpoint.strip_prefix(wanted);
        self.group == wanted || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn covers(&self, day: Option<Date>) -> bool {
        day.is_none_or(|day| self.days.is_some_and(|(from, to)| (from..=to).contains(&day)))
    }
}

/// Faults that wait for their requests, in the order in which they were scripted.
#[derive(Debug, Default)]
pub(crate) struct FaultQueue(Mutex<Vec<ScriptedFault>>);

impl FaultQueue {
    fn lock(&self) -> MutexGuard<'_, Vec<ScriptedFault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, fault: ScriptedFault) {
        if fault.times > 0 {
            self.lock().push(fault);
        }
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The fault for a request: its own header's, or the first that waits for it. The error is about a header
    /// that makes no sense.
    pub(crate) fn take(&self, headers: &HeaderMap, asked: &Asked<'_>) -> Result<Option<Fault>, String> {
        if let Some(header) = headers.get("x-sim-fault") {
            let text = header.to_str().map_err(|_| "X-Sim-Fault is not text".to_owned())?;
            return Fault::from_header(text).map(Some);
        }
        let mut queue = self.lock();
        let mut index = 0;
        while let Some(scripted) = queue.get_mut(index) {
            let fits = asked.is_at(scripted.endpoint.as_deref()) && asked.covers(scripted.day);
            if fits && scripted.after == 0 {
                scripted.times -= 1;
                let fault = scripted.fault.clone();
                if scripted.times == 0 {
                    queue.remove(index);
                }
                return Ok(Some(fault));
            }
            if fits {
                scripted.after -= 1;
            }
            index += 1;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn export(day: i8) -> Asked<'static> {
        let day = date(2025, 6, day);
        Asked { group: "export", endpoint: "export", days: Some((day, day)) }
    }

    fn take(queue: &FaultQueue, day: i8) -> Option<&'static str> {
        queue.take(&HeaderMap::new(), &export(day)).unwrap().map(|fault| fault.name())
    }

    #[test]
    fn faults_stay_at_their_endpoint() {
        let queue = FaultQueue::default();
        queue.push(Fault::HtmlPage.into());
        queue.push(Fault::GzipBadCrc.on_endpoint("events"));
        queue.push(Fault::NoFinalNewline.on_endpoint("query"));
        let ask = |endpoint| {
            let asked = Asked { group: "query", endpoint, days: None };
            queue.take(&HeaderMap::new(), &asked).unwrap().map(|fault| fault.name())
        };
        assert_eq!(ask("events/names"), Some("gzip_bad_crc"));
        assert_eq!(ask("eventsx"), Some("no_final_newline"));
        assert_eq!(ask("segmentation"), None);
        assert_eq!(take(&queue, 1), Some("html_page"));
    }

    #[test]
    fn requests_meet_faults_in_order() {
        let queue = FaultQueue::default();
        queue.push(Fault::HtmlPage.after(1).times(2));
        queue.push(Fault::GzipBadCrc.on_day(date(2025, 6, 9)));
        assert_eq!(take(&queue, 1), None);
        assert_eq!(take(&queue, 1), Some("html_page"));
        assert_eq!(take(&queue, 1), Some("html_page"));
        assert_eq!(take(&queue, 1), None);
        assert_eq!(take(&queue, 9), Some("gzip_bad_crc"));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_header_overrides_the_queue() {
        let queue = FaultQueue::default();
        queue.push(Fault::HtmlPage.into());
        let mut headers = HeaderMap::new();
        headers.insert("x-sim-fault", "status:503".parse().unwrap());
        assert_eq!(queue.take(&headers, &export(1)).unwrap().unwrap().name(), "status");
        assert_eq!(queue.len(), 1);
        headers.insert("x-sim-fault", "nonsense".parse().unwrap());
        assert!(queue.take(&headers, &export(1)).is_err());
    }
}
