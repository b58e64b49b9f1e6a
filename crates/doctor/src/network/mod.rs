//! One batch through the network, forward and backward.

pub(crate) mod gradients;
mod loss;
mod signal;

use residual_data::Batch;
use residual_nn::{Mode, ResNet};

use crate::{Error, Finding};

/// Checks of a batch on a network that a checkpoint has `trained`, or a new one.
pub(crate) fn check(network: &ResNet, batch: &Batch, trained: bool) -> Result<Vec<Finding>, Error> {
    let mode = Mode::train(0, 0);
    network.check_input(batch.shape, mode)?;
    // Before the training pass moves the running statistics.
    let evaluated = if trained { Some(loss::in_evaluation(network, batch)?) } else { None };
    let signals = gradients::signals(network, batch, mode)?;
    let mut findings = signal::check(&signals);
    if findings.iter().all(|finding| finding.kind != crate::Kind::Activations) {
        findings.extend(loss::check(network.spec(), signals.loss, evaluated));
    }
    Ok(findings)
}
