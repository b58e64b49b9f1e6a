//! Dot products of many rows with some queries: `X Q^T` of two row-major matrices, read as they lie.

use std::ops::Range;

use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{Kernel, Simd};
use crate::{Cpu, Error};

/// Rows that a thread takes at once. They go through the tiles one after the other, each of which stays in the level 1
/// cache for all queries.
const TASK: usize = 96;

/// Sizes of a product of rows with queries.
///
/// Neither matrix is packed: vectors run along the rows, and a tile of pairs keeps its sums in registers. For rows that
/// are read once, as those of an index are, packing would cost as much as the product of a dozen queries. A product has
/// the same bits whatever rows, queries and threads there are beside it.
///
/// ```
/// use residual_kernels::{Cpu, DotProducts};
///
/// let product = DotProducts { rows: 3, queries: 1, length: 2 };
/// let mut y = [0.0; 3];
/// product.run(&Cpu::new(1)?, &[1., 2., 3., 4., 5., 6.], &[10., 1.], &mut y)?;
/// assert_eq!(y, [12., 34., 56.]);
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DotProducts {
    /// Number of rows.
    pub rows: usize,
    /// Number of queries.
    pub queries: usize,
    /// Length of a row and of a query.
    pub length: usize,
}

impl DotProducts {
    /// `y[q, r] = sum over i of queries[q, i] rows[r, i]`
    ///
    /// # Shapes
    /// `rows` is `[rows, length]`, `queries` `[queries, length]`, `y` `[queries, rows]`.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is not that long.
    pub fn run(&self, cpu: &Cpu, rows: &[f32], queries: &[f32], y: &mut [f32]) -> Result<(), Error> {
        let product = |one: usize, other: usize| one.saturating_mul(other);
        check_length("the rows", product(self.rows, self.length), rows.len())?;
        check_length("the queries", product(self.queries, self.length), queries.len())?;
        check_length("the products", product(self.queries, self.rows), y.len())?;
        let (sizes, y) = (*self, Parts::new(y));
        cpu.pool().for_each(self.rows.div_ceil(TASK), |task, _| {
            let range = task * TASK..((task + 1) * TASK).min(sizes.rows);
            cpu.isa().run(Strip { sizes, rows, queries, range, y });
        });
        Ok(())
    }
}

/// Rows of one task, and all queries.
struct Strip<'a> {
    sizes: DotProducts,
    rows: &'a [f32],
    queries: &'a [f32],
    range: Range<usize>,
    y: Parts<'a>,
}

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // As many sums as there are registers for.
        match S::LANES {
            16 => self.tiles::<S, 6, 4>(s),
            _ => self.tiles::<S, 4, 2>(s),
        }
    }
}

impl Strip<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const MR: usize, const NQ: usize>(&self, s: S) {
        for row in self.range.clone().step_by(MR) {
            let mut query = 0;
            while query < self.sizes.queries {
                // A single query is not worth a tile for several: reading the rows takes longest then.
                query += match self.sizes.queries - query {
                    1 => self.tile::<S, MR, 1>(s, row, query),
                    _ => self.tile::<S, MR, NQ>(s, row, query),
                };
            }
        }
    }

    /// Products of up to `MR` rows and `NQ` queries; gives the number of queries. Those that do not exist repeat the
    /// last.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NQ: usize>(&self, s: S, row: usize, query: usize) -> usize {
        let DotProducts { rows: all, queries: most, length } = self.sizes;
        let rows: [&[f32]; MR] =
            std::array::from_fn(|i| &self.rows[(row + i).min(self.range.end - 1) * length..][..length]);
        let queries: [&[f32]; NQ] =
            std::array::from_fn(|i| &self.queries[(query + i).min(most - 1) * length..][..length]);
        let mut sums = [[s.zero(); NQ]; MR];
        let whole = length / S::LANES * S::LANES;
        for at in (0..whole).step_by(S::LANES) {
            // SAFETY: `at` and a vector behind it is at most `length`, which every row and query has.
            unsafe {
                let mut x = [s.zero(); NQ];
                for q in 0..NQ {
                    x[q] = s.load(queries[q].as_ptr().add(at));
                }
                for r in 0..MR {
                    let row = s.load(rows[r].as_ptr().add(at));
                    for q in 0..NQ {
                        sums[r][q] = s.fma(row, x[q], sums[r][q]);
                    }
                }
            }
        }
        let found = NQ.min(most - query);
        for (i, sums) in sums.iter().enumerate().take(self.range.end - row) {
            for (q, &sum) in sums.iter().enumerate().take(found) {
                let rest: f32 = (whole..length).map(|at| rows[i][at] * queries[q][at]).sum();
                let place = (query + q) * all + row + i;
                // SAFETY: the products of a task's rows are the task's.
                let y = unsafe { self.y.part(place..place + 1) };
                y[0] = total(s, sum) + rest;
            }
        }
        found
    }
}

/// Sum of the lanes of a vector: halves are added up.
#[inline(always)]
fn total<S: Simd>(s: S, v: S::V) -> f32 {
    let mut lanes = [0.0; 16];
    // SAFETY: a vector has at most 16 lanes.
    unsafe { s.store(lanes.as_mut_ptr(), v) };
    let mut width = S::LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}
