//! A block: `act(F(x) + S(x))`, its branch on the left, its shortcut on the right, and both meet in a sum.

use residual_arch::{BlockPart, Layer, LayerOp};

use super::label;
use super::pen::{self, BRANCH, Column, SHORTCUT, SIDE, TRUNK};
use super::runs::Run;
use super::units::{Unit, units};
use crate::svg::Drawing;

/// Edges of a block's frame, and the offset of the card behind one that stands for several.
const LEFT: f64 = 14.0;
const WIDTH: f64 = 332.0;
const BEHIND: f64 = 4.0;
/// Height of a block's heading, and of the gap between boxes.
const HEADING: f64 = 42.0;
const GAP: f64 = 16.0;
const RADIUS: f64 = 9.0;
/// Letters of the heading's lines.
const LETTERS: usize = 46;

/// Paths of a block.
struct Paths {
    branch: Vec<Unit>,
    shortcut: Vec<Unit>,
    /// Box of the branch before which the paths part; `None` without a shortcut.
    fork: Option<usize>,
    /// Behind the sum.
    rest: Vec<Unit>,
}

impl Paths {
    fn new(layers: &[Layer]) -> Self {
        let part = |layer: &&Layer| layer.path().block_part();
        let is_shortcut = |layer: &&Layer| matches!(part(layer), Some(BlockPart::Shortcut(_)));
        let is_rest = |layer: &&Layer| part(layer) == Some(BlockPart::OutputAct);
        let sum = layers.iter().find(|layer| matches!(layer.op(), LayerOp::Add));
        let beside = layers.iter().find(is_shortcut);
        let forked = beside.map(|layer| layer.reads().first()).or(sum.and_then(|sum| sum.reads().second()));
        let straight = |layer: &&Layer| !is_shortcut(layer) && !matches!(layer.op(), LayerOp::Add);
        if sum.is_none() {
            // Without a sum the last activation belongs to the last convolution.
            return Self { branch: units(layers, None), shortcut: vec![], fork: None, rest: vec![] };
        }
        let branch = units(layers.iter().filter(straight).filter(|layer| !is_rest(layer)), forked);
        Self {
            fork: branch.iter().position(|unit| Some(unit.reads) == forked).or(Some(0)),
            branch,
            shortcut: units(layers.iter().filter(is_shortcut), None),
            rest: units(layers.iter().filter(is_rest), None),
        }
    }
}

/// Equal blocks with the upper edge at `top`; gives the lower edge.
pub(super) fn block(drawing: &mut Drawing, run: &Run<'_>, top: f64) -> f64 {
    let mut inside = Drawing::default();
    let bottom = paths(&mut inside, &Paths::new(run.layers), run, top + HEADING);
    let size = [WIDTH, bottom - top];
    drawing.raw(format_args!("<g class=\"block\" data-count=\"{}\">", run.count));
    if run.count > 1 {
        pen::rectangle(drawing, [LEFT + BEHIND, top + BEHIND], size, "card");
    }
    pen::rectangle(drawing, [LEFT, top], size, "card");
    heading(drawing, run, top);
    drawing.raw(inside.into_body());
    drawing.raw("</g>");
    bottom
}

fn heading(drawing: &mut Drawing, run: &Run<'_>, top: f64) {
    drawing.text([LEFT + 8.0, top + 17.0], "start", "strong", &run.name());
    if run.count > 1 {
        let count = format!("× {}", run.count);
        drawing.text([LEFT + WIDTH - 8.0, top + 17.0], "end", "strong", &count);
    }
    let kind = label::cut(&run.spec.label(), LETTERS);
    drawing.text([LEFT + 8.0, top + 33.0], "start", "soft small", &kind);
}

/// Both paths from `top` on; gives the place where the block ends.
fn paths(drawing: &mut Drawing, paths: &Paths, run: &Run<'_>, top: f64) -> f64 {
    drawing.raw(format_args!("<circle cx=\"{TRUNK}\" cy=\"{top:.1}\" r=\"3\" class=\"tip\"/>"));
    let (mut y, mut fork) = (top, top);
    for (number, unit) in paths.branch.iter().enumerate() {
        if paths.fork == Some(number) && number > 0 {
            fork = y + GAP / 2.0;
        }
        y = step(drawing, unit, BRANCH, y, if fork > y { 1.5 * GAP } else { GAP });
    }
    if paths.fork.is_some() {
        y = sum(drawing, paths, run, [fork, y]);
    }
    for unit in &paths.rest {
        y = step(drawing, unit, BRANCH, y, GAP);
    }
    drawing.line([TRUNK, y], [TRUNK, y + GAP / 2.0], "way");
    y + GAP / 2.0
}

/// Box of a unit behind an arrow from `y` on; gives its lower edge.
fn step(drawing: &mut Drawing, unit: &Unit, column: Column, y: f64, gap: f64) -> f64 {
    pen::arrow(drawing, &[[column.centre, y], [column.centre, y + gap]], column.way);
    pen::unit(drawing, unit, column, y + gap)
}

/// The shortcut from the fork to the sum, and the sum below the branch's end; gives the lower edge of the sum.
fn sum(drawing: &mut Drawing, paths: &Paths, run: &Run<'_>, [fork, end]: [f64; 2]) -> f64 {
    let boxes: f64 = paths.shortcut.iter().map(|unit| pen::height(unit, SHORTCUT) + GAP).sum();
    let centre = (end + GAP + RADIUS).max(fork + boxes + GAP);
    pen::arrow(drawing, &[[TRUNK, end], [TRUNK, centre - RADIUS]], "");
    shortcut(drawing, paths, run, [fork, centre]);
    drawing.raw(format_args!("<circle cx=\"{TRUNK}\" cy=\"{centre:.1}\" r=\"{RADIUS}\" class=\"sum\"/>"));
    drawing.text([TRUNK, centre + 5.0], "middle", "strong", "+");
    centre + RADIUS
}

/// The path from the fork to the sum on the right, with one arrow at its end, and its boxes in the middle.
fn shortcut(drawing: &mut Drawing, paths: &Paths, run: &Run<'_>, [fork, centre]: [f64; 2]) {
    drawing.raw("<g class=\"beside\">");
    let corners = [[TRUNK, fork], [SIDE, fork], [SIDE, centre], [TRUNK + RADIUS, centre]];
    pen::arrow(drawing, &corners, SHORTCUT.way);
    let boxes: f64 = paths.shortcut.iter().map(|unit| pen::height(unit, SHORTCUT)).sum();
    let gaps = GAP * paths.shortcut.len().saturating_sub(1) as f64;
    let mut y = (fork + centre - boxes - gaps) / 2.0;
    for unit in &paths.shortcut {
        let size = [SHORTCUT.width, pen::height(unit, SHORTCUT)];
        pen::rectangle(drawing, [SIDE - SHORTCUT.width / 2.0, y], size, "bg");
        y = pen::unit(drawing, unit, SHORTCUT, y) + GAP;
    }
    if paths.shortcut.is_empty() {
        let middle = (fork + centre) / 2.0;
        pen::rectangle(drawing, [SIDE - 32.0, middle - 10.0], [64.0, 20.0], "bg");
        drawing.text([SIDE, middle + 4.0], "middle", "small", &run.spec.shortcut.label());
    }
    drawing.raw("</g>");
}
