//! A whole network from its input down to its output.

use residual_arch::{Network, Place, Task};

use super::block::block;
use super::label::{cut, shape};
use super::pen::{self, BRANCH, STYLE, TRUNK, WIDTH};
use super::runs::{Run, runs};
use super::units::{Unit, units};
use crate::Figure;
use crate::number::number;
use crate::svg::Drawing;

/// Edges of the frame of stem, stage and head.
const LEFT: f64 = 6.0;
const FRAME: f64 = WIDTH - 2.0 * LEFT;
/// Height of a frame's heading, of an arrow between frames with a shape beside it, and of one between boxes.
const HEADING: f64 = 28.0;
const ARROW: f64 = 28.0;
const GAP: f64 = 14.0;
/// Letters of the title.
const LETTERS: usize = 38;

/// Drawing of a network, from its input at the top down to its output: the stem, every stage with its blocks, the head. A
/// block has its branch on the left and its shortcut on the right: the identity, a projection or a zero-padded copy with
/// its stride. Equal blocks in a row are drawn once, with their number. Arrows between blocks have the shape
/// `channels x height x width` of what they carry.
///
/// The figure is 360 pixels wide, so that it reads on a phone, and as high as the network is deep; text is text. The same
/// network gives the same figure to the byte.
///
/// ```
/// use residual_arch::families::family;
/// use residual_report::NetworkDiagram;
///
/// let spec = family("resnet18")?;
/// let svg = NetworkDiagram::new(&spec.check(spec.input)?).figure().svg();
/// assert!(svg.contains(">projection<") && svg.contains("512x7x7"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NetworkDiagram<'n> {
    network: &'n Network,
}

impl<'n> NetworkDiagram<'n> {
    /// Drawing of a network for the input that it was checked for.
    pub fn new(network: &'n Network) -> Self {
        Self { network }
    }

    /// The figure.
    pub fn figure(&self) -> Figure {
        let network = self.network;
        let spec = network.spec();
        let mut column = Column { drawing: Drawing::default(), y: 0.0 };
        column.drawing.raw(STYLE);
        column.title(network);
        column.part("stem", &units(network.layers_of(Place::Stem), None));
        let mut given = network.layers_of(Place::Stem).last().map_or(network.input(), |layer| layer.output());
        let mut told = vec![format!("The stem, {}, gives {}.", spec.stem, shape(given))];
        for stage in 1..=spec.stages.len() {
            let runs = runs(network, stage);
            column.stage(stage, &runs, given);
            told.push(in_words(stage, &runs));
            given = runs.last().map_or(given, Run::output);
        }
        column.arrow(&shape(given));
        column.part("head", &units(network.layers_of(Place::Head), None));
        column.arrow(&outputs(network));
        told.push(format!("The head: {}.", spec.head));
        let description = format!(
            "Residual network for images of {}, from top to bottom. {}",
            shape(network.input()),
            told.join(" ")
        );
        Figure::new(&spec.name, &description, [WIDTH, column.y + 6.0], column.drawing)
    }
}

/// Column of frames, and where the next one goes.
struct Column {
    drawing: Drawing,
    y: f64,
}

impl Column {
    /// Name and counts, then the arrow from the input.
    fn title(&mut self, network: &Network) {
        let lines = [
            (22.0, "title", cut(&network.spec().name, LETTERS)),
            (
                40.0,
                "soft cell",
                format!(
                    "{} parameters, {} million MACs",
                    number(network.parameters() as f64, 20),
                    number(network.macs() as f64 / 1e6, 3)
                ),
            ),
        ];
        for (baseline, class, text) in lines {
            self.drawing.text([LEFT + 4.0, baseline], "start", class, &text);
        }
        self.y = 48.0;
        self.arrow(&format!("image {}", shape(network.input())));
    }

    /// Arrow to the next frame, and what it carries.
    fn arrow(&mut self, carried: &str) {
        pen::arrow(&mut self.drawing, &[[TRUNK, self.y], [TRUNK, self.y + ARROW]], "");
        self.drawing.text([TRUNK + 10.0, self.y + ARROW / 2.0 + 4.0], "start", "cell", carried);
        self.y += ARROW;
    }

    /// Stem or head: boxes one below the other, and beside each the shape that it gives.
    fn part(&mut self, name: &str, units: &[Unit]) {
        let mut inside = Drawing::default();
        let mut y = self.y + HEADING;
        for (number, unit) in units.iter().enumerate() {
            if number > 0 {
                pen::arrow(&mut inside, &[[TRUNK, y], [TRUNK, y + GAP]], "");
                y += GAP;
            }
            let (top, right) = (y, TRUNK + BRANCH.width / 2.0 + 10.0);
            y = pen::unit(&mut inside, unit, BRANCH, top);
            inside.text([right, (top + y) / 2.0 + 4.0], "start", "soft cell", &shape(unit.output));
        }
        self.frame(name, "", y + 10.0, inside);
    }

    /// A stage that is given maps of `given`: its blocks, between them the shapes.
    fn stage(&mut self, stage: usize, runs: &[Run<'_>], given: [usize; 3]) {
        self.arrow(&shape(given));
        let top = self.y;
        self.y += HEADING;
        let outside = std::mem::take(&mut self.drawing);
        let mut given = given;
        for (number, run) in runs.iter().enumerate() {
            if number > 0 {
                self.arrow(&shape(given));
            }
            self.y = block(&mut self.drawing, run, self.y);
            given = run.output();
        }
        let inside = std::mem::replace(&mut self.drawing, outside);
        let bottom = std::mem::replace(&mut self.y, top) + 12.0;
        let blocks: usize = runs.iter().map(|run| run.count).sum();
        let count = format!("{blocks} {}", if blocks == 1 { "block" } else { "blocks" });
        self.frame(&format!("stage{stage}"), &count, bottom, inside);
    }

    /// Frame down to `bottom` around what was drawn, with a heading.
    fn frame(&mut self, name: &str, remark: &str, bottom: f64, inside: Drawing) {
        let top = self.y;
        pen::rectangle(&mut self.drawing, [LEFT, top], [FRAME, bottom - top], "frame");
        self.drawing.text([LEFT + 8.0, top + 18.0], "start", "strong", name);
        if !remark.is_empty() {
            self.drawing.text([LEFT + FRAME - 8.0, top + 18.0], "end", "soft cell", remark);
        }
        self.drawing.raw(inside.into_body());
        self.y = bottom;
    }
}

/// Outputs of a network in words.
fn outputs(network: &Network) -> String {
    let [outputs, ..] = network.output();
    let (one, many) = match network.spec().task {
        Task::SingleLabel => ("class", "classes"),
        Task::MultiLabel { .. } => ("label", "labels"),
        _ => ("number", "numbers"),
    };
    format!("{outputs} {}", if outputs == 1 { one } else { many })
}

/// A stage in words, for those who do not see it.
fn in_words(stage: usize, runs: &[Run<'_>]) -> String {
    let blocks = runs.iter().map(|run| {
        let (count, kind, shortcut) = (run.count, run.spec.label(), run.spec.shortcut);
        format!("{count} of kind {kind} with shortcut {shortcut}, to {}", shape(run.output()))
    });
    format!("Stage {stage}: {}.", blocks.collect::<Vec<_>>().join("; "))
}
