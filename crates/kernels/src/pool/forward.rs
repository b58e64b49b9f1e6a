//! The maximum and the mean of every window: down the columns first, then across them, so that windows that
//! overlap share what they have in common.

use std::ops::Range;

use super::windows::{Bin, Pooling};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout, MapsMut, MapsRef};

/// Columns that are pooled before they are put together: 4 KiB.
const TILE: usize = 64;

/// `y = max of x over the window`; a NaN in the window comes through.
///
/// # Errors
/// [`Error::Shape`] and [`Error::Length`] where the maps are not this pooling's.
pub fn maximum(cpu: &Cpu, pooling: &Pooling, x: MapsRef<'_>, y: MapsMut<'_>) -> Result<(), Error> {
    pooling.check([(&x.layout, x.values.len()), (&y.layout, y.values.len())])?;
    run(cpu, pooling, Maximum, x, y);
    Ok(())
}

/// `y = mean of x over the window`.
///
/// # Errors
/// [`Error::Shape`] and [`Error::Length`] where the maps are not this pooling's.
pub fn average(cpu: &Cpu, pooling: &Pooling, x: MapsRef<'_>, y: MapsMut<'_>) -> Result<(), Error> {
    pooling.check([(&x.layout, x.values.len()), (&y.layout, y.values.len())])?;
    run(cpu, pooling, Average, x, y);
    Ok(())
}

/// Fold of the pixels of a window.
trait Fold: Copy + Sync {
    /// Fold of two values.
    fn fold<S: Simd>(s: S, a: S::V, b: S::V) -> S::V;

    /// Division of the folded pixels.
    fn finish<S: Simd>(s: S, v: S::V, divisor: f32) -> S::V;
}

#[derive(Clone, Copy)]
struct Maximum;

impl Fold for Maximum {
    #[inline(always)]
    fn fold<S: Simd>(s: S, a: S::V, b: S::V) -> S::V {
        s.max(a, b)
    }

    #[inline(always)]
    fn finish<S: Simd>(_: S, v: S::V, _: f32) -> S::V {
        v
    }
}

#[derive(Clone, Copy)]
struct Average;

impl Fold for Average {
    #[inline(always)]
    fn fold<S: Simd>(s: S, a: S::V, b: S::V) -> S::V {
        s.add(a, b)
    }

    #[inline(always)]
    fn finish<S: Simd>(s: S, v: S::V, divisor: f32) -> S::V {
        s.mul(v, s.splat(1.0 / divisor))
    }
}

/// Pools plane by plane; `from` and `to` have been checked.
fn run<F: Fold>(cpu: &Cpu, pooling: &Pooling, fold: F, x: MapsRef<'_>, y: MapsMut<'_>) {
    let MapsRef { values: x, layout: from } = x;
    let MapsMut { values: y, layout: to } = y;
    let y = Parts::new(y);
    cpu.pool().for_each(to.batch() * to.blocks(), |plane, _| {
        let (n, block) = (plane / to.blocks(), plane % to.blocks());
        let start = plane * to.plane();
        // SAFETY: every plane is one task's, and so is its border.
        let target = unsafe {
            to.clear_border(y, n, block, 0..to.height());
            y.part(start..start + to.plane())
        };
        let plane = &x[plane * from.plane()..(plane + 1) * from.plane()];
        cpu.isa().run(Plane { pooling, _fold: fold, x: plane, from: &from, target, to: &to });
    });
}

/// Plane that is pooled.
struct Plane<'a, F> {
    pooling: &'a Pooling,
    _fold: F,
    x: &'a [f32],
    from: &'a Layout,
    target: &'a mut [f32],
    to: &'a Layout,
}

impl<F: Fold> Kernel for Plane<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let [down, across] = &self.pooling.bins;
        let mut tile = [[0.0; BLOCK]; TILE];
        for (y, rows) in down.iter().enumerate() {
            let mut x = 0;
            while x < across.len() {
                let end = across[x].range.start + TILE;
                let fit = across[x..].iter().take_while(|bin| bin.range.end <= end).count();
                let outputs = x..x + fit.max(1);
                let all = across[x].range.start..across[outputs.end - 1].range.end;
                // More than one piece only where a single window is wider than the tile.
                for start in all.clone().step_by(TILE) {
                    let piece = start..(start + TILE).min(all.end);
                    self.down(s, &rows.range, &piece, &mut tile);
                    for output in outputs.clone() {
                        self.across(s, [y, output], &piece, rows, &across[output], &tile);
                    }
                }
                x = outputs.end;
            }
        }
    }
}

impl<F: Fold> Plane<'_, F> {
    /// Folds `rows` of the input's `columns` into the tile.
    #[inline(always)]
    fn down<S: Simd>(
        &self,
        s: S,
        rows: &Range<usize>,
        columns: &Range<usize>,
        tile: &mut [[f32; BLOCK]; TILE],
    ) {
        let start = self.from.index(0, 0, rows.start, columns.start);
        let (row, last) = (self.from.row(), rows.len() - 1);
        assert!(start + last * row + columns.len() * BLOCK <= self.x.len());
        let x = self.x[start..].as_ptr();
        for (column, tile) in tile[..columns.len()].iter_mut().enumerate() {
            for lane in (0..BLOCK).step_by(S::LANES) {
                // SAFETY: the last pixel of the last row was just checked; the lane is in the block.
                unsafe {
                    let v = folded::<S, F>(s, x.add(column * BLOCK + lane), row, rows.len());
                    s.store(tile[lane..].as_mut_ptr(), v);
                }
            }
        }
    }

    /// Folds what an output pixel has of the `columns` in the tile, and earlier pieces of it.
    #[inline(always)]
    fn across<S: Simd>(
        &mut self,
        s: S,
        [y, x]: [usize; 2],
        columns: &Range<usize>,
        rows: &Bin,
        bin: &Bin,
        tile: &[[f32; BLOCK]; TILE],
    ) {
        let piece = bin.range.start.max(columns.start)..bin.range.end.min(columns.end);
        let own = &tile[piece.start - columns.start..piece.end - columns.start];
        let at = self.to.index(0, 0, y, x);
        let target = &mut self.target[at..at + BLOCK];
        for lane in (0..BLOCK).step_by(S::LANES) {
            // SAFETY: the lane is in the block.
            let mut v = unsafe { folded::<S, F>(s, own.as_flattened().as_ptr().add(lane), BLOCK, own.len()) };
            if piece.start > bin.range.start {
                v = F::fold(s, s.read(target, lane), v);
            }
            if piece.end == bin.range.end {
                v = F::finish(s, v, (rows.count * bin.count) as f32);
            }
            // SAFETY: a vector from `lane` on ends at the block's end or before.
            unsafe { s.store(target[lane..].as_mut_ptr(), v) }
        }
    }
}

/// Folds `count` vectors, `step` floats apart; the usual two and three without a loop.
///
/// # Safety
/// They are valid for reading.
#[inline(always)]
unsafe fn folded<S: Simd, F: Fold>(s: S, at: *const f32, step: usize, count: usize) -> S::V {
    // SAFETY: the caller vouches for it.
    unsafe {
        let mut v = s.load(at);
        match count {
            2 => F::fold(s, v, s.load(at.add(step))),
            3 => F::fold(s, F::fold(s, v, s.load(at.add(step))), s.load(at.add(2 * step))),
            _ => {
                for i in 1..count {
                    v = F::fold(s, v, s.load(at.add(i * step)));
                }
                v
            }
        }
    }
}
