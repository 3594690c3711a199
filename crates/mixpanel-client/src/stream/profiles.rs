//! Profiles as a stream: all that were asked for, proven complete before the first is handed out.

use std::fmt;

use bytes::Bytes;

use super::spool::{Blocks, Spool};
use super::{Buffer, StreamBatch, StreamCounts, push_line};
use crate::client::Client;
use crate::decode::ColumnPlan;
use crate::engage::{EngageRequest, ProfileDecoder, ProfilePages};
use crate::error::Result;

/// So many profiles make a batch.
const BATCH: usize = 1_000;

impl Client {
    /// Streams profiles without storing them.
    ///
    /// Unless the buffer is [`Buffer::None`], nothing is yielded before all pages are here: a
    /// session that expires in between is begun again, and no profile comes twice for that reason.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest). The stream's own errors are those of
    /// [`profiles`](Client::profiles), and [`BufferFull`](crate::ErrorKind::BufferFull).
    pub fn stream_profiles(
        &self,
        request: &EngageRequest,
        buffer: Buffer,
        plan: &ColumnPlan,
    ) -> Result<ProfileStream> {
        let now = self.clock().now().duration_since(std::time::UNIX_EPOCH);
        request.validate(now.map_or(0, |since| since.as_secs() as i64))?;
        Ok(ProfileStream {
            client: self.clone(),
            request: request.clone(),
            buffer,
            source: None,
            decoder: ProfileDecoder::new(plan),
            counts: StreamCounts::default(),
            done: false,
        })
    }
}

/// Profiles, batch by batch. After an error there is nothing more.
pub struct ProfileStream {
    client: Client,
    request: EngageRequest,
    buffer: Buffer,
    source: Option<Source>,
    decoder: ProfileDecoder,
    counts: StreamCounts,
    done: bool,
}

enum Source {
    /// As they come.
    Pages(Box<ProfilePages>),
    /// Whole and proven.
    Proven(Blocks),
}

impl ProfileStream {
    /// What was handed out so far.
    pub fn counts(&self) -> StreamCounts {
        self.counts
    }

    fn next_batch(&mut self) -> Result<Option<StreamBatch>> {
        let source = match &mut self.source {
            Some(source) => source,
            None => {
                let source = self.begin()?;
                self.source.insert(source)
            }
        };
        let mut results: Vec<Bytes> = Vec::new();
        match source {
            Source::Pages(pages) => {
                if let Some(page) = pages.next().transpose()? {
                    results.extend(page.texts());
                }
            }
            Source::Proven(blocks) => {
                for block in blocks.take(BATCH) {
                    results.push(block?);
                }
            }
        }
        if results.is_empty() {
            self.counts.chunks += 1;
            return Ok(None);
        }
        Ok(Some(self.decode(&results)))
    }

    fn begin(&self) -> Result<Source> {
        let pages = || self.client.profiles(&self.request, ProfilePages::MAX_CONCURRENCY);
        if self.buffer == Buffer::None {
            return Ok(Source::Pages(Box::new(pages()?)));
        }
        self.client.retrier().run(|| {
            let mut spool = Spool::new(&self.buffer);
            for page in pages()? {
                page?.texts().try_for_each(|result| spool.push(result))?;
            }
            Ok(Source::Proven(spool.into_blocks()?))
        })
    }

    fn decode(&mut self, results: &[Bytes]) -> StreamBatch {
        let mut raw = Vec::new();
        let first = self.counts.rows + self.counts.rejects + 1;
        for (number, result) in (first..).zip(results) {
            let rows = self.decoder.rows();
            self.decoder.push(result, number);
            if self.decoder.rows() > rows {
                push_line(result, &mut raw);
            }
        }
        let decoded = self.decoder.finish_batch();
        self.counts.rows += decoded.rows.num_rows() as u64;
        self.counts.rejects += decoded.rejects.len() as u64;
        StreamBatch::new(decoded, raw)
    }
}

impl Iterator for ProfileStream {
    type Item = Result<StreamBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = self.next_batch().transpose();
        self.done = !matches!(batch, Some(Ok(_)));
        batch
    }
}

impl fmt::Debug for ProfileStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileStream")
            .field("request", &self.request)
            .field("buffer", &self.buffer)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
