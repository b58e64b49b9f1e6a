//! Tolerances: errors relative to a tensor's own size, and what is allowed of them.
//!
//! | quantity | allowed |
//! | --- | --- |
//! | output with running statistics | 1e-4 |
//! | training output, loss and running statistics | 1e-4; 2e-3 from 50 layers on |
//! | gradients | 1e-3; from 50 layers on their norms alone, 5e-2 |
//!
//! Where a file states PyTorch's own float32 error, ten times that if it is more.

use crate::golden::{Float32, Golden, Reference};

/// Quantity that is compared, by its name in a golden file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Output with running statistics.
    EvalOutput,
    /// Output with batch statistics.
    TrainOutput,
    /// Gradient with respect to the input.
    GradInput,
    /// Gradients with respect to the parameters.
    Grads,
    /// Running statistics after one step.
    Running,
}

impl Group {
    /// Field in a golden file.
    pub fn name(self) -> &'static str {
        match self {
            Self::EvalOutput => "eval_output",
            Self::TrainOutput => "train_output",
            Self::GradInput => "grad_input",
            Self::Grads => "grads",
            Self::Running => "running",
        }
    }
}

/// Multiple of PyTorch's own float32 error that is allowed, where a file states it.
const OF_FLOAT32: f64 = 10.0;

/// Tolerances for one network: those of the [table](self), or ten times PyTorch's own float32 error in the same part
/// of the same group where the file states it, whichever is wider.
#[derive(Clone, Debug)]
pub struct Tolerances {
    deep: bool,
    /// True where gradients are compared by their norms, widely.
    flips: bool,
    float32: Float32,
}

impl Tolerances {
    /// Tolerances of a golden file for a network of `layers` weighted layers on its longest path; a single block
    /// has two or three. From 50 layers on, batch statistics of one or two images make float32 itself uncertain: a
    /// ReLU near zero flips, and all gradients before it move.
    pub fn of(golden: &Golden, layers: usize) -> Self {
        let deep = layers >= 50;
        Self { deep, flips: deep, float32: golden.float32.clone() }
    }

    /// Tolerances where one ReLU or another may be on the other side of zero than in the reference: gradients as if
    /// the network were deep.
    #[must_use]
    pub fn with_flips(self) -> Self {
        Self { flips: true, ..self }
    }

    /// Largest relative error allowed in `part` (`l2`, `sum`, `head` or `values`) of a tensor of `group`; `None` for
    /// what is not compared, the elements and sums of gradients that may have flipped.
    pub fn allowed(&self, group: Group, part: &str) -> Option<f64> {
        let table = match group {
            Group::TrainOutput | Group::Running if self.deep => 2e-3,
            Group::EvalOutput | Group::TrainOutput | Group::Running => 1e-4,
            Group::GradInput | Group::Grads if !self.flips => 1e-3,
            Group::GradInput | Group::Grads if part == "l2" => 5e-2,
            Group::GradInput | Group::Grads => return None,
        };
        let stated = self.float32.get(group.name()).and_then(|parts| parts.get(part));
        Some(stated.map_or(table, |error| table.max(OF_FLOAT32 * error)))
    }

    /// Largest relative error allowed in the loss, a function of the training output alone: as in that output.
    pub fn allowed_in_loss(&self) -> f64 {
        let parts = ["l2", "sum", "head", "values"];
        let allowed = parts.iter().filter_map(|part| self.allowed(Group::TrainOutput, part));
        allowed.fold(0.0, f64::max)
    }

    /// The relative error of `values` (of `shape`) against `reference` that is the largest share of what is allowed,
    /// and the part it was found in.
    ///
    /// `l2` is relative to the reference's norm, `head` and `values` to its root mean square
    /// `norm / sqrt(n)`, `sum` to `norm sqrt(n)`. Gradients of networks of 50 layers and more are
    /// compared by norm only. A wrong shape or a NaN is an infinite error.
    pub fn worst(&self, group: Group, reference: &Reference, shape: &[usize], values: &[f32]) -> Deviation {
        let deviation = |part, error| Some(Deviation { part, error, allowed: self.allowed(group, part)? });
        if shape != reference.shape || values.len() != shape.iter().product::<usize>() {
            return NOTHING;
        }
        let n = values.len().max(1) as f64;
        let norm = reference.l2.max(f64::MIN_POSITIVE);
        let l2 = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let sum = values.iter().map(|&v| f64::from(v)).sum::<f64>();
        let elements = |wanted: &[f64]| {
            let error = |(&found, &wanted)| relative(f64::from(found), wanted, norm / n.sqrt());
            let fold = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::INFINITY } else { a.max(b) };
            values.iter().zip(wanted).map(error).fold(0.0, fold)
        };
        let parts = [
            deviation("l2", relative(l2, reference.l2, norm)),
            deviation("sum", relative(sum, reference.sum, norm * n.sqrt())),
            deviation("head", elements(&reference.head)),
            deviation("values", elements(&reference.values)),
        ];
        let worse = |a: Deviation, b: Deviation| if b.share() > a.share() { b } else { a };
        // Norms are always compared.
        parts.into_iter().flatten().reduce(worse).unwrap_or(NOTHING)
    }
}

/// A relative error, and the part of the reference that it was found in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// `shape`, `l2`, `sum`, `head` or `values`.
    pub part: &'static str,
    /// Relative error.
    pub error: f64,
    /// Largest relative error allowed.
    pub allowed: f64,
}

/// Deviation of a tensor of another shape than the reference's.
pub(crate) const NOTHING: Deviation = Deviation { part: "shape", error: f64::INFINITY, allowed: 0.0 };

impl Deviation {
    /// The error in units of what is allowed.
    pub fn share(&self) -> f64 {
        self.error / self.allowed
    }
}

/// `|found - wanted| / scale`; infinite where that is no number.
pub fn relative(found: f64, wanted: f64, scale: f64) -> f64 {
    let error = (found - wanted).abs() / scale;
    if error.is_nan() { f64::INFINITY } else { error }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn reference() -> Reference {
        Reference {
            shape: vec![2, 2],
            l2: 30f64.sqrt(),
            sum: 10.0,
            head: vec![1.0, 2.0, 3.0, 4.0],
            values: vec![],
        }
    }

    fn tolerances(layers: usize) -> Tolerances {
        let deep = layers >= 50;
        Tolerances { deep, flips: deep, float32: Float32::new() }
    }

    #[test]
    fn equal_tensors_do_not_deviate() {
        let found = tolerances(18).worst(Group::TrainOutput, &reference(), &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        assert!(found.error < 1e-12, "{found:?}");
    }

    #[test]
    fn one_changed_element_is_found() {
        let found = tolerances(18).worst(Group::TrainOutput, &reference(), &[2, 2], &[1.0, 2.0, 3.1, 4.0]);
        assert_eq!(found.part, "head");
        assert!((found.error - 0.1 / (30f64.sqrt() / 2.0)).abs() < 1e-6, "{found:?}");
        assert!(found.share() > 1.0);
    }

    #[test]
    fn shape_and_nan_are_infinite_errors() {
        let error = |shape: &[usize], values: &[f32]| {
            tolerances(50).worst(Group::Grads, &reference(), shape, values).share()
        };
        assert_eq!(error(&[4], &[1.0, 2.0, 3.0, 4.0]), f64::INFINITY);
        assert_eq!(error(&[2, 2], &[1.0, 2.0, f32::NAN, 4.0]), f64::INFINITY);
    }

    #[test]
    fn flips_widen_gradients_alone() {
        let (strict, wide) = (tolerances(18), tolerances(18).with_flips());
        for group in [Group::EvalOutput, Group::TrainOutput, Group::Running] {
            assert_eq!(strict.allowed(group, "head"), wide.allowed(group, "head"));
        }
        let swapped = [4.0, 3.0, 2.0, 1.0];
        let error = |group| wide.worst(group, &reference(), &[2, 2], &swapped).error;
        assert!(error(Group::Grads) < 1e-12 && error(Group::TrainOutput) > 0.1);
        let of = |tolerances: &Tolerances| tolerances.allowed(Group::GradInput, "l2");
        assert_eq!((of(&strict), of(&wide)), (Some(1e-3), Some(5e-2)));
        assert_eq!(wide.allowed(Group::GradInput, "head"), None);
    }

    #[test]
    fn deep_gradients_are_compared_by_norm() {
        let swapped = [4.0, 3.0, 2.0, 1.0];
        let deep = tolerances(50).worst(Group::Grads, &reference(), &[2, 2], &swapped);
        let shallow = tolerances(18).worst(Group::Grads, &reference(), &[2, 2], &swapped);
        assert!(deep.error < 1e-12);
        assert!(shallow.error > 0.1);
    }

    #[test]
    fn a_stated_float32_error_widens_its_own_part_of_its_own_group() {
        let parts = BTreeMap::from([("l2".to_owned(), 4e-2), ("head".to_owned(), 1e-6)]);
        let stated = Tolerances { float32: Float32::from([("grads".to_owned(), parts)]), ..tolerances(18) };
        assert_eq!(stated.allowed(Group::Grads, "l2"), Some(0.4));
        // The table is wider.
        assert_eq!(stated.allowed(Group::Grads, "head"), Some(1e-3));
        for (group, part) in [(Group::Grads, "sum"), (Group::GradInput, "l2"), (Group::Running, "l2")] {
            assert_eq!(stated.allowed(group, part), tolerances(18).allowed(group, part), "{group:?} {part}");
        }
        // Half the size: within the stated norm, not within the table's sum.
        let found = stated.worst(Group::Grads, &reference(), &[2, 2], &[0.5, 1.0, 1.5, 2.0]);
        assert_eq!(found.part, "head");
        assert!(found.share() > 1.0);
    }
}
