//! Confidence intervals.

use residual_random::Key;

/// Quantile of the normal distribution for 95%.
const Z: f64 = 1.959_963_984_540_054;

/// Confidence interval of 95%.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Wilson score interval (Wilson 1927) of a fraction, 95%: for an accuracy. From 0 to 1 of nothing.
///
/// ```
/// let found = residual_measure::wilson(90, 100);
/// assert!((found.low - 0.8256343384950865).abs() < 1e-12 && (found.high - 0.9447708629393249).abs() < 1e-12);
/// ```
pub fn wilson(successes: u64, total: u64) -> Interval {
    if total == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, z2) = (total as f64, Z * Z);
    let p = successes as f64 / n;
    let centre = p + z2 / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    // Rounding would leave a trace beyond the ends.
    let low = if successes == 0 { 0.0 } else { (centre - half) / scale };
    let high = if successes == total { 1.0 } else { (centre + half) / scale };
    Interval { low, high }
}

/// Percentile bootstrap (Efron 1979) of a statistic of `n` examples, 95%: the statistic of `resamples` draws of `n` of them
/// with replacement, by their numbers. The draws are a function of `seed`. `None` where there are no examples, or no
/// draw has a statistic that is a number.
///
/// ```
/// let errors = [1.0, 2.0, 3.0, 4.0];
/// let mean = |draw: &[usize]| draw.iter().map(|&i| errors[i]).sum::<f64>() / 4.0;
/// let found = residual_measure::bootstrap(4, 500, 0, mean).unwrap();
/// assert!(1.0 < found.low && found.low < 2.5 && 2.5 < found.high && found.high < 4.0);
/// ```
pub fn bootstrap(
    n: usize,
    resamples: usize,
    seed: u64,
    statistic: impl Fn(&[usize]) -> f64,
) -> Option<Interval> {
    let key = Key::named("bootstrap").child(seed);
    let mut draw = vec![0; n];
    let mut found: Vec<f64> = (0..resamples as u64)
        .map(|resample| {
            let mut random = key.child(resample).stream();
            draw.iter_mut().for_each(|index| *index = random.below(n as u64) as usize);
            statistic(&draw)
        })
        .filter(|value| !value.is_nan())
        .collect();
    if n == 0 || found.is_empty() {
        return None;
    }
    found.sort_by(f64::total_cmp);
    Some(Interval { low: quantile(&found, 0.025), high: quantile(&found, 0.975) })
}

/// Quantile of sorted values, linear between neighbours.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_wilson() {
        assert_eq!((wilson(0, 10).low, wilson(10, 10).high), (0.0, 1.0));
        assert!(wilson(0, 10).high > 0.2 && wilson(10, 10).low < 0.8);
        assert_eq!(wilson(0, 0), Interval { low: 0.0, high: 1.0 });
    }

    #[test]
    fn a_bootstrap_of_a_mean_is_as_wide_as_theory_says() {
        let values: Vec<f64> = (0..400).map(|i| Key::named("value").normal(i)).collect();
        let mean = |draw: &[usize]| draw.iter().map(|&i| values[i]).sum::<f64>() / draw.len() as f64;
        let found = bootstrap(400, 1000, 7, mean).unwrap();
        let width = found.high - found.low;
        assert!((width / (2.0 * Z / 20.0) - 1.0).abs() < 0.15, "{width}");
        assert_eq!(bootstrap(400, 1000, 7, mean), Some(found));
        assert_ne!(bootstrap(400, 1000, 8, mean), Some(found));
        assert_eq!((bootstrap(0, 9, 0, |_| 1.0), bootstrap(3, 9, 0, |_| f64::NAN)), (None, None));
    }

    #[test]
    fn quantiles_by_hand() {
        let found = [0.0, 0.25, 0.5, 1.0].map(|q| quantile(&[1.0, 2.0, 4.0], q));
        assert_eq!(found, [1.0, 1.5, 2.0, 4.0]);
    }
}
