//! Winograd's minimal filtering for 3x3 kernels at stride 1, and at stride 2 by phases
//! (`docs/decisions/013-stride-two-by-phases.md`) (Lavin and Gray, 2016, "Fast algorithms for
//! convolutional neural networks", section 4).
//!
//! With the input tile `d` of n x n pixels (n = m + 2), the kernel `g`, and matrices that depend on n
//! evaluation points, the m x m outputs of a tile are
//!
//! `Y = A^T [ (G g G^T) * (B^T d B) ] A`
//!
//! where `*` is element by element. Summed over input channels, the products at each of the n^2
//! positions are a matrix product of tiles by channels, on the micro-kernel of all convolutions.

mod at_points;
mod expand;
mod expanded;
mod gradient;
mod maps;
mod output;
mod pairs;
mod points;
mod products;
mod run;
mod taps;
mod tiles;
mod transforms;
mod weights;

pub(super) use at_points::{STRIDED2, STRIDED4, WINOGRAD2, WINOGRAD4};
pub(super) use expanded::{EXPANDED2, EXPANDED4};
