//! Writing of indices.

use std::io::Write;
use std::mem::take;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use crate::facts::{KEY, hexadecimal};
use crate::{Error, Facts, Row, arrow};

/// Columns of the table. Lists are written as the format has them; the metadata say to Arrow that all have one length.
const SCHEMA: &str = "message index {
    required binary path (STRING);
    optional binary split (STRING);
    optional binary label (STRING);
    required group embedding (LIST) { repeated group list { required float element; } }
}";

/// Bytes of the vectors of a row group.
const GROUP: usize = 4 << 20;

/// The most rows of a row group.
const GROUP_ROWS: usize = 1 << 16;

/// Writer of an index: a Parquet table with the columns `path`, `split`, `label` and `embedding`, lists of 32-bit
/// floats of one length, and with [`Facts`] in its metadata. A row group of 4 MiB is in memory at a time.
///
/// ```no_run
/// # fn write(facts: residual_search::Facts) -> Result<(), residual_search::Error> {
/// use residual_search::{IndexWriter, Row};
///
/// let mut writer = IndexWriter::new(Vec::new(), facts)?;
/// writer.add(Row::new("a.jpg"), &[0.5; 512])?;
/// let bytes = writer.finish()?;
/// # Ok(())
/// # }
/// ```
pub struct IndexWriter<W: Write> {
    out: W,
    table: SerializedFileWriter<Vec<u8>>,
    facts: Facts,
    digest: Sha256,
    rows: Vec<Row>,
    vectors: Vec<f32>,
}

impl<W: Write> IndexWriter<W> {
    /// Writer of an index with these facts; their digest is filled in at the end.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn new(out: W, facts: Facts) -> Result<Self, Error> {
        let schema = parse_message_type(SCHEMA).map_err(failed)?;
        let vectors = ["embedding", "list", "element"].map(str::to_owned).to_vec();
        let properties = WriterProperties::builder()
            .set_created_by(format!("residual {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::SNAPPY)
            .set_column_compression(ColumnPath::new(vectors), Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_column_dictionary_enabled("split".into(), true)
            .set_column_dictionary_enabled("label".into(), true)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true)
            .build();
        let table = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties));
        let table = table.map_err(failed)?;
        Ok(Self { out, table, facts, digest: Sha256::new(), rows: Vec::new(), vectors: Vec::new() })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::Length`] for a vector of another length than the facts say, [`Error::NotFinite`] for one that is not
    /// finite; [`Error::Write`].
    pub fn add(&mut self, row: Row, vector: &[f32]) -> Result<(), Error> {
        let length = self.facts.length;
        if vector.len() != length {
            return Err(Error::Length { name: row.path, expected: length, found: vector.len() });
        }
        let from = self.vectors.len();
        self.vectors.extend_from_slice(vector);
        match self.facts.normalised {
            true => crate::unit::normalise(&mut self.vectors[from..], length, 0, &row.path)?,
            false if vector.iter().any(|value| !value.is_finite()) => {
                return Err(Error::NotFinite { name: row.path, row: 0 });
            }
            false => {}
        }
        self.digest.update((row.path.len() as u64).to_le_bytes());
        self.digest.update(row.path.as_bytes());
        for value in &self.vectors[from..] {
            self.digest.update(value.to_le_bytes());
        }
        self.rows.push(row);
        match self.rows.len() >= (GROUP / (4 * length)).clamp(1, GROUP_ROWS) {
            true => self.write_group(),
            false => Ok(()),
        }
    }

    fn write_group(&mut self) -> Result<(), Error> {
        let (rows, vectors) = (take(&mut self.rows), take(&mut self.vectors));
        if !rows.is_empty() {
            let mut group = self.table.next_row_group().map_err(failed)?;
            write_columns(&mut group, &rows, &vectors, self.facts.length).map_err(failed)?;
            group.close().map_err(failed)?;
        }
        self.pass_on()
    }

    /// Gives what the table has written to where it goes.
    fn pass_on(&mut self) -> Result<(), Error> {
        let written = self.table.flush().and_then(|()| self.out.write_all(self.table.inner()));
        self.table.inner_mut().clear();
        written.map_err(|error| Error::Write(error.to_string()))
    }

    /// Writes what is left, and the facts; gives back where it went.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(mut self) -> Result<W, Error> {
        self.write_group()?;
        self.facts.digest = hexadecimal(take(&mut self.digest));
        let facts = serde_json::to_string(&self.facts).map_err(|error| Error::Write(error.to_string()))?;
        let schema = arrow::schema(self.facts.length);
        self.table.append_key_value_metadata(KeyValue::new(arrow::KEY.to_owned(), schema));
        self.table.append_key_value_metadata(KeyValue::new(KEY.to_owned(), facts));
        self.table.finish().map_err(failed)?;
        self.pass_on()?;
        Ok(self.out)
    }
}

fn failed(error: ParquetError) -> Error {
    Error::Write(error.to_string())
}

fn write_columns(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: &[Row],
    vectors: &[f32],
    length: usize,
) -> Result<(), ParquetError> {
    let paths: Vec<ByteArray> = rows.iter().map(|row| row.path.as_str().into()).collect();
    write_texts(group, &paths, None)?;
    for text in [|row: &Row| row.split.clone(), |row: &Row| row.label.clone()] {
        let texts: Vec<Option<String>> = rows.iter().map(text).collect();
        let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
        let texts: Vec<ByteArray> = texts.iter().flatten().map(|text| text.as_str().into()).collect();
        write_texts(group, &texts, Some(&levels))?;
    }
    let present = vec![1; vectors.len()];
    let starts: Vec<i16> = (0..vectors.len()).map(|at| i16::from(!at.is_multiple_of(length))).collect();
    if let Some(mut column) = group.next_column()? {
        column.typed::<FloatType>().write_batch(vectors, Some(&present), Some(&starts))?;
        column.close()?;
    }
    Ok(())
}

fn write_texts(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    texts: &[ByteArray],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    column.typed::<ByteArrayType>().write_batch(texts, levels, None)?;
    column.close()
}
