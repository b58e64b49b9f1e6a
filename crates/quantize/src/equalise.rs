//! Cross-layer equalisation: channels between two convolutions brought to ranges that share a scale better.
//!
//! A ReLU and a positive factor change places, `relu(s x) = s relu(x)`: the rows of a convolution are divided by the
//! factors of their channels and the columns of the next multiplied by them, and the network stays the same (Nagel et
//! al. 2019, section 4.1). Rows have scales of their own here, so that the factors only have to weigh the channels'
//! ranges against those of the columns, `s = sqrt(range of x / range of w)` (Xiao et al. 2023, with 1/2).

use std::collections::BTreeMap;

use residual_engine::MapName;

use crate::layers::{ConvLayer, Layers};
use crate::observe::{Channel, Channels};

/// Divisor of each channel of a map.
pub(crate) type Factors = BTreeMap<MapName, Vec<f32>>;

/// The most that a factor is away from the geometric mean of its map.
const MOST: f32 = 16.0;

/// Factors of the maps between all pairs.
pub(crate) fn factors(layers: &Layers, channels: &Channels) -> Factors {
    let of_pair = |[first, second]: [usize; 2]| {
        let (first, second) = (&layers.convs[first], &layers.convs[second]);
        let map = MapName::Of(first.path);
        Some((map, factors_between(channels.get(&map)?, second)))
    };
    layers.pairs().into_iter().filter_map(of_pair).collect()
}

fn factors_between(channels: &[Channel], second: &ConvLayer) -> Vec<f32> {
    let mut columns = vec![0.0_f32; channels.len()];
    for filter in second.weights.chunks_exact(second.filter().max(1)) {
        for (column, taps) in columns.iter_mut().zip(filter.chunks_exact(second.taps())) {
            *column = taps.iter().fold(*column, |most, weight| most.max(weight.abs()));
        }
    }
    // Channels and columns of zeros have no part in it.
    let ratio = |(channel, column): (&Channel, &f32)| {
        (channel.most > 1e-12 && *column > 1e-12).then(|| (channel.most / column).sqrt())
    };
    let ratios: Vec<Option<f32>> = channels.iter().zip(&columns).map(ratio).collect();
    let known = || ratios.iter().flatten();
    let mean = (known().map(|ratio| ratio.ln()).sum::<f32>() / known().count().max(1) as f32).exp();
    ratios.iter().map(|ratio| ratio.map_or(1.0, |ratio| (ratio / mean).clamp(1.0 / MOST, MOST))).collect()
}
