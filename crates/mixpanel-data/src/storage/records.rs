//! Records given by a caller, as the writer wants them: decoded batches.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use jiff::Timestamp;
use mixpanel_client::engage::{ProfileDecoder, ProfileParts};
use mixpanel_client::export::{ColumnPlan, DecodeOptions, DecodedBatch, EventDecoder, RecordParts};
use mixpanel_client::schema::{DISTINCT_ID, EVENT_NAME, EVENT_TIME, INSERT_ID, LAST_SEEN, PROPERTIES};

use super::chunk::BatchSource;
use crate::error::{Error, ErrorKind, Result};

/// So many rows, or bytes of text, make a batch. Larger batches decode slower:
/// they leave the processor's caches (measured, see the client's decode bench).
pub(super) const BATCH_ROWS: usize = 2_048;
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// Whether a batch of so many rows and bytes of text is full before a text of `next` bytes. An empty
/// one takes a text of any size.
pub(crate) fn is_full(rows: usize, bytes: usize, next: usize) -> bool {
    rows >= BATCH_ROWS || bytes >= BATCH_BYTES || (rows > 0 && bytes + next > BATCH_BYTES)
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The event's name.
    pub event_name: String,
    /// When it happened (an instant).
    pub event_time: Timestamp,
    /// Whose event it is; may be empty.
    pub distinct_id: String,
    /// Mixpanel's `$insert_id`. Without one, a hash of the event takes its place.
    pub insert_id: Option<String>,
    /// The properties: the text of a JSON object, stored as it is.
    pub properties: String,
}

/// One profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileRecord {
    /// Whose profile it is.
    pub distinct_id: String,
    /// The properties: the text of a JSON object, stored as it is.
    pub properties: String,
    /// When the profile was last updated (an instant).
    pub last_seen: Option<Timestamp>,
}

/// Rows for a table: plain records, or Arrow batches with the same columns.
///
/// Events have the columns `event_name`, `event_time`, `distinct_id`,
/// `insert_id` and `properties`; profiles `distinct_id`, `properties` and
/// `last_seen`. `properties` is the text of a JSON object.
pub struct Rows<'a, R>(Kind<'a, R>);

enum Kind<'a, R> {
    Records(Box<dyn Iterator<Item = Result<R>> + 'a>),
    Batches(Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>),
}

impl<'a, R: 'a> Rows<'a, R> {
    /// Rows from any iterator of records.
    pub fn records(records: impl IntoIterator<Item = R, IntoIter: 'a>) -> Self {
        Self::try_records(records.into_iter().map(Ok))
    }

    /// Rows from an iterator that may fail: its error undoes the call, and is
    /// returned.
    pub fn try_records(records: impl IntoIterator<Item = Result<R>, IntoIter: 'a>) -> Self {
        Rows(Kind::Records(Box::new(records.into_iter())))
    }

    /// Rows from any iterator of Arrow batches.
    pub fn batches(batches: impl IntoIterator<Item = RecordBatch, IntoIter: 'a>) -> Self {
        Self::try_batches(batches.into_iter().map(Ok))
    }

    /// Rows from batches that may fail to come, as [`try_records`](Self::try_records).
    pub fn try_batches(batches: impl IntoIterator<Item = Result<RecordBatch>, IntoIter: 'a>) -> Self {
        Rows(Kind::Batches(Box::new(batches.into_iter())))
    }
}

impl<R> std::fmt::Debug for Rows<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::Records(_) => "Rows::records(..)",
            Kind::Batches(_) => "Rows::batches(..)",
        })
    }
}

impl<R> From<Vec<R>> for Rows<'_, R>
where
    R: 'static,
{
    fn from(records: Vec<R>) -> Self {
        Rows::records(records)
    }
}

/// What the two kinds of records have in common.
pub(crate) trait Record: Sized {
    /// What decodes it.
    type Decoder: Decoder;
    /// Decodes it.
    fn push(&self, decoder: &mut Self::Decoder, number: u64);
    /// Row `row` of a caller's batch.
    fn from_batch(columns: &Columns, row: usize) -> Result<Self>;
    /// The columns a batch must have, with the types they are cast to.
    fn columns() -> Vec<(&'static str, DataType)>;
}

/// What the two decoders have in common.
pub(crate) trait Decoder {
    fn begin() -> Self;
    fn rows(&self) -> usize;
    fn bytes(&self) -> usize;
    fn set_plan(&mut self, plan: ColumnPlan);
    fn finish_batch(&mut self) -> DecodedBatch;
}

impl Decoder for EventDecoder {
    fn begin() -> Self {
        EventDecoder::new(DecodeOptions::default())
    }

    fn rows(&self) -> usize {
        self.rows()
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn set_plan(&mut self, plan: ColumnPlan) {
        self.set_plan(plan);
    }

    fn finish_batch(&mut self) -> DecodedBatch {
        self.finish_batch()
    }
}

impl Decoder for ProfileDecoder {
    fn begin() -> Self {
        ProfileDecoder::new(&ColumnPlan::default())
    }

    fn rows(&self) -> usize {
        self.rows()
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn set_plan(&mut self, plan: ColumnPlan) {
        self.set_plan(plan);
    }

    fn finish_batch(&mut self) -> DecodedBatch {
        self.finish_batch()
    }
}

/// A caller's batch with its columns found and cast.
pub(crate) struct Columns(Vec<ArrayRef>);

impl Columns {
    fn text(&self, at: usize, row: usize) -> Result<String, String> {
        let column = self.0[at].as_string::<i32>();
        if column.is_null(row) { Err("is null".into()) } else { Ok(column.value(row).to_owned()) }
    }

    fn time(&self, at: usize, row: usize) -> Option<Timestamp> {
        let column = self.0[at].as_primitive::<TimestampMicrosecondType>();
        column.is_valid(row).then(|| Timestamp::from_microsecond(column.value(row)).ok()).flatten()
    }
}

fn invalid(row: usize, column: &str, why: &str) -> Error {
    ErrorKind::InvalidRecord { row: row as u64 + 1, why: format!("{column} {why}") }.into()
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

impl Record for EventRecord {
    type Decoder = EventDecoder;

    fn push(&self, decoder: &mut EventDecoder, number: u64) {
        let parts = RecordParts {
            event_name: &self.event_name,
            time_us: self.event_time.as_microsecond(),
            distinct_id: &self.distinct_id,
            insert_id: self.insert_id.as_deref().filter(|id| !id.is_empty()),
            properties: self.properties.as_bytes(),
        };
        decoder.push_record(&parts, number);
    }

    fn columns() -> Vec<(&'static str, DataType)> {
        vec![
            (EVENT_NAME, DataType::Utf8),
            (EVENT_TIME, time_type()),
            (DISTINCT_ID, DataType::Utf8),
            (INSERT_ID, DataType::Utf8),
            (PROPERTIES, DataType::Utf8),
        ]
    }

    fn from_batch(columns: &Columns, row: usize) -> Result<Self> {
        let text = |at: usize, name: &str| columns.text(at, row).map_err(|why| invalid(row, name, &why));
        Ok(EventRecord {
            event_name: text(0, EVENT_NAME)?,
            event_time: columns
                .time(1, row)
                .ok_or_else(|| invalid(row, EVENT_TIME, "is null or out of range"))?,
            distinct_id: text(2, DISTINCT_ID)?,
            insert_id: columns.text(3, row).ok(),
            properties: columns.text(4, row).unwrap_or_else(|_| "{}".into()),
        })
    }
}

impl Record for ProfileRecord {
    type Decoder = ProfileDecoder;

    fn push(&self, decoder: &mut ProfileDecoder, number: u64) {
        let parts = ProfileParts {
            distinct_id: &self.distinct_id,
            last_seen_us: self.last_seen.map(|time| time.as_microsecond()),
            properties: self.properties.as_bytes(),
        };
        decoder.push_record(&parts, number);
    }

    fn columns() -> Vec<(&'static str, DataType)> {
        vec![(DISTINCT_ID, DataType::Utf8), (PROPERTIES, DataType::Utf8), (LAST_SEEN, time_type())]
    }

    fn from_batch(columns: &Columns, row: usize) -> Result<Self> {
        Ok(ProfileRecord {
            distinct_id: columns.text(0, row).map_err(|why| invalid(row, DISTINCT_ID, &why))?,
            properties: columns.text(1, row).unwrap_or_else(|_| "{}".into()),
            last_seen: columns.time(2, row),
        })
    }
}

/// Records as a source of decoded batches. A record that cannot be stored is an
/// error, so that the caller's whole call is undone.
pub(crate) struct RecordSource<'a, R: Record> {
    records: Box<dyn Iterator<Item = Result<R>> + 'a>,
    decoder: R::Decoder,
    taken: u64,
}

impl<'a, R: Record + 'a> RecordSource<'a, R> {
    pub(crate) fn new(rows: Rows<'a, R>) -> Self {
        let records: Box<dyn Iterator<Item = Result<R>> + 'a> = match rows.0 {
            Kind::Records(records) => records,
            Kind::Batches(batches) => Box::new(batches.flat_map(records_of)),
        };
        RecordSource { records, decoder: R::Decoder::begin(), taken: 0 }
    }
}

/// The records of a caller's batch, made one by one: the batch may be all that there is.
fn records_of<'a, R: Record + 'a>(batch: Result<RecordBatch>) -> Box<dyn Iterator<Item = Result<R>> + 'a> {
    match batch.and_then(|batch| Ok((batch.num_rows(), find_columns::<R>(&batch)?))) {
        Ok((rows, columns)) => Box::new((0..rows).map(move |row| R::from_batch(&columns, row))),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

fn find_columns<R: Record>(batch: &RecordBatch) -> Result<Columns> {
    let find = |(name, wanted): (&'static str, DataType)| {
        let column = batch
            .column_by_name(name)
            .ok_or_else(|| Error::argument("batch", format!("it has no column {name}")))?;
        cast(column, &wanted).map_err(|error| {
            Error::argument("batch", format!("column {name} cannot become {wanted}: {error}"))
        })
    };
    Ok(Columns(R::columns().into_iter().map(find).collect::<Result<_>>()?))
}

impl<R: Record> BatchSource for RecordSource<'_, R> {
    fn next_batch(&mut self) -> Result<Option<DecodedBatch>> {
        let before = self.taken;
        while !is_full(self.decoder.rows(), self.decoder.bytes(), 0) {
            let Some(record) = self.records.next().transpose()? else { break };
            self.taken += 1;
            record.push(&mut self.decoder, self.taken);
        }
        if self.taken == before {
            return Ok(None);
        }
        let batch = self.decoder.finish_batch();
        if let Some(reject) = batch.rejects.first() {
            return Err(ErrorKind::InvalidRecord { row: reject.line, why: reject.reason.to_string() }.into());
        }
        Ok(Some(batch))
    }

    fn set_plan(&mut self, plan: ColumnPlan) {
        self.decoder.set_plan(plan);
    }
}
