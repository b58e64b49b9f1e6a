//! Temperature of logits.

/// Highest temperature that is looked for.
pub const HOTTEST: f64 = 100.0;

/// Lowest temperature that is looked for.
pub const COLDEST: f64 = 0.01;

/// Iterations of the search, of which each halves the range at least.
const ITERATIONS: usize = 100;

/// Temperature, and the negative log likelihood without it and with it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Temperature {
    /// Number that logits are divided by: above 1 the probabilities become less sure.
    pub value: f64,
    /// Negative log likelihood at a temperature of 1.
    pub before: f64,
    /// Negative log likelihood at this temperature.
    pub after: f64,
}

/// Negative log likelihood of the labels, the mean of `ln sum_k exp(z_k / T) - z_label / T`; `logits` are
/// `[examples][classes]`. 0 of none.
///
/// # Panics
/// Where there is not a row for every label, or no logit for one.
pub fn negative_log_likelihood(logits: &[f32], labels: &[usize], temperature: f64) -> f64 {
    let sum: f64 =
        rows(logits, labels).map(|(row, label)| Row::new(row, label).at(1.0 / temperature).loss).sum();
    sum / labels.len().max(1) as f64
}

/// Temperature scaling (Guo et al. 2017, section 4.2): the temperature between [`COLDEST`] and [`HOTTEST`] at which the
/// negative log likelihood is least, by Newton's method with bisection. `logits` are `[examples][classes]`. `None` of no
/// examples, and of logits that are not finite.
///
/// # Panics
/// Where there is not a row for every label, or no logit for one.
///
/// ```
/// // Sure of its answers by 3 to 1, and right in one of two.
/// let logits = [3f32.ln(), 0.0, 3f32.ln(), 0.0];
/// let found = residual_measure::fit_temperature(&logits, &[0, 1]).unwrap();
/// assert!(found.value == residual_measure::HOTTEST && found.after < found.before);
/// ```
pub fn fit_temperature(logits: &[f32], labels: &[usize]) -> Option<Temperature> {
    if labels.is_empty() || logits.iter().any(|logit| !logit.is_finite()) {
        return None;
    }
    let rows: Vec<Row> = rows(logits, labels).map(|(row, label)| Row::new(row, label)).collect();
    // Convex in the inverse temperature.
    let (mut low, mut high) = (1.0 / HOTTEST, 1.0 / COLDEST);
    let mut inverse = 1.0;
    for end in [low, high] {
        let slope = total(&rows, end).slope;
        if (end == low) == (slope >= 0.0) && slope != 0.0 {
            return Some(finished(&rows, end));
        }
    }
    for _ in 0..ITERATIONS {
        let Point { slope, curvature, .. } = total(&rows, inverse);
        if slope > 0.0 {
            high = inverse
        } else {
            low = inverse
        }
        let newton = inverse - slope / curvature;
        let next = if newton > low && newton < high { newton } else { (low + high) / 2.0 };
        if slope == 0.0 || (next - inverse).abs() <= 1e-14 * inverse {
            break;
        }
        inverse = next;
    }
    Some(finished(&rows, inverse))
}

fn finished(rows: &[Row], inverse: f64) -> Temperature {
    let mean = |inverse| total(rows, inverse).loss / rows.len() as f64;
    Temperature { value: 1.0 / inverse, before: mean(1.0), after: mean(inverse) }
}

fn rows<'a>(logits: &'a [f32], labels: &'a [usize]) -> impl Iterator<Item = (&'a [f32], usize)> {
    let classes = logits.len() / labels.len().max(1);
    assert_eq!(logits.len(), classes * labels.len(), "a row for every label");
    logits.chunks_exact(classes.max(1)).zip(labels.iter().copied())
}

/// Logits of an example as differences to its label's.
struct Row(Vec<f64>);

/// Loss as a function of the inverse temperature, with its derivatives.
#[derive(Clone, Copy, Default)]
struct Point {
    loss: f64,
    slope: f64,
    curvature: f64,
}

impl Row {
    fn new(logits: &[f32], label: usize) -> Self {
        let own = f64::from(logits[label]);
        Self(logits.iter().map(|&logit| f64::from(logit) - own).collect())
    }

    /// `ln sum exp(b d)`; its slope is the mean of `d` under the probabilities, its curvature the variance.
    fn at(&self, inverse: f64) -> Point {
        let greatest = self.0.iter().fold(f64::NEG_INFINITY, |max, &d| max.max(d * inverse));
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for &d in &self.0 {
            let power = (d * inverse - greatest).exp();
            sum += power;
            first += power * d;
            second += power * d * d;
        }
        let slope = first / sum;
        Point { loss: greatest + sum.ln(), slope, curvature: (second / sum - slope * slope).max(0.0) }
    }
}

fn total(rows: &[Row], inverse: f64) -> Point {
    rows.iter().map(|row| row.at(inverse)).fold(Point::default(), |sum, point| Point {
        loss: sum.loss + point.loss,
        slope: sum.slope + point.slope,
        curvature: sum.curvature + point.curvature,
    })
}

#[cfg(test)]
mod tests {
    use residual_random::Key;

    use super::*;
    use crate::score;

    /// Logits of which the labels are drawn at a temperature.
    fn drawn(temperature: f64, examples: usize) -> (Vec<f32>, Vec<usize>) {
        let logits: Vec<f32> =
            (0..4 * examples as u64).map(|i| 3.0 * Key::named("logit").normal(i) as f32).collect();
        let label = |(example, row): (usize, &[f32])| {
            let scaled: Vec<f32> = row.iter().map(|&z| (f64::from(z) / temperature) as f32).collect();
            let mut rest = Key::named("label").uniform(example as u64);
            let probabilities = crate::softmax(&scaled);
            probabilities
                .iter()
                .position(|p| {
                    rest -= p;
                    rest < 0.0
                })
                .unwrap_or(0)
        };
        let labels = logits.chunks_exact(4).enumerate().map(label).collect();
        (logits, labels)
    }

    #[test]
    fn the_temperature_that_labels_were_drawn_at_is_found() {
        for wanted in [0.5, 1.0, 2.5] {
            let (logits, labels) = drawn(wanted, 4000);
            let found = fit_temperature(&logits, &labels).unwrap();
            assert!((found.value / wanted - 1.0).abs() < 0.1, "{wanted}: {found:?}");
            assert!(found.after <= found.before);
            for other in [0.999, 1.001] {
                assert!(negative_log_likelihood(&logits, &labels, found.value * other) >= found.after);
            }
        }
    }

    #[test]
    fn nothing_to_learn_ends_at_a_bound() {
        let right = fit_temperature(&[2.0, 1.0], &[0]).unwrap();
        assert!((right.value - COLDEST).abs() < 1e-12, "{right:?}");
        let wrong = fit_temperature(&[2.0, 1.0], &[1]).unwrap();
        assert!((wrong.value - HOTTEST).abs() < 1e-9, "{wrong:?}");
        let level = fit_temperature(&[1.0, 1.0], &[1]).unwrap();
        assert_eq!((level.value, level.before), (1.0, level.after));
        assert_eq!((fit_temperature(&[], &[]), fit_temperature(&[f32::NAN, 0.0], &[0])), (None, None));
    }

    #[test]
    fn the_loss_is_that_of_a_label() {
        let logits = [0.3, -2.0, 1.5];
        assert!((negative_log_likelihood(&logits, &[1], 1.0) - score(&logits, 1).0).abs() < 1e-12);
    }
}
