//! The pages of an engage query, in order.
//!
//! The first page counts as a query and opens a session, from which the others come: they do not
//! count, and are fetched by several threads. The session is a fixed result, so pages may be asked
//! for in any order. When it expires, or holds less than it promised, all of it must be asked for
//! again: then the error is transient, and says so.

use std::collections::VecDeque;

use super::ahead::{Ahead, Plan};
use super::page::{NoPage, Page};
use super::request::{EngageRequest, Fields};
use crate::api::{ApiRequest, refused};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};

/// The page size that Mixpanel uses when it does not say.
const USUAL_PAGE_SIZE: u64 = 1_000;

/// Bytes of pages that may wait or be on their way beside the one that is wanted.
const AHEAD_BYTES: usize = 64 << 20;

impl Client {
    /// Asks for profiles, and returns when the first page is here. The others are fetched by up to
    /// `concurrency` threads while the iterator is read; Mixpanel allows 5 requests at a time.
    ///
    /// ```no_run
    /// use mixpanel_client::engage::{EngageRequest, ProfileDecoder};
    /// use mixpanel_client::export::ColumnPlan;
    /// # fn example(client: &mixpanel_client::Client) -> mixpanel_client::Result<()> {
    /// let mut decoder = ProfileDecoder::new(&ColumnPlan::all());
    /// for page in client.profiles(&EngageRequest::default(), 5)? {
    ///     for (number, result) in page?.results() {
    ///         decoder.push(result, number);
    ///     }
    /// }
    /// // Only here are the results known to be complete.
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Any [`ErrorKind`] except those about exports. What has been read must be thrown away after an
    /// error of the iterator.
    pub fn profiles(&self, request: &EngageRequest, concurrency: usize) -> Result<ProfilePages> {
        let now = self.clock().now().duration_since(std::time::UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs() as i64);
        request.validate(now)?;
        let mut pages = ProfilePages {
            client: self.clone(),
            queries: request.forms(now).into(),
            concurrency: concurrency.clamp(1, ProfilePages::MAX_CONCURRENCY),
            current: None,
            results: 0,
            total: None,
            pages: 0,
            bytes: 0,
            done: false,
        };
        pages.open()?;
        Ok(pages)
    }
}

/// The pages that answer a request for profiles: an iterator that is complete when it ends without
/// an error.
///
/// # Errors
///
/// [`ErrorKind::SessionExpired`] and [`ErrorKind::MissingResults`] mean that the request should be
/// made again from its beginning. After any error there is nothing more.
#[derive(Debug)]
pub struct ProfilePages {
    client: Client,
    /// What is still to be asked.
    queries: VecDeque<Fields>,
    concurrency: usize,
    current: Option<Query>,
    results: u64,
    total: Option<u64>,
    pages: u64,
    bytes: u64,
    done: bool,
}

/// One query and its session.
#[derive(Debug)]
struct Query {
    fields: Fields,
    session: Option<String>,
    /// The first page, until it is taken.
    first: Option<Page>,
    page_size: u64,
    total: Option<u64>,
    /// The memory that the first page takes.
    largest: usize,
    /// How many results and pages were taken.
    received: u64,
    taken: u64,
    ended: bool,
    ahead: Option<Ahead<Result<Page>>>,
}

impl ProfilePages {
    /// How many requests of a project Mixpanel answers at a time.
    pub const MAX_CONCURRENCY: usize = 5;

    /// How many results there are, as far as the server said.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// How many results came so far.
    pub fn results_seen(&self) -> u64 {
        self.results
    }

    /// How many pages came so far.
    pub fn pages_seen(&self) -> u64 {
        self.pages
    }

    /// How many bytes of JSON came so far.
    pub fn bytes_seen(&self) -> u64 {
        self.bytes
    }

    /// Asks the next query for its first page.
    fn open(&mut self) -> Result<()> {
        let Some(fields) = self.queries.pop_front() else { return Ok(()) };
        let page = fetch(&self.client, &fields, None)?;
        let asked = fields.iter().find(|(name, _)| name == "page_size");
        let asked = asked.and_then(|(_, size)| size.parse().ok()).unwrap_or(USUAL_PAGE_SIZE);
        if let Some(total) = page.total {
            self.total = Some(self.total.unwrap_or(0) + total);
        }
        self.current = Some(Query {
            fields,
            session: page.session_id.clone(),
            page_size: page.page_size.filter(|size| *size > 0).unwrap_or(asked),
            total: page.total,
            largest: page.memory(),
            first: Some(page),
            received: 0,
            taken: 0,
            ended: false,
            ahead: None,
        });
        Ok(())
    }

    fn next_page(&mut self) -> Result<Option<Page>> {
        while let Some(query) = &mut self.current {
            if let Some(mut page) = query.next(&self.client, self.concurrency)? {
                page.first = self.results + 1;
                self.results += page.len() as u64;
                self.pages += 1;
                self.bytes += page.bytes();
                return Ok(Some(page));
            }
            self.current = None;
            self.open()?;
        }
        Ok(None)
    }
}

impl Iterator for ProfilePages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let page = self.next_page().transpose();
        self.done = !matches!(page, Some(Ok(_)));
        if self.done {
            // What runs ahead is not wanted any more.
            self.current = None;
        }
        page
    }
}

impl Query {
    fn next(&mut self, client: &Client, concurrency: usize) -> Result<Option<Page>> {
        if self.ended {
            return Ok(None);
        }
        let page = match self.first.take() {
            Some(page) => page,
            None => self.follow(client, concurrency)?,
        };
        self.taken += 1;
        self.received += page.len() as u64;
        let missing = self.total.filter(|total| self.received < *total);
        // A short page is the last one, unless the server said that there is more.
        let short = (page.len() as u64) < self.page_size;
        self.ended = page.is_empty() || (short && missing.is_none());
        match missing {
            Some(total) if self.ended => {
                Err(ErrorKind::MissingResults { received: self.received, total }.into())
            }
            _ if page.is_empty() => Ok(None),
            _ => Ok(Some(page)),
        }
    }

    /// A page behind the first.
    fn follow(&mut self, client: &Client, concurrency: usize) -> Result<Page> {
        if self.ahead.is_none() {
            let no_session = || ErrorKind::UnexpectedAnswer {
                what: "a full page of profiles without a session id for the next one".to_owned(),
                snippet: String::new(),
            };
            let session = self.session.clone().ok_or_else(no_session)?;
            // Without a total, as many pages as there are threads are tried beyond the last one.
            let pages = self.total.map_or(u64::MAX, |total| total.div_ceil(self.page_size));
            let threads = concurrency.min(pages.saturating_sub(self.taken).max(1) as usize);
            let plan = Plan {
                first: self.taken,
                end: pages,
                threads,
                capacity: AHEAD_BYTES,
                expected: self.largest,
                size: |page: &Result<Page>| page.as_ref().map_or(0, Page::memory),
            };
            let cancel = client.retrier().cancel.child();
            let (client, fields) = (client.with_cancel(cancel.clone()), self.fields.clone());
            let fetch = move |number| fetch(&client, &fields, Some((&*session, number)));
            self.ahead = Some(Ahead::start(plan, cancel, fetch));
        }
        let ahead = self.ahead.as_ref().expect("it was just made");
        ahead.take(self.taken).unwrap_or_else(|| Err(ErrorKind::Cancelled.into()))
    }
}

/// Fetches a page: the first one, or one of a session.
fn fetch(client: &Client, fields: &Fields, session: Option<(&str, u64)>) -> Result<Page> {
    let mut form = fields.clone();
    if let Some((session, number)) = session {
        form.push(("session_id".to_owned(), session.to_owned()));
        form.push(("page".to_owned(), number.to_string()));
    }
    let mut request = ApiRequest::engage("").post_form(form);
    if session.is_some() {
        request = request.uncounted();
    }
    let page = client.answer(&request, |answer, scrubber| {
        Page::read(answer.body()).map_err(|no_page| match no_page {
            NoPage::Error(message) => refused(&message, scrubber).into(),
            NoPage::Malformed => answer.not_json(scrubber).into(),
        })
    });
    page.map_err(|error| match (session, error.kind()) {
        (Some((_, page)), ErrorKind::BadRequest { message, .. } | ErrorKind::NotFound { message }) => {
            Error::new(ErrorKind::SessionExpired { page, message: message.clone() }).with_source(error)
        }
        _ => error,
    })
}
