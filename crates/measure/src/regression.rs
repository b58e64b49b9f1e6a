//! Errors of numbers.

use crate::ranking::column;

/// Errors of predicted numbers against true ones, in the unit of the target.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Errors {
    /// Mean absolute error (MAE).
    pub mae: f64,
    /// Mean squared error (MSE), in the unit's square.
    pub mse: f64,
    /// Root mean squared error (RMSE).
    pub rmse: f64,
    /// Coefficient of determination (R²), `1 - sum (y - p)² / sum (y - mean y)²`: 1 is perfect, 0 no better than the mean.
    /// As scikit-learn's: of numbers that are all equal it is 1 where they are met and 0 otherwise; not a number for
    /// fewer than two.
    pub r2: f64,
}

impl Errors {
    /// Errors of one target; not numbers where there are none.
    ///
    /// # Panics
    /// Where there are not as many predictions as truths.
    ///
    /// ```
    /// let errors = residual_measure::Errors::new(&[2.5, 0.0, 2.0, 8.0], &[3.0, -0.5, 2.0, 7.0]);
    /// assert_eq!((errors.mae, errors.mse), (0.5, 0.375));
    /// assert!((errors.r2 - 0.948608137).abs() < 1e-9);
    /// ```
    pub fn new(predicted: &[f64], truths: &[f64]) -> Self {
        assert_eq!(predicted.len(), truths.len(), "a prediction for every truth");
        let n = truths.len() as f64;
        let differences = || predicted.iter().zip(truths).map(|(p, y)| y - p);
        let mae = differences().map(f64::abs).sum::<f64>() / n;
        let residual: f64 = differences().map(|d| d * d).sum();
        let mse = residual / n;
        let mean = truths.iter().sum::<f64>() / n;
        let variation: f64 = truths.iter().map(|y| (y - mean).powi(2)).sum();
        let r2 = match (truths.len(), residual == 0.0, variation == 0.0) {
            (0 | 1, ..) => f64::NAN,
            (_, true, _) => 1.0,
            (_, false, true) => 0.0,
            _ => 1.0 - residual / variation,
        };
        Self { mae, mse, rmse: mse.sqrt(), r2 }
    }

    /// Errors of each of several targets; `predicted` and `truths` are `[examples][targets]`.
    ///
    /// # Panics
    /// Where there are not as many predictions as truths, or not a whole number of rows.
    pub fn each(predicted: &[f64], truths: &[f64], targets: usize) -> Vec<Self> {
        let target =
            |target| Self::new(&column(predicted, targets, target), &column(truths, targets, target));
        (0..targets).map(target).collect()
    }

    /// Mean over the targets, each counting alike (`multioutput="uniform_average"`); `None` without any. The RMSE is the
    /// mean of the targets'.
    pub fn mean(targets: &[Self]) -> Option<Self> {
        let mean = |of: fn(&Self) -> f64| targets.iter().map(of).sum::<f64>() / targets.len() as f64;
        (!targets.is_empty()).then(|| Self {
            mae: mean(|errors| errors.mae),
            mse: mean(|errors| errors.mse),
            rmse: mean(|errors| errors.rmse),
            r2: mean(|errors| errors.r2),
        })
    }
}
