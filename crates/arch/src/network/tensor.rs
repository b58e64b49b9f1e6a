//! Tensors of a layer.

use std::fmt;
use std::str::FromStr;

use super::{LayerPath, UnknownPath};
use crate::Role;
use crate::tensors::product;

/// Tensor of a layer by its name in the layer: `weight`, `running_mean`, `reduce.bias`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Field {
    /// Weight, or scale of a norm.
    Weight,
    /// Bias, or shift of a norm.
    Bias,
    /// Running mean of a batch norm.
    RunningMean,
    /// Running variance of a batch norm.
    RunningVar,
    /// Weight of the first layer of squeeze-and-excitation.
    ReduceWeight,
    /// Bias of the first layer of squeeze-and-excitation.
    ReduceBias,
    /// Weight of the second layer of squeeze-and-excitation.
    ExpandWeight,
    /// Bias of the second layer of squeeze-and-excitation.
    ExpandBias,
}

/// Canonical path of a tensor. Displays as `stage2.block0.shortcut.conv.weight`, and reads back from exactly
/// that text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorPath {
    /// Layer that has it.
    pub layer: LayerPath,
    /// Name in the layer.
    pub field: Field,
}

/// Parameter or buffer of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LayerTensor {
    /// Name in the layer.
    pub field: Field,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Role: weight, bias or statistic.
    pub role: Role,
}

impl LayerTensor {
    pub(super) fn new(field: Field, shape: &[usize], role: Role) -> Self {
        Self { field, shape: shape.to_vec(), role }
    }

    /// Number of elements; the largest `u64` where the product does not fit.
    pub fn elements(&self) -> u64 {
        product(&self.shape).unwrap_or(u64::MAX)
    }
}

impl Field {
    const ALL: [Self; 8] = [
        Self::Weight,
        Self::Bias,
        Self::RunningMean,
        Self::RunningVar,
        Self::ReduceWeight,
        Self::ReduceBias,
        Self::ExpandWeight,
        Self::ExpandBias,
    ];

    /// The text that it displays as.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Bias => "bias",
            Self::RunningMean => "running_mean",
            Self::RunningVar => "running_var",
            Self::ReduceWeight => "reduce.weight",
            Self::ReduceBias => "reduce.bias",
            Self::ExpandWeight => "expand.weight",
            Self::ExpandBias => "expand.bias",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Field {
    type Err = UnknownPath;

    fn from_str(text: &str) -> Result<Self, UnknownPath> {
        let found = Self::ALL.into_iter().find(|field| field.name() == text);
        found.ok_or_else(|| UnknownPath {
            path: text.into(),
            of: "a tensor in its layer",
            expected: "weight, running_mean, reduce.bias",
        })
    }
}

impl LayerPath {
    /// The path of the layer's tensor `field`.
    pub fn tensor(self, field: Field) -> TensorPath {
        TensorPath { layer: self, field }
    }
}

impl fmt::Display for TensorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.layer, self.field)
    }
}

impl FromStr for TensorPath {
    type Err = UnknownPath;

    fn from_str(text: &str) -> Result<Self, UnknownPath> {
        let with = |field: Field| {
            let layer = text.strip_suffix(field.name())?.strip_suffix('.')?;
            layer.parse().ok().map(|layer: LayerPath| layer.tensor(field))
        };
        Field::ALL.into_iter().find_map(with).ok_or_else(|| UnknownPath {
            path: text.into(),
            of: "a tensor",
            expected: "stem.conv0.weight, stage2.block0.se.reduce.bias, head.linear.bias",
        })
    }
}
