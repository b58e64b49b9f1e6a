//! Logits: the loss of a label, its place among the classes, and probabilities.

/// Cross-entropy `ln sum_k exp(z_k) - z_label` in f64, and the place of the label among the classes, 0 for
/// the most probable. Of equal logits the first class comes first; a logit that is not a number comes before
/// all.
///
/// # Panics
/// For a label that has no logit.
pub fn score(logits: &[f32], label: usize) -> (f64, usize) {
    let z = f64::from(logits[label]);
    let greatest = logits.iter().fold(f64::NEG_INFINITY, |max, &other| max.max(f64::from(other)));
    let sum: f64 = logits.iter().map(|&other| (f64::from(other) - greatest).exp()).sum();
    let behind = |(index, &other): (usize, &f32)| {
        let other = f64::from(other);
        other < z || (other == z && index >= label)
    };
    let place = logits.iter().enumerate().filter(|&candidate| !behind(candidate)).count();
    (greatest + sum.ln() - z, place)
}

/// Softmax of logits, `p_k = exp(z_k) / sum exp(z)`, in f64 and without overflow.
///
/// ```
/// let found = residual_measure::softmax(&[0.0, 3f32.ln()]);
/// assert!((found[0] - 0.25).abs() < 1e-7 && (found[1] - 0.75).abs() < 1e-7);
/// assert_eq!(residual_measure::softmax(&[3e38, -3e38]), [1.0, 0.0]);
/// ```
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let greatest = logits.iter().fold(f64::NEG_INFINITY, |max, &z| max.max(f64::from(z)));
    let powers: Vec<f64> = logits.iter().map(|&z| (f64::from(z) - greatest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_and_place_by_hand() {
        let logits = [1.0, 3.0, 2.0];
        let log_sum = (1f64.exp() + 3f64.exp() + 2f64.exp()).ln();
        for (label, z, place) in [(0, 1.0, 2), (1, 3.0, 0), (2, 2.0, 1)] {
            let (loss, found) = score(&logits, label);
            assert!((loss - (log_sum - z)).abs() < 1e-12);
            assert_eq!(found, place);
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let (loss, _) = score(&[1e30, 0.0], 0);
        assert_eq!(loss, 0.0);
        assert_eq!(score(&[-3e38, 3e38], 0), (f64::from(3e38f32) * 2.0, 1));
    }

    #[test]
    fn ties_go_to_the_first_class() {
        let places: Vec<_> = (0..3).map(|label| score(&[0.5; 3], label).1).collect();
        assert_eq!(places, [0, 1, 2]);
    }

    #[test]
    fn what_is_not_a_number_is_never_right() {
        let (loss, place) = score(&[f32::NAN, 1.0], 0);
        assert!(loss.is_nan() && place > 0);
        let (loss, place) = score(&[f32::NAN, 1.0], 1);
        assert!(loss.is_nan() && place > 0);
    }
}
