//! What the signals of a batch say.

use super::gradients::{BlockSignal, Signals};
use crate::weights::dead_finding;
use crate::{Finding, Kind, Severity};

/// By how much the gradient's norm may grow or shrink from the last block back to the stem. One rate serves
/// all layers: at a ratio of 1000 some layers do not move while others jump.
const RATIO: f64 = 1e3;

/// Beyond this no rate trains both ends in single precision (24 bits).
const HOPELESS: f64 = 1e7;

/// Every check of this file.
pub(super) fn check(signals: &Signals) -> Vec<Finding> {
    if let Some(block) = signals.blocks.iter().find(|block| !block.finite) {
        let finding =
            Kind::Activations.at(&block.path).found("values that are not finite").expected("numbers");
        let mend = "look at the weights of this block and at the normalisation of the images";
        return vec![finding.mend(mend)];
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
        let mend = "look at the head: its weights are zero, or its input is";
        return Some(finding.severity(Severity::Fault).expected("a gradient").mend(mend));
    }
    let ratio = first / last;
    if (1.0 / RATIO..=RATIO).contains(&ratio) {
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
    let hopeless = !(1.0 / HOPELESS..=HOPELESS).contains(&ratio);
    let finding = finding.severity(if hopeless { Severity::Fault } else { Severity::Warning });
    let finding = finding.expected(format!("a ratio from 1/{RATIO:.0} to {RATIO:.0}"));
    Some(finding.mend(
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
