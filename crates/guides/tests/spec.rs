//! The networks in docs/spec.md are read, and mean what the page says.

use residual::arch::shape::flow;
use residual::arch::{ConvKind, Naming, NetSpec, NormKind, Order, Shortcut};

const DOCUMENT: &str = include_str!("../../../docs/spec.md");

/// The first block of `language` in the document of the format.
fn documented(language: &str) -> &'static str {
    all_documented(language)[0]
}

/// The blocks of `language` in the document of the format.
fn all_documented(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    DOCUMENT.split(&start).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

#[test]
fn the_documented_toml_is_what_it_says() {
    let spec = NetSpec::from_toml(documented("toml")).unwrap();
    assert_eq!((spec.naming, spec.depth_in_blocks()), (Naming::Sequential, 9));
    assert_eq!(spec.stem.channels(), 32);
    let block = |stage: usize, index: usize| spec.stages[stage].blocks[index];
    assert_eq!(block(0, 1).shortcut, Shortcut::Identity);
    assert_eq!(block(1, 0).shortcut, Shortcut::pooled_projection(64, 2));
    assert_eq!(block(2, 0).shortcut, Shortcut::projection(256, 2));
    assert!(block(2, 1).is_plain());
    assert_eq!((block(3, 2).order, block(3, 2).width), (Order::PreActivation, 256));
    let rows = flow(&spec, spec.input).unwrap().rows;
    assert_eq!(rows[9].output, [256, 4, 4]);
    assert_eq!(rows[10].description, "BN, ReLU, average pool, dropout 0.2, linear 10");
}

#[test]
fn the_documented_kinds_are_big_transfers() {
    let spec = NetSpec::from_toml(all_documented("toml")[1]).unwrap();
    let block = spec.stages[0].blocks[1];
    assert_eq!((block.norm, block.conv), (NormKind::group(32), ConvKind::Standardised));
    assert_eq!((spec.head.norm_kind, spec.stem.conv), (NormKind::group(32), ConvKind::Standardised));
    assert!(spec.stem.pool.is_some_and(|pool| pool.zeros));
    assert_eq!(flow(&spec, spec.input).unwrap().output, [10, 1, 1]);
}

#[test]
fn the_documented_json_is_a_network() {
    let spec = NetSpec::from_json(documented("json")).unwrap();
    assert_eq!((spec.naming, spec.preprocess.mean.len()), (Naming::Torchvision, 1));
    assert_eq!(flow(&spec, spec.input).unwrap().output, [10, 1, 1]);
}
