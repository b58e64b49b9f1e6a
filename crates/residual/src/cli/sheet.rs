//! A contact sheet: rows of images as the network sees them, a class a row, then a view a row.

use residual::report::{At, Canvas, Colour, Text};

use crate::cli::table::shorten;

const WIDTH: usize = 1200;
const MARGIN: usize = 20;

/// Width of the labels, and the side of an image, in pixels.
const LABELS: usize = 240;
const SIDE: usize = 104;
const GAP: usize = 8;

/// Images in a row.
pub(crate) const IN_A_ROW: usize = (WIDTH - 2 * MARGIN - LABELS) / (SIDE + GAP);

const PAPER: Colour = [250; 3];
const INK: Colour = [20; 3];
const PALE: Colour = [110; 3];
const EMPTY: Colour = [228; 3];
const BAR: Colour = [0, 114, 178];

/// Side of a thumbnail, beyond which an image is to be shrunk first.
pub(crate) const THUMBNAIL: usize = SIDE;

/// Sheet that grows downward.
pub(crate) struct Sheet {
    parts: Vec<Part>,
}

enum Part {
    Space,
    Title(String),
    Line(String),
    Row(Row),
}

/// Row of the sheet: what is said beside it, and its images.
pub(crate) struct Row {
    /// Name, in black.
    pub(crate) name: String,
    /// Lines under it.
    pub(crate) lines: Vec<String>,
    /// Length of a bar under them, 0 to 1.
    pub(crate) bar: Option<f64>,
    /// Images, `None` for one that there is not.
    pub(crate) images: Vec<Option<Thumbnail>>,
}

/// Small RGB image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thumbnail {
    /// `[height, width]`, each at most [`THUMBNAIL`].
    pub(crate) size: [usize; 2],
    pub(crate) pixels: Vec<u8>,
}

const TITLE: usize = 3;
const TEXT: usize = 2;

impl Sheet {
    pub(crate) fn new() -> Self {
        Self { parts: Vec::new() }
    }

    /// Adds a line in large letters.
    pub(crate) fn title(&mut self, text: &str) {
        let letters = Text::new(TITLE, INK).letters(WIDTH - 2 * MARGIN);
        self.parts.extend(broken(text, letters).into_iter().map(Part::Title));
    }

    /// Adds text in as many lines as it takes.
    pub(crate) fn text(&mut self, text: &str) {
        let letters = Text::new(TEXT, INK).letters(WIDTH - 2 * MARGIN);
        self.parts.extend(broken(text, letters).into_iter().map(Part::Line));
    }

    /// Adds space.
    pub(crate) fn space(&mut self) {
        self.parts.push(Part::Space);
    }

    /// Adds a row of images.
    pub(crate) fn row(&mut self, row: Row) {
        self.parts.push(Part::Row(row));
    }

    /// The sheet as it is drawn.
    pub(crate) fn drawn(&self) -> Canvas {
        let height = MARGIN + self.parts.iter().map(Part::height).sum::<usize>();
        let mut canvas = Canvas::new(WIDTH, height, PAPER);
        let mut y = MARGIN;
        for part in &self.parts {
            part.draw(&mut canvas, y);
            y += part.height();
        }
        canvas
    }
}

impl Part {
    /// Height, with the space below it.
    fn height(&self) -> usize {
        match self {
            Self::Space => 2 * GAP,
            Self::Title(_) => Text::new(TITLE, INK).height() + GAP,
            Self::Line(_) => Text::new(TEXT, INK).height() + GAP / 2,
            Self::Row(row) => row.height() + GAP,
        }
    }

    fn draw(&self, canvas: &mut Canvas, y: usize) {
        match self {
            Self::Space => {}
            Self::Title(text) => canvas.text(At { x: MARGIN, y }, text, Text::new(TITLE, INK)),
            Self::Line(text) => canvas.text(At { x: MARGIN, y }, text, Text::new(TEXT, PALE)),
            Self::Row(row) => row.draw(canvas, y),
        }
    }
}

impl Row {
    fn labels(&self) -> Vec<(String, Colour)> {
        let letters = Text::new(TEXT, INK).letters(LABELS - GAP);
        let lines = self.lines.iter().flat_map(|line| broken(line, letters)).map(|line| (line, PALE));
        std::iter::once((shorten(&self.name, letters), INK)).chain(lines).collect()
    }

    /// Height of the labels, or of the images where they are higher.
    fn height(&self) -> usize {
        let line = Text::new(TEXT, INK).height() + GAP / 2;
        let bar = if self.bar.is_some() { 2 * GAP } else { 0 };
        (self.labels().len() * line + bar).max(SIDE)
    }

    fn draw(&self, canvas: &mut Canvas, top: usize) {
        let mut y = top;
        for (line, colour) in self.labels() {
            let style = Text::new(TEXT, colour);
            canvas.text(At { x: MARGIN, y }, &line, style);
            y += style.height() + GAP / 2;
        }
        if let Some(bar) = self.bar {
            let length = |share: f64| (share * (LABELS - 2 * GAP) as f64).ceil() as usize;
            canvas.fill(At { x: MARGIN, y }, [GAP, length(1.0)], EMPTY);
            canvas.fill(At { x: MARGIN, y }, [GAP, length(bar)], BAR);
        }
        for (number, image) in self.images.iter().enumerate() {
            let corner = At { x: MARGIN + LABELS + number * (SIDE + GAP), y: top };
            let Some(image) = image else { continue };
            let [height, width] = image.size;
            let scale = (SIDE / height.max(width).max(1)).max(1);
            let inset = |side: usize| SIDE.saturating_sub(side * scale) / 2;
            canvas.fill(corner, [SIDE; 2], EMPTY);
            let at = At { x: corner.x + inset(width), y: corner.y + inset(height) };
            canvas.image(at, image.size, &image.pixels, scale);
        }
    }
}

/// Text in lines of so many letters at most, broken at blanks; a longer word is cut.
fn broken(text: &str, letters: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        let word = shorten(word, letters);
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > letters {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thumbnail(value: u8, size: [usize; 2]) -> Thumbnail {
        Thumbnail { size, pixels: vec![value; size[0] * size[1] * 3] }
    }

    fn row(images: Vec<Option<Thumbnail>>) -> Row {
        Row { name: "a class".into(), lines: vec!["train 3".into()], bar: Some(0.5), images }
    }

    #[test]
    fn images_stand_in_their_cells_as_large_as_they_fit() {
        let mut sheet = Sheet::new();
        sheet.row(row(vec![Some(thumbnail(1, [32, 32])), None, Some(thumbnail(2, [104, 50]))]));
        let canvas = sheet.drawn();
        assert_eq!((canvas.width(), canvas.height()), (WIDTH, 2 * MARGIN + SIDE + GAP - MARGIN));
        let count = |value: u8| canvas.pixels().chunks(3).filter(|pixel| pixel == &[value; 3]).count();
        assert_eq!((count(1), count(2)), (96 * 96, 104 * 50));
        assert!(canvas.pixels().chunks(3).filter(|pixel| pixel == &BAR).count() > 100 * GAP);
    }

    #[test]
    fn labels_of_any_length_make_room() {
        let mut sheet = Sheet::new();
        sheet.title(&"long ".repeat(100));
        sheet.text(&"word ".repeat(100));
        let lines = vec!["x".repeat(500), "many words ".repeat(20)];
        sheet.row(Row { name: "n".repeat(300), lines, bar: None, images: Vec::new() });
        let canvas = sheet.drawn();
        // Nothing is drawn into the margin.
        let edge = |y: usize| &canvas.pixels()[(y * WIDTH + WIDTH - MARGIN) * 3..(y + 1) * WIDTH * 3];
        assert!((0..canvas.height()).all(|y| edge(y).iter().all(|&value| value == PAPER[0])));
        assert!(canvas.height() > 12 * 22, "{}", canvas.height());
    }

    #[test]
    fn text_is_broken_at_blanks() {
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("abcdefghij", 5), ["ab…ij"]);
        assert_eq!(broken("", 5), [""]);
    }
}
