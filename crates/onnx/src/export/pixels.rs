//! The preprocessing of images as nodes: pixels in, normalised maps out.

use residual_arch::{Fill, OddMargin, Preprocess, Resize};

use super::attribute::{int, ints};
use super::graph::GraphBuilder;
use super::resize::{resized, size_of};
use crate::element::FLOAT;
use crate::error::Error;

/// Adds the preprocessing of the pixels `input`, uint8 `[batch, height, width, channels]`; gives the name of the
/// normalised maps `[batch, channels, height, width]`.
///
/// # Errors
/// [`Error::Interpolation`].
pub(super) fn preprocessing(
    graph: &mut GraphBuilder,
    preprocess: &Preprocess,
    input: &str,
) -> Result<String, Error> {
    let planes = graph.node("Transpose", "pixels.planes", &[input], vec![ints("perm", &[0, 3, 1, 2])]);
    let mut pixels = graph.node("Cast", "pixels.float", &[&planes], vec![int("to", FLOAT as usize)]);
    if let Some(resize) = preprocess.resize {
        pixels = resized(graph, &pixels, resize, preprocess.interpolation)?;
    }
    if let Some(crop) = preprocess.crop {
        pixels = cropped(graph, &pixels, crop, preprocess);
    }
    let channels = preprocess.mean.len();
    let by_channel = [1, channels, 1, 1];
    let most = graph.floats("pixels.most", &[], &[255.0]);
    let mean = graph.floats("pixels.mean", &by_channel, &preprocess.mean);
    let std = graph.floats("pixels.std", &by_channel, &preprocess.std);
    let scaled = graph.node("Div", "pixels.scaled", &[&pixels, &most], vec![]);
    let centred = graph.node("Sub", "pixels.centred", &[&scaled, &mean], vec![]);
    Ok(graph.node("Div", "pixels.normalised", &[&centred, &std], vec![]))
}

/// The centre crop. What an image lacks is filled up first.
fn cropped(graph: &mut GraphBuilder, pixels: &str, crop: [usize; 2], preprocess: &Preprocess) -> String {
    let wanted = graph.integers("crop.size", &crop.map(|side| side as i64));
    let pixels = match is_covered(preprocess, crop) {
        true => pixels.to_owned(),
        false => filled(graph, pixels, &wanted, preprocess),
    };
    let size = size_of(graph, &pixels, "crop.have");
    let margin = graph.node("Sub", "crop.margin", &[&size, &wanted], vec![]);
    let two = graph.integers("crop.two", &[2]);
    let mut corner = graph.node("Div", "crop.half", &[&margin, &two], vec![]);
    if preprocess.odd_margin == OddMargin::Round {
        // Half to even: one more where the remainder by four is three.
        let [four, three] =
            [("four", 4), ("three", 3)].map(|(n, value)| graph.integers(format!("crop.{n}"), &[value]));
        let rest = graph.node("Mod", "crop.rest", &[&margin, &four], vec![]);
        let raise = graph.node("Div", "crop.raise", &[&rest, &three], vec![]);
        corner = graph.node("Add", "crop.corner", &[&corner, &raise], vec![]);
    }
    let end = graph.node("Add", "crop.end", &[&corner, &wanted], vec![]);
    let axes = graph.integers("crop.axes", &[2, 3]);
    graph.node("Slice", "crop", &[&pixels, &corner, &end, &axes], vec![])
}

/// True where the resize leaves no image smaller than the crop.
fn is_covered(preprocess: &Preprocess, crop: [usize; 2]) -> bool {
    let covers = |[height, width]: [usize; 2]| height >= crop[0] && width >= crop[1];
    match preprocess.resize {
        Some(Resize::ShorterSide(side)) => covers([side; 2]),
        Some(Resize::Exact(size) | Resize::Cover(size)) => covers(size),
        _ => false,
    }
}

/// Images that are at least as large as the crop, filled up around them.
fn filled(graph: &mut GraphBuilder, pixels: &str, wanted: &str, preprocess: &Preprocess) -> String {
    let size = size_of(graph, pixels, "fill.have");
    let [none, two] =
        [("none", 0), ("two", 2)].map(|(n, value)| graph.integers(format!("fill.{n}"), &[value]));
    let missing = graph.node("Sub", "fill.missing", &[wanted, &size], vec![]);
    let missing = graph.node("Max", "fill.lacking", &[&missing, &none], vec![]);
    let before = graph.node("Div", "fill.before", &[&missing, &two], vec![]);
    let after = graph.node("Sub", "fill.after", &[&missing, &before], vec![]);
    let outer = graph.integers("fill.outer", &[0, 0]);
    let pads = graph.concatenated("fill.pads", &[&outer, &before, &outer, &after]);
    if preprocess.fill == Fill::Black {
        return graph.node("Pad", "fill.padded", &[pixels, &pads], vec![]);
    }
    // A colour a channel: zeros around the differences from it.
    let colour: Vec<f32> =
        preprocess.mean.iter().map(|&mean| (255.0 * f64::from(mean)).round_ties_even() as f32).collect();
    let colour = graph.floats("fill.colour", &[1, colour.len(), 1, 1], &colour);
    let differences = graph.node("Sub", "fill.differences", &[pixels, &colour], vec![]);
    let padded = graph.node("Pad", "fill.padded", &[&differences, &pads], vec![]);
    graph.node("Add", "fill.filled", &[&padded, &colour], vec![])
}
