//! The mean of every map, and its gradient.

use super::windows::wrong;
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout, MapsMut, MapsRef};

/// `y[n, c] = mean of map c of image n`, `[batch, channels]` without spare lanes: what the head reads.
///
/// # Errors
/// [`Error::Shape`] where the maps are not blocked, [`Error::Length`] where a slice is too
/// short or too long.
pub fn global_average(cpu: &Cpu, x: MapsRef<'_>, y: &mut [f32]) -> Result<(), Error> {
    let MapsRef { values: x, layout: maps } = x;
    check_global(&maps, x.len(), y.len())?;
    let (channels, y) = (maps.channels(), Parts::new(y));
    cpu.pool().for_each(maps.batch() * maps.blocks(), |plane, _| {
        let (n, block) = (plane / maps.blocks(), plane % maps.blocks());
        let lanes = BLOCK.min(channels - block * BLOCK);
        let at = n * channels + block * BLOCK;
        // SAFETY: the channels of a plane are one task's.
        let y = unsafe { y.part(at..at + lanes) };
        y.copy_from_slice(&cpu.isa().run(Mean { x, maps: &maps, n, block })[..lanes]);
    });
    Ok(())
}

/// The gradient of [`global_average`]: `dx = dy / (height width)`.
///
/// # Errors
/// As for [`global_average`].
pub fn global_average_backward(cpu: &Cpu, dy: &[f32], dx: MapsMut<'_>) -> Result<(), Error> {
    let MapsMut { values: dx, layout: maps } = dx;
    check_global(&maps, dx.len(), dy.len())?;
    let (channels, dx) = (maps.channels(), Parts::new(dx));
    let factor = 1.0 / (maps.height() * maps.width()) as f32;
    cpu.pool().for_each(maps.batch() * maps.blocks(), |plane, _| {
        let (n, block) = (plane / maps.blocks(), plane % maps.blocks());
        let mut pixel = [0.0; BLOCK];
        let lanes = BLOCK.min(channels - block * BLOCK);
        let dy = &dy[n * channels + block * BLOCK..][..lanes];
        pixel.iter_mut().zip(dy).for_each(|(pixel, dy)| *pixel = dy * factor);
        for row in 0..maps.height() {
            let at = maps.index(n, block, row, 0);
            // SAFETY: the planes are one task's each.
            let row = unsafe { dx.part(at..at + maps.width() * BLOCK) };
            row.chunks_exact_mut(BLOCK).for_each(|target| target.copy_from_slice(&pixel));
        }
        // SAFETY: as above.
        unsafe { maps.clear_border(dx, n, block, 0..maps.height()) }
    });
    Ok(())
}

fn check_global(maps: &Layout, x: usize, y: usize) -> Result<(), Error> {
    if maps.block() != BLOCK {
        return Err(wrong(format!("{maps:?} is not blocked")));
    }
    maps.check("the maps", x)?;
    check_length("the means", maps.batch() * maps.channels(), y)
}

/// The mean of each channel of a plane: rows in float32, their sums in float64.
struct Mean<'a> {
    x: &'a [f32],
    maps: &'a Layout,
    n: usize,
    block: usize,
}

impl Kernel for Mean<'_> {
    type Output = [f32; BLOCK];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; BLOCK] {
        let mut totals = [0.0_f64; BLOCK];
        for row in 0..self.maps.height() {
            let at = self.maps.index(self.n, self.block, row, 0);
            let mut sums = [0.0; BLOCK];
            for lane in (0..BLOCK).step_by(S::LANES) {
                let mut sum = s.zero();
                for pixel in 0..self.maps.width() {
                    sum = s.add(sum, s.read(self.x, at + pixel * BLOCK + lane));
                }
                // SAFETY: a vector from `lane` on ends at the block's end or before.
                unsafe { s.store(sums[lane..].as_mut_ptr(), sum) }
            }
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += f64::from(sum));
        }
        let count = (self.maps.height() * self.maps.width()) as f64;
        totals.map(|total| (total / count) as f32)
    }
}
