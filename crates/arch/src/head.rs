//! What stands after the last stage.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::NormKind;

/// (Norm and ReLU,) global average pool, (dropout,) linear layer: logits `[B, classes]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HeadSpec {
    /// Number of classes.
    pub classes: usize,
    /// Norm and ReLU first: needed after pre-activation blocks, whose output is not activated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub norm: bool,
    /// Kind of that norm.
    #[serde(rename = "group_norm", default, skip_serializing_if = "NormKind::is_batch")]
    pub norm_kind: NormKind,
    /// Probability of dropping a feature before the linear layer, in training.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl HeadSpec {
    /// Global average pool and linear layer.
    pub fn new(classes: usize) -> Self {
        Self { classes, norm: false, norm_kind: NormKind::Batch, dropout: 0.0 }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_arch::HeadSpec;
    /// let head = HeadSpec::new(10).with(|head| head.norm = true);
    /// assert_eq!(head.to_string(), "BN, ReLU, average pool, linear 10");
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

impl fmt::Display for HeadSpec {
    /// `average pool, linear 1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.norm {
            write!(f, "{}, ReLU, ", self.norm_kind)?;
        }
        write!(f, "average pool, ")?;
        if self.dropout != 0.0 {
            write!(f, "dropout {}, ", self.dropout)?;
        }
        write!(f, "linear {}", self.classes)
    }
}
