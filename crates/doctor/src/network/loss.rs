//! What the loss of a batch says.

use burn::tensor::{Tensor, TensorData};
use residual_arch::NetSpec;
use residual_data::Batch;
use residual_nn::{Mode, ResNet, cross_entropy};

use super::gradients::values;
use crate::{Error, Finding, Kind};

/// A new network may be this many times as wrong as guessing, and once more for every [`BLOCKS`]. Logits of
/// variance `s` cost about `s / 2` above `ln K`, and in post-activation networks each block adds to the variance:
/// the loss is up to 1.25 `ln K` with 9 blocks, 2.4 with 54, 8.3 with 600 (three seeds,
/// `examples/thresholds.rs`).
const INITIAL_FACTOR: f64 = 4.0;
const BLOCKS: f64 = 100.0;

/// Running statistics may cost this many times the loss with the batch's own, and a half besides: small
/// losses have large ratios.
const STALE_FACTOR: f64 = 2.0;
const STALE_OFFSET: f64 = 0.5;

/// The loss with running statistics.
pub(super) fn in_evaluation(network: &ResNet, batch: &Batch) -> Result<f64, Error> {
    let x = TensorData::new(batch.images.clone(), batch.shape);
    let logits = network.forward(Tensor::from_data(x, &network.device()).inner(), Mode::Eval);
    let loss = cross_entropy(logits.inner(), &batch.labels, 0.0)?;
    Ok(values(loss).iter().map(|&loss| f64::from(loss)).sum())
}

/// `training` is the loss with the batch's statistics, `evaluated` that of a trained network with its own.
pub(super) fn check(spec: &NetSpec, training: f64, evaluated: Option<f64>) -> Option<Finding> {
    let classes = spec.head.classes;
    let guessing = (classes as f64).ln();
    let Some(evaluated) = evaluated else {
        let factor = INITIAL_FACTOR + spec.depth_in_blocks() as f64 / BLOCKS;
        if training <= guessing * factor {
            return None;
        }
        let finding = Kind::InitialLoss.at("head").found(format!("{training:.3}"));
        let finding = finding.expected(format!("ln {classes} = {guessing:.3}, at most {factor:.1} times it"));
        return Some(
            finding.mend(
                "smaller weights in the head, `zero_init = true`, or a norm after pre-activation blocks",
            ),
        );
    };
    if evaluated > training * STALE_FACTOR + STALE_OFFSET {
        let found =
            format!("a loss of {evaluated:.3} with running statistics, {training:.3} with the batch's");
        let finding = Kind::StaleStatistics.at("batch norms").found(found).expected("about the same");
        return Some(finding.mend(
            "take the statistics anew on these images, or give the preprocessing that they were taken with",
        ));
    }
    if evaluated <= guessing {
        return None;
    }
    let finding = Kind::WorseThanGuessing.at("head").found(format!("a loss of {evaluated:.3}"));
    let finding = finding.expected(format!("less than ln {classes} = {guessing:.3}"));
    Some(finding.mend("look at the order of the classes and at the preprocessing"))
}

#[cfg(test)]
mod tests {
    use residual_arch::families::family;

    use super::*;

    fn kind(training: f64, evaluated: Option<f64>) -> Option<Kind> {
        check(&family("small").unwrap(), training, evaluated).map(|finding| finding.kind)
    }

    #[test]
    fn a_new_network_guesses() {
        assert_eq!(kind(2.3, None), None);
        assert_eq!(kind(6.0, None), None);
        assert_eq!(kind(12.0, None), Some(Kind::InitialLoss));
    }

    #[test]
    fn a_trained_one_knows_better_and_with_its_own_statistics() {
        assert_eq!(kind(0.1, Some(0.4)), None);
        assert_eq!(kind(0.5, Some(2.2)), Some(Kind::StaleStatistics));
        assert_eq!(kind(2.5, Some(2.6)), Some(Kind::WorseThanGuessing));
    }
}
