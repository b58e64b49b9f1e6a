//! Samples to pixels, one row of MCUs after another: only what the next rows need is kept.

use super::colour::{self, Colour};
use super::frame::{Component, Frame, SIDE};
use super::upsample::{self, Ratio};

/// The samples of one component in a row of MCUs, below the last row of the MCUs before.
struct Strip {
    samples: Vec<u8>,
    stride: usize,
    /// Rows of an MCU.
    lines: usize,
    /// Samples that belong to the image.
    width: usize,
    height: usize,
    ratio: Ratio,
    /// Rows of the image to a row of samples.
    down: usize,
}

impl Strip {
    fn new(component: &Component, frame: &Frame) -> Self {
        let stride = component.blocks_across * SIDE;
        let lines = component.down * SIDE;
        let down = frame.down / component.down;
        Self {
            samples: vec![0; (lines + 1) * stride],
            stride,
            lines,
            width: component.width,
            height: component.height,
            ratio: Ratio::new([frame.across / component.across, down], component.width),
            down,
        }
    }

    /// The samples of row `y`, where the strip is the one with number `strip`.
    fn row(&self, y: usize, strip: usize) -> &[u8] {
        let start = (y + 1 - strip * self.lines) * self.stride;
        &self.samples[start..start + self.width]
    }

    /// The rows of samples for row `y` of the image: the nearest, and the other, which is `below` or above it.
    fn rows(&self, y: usize, strip: usize) -> ([&[u8]; 2], bool) {
        let near = y / self.down;
        let below = y % 2 == 1;
        let far = match below {
            _ if !self.ratio.needs_neighbour() => near,
            true => (near + 1).min(self.height - 1),
            false => near.saturating_sub(1),
        };
        ([self.row(near, strip), self.row(far, strip)], below)
    }
}

/// Turns strips of samples to pixels.
pub(super) struct Rows {
    strips: Vec<Strip>,
    colour: Colour,
    width: usize,
    height: usize,
    /// Rows of the image in a row of MCUs.
    lines: usize,
    /// Strips that are finished.
    finished: usize,
    /// Rows of the image that are written.
    written: usize,
    upsampled: Vec<Vec<u8>>,
    sums: Vec<u16>,
    pixels: Vec<u8>,
}

impl Rows {
    pub(super) fn new(frame: &Frame, colour: Colour) -> Self {
        Self {
            strips: frame.components.iter().map(|component| Strip::new(component, frame)).collect(),
            colour,
            width: frame.width,
            height: frame.height,
            lines: frame.down * SIDE,
            finished: 0,
            written: 0,
            upsampled: vec![Vec::new(); frame.components.len()],
            sums: Vec::new(),
            // The system gives these when they are written to.
            pixels: vec![0; frame.width * frame.height * colour.channels()],
        }
    }

    /// Place of the samples of a block: from its first on, and the distance of its rows. `row` counts within the
    /// row of MCUs.
    #[inline]
    pub(super) fn block(&mut self, component: usize, row: usize, column: usize) -> (&mut [u8], usize) {
        let strip = &mut self.strips[component];
        let first = (row * SIDE + 1) * strip.stride + column * SIDE;
        let end = (first + SIDE * strip.stride).min(strip.samples.len());
        (&mut strip.samples[first..end], strip.stride)
    }

    /// Ends a row of MCUs: writes the rows of the image that nothing more is needed for.
    pub(super) fn finish_strip(&mut self) {
        let strip = self.finished;
        let end = (strip + 1) * self.lines;
        // The last row may lie between two strips.
        let end = if end >= self.height { self.height } else { end - 1 };
        let row_length = self.width * self.colour.channels();
        for y in self.written..end {
            let target = &mut self.pixels[y * row_length..(y + 1) * row_length];
            for (strip_of, upsampled) in self.strips.iter().zip(&mut self.upsampled) {
                if strip_of.ratio != Ratio::Whole {
                    let (rows, below) = strip_of.rows(y, strip);
                    upsample::row(strip_of.ratio, rows, below, &mut self.sums, upsampled);
                }
            }
            let mut rows = [&[][..]; 4];
            for ((row, strip_of), upsampled) in rows.iter_mut().zip(&self.strips).zip(&self.upsampled) {
                *row = if strip_of.ratio == Ratio::Whole { strip_of.row(y, strip) } else { upsampled };
            }
            colour::convert(self.colour, &rows[..self.strips.len()], target);
        }
        self.written = end;
        self.finished += 1;
        for strip in &mut self.strips {
            let last = strip.lines * strip.stride;
            strip.samples.copy_within(last.., 0);
        }
    }

    /// The image's pixels.
    pub(super) fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}
