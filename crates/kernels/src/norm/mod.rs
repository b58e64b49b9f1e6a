//! Batch normalisation in training (Ioffe and Szegedy 2015), forward and backward, with what surrounds it
//! in a residual block: the shortcut's addition and the ReLU.
//!
//! With m images times pixels, and all vectors by channel:
//!
//! ```text
//! mean = sum x / m,  var = sum (x - mean)^2 / m,  xhat = (x - mean) / sqrt(var + eps)
//! y = act(gamma xhat + beta + residual)
//! g = dy act'(y),  dbeta = sum g,  dgamma = sum g xhat
//! dx = gamma / sqrt(var + eps) (g - dbeta / m - xhat dgamma / m),  dresidual = g
//! ```
//!
//! The statistics are one pass over memory, or none where the convolution before left its
//! [`Sums`](crate::Sums); `y` is one pass; the gradients are two, one for the sums and one for `dx`.

mod apply;
mod backward;
mod statistics;

pub use apply::apply;
pub use backward::{Backward, Mask};
pub use statistics::{BatchStatistics, statistics};

use std::ops::Range;

use crate::simd::Simd;
use crate::{KernelError, Layout};

/// Pixels of a band: enough to be worth a task, few enough that float32 sums stay exact to 1e-6.
const BAND: usize = 1024;

/// Pixels that are computed together.
const TILE: usize = 4;

/// The sum of the pixels that are added up together.
#[inline(always)]
fn total<S: Simd>(s: S, [a, b, c, d]: [S::V; TILE]) -> S::V {
    s.add(s.add(a, b), s.add(c, d))
}

/// Maps cut into bands of rows.
#[derive(Clone, Copy)]
struct Bands {
    rows: usize,
    per_plane: usize,
    planes: usize,
    blocks: usize,
    height: usize,
}

/// One of them.
struct Place {
    n: usize,
    block: usize,
    rows: Range<usize>,
}

impl Bands {
    fn new(maps: &Layout) -> Self {
        let rows = (BAND / maps.width()).clamp(1, maps.height());
        let (blocks, height) = (maps.blocks(), maps.height());
        Self { rows, per_plane: height.div_ceil(rows), planes: maps.batch() * blocks, blocks, height }
    }

    fn count(&self) -> usize {
        self.planes * self.per_plane
    }

    /// Pixels of a band, of maps `width` pixels wide.
    fn pixels(&self, band: usize, width: usize) -> f64 {
        let part = band % self.per_plane;
        (((part + 1) * self.rows).min(self.height) - part * self.rows) as f64 * width as f64
    }

    fn place(&self, band: usize) -> Place {
        let (plane, part) = (band / self.per_plane, band % self.per_plane);
        let rows = part * self.rows..((part + 1) * self.rows).min(self.height);
        Place { n: plane / self.blocks, block: plane % self.blocks, rows }
    }
}

impl Place {
    /// Where pixels lie together in maps `width` pixels wide: the rows at which they start, and how many they
    /// are. A row of them, or, where the maps are `flat` (none has a border), all at once.
    fn lines(&self, flat: bool, width: usize) -> (Range<usize>, usize) {
        let first = self.rows.start;
        if flat { (first..first + 1, self.rows.len() * width) } else { (self.rows.clone(), width) }
    }
}

/// # Errors
/// [`KernelError::Shape`] where the two are not blocked layouts of the same maps.
fn same_blocked(what: &str, one: &Layout, other: &Layout) -> Result<(), KernelError> {
    let blocked = [one, other].iter().all(|layout| layout.block() == crate::simd::BLOCK);
    if blocked && one.same_maps(other) {
        return Ok(());
    }
    Err(KernelError::Shape {
        what: what.into(),
        reason: format!("{one:?} and {other:?} are not the same blocked maps"),
    })
}
