//! Rates and batches.

use residual_arch::{Layer, NetSpec};

use crate::structure::{DEEP_BLOCKS, last_norm};
use crate::{Finding, Kind};

/// Training: what is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Images in a step.
    pub batch_size: usize,
    /// The greatest learning rate.
    pub lr: f64,
    /// True where the rate rises before it falls.
    pub warms_up: bool,
}

/// 0.1 for 256 images, scaled with the batch (Goyal et al. 2017, section 2.1). Eight times that is the
/// one-cycle training at rate 3 with 1000 images of Smith and Topin 2018, the greatest published for residual
/// networks with plain SGD.
const RATE_PER_IMAGE: f64 = 0.1 / 256.0;
const GREATEST_FACTOR: f64 = 8.0;

/// ResNet-50's error with 16 images is that with 32; with 8 it is 1.2 points above, with 4 3.7 (Wu and He
/// 2018, figure 1).
const SMALL_BATCH: usize = 8;

/// Checks of rates and batches.
pub(crate) fn check(spec: &NetSpec, training: &Training) -> Vec<Finding> {
    [batch(training), rate(training), warmup(spec, training)].concat()
}

fn batch(training: &Training) -> Vec<Finding> {
    let Training { batch_size, .. } = *training;
    if batch_size >= SMALL_BATCH {
        return vec![];
    }
    let finding = Kind::SmallBatch.at("batch_size").found(format!("{batch_size} images in a step"));
    let finding = finding.expected(format!("{SMALL_BATCH} or more, better 16"));
    vec![finding.help("a larger batch (`--memory low` makes room), or freeze the batch norms' layers")]
}

fn rate(training: &Training) -> Vec<Finding> {
    let Training { batch_size, lr, .. } = *training;
    let greatest = GREATEST_FACTOR * RATE_PER_IMAGE * batch_size as f64;
    if lr <= greatest {
        return vec![];
    }
    let usual = RATE_PER_IMAGE * batch_size as f64;
    let finding = Kind::LearningRate.at("lr").found(format!("{lr} for batches of {batch_size}"));
    let finding = finding.expected(format!("about {usual:.3}; {greatest:.3} is the most published"));
    vec![finding.help(format!("--lr {usual:.3}"))]
}

/// Deep post-activation networks do not begin at 0.1 without help (He et al. 2015, section 4.2).
fn warmup(spec: &NetSpec, training: &Training) -> Vec<Finding> {
    let Ok(network) = spec.check(spec.input) else { return vec![] };
    let full = |block: &[Layer]| last_norm(block).is_some_and(|norm| !norm.is_zero_init());
    let blocks = network.blocks().filter(|(_, _, layers)| full(layers)).count();
    if blocks <= DEEP_BLOCKS || training.warms_up || training.lr < 0.1 {
        return vec![];
    }
    let found = format!("{} from the first step of a network of {blocks} blocks", training.lr);
    let finding = Kind::LearningRate.at("lr").found(found).expected("a warm-up, or zero initialisation");
    vec![finding.help("--warmup 1, or `zero_init = true` in every block")]
}
