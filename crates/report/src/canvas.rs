//! Pictures in pixels: text, bars and images beside each other.

use crate::font;

/// Colour, `[red, green, blue]`.
pub type Colour = [u8; 3];

/// Corner of something on a canvas, in pixels from the upper left one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Pixels from the left.
    pub x: usize,
    /// Pixels from the top.
    pub y: usize,
}

/// Canvas of RGB pixels, on which text, rectangles and images are drawn. What reaches over its edges is cut.
///
/// ```
/// use residual_report::{At, Canvas, Text};
///
/// let mut canvas = Canvas::new(120, 24, [255; 3]);
/// canvas.text(At { x: 4, y: 3 }, "cat 37", Text::new(2, [0; 3]));
/// assert_eq!(canvas.pixels().len(), 120 * 24 * 3);
/// assert!(canvas.pixels().contains(&0));
/// assert_eq!(Text::new(2, [0; 3]).width("cat 37"), 70);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Text: how large its letters are, and their colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text {
    /// Pixels of a letter's dot, along each side: with 2, capitals are 14 pixels high.
    pub scale: usize,
    /// Colour of the letters.
    pub colour: Colour,
}

impl Text {
    /// Text with dots of `scale` pixels.
    pub fn new(scale: usize, colour: Colour) -> Self {
        Self { scale, colour }
    }

    /// Width of a line of text, in pixels.
    pub fn width(self, text: &str) -> usize {
        let letters = text.chars().count();
        (letters * (font::WIDTH + 1)).saturating_sub(1) * self.scale
    }

    /// Height of a line, with what lies below it.
    pub fn height(self) -> usize {
        font::HEIGHT * self.scale
    }

    /// Letters that fit a width.
    pub fn letters(self, width: usize) -> usize {
        (width / self.scale.max(1) + 1) / (font::WIDTH + 1)
    }
}

impl Canvas {
    /// Canvas of one colour.
    pub fn new(width: usize, height: usize, colour: Colour) -> Self {
        Self { width, height, pixels: colour.repeat(width * height) }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Pixels, `[height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Draws a line of text with its upper left corner at a place.
    pub fn text(&mut self, at: At, text: &str, style: Text) {
        for (number, letter) in text.chars().enumerate() {
            let left = at.x + number * (font::WIDTH + 1) * style.scale;
            for (row, bits) in font::glyph(letter).into_iter().enumerate() {
                for column in (0..font::WIDTH).filter(|column| bits >> (font::WIDTH - 1 - column) & 1 == 1) {
                    let dot = At { x: left + column * style.scale, y: at.y + row * style.scale };
                    self.fill(dot, [style.scale; 2], style.colour);
                }
            }
        }
    }

    /// Fills a rectangle of `[height, width]` pixels.
    pub fn fill(&mut self, at: At, size: [usize; 2], colour: Colour) {
        for y in at.y..at.y.saturating_add(size[0]).min(self.height) {
            for x in at.x..at.x.saturating_add(size[1]).min(self.width) {
                self.set(x, y, colour);
            }
        }
    }

    /// Draws an image of `[height, width]` RGB pixels, each as a square of `scale` pixels.
    ///
    /// # Panics
    /// Where `pixels` are not `height * width * 3`.
    pub fn image(&mut self, at: At, size: [usize; 2], pixels: &[u8], scale: usize) {
        let [height, width] = size;
        assert_eq!(pixels.len(), height * width * 3, "pixels of an image of {height}x{width}");
        for y in 0..(height * scale).min(self.height.saturating_sub(at.y)) {
            for x in 0..(width * scale).min(self.width.saturating_sub(at.x)) {
                let start = (y / scale * width + x / scale) * 3;
                self.set(at.x + x, at.y + y, [pixels[start], pixels[start + 1], pixels[start + 2]]);
            }
        }
    }

    fn set(&mut self, x: usize, y: usize, colour: Colour) {
        let start = (y * self.width + x) * 3;
        self.pixels[start..start + 3].copy_from_slice(&colour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_over_the_edge_is_cut() {
        let mut canvas = Canvas::new(4, 3, [9; 3]);
        canvas.fill(At { x: 2, y: 1 }, [9, 9], [1, 2, 3]);
        canvas.fill(At { x: 9, y: 9 }, [usize::MAX; 2], [0; 3]);
        canvas.text(At { x: 3, y: 2 }, "W~", Text::new(3, [7; 3]));
        canvas.image(At { x: 3, y: 0 }, [1, 2], &[5, 5, 5, 6, 6, 6], 4);
        let row = |y: usize| canvas.pixels()[y * 12..(y + 1) * 12].to_vec();
        assert_eq!(row(0), [9, 9, 9, 9, 9, 9, 9, 9, 9, 5, 5, 5]);
        assert_eq!(row(1), [9, 9, 9, 9, 9, 9, 1, 2, 3, 5, 5, 5]);
    }

    #[test]
    fn a_letter_is_drawn_dot_by_dot() {
        let mut canvas = Canvas::new(10, 18, [0; 3]);
        canvas.text(At { x: 0, y: 0 }, "T", Text::new(2, [255; 3]));
        let lit = |x: usize, y: usize| canvas.pixels()[(y * 10 + x) * 3] == 255;
        assert!((0..10).all(|x| lit(x, 0) && lit(x, 1)), "the bar on top");
        assert!((2..14).all(|y| lit(4, y) && lit(5, y) && !lit(0, y)), "the stem");
        assert!(!lit(4, 14), "the line below");
    }

    #[test]
    fn letters_fit_the_width_that_they_have() {
        let style = Text::new(2, [0; 3]);
        for letters in 1..20 {
            let text = "x".repeat(letters);
            assert_eq!(style.letters(style.width(&text)), letters);
            assert_eq!(style.letters(style.width(&text) - 1), letters - 1);
        }
        assert_eq!((style.width(""), style.letters(0)), (0, 0));
    }
}
