//! Layers that are drawn as one box: a convolution with the norm and the activation behind it.

use residual_arch::{Layer, Source};

use super::label::{self, Label, Tint};

/// Box of a drawing: the layers in it, the map that it reads and the shape that it gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    labels: Vec<Label>,
    pub(super) reads: Source,
    pub(super) output: [usize; 3],
}

impl Unit {
    /// Colour: that of its first layer.
    pub(super) fn tint(&self) -> Tint {
        self.labels.first().map_or(Tint::Norm, |label| label.tint)
    }

    /// Text line by line, of at most `letters` letters: norm and activation share a line.
    pub(super) fn lines(&self, letters: usize) -> Vec<String> {
        let (mut lines, mut soft) = (Vec::new(), Vec::new());
        for label in &self.labels {
            match label.tint {
                Tint::Norm => soft.extend(label.words.iter().cloned()),
                _ => lines.extend(label::lines(&label.words, letters)),
            }
        }
        lines.extend(label::lines(&soft, letters));
        lines
    }
}

/// Boxes of layers that stand one behind the other. A map that another path reads too, `forked`, lies between two of them.
pub(super) fn units<'n>(layers: impl IntoIterator<Item = &'n Layer>, forked: Option<Source>) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for layer in layers {
        let Some(label) = Label::of(layer) else { continue };
        let reads = layer.reads().first();
        let takes = |unit: &&mut Unit| matches!(unit.tint(), Tint::Weights | Tint::Norm);
        let open =
            units.last_mut().filter(takes).filter(|_| label.tint == Tint::Norm && forked != Some(reads));
        match open {
            Some(unit) => {
                unit.labels.push(label);
                unit.output = layer.output();
            }
            None => units.push(Unit { labels: vec![label], reads, output: layer.output() }),
        }
    }
    units
}
