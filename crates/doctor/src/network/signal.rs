//! What the signals of a batch say.

use super::gradients::{BlockSignal, Signals};
use crate::weights::dead_finding;
use crate::{Finding, Kind, Severity};

/// By how much the gradient's norm may grow or shrink from the last block back to the stem, where it does so by
/// more than [`RATE`] a block: exponentially. One learning rate serves all layers. New networks
/// (`docs/doctor.md`): of those that train, the ones above this grow by 1.16 a block at the most
/// (`cifar_preact164`), and the ones above the rate stay below 2,200 (`resnext101_64x4d`, `resnetv2_101`); plain
/// networks of 56 layers and more show 7,600 and 1.37 at the least.
const RATIO: f64 = 2.5e3;
const RATE: f64 = 1.25;

/// Greatest ratio at any rate: the deepest that was measured, `cifar_resnet1202`, shows 2,608.
const GREATEST_RATIO: f64 = 1e6;

/// A single-precision weight does not move by less than this part of itself.
const PRECISION: f64 = 1.0 / (1u64 << 24) as f64;

/// Checks of signals.
pub(super) fn check(signals: &Signals) -> Vec<Finding> {
    if let Some(block) = signals.blocks.iter().find(|block| !block.finite) {
        let finding =
            Kind::Activations.at(&block.path).found("values that are not finite").expected("numbers");
        let help = "look at the weights of this block and at the normalisation of the images";
        return vec![finding.help(help)];
    }
    let dead =
        signals.blocks.iter().filter_map(|block| dead_finding(&block.path, block.dead?, block.channels));
    dead.chain(flow(&signals.blocks)).collect()
}

/// The gradient at the stem against that at the last block.
fn flow(blocks: &[BlockSignal]) -> Option<Finding> {
    let (first, last) = (blocks.first()?.gradient, blocks.last()?.gradient);
    if last == 0.0 {
        let finding = Kind::VanishingGradient.at(&blocks.last()?.path).found("no gradient at all");
        let help = "look at the head: its weights are zero, or its input is";
        return Some(finding.severity(Severity::Fault).expected("a gradient").help(help));
    }
    let ratio = first / last;
    let size = ratio.ln().abs();
    let rate = (size / (blocks.len() - 1).max(1) as f64).exp();
    if size <= RATIO.ln() || (rate <= RATE && size <= GREATEST_RATIO.ln()) {
        return None;
    }
    let grows = ratio > 1.0;
    // The block in front of which the norm changes most.
    let change = |pair: &&[BlockSignal]| {
        let step = (pair[0].gradient / pair[1].gradient.max(f64::MIN_POSITIVE)).ln();
        if grows { step } else { -step }
    };
    let worst = blocks.windows(2).max_by(|a, b| change(a).total_cmp(&change(b)))?;
    let kind = if grows { Kind::ExplodingGradient } else { Kind::VanishingGradient };
    let found =
        format!("its norm is {first:.2e} at the stem, {last:.2e} at the last block; it changes most here");
    let finding = kind.at(&worst[1].path).found(found);
    let finding = finding.severity(if ratio < PRECISION { Severity::Fault } else { Severity::Warning });
    let finding =
        finding.expected(format!("a ratio from 1/{RATIO:.0} to {RATIO:.0}, or below {RATE} a block"));
    Some(finding.help(
        "shortcuts in every block, and `zero_init = true`; for weights from a file, a smaller learning rate",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(gradients: &[f64]) -> Vec<Finding> {
        let block = |(index, &gradient): (usize, &f64)| BlockSignal {
            path: format!("stage1.block{index}"),
            finite: true,
            dead: Some(0),
            channels: 4,
            gradient,
        };
        check(&Signals { loss: 1.0, blocks: gradients.iter().enumerate().map(block).collect() })
    }

    #[test]
    fn a_steady_gradient_is_passed() {
        assert_eq!(of(&[1.0, 2.0, 0.1]), []);
        assert_eq!(of(&[90.0, 0.1]), []);
        let slow: Vec<f64> = (0..60).map(|block| 1.15f64.powi(-block)).collect();
        assert_eq!(of(&slow), []);
    }

    #[test]
    fn what_grows_or_shrinks_is_found_where_it_does_so_most() {
        let findings = of(&[9e4, 8e4, 20.0, 10.0]);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.kind, finding.place.as_str()), (Kind::ExplodingGradient, "stage1.block2"));
        let findings = of(&[1e-5, 2e-5, 1.0, 1.1]);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.kind, finding.place.as_str()), (Kind::VanishingGradient, "stage1.block2"));
        assert_eq!(finding.severity, Severity::Warning);
        assert_eq!(of(&[1e-20, 1.0])[0].severity, Severity::Fault);
    }
}
