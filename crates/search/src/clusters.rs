//! The approximate index: rows by the centre that they are closest to.

mod build;
mod file;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Mutex;

use residual_kernels::{Cpu, DotProducts};

pub(crate) use self::build::fit;
use crate::exact::{Search, Vectors};
use crate::top::Top;
use crate::{Error, Hit, Index};

/// Options of building an approximate index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClustersOptions {
    /// Number of centres; `None` for the square root of the number of rows, as a multiple of 16.
    pub centres: Option<usize>,
    /// Rows for each centre that the centres are fitted to.
    pub sample: usize,
    /// Iterations of the fit.
    pub iterations: usize,
}

impl Default for ClustersOptions {
    /// A centre for the square root of the rows, 64 rows a centre, 8 iterations.
    fn default() -> Self {
        Self { centres: None, sample: 64, iterations: 8 }
    }
}

impl ClustersOptions {
    /// Changes fields.
    #[must_use]
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Number of centres for so many rows.
    fn centres(&self, rows: u64) -> usize {
        let root = rows.isqrt().div_ceil(16).saturating_mul(16) as usize;
        self.centres.unwrap_or(root).clamp(1, (rows as usize).max(1)).min(MOST_CENTRES)
    }
}

/// The most centres of an index.
const MOST_CENTRES: usize = 1 << 16;

/// Approximate index of a large [`Index`], in a file beside it: an inverted file (Jégou, Douze and Schmid 2011, "Product
/// quantization for nearest neighbor search", section 4, without the quantization).
///
/// Rows are kept in lists by the centre that they are most similar to; centres are fitted by spherical k-means (Dhillon
/// and Modha 2001). A query is compared with all centres, and with the rows of the lists of the nearest `probes` of them,
/// which are read from the file. The same rows give the same file, for any number of threads.
#[derive(Debug)]
pub struct Clusters {
    path: PathBuf,
    file: Mutex<File>,
    centres: Vectors,
    /// Row at which each list begins, and the number of rows at the end.
    starts: Vec<u64>,
    /// Bytes before the numbers of the rows, and before the vectors.
    offsets: [u64; 2],
}

impl Clusters {
    /// Number of lists.
    pub fn lists(&self) -> usize {
        self.centres.len()
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Lists that a query is compared with where nobody says: the square root of their number, 8 at least.
    pub fn usual_probes(&self) -> usize {
        self.lists().isqrt().max(8).min(self.lists())
    }

    /// The `top` rows that are most similar to each of `queries`, among those of the `probes` nearest lists.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`]; [`Error::Io`] and [`Error::Clusters`] for a file that has changed.
    pub fn search(
        &self,
        cpu: &Cpu,
        queries: &[f32],
        top: usize,
        probes: usize,
    ) -> Result<Vec<Vec<Hit>>, Error> {
        let nearest = self.centres.search(cpu, queries, probes)?;
        let length = self.centres.length();
        let queries = Vectors::new(queries.to_vec(), length)?;
        let mut tops: Vec<Top> = nearest.iter().map(|_| Top::new(top)).collect();
        // Every list is read once, for all queries that want it.
        let mut wanted: Vec<(u32, usize)> = nearest
            .iter()
            .enumerate()
            .flat_map(|(query, lists)| lists.iter().map(move |list| (list.row, query)))
            .collect();
        wanted.sort_unstable();
        let mut products = Vec::new();
        for run in wanted.chunk_by(|one, other| one.0 == other.0) {
            let (numbers, rows) = self.list(run[0].0 as usize)?;
            let asked: Vec<f32> = run.iter().flat_map(|&(_, query)| queries.row(query)).copied().collect();
            let sizes = DotProducts { rows: numbers.len(), queries: run.len(), length };
            products.resize(sizes.rows * sizes.queries, 0.0);
            sizes.run(cpu, &rows, &asked, &mut products)?;
            for (&(_, query), scores) in run.iter().zip(products.chunks(numbers.len().max(1))) {
                let hits = numbers.iter().zip(scores).map(|(&row, &score)| Hit { row, score });
                hits.for_each(|hit| tops[query].offer(hit));
            }
        }
        Ok(tops.into_iter().map(Top::into_sorted).collect())
    }

    /// Share of the `top` exact hits that the approximate search finds as well, over queries: its recall.
    ///
    /// # Errors
    /// Those of both searches.
    pub fn recall(
        &self,
        cpu: &Cpu,
        index: &Index,
        queries: &[f32],
        top: usize,
        probes: usize,
    ) -> Result<f64, Error> {
        let exact = index.search(cpu, queries, top)?;
        let found = self.search(cpu, queries, top, probes)?;
        let (mut both, mut all) = (0, 0);
        for (exact, found) in exact.iter().zip(&found) {
            all += exact.len();
            both += exact.iter().filter(|hit| found.iter().any(|other| other.row == hit.row)).count();
        }
        Ok(both as f64 / all.max(1) as f64)
    }
}

/// Lists of the `nearest` centres that are most similar to each row, the nearest first: of equal ones the first.
pub(crate) fn assign(
    cpu: &Cpu,
    centres: &Vectors,
    rows: &[f32],
    nearest: usize,
) -> Result<Vec<Vec<Hit>>, Error> {
    let mut search = Search::new(rows, centres.length(), nearest)?;
    search.add(cpu, 0, centres.values())?;
    Ok(search.finish())
}
