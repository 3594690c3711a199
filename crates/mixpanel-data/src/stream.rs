//! Rows straight from Mixpanel, without storing them.

use std::collections::HashSet;

use arrow::array::AsArray;
use jiff::Timestamp;
use mixpanel_client::Client;
use mixpanel_client::discovery::UnknownName;
use mixpanel_client::engage::EngageRequest;
use mixpanel_client::export::{ColumnPlan, ExportRequest};
use mixpanel_client::schema::EVENT_NAME;
use mixpanel_client::stream::{Buffer, EventStream, ProfileStream, StreamBatch, StreamCounts, StreamOptions};

use crate::error::Result;
use crate::fetch::{api_error, check_days};
use crate::workspace::Project;

/// What failed, in errors.
const EVENTS: &str = "the stream of events";
const PROFILES: &str = "the stream of profiles";

/// Rows from Mixpanel, batch by batch. After an error there is nothing more.
///
/// Unless they are unbuffered, rows come out once their chunk is known to be
/// complete: some days of events, or all profiles that were asked for. A
/// download that breaks off is begun again, and no row of it comes twice.
#[derive(Debug)]
pub struct RowStream {
    rows: Kind,
    client: Client,
    /// Events that were asked for by name, and of which none has come.
    unseen: Vec<String>,
}

#[derive(Debug)]
enum Kind {
    Events(Box<EventStream>),
    Profiles(Box<ProfileStream>),
}

impl RowStream {
    /// What came out so far.
    pub fn counts(&self) -> StreamCounts {
        match &self.rows {
            Kind::Events(stream) => stream.counts(),
            Kind::Profiles(stream) => stream.counts(),
        }
    }

    /// At the end: the events asked for by name that did not come, and that Mixpanel does not list.
    /// Finding out takes a query, if there is such a name at all.
    pub fn unknown_names(&self) -> Vec<UnknownName> {
        let unseen = || self.unseen.iter().map(String::as_str);
        let unchecked = || unseen().map(UnknownName::unchecked).collect();
        self.client.unknown_events(unseen()).unwrap_or_else(unchecked)
    }

    fn see(&mut self, batch: &StreamBatch) {
        if self.unseen.is_empty() {
            return;
        }
        if let Some(names) = batch.decoded.rows.column_by_name(EVENT_NAME) {
            let names: HashSet<&str> = names.as_string::<i32>().iter().flatten().collect();
            self.unseen.retain(|name| !names.contains(name.as_str()));
        }
    }
}

impl Iterator for RowStream {
    type Item = Result<StreamBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let (what, batch) = match &mut self.rows {
            Kind::Events(stream) => (EVENTS, stream.next()?),
            Kind::Profiles(stream) => (PROFILES, stream.next()?),
        };
        if let Ok(batch) = &batch {
            self.see(batch);
        }
        Some(batch.map_err(|error| api_error(what.to_owned(), error)))
    }
}

/// Where the rows of a stream wait until they are known to be complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StreamBuffer {
    /// In memory, and what is more than 64 MB (compressed) in a private file
    /// without a name in the system's folder for temporary files. Of a workspace
    /// in memory: in memory only.
    #[default]
    Usual,
    /// In memory only, and at most so many bytes (compressed).
    Memory(usize),
    /// Nowhere: rows come out at once, and a download that breaks off is an
    /// error. Begun again, the stream repeats them.
    Unbuffered,
}

impl StreamBuffer {
    /// In memory only, with a bound of 1 GB.
    pub fn memory() -> Self {
        StreamBuffer::Memory(16 * Buffer::BYTES)
    }

    fn resolve(&self) -> Buffer {
        match self {
            StreamBuffer::Usual => Buffer::Spill { bytes: Buffer::BYTES, folder: std::env::temp_dir() },
            StreamBuffer::Memory(bytes) => Buffer::Memory { bytes: *bytes },
            StreamBuffer::Unbuffered => Buffer::None,
        }
    }
}

impl Project {
    /// Hands raw events out without storing them, in the order of their days.
    /// `now` says which days have begun.
    ///
    /// ```no_run
    /// use jiff::{Timestamp, civil::date};
    /// use mixpanel_data::{ExportRequest, Project, Shape, StreamBuffer};
    /// # fn example(project: &Project) -> mixpanel_data::Result<()> {
    /// let january = ExportRequest::days(date(2024, 1, 1), date(2024, 1, 31));
    /// for batch in project.stream_events(&january, &StreamBuffer::Usual, Timestamp::now())? {
    ///     for event in batch?.json(Shape::Record) {
    ///         println!("{event}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument). The stream's own
    /// errors are [`Api`](crate::ErrorKind::Api) and those of the temporary file.
    pub fn stream_events(
        &self,
        request: &ExportRequest,
        buffer: &StreamBuffer,
        now: Timestamp,
    ) -> Result<RowStream> {
        check_days(request.from, request.to, self.clock.day_of(now.as_microsecond()))?;
        let mut options = StreamOptions::new(buffer.resolve());
        options.clock = self.clock.clone();
        let stream = self.client.stream_events(request, options);
        let stream = stream.map_err(|error| api_error(EVENTS.to_owned(), error))?;
        let rows = Kind::Events(Box::new(stream));
        Ok(RowStream { rows, client: self.client.clone(), unseen: request.events.clone() })
    }

    /// Hands profiles out without storing them.
    ///
    /// # Errors
    /// As [`stream_events`](Self::stream_events).
    pub fn stream_profiles(&self, request: &EngageRequest, buffer: &StreamBuffer) -> Result<RowStream> {
        let stream = self.client.stream_profiles(request, buffer.resolve(), &ColumnPlan::default());
        let stream = stream.map_err(|error| api_error(PROFILES.to_owned(), error))?;
        let rows = Kind::Profiles(Box::new(stream));
        Ok(RowStream { rows, client: self.client.clone(), unseen: Vec::new() })
    }
}
