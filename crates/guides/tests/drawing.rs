//! The drawing in docs/spec.md is what the command draws.

use residual::arch::families::family;
use residual::report::NetworkDiagram;

/// `residual draw small --out docs/figures/small.svg` writes it anew.
#[test]
fn the_drawing_of_the_guide_is_that_of_the_network() {
    let spec = family("small").unwrap();
    let drawn = NetworkDiagram::new(&spec.check(spec.input).unwrap()).figure().svg();
    assert_eq!(drawn, include_str!("../../../docs/figures/small.svg"));
}
