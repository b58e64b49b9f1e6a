//! Initial values, as the modules of `residual-nn` have them: a function of seed and path.

use residual_arch::{Convolution, Field, LayerPath};
use residual_random::Key;

fn key(path: LayerPath, field: Field, seed: u64) -> Key {
    Key::named(&path.tensor(field).to_string()).child(seed)
}

/// He initialisation of a convolution (He et al. 2015b, by the outputs): normal, `sqrt(2 / (out_channels k^2))`.
pub(super) fn convolution(path: LayerPath, conv: &Convolution, seed: u64) -> Vec<f32> {
    let key = key(path, Field::Weight, seed);
    let deviation = (2.0 / (conv.out_channels * conv.kernel * conv.kernel) as f64).sqrt();
    let count = conv.out_channels * (conv.in_channels / conv.groups) * conv.kernel * conv.kernel;
    // Box and Muller: draws 2i and 2i + 1 give values 2i and 2i + 1.
    let pair = |i: u64| {
        let radius = (-2.0 * (1.0 - key.uniform(2 * i)).ln()).sqrt() * deviation;
        let (sin, cos) = (std::f64::consts::TAU * key.uniform(2 * i + 1)).sin_cos();
        [(radius * cos) as f32, (radius * sin) as f32]
    };
    (0..count.div_ceil(2) as u64).flat_map(pair).take(count).collect()
}

/// PyTorch's linear layer: uniform within `1 / sqrt(inputs)`, weight and bias.
pub(super) fn linear(path: LayerPath, inputs: usize, outputs: usize, seed: u64) -> [Vec<f32>; 2] {
    let bound = 1.0 / (inputs as f64).sqrt();
    [(Field::Weight, inputs * outputs), (Field::Bias, outputs)].map(|(field, count)| {
        let key = key(path, field, seed);
        (0..count as u64).map(|i| ((2.0 * key.uniform(i) - 1.0) * bound) as f32).collect()
    })
}
