//! Ranges of maps: where the bytes end, and what is beyond is cut off.

use residual_weights::MapScale;

use crate::histogram::{BINS, Histogram};
use crate::options::RangeMethod;

/// Fractions of the whole range that are tried.
const FRACTIONS: usize = 48;

/// Levels of a byte.
const LEVELS: usize = 256;

/// Scale of a map of which `histogram` counts the values.
pub(crate) fn scale(histogram: &Histogram, method: RangeMethod) -> MapScale {
    let (least, most) = (histogram.least, histogram.most);
    let (least, most) = match method {
        RangeMethod::MinMax => (least, most),
        RangeMethod::Percentile9999 => percentile(histogram, 1e-4),
        RangeMethod::Percentile999 => percentile(histogram, 1e-3),
        RangeMethod::MeanSquaredError => least_of(histogram, squared_error),
        RangeMethod::Entropy => least_of(histogram, divergence),
    };
    MapScale::of_range(least, most)
}

/// Range without the fraction `beyond` of the values: all of it above where nothing is negative, else half on each side.
fn percentile(histogram: &Histogram, beyond: f64) -> (f32, f32) {
    match histogram.least < 0.0 {
        false => (0.0, histogram.quantile(1.0 - beyond)),
        true => {
            let low = histogram.quantile(beyond / 2.0) - histogram.width();
            (low.min(0.0), histogram.quantile(1.0 - beyond / 2.0).max(0.0))
        }
    }
}

/// The range, of those that are cut on both sides alike, whose `cost` is least.
fn least_of(histogram: &Histogram, cost: fn(&Histogram, f32, f32) -> f64) -> (f32, f32) {
    let ranges = (1..=FRACTIONS).rev().map(|part| {
        let fraction = 0.1 + 0.9 * part as f32 / FRACTIONS as f32;
        (fraction * histogram.least, fraction * histogram.most)
    });
    let costs = ranges.map(|(least, most)| (cost(histogram, least, most), (least, most)));
    let least = costs.min_by(|(a, _), (b, _)| a.total_cmp(b));
    least.map_or((histogram.least, histogram.most), |(_, range)| range)
}

/// Sum over all values of the squared distance to that of their byte.
fn squared_error(histogram: &Histogram, least: f32, most: f32) -> f64 {
    let scale = MapScale::of_range(least, most);
    let bins = histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    bins.map(|(bin, &count)| {
        let value = histogram.middle(bin);
        let error = f64::from(value - scale.dequantise(scale.quantise(value)));
        // Of values spread over a bin.
        let within = f64::from(histogram.width()).powi(2) / 12.0;
        count as f64 * (error * error + within)
    })
    .sum()
}

/// Kullback-Leibler divergence of the values, those outside moved to the ends, from what the levels of a byte make of
/// them.
fn divergence(histogram: &Histogram, least: f32, most: f32) -> f64 {
    let mut histogram = histogram.clone();
    // A ReLU's zeros are exact in any range, and would hide all else.
    let zero = ((-histogram.least / histogram.width()) as usize).min(BINS - 1);
    histogram.counts[zero] = 0;
    let bin_of = |value: f32| (((value - histogram.least) / histogram.width()).round() as usize).min(BINS);
    let (first, end) = (bin_of(least), bin_of(most).max(bin_of(least) + 1));
    let inside = &histogram.counts[first..end];
    let mut values: Vec<f64> = inside.iter().map(|&count| count as f64).collect();
    let outside = |counts: &[u64]| counts.iter().sum::<u64>() as f64;
    values[0] += outside(&histogram.counts[..first]);
    let last = values.len() - 1;
    values[last] += outside(&histogram.counts[end..]);
    let levels = spread_over_levels(inside);
    let [total, all] = [values.iter().sum::<f64>(), levels.iter().sum::<f64>()];
    let terms = values.iter().zip(&levels).filter(|(value, _)| **value > 0.0);
    // A level that nothing inside stands for, of values that were moved there.
    terms.map(|(value, level)| value / total * ((value / total) / (level / all).max(1e-9)).ln()).sum()
}

/// Counts after they were gathered in levels, each shared out among the bins that had any.
fn spread_over_levels(counts: &[u64]) -> Vec<f64> {
    let mut spread = vec![0.0; counts.len()];
    let levels = LEVELS.min(counts.len());
    for level in 0..levels {
        let bins = level * counts.len() / levels..(level + 1) * counts.len() / levels;
        let used = counts[bins.clone()].iter().filter(|&&count| count > 0).count();
        let share = counts[bins.clone()].iter().sum::<u64>() as f64 / used.max(1) as f64;
        for bin in bins.filter(|&bin| counts[bin] > 0) {
            spread[bin] = share;
        }
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that thin out from 0, nearly all of them below 2, and one at 10.
    fn outlier() -> Histogram {
        let mut histogram = Histogram::new(0.0, 10.0);
        let values: Vec<f32> =
            (0..20_000).map(|i| -0.2 * ((i as f32 + 0.5) / 20_000.0).ln()).chain([10.0]).collect();
        histogram.add(&values, 1.0);
        histogram
    }

    #[test]
    fn one_outlier_does_not_set_the_scale_but_of_min_and_max() {
        let reach = |method| 255.0 * scale(&outlier(), method).scale;
        assert!((reach(RangeMethod::MinMax) - 10.0).abs() < 1e-3);
        for method in [RangeMethod::Percentile999, RangeMethod::Percentile9999, RangeMethod::Entropy] {
            assert!((0.9..3.0).contains(&reach(method)), "{method}: {}", reach(method));
        }
        assert!(reach(RangeMethod::MeanSquaredError) < 10.0);
    }

    #[test]
    fn a_map_with_both_signs_has_a_zero_between() {
        let mut histogram = Histogram::new(-1.0, 3.0);
        histogram.add(&(0..4000).map(|i| i as f32 / 1000.0 - 1.0).collect::<Vec<_>>(), 1.0);
        for method in RangeMethod::ALL {
            let found = scale(&histogram, method);
            assert!((55..=75).contains(&found.zero), "{method}: {found:?}");
            assert_eq!(found.dequantise(found.zero), 0.0);
        }
    }

    #[test]
    fn a_map_of_zeros_has_a_scale() {
        let mut histogram = Histogram::new(0.0, 0.0);
        histogram.add(&[0.0; 100], 1.0);
        for method in RangeMethod::ALL {
            let found = scale(&histogram, method);
            assert!(found.scale > 0.0 && found.scale.is_finite() && found.zero == 0, "{method}: {found:?}");
        }
    }
}
