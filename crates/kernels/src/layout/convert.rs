//! From one layout to another.

use std::ops::Range;

use super::Layout;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error};

/// Pixels of a task: with 16 channels they fill 128 KiB on either side.
const BAND: usize = 2048;

/// Rearranges `x` from one layout to another; the border and the lanes past the last channel become 0.
///
/// # Errors
/// [`Error::Shape`] where the layouts are of different maps, [`Error::Length`] where a slice
/// is not as long as its layout.
///
/// ```
/// use residual_kernels::{Cpu, Layout, convert};
///
/// let (planar, interleaved) = (Layout::planar(1, 2, 1, 3)?, Layout::interleaved(1, 2, 1, 3)?);
/// let mut y = [0.0; 6];
/// convert(&Cpu::new(1)?, &[1., 2., 3., 10., 20., 30.], planar, &mut y, interleaved)?;
/// assert_eq!(y, [1., 10., 2., 20., 3., 30.]);
/// # Ok::<(), residual_kernels::Error>(())
/// ```
pub fn convert(cpu: &Cpu, x: &[f32], from: Layout, y: &mut [f32], to: Layout) -> Result<(), Error> {
    if !from.same_maps(&to) {
        return Err(Error::Shape {
            what: "layout conversion".into(),
            reason: format!("from {from:?} to {to:?}"),
        });
    }
    from.check("the input", x.len())?;
    to.check("the output", y.len())?;
    let flat = from.border() == 0 && to.border() == 0;
    each_band(cpu, y, to, |y, band| cpu.isa().run(Convert { x, from: &from, y, to: &to, flat, band }));
    Ok(())
}

/// Rows of 16 channels of an image.
#[derive(Clone)]
pub(super) struct Band {
    pub(super) n: usize,
    /// The first of the channels.
    pub(super) channel: usize,
    /// Number of channels: fewer than 16 at the end.
    pub(super) channels: usize,
    pub(super) rows: Range<usize>,
}

/// Calls `write(y, band)` for all of `y`, on all threads, and clears the border.
pub(super) fn each_band(cpu: &Cpu, y: &mut [f32], to: Layout, write: impl Fn(Parts<'_>, Band) + Sync) {
    let (y, groups) = (Parts::new(y), to.channels().div_ceil(BLOCK));
    let rows = (BAND / to.width()).clamp(1, to.height());
    let bands = to.height().div_ceil(rows);
    cpu.pool().for_each(to.batch() * groups * bands, |task, _| {
        let (n, group, band) = (task / (groups * bands), task / bands % groups, task % bands);
        let channel = group * BLOCK;
        let channels = BLOCK.min(to.channels() - channel);
        let rows = band * rows..((band + 1) * rows).min(to.height());
        write(y, Band { n, channel, channels, rows: rows.clone() });
        // The blocks that begin with one of the channels: one, 16, or the only one.
        let blocks = channel.div_ceil(to.block())..(channel + channels).div_ceil(to.block());
        for block in blocks {
            // SAFETY: the border beside and beyond a task's rows goes with it.
            unsafe { to.clear_border(y, n, block, rows.clone()) }
        }
    });
}

/// A band, line by line.
struct Convert<'a> {
    x: &'a [f32],
    from: &'a Layout,
    y: Parts<'a>,
    to: &'a Layout,
    /// Absence of a border between rows, on either side.
    flat: bool,
    band: Band,
}

impl Kernel for Convert<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Band { n, channel, channels, ref rows } = self.band;
        let (lines, pixels) = if self.flat {
            (rows.start..rows.start + 1, rows.len() * self.to.width())
        } else {
            (rows.clone(), self.to.width())
        };
        for row in lines {
            let source =
                Source { x: self.x, at: place(self.from, n, channel, row), layout: Steps::of(self.from) };
            let line = Line { source, to: self.to, at: place(self.to, n, channel, row), pixels, channels };
            // SAFETY: a task has its rows and channels for itself.
            unsafe { line.write(s, self.y) }
        }
    }
}

/// Offset of `channel`, a multiple of 16, of the first pixel of `row`.
pub(super) fn place(maps: &Layout, n: usize, channel: usize, row: usize) -> usize {
    maps.index(n, channel / maps.block(), row, 0) + channel % maps.block()
}

/// Floats from a pixel and from a channel to the next, among 16 channels.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    pub(super) pixel: usize,
    pub(super) channel: usize,
}

impl Steps {
    pub(super) fn of(maps: &Layout) -> Self {
        Self { pixel: maps.block(), channel: if maps.block() == 1 { maps.plane() } else { 1 } }
    }
}

/// Source of pixels.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) x: &'a [f32],
    pub(super) at: usize,
    pub(super) layout: Steps,
}

/// Pixels that lie together on both sides, of at most 16 channels.
pub(super) struct Line<'a> {
    pub(super) source: Source<'a>,
    pub(super) to: &'a Layout,
    pub(super) at: usize,
    pub(super) pixels: usize,
    pub(super) channels: usize,
}

impl Line<'_> {
    /// Writes the line to `y`, and zeros to the lanes past the last channel.
    ///
    /// # Safety
    /// Nothing else touches the line's part of `y`.
    #[inline(always)]
    pub(super) unsafe fn write<S: Simd>(&self, s: S, y: Parts<'_>) {
        let (from, to) = (self.source.layout, Steps::of(self.to));
        let last = |at: usize, steps: Steps| {
            at + (self.pixels - 1) * steps.pixel + (self.channels - 1) * steps.channel
        };
        let lanes = if self.to.block() == BLOCK { BLOCK } else { self.channels };
        assert!(last(self.source.at, from) < self.source.x.len());
        assert!(last(self.at, to) + lanes - self.channels < y.len());
        let y = y.pointer(self.at);
        // SAFETY: the first and the last float were just checked, on both sides; the caller keeps all else away
        // from the line.
        unsafe {
            match (from.pixel, to.pixel) {
                (1, 1) => self.copy_planes(y, to.channel),
                (1, _) => self.gather(s, y, to.pixel, lanes),
                (_, 1) => self.scatter(s, y, to.channel),
                _ => self.copy_pixels(y, to.pixel, lanes),
            }
        }
    }

    /// Copy from planes to planes, `step` floats apart.
    ///
    /// # Safety
    /// As for [`Line::write`], which has checked the ends.
    #[inline(always)]
    unsafe fn copy_planes(&self, y: *mut f32, step: usize) {
        for channel in 0..self.channels {
            let x = &self.source.x[self.source.at + channel * self.source.layout.channel..][..self.pixels];
            // SAFETY: the caller vouches for it.
            unsafe { y.add(channel * step).copy_from_nonoverlapping(x.as_ptr(), self.pixels) }
        }
    }

    /// Between layouts that have a pixel's channels together.
    ///
    /// # Safety
    /// As for [`Line::write`], which has checked the ends.
    #[inline(always)]
    unsafe fn copy_pixels(&self, y: *mut f32, step: usize, lanes: usize) {
        let from = self.source.layout.pixel;
        // SAFETY: the caller vouches for it; spare lanes are there on both sides where the steps are 16.
        unsafe {
            let x = self.source.x.as_ptr().add(self.source.at);
            if from == BLOCK && step == BLOCK && lanes == BLOCK {
                y.copy_from_nonoverlapping(x, (self.pixels - 1) * BLOCK + self.channels);
                y.add((self.pixels - 1) * BLOCK + self.channels).write_bytes(0, BLOCK - self.channels);
                return;
            }
            for pixel in 0..self.pixels {
                let (x, y) = (x.add(pixel * from), y.add(pixel * step));
                if self.channels == BLOCK {
                    y.cast::<[f32; BLOCK]>().write(x.cast::<[f32; BLOCK]>().read());
                } else {
                    y.copy_from_nonoverlapping(x, self.channels);
                    y.add(self.channels).write_bytes(0, lanes - self.channels);
                }
            }
        }
    }

    /// Transpose from planes to pixels, `step` floats apart.
    ///
    /// # Safety
    /// As for [`Line::write`], which has checked the ends.
    #[inline(always)]
    unsafe fn gather<S: Simd>(&self, s: S, y: *mut f32, step: usize, lanes: usize) {
        let zeros = [0.0; BLOCK];
        let mut stage = [[0.0; BLOCK]; BLOCK];
        let mut pixels = [[0.0; BLOCK]; BLOCK];
        for first in (0..self.pixels).step_by(BLOCK) {
            let count = BLOCK.min(self.pixels - first);
            let mut rows = [zeros.as_ptr(); BLOCK];
            for channel in 0..self.channels {
                let at = self.source.at + channel * self.source.layout.channel + first;
                let x = &self.source.x[at..];
                rows[channel] = if x.len() >= BLOCK {
                    x.as_ptr()
                } else {
                    stage[channel][..count].copy_from_slice(&x[..count]);
                    stage[channel].as_ptr()
                };
            }
            let mut columns = [std::ptr::null_mut(); BLOCK];
            for (i, column) in columns[..count].iter_mut().enumerate() {
                *column =
                    if lanes == BLOCK { y.wrapping_add((first + i) * step) } else { pixels[i].as_mut_ptr() };
            }
            // SAFETY: the rows were just sliced, and all lanes of the pixels are the line's; or they are staged,
            // and as many channels as there are are copied.
            unsafe {
                s.transpose(&rows, &columns[..count]);
                if lanes < BLOCK {
                    for (i, pixel) in pixels[..count].iter().enumerate() {
                        y.add((first + i) * step).copy_from_nonoverlapping(pixel.as_ptr(), lanes);
                    }
                }
            }
        }
    }

    /// Transpose from pixels to planes, `step` floats apart.
    ///
    /// # Safety
    /// As for [`Line::write`], which has checked the ends.
    #[inline(always)]
    unsafe fn scatter<S: Simd>(&self, s: S, y: *mut f32, step: usize) {
        let zeros = [0.0; BLOCK];
        let mut stage = [[0.0; BLOCK]; BLOCK];
        let mut planes = [[0.0; BLOCK]; BLOCK];
        for start in (0..self.pixels).step_by(BLOCK) {
            // The last of them begin earlier, so that they are 16 again.
            let first = start.min(self.pixels.saturating_sub(BLOCK));
            let count = BLOCK.min(self.pixels - first);
            let mut rows = [zeros.as_ptr(); BLOCK];
            for i in 0..count {
                let x = &self.source.x[self.source.at + (first + i) * self.source.layout.pixel..];
                rows[i] = if x.len() >= BLOCK {
                    x.as_ptr()
                } else {
                    stage[i][..self.channels].copy_from_slice(&x[..self.channels]);
                    stage[i].as_ptr()
                };
            }
            let mut columns = [std::ptr::null_mut(); BLOCK];
            for (channel, column) in columns[..self.channels].iter_mut().enumerate() {
                *column = if count == BLOCK {
                    y.wrapping_add(channel * step + first)
                } else {
                    planes[channel].as_mut_ptr()
                };
            }
            // SAFETY: the rows were just sliced, and the planes have 16 pixels; or they are staged, and as many
            // as there are are copied.
            unsafe {
                s.transpose(&rows, &columns[..self.channels]);
                if count < BLOCK {
                    for (channel, plane) in planes[..self.channels].iter().enumerate() {
                        y.add(channel * step + first).copy_from_nonoverlapping(plane.as_ptr(), count);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    fn every_layout(n: usize, c: usize, h: usize, w: usize) -> Vec<Layout> {
        let layouts =
            [Layout::planar(n, c, h, w), Layout::interleaved(n, c, h, w), Layout::blocked(n, c, h, w)];
        let bordered = |l: Layout| [0, 1, 3].map(|border| l.with_border(border).unwrap());
        layouts.into_iter().flat_map(|l| bordered(l.unwrap())).collect()
    }

    #[test]
    fn any_layout_to_any_other_and_back() {
        let sizes = [[1, 1, 1, 1], [2, 3, 4, 5], [1, 16, 2, 2], [2, 17, 3, 1], [1, 33, 1, 7], [1, 31, 5, 9]];
        let cpus = Isa::available().into_iter().flat_map(|isa| [1, 3].map(|threads| (isa, threads)));
        for (isa, threads) in cpus {
            let cpu = Cpu::with_isa(isa, threads).unwrap();
            sizes.into_iter().for_each(|size| there_and_back(&cpu, size));
        }
        there_and_back(&Cpu::new(2).unwrap(), [1, 18, 50, 45]);
    }

    fn there_and_back(cpu: &Cpu, [n, c, h, w]: [usize; 4]) {
        let planar = Layout::planar(n, c, h, w).unwrap();
        let x: Vec<f32> = (1..=planar.len()).map(|i| i as f32).collect();
        for from in every_layout(n, c, h, w) {
            let mut a = vec![f32::NAN; from.len()];
            convert(cpu, &x, planar, &mut a, from).unwrap();
            let sum: f64 = a.iter().map(|&v| f64::from(v)).sum();
            assert_eq!(sum, (x.len() * (x.len() + 1) / 2) as f64, "all else is zero: {from:?}");
            for to in every_layout(n, c, h, w) {
                let (mut b, mut back) = (vec![f32::NAN; to.len()], vec![f32::NAN; x.len()]);
                convert(cpu, &a, from, &mut b, to).unwrap();
                convert(cpu, &b, to, &mut back, planar).unwrap();
                assert_eq!(back, x, "{} {from:?} to {to:?}", cpu.isa());
            }
        }
    }

    #[test]
    fn wrong_lengths_and_maps_are_errors_and_write_nothing() {
        let cpu = Cpu::new(1).unwrap();
        let (a, b) = (Layout::planar(1, 2, 2, 2).unwrap(), Layout::blocked(1, 2, 2, 2).unwrap());
        let mut y = vec![7.0; 64];
        assert!(matches!(convert(&cpu, &[0.0; 7], a, &mut y, b), Err(Error::Length { found: 7, .. })));
        assert!(matches!(convert(&cpu, &[0.0; 8], a, &mut y[1..], b), Err(Error::Length { .. })));
        let other = Layout::planar(1, 2, 2, 3).unwrap();
        assert!(matches!(convert(&cpu, &[0.0; 12], other, &mut y, b), Err(Error::Shape { .. })));
        assert_eq!(y, vec![7.0; 64]);
    }
}
