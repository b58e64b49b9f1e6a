//! Networks with weights from the formula.

use residual_arch::NetSpec;
use residual_testkit::networks;
use residual_weights::StateDict;

/// The tensors of `spec`, named by its own scheme.
pub(crate) fn weights(spec: &NetSpec) -> StateDict {
    networks::weights(spec, 1.0).unwrap()
}
