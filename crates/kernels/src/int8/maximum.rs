//! Max pooling of bytes.

use super::bytes::bytes_mut;
use super::pack::length;
use crate::memory::Parts;
use crate::pool::Pooling;
use crate::simd::BLOCK;
use crate::{Cpu, Error, Layout, Vectorise};

/// Maximum of every window of blocked maps of bytes, whose order is that of the numbers they stand for; `zero` in the
/// border. `y` is memory of a quarter of `to`'s floats.
///
/// # Errors
/// [`Error::Shape`] and [`Error::Length`] where the maps are not this pooling's.
pub fn maximum(
    cpu: &Cpu,
    pooling: &Pooling,
    (x, from): (&[u8], Layout),
    (y, to): (&mut [f32], Layout),
    zero: u8,
) -> Result<(), Error> {
    length("the input", from.len(), x.len())?;
    length("the output", to.len(), 4 * y.len())?;
    pooling.check([(&from, x.len()), (&to, to.len())])?;
    let y = Parts::new(y);
    cpu.pool().for_each(to.batch() * to.blocks(), |plane, _| {
        // SAFETY: every plane is one task's.
        let target = unsafe { y.part(plane * to.plane() / 4..(plane + 1) * to.plane() / 4) };
        let x = &x[plane * from.plane()..][..from.plane()];
        cpu.isa().vectorise(Plane { pooling, x, from: &from, target: bytes_mut(target), to: &to, zero });
    });
    Ok(())
}

/// Columns whose maxima down the rows are kept: 4 KiB.
const TILE: usize = 256;

/// Plane that is pooled.
struct Plane<'a> {
    pooling: &'a Pooling,
    x: &'a [u8],
    from: &'a Layout,
    target: &'a mut [u8],
    to: &'a Layout,
    zero: u8,
}

impl Vectorise for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let [down, across] = [0, 1].map(|axis| self.pooling.ranges(axis));
        let mut tile = [0_u8; TILE * BLOCK];
        self.target.fill(self.zero);
        for (y, rows) in down.enumerate() {
            let target = &mut self.target[self.to.index(0, 0, y, 0)..][..self.to.width() * BLOCK];
            // Columns of the input that the tile has the maxima of.
            let mut held = 0..0;
            for (pixel, columns) in target.chunks_exact_mut(BLOCK).zip(across.clone()) {
                let mut most = [0_u8; BLOCK];
                for start in columns.clone().step_by(TILE) {
                    let piece = start..columns.end.min(start + TILE);
                    if piece.end > held.end || piece.start < held.start {
                        held = piece.start..(piece.start + TILE).min(self.from.width());
                        for (number, row) in rows.clone().enumerate() {
                            let x = &self.x[self.from.index(0, 0, row, held.start)..][..held.len() * BLOCK];
                            let tile = &mut tile[..x.len()];
                            if number == 0 {
                                tile.copy_from_slice(x);
                            } else {
                                for (most, &x) in tile.iter_mut().zip(x) {
                                    *most = (*most).max(x);
                                }
                            }
                        }
                    }
                    let near = &tile[(piece.start - held.start) * BLOCK..(piece.end - held.start) * BLOCK];
                    for x in near.chunks_exact(BLOCK) {
                        for (most, &x) in most.iter_mut().zip(x) {
                            *most = (*most).max(x);
                        }
                    }
                }
                pixel.copy_from_slice(&most);
            }
        }
    }
}
