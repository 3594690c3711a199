//! One fetch: a request, a stream, a transaction.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use mixpanel_client::Client;
use mixpanel_client::export::ExportRequest;
use mixpanel_client::time::ProjectClock;

use super::source::{ExportSource, api_error};
use super::{FetchEvents, FetchProgress, OnProgress};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::filters::Filters;
use crate::storage::writer::{BatchSource, ChunkSpec, DayRange, Scope, Written};
use crate::storage::{DEFAULT_MAX_COLUMNS, DayState, StorageEngine, check_table_name};
use crate::types::{FetchResult, TableKind, TableMetadata};
use crate::value::Value;

/// Progress is told at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn fetch_events(
    storage: &StorageEngine,
    client: &Client,
    clock: &ProjectClock,
    now: Timestamp,
    fetch: &FetchEvents,
    on_progress: OnProgress<'_>,
) -> Result<FetchResult> {
    let started = Instant::now();
    let today = clock.day_of(now.as_microsecond());
    check(fetch, today)?;
    let filters = Filters::new(Some(&fetch.events), fetch.filter.as_deref());
    let (table, create, scope) = place(storage, fetch, &filters, clock, today)?;
    let metadata = TableMetadata {
        kind: TableKind::Events,
        fetched_at: now,
        from_date: Some(fetch.from),
        to_date: Some(fetch.to),
        filter_events: (!fetch.events.is_empty()).then(|| fetch.events.clone()),
        filter_where: fetch.filter.clone(),
    };
    let request = ExportRequest {
        events: fetch.events.clone(),
        where_: fetch.filter.clone(),
        limit: fetch.limit,
        ..ExportRequest::days(fetch.from, fetch.to)
    };
    let mut spec = ChunkSpec {
        table: &table,
        create,
        scope,
        metadata: &metadata,
        filters: filters.text(),
        filter_hash: filters.hash(),
        max_columns: DEFAULT_MAX_COLUMNS,
        request_id: None,
        now,
    };

    // A download that breaks off is worthless as a whole: the chunk starts
    // again, under the client's one retry policy.
    let mut attempt = 0;
    let mut bytes = (0, 0);
    let mut ours: Option<Error> = None;
    let outcome = client.retrier().run(|| {
        attempt += 1;
        let body = client.export(&request)?;
        spec.request_id = body.request_id().map(str::to_owned);
        let mut source = Watched {
            inner: ExportSource::new(body, clock.clone()),
            clock,
            progress: FetchProgress { attempt, ..FetchProgress::default() },
            started,
            told: None,
            on_progress,
        };
        let result = storage.write(&spec, &mut source, &mut |_| {});
        bytes = (source.inner.bytes_received(), source.inner.bytes_decoded());
        source.tell(true);
        result.map_err(|error| match error.into_api() {
            Ok(api) => api,
            Err(error) => {
                ours = Some(error);
                // Not retryable; replaced by our own error below.
                mixpanel_client::ErrorKind::Cancelled.into()
            }
        })
    });
    let written = match (outcome, ours) {
        (Ok(written), _) => written,
        (Err(_), Some(error)) => return Err(error),
        (Err(error), None) => return Err(api_error(error)),
    };
    Ok(result(&spec, fetch, written, attempt, bytes, started))
}

/// What can be said to be wrong before anything is sent.
fn check(fetch: &FetchEvents, today: Date) -> Result<()> {
    check_table_name(&fetch.table)?;
    if fetch.from > fetch.to {
        let why = format!("the first day {} is after the last day {}", fetch.from, fetch.to);
        return Err(Error::argument("dates", why));
    }
    if fetch.to > today {
        let why = format!("{} is in the future; today is {today} in the project's days", fetch.to);
        return Err(Error::argument("dates", why));
    }
    if fetch.append && fetch.replace {
        return Err(Error::argument("options", "append and replace exclude each other"));
    }
    if fetch.limit.is_some_and(|limit| !(1..=100_000).contains(&limit)) {
        return Err(Error::argument("limit", "Mixpanel allows 1 to 100,000"));
    }
    Ok(())
}

/// Where the rows go: a new table, days of an existing one, or beside what is
/// there.
fn place(
    storage: &StorageEngine,
    fetch: &FetchEvents,
    filters: &Filters,
    clock: &ProjectClock,
    today: Date,
) -> Result<(String, bool, Scope)> {
    let open_from = if fetch.limit.is_some() { fetch.from } else { today };
    let range = DayRange { from: fetch.from, to: fetch.to, clock: clock.clone(), open_from: Some(open_from) };
    if !storage.table_exists(&fetch.table)? {
        return Ok((fetch.table.clone(), true, Scope::Days(range)));
    }
    let table = match storage.require(&fetch.table, TableKind::Events) {
        Ok(table) => table,
        // Made by SQL or by another program: not ours to overwrite.
        Err(error) if matches!(error.kind(), ErrorKind::TableNotFound { .. }) => {
            return Err(ErrorKind::TableExists { table: fetch.table.clone() }.into());
        }
        Err(error) => return Err(error),
    };
    if fetch.replace {
        return Ok((table, false, Scope::Everything(Some(range))));
    }
    let known = storage.execute_rows(
        "SELECT filter_hash, filters FROM _tables WHERE table_name = ?",
        &[Value::Text(table.clone())],
    )?;
    let same = known.rows[0][0].as_str() == Some(filters.hash());
    match (same, fetch.limit, fetch.append) {
        (true, None, _) => Ok((table, false, Scope::Days(range))),
        // A sample must not push out what is complete.
        (true, Some(_), _) | (false, _, true) => Ok((table, false, Scope::Add(Some(range)))),
        (false, _, false) => Err(ErrorKind::FilterMismatch {
            table,
            existing: known.rows[0][1].to_text(),
            requested: filters.text().to_owned(),
        }
        .into()),
    }
}

fn result(
    spec: &ChunkSpec<'_>,
    fetch: &FetchEvents,
    written: Written,
    requests: u32,
    (bytes_received, bytes_decoded): (u64, u64),
    started: Instant,
) -> FetchResult {
    let range = match &spec.scope {
        Scope::Days(range) => Some(range),
        Scope::Everything(range) | Scope::Add(range) => range.as_ref(),
    };
    let mut days: BTreeMap<&str, u32> = BTreeMap::new();
    for (day, count) in written.days.iter().filter(|(day, _)| **day >= fetch.from && **day <= fetch.to) {
        let state = range.map_or(DayState::Complete, |range| count.state(*day, range));
        *days.entry(state.as_str()).or_default() += 1;
    }
    let count = |state: DayState| days.get(state.as_str()).copied().unwrap_or(0);
    FetchResult {
        table: spec.table.to_owned(),
        rows: written.rows,
        lines: written.lines,
        duplicates: written.duplicates,
        rejects: written.rejects,
        total_rows: written.total_rows,
        from_date: Some(fetch.from),
        to_date: Some(fetch.to),
        days_complete: count(DayState::Complete),
        days_empty: count(DayState::Empty),
        days_partial: count(DayState::Partial),
        bytes_received,
        bytes_decoded,
        requests,
        duration: started.elapsed(),
        fetched_at: spec.now,
    }
}

/// A source that tells how far it is.
struct Watched<'a, 'p> {
    inner: ExportSource,
    clock: &'a ProjectClock,
    progress: FetchProgress,
    started: Instant,
    told: Option<Instant>,
    on_progress: &'a mut (dyn FnMut(&FetchProgress) + 'p),
}

impl Watched<'_, '_> {
    fn tell(&mut self, always: bool) {
        if !always && self.told.is_some_and(|told| told.elapsed() < PROGRESS_INTERVAL) {
            return;
        }
        self.told = Some(Instant::now());
        self.progress.bytes_received = self.inner.bytes_received();
        self.progress.bytes_decoded = self.inner.bytes_decoded();
        self.progress.elapsed = self.started.elapsed();
        (self.on_progress)(&self.progress);
    }
}

impl BatchSource for Watched<'_, '_> {
    fn next_batch(&mut self) -> Result<Option<mixpanel_client::export::EventBatch>> {
        let batch = self.inner.next_batch()?;
        if let Some(batch) = &batch {
            self.progress.rows += batch.rows.num_rows() as u64;
            if let Some(day) = last_time(batch).map(|time| self.clock.day_of(time)) {
                self.progress.day = Some(day);
            }
        }
        self.tell(false);
        Ok(batch)
    }

    fn set_plan(&mut self, plan: mixpanel_client::export::ColumnPlan) {
        self.inner.set_plan(plan);
    }
}

/// Time of a batch's last row, microseconds UTC.
fn last_time(batch: &mixpanel_client::export::EventBatch) -> Option<i64> {
    use arrow::array::AsArray;
    let times = batch.rows.column_by_name(mixpanel_client::schema::EVENT_TIME)?;
    times.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().values().last().copied()
}
