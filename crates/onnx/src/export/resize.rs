//! The resize of images as nodes, as Pillow computes it.

use residual_arch::{Interpolation, Resize};

use super::attribute::{float, int, string};
use super::graph::GraphBuilder;
use crate::element::{DOUBLE, INT64};
use crate::error::Error;
use crate::proto::AttributeProto;

/// Pass of a resize: an axis of maps `[batch, channels, height, width]`.
#[derive(Clone, Copy)]
struct Pass {
    name: &'static str,
    axis: i64,
}

impl Pass {
    /// Name of a value of this pass.
    fn of(self, what: &str) -> String {
        format!("resize.{}.{what}", self.name)
    }
}

/// The passes, in Pillow's order.
const PASSES: [Pass; 2] = [Pass { name: "width", axis: 3 }, Pass { name: "height", axis: 2 }];

/// The resize of maps of whole pixel values: the width first, then the height, and whole pixel values between the two, as
/// in Pillow, which a single node would not have.
///
/// # Errors
/// [`Error::Interpolation`].
pub(super) fn resized(
    graph: &mut GraphBuilder,
    pixels: &str,
    resize: Resize,
    interpolation: Interpolation,
) -> Result<String, Error> {
    let attributes = attributes(interpolation)?;
    let target = target(graph, pixels, resize);
    let mut pixels = pixels.to_owned();
    for pass in PASSES {
        let side = graph.part_of(&pass.of("side"), &target, [pass.axis - 2, pass.axis - 1]);
        pixels = match &attributes {
            Some(attributes) => along(graph, &pixels, &side, pass, attributes.clone()),
            None => nearest(graph, &pixels, &side, pass),
        };
    }
    Ok(pixels)
}

/// Attributes of `Resize`; `None` for nearest, which is no node of that kind.
fn attributes(interpolation: Interpolation) -> Result<Option<Vec<AttributeProto>>, Error> {
    let of_kind = match interpolation {
        Interpolation::Nearest => return Ok(None),
        Interpolation::Bilinear => vec![string("mode", "linear")],
        Interpolation::Bicubic => {
            vec![string("mode", "cubic"), int("exclude_outside", 1), float("cubic_coeff_a", -0.5)]
        }
        other => return Err(Error::Interpolation { found: format!("{other:?}").to_lowercase() }),
    };
    let usual = vec![string("coordinate_transformation_mode", "half_pixel"), int("antialias", 1)];
    Ok(Some([usual, of_kind].concat()))
}

/// The resize along an axis to `side`, a vector of one number, rounded to whole pixel values.
fn along(
    graph: &mut GraphBuilder,
    pixels: &str,
    side: &str,
    pass: Pass,
    attributes: Vec<AttributeProto>,
) -> String {
    let (place, axis) = (|what: &str| pass.of(what), pass.axis);
    let shape = graph.node("Shape", place("shape"), &[pixels], vec![]);
    let before = graph.part_of(&place("before"), &shape, [0, axis]);
    let after = graph.part_of(&place("after"), &shape, [axis + 1, 4]);
    let sizes = graph.concatenated(&place("sizes"), &[&before, side, &after]);
    let resized = graph.node("Resize", place("resized"), &[pixels, "", "", &sizes], attributes);
    // Half a grey level and more is the next: Pillow adds a half and cuts.
    let half = graph.floats(place("half_level"), &[], &[0.5]);
    let raised = graph.node("Add", place("raised"), &[&resized, &half], vec![]);
    let whole = graph.node("Floor", place("whole"), &[&raised], vec![]);
    let [least, most] =
        [("least", 0.0), ("most", 255.0)].map(|(end, value)| graph.floats(place(end), &[], &[value]));
    graph.node("Clip", place("clipped"), &[&whole, &least, &most], vec![])
}

/// The nearest pixels along an axis: those at `floor(s_i)`, where `s_0` is half of the ratio of the sides and each `s_i` the
/// one before plus the ratio, summed in double precision as Pillow sums them.
fn nearest(graph: &mut GraphBuilder, pixels: &str, side: &str, pass: Pass) -> String {
    let (place, axis) = (|what: &str| pass.of(what), pass.axis);
    let double = || vec![int("to", DOUBLE as usize)];
    let shape = graph.node("Shape", place("shape"), &[pixels], vec![]);
    let have = graph.part_of(&place("have"), &shape, [axis, axis + 1]);
    let exact = graph.node("Cast", place("exact"), &[&have], double());
    let wanted = graph.node("Cast", place("wanted"), &[side], double());
    let ratio = graph.node("Div", place("ratio"), &[&exact, &wanted], vec![]);
    let sum = graph.node("Add", place("sum"), &[&wanted, &wanted], vec![]);
    let half = graph.node("Div", place("first"), &[&exact, &sum], vec![]);
    let one = graph.integers(place("one"), &[1]);
    let others = graph.node("Sub", place("others"), &[side, &one], vec![]);
    let steps = graph.node("Expand", place("steps"), &[&ratio, &others], vec![]);
    let steps = graph.concatenated(&place("all"), &[&half, &steps]);
    let along = graph.integers(place("along"), &[0]);
    let along = graph.with_axes("Squeeze", place("axis"), &along, &[0]);
    let places = graph.node("CumSum", place("places"), &[&steps, &along], vec![]);
    let places = graph.node("Cast", place("cut"), &[&places], vec![int("to", INT64 as usize)]);
    let last = graph.node("Sub", place("last"), &[&have, &one], vec![]);
    let places = graph.node("Min", place("within"), &[&places, &last], vec![]);
    graph.node("Gather", place("nearest"), &[pixels, &places], vec![int("axis", axis as usize)])
}

/// `[height, width]` behind the resize, as [`Resize::target`] has it.
fn target(graph: &mut GraphBuilder, pixels: &str, resize: Resize) -> String {
    let number = |side: usize| side as i64;
    let (wanted, ratio) = match resize {
        Resize::Exact(size) => return graph.integers("resize.target", &size.map(number)),
        Resize::ShorterSide(side) => {
            let size = size_of(graph, pixels, "resize.size");
            let keep = vec![int("keepdims", 1)];
            let shorter = graph.node("ReduceMin", "resize.shorter", &[&size], keep);
            let side = graph.integers("resize.side", &[number(side)]);
            let scaled = graph.node("Mul", "resize.product", &[&size, &side], vec![]);
            return graph.node("Div", "resize.target", &[&scaled, &shorter], vec![]);
        }
        Resize::Cover(size) => (size, "ReduceMin"),
        Resize::Within(size) => (size, "ReduceMax"),
        _ => unreachable!("a resize has been checked"),
    };
    let size = size_of(graph, pixels, "resize.size");
    let double = || vec![int("to", DOUBLE as usize)];
    let exact = graph.node("Cast", "resize.exact", &[&size], double());
    let wanted = graph.integers("resize.wanted", &wanted.map(number));
    let wanted = graph.node("Cast", "resize.wanted_exact", &[&wanted], double());
    let ratios = graph.node("Div", "resize.ratios", &[&exact, &wanted], vec![]);
    let ratio = graph.node(ratio, "resize.ratio", &[&ratios], vec![int("keepdims", 1)]);
    let scaled = graph.node("Div", "resize.scaled", &[&exact, &ratio], vec![]);
    let rounded = graph.node("Round", "resize.rounded", &[&scaled], vec![]);
    let whole = graph.node("Cast", "resize.sides", &[&rounded], vec![int("to", INT64 as usize)]);
    let one = graph.integers("resize.one", &[1]);
    graph.node("Max", "resize.target", &[&whole, &one], vec![])
}

/// `[height, width]` of maps `[batch, channels, height, width]`.
pub(super) fn size_of(graph: &mut GraphBuilder, pixels: &str, name: &str) -> String {
    let shape = graph.node("Shape", format!("{name}.of"), &[pixels], vec![]);
    graph.part_of(name, &shape, [2, 4])
}
