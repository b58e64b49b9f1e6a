//! The schemes of names: against PyTorch's own (`expected/`), and among themselves.

use std::collections::{BTreeMap, HashSet};

use residual_arch::blocks;
use residual_arch::families::{all, family};
use residual_arch::names::{TensorName, block_names, from_file, names, to_file};
use residual_arch::{Attention, BlockSpec, Naming, NetSpec, TensorSpec, block_tensors, tensors};

const SCHEMES: [Naming; 5] =
    [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential, Naming::Transformers];

type Shapes = BTreeMap<String, Vec<usize>>;

/// Name and shape of the parameters, and of the buffers, that PyTorch has.
fn expected(text: &str) -> (Shapes, Shapes) {
    let (mut parameters, mut buffers) = (Shapes::new(), Shapes::new());
    for line in text.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        if let [kind @ ("parameter" | "buffer"), name, shape] = fields[..] {
            let shape = shape.split('x').map(|side| side.parse().unwrap()).collect();
            if kind == "parameter" { &mut parameters } else { &mut buffers }.insert(name.into(), shape);
        }
    }
    assert!(!parameters.is_empty() && !buffers.is_empty());
    (parameters, buffers)
}

/// The same of ours.
fn ours(tensors: &[TensorSpec], names: Vec<TensorName>) -> (Shapes, Shapes) {
    assert_eq!(tensors.len(), names.len());
    let (mut parameters, mut buffers) = (Shapes::new(), Shapes::new());
    for (tensor, name) in tensors.iter().zip(names) {
        assert_eq!(tensor.path, name.path);
        let map = if tensor.role.is_parameter() { &mut parameters } else { &mut buffers };
        assert!(map.insert(name.name, name.shape).is_none());
    }
    (parameters, buffers)
}

macro_rules! golden {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("expected/", $name, ".txt")))),*]
    };
}

#[test]
fn networks_have_the_names_of_pytorch() {
    let golden = golden![
        "small_resnet",
        "cifar_resnet20",
        "resnet18",
        "resnet50",
        "resnext50_32x4d",
        "timm_resnet50d",
        "timm_seresnet50",
        "timm_resnetv2_50"
    ];
    for (name, text) in golden {
        let spec = family(name).unwrap();
        assert_eq!(ours(&tensors(&spec), names(&spec, spec.naming)), expected(text), "{name}");
    }
}

#[test]
fn blocks_have_the_names_of_pytorch() {
    let golden = golden![
        "basic_block_32",
        "projection_block_32_64_s2",
        "bottleneck_64_32_128_s2",
        "bottleneck_128_32_128_s1",
        "preact_block_32"
    ];
    for (name, text) in golden {
        let (block, channels) = blocks::from_name(name).unwrap();
        let found = ours(&block_tensors(&block, channels), block_names(&block, channels));
        assert_eq!(found, expected(text), "{name}");
    }
}

/// Networks that no scheme's own library has.
fn odd_networks() -> Vec<NetSpec> {
    let squeezed = |mut spec: NetSpec| {
        for block in spec.stages.iter_mut().flat_map(|stage| &mut stage.blocks) {
            block.attention = Some(Attention::squeeze_excite(4));
        }
        spec
    };
    let mut mixed = family("small").unwrap();
    mixed.stages[2].blocks[1] = BlockSpec::basic(128).preactivation();
    mixed.head.norm = true;
    let mut bare = family("resnet50d").unwrap();
    bare.stem.bare = true;
    vec![
        squeezed(family("resnetv2_50d").unwrap()),
        squeezed(family("cifar_preact164").unwrap()),
        squeezed(family("small").unwrap()),
        family("ecaresnet26t").unwrap(),
        mixed,
        bare,
    ]
}

#[test]
fn every_scheme_names_every_tensor_apart() {
    let families = all().into_iter().filter(|name| !name.contains("1202") && !name.contains("1001"));
    let specs = families.map(|name| family(name).unwrap()).chain(odd_networks());
    for spec in specs {
        let paths: HashSet<_> = tensors(&spec).into_iter().map(|tensor| tensor.path).collect();
        for naming in SCHEMES {
            let there = to_file(&spec, naming);
            let back = from_file(&spec, naming);
            assert_eq!(there.len(), paths.len(), "{} {naming:?}", spec.name);
            assert_eq!(back.len(), paths.len(), "{} {naming:?}", spec.name);
            for (path, name) in there {
                assert!(paths.contains(&path));
                assert_eq!(back[&name], path, "{} {naming:?}", spec.name);
            }
        }
    }
}

#[test]
fn names_where_the_schemes_part() {
    let find = |network: &str, naming, path: &str| {
        let spec = family(network).unwrap();
        to_file(&spec, naming).remove(path).unwrap()
    };
    let shortcut = "stage2.block0.shortcut.conv.weight";
    assert_eq!(find("resnet18", Naming::Torchvision, shortcut), "layer2.0.downsample.0.weight");
    assert_eq!(find("resnet34d", Naming::Timm, shortcut), "layer2.0.downsample.1.weight");
    assert_eq!(find("resnetv2_50d", Naming::Timm, shortcut), "stages.1.blocks.0.downsample.conv.weight");
    assert_eq!(find("cifar_resnet20_b", Naming::Cifar, shortcut), "layer2.0.shortcut.0.weight");
    assert_eq!(find("small", Naming::Sequential, shortcut), "stage2.0.shortcut.0.weight");
    assert_eq!(find("resnetv2_50d", Naming::Timm, "stem.conv2.weight"), "stem.conv3.weight");
    assert_eq!(find("resnetv2_50d", Naming::Timm, "stem.norm0.bias"), "stem.norm1.bias");
    assert_eq!(find("resnet26t", Naming::Timm, "stem.norm2.bias"), "bn1.bias");
    assert_eq!(find("wrn_16_4", Naming::Cifar, "head.norm.bias"), "bn.bias");
    assert_eq!(find("wrn_16_4", Naming::Sequential, "head.linear.bias"), "head.4.bias");
    assert_eq!(
        find("seresnet18", Naming::Sequential, "stage1.block0.se.expand.bias"),
        "stage1.0.residual.5.fc2.bias"
    );
}

#[test]
fn only_timms_preactivation_head_is_stored_otherwise() {
    let spec = family("resnetv2_50").unwrap();
    let shape = |naming| names(&spec, naming).into_iter().rev().nth(1).unwrap().shape;
    assert_eq!(shape(Naming::Timm), [1000, 2048, 1, 1]);
    assert_eq!(shape(Naming::Torchvision), [1000, 2048]);
}
