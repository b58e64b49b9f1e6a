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

/// Images of one class must get one answer by so much more often than images of two classes, so that a network tells
/// them apart. Of two classes and an order that is turned round: 0.35 from 80% on, 0.14 at 69%.
const APART: f64 = 0.35;

/// A network with its running statistics, on a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Evaluated {
    /// Mean cross-entropy.
    pub(super) loss: f64,
    /// Fraction told right.
    pub(super) top1: f64,
    /// How often two images of one class get the same answer, less how often two of different classes do: near 1 for
    /// one that tells the classes apart, whatever it calls them, near 0 for one that guesses or always gives the same.
    /// `None` where no two images are of one class, or all are.
    pub(super) separation: Option<f64>,
}

/// The answers with running statistics.
pub(super) fn in_evaluation(network: &ResNet, batch: &Batch) -> Result<Evaluated, Error> {
    let x = TensorData::new(batch.images.clone(), batch.shape);
    let logits = network.forward(Tensor::from_data(x, &network.device()).inner(), Mode::Eval).inner();
    let rows = values(logits.clone());
    let answer = |row: &[f32]| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.map_or(0, |(class, _)| class)
    };
    let answers: Vec<usize> = rows.chunks(network.spec().head.classes).map(answer).collect();
    let loss = cross_entropy(logits, &batch.labels, 0.0)?;
    Ok(Evaluated {
        loss: values(loss).iter().map(|&loss| f64::from(loss)).sum(),
        top1: share(answers.iter().zip(&batch.labels).map(|(answer, label)| answer == label)).unwrap_or(0.0),
        separation: separation(&batch.labels, &answers),
    })
}

/// Fraction that holds; `None` of nothing.
fn share(cases: impl Iterator<Item = bool>) -> Option<f64> {
    let (held, all) = cases.fold((0usize, 0usize), |(held, all), holds| (held + usize::from(holds), all + 1));
    (all > 0).then(|| held as f64 / all as f64)
}

/// See [`Evaluated::separation`].
fn separation(labels: &[usize], answers: &[usize]) -> Option<f64> {
    let images: Vec<_> = labels.iter().zip(answers).collect();
    let same_answer = |same_label: bool| {
        let pairs = images.iter().enumerate().flat_map(|(i, a)| images[..i].iter().map(move |b| (a, b)));
        share(pairs.filter(|(a, b)| (a.0 == b.0) == same_label).map(|(a, b)| a.1 == b.1))
    };
    Some(same_answer(true)? - same_answer(false)?)
}

/// `training` is the loss with the batch's statistics, `evaluated` what a trained network answers with its own.
pub(super) fn check(spec: &NetSpec, training: f64, evaluated: Option<Evaluated>) -> Option<Finding> {
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
            finding.help(
                "smaller weights in the head, `zero_init = true`, or a norm after pre-activation blocks",
            ),
        );
    };
    let Evaluated { loss, top1, separation } = evaluated;
    if loss > training * STALE_FACTOR + STALE_OFFSET {
        let found = format!("a loss of {loss:.3} with running statistics, {training:.3} with the batch's");
        let finding = Kind::StaleStatistics.at("batch norms").found(found).expected("about the same");
        return Some(finding.help(
            "take the statistics anew on these images, or give the preprocessing that they were taken with",
        ));
    }
    if loss <= guessing {
        return None;
    }
    let (kind, help) = match separation {
        Some(separation) if separation < APART => (
            Kind::Undertrained,
            "train it longer; where the loss does not fall, with a lower rate or more steps an epoch (a smaller batch)",
        ),
        _ if top1 > 0.5 => (
            Kind::WorseThanGuessing,
            "most answers are right, and the wrong ones too sure: a lower rate, or --label-smoothing 0.1",
        ),
        _ => (Kind::WorseThanGuessing, "look at the order of the classes and at the preprocessing"),
    };
    let found = format!("a loss of {loss:.3}, {:.0}% told right", 100.0 * top1);
    Some(kind.at("head").found(found).expected(format!("less than ln {classes} = {guessing:.3}")).help(help))
}

#[cfg(test)]
mod tests {
    use residual_arch::families::family;

    use super::*;

    fn finding(training: f64, evaluated: Option<(f64, f64, Option<f64>)>) -> Option<Finding> {
        let evaluated = evaluated.map(|(loss, top1, separation)| Evaluated { loss, top1, separation });
        check(&family("small").unwrap(), training, evaluated)
    }

    fn kind(training: f64, evaluated: Option<f64>) -> Option<Kind> {
        finding(training, evaluated.map(|loss| (loss, 0.1, None))).map(|finding| finding.kind)
    }

    #[test]
    fn too_little_training_is_told_from_another_order_of_the_classes() {
        let labels = [0, 0, 0, 1, 1, 1, 2, 2, 2];
        // Right, each class under another's name, one answer for all, answers without a pattern.
        assert_eq!(separation(&labels, &labels), Some(1.0));
        assert_eq!(separation(&labels, &[1, 1, 1, 2, 2, 2, 0, 0, 0]), Some(1.0));
        assert_eq!(separation(&labels, &[1; 9]), Some(0.0));
        assert!(separation(&labels, &[0, 1, 2, 0, 1, 2, 0, 1, 2]).unwrap() < 0.0);
        assert_eq!(separation(&[0, 1, 2], &[0, 1, 2]), None);
        assert_eq!(separation(&[1, 1], &[1, 1]), None);
        assert_eq!(separation(&[], &[]), None);
        let found = |top1, separation| finding(2.5, Some((2.6, top1, separation))).unwrap();
        assert_eq!(found(0.1, Some(0.05)).kind, Kind::Undertrained);
        for separation in [Some(0.9), None] {
            let finding = found(0.0, separation);
            assert!(finding.kind == Kind::WorseThanGuessing && finding.help.contains("order"), "{finding:?}");
        }
        let finding = found(0.8, Some(0.6));
        assert!(finding.kind == Kind::WorseThanGuessing && !finding.help.contains("order"), "{finding:?}");
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
