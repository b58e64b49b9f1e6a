//! Normalisations in training, with a scale of one (or zero) and a shift of zero.

use residual_arch::Norm;

/// Added to variances.
const EPSILON: f64 = 1e-5;

/// Values that are normalised together: some runs of one length.
struct Group {
    starts: Vec<usize>,
    length: usize,
}

/// Groups of a batch of maps `[channels][height][width]`.
fn groups(norm: Norm, images: usize, [channels, height, width]: [usize; 3]) -> Vec<Group> {
    let plane = height * width;
    match norm {
        Norm::Group { groups, .. } => {
            let length = channels / groups * plane;
            (0..images * groups).map(|group| Group { starts: vec![group * length], length }).collect()
        }
        // Batch norm: each channel over all images.
        _ => {
            let starts = |channel| (0..images).map(|n| (n * channels + channel) * plane).collect();
            (0..channels).map(|channel| Group { starts: starts(channel), length: plane }).collect()
        }
    }
}

impl Group {
    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.starts.iter().flat_map(|&start| start..start + self.length)
    }

    /// Mean, and one over the deviation.
    fn statistics(&self, x: &[f32]) -> (f64, f64) {
        let count = (self.starts.len() * self.length) as f64;
        let mean = self.places().map(|at| f64::from(x[at])).sum::<f64>() / count;
        let variance = self.places().map(|at| (f64::from(x[at]) - mean).powi(2)).sum::<f64>() / count;
        (mean, 1.0 / (variance + EPSILON).sqrt())
    }
}

fn scale(norm: Norm) -> f64 {
    if norm.is_zero_init() { 0.0 } else { 1.0 }
}

/// `y = (x - mean) / sqrt(variance + 1e-5)`, times the scale.
pub(super) fn forward(norm: Norm, images: usize, shape: [usize; 3], x: &[f32], y: &mut [f32]) {
    for group in groups(norm, images, shape) {
        let (mean, inverse) = group.statistics(x);
        group.places().for_each(|at| y[at] = ((f64::from(x[at]) - mean) * inverse * scale(norm)) as f32);
    }
}

/// `dx += (dy - mean(dy) - x^ mean(dy x^)) / deviation`, times the scale, with `x^` the normalised values.
pub(super) fn backward(norm: Norm, images: usize, shape: [usize; 3], [x, dy]: [&[f32]; 2], dx: &mut [f32]) {
    for group in groups(norm, images, shape) {
        let (mean, inverse) = group.statistics(x);
        let normalised = |at: usize| (f64::from(x[at]) - mean) * inverse;
        let count = (group.starts.len() * group.length) as f64;
        let sum = group.places().map(|at| f64::from(dy[at])).sum::<f64>() / count;
        let product = group.places().map(|at| f64::from(dy[at]) * normalised(at)).sum::<f64>() / count;
        let factor = inverse * scale(norm);
        group.places().for_each(|at| {
            dx[at] += (factor * (f64::from(dy[at]) - sum - normalised(at) * product)) as f32;
        });
    }
}
