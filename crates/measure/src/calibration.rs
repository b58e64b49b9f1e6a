//! Calibration: whether probabilities can be believed.

/// Bins of Guo et al. 2017.
const BINS: usize = 15;

/// Reliability of confidences (Guo et al. 2017, section 2): bins of equal width, and how often the answers in each were
/// right.
///
/// ```
/// use residual_measure::Calibration;
/// let calibration = Calibration::new(&[0.9, 0.9, 0.6], &[true, false, true]);
/// assert!((calibration.ece() - (2.0 * 0.4 + 0.4) / 3.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    bins: Vec<Bin>,
}

/// Bin of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bin {
    /// Lower end, which belongs to the bin below.
    pub low: f64,
    /// Upper end, which belongs to the bin.
    pub high: f64,
    /// Number of answers whose confidence is in it.
    pub count: u64,
    /// Mean confidence of those answers; 0 of none.
    pub confidence: f64,
    /// Fraction of those answers that is right; 0 of none.
    pub accuracy: f64,
}

impl Calibration {
    /// Calibration in 15 bins of confidences, the probability of each answer, and whether it was right.
    ///
    /// # Panics
    /// Where there are not as many confidences as answers.
    pub fn new(confidences: &[f64], correct: &[bool]) -> Self {
        Self::in_bins(confidences, correct, BINS)
    }

    /// Calibration in a number of bins; one at least. A confidence beyond 0 and 1, or that is not a number, falls in the
    /// bin at that end, or in the first.
    ///
    /// # Panics
    /// Where there are not as many confidences as answers.
    pub fn in_bins(confidences: &[f64], correct: &[bool], bins: usize) -> Self {
        assert_eq!(confidences.len(), correct.len(), "an answer for every confidence");
        let bins = bins.max(1);
        let width = 1.0 / bins as f64;
        let edge = |index: usize| if index == bins { 1.0 } else { index as f64 * width };
        let mut found: Vec<Bin> = (0..bins)
            .map(|bin| Bin { low: edge(bin), high: edge(bin + 1), count: 0, confidence: 0.0, accuracy: 0.0 })
            .collect();
        for (&confidence, &correct) in confidences.iter().zip(correct) {
            let bin = (1..bins).filter(|&index| edge(index) < confidence).count();
            let bin = &mut found[bin];
            bin.count += 1;
            bin.confidence += confidence;
            bin.accuracy += f64::from(u8::from(correct));
        }
        for bin in found.iter_mut().filter(|bin| bin.count > 0) {
            bin.confidence /= bin.count as f64;
            bin.accuracy /= bin.count as f64;
        }
        Self { bins: found }
    }

    /// Bins from 0 to 1, the empty ones too.
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }

    /// Expected calibration error (ECE): the mean difference between confidence and accuracy, weighted by the answers of
    /// the bins; 0 of none.
    pub fn ece(&self) -> f64 {
        let total: u64 = self.bins.iter().map(|bin| bin.count).sum();
        let gap = |bin: &Bin| bin.count as f64 * (bin.accuracy - bin.confidence).abs();
        self.bins.iter().map(gap).sum::<f64>() / total.max(1) as f64
    }

    /// Maximum calibration error (MCE): the greatest difference of a bin.
    pub fn mce(&self) -> f64 {
        self.bins.iter().map(|bin| (bin.accuracy - bin.confidence).abs()).fold(0.0, f64::max)
    }
}

/// Brier score of probabilities, the mean of `sum_k (p_k - y_k)²` (Brier 1950): 0 is perfect, 2 the worst. Rows are
/// `[examples][classes]`; 0 of none.
///
/// # Panics
/// Where there is not a row for every label, or no probability for one.
pub fn brier(probabilities: &[f64], labels: &[usize]) -> f64 {
    let classes = probabilities.len() / labels.len().max(1);
    assert_eq!(probabilities.len(), classes * labels.len(), "a row for every label");
    let mut sum = 0.0;
    for (row, &label) in probabilities.chunks_exact(classes.max(1)).zip(labels) {
        assert!(label < classes, "a label below {classes}");
        let truth = |class| f64::from(u8::from(class == label));
        sum += row.iter().enumerate().map(|(class, p)| (p - truth(class)).powi(2)).sum::<f64>();
    }
    sum / labels.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_belongs_to_the_bin_below() {
        let found = Calibration::in_bins(&[0.5, 0.0, 1.0, f64::NAN], &[true; 4], 2);
        let counts: Vec<u64> = found.bins().iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [3, 1]);
        assert_eq!((Calibration::new(&[], &[]).ece(), Calibration::new(&[], &[]).mce()), (0.0, 0.0));
    }
}
