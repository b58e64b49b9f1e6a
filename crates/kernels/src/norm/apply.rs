//! `y = act(scale x + shift + residual)` over whole maps.

use super::{Bands, LineStart, Place, TILE, same_blocked};
use crate::gemm::{Epilogue, Finish, Place as At};
use crate::layout::workspace as floats;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout, MapsMut, MapsRef};

/// Computes `y = act(scale x + shift + residual)` in one pass, all of it: its border and the lanes past
/// the last channel become 0. With the vectors of [`BatchStatistics::fold`](super::BatchStatistics::fold)
/// it is a batch normalisation, with neither it is a residual block's sum and ReLU.
///
/// The workspace holds at least [`apply_workspace`] floats.
///
/// # Errors
/// [`Error::Length`] where a slice is too short or too long, [`Error::Shape`] where the maps
/// are not blocked or not the same.
pub fn apply(
    cpu: &Cpu,
    x: MapsRef<'_>,
    epilogue: &Epilogue<'_>,
    y: MapsMut<'_>,
    workspace: &mut [f32],
) -> Result<(), Error> {
    let MapsRef { values: x, layout: from } = x;
    let MapsMut { values: y, layout: to } = y;
    same_blocked("a normalisation", &from, &to)?;
    from.check("the input", x.len())?;
    to.check("the output", y.len())?;
    let workspace = floats(apply_workspace(&to), workspace)?;
    let finish = epilogue.prepare(&to, workspace, None)?;
    let (bands, y) = (Bands::new(&to), Parts::new(y));
    cpu.pool().for_each(bands.count(), |band, _| {
        let place = bands.place(band);
        cpu.isa().run(Rows { x, from: &from, finish: &finish, y, to: &to, place: &place });
        for n in place.images {
            // SAFETY: every band has its rows, and the border beside and beyond them, for itself.
            unsafe { to.clear_border(y, n, place.block, place.rows.clone()) }
        }
    });
    Ok(())
}

/// Floats of workspace that [`apply`] needs for an output of layout `to`.
pub fn apply_workspace(to: &Layout) -> usize {
    to.vectors()
}

/// A band of rows.
struct Rows<'a> {
    x: &'a [f32],
    from: &'a Layout,
    finish: &'a Finish<'a>,
    y: Parts<'a>,
    to: &'a Layout,
    place: &'a Place,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let block = self.place.block;
        let flat = self.from.border() == 0 && self.to.border() == 0 && self.finish.is_flat();
        let (lines, pixels) = self.place.lines(flat, self.to.width());
        for line in 0..lines {
            let LineStart { image: n, row } = self.place.line(line, lines);
            let residual_at = self.finish.residual_at(n, block, row, 0);
            let at = At { channel: block * BLOCK, residual_at, band: 0 };
            self.finish.check(&at, pixels, 1);
            let (x, y) = (self.from.index(n, block, row, 0), self.to.index(n, block, row, 0));
            assert!(x + pixels * BLOCK <= self.x.len() && y + pixels * BLOCK <= self.y.len());
            for lane in (0..BLOCK).step_by(S::LANES) {
                let at = At { channel: at.channel + lane, residual_at: at.residual_at + lane, band: 0 };
                let whole = pixels / TILE * TILE;
                for pixel in (0..whole).step_by(TILE) {
                    // SAFETY: the pixels were checked to lie in all maps.
                    unsafe { self.pixels::<S, TILE>(s, x + lane, y + lane, &at, pixel) }
                }
                for pixel in whole..pixels {
                    // SAFETY: as above.
                    unsafe { self.pixels::<S, 1>(s, x + lane, y + lane, &at, pixel) }
                }
            }
        }
    }
}

impl Rows<'_> {
    /// `COUNT` pixels of a line from `pixel` on.
    ///
    /// # Safety
    /// They lie in the input, the output and the residual, and nothing else touches them in the output.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const COUNT: usize>(&self, s: S, x: usize, y: usize, at: &At, pixel: usize) {
        // SAFETY: the caller vouches for it.
        unsafe {
            let mut tile = [[s.zero()]; COUNT];
            for (i, [value]) in tile.iter_mut().enumerate() {
                *value = s.load(self.x.as_ptr().add(x + (pixel + i) * BLOCK));
            }
            self.finish.apply(s, at, pixel, BLOCK, &mut tile);
            for (i, [value]) in tile.into_iter().enumerate() {
                s.store(self.y.pointer(y + (pixel + i) * BLOCK), value);
            }
        }
    }
}
