//! Parquet files and Arrow IPC streams: batches as they are.

use std::io;
use std::sync::Arc;

use mixpanel_data::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use mixpanel_data::arrow::error::ArrowError;
use mixpanel_data::arrow::ipc::writer::StreamWriter;
use mixpanel_data::arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::json::distinct;
use super::{Out, Sink, clean};
use crate::error::Error;

/// One Parquet file, compressed with Snappy. The footer is written by `end`.
pub(super) struct Parquet {
    out: Option<Out>,
    writer: Option<ArrowWriter<Out>>,
    schema: SchemaRef,
}

/// Whether a Parquet file can hold these columns.
pub(super) fn check(schema: &Schema) -> Result<(), Error> {
    let is_union = |field: &&Field| matches!(field.data_type(), DataType::Union(..));
    for field in schema.fields() {
        let with_nested = Schema::new(vec![Arc::clone(field)]);
        if with_nested.flattened_fields().iter().any(is_union) {
            return Err(Error::setting(
                format!(
                    "the column {} cannot be written as Parquet, which has no type for its UNION",
                    clean(field.name())
                ),
                "cast the column to another type in the query, for instance: column::VARCHAR",
            ));
        }
    }
    Ok(())
}

impl Parquet {
    pub(super) fn new(out: Out) -> Self {
        Parquet { out: Some(out), writer: None, schema: Arc::new(Schema::empty()) }
    }
}

impl Sink for Parquet {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        self.schema = named(schema);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        if let Some(out) = self.out.take() {
            let writer = ArrowWriter::try_new(out, Arc::clone(&self.schema), Some(properties));
            self.writer = Some(writer.map_err(of_parquet)?);
        }
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns = batch.columns().to_vec();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(of_arrow)?;
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(&batch).map_err(of_parquet))
    }

    fn end(self: Box<Self>) -> io::Result<Out> {
        self.writer.ok_or_else(begun)?.into_inner().map_err(of_parquet)
    }
}

/// One Arrow IPC stream.
pub(super) struct Arrow {
    out: Option<Out>,
    writer: Option<StreamWriter<Out>>,
}

impl Arrow {
    pub(super) fn new(out: Out) -> Self {
        Arrow { out: Some(out), writer: None }
    }
}

impl Sink for Arrow {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        if let Some(out) = self.out.take() {
            self.writer = Some(StreamWriter::try_new(out, schema).map_err(of_arrow)?);
        }
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(batch).map_err(of_arrow))
    }

    fn end(self: Box<Self>) -> io::Result<Out> {
        self.writer.ok_or_else(begun)?.into_inner().map_err(of_arrow)
    }
}

fn begun() -> io::Error {
    io::Error::other("the columns are not known yet")
}

/// Columns of one name would hide each other in a Parquet file.
fn named(schema: &SchemaRef) -> SchemaRef {
    let names = distinct(schema.fields().iter().map(|field| field.name().as_str()));
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .zip(names)
        .map(|(field, name)| field.as_ref().clone().with_name(name))
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The failure of the stream itself, which tells a closed pipe from a full disk.
fn of_arrow(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}

fn of_parquet(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
