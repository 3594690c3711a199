//! `fetch_profiles`: profiles of users or groups into a table.
//!
//! ```text
//! first page ─▶ other pages (side by side) ─▶ decoded batches ─▶ one transaction
//!     └── session expired, or pages missing: rolled back, and again from the first page ──┘
//! ```

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mixpanel_client::engage::{EngageRequest, Page, ProfileDecoder, ProfilePages};
use mixpanel_client::export::{ColumnPlan, DecodedBatch};
use serde::Serialize;

use super::download::api_error;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::chunk::{Arrival, BatchSource, ChunkSpec, Create, OnReject, Scope, Written};
use crate::storage::filters::{Filters, output_properties};
use crate::storage::{DEFAULT_MAX_COLUMNS, Definition, StorageEngine, check_table_name, is_full};
use crate::types::{TableKind, TableMetadata};
use crate::workspace::Project;

/// Which profiles to fetch, and where to. All of them are stored in one
/// transaction once they are here, or nothing is changed.
///
/// A fetch of *all* profiles is a snapshot: it replaces the table, and profiles
/// that exist no longer go to `_vanished_profiles`. A fetch of *some*, by any
/// filter of the request, replaces the profiles it finds and leaves the others.
///
/// ```
/// use mixpanel_data::{EngageRequest, FetchProfiles};
///
/// let everybody = FetchProfiles::default();
/// let companies = FetchProfiles {
///     table: "companies".into(),
///     request: EngageRequest { data_group_id: Some("4321".into()), ..EngageRequest::default() },
///     ..FetchProfiles::default()
/// };
/// # let _ = (everybody, companies);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FetchProfiles {
    /// The table to write; `profiles` unless told otherwise. It holds profiles
    /// of one kind: users, or groups with one `data_group_id`, and always with
    /// the same properties.
    pub table: String,
    /// Which profiles, and which of their properties.
    pub request: EngageRequest,
    /// Keeps profiles that are in the table but not in a fetch of all.
    pub append: bool,
    /// Swaps the whole table for what was fetched, also if that is a selection,
    /// of another kind, or with other properties.
    pub replace: bool,
    /// What to do with results that cannot be stored.
    pub on_reject: OnReject,
    /// How many pages are fetched at a time, 1 to 5; 5 unless told otherwise.
    pub concurrency: Option<usize>,
}

impl Default for FetchProfiles {
    fn default() -> Self {
        FetchProfiles {
            table: "profiles".to_owned(),
            request: EngageRequest::default(),
            append: false,
            replace: false,
            on_reject: OnReject::default(),
            concurrency: None,
        }
    }
}

/// How a fetch of profiles is going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileProgress {
    /// Results that have come so far.
    pub results: u64,
    /// Results that there are, as far as the server said.
    pub total: Option<u64>,
    /// Pages so far.
    pub pages: u64,
    /// Bytes of JSON so far.
    pub bytes_decoded: u64,
    /// Time since the fetch began.
    pub elapsed: Duration,
    /// Which attempt this is, from 1: a session that expired begins again.
    pub attempt: u32,
}

/// Called for each page while profiles are being fetched.
pub type OnProfileProgress<'a> = &'a mut dyn FnMut(&ProfileProgress);

/// What a fetch of profiles did. Always `results = rows + duplicates + rejects`.
#[derive(Clone, Debug, Serialize)]
pub struct ProfilesResult {
    /// The table that was written.
    pub table: String,
    /// The database file; none in memory.
    pub database: Option<PathBuf>,
    /// Whether all profiles were asked for, so that others have vanished.
    pub snapshot: bool,
    /// Results that the API sent.
    pub results: u64,
    /// Profiles that were stored.
    pub rows: u64,
    /// Those of them that were in the table before.
    pub updated: u64,
    /// Results dropped because the same id came more than once.
    pub duplicates: u64,
    /// Results that could not be stored; kept in `_quarantine`.
    pub rejects: u64,
    /// Profiles that exist no longer; kept in `_vanished_profiles`.
    pub vanished: u64,
    /// Rows in the table afterwards.
    pub total_rows: u64,
    /// Pages that were fetched.
    pub pages: u64,
    /// Requests sent, retries included. Mixpanel counts one for each 2,000 ids
    /// or less, not one for each page.
    pub requests: u64,
    /// Bytes of JSON.
    pub bytes_decoded: u64,
    /// Wall-clock time.
    #[serde(serialize_with = "crate::types::seconds")]
    pub duration: Duration,
    /// When the fetch began (an instant).
    pub fetched_at: Timestamp,
}

pub(crate) fn fetch_profiles(
    storage: &StorageEngine,
    project: &Project,
    now: Timestamp,
    fetch: &FetchProfiles,
    on_progress: OnProfileProgress<'_>,
) -> Result<ProfilesResult> {
    let started = Instant::now();
    check(fetch)?;
    let (client, definition) = (&project.client, Definition::of_profiles(project));
    let (table, arrival) = place(storage, &definition, fetch)?;
    let filters = Filters::of_profiles(&fetch.request);
    let metadata = metadata(&fetch.request, now);
    let concurrency = fetch.concurrency.unwrap_or(ProfilePages::MAX_CONCURRENCY);
    let sent = client.requests_sent();
    let mut progress = ProfileProgress::default();
    let outcome = client.retrier().run(|| {
        progress = ProfileProgress { attempt: progress.attempt + 1, ..ProfileProgress::default() };
        let pages = client.profiles(&fetch.request, concurrency)?;
        let mut source = ProfileSource::new(pages, &mut progress, started, &mut *on_progress);
        let target = Target { table: &table, arrival, definition: &definition, redefine: fetch.replace };
        let written = write(storage, &target, &filters, &metadata, fetch.on_reject, &mut source);
        match source.failure {
            // The transaction was rolled back: it may be begun again.
            Some(error) => Err(error),
            None => Ok(written),
        }
    });
    let written = outcome.map_err(|error| api_error("the fetch of profiles".to_owned(), error))??;
    // The rows are in: what fails here only costs speed or space.
    let _ = storage.finish(&table, TableKind::Profiles);
    Ok(ProfilesResult {
        table: storage.table(&table)?.name,
        database: storage.path().map(PathBuf::from),
        snapshot: arrival == Arrival::Snapshot,
        results: written.lines,
        rows: written.rows,
        updated: written.updated,
        duplicates: written.duplicates,
        rejects: written.rejects,
        vanished: written.vanished,
        total_rows: written.total_rows,
        pages: progress.pages,
        requests: client.requests_sent() - sent,
        bytes_decoded: progress.bytes_decoded,
        duration: started.elapsed(),
        fetched_at: now,
    })
}

/// Where profiles go, and what they do to those that are there.
struct Target<'a> {
    table: &'a str,
    arrival: Arrival,
    definition: &'a Definition,
    redefine: bool,
}

fn write(
    storage: &StorageEngine,
    target: &Target<'_>,
    filters: &Filters,
    metadata: &TableMetadata,
    on_reject: OnReject,
    source: &mut ProfileSource<'_>,
) -> Result<Written> {
    let spec = ChunkSpec {
        table: target.table,
        create: Create::Missing,
        scope: Scope::Profiles(target.arrival),
        metadata,
        filters: filters.text(),
        filter_hash: filters.hash(),
        origin: None,
        definition: target.definition,
        redefine: target.redefine,
        max_columns: DEFAULT_MAX_COLUMNS,
        on_reject,
        request_id: None,
        now: metadata.fetched_at,
    };
    storage.write(&spec, source, &mut |_| {})
}

/// What can be said to be wrong before anything is sent.
fn check(fetch: &FetchProfiles) -> Result<()> {
    check_table_name(&fetch.table)?;
    if fetch.append && fetch.replace {
        return Err(Error::argument("options", "append and replace exclude each other"));
    }
    if fetch.concurrency.is_some_and(|count| !(1..=ProfilePages::MAX_CONCURRENCY).contains(&count)) {
        return Err(Error::argument("concurrency", "Mixpanel answers at most 5 requests at a time"));
    }
    Ok(())
}

/// Which table, and what becomes of the profiles in it.
fn place(
    storage: &StorageEngine,
    definition: &Definition,
    fetch: &FetchProfiles,
) -> Result<(String, Arrival)> {
    let whole = !fetch.request.is_selective();
    let usual = match whole && !fetch.append {
        true => Arrival::Snapshot,
        false => Arrival::Upsert { whole },
    };
    let Some(table) = storage.table_to_fetch_into(&fetch.table, TableKind::Profiles)? else {
        return Ok((fetch.table.clone(), usual));
    };
    let known = storage.get_metadata(&table)?;
    let wanted = metadata(&fetch.request, known.fetched_at);
    let defined = storage.check_definition(&table, definition);
    // Those of another project have not vanished: they were others.
    let same_kind = known.filter_group_id == wanted.filter_group_id && defined.is_ok();
    if fetch.replace {
        let arrival =
            if whole && same_kind { Arrival::Snapshot } else { Arrival::Swap { forget: !same_kind } };
        return Ok((table, arrival));
    }
    defined?;
    if same_kind && known.filter_output_properties == wanted.filter_output_properties {
        return Ok((table, usual));
    }
    let existing = storage.table_filters(&table)?.text;
    let requested = Filters::of_profiles(&fetch.request).text().to_owned();
    Err(ErrorKind::FilterMismatch { table, existing, requested }.into())
}

fn metadata(request: &EngageRequest, now: Timestamp) -> TableMetadata {
    let trimmed = |text: &Option<String>| text.as_deref().map(str::trim).map(str::to_owned);
    let behaviors = serde_json::Value::from(request.behaviors.clone()).to_string();
    TableMetadata {
        filter_where: trimmed(&request.where_).filter(|filter| !filter.is_empty()),
        filter_cohort_id: trimmed(&request.cohort),
        filter_output_properties: output_properties(request),
        filter_group_id: trimmed(&request.data_group_id),
        filter_behaviors: (!request.behaviors.is_empty()).then_some(behaviors),
        ..TableMetadata::profiles(now)
    }
}

/// Pages as a source of decoded batches.
struct ProfileSource<'a> {
    pages: ProfilePages,
    decoder: ProfileDecoder,
    /// A page of which some results are still to be decoded, and how many were.
    rest: Option<(Page, usize)>,
    /// Why there are no more pages.
    failure: Option<mixpanel_client::Error>,
    progress: &'a mut ProfileProgress,
    started: Instant,
    on_progress: OnProfileProgress<'a>,
}

impl<'a> ProfileSource<'a> {
    fn new(
        pages: ProfilePages,
        progress: &'a mut ProfileProgress,
        started: Instant,
        on_progress: OnProfileProgress<'a>,
    ) -> Self {
        let decoder = ProfileDecoder::new(&ColumnPlan::all());
        ProfileSource { pages, decoder, rest: None, failure: None, progress, started, on_progress }
    }

    /// The next page; `None` when all are here, and proven so.
    fn next_page(&mut self) -> Result<Option<Page>> {
        match self.pages.next() {
            None => Ok(None),
            Some(Ok(page)) => {
                self.progress.results = self.pages.results_seen();
                self.progress.total = self.pages.total();
                self.progress.pages = self.pages.pages_seen();
                self.progress.bytes_decoded = self.pages.bytes_seen();
                self.progress.elapsed = self.started.elapsed();
                (self.on_progress)(self.progress);
                Ok(Some(page))
            }
            Some(Err(error)) => {
                self.failure = Some(error);
                Err(ErrorKind::Cancelled.into())
            }
        }
    }

    /// Decodes results of a page until the batch is full; keeps what is left. Whether it is full.
    fn decode(&mut self, page: Page, done: usize) -> bool {
        for (at, (number, result)) in page.results().enumerate().skip(done) {
            if is_full(self.decoder.rows(), self.decoder.bytes(), result.len()) {
                self.rest = Some((page.clone(), at));
                return true;
            }
            self.decoder.push(result, number);
        }
        false
    }
}

impl BatchSource for ProfileSource<'_> {
    fn next_batch(&mut self) -> Result<Option<DecodedBatch>> {
        loop {
            let (page, done) = match self.rest.take() {
                Some(rest) => rest,
                None => match self.next_page()? {
                    Some(page) => (page, 0),
                    None => break,
                },
            };
            if self.decode(page, done) {
                break;
            }
        }
        let batch = self.decoder.finish_batch();
        Ok((batch.lines > 0).then_some(batch))
    }

    fn set_plan(&mut self, plan: ColumnPlan) {
        self.decoder.set_plan(plan);
    }
}
