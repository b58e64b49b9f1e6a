//! The numbers that a split comes to.

use burn::tensor::Tensor;

use super::Split;

/// Euclidean norms over a whole batch, and one cosine: what [`Split`] comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// `|dL/dy|`.
    pub output: f64,
    /// `|dL/du|`: at the sum, behind the activation's gate.
    pub sum: f64,
    /// `|(dS/dx)^T dL/du|`, the identity path's share; `None` without a shortcut.
    pub identity: Option<f64>,
    /// `|(dF/dx)^T dL/du|`, the branch's share.
    pub branch: f64,
    /// `|dL/dx|`.
    pub input: f64,
    /// Cosine of the angle between the two shares; `None` where one is missing or zero.
    pub cosine: Option<f64>,
    /// `|x|`.
    pub x: f64,
    /// `|F(x)|`.
    pub branch_output: f64,
    /// Standard deviation of the elements of `F(x)`: He et al. 2015, figure 7.
    pub branch_deviation: f64,
}

impl Shares {
    pub(super) fn of<const D: usize>(split: &Split<D>) -> Self {
        let [x, branch_output, output, sum, branch, input] =
            [&split.x, &split.branch_output, &split.output, &split.sum, &split.branch, &split.input]
                .map(values);
        let shortcut = split.shortcut.as_ref().map(values);
        let cosine = shortcut.as_ref().and_then(|shortcut| cosine(shortcut, &branch));
        Self {
            output: norm(&output),
            sum: norm(&sum),
            identity: shortcut.as_deref().map(norm),
            branch: norm(&branch),
            input: norm(&input),
            cosine,
            x: norm(&x),
            branch_output: norm(&branch_output),
            branch_deviation: deviation(&branch_output),
        }
    }
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    let values = tensor.clone().into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
    values.into_iter().map(f64::from).collect()
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn cosine(a: &[f64], b: &[f64]) -> Option<f64> {
    let lengths = norm(a) * norm(b);
    let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    (lengths > 0.0).then(|| dot / lengths)
}

fn deviation(values: &[f64]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt()
}
