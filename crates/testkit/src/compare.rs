//! How close is close: errors relative to a tensor's own size, and the tolerances they are held to.

use crate::golden::Reference;

/// What is compared, each with its own tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Output with running statistics.
    EvalOutput,
    /// Output and loss with batch statistics, and running statistics.
    Training,
    /// Gradients.
    Gradient,
}

/// The tolerances for one network.
#[derive(Clone, Copy, Debug)]
pub struct Tolerances {
    deep: bool,
    /// Whether gradients are compared by their norms, widely.
    flips: bool,
}

impl Tolerances {
    /// Tolerances for a network of `layers` weighted layers on its longest path; a single block has
    /// two or three. From 50 layers on, batch statistics of one or two images make float32 itself
    /// uncertain: a ReLU near zero flips, and all gradients before it move.
    pub fn for_layers(layers: usize) -> Self {
        let deep = layers >= 50;
        Self { deep, flips: deep }
    }

    /// The same where one ReLU or another may be on the other side of zero than in the reference: gradients as if
    /// the network were deep.
    #[must_use]
    pub fn with_flips(self) -> Self {
        Self { flips: true, ..self }
    }

    /// Largest relative error allowed.
    pub fn of(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::Training if self.deep => 2e-3,
            Quantity::EvalOutput | Quantity::Training => 1e-4,
            Quantity::Gradient if self.flips => 5e-2,
            Quantity::Gradient => 1e-3,
        }
    }

    /// The relative error of `values` (of `shape`) against `reference`, and the part it was found in.
    ///
    /// `l2` is relative to the reference's norm, `head` and `values` to its root mean square
    /// `norm / sqrt(n)`, `sum` to `norm sqrt(n)`. Gradients of networks of 50 layers and more are
    /// compared by norm only. A wrong shape or a NaN is an infinite error.
    pub fn error(
        &self,
        quantity: Quantity,
        reference: &Reference,
        shape: &[usize],
        values: &[f32],
    ) -> Deviation {
        if shape != reference.shape || values.len() != shape.iter().product::<usize>() {
            return Deviation { part: "shape", error: f64::INFINITY };
        }
        let n = values.len().max(1) as f64;
        let norm = reference.l2.max(f64::MIN_POSITIVE);
        let l2 = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let mut worst = Deviation { part: "l2", error: relative(l2, reference.l2, norm) };
        if quantity == Quantity::Gradient && self.flips {
            return worst;
        }
        let sum = values.iter().map(|&v| f64::from(v)).sum::<f64>();
        worst = worst.max(Deviation { part: "sum", error: relative(sum, reference.sum, norm * n.sqrt()) });
        let elements = |part, wanted: &[f64]| {
            let error = |(&found, &wanted)| relative(f64::from(found), wanted, norm / n.sqrt());
            let fold = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::INFINITY } else { a.max(b) };
            Deviation { part, error: values.iter().zip(wanted).map(error).fold(0.0, fold) }
        };
        worst.max(elements("head", &reference.head)).max(elements("values", &reference.values))
    }
}

/// A relative error and the part of the reference that it was found in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// `shape`, `l2`, `sum`, `head` or `values`.
    pub part: &'static str,
    /// Relative error.
    pub error: f64,
}

impl Deviation {
    fn max(self, other: Self) -> Self {
        if other.error > self.error { other } else { self }
    }
}

/// `|found - wanted| / scale`; infinite where that is no number.
pub fn relative(found: f64, wanted: f64, scale: f64) -> f64 {
    let error = (found - wanted).abs() / scale;
    if error.is_nan() { f64::INFINITY } else { error }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn equal_tensors_do_not_deviate() {
        let found = Tolerances::for_layers(18).error(
            Quantity::Training,
            &reference(),
            &[2, 2],
            &[1.0, 2.0, 3.0, 4.0],
        );
        assert!(found.error < 1e-12, "{found:?}");
    }

    #[test]
    fn one_changed_element_is_found() {
        let tolerances = Tolerances::for_layers(18);
        let found = tolerances.error(Quantity::Training, &reference(), &[2, 2], &[1.0, 2.0, 3.1, 4.0]);
        assert_eq!(found.part, "head");
        assert!((found.error - 0.1 / (30f64.sqrt() / 2.0)).abs() < 1e-6, "{found:?}");
        assert!(found.error > tolerances.of(Quantity::Training));
    }

    #[test]
    fn shape_and_nan_are_infinite_errors() {
        let tolerances = Tolerances::for_layers(50);
        let error = |shape: &[usize], values: &[f32]| {
            tolerances.error(Quantity::Gradient, &reference(), shape, values).error
        };
        assert_eq!(error(&[4], &[1.0, 2.0, 3.0, 4.0]), f64::INFINITY);
        assert_eq!(error(&[2, 2], &[1.0, 2.0, f32::NAN, 4.0]), f64::INFINITY);
    }

    #[test]
    fn flips_widen_gradients_alone() {
        let [strict, wide] = [false, true].map(|flips| {
            let tolerances = Tolerances::for_layers(18);
            if flips { tolerances.with_flips() } else { tolerances }
        });
        for quantity in [Quantity::EvalOutput, Quantity::Training] {
            assert_eq!(strict.of(quantity), wide.of(quantity));
        }
        let swapped = [4.0, 3.0, 2.0, 1.0];
        let error = |quantity| wide.error(quantity, &reference(), &[2, 2], &swapped).error;
        assert!(error(Quantity::Gradient) < 1e-12 && error(Quantity::Training) > 0.1);
        assert_eq!((strict.of(Quantity::Gradient), wide.of(Quantity::Gradient)), (1e-3, 5e-2));
    }

    #[test]
    fn deep_gradients_are_compared_by_norm() {
        let swapped = [4.0, 3.0, 2.0, 1.0];
        let deep = Tolerances::for_layers(50).error(Quantity::Gradient, &reference(), &[2, 2], &swapped);
        let shallow = Tolerances::for_layers(18).error(Quantity::Gradient, &reference(), &[2, 2], &swapped);
        assert!(deep.error < 1e-12);
        assert!(shallow.error > 0.1);
    }
}
