//! Patch whitening: a first convolution whose outputs are decorrelated from the first step on.

use std::sync::Arc;

use residual_arch::{ConvKind, Field, LayerPath, NetSpec, StemPart, TensorPath};
use residual_data::{Loader, Source};
use residual_nn::ResNet;
use residual_random::Key;
use residual_weights::Model;

use crate::train_loop::prepare::Prepared;
use crate::train_loop::transfer::{from_model, to_model};
use crate::{Error, Recipe};

/// Number of images that patches are taken from, and of patches of each.
const IMAGES: usize = 1024;
const PATCHES: u64 = 64;

/// Share of the mean eigenvalue that is added to every one: directions in which patches hardly differ are noise.
const FLOOR: f64 = 5e-4;

/// Checks that a network's first convolution can be whitened.
///
/// # Errors
/// [`Error::Whiten`] for weights that are standardised, and for a recipe that begins with given weights.
pub(crate) fn check_whiten(recipe: &Recipe, spec: &NetSpec) -> Result<(), Error> {
    match recipe.whiten_stem {
        true if recipe.init.is_some() => Err(Error::Whiten { reason: "`init` gives the stem its weights" }),
        true if spec.stem.conv == ConvKind::Standardised => Err(Error::Whiten {
            reason: "the stem's convolutions are standardised, which whitening is undone by",
        }),
        _ => Ok(()),
    }
}

/// Network whose first convolution whitens patches of the training images, preprocessed and not augmented: its filters
/// are `v / sqrt(l + floor)` and their negatives for the eigenvectors `v` of the patches' second moments `E[p p^T]` in
/// order of their eigenvalues `l`, as many pairs as it has channels for (Coates and Ng 2012, "Learning Feature
/// Representations with K-Means", section 3.1; Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds", section 3.2). Channels
/// beyond two for each number of a patch stay random.
pub(crate) fn whitened(network: ResNet, prepared: &Prepared) -> Result<ResNet, Error> {
    let mut model = to_model(&network)?;
    let weights = filters(&mut model)?;
    let spec = network.spec();
    let kernel = spec.stem.convs[0].kernel;
    let moments = Moments::of(&prepared.images.train, prepared, kernel)?;
    let (values, vectors) = eigen(moments.means());
    let floor = FLOOR * values.iter().sum::<f64>() / values.len() as f64;
    // No patch fits into the images, or all are black.
    if floor <= 0.0 {
        return Ok(network);
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let pairs = weights.chunks_exact_mut(2 * values.len());
    for (pair, &place) in pairs.zip(&order) {
        let scale = 1.0 / (values[place].max(0.0) + floor).sqrt();
        let (positive, negative) = pair.split_at_mut(values.len());
        for (k, (positive, negative)) in positive.iter_mut().zip(negative).enumerate() {
            *positive = (scale * vectors[k][place]) as f32;
            *negative = -*positive;
        }
    }
    from_model(model, &network.device())
}

/// Weights of the first convolution, `[channels][input channels][kernel][kernel]`.
fn filters(model: &mut Model) -> Result<&mut [f32], Error> {
    let path = TensorPath { layer: LayerPath::Stem(StemPart::Conv(0)), field: Field::Weight };
    model.tensor_mut(path).ok_or(Error::Whiten { reason: "the network has no first convolution" })
}

/// Sums of products of the numbers of patches.
struct Moments {
    side: usize,
    sums: Vec<f64>,
    patches: u64,
}

impl Moments {
    /// Second moments of patches of `kernel` x `kernel` pixels, `PATCHES` of each of the first images of an epoch.
    fn of(images: &Arc<dyn Source>, prepared: &Prepared, kernel: usize) -> Result<Self, Error> {
        let options = Prepared::evaluation_options(&prepared.spec).with(|options| {
            (options.shuffle, options.seed) = (true, prepared.recipe.seed);
            options.skip_bad = true;
        });
        let side = prepared.spec.input[0] * kernel * kernel;
        let mut moments = Self { side, sums: vec![0.0; side * side], patches: 0 };
        let key = Key::named("whiten").child(prepared.recipe.seed);
        for (number, batch) in Loader::new(images.clone(), options)?.take(IMAGES).enumerate() {
            let batch = batch?;
            if batch.labels.is_empty() {
                continue;
            }
            let [_, channels, height, width] = batch.shape;
            let (Some(down), Some(across)) = (height.checked_sub(kernel), width.checked_sub(kernel)) else {
                continue;
            };
            let mut places = key.child(number as u64).stream();
            for _ in 0..PATCHES {
                let y = places.below(down as u64 + 1) as usize;
                let x = places.below(across as u64 + 1) as usize;
                let rows =
                    (0..channels).flat_map(|c| (0..kernel).map(move |dy| (c * height + y + dy) * width + x));
                let patch: Vec<f64> = rows
                    .flat_map(|first| &batch.images[first..first + kernel])
                    .map(|&value| value.into())
                    .collect();
                moments.add(&patch);
            }
        }
        Ok(moments)
    }

    fn add(&mut self, patch: &[f64]) {
        for (row, &left) in self.sums.chunks_exact_mut(self.side).zip(patch) {
            row.iter_mut().zip(patch).for_each(|(sum, &right)| *sum += left * right);
        }
        self.patches += 1;
    }

    /// Means in rows; those of no patch are 0.
    fn means(&self) -> Vec<Vec<f64>> {
        let mean = |&sum: &f64| sum / self.patches.max(1) as f64;
        self.sums.chunks_exact(self.side).map(|row| row.iter().map(mean).collect()).collect()
    }
}

/// Sweeps of Jacobi's method, which doubles the digits in each of the last ones.
const SWEEPS: usize = 30;

/// Eigenvalues and eigenvectors (in columns) of a symmetric matrix, by Jacobi's rotations (Golub and Van Loan, section
/// 8.5). The greatest number of a vector is positive.
fn eigen(mut matrix: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let side = matrix.len();
    let one = |row: usize| (0..side).map(|column| f64::from(u8::from(row == column))).collect();
    let mut vectors: Vec<Vec<f64>> = (0..side).map(one).collect();
    let diagonal = |matrix: &[Vec<f64>]| -> Vec<f64> { (0..side).map(|k| matrix[k][k]).collect() };
    for _ in 0..SWEEPS {
        let size: f64 = diagonal(&matrix).iter().map(|value| value * value).sum();
        let rest: f64 = (0..side).flat_map(|p| &matrix[p][p + 1..]).map(|value| value * value).sum();
        if rest <= 1e-24 * size {
            break;
        }
        for (p, q) in (0..side).flat_map(|p| (p + 1..side).map(move |q| (p, q))) {
            rotate(&mut matrix, &mut vectors, [p, q]);
        }
    }
    for column in 0..side {
        let greatest = (0..side).map(|row| vectors[row][column]).max_by(|a, b| a.abs().total_cmp(&b.abs()));
        if greatest.is_some_and(|value| value < 0.0) {
            vectors.iter_mut().for_each(|row| row[column] = -row[column]);
        }
    }
    (diagonal(&matrix), vectors)
}

/// Rotation that makes the numbers at `[p, q]` and `[q, p]` zero.
fn rotate(matrix: &mut [Vec<f64>], vectors: &mut [Vec<f64>], [p, q]: [usize; 2]) {
    if matrix[p][q] == 0.0 {
        return;
    }
    let slope = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
    let tangent = slope.signum() / (slope.abs() + slope.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    let turn = |row: &mut Vec<f64>| {
        let (left, right) = (row[p], row[q]);
        (row[p], row[q]) = (cosine * left - sine * right, sine * left + cosine * right);
    };
    matrix.iter_mut().for_each(turn);
    let turned = |k: usize, matrix: &[Vec<f64>]| {
        let (left, right) = (matrix[p][k], matrix[q][k]);
        [cosine * left - sine * right, sine * left + cosine * right]
    };
    for k in 0..matrix.len() {
        [matrix[p][k], matrix[q][k]] = turned(k, matrix);
    }
    vectors.iter_mut().for_each(turn);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_take_a_matrix_apart() {
        let mut random = Key::named("eigen").stream();
        let side = 12;
        let mut matrix = vec![vec![0.0; side]; side];
        for (p, q) in (0..side).flat_map(|p| (0..=p).map(move |q| (p, q))) {
            matrix[p][q] = random.normal();
            matrix[q][p] = matrix[p][q];
        }
        let (values, vectors) = eigen(matrix.clone());
        for p in 0..side {
            for q in 0..side {
                let entry: f64 = (0..side).map(|k| vectors[p][k] * values[k] * vectors[q][k]).sum();
                assert!((entry - matrix[p][q]).abs() < 1e-12, "{p} {q}");
                let product: f64 = (0..side).map(|k| vectors[k][p] * vectors[k][q]).sum();
                assert!((product - f64::from(u8::from(p == q))).abs() < 1e-12, "{p} {q}");
            }
            let greatest = (0..side).map(|row| vectors[row][p]).max_by(|a, b| a.abs().total_cmp(&b.abs()));
            assert!(greatest.unwrap() > 0.0);
        }
    }

    #[test]
    fn a_matrix_of_zeros_has_no_direction() {
        let (values, vectors) = eigen(vec![vec![0.0; 3]; 3]);
        assert_eq!(values, [0.0; 3]);
        assert_eq!(vectors, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    }
}
