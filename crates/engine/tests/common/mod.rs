//! Networks with weights from the formula.

use residual_arch::NetSpec;
use residual_testkit::networks;
use residual_weights::Model;

/// `spec` with weights.
pub(crate) fn model(spec: &NetSpec) -> Model {
    networks::model(spec, 1.0).unwrap()
}
