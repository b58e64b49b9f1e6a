//! The first pass of a normalisation's gradient: its sums.

use super::gated::{GATE, Gated, Line, Maps, NONE, OUTPUT, RECOMPUTE, Upstream};
use super::{Bands, Mask, TILE, total};
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout};

/// Floats of workspace that [`reduce`] needs for `maps`.
pub(super) fn workspace(maps: &Layout) -> usize {
    2 * BLOCK * Bands::new(maps).count() + 3 * maps.blocks() * BLOCK
}

/// `sums = [sum of g][sum of g (x - mean)]` of each channel; with [`Upstream::Gate`], `dy` becomes `g`.
pub(super) fn reduce(
    cpu: &Cpu,
    maps: &Maps<'_>,
    mean: &[f32],
    sums: &mut [f32],
    workspace: &mut [f32],
) -> Result<(), Error> {
    let lies = maps.x.layout;
    maps.check(&lies)?;
    check_length("the mean", lies.channels(), mean.len())?;
    check_length("the sums of a gradient", 2 * lies.channels(), sums.len())?;
    let (vectors, partial) = workspace.split_at_mut(3 * lies.blocks() * BLOCK);
    let [scale, shift, mean] = filled(vectors, lies.blocks() * BLOCK, {
        let [scale, shift] = maps.mask.vectors();
        [scale, shift, mean]
    });
    let bands = Bands::new(&lies);
    let partial = &mut partial[..2 * BLOCK * bands.count()];
    let target = Parts::new(partial);
    cpu.pool().for_each(bands.count(), |band, _| {
        // SAFETY: every band has a part of its own.
        let target = unsafe { target.part(2 * BLOCK * band..2 * BLOCK * (band + 1)) };
        let place = bands.place(band);
        let band = Gated { maps, scale, shift, place: &place };
        match (maps.mask, maps.dy) {
            (Mask::None, _) => cpu.isa().run(Reduce::<NONE> { band, mean, target }),
            (Mask::Output(..), Upstream::Read(_)) => cpu.isa().run(Reduce::<OUTPUT> { band, mean, target }),
            (Mask::Output(..), Upstream::Gate(_)) => cpu.isa().run(Reduce::<GATE> { band, mean, target }),
            (Mask::Recompute { .. }, _) => cpu.isa().run(Reduce::<RECOMPUTE> { band, mean, target }),
        }
    });
    add_up(&bands, &lies, partial, sums);
    Ok(())
}

/// Vectors of the channels, each filled up with zeros to `len` floats of `memory`.
pub(super) fn filled<'a, const N: usize>(
    memory: &'a mut [f32],
    len: usize,
    vectors: [&[f32]; N],
) -> [&'a [f32]; N] {
    let mut rows = memory.chunks_exact_mut(len);
    vectors.map(|values| {
        let row = rows.next().expect("the workspace has a row for each");
        row.fill(0.0);
        row[..values.len()].copy_from_slice(values);
        &*row
    })
}

/// Adds up the bands of every channel, in their order.
fn add_up(bands: &Bands, maps: &Layout, partial: &[f32], sums: &mut [f32]) {
    let (sum, products) = sums.split_at_mut(maps.channels());
    for block in 0..maps.blocks() {
        let mut totals = [[0.0_f64; BLOCK]; 2];
        for band in bands.of_block(block) {
            let partial = &partial[2 * BLOCK * band..2 * BLOCK * (band + 1)];
            for (totals, partial) in totals.iter_mut().zip(partial.chunks_exact(BLOCK)) {
                totals.iter_mut().zip(partial).for_each(|(total, &part)| *total += f64::from(part));
            }
        }
        for (target, totals) in [&mut *sum, &mut *products].into_iter().zip(totals) {
            let lanes = target[block * BLOCK..].iter_mut().zip(totals);
            lanes.for_each(|(target, total)| *target = total as f32);
        }
    }
}

/// `sum g` and `sum g (x - mean)` of a band.
struct Reduce<'a, const MASK: usize> {
    band: Gated<'a>,
    mean: &'a [f32],
    target: &'a mut [f32],
}

impl<const MASK: usize> Kernel for Reduce<'_, MASK> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let place = self.band.place;
        let (lines, pixels) = place.lines(self.band.is_flat(None), self.band.maps.x.layout.width());
        for lane in (0..BLOCK).step_by(S::LANES) {
            let mean = s.read(self.mean, place.block * BLOCK + lane);
            let (mut sum, mut product) = (s.zero(), s.zero());
            for line in 0..lines {
                let at = place.line(line, lines);
                let line = self.band.line(s, at, pixels, lane);
                let gate = if MASK == GATE { self.band.gate(at, lane) } else { None };
                let pass = Summand::<S> { gate, mean };
                let (mut sums, mut products) = ([s.zero(); TILE], [s.zero(); TILE]);
                let whole = pixels / TILE * TILE;
                for pixel in (0..whole).step_by(TILE) {
                    for i in 0..TILE {
                        // SAFETY: the pixel is below `pixels`; where `dy` is written, its rows are this band's.
                        unsafe {
                            let to = [&mut sums[i], &mut products[i]];
                            add::<S, MASK>(s, &line, &pass, pixel + i, to);
                        }
                    }
                }
                for pixel in whole..pixels {
                    // SAFETY: as above.
                    unsafe {
                        add::<S, MASK>(s, &line, &pass, pixel, [&mut sums[0], &mut products[0]]);
                    }
                }
                sum = s.add(sum, total(s, sums));
                product = s.add(product, total(s, products));
            }
            for (at, total) in [sum, product].into_iter().enumerate() {
                let target = &mut self.target[at * BLOCK + lane..][..S::LANES];
                // SAFETY: just sliced to a vector's length.
                unsafe { s.store(target.as_mut_ptr(), total) }
            }
        }
    }
}

/// Operands of a line's sums, for the channels of a vector.
struct Summand<S: Simd> {
    /// Start of the line where `g` is written.
    gate: Option<*mut f32>,
    mean: S::V,
}

/// Adds a pixel to the sums, and writes its `g` where it is asked for.
///
/// # Safety
/// It is one of the line's, and one of the row that `of.gate` begins.
#[inline(always)]
unsafe fn add<S: Simd, const MASK: usize>(
    s: S,
    line: &Line<S>,
    of: &Summand<S>,
    pixel: usize,
    [sum, product]: [&mut S::V; 2],
) {
    // SAFETY: the caller vouches for it.
    unsafe {
        let (x, g) = line.pixel::<MASK>(s, pixel);
        if let Some(gate) = of.gate {
            s.store(gate.add(pixel * BLOCK), g);
        }
        *sum = s.add(*sum, g);
        *product = s.fma(g, s.sub(x, of.mean), *product);
    }
}
