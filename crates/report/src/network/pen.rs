//! Boxes, lines and arrows at the places where they go.

use super::units::Unit;
use crate::svg::Drawing;

/// Width of a drawing, in pixels: that of a phone.
pub(super) const WIDTH: f64 = 360.0;
/// Centre of the branch and of all that has one path.
pub(super) const TRUNK: f64 = 128.0;
/// Centre of the shortcut.
pub(super) const SIDE: f64 = 288.0;

/// Height of a line of text, and what a box has above and below its lines, together.
const LINE: f64 = 16.0;
const PADDING: f64 = 8.0;
/// Length of an arrow's head.
const TIP: f64 = 5.0;

/// The style of what only drawings of networks have.
pub(super) const STYLE: &str = "<style>\
.fig .box{stroke-width:1.5;fill-opacity:.12}.fig .small{font-size:11px}.fig .strong{font-weight:600}\
.fig .frame{fill:none;stroke:var(--grid)}.fig .card{fill:var(--bg);stroke:var(--soft)}\
.fig .weights{fill:var(--c0);stroke:var(--c0)}.fig .norm{fill:var(--c6);stroke:var(--c6)}\
.fig .pool{fill:var(--c2);stroke:var(--c2)}.fig .attention{fill:var(--c3);stroke:var(--c3)}\
.fig .training{fill:var(--c4);stroke:var(--c4)}.fig .way{fill:none;stroke:var(--ink);stroke-width:1.5}\
.fig .shortcut{stroke:var(--c1);stroke-width:2}.fig .tip{fill:var(--ink)}.fig .tip.shortcut{fill:var(--c1);stroke:none}\
.fig .sum{fill:var(--bg);stroke:var(--ink);stroke-width:1.5}\
</style>";

/// Column of boxes: its centre, the width of the boxes, the letters that a line of them holds, and the class of its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) centre: f64,
    pub(super) width: f64,
    pub(super) letters: usize,
    pub(super) text: &'static str,
    /// Class of the lines and arrows between the boxes.
    pub(super) way: &'static str,
}

/// Column of the branch, of the stem and of the head.
pub(super) const BRANCH: Column = Column { centre: TRUNK, width: 200.0, letters: 27, text: "cell", way: "" };
/// Column of the shortcut.
pub(super) const SHORTCUT: Column =
    Column { centre: SIDE, width: 108.0, letters: 16, text: "cell small", way: " shortcut" };

/// Height of a unit's box.
pub(super) fn height(unit: &Unit, column: Column) -> f64 {
    unit.lines(column.letters).len() as f64 * LINE + PADDING
}

/// Box of a unit with its upper edge at `top`; gives its lower edge.
pub(super) fn unit(drawing: &mut Drawing, unit: &Unit, column: Column, top: f64) -> f64 {
    let (height, left) = (height(unit, column), column.centre - column.width / 2.0);
    let class = format!("box {}", unit.tint().class());
    rectangle(drawing, [left, top], [column.width, height], &class);
    for (row, line) in unit.lines(column.letters).iter().enumerate() {
        let baseline = top + PADDING / 2.0 + 12.0 + row as f64 * LINE;
        drawing.text([column.centre, baseline], "middle", column.text, line);
    }
    top + height
}

/// Rectangle with round corners.
pub(super) fn rectangle(drawing: &mut Drawing, [x, y]: [f64; 2], [width, height]: [f64; 2], class: &str) {
    drawing.raw(format_args!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"5\" class=\"{class}\"/>"
    ));
}

/// Line through points with an arrow's head at its end.
pub(super) fn arrow(drawing: &mut Drawing, points: &[[f64; 2]], way: &str) {
    drawing.path(points, &format!("way{way}"), "");
    let &[.., [x0, y0], [x, y]] = points else { return };
    let (dx, dy) = ((x - x0).signum() * f64::from(x != x0), (y - y0).signum() * f64::from(y != y0));
    let back = [x - dx * TIP * 1.6, y - dy * TIP * 1.6];
    let corners =
        [[x, y], [back[0] + dy * TIP, back[1] + dx * TIP], [back[0] - dy * TIP, back[1] - dx * TIP]];
    drawing.area(&corners, &format!("tip{way}"));
}
