//! Laws of random numbers, and tests of samples against them (Pearson's chi-squared).

/// Law that a parameter follows.
#[derive(Clone, Debug)]
pub(crate) enum Law {
    /// Evenly between two ends.
    Even([f64; 2]),
    /// By its cumulative distribution function.
    Cumulative(fn(f64) -> f64),
    /// 0, 1, 2, ..., each with its weight.
    Counts(Vec<f64>),
}

/// Equal parts into which the range of a continuous law is divided.
const PARTS: usize = 20;

impl Law {
    /// Numbers below `count`, each as likely as the others.
    pub(crate) fn even_counts(count: usize) -> Self {
        Self::Counts(vec![1.0; count])
    }

    /// 1 with this probability, else 0.
    pub(crate) fn chance(probability: f64) -> Self {
        Self::Counts(vec![1.0 - probability, probability])
    }

    /// The probabilities of the parts: of a continuous law `parts` equal ones, else of each number.
    fn probabilities(&self, parts: usize) -> Vec<f64> {
        match self {
            Self::Counts(weights) => {
                let sum: f64 = weights.iter().sum();
                weights.iter().map(|weight| weight / sum).collect()
            }
            _ => vec![1.0 / parts as f64; parts],
        }
    }

    /// Position of a value, 0 to 1 for a continuous law; a little outside for one that was rounded to a pixel.
    fn position(&self, value: f64) -> f64 {
        match self {
            Self::Even([low, high]) => (value - low) / (high - low),
            Self::Cumulative(function) => function(value),
            Self::Counts(_) => value,
        }
    }

    fn part(&self, value: f64, parts: usize) -> usize {
        match self {
            Self::Counts(_) => value as usize,
            _ => ((self.position(value) * parts as f64).max(0.0) as usize).min(parts - 1),
        }
    }

    /// Holds a sample to the law: bounds, mean, coverage up to both ends, and the share of every part.
    pub(crate) fn hold(&self, values: &[f64], name: &str) {
        let count = values.len() as f64;
        assert!(count >= 250.0, "{name}: {count} values");
        let mut positions: Vec<f64> = values.iter().map(|&value| self.position(value)).collect();
        positions.sort_by(f64::total_cmp);
        let [least, greatest] = [positions[0], positions[positions.len() - 1]];
        let mean = positions.iter().sum::<f64>() / count;
        match self {
            Self::Counts(weights) => {
                let whole = positions.iter().all(|value| value.fract() == 0.0);
                assert!(
                    whole && least >= 0.0 && greatest < weights.len() as f64,
                    "{name}: {least} to {greatest}"
                );
            }
            _ => {
                assert!(least > -0.01 && greatest < 1.01, "{name}: {least} to {greatest} of the range");
                let gap = 10.0 / count;
                assert!(least < gap && greatest > 1.0 - gap, "{name}: {least} to {greatest} of the range");
                // Four standard errors of a mean of even numbers.
                assert!((mean - 0.5).abs() < 4.0 / (12.0 * count).sqrt(), "{name}: mean at {mean}");
            }
        }
        let probabilities = self.probabilities(PARTS);
        let mut counts = vec![0_usize; probabilities.len()];
        values.iter().for_each(|&value| counts[self.part(value, PARTS)] += 1);
        hold_counts(&counts, &probabilities, name);
    }

    /// Holds two numbers that belong together, each of its law, to independence.
    pub(crate) fn hold_independent(&self, other: &Self, pairs: &[[f64; 2]], name: &str) {
        // As many parts as leave enough pairs in each.
        let [first, second] = [self, other].map(|law| law.probabilities(5));
        let mut counts = vec![0_usize; first.len() * second.len()];
        for &[a, b] in pairs {
            counts[self.part(a, 5) * second.len() + other.part(b, 5)] += 1;
        }
        let probabilities: Vec<f64> = first.iter().flat_map(|p| second.iter().map(move |q| p * q)).collect();
        hold_counts(&counts, &probabilities, name);
    }
}

/// Holds counts to probabilities at a level of one in ten thousand; the quantile by Wilson and Hilferty.
fn hold_counts(counts: &[usize], probabilities: &[f64], name: &str) {
    let total = counts.iter().sum::<usize>() as f64;
    let mut distance = 0.0;
    let mut freedom = -1.0;
    for (&count, &probability) in counts.iter().zip(probabilities) {
        if probability == 0.0 {
            assert_eq!(count, 0, "{name}: {counts:?}");
            continue;
        }
        let expected = total * probability;
        distance += (count as f64 - expected).powi(2) / expected;
        freedom += 1.0;
    }
    let width: f64 = 2.0 / (9.0 * freedom);
    let most = freedom * (1.0 - width + 3.72 * width.sqrt()).powi(3);
    assert!(distance < most, "{name}: {distance:.1} of {most:.1} for {counts:?}");
}
