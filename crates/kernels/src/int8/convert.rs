//! Between numbers and bytes.

use std::ops::Range;

use super::bytes::bytes_mut;
use super::pack::length;
use super::token::{Dot, DotKernel, DotProduct};
use crate::memory::Parts;
use crate::simd::BLOCK;
use crate::{Cpu, Error, Layout};

/// Rows that a task converts.
const ROWS: usize = 16;

/// Numbers that bytes stand for: `x = scale (q - zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Distance of the numbers of two neighbouring bytes.
    pub scale: f32,
    /// The byte that stands for 0.
    pub zero: u8,
}

/// Layout of images of up to 4 channels as bytes: interleaved, 4 bytes a pixel.
///
/// # Errors
/// [`Error::Shape`] where a size is zero or the whole does not fit the address space.
pub fn image_layout(batch: usize, [height, width]: [usize; 2], border: usize) -> Result<Layout, Error> {
    Layout::interleaved(batch, 4, height, width)?.with_border(border)
}

/// Bytes of blocked maps: `q = clamp(round(x / scale) + zero, 0, 255)`, ties to even, and `zero` in the border. `y` is
/// memory of a quarter of `to`'s floats.
///
/// # Errors
/// [`Error::Length`] and [`Error::Shape`] where the maps are not those of the layouts, or these not of the same maps.
pub fn quantise(
    cpu: &Cpu,
    (x, from): (&[f32], Layout),
    to: Layout,
    y: &mut [f32],
    affine: Affine,
) -> Result<(), Error> {
    same_maps(&from, &to, [BLOCK, BLOCK])?;
    length("the numbers", from.len(), x.len())?;
    length("the bytes", to.len(), 4 * y.len())?;
    let rows = Rows { to, start: Parts::new(y) };
    let dot = DotProduct::of(cpu.isa());
    rows.each(cpu, |plane, row, target| {
        target.fill(affine.zero);
        if let Some(row) = row {
            let (n, block) = (plane / to.blocks(), plane % to.blocks());
            let x = &x[from.index(n, block, row, 0)..][..from.width() * BLOCK];
            let y = &mut target[to.border() * BLOCK..][..to.width() * BLOCK];
            dot.run(true, ToBytes { x, y, affine });
        }
    });
    Ok(())
}

/// Bytes of planar images of up to 4 channels, [four bytes a pixel](image_layout), rounded as [`quantise`] does.
///
/// # Errors
/// As for [`quantise`].
pub fn quantise_images(
    cpu: &Cpu,
    (x, from): (&[f32], Layout),
    to: Layout,
    y: &mut [f32],
    affine: Affine,
) -> Result<(), Error> {
    let images = |layout: &Layout| [layout.batch(), layout.height(), layout.width()];
    if images(&from) != images(&to)
        || (from.block(), to.block(), to.channels()) != (1, 4, 4)
        || from.channels() > 4
    {
        return Err(different(&from, &to));
    }
    length("the numbers", from.len(), x.len())?;
    length("the bytes", to.len(), 4 * y.len())?;
    let rows = Rows { to, start: Parts::new(y) };
    let dot = DotProduct::of(cpu.isa());
    rows.each(cpu, |n, row, target| {
        target.fill(affine.zero);
        if let Some(row) = row {
            let mut planes: [&[f32]; 4] = [&[]; 4];
            for (c, plane) in planes.iter_mut().enumerate().take(from.channels()) {
                *plane = &x[from.index(n, c, row, 0)..][..from.width()];
            }
            let y = &mut target[4 * to.border()..][..4 * to.width()];
            dot.run(true, ToPixels { planes, y, affine });
        }
    });
    Ok(())
}

/// Bytes of interleaved images, [four bytes a pixel](image_layout): `y = tables[c][x]`, and `zero` in the border.
///
/// # Errors
/// [`Error::Length`] and [`Error::Shape`] where the images are not those of the layout.
pub fn translate_images(
    cpu: &Cpu,
    (x, tables): (&[u8], &[[u8; 256]]),
    to: Layout,
    y: &mut [f32],
    zero: u8,
) -> Result<(), Error> {
    let channels = tables.len();
    if to.block() != 4 || to.channels() != 4 || !(1..=4).contains(&channels) {
        let reason = format!("{channels} channels to {to:?}");
        return Err(Error::Shape { what: "conversion of bytes".into(), reason });
    }
    length("the images", to.batch() * to.height() * to.width() * channels, x.len())?;
    length("the bytes", to.len(), 4 * y.len())?;
    let rows = Rows { to, start: Parts::new(y) };
    rows.each(cpu, |n, row, target| {
        target.fill(zero);
        if let Some(row) = row {
            let each = to.width() * channels;
            let x = &x[(n * to.height() + row) * each..][..each];
            let y = &mut target[4 * to.border()..][..4 * to.width()];
            for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(4)) {
                for ((x, y), table) in x.iter().zip(y).zip(tables) {
                    *y = table[usize::from(*x)];
                }
            }
        }
    });
    Ok(())
}

/// Numbers of the bytes of blocked maps: `x = scale (q - zero)`, and zeros in the border.
///
/// # Errors
/// As for [`quantise`].
pub fn dequantise(
    cpu: &Cpu,
    (x, from): (&[u8], Layout),
    to: Layout,
    y: &mut [f32],
    affine: Affine,
) -> Result<(), Error> {
    same_maps(&from, &to, [BLOCK, BLOCK])?;
    length("the bytes", from.len(), x.len())?;
    length("the numbers", to.len(), y.len())?;
    let (y, dot) = (Parts::new(y), DotProduct::of(cpu.isa()));
    cpu.pool().for_each(to.batch() * to.blocks(), |plane, _| {
        let (n, block) = (plane / to.blocks(), plane % to.blocks());
        // SAFETY: every plane is one task's.
        let target = unsafe { y.part(plane * to.plane()..(plane + 1) * to.plane()) };
        target.fill(0.0);
        for row in 0..to.height() {
            let x = &x[from.index(n, block, row, 0)..][..from.width() * BLOCK];
            let y = &mut target[to.index(0, 0, row, 0)..][..to.width() * BLOCK];
            dot.run(true, ToFloats { x, y, affine });
        }
    });
    Ok(())
}

/// # Errors
/// [`Error::Shape`] where the layouts are of different maps, or of other blocks.
fn same_maps(from: &Layout, to: &Layout, blocks: [usize; 2]) -> Result<(), Error> {
    let sizes = |layout: &Layout| [layout.batch(), layout.channels(), layout.height(), layout.width()];
    if sizes(from) == sizes(to) && [from.block(), to.block()] == blocks {
        Ok(())
    } else {
        Err(different(from, to))
    }
}

fn different(from: &Layout, to: &Layout) -> Error {
    Error::Shape { what: "conversion of bytes".into(), reason: format!("from {from:?} to {to:?}") }
}

/// Rows of bytes of maps, those of the border among them.
struct Rows<'a> {
    to: Layout,
    start: Parts<'a>,
}

impl Rows<'_> {
    /// Calls `body(plane, row, bytes)` for every row; `None` for one of the border.
    fn each(&self, cpu: &Cpu, body: impl Fn(usize, Option<usize>, &mut [u8]) + Sync) {
        let (to, border) = (&self.to, self.to.border());
        let all = to.height() + 2 * border;
        let bands = all.div_ceil(ROWS);
        cpu.pool().for_each(to.batch() * to.blocks() * bands, |index, _| {
            let (plane, band) = (index / bands, index % bands);
            let rows: Range<usize> = band * ROWS..((band + 1) * ROWS).min(all);
            let each = to.row() / 4;
            let start = plane * to.plane() / 4 + rows.start * each;
            // SAFETY: every row is one task's.
            let floats = unsafe { self.start.part(start..start + rows.len() * each) };
            for (row, bytes) in rows.zip(bytes_mut(floats).chunks_exact_mut(to.row())) {
                body(plane, row.checked_sub(border).filter(|&row| row < to.height()), bytes);
            }
        });
    }
}

/// Steps of 1, and the bounds of a byte without its zero.
#[inline(always)]
fn to_steps<D: Dot>(d: D, x: D::Floats, affine: Affine) -> D::Floats {
    let zero = f32::from(affine.zero);
    let steps = d.mul(x, d.splat(1.0 / affine.scale));
    d.min(d.max(steps, d.splat(-zero)), d.splat(255.0 - zero))
}

/// Whole blocks of numbers to bytes.
struct ToBytes<'a> {
    x: &'a [f32],
    y: &'a mut [u8],
    affine: Affine,
}

impl DotKernel for ToBytes<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, d: D) {
        for (x, y) in self.x.chunks_exact(BLOCK).zip(self.y.chunks_exact_mut(BLOCK)) {
            // SAFETY: both are a block.
            unsafe {
                let steps = to_steps(d, d.load(x.as_ptr()), self.affine);
                d.store_bytes(y.as_mut_ptr(), steps, i32::from(self.affine.zero));
            }
        }
    }
}

/// A row of planes to pixels of four bytes.
struct ToPixels<'a> {
    planes: [&'a [f32]; 4],
    y: &'a mut [u8],
    affine: Affine,
}

impl DotKernel for ToPixels<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, d: D) {
        for (index, pixels) in self.y.chunks_mut(4 * BLOCK).enumerate() {
            let (first, count) = (index * BLOCK, pixels.len() / 4);
            for (c, plane) in self.planes.iter().enumerate() {
                let (mut x, mut bytes) = ([0.0; BLOCK], [0; BLOCK]);
                let Some(values) = plane.get(first..first + count) else { continue };
                x[..count].copy_from_slice(values);
                // SAFETY: both are a block.
                unsafe {
                    let steps = to_steps(d, d.load(x.as_ptr()), self.affine);
                    d.store_bytes(bytes.as_mut_ptr(), steps, i32::from(self.affine.zero));
                }
                pixels.chunks_exact_mut(4).zip(bytes).for_each(|(pixel, byte)| pixel[c] = byte);
            }
        }
    }
}

/// Whole blocks of bytes to numbers.
struct ToFloats<'a> {
    x: &'a [u8],
    y: &'a mut [f32],
    affine: Affine,
}

impl DotKernel for ToFloats<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, d: D) {
        let (scale, zero) = (d.splat(self.affine.scale), d.splat(-f32::from(self.affine.zero)));
        for (x, y) in self.x.chunks_exact(BLOCK).zip(self.y.chunks_exact_mut(BLOCK)) {
            // SAFETY: both are a block.
            unsafe { d.store(y.as_mut_ptr(), d.mul(d.add(d.load_bytes(x.as_ptr()), zero), scale)) }
        }
    }
}
