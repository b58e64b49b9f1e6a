//! Exact search: every row is compared with every query, block by block.

use std::sync::{Mutex, PoisonError};

use residual_kernels::{Cpu, DotProducts};

use crate::top::Top;
use crate::{Error, Hit, unit};

/// Rows of a block: its products with a batch of queries are looked at while they are in a cache.
pub const BLOCK: usize = 2048;

/// Queries that are compared with a block at once. They stay in the level 2 cache.
const TOGETHER: usize = 128;

/// Vectors in memory, each of length 1, for an exact search: the products of all rows with all queries by the kernels'
/// [`DotProducts`], of which the best are kept a query.
///
/// ```
/// use residual_kernels::Cpu;
/// use residual_search::Vectors;
///
/// let vectors = Vectors::new(vec![1.0, 0.0, 1.0, 1.0, 0.0, -2.0], 2)?;
/// let hits = vectors.search(&Cpu::new(1)?, &[5.0, 5.0], 2)?;
/// assert_eq!((hits[0][0].row, hits[0][1].row), (1, 0));
/// assert!((hits[0][0].score - 1.0).abs() < 1e-6);
/// # Ok::<(), residual_search::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Vectors {
    rows: Vec<f32>,
    length: usize,
}

impl Vectors {
    /// Vectors `[rows][length]`, one behind the other, which are divided by their norms.
    ///
    /// # Errors
    /// [`Error::Length`] where they are not whole rows; [`Error::NotFinite`].
    pub fn new(mut rows: Vec<f32>, length: usize) -> Result<Self, Error> {
        check_rows("the vectors", &rows, length)?;
        unit::normalise(&mut rows, length, 0, "the vectors")?;
        Ok(Self { rows, length })
    }

    /// Vectors that have length 1 already.
    pub(crate) fn of_units(rows: Vec<f32>, length: usize) -> Self {
        Self { rows, length }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.rows.len() / self.length
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Length of a vector.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Vector of a row, of length 1.
    ///
    /// # Panics
    /// For a row that there is not.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.length..][..self.length]
    }

    /// All vectors, `[rows][length]`.
    pub fn values(&self) -> &[f32] {
        &self.rows
    }

    /// The `top` rows that are most similar to each of `queries`, `[queries][length]`, the best first; of equal ones the
    /// first. The same bits for any number of threads, and for a query whatever others are beside it.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`].
    pub fn search(&self, cpu: &Cpu, queries: &[f32], top: usize) -> Result<Vec<Vec<Hit>>, Error> {
        let mut search = Search::new(queries, self.length, top)?;
        for (block, rows) in self.rows.chunks(BLOCK * self.length).enumerate() {
            search.add(cpu, (block * BLOCK) as u32, rows)?;
        }
        Ok(search.finish())
    }
}

/// Checks that values are whole rows.
pub(crate) fn check_rows(name: &str, rows: &[f32], length: usize) -> Result<(), Error> {
    match length > 0 && rows.len().is_multiple_of(length) {
        true => Ok(()),
        false => Err(Error::Length { name: name.to_owned(), expected: length, found: rows.len() }),
    }
}

/// A search under way: blocks of rows are added in their order.
pub(crate) struct Search {
    queries: Vec<f32>,
    length: usize,
    tops: Vec<Mutex<Top>>,
    products: Vec<f32>,
}

impl Search {
    pub(crate) fn new(queries: &[f32], length: usize, top: usize) -> Result<Self, Error> {
        check_rows("the query", queries, length)?;
        let mut queries = queries.to_vec();
        unit::normalise(&mut queries, length, 0, "the query")?;
        let tops = (0..queries.len() / length).map(|_| Mutex::new(Top::new(top))).collect();
        Ok(Self { queries, length, tops, products: Vec::new() })
    }

    /// Compares all queries with rows of length 1, the first of which is number `first`.
    pub(crate) fn add(&mut self, cpu: &Cpu, first: u32, rows: &[f32]) -> Result<(), Error> {
        let count = rows.len() / self.length;
        if count == 0 {
            return Ok(());
        }
        let batches = self.queries.chunks(TOGETHER * self.length).zip(self.tops.chunks(TOGETHER));
        for (queries, tops) in batches {
            let sizes = DotProducts { rows: count, queries: tops.len(), length: self.length };
            self.products.resize(count * tops.len(), 0.0);
            sizes.run(cpu, rows, queries, &mut self.products)?;
            let products = &self.products;
            cpu.pool().for_each(tops.len(), |query, _| {
                let mut top = tops[query].lock().unwrap_or_else(PoisonError::into_inner);
                top.offer_all(first, &products[query * count..][..count]);
            });
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Vec<Vec<Hit>> {
        let top = |top: Mutex<Top>| top.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.tops.into_iter().map(|one| top(one).into_sorted()).collect()
    }
}
