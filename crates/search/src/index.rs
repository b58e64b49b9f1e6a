//! Indices that are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use residual_data::{Pipeline, PipelineOptions, VectorTable};
use residual_files::require_memory;
use residual_kernels::Cpu;

use crate::exact::Search;
use crate::facts::{Facts, KEY};
use crate::{Error, Hit, Vectors, unit};

/// Memory that the footer and a row group of an index may take, in bytes.
const LIMIT: u64 = 4 << 30;

/// Row groups that are read ahead of the one that is compared, a thread.
const AHEAD: usize = 2;

/// Names of the columns of texts, in the order of [`Row`]'s fields.
const TEXTS: [&str; 3] = ["path", "split", "label"];

/// Row of an index, without its vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// Path of the image, from the folder of the data; its name in an archive or a table.
    pub path: String,
    /// Split, where the data has any.
    pub split: Option<String>,
    /// Name of its class, where it has one.
    pub label: Option<String>,
}

impl Row {
    /// Row of an image without split and label.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), split: None, label: None }
    }

    /// Changes fields.
    #[must_use]
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

/// Index of embeddings that is searched.
///
/// ```no_run
/// use residual_kernels::Cpu;
/// use residual_search::Index;
///
/// let index = Index::open("embeddings.parquet")?;
/// let cpu = Cpu::new(2)?;
/// for hit in &index.search(&cpu, &index.vector(17)?, 10)?[0] {
///     println!("{:.3} {}", hit.score, index.row(hit.row)?.path);
/// }
/// # Ok::<(), residual_search::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Index {
    path: PathBuf,
    table: Arc<VectorTable>,
    facts: Facts,
}

impl Index {
    /// Opens an index: its footer is read, and none of its vectors.
    ///
    /// # Errors
    /// [`Error::Table`] for a file that is no table of vectors, [`Error::NoFacts`] and [`Error::BadFacts`] for one that
    /// does not say what they are.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let table = VectorTable::open(path.as_ref(), "embedding", &TEXTS, LIMIT)?;
        let text = table.metadata(KEY).ok_or_else(|| Error::NoFacts { file: table.name().to_owned() })?;
        let facts = Facts::read(table.name(), text)?;
        Ok(Self { path: path.as_ref().to_owned(), table: Arc::new(table), facts })
    }

    /// Path of the index.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the index, as errors name it.
    pub fn name(&self) -> &str {
        self.table.name()
    }

    /// Facts of its vectors.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Number of rows.
    pub fn len(&self) -> u64 {
        self.table.rows()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row of an index, without its vector.
    ///
    /// # Errors
    /// [`Error::NoRow`], [`Error::Table`].
    pub fn row(&self, row: u32) -> Result<Row, Error> {
        let (group, place) = self.place(row)?;
        Ok(self.group_rows(group)?.swap_remove(place))
    }

    /// Rows with these numbers, in their order: of every row group, the texts are read once.
    ///
    /// # Errors
    /// [`Error::NoRow`], [`Error::Table`].
    pub fn rows_at(&self, numbers: &[u32]) -> Result<Vec<Row>, Error> {
        let mut places = Vec::with_capacity(numbers.len());
        for (at, &number) in numbers.iter().enumerate() {
            let (group, place) = self.place(number)?;
            places.push((group, place, at));
        }
        places.sort_unstable();
        let mut found = vec![Row::default(); numbers.len()];
        for run in places.chunk_by(|one, other| one.0 == other.0) {
            let rows = self.group_rows(run[0].0)?;
            run.iter().for_each(|&(_, place, at)| found[at] = rows[place].clone());
        }
        Ok(found)
    }

    /// All rows, without their vectors.
    ///
    /// # Errors
    /// [`Error::Table`].
    pub fn rows(&self) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        for group in 0..self.table.groups().len() {
            rows.append(&mut self.group_rows(group)?);
        }
        Ok(rows)
    }

    /// Number of the first row with a path.
    ///
    /// # Errors
    /// [`Error::NoPath`], [`Error::Table`].
    pub fn find(&self, path: &str) -> Result<u32, Error> {
        for (group, range) in self.table.groups().iter().enumerate() {
            let paths = self.table.texts(0, group)?;
            if let Some(place) = paths.iter().position(|found| found.as_deref() == Some(path)) {
                return Ok(range.start as u32 + place as u32);
            }
        }
        Err(Error::NoPath { file: self.name().to_owned(), path: path.to_owned() })
    }

    /// Vector of a row, as it was written.
    ///
    /// # Errors
    /// [`Error::NoRow`], [`Error::Table`].
    pub fn vector(&self, row: u32) -> Result<Vec<f32>, Error> {
        let (group, place) = self.place(row)?;
        let length = self.facts.length;
        Ok(self.table.vectors(group, length)?[place * length..][..length].to_vec())
    }

    /// All vectors in memory, for many searches one after the other.
    ///
    /// # Errors
    /// [`Error::Memory`], [`Error::Table`], [`Error::NotFinite`].
    pub fn vectors(&self, threads: usize) -> Result<Vectors, Error> {
        let numbers = self.len().saturating_mul(self.facts.length as u64);
        let reason = |reason| Error::Memory { what: "an exact index", rows: self.len(), reason };
        require_memory(numbers.saturating_mul(4)).map_err(reason)?;
        let mut rows = Vec::new();
        self.for_each(threads, |_, mut unit| {
            rows.append(&mut unit);
            Ok(())
        })?;
        Ok(Vectors::of_units(rows, self.facts.length))
    }

    /// The `top` rows that are most similar to each of `queries`, `[queries][length]`, the best first; of equal ones the
    /// first. Row groups are read ahead and compared one after the other: a few of them are in memory, however large
    /// the index. The same bits as of [`Vectors::search`].
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`], [`Error::Table`].
    pub fn search(&self, cpu: &Cpu, queries: &[f32], top: usize) -> Result<Vec<Vec<Hit>>, Error> {
        let mut search = Search::new(queries, self.facts.length, top)?;
        self.for_each(cpu.pool().threads(), |first, rows| search.add(cpu, first, &rows))?;
        Ok(search.finish())
    }

    /// Gives the vectors of every row group in order, divided by their norms, with the number of the first.
    ///
    /// # Errors
    /// [`Error::Table`], [`Error::NotFinite`]; those of `body`.
    pub fn for_each(
        &self,
        threads: usize,
        mut body: impl FnMut(u32, Vec<f32>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (table, length) = (self.table.clone(), self.facts.length);
        let groups = 0..table.groups().len();
        let options = PipelineOptions::new(threads, AHEAD * threads.max(1));
        let firsts: Vec<u64> = table.groups().iter().map(|group| group.start).collect();
        let read = Pipeline::start(groups, options, move |group: usize, _: &_| {
            let mut rows = table.vectors(group, length)?;
            unit::normalise(&mut rows, length, table.groups()[group].start, table.name())?;
            Ok(rows)
        })?;
        for (first, rows) in firsts.into_iter().zip(read) {
            let rows: Result<Vec<f32>, Error> = rows?;
            body(first as u32, rows?)?;
        }
        Ok(())
    }

    /// Row group of a row, and its place there.
    fn place(&self, row: u32) -> Result<(usize, usize), Error> {
        let row = u64::from(row);
        if row >= self.len() {
            return Err(Error::NoRow { file: self.name().to_owned(), row, rows: self.len() });
        }
        let group = self.table.groups().partition_point(|group| group.end <= row);
        Ok((group, (row - self.table.groups()[group].start) as usize))
    }

    fn group_rows(&self, group: usize) -> Result<Vec<Row>, Error> {
        let [paths, splits, labels] = [0, 1, 2].map(|column| self.table.texts(column, group));
        let rows = paths?.into_iter().zip(splits?).zip(labels?);
        Ok(rows.map(|((path, split), label)| Row { path: path.unwrap_or_default(), split, label }).collect())
    }
}
