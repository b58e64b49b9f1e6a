//! Networks that compute the same from the same tensors.

use super::{Layer, LayerOp, LayerPath, Norm};
use crate::NetSpec;

impl NetSpec {
    /// True where both networks compute the same from the same tensors by path, for the input of this one: the same
    /// layers, whatever they are called, start with or drop in training, and however images are prepared.
    ///
    /// ```
    /// use residual_arch::families::family;
    /// let (here, timm) = (family("resnet50")?, family("timm_resnet50")?);
    /// assert!(here.computes_as(&timm) && here.naming != timm.naming);
    /// assert!(!here.computes_as(&family("resnet50d")?));
    /// # Ok::<(), residual_arch::families::UnknownModel>(())
    /// ```
    pub fn computes_as(&self, other: &Self) -> bool {
        let shape =
            |spec: &Self| -> Vec<usize> { spec.stages.iter().map(|stage| stage.blocks.len()).collect() };
        if self.input[0] != other.input[0] || shape(self) != shape(other) {
            return false;
        }
        match (self.check(self.input), other.check(self.input)) {
            (Ok(one), Ok(other)) => computed(one.layers()).eq(computed(other.layers())),
            _ => false,
        }
    }
}

/// Layers that compute something outside training.
fn computed(layers: &[Layer]) -> impl Iterator<Item = (LayerPath, LayerOp)> {
    let is_idle = |op: &LayerOp| {
        matches!(op, LayerOp::Identity | LayerOp::Dropout { .. } | LayerOp::StochasticDepth { .. })
    };
    layers.iter().filter(move |layer| !is_idle(&layer.op)).map(|layer| (layer.path, without_start(layer.op)))
}

/// The operation, whatever its tensors start with.
fn without_start(op: LayerOp) -> LayerOp {
    match op {
        LayerOp::Norm(Norm::Batch { channels, .. }) => {
            LayerOp::Norm(Norm::Batch { channels, zero_init: false })
        }
        LayerOp::Norm(Norm::Group { channels, groups, .. }) => {
            LayerOp::Norm(Norm::Group { channels, groups, zero_init: false })
        }
        other => other,
    }
}
