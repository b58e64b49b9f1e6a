//! Weights of convolutions as integers, filter by filter.

/// Fractions of the greatest weight that are tried as the end of the range.
const FRACTIONS: usize = 32;

/// Integers of filters, and the scale of each.
pub(crate) struct Filters {
    pub(crate) weights: Vec<i8>,
    pub(crate) scale: Vec<f32>,
}

/// Integers from `-largest` to `largest` of `count` filters. Where they are `fitted`, the scale of a filter is that of
/// the least squared error, else its greatest weight is the greatest integer.
pub(crate) fn integers(weights: &[f32], count: usize, largest: i8, fitted: bool) -> Filters {
    let each = (weights.len() / count.max(1)).max(1);
    let mut filters =
        Filters { weights: Vec::with_capacity(weights.len()), scale: Vec::with_capacity(count) };
    for filter in weights.chunks(each) {
        let scale = scale(filter, f32::from(largest), fitted);
        filters.scale.push(scale);
        filters.weights.extend(filter.iter().map(|&weight| integer(weight, scale, f32::from(largest)) as i8));
    }
    filters
}

fn scale(filter: &[f32], largest: f32, fitted: bool) -> f32 {
    let most = filter.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
    if most < 1e-30 {
        // A filter of zeros has any scale.
        return 1.0;
    }
    let whole = most / largest;
    if !fitted {
        return whole;
    }
    let scales = (0..FRACTIONS).map(|part| whole * (1.0 - 0.6 * part as f32 / FRACTIONS as f32));
    let errors = scales.map(|scale| (squared_error(filter, scale, largest), scale));
    errors.min_by(|(a, _), (b, _)| a.total_cmp(b)).map_or(whole, |(_, scale)| scale)
}

fn squared_error(filter: &[f32], scale: f32, largest: f32) -> f64 {
    let error = |&weight: &f32| f64::from(weight - scale * integer(weight, scale, largest));
    filter.iter().map(|weight| error(weight).powi(2)).sum()
}

fn integer(weight: f32, scale: f32, largest: f32) -> f32 {
    (weight / scale).round_ties_even().clamp(-largest, largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_its_own_scale_and_keeps_within_half_a_step() {
        let weights = [1.0, -0.6, 0.25, 100.0, 3.0, -100.0, 0.0, 0.0, 0.0];
        let found = integers(&weights, 3, 63, false);
        assert_eq!(found.scale, [1.0 / 63.0, 100.0 / 63.0, 1.0]);
        assert_eq!(found.weights, [63, -38, 16, 63, 2, -63, 0, 0, 0]);
        for (at, weight) in weights.iter().enumerate() {
            let scale = found.scale[at / 3];
            assert!((f32::from(found.weights[at]) * scale - weight).abs() <= 0.5001 * scale);
        }
    }

    #[test]
    fn a_fitted_scale_is_never_worse() {
        let weights: Vec<f32> = (0..200).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).powi(5)).collect();
        let error = |fitted| {
            let found = integers(&weights, 2, 63, fitted);
            let values =
                found.weights.iter().enumerate().map(|(at, &q)| f32::from(q) * found.scale[at / 100]);
            values.zip(&weights).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
        };
        assert!(error(true) <= error(false));
    }
}
