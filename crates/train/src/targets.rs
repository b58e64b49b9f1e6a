//! What the logits of a batch are held against.

use burn::tensor::Tensor;
use residual_data::{Batch, Partner};
use residual_nn::{cross_entropy, soft_cross_entropy};

use crate::Error;

/// Targets of a batch: the label of each image, and where images were mixed, the labels of their partners.
pub(crate) struct BatchTargets {
    labels: Vec<usize>,
    partners: Vec<Partner>,
    smoothing: f64,
}

impl BatchTargets {
    pub(crate) fn new(batch: &Batch, smoothing: f64) -> Self {
        Self { labels: batch.labels.clone(), partners: batch.partners.clone(), smoothing }
    }

    /// Label that has the greater share of each image.
    pub(crate) fn dominant(&self) -> impl Iterator<Item = usize> {
        self.labels.iter().enumerate().map(|(place, &label)| match self.partners.get(place) {
            Some(partner) if partner.share > 0.5 => partner.label,
            _ => label,
        })
    }

    /// Cross-entropy of logits, `[images, classes]`; the labels were checked.
    pub(crate) fn loss(&self, logits: Tensor<2>) -> Result<Tensor<1>, Error> {
        if self.partners.is_empty() {
            return Ok(cross_entropy(logits, &self.labels, self.smoothing)?);
        }
        let [_, classes] = logits.dims();
        Ok(soft_cross_entropy(logits, &self.probabilities(classes))?)
    }

    /// Probability of each class, image by image: the mixed labels, of which a part is spread over all classes.
    fn probabilities(&self, classes: usize) -> Vec<f32> {
        let (off, on) = (self.smoothing / classes as f64, 1.0 - self.smoothing);
        let mut probabilities = Vec::with_capacity(self.labels.len() * classes);
        for (&label, partner) in self.labels.iter().zip(&self.partners) {
            let share = |class: usize| {
                let own = if class == label { 1.0 - partner.share } else { 0.0 };
                own + if class == partner.label { partner.share } else { 0.0 }
            };
            probabilities.extend((0..classes).map(|class| (off + on * share(class)) as f32));
        }
        probabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_labels_share_the_probability() {
        let mut batch = Batch::new(vec![0.0; 3], [3, 1, 1, 1], vec![2, 0, 1]);
        let plain = BatchTargets::new(&batch, 0.1);
        assert_eq!(plain.dominant().collect::<Vec<_>>(), [2, 0, 1]);
        batch.partners =
            [(1, 0.25), (0, 0.0), (2, 0.75)].map(|(label, share)| Partner { label, share }).into();
        let targets = BatchTargets::new(&batch, 0.1);
        assert_eq!(targets.dominant().collect::<Vec<_>>(), [2, 0, 2]);
        // A fifth of 0.1 is each class's, and 0.9 is shared.
        let wanted: [f32; 15] = [
            0.02, 0.245, 0.695, 0.02, 0.02, //
            0.92, 0.02, 0.02, 0.02, 0.02, //
            0.02, 0.245, 0.695, 0.02, 0.02,
        ];
        for (found, wanted) in targets.probabilities(5).into_iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }
}
