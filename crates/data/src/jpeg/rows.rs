//! Samples to pixels, one row of MCUs after another: only what the next rows need is kept.

use std::ops::Range;

use residual_kernels::Vectorise;

use super::colour::{self, Colour};
use super::frame::{Component, Frame, SIDE};
use super::idct::{Block, Inverse, Lanes};
use super::upsample::{self, Ratio};
use crate::Part;
use crate::vectors::vectorised;

/// The samples of one component in a row of MCUs, below the last row of the MCUs before.
struct Strip {
    samples: Vec<u8>,
    stride: usize,
    /// Rows of an MCU.
    lines: usize,
    /// Rows of samples that belong to the image.
    height: usize,
    ratio: Ratio,
    /// Pixels of the image to a sample, along a row and down a column.
    across: usize,
    down: usize,
    /// Samples of a row that the part of the image is made of.
    columns: Range<usize>,
    /// Place of the part's first pixel among those that are made of them.
    skipped: usize,
    /// Blocks that hold samples of the part.
    blocks_across: Range<usize>,
    blocks_down: Range<usize>,
    /// Blocks of an MCU, down a column.
    mcu_down: usize,
}

impl Strip {
    fn new(component: &Component, frame: &Frame, part: &Part) -> Self {
        let stride = component.blocks_across * SIDE;
        let lines = component.down * SIDE;
        let (across, down) = (frame.across / component.across, frame.down / component.down);
        let ratio = Ratio::new([across, down], component.width);
        let ([top, left], [height, width]) = (part.corner, part.size);
        let reach = usize::from(ratio.needs_next());
        let columns = (left / across).saturating_sub(reach)
            ..((left + width - 1) / across + 1 + reach).min(component.width);
        let reach = usize::from(ratio.needs_neighbour());
        let rows =
            (top / down).saturating_sub(reach)..((top + height - 1) / down + 1 + reach).min(component.height);
        let blocks = |samples: &Range<usize>| samples.start / SIDE..samples.end.div_ceil(SIDE);
        Self {
            skipped: left - columns.start * across,
            blocks_across: blocks(&columns),
            blocks_down: blocks(&rows),
            mcu_down: component.down,
            columns,
            samples: vec![0; (lines + 1) * stride],
            stride,
            lines,
            height: component.height,
            ratio,
            across,
            down,
        }
    }

    /// The part's samples of row `y`, where the strip is the one with number `strip`.
    #[inline(always)]
    fn row(&self, y: usize, strip: usize) -> &[u8] {
        let start = (y + 1 - strip * self.lines) * self.stride;
        &self.samples[start + self.columns.start..start + self.columns.end]
    }

    /// The rows of samples for row `y` of the image: the nearest, and the other, which is `below` or above it.
    #[inline(always)]
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

/// Turns strips of samples to the pixels of a part of the image.
pub(super) struct Rows {
    strips: Vec<Strip>,
    colour: Colour,
    part: Part,
    /// Rows of the image.
    height: usize,
    /// Rows of the image in a row of MCUs.
    lines: usize,
    /// Strips that are finished.
    finished: usize,
    /// Rows of the image that are written.
    written: usize,
    upsampled: Vec<Vec<u8>>,
    sums: Vec<u16>,
    places: Vec<usize>,
    pixels: Vec<u8>,
}

/// Blocks of a component in a row of MCUs.
pub(super) struct Wanted {
    /// Rows, of those in the row of MCUs.
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

impl Wanted {
    /// Number of a block among those that are wanted.
    #[inline]
    pub(super) fn number(&self, row: usize, column: usize) -> Option<usize> {
        let is_one = self.rows.contains(&row) && self.columns.contains(&column);
        is_one.then(|| (row - self.rows.start) * self.columns.len() + column - self.columns.start)
    }

    /// Number of blocks.
    pub(super) fn count(&self) -> usize {
        self.rows.len() * self.columns.len()
    }
}

impl Rows {
    /// Rows of the part of an image, which lies in it.
    pub(super) fn new(frame: &Frame, colour: Colour, part: Part) -> Self {
        let [height, width] = part.size;
        let strips: Vec<Strip> =
            frame.components.iter().map(|component| Strip::new(component, frame, &part)).collect();
        let upsampled = |strip: &Strip| vec![0; strip.columns.len() * strip.across];
        let most = strips.iter().map(|strip| strip.columns.len()).max().unwrap_or(0);
        Self {
            colour,
            part,
            height: frame.height,
            lines: frame.down * SIDE,
            finished: 0,
            written: 0,
            upsampled: strips.iter().map(upsampled).collect(),
            sums: vec![0; most],
            places: Vec::new(),
            strips,
            // The system gives these when they are written to.
            pixels: vec![0; width * height * colour.channels()],
        }
    }

    /// Blocks of a component that the part needs in the row of MCUs at hand.
    pub(super) fn wanted(&self, component: usize) -> Wanted {
        let strip = &self.strips[component];
        let first = self.finished * strip.mcu_down;
        let within = |line: usize| line.clamp(first, first + strip.mcu_down) - first;
        let rows = within(strip.blocks_down.start)..within(strip.blocks_down.end);
        Wanted { rows, columns: strip.blocks_across.clone() }
    }

    /// Makes samples of the blocks that are wanted, row after row.
    pub(super) fn transform(&mut self, component: usize, lanes: &[Lanes], factors: &Block) {
        let wanted = self.wanted(component);
        let strip = &mut self.strips[component];
        let (stride, columns) = (strip.stride, wanted.columns);
        self.places.clear();
        for row in wanted.rows {
            self.places.extend(columns.clone().map(|column| (row * SIDE + 1) * stride + column * SIDE));
        }
        let (places, samples) = (&self.places[..], &mut strip.samples[..]);
        vectorised(Inverse { lanes, factors, places, samples, stride });
    }

    /// Ends a row of MCUs: writes the rows of the image that nothing more is needed for.
    pub(super) fn finish_strip(&mut self) {
        let strip = self.finished;
        let end = (strip + 1) * self.lines;
        // The last row may lie between two strips.
        let end = if end >= self.height { self.height } else { end - 1 };
        let top = self.part.corner[0];
        let lines = self.written.max(top)..end.min(top + self.part.size[0]);
        vectorised(Lines { rows: self, strip, lines });
        self.written = end;
        self.finished += 1;
        for strip in &mut self.strips {
            let last = strip.lines * strip.stride;
            strip.samples.copy_within(last.., 0);
        }
    }

    /// Part of the image that is made.
    pub(super) fn part(&self) -> Part {
        self.part
    }

    /// The part's pixels.
    pub(super) fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}

/// Pixels of some rows of the image, from a strip with a number.
struct Lines<'a> {
    rows: &'a mut Rows,
    strip: usize,
    lines: Range<usize>,
}

impl Vectorise for Lines<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Rows { strips, colour, part, upsampled, sums, pixels, .. } = self.rows;
        let row_length = part.size[1] * colour.channels();
        for y in self.lines {
            for (strip, target) in strips.iter().zip(upsampled.iter_mut()) {
                if strip.ratio != Ratio::Whole {
                    let (rows, below) = strip.rows(y, self.strip);
                    upsample::row(strip.ratio, rows, below, sums, target);
                }
            }
            let mut rows = [&[][..]; 4];
            for ((row, strip), upsampled) in rows.iter_mut().zip(&*strips).zip(&*upsampled) {
                let whole = strip.ratio == Ratio::Whole;
                let samples = if whole { strip.row(y, self.strip) } else { upsampled };
                *row = &samples[strip.skipped..];
            }
            let first = (y - part.corner[0]) * row_length;
            colour::convert(*colour, &rows[..strips.len()], &mut pixels[first..first + row_length]);
        }
    }
}
