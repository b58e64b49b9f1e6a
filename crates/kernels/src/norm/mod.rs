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
mod gated;
mod reduce;
mod spread;
mod statistics;

pub use apply::{apply, apply_workspace};
pub use backward::Backward;
pub(crate) use backward::{Parameters, Spread, Sum, pass_workspace};
pub use gated::Mask;
pub use statistics::{BatchStatistics, moments, statistics};

use std::ops::Range;

use crate::simd::Simd;
use crate::{Error, Layout};

/// Pixels of a band: enough to be worth a task, few enough that float32 sums stay exact to 1e-6.
const BAND: usize = 1024;

/// Pixels that are computed together.
const TILE: usize = 4;

/// The sum of the pixels that are added up together.
#[inline(always)]
fn total<S: Simd>(s: S, [a, b, c, d]: [S::V; TILE]) -> S::V {
    s.add(s.add(a, b), s.add(c, d))
}

/// Least number of groups that images are cut into, in their order: a thread has the images that it had before. Not
/// measured.
const GROUPS: usize = 4;

/// Maps cut into bands: some rows of a channel block, or, where maps are small, the block of several images.
/// What a band leaves is read by another core than it was written by, one time out of two.
#[derive(Clone, Copy)]
struct Bands {
    batch: usize,
    images: usize,
    blocks: usize,
    height: usize,
    rows: usize,
    per_plane: usize,
}

/// Place of a band.
struct Place {
    images: Range<usize>,
    block: usize,
    rows: Range<usize>,
}

/// Image and row where a line of pixels starts.
#[derive(Clone, Copy)]
struct LineStart {
    image: usize,
    row: usize,
}

impl Bands {
    fn new(maps: &Layout) -> Self {
        let (batch, blocks, height) = (maps.batch(), maps.blocks(), maps.height());
        let rows = (BAND / maps.width()).clamp(1, height);
        let images = (BAND / (height * maps.width())).clamp(1, batch.div_ceil(GROUPS));
        Self { batch, images, blocks, height, rows, per_plane: height.div_ceil(rows) }
    }

    fn count(&self) -> usize {
        self.batch.div_ceil(self.images) * self.blocks * self.per_plane
    }

    /// The bands of a channel block, in the order of the images.
    fn of_block(&self, block: usize) -> impl Iterator<Item = usize> {
        let Self { per_plane, blocks, .. } = *self;
        let groups = 0..self.batch.div_ceil(self.images);
        groups.flat_map(move |group| {
            (0..per_plane).map(move |part| (group * blocks + block) * per_plane + part)
        })
    }

    fn place(&self, band: usize) -> Place {
        let (plane, part) = (band / self.per_plane, band % self.per_plane);
        let (group, block) = (plane / self.blocks, plane % self.blocks);
        let images = group * self.images..((group + 1) * self.images).min(self.batch);
        Place { images, block, rows: part * self.rows..((part + 1) * self.rows).min(self.height) }
    }
}

impl Place {
    /// Number of lines, and of pixels of each, of a band in maps `width` pixels wide: a line is a row, or, where the
    /// maps are `flat` (none has a border), all rows of an image.
    fn lines(&self, flat: bool, width: usize) -> (usize, usize) {
        let (images, rows) = (self.images.len(), self.rows.len());
        if flat { (images, rows * width) } else { (images * rows, width) }
    }

    /// Start of line `line` of `lines`.
    #[inline(always)]
    fn line(&self, line: usize, lines: usize) -> LineStart {
        let per_image = lines / self.images.len();
        LineStart { image: self.images.start + line / per_image, row: self.rows.start + line % per_image }
    }
}

/// # Errors
/// [`Error::Shape`] where the two are not blocked layouts of the same maps.
fn same_blocked(what: &str, one: &Layout, other: &Layout) -> Result<(), Error> {
    let blocked = [one, other].iter().all(|layout| layout.block() == crate::simd::BLOCK);
    if blocked && one.same_maps(other) {
        return Ok(());
    }
    Err(Error::Shape {
        what: what.into(),
        reason: format!("{one:?} and {other:?} are not the same blocked maps"),
    })
}
