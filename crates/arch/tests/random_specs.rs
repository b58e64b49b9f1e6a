//! Random specifications, sound and unsound: nothing panics, nothing is lost in a file, and what the
//! shape check counts is what the list of layers and the list of tensors hold.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use residual_arch::names::names;
use residual_arch::shape::{block_flow, flow};
use residual_arch::{
    AntiAlias, Attention, BlockKind, BlockSpec, ConvKind, Fill, HeadSpec, Interpolation, Layer, LayerOp,
    LayerPath, MaxPool, Naming, NetSpec, Network, NormKind, Order, Place, Preprocess, Resize, Shortcut,
    Source, StageSpec, StemConv, StemSpec, TensorPath, block_tensors, tensors,
};

/// Mostly sizes that make sense, at times one that does not.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 1usize..9,
        4 => (0u32..8).prop_map(|power| 1 << power),
        1 => Just(0),
        1 => prop_oneof![Just(usize::MAX), Just(1 << 32), Just(16_777_217), any::<usize>()],
    ]
}

fn shortcut() -> impl Strategy<Value = Shortcut> {
    prop_oneof![
        Just(Shortcut::None),
        Just(Shortcut::Identity),
        (size(), size(), any::<bool>(), prop_oneof![4 => Just(1), 1 => size()]).prop_map(
            |(channels, stride, average_pool, kernel)| {
                Shortcut::Projection { channels, stride, average_pool, kernel }
            }
        ),
        (size(), size()).prop_map(|(channels, stride)| Shortcut::ZeroPad { channels, stride }),
    ]
}

fn kinds() -> impl Strategy<Value = (ConvKind, NormKind)> {
    let conv = prop_oneof![4 => Just(ConvKind::Plain), 1 => Just(ConvKind::Standardised)];
    (conv, prop_oneof![4 => Just(NormKind::Batch), 1 => size().prop_map(NormKind::group)])
}

fn anti_alias() -> impl Strategy<Value = AntiAlias> {
    prop_oneof![Just(AntiAlias::Blur), Just(AntiAlias::Average)]
}

fn attention() -> impl Strategy<Value = Attention> {
    prop_oneof![
        size().prop_map(Attention::squeeze_excite),
        size().prop_map(|kernel| Attention::Efficient { kernel }),
    ]
}

fn sound_attention() -> impl Strategy<Value = Attention> {
    prop_oneof![
        (1usize..5).prop_map(Attention::squeeze_excite),
        (0usize..4).prop_map(|half| Attention::Efficient { kernel: 2 * half + 1 }),
    ]
}

fn block() -> impl Strategy<Value = BlockSpec> {
    let kind = prop_oneof![Just(BlockKind::Basic), Just(BlockKind::Bottleneck)];
    let order = prop_oneof![Just(Order::PostActivation), Just(Order::PreActivation)];
    let sizes = (size(), size(), size(), size());
    let options = (option::of(attention()), option::of(anti_alias()), option::of(size()), kinds());
    let flags = (any::<bool>(), any::<bool>());
    (kind, order, sizes, options, flags, shortcut()).prop_map(
        |(
            kind,
            order,
            (channels, width, stride, groups),
            (attention, anti_alias, first_width, (conv, norm)),
            (zero_init, stride_first),
            shortcut,
        )| {
            BlockSpec::basic(channels).with(|block| {
                block.kind = kind;
                block.order = order;
                block.width = width;
                block.first_width = first_width;
                (block.conv, block.norm) = (conv, norm);
                (block.stride, block.stride_first) = (stride, stride_first);
                block.anti_alias = anti_alias;
                block.groups = groups;
                block.attention = attention;
                block.zero_init = zero_init;
                block.shortcut = shortcut;
            })
        },
    )
}

/// Blocks that fit one another, so that whole networks pass the check.
fn sound_block() -> impl Strategy<Value = (usize, usize, bool, bool, bool, Option<Attention>)> {
    (1usize..5, 1usize..4, any::<bool>(), any::<bool>(), any::<bool>(), option::of(sound_attention()))
}

fn stem() -> impl Strategy<Value = StemSpec> {
    let conv = (size(), size(), size(), size()).prop_map(|(channels, kernel, stride, padding)| {
        StemConv::same(channels, kernel, stride).with(|conv| conv.padding = padding)
    });
    let pool = (size(), size(), size(), any::<bool>()).prop_map(|(kernel, stride, padding, zeros)| MaxPool {
        kernel,
        stride,
        padding,
        zeros,
    });
    (vec(conv, 0..4), any::<bool>(), option::of(pool), option::of(anti_alias()), kinds()).prop_map(
        |(convs, bare, pool, anti_alias, (conv, norm))| {
            StemSpec::new(convs).with(|stem| {
                stem.bare = bare;
                stem.pool = pool;
                stem.anti_alias = anti_alias;
                (stem.conv, stem.norm) = (conv, norm);
            })
        },
    )
}

fn preprocess() -> impl Strategy<Value = Preprocess> {
    let resize = prop_oneof![
        size().prop_map(Resize::ShorterSide),
        (size(), size()).prop_map(|(height, width)| Resize::Exact([height, width])),
        (size(), size()).prop_map(|(height, width)| Resize::Cover([height, width])),
        (size(), size()).prop_map(|(height, width)| Resize::Within([height, width])),
    ];
    let crop = (size(), size()).prop_map(|(height, width)| [height, width]);
    let interpolation = prop_oneof![Just(Interpolation::Bilinear), Just(Interpolation::Bicubic)];
    (option::of(resize), interpolation, option::of(crop), vec(-2f32..2.0, 0..4), vec(-1f32..2.0, 0..4))
        .prop_map(|(resize, interpolation, crop, mean, std)| {
            Preprocess::normalise_only().with(|preprocess| {
                preprocess.resize = resize;
                preprocess.interpolation = interpolation;
                preprocess.crop = crop;
                preprocess.fill = Fill::Mean;
                preprocess.mean = mean;
                preprocess.std = std;
            })
        })
}

fn naming() -> impl Strategy<Value = Naming> {
    prop_oneof![Just(Naming::Torchvision), Just(Naming::Timm), Just(Naming::Cifar), Just(Naming::Sequential)]
}

fn network() -> impl Strategy<Value = NetSpec> {
    let stages = vec(vec(block(), 0..4).prop_map(StageSpec::new), 0..4);
    let head = (size(), any::<bool>(), -1.0..2.0, kinds()).prop_map(|(classes, norm, dropout, (_, kind))| {
        HeadSpec::new(classes).with(|head| (head.norm, head.norm_kind, head.dropout) = (norm, kind, dropout))
    });
    let input = [size(), size(), size()];
    (".*", naming(), input, stem(), stages, head, -1.0..2.0, preprocess()).prop_map(
        |(name, naming, input, stem, stages, head, stochastic_depth, preprocess)| {
            NetSpec::new(name, input, stem, stages, head).with(|net| {
                net.naming = naming;
                net.stochastic_depth = stochastic_depth;
                net.preprocess = preprocess;
            })
        },
    )
}

fn sound_network() -> impl Strategy<Value = NetSpec> {
    let stages = vec(vec(sound_block(), 0..4), 0..4);
    (naming(), stages, any::<bool>(), any::<bool>(), vec(1usize..9, 1..4)).prop_map(
        |(naming, stages, bare, norm, widths)| {
            let convs: Vec<_> = widths.iter().map(|&channels| StemConv::same(channels, 3, 1)).collect();
            let stem = StemSpec::new(convs).with(|stem| {
                stem.bare = bare;
                stem.pool = Some(MaxPool::HALVING);
                stem.anti_alias = Some(AntiAlias::Blur);
            });
            let mut channels = stem.channels();
            let stages = stages.into_iter().map(|blocks| {
                StageSpec::new(
                    blocks
                        .into_iter()
                        .map(|(quarter, stride, bottleneck, before, pool, attention)| {
                            let mut block = BlockSpec::bottleneck(channels, quarter, 4 * quarter, stride);
                            if !bottleneck {
                                block.kind = BlockKind::Basic;
                            }
                            if before {
                                block = block.preactivation();
                            }
                            if let Shortcut::Projection { average_pool, .. } = &mut block.shortcut {
                                *average_pool = pool;
                            }
                            channels = block.channels;
                            block.with(|block| {
                                block.attention = attention;
                                // Groups that divide all channels of these blocks.
                                if pool && before {
                                    (block.norm, block.conv) = (NormKind::group(1), ConvKind::Standardised);
                                    block.first_width = Some(quarter + 1);
                                }
                            })
                        })
                        .collect(),
                )
            });
            NetSpec::new(
                "sound",
                [3, 20, 17],
                stem,
                stages.collect(),
                HeadSpec::new(5).with(|head| head.norm = norm),
            )
            .with(|net| {
                net.naming = naming;
                net.stochastic_depth = 0.2;
            })
        },
    )
}

/// Holds for any network: what passes the check has the parameters that are listed, no name twice, and
/// the same value after a file.
fn check(spec: &NetSpec) -> Result<(), TestCaseError> {
    let listed = tensors(spec);
    let sum = listed
        .iter()
        .filter(|tensor| tensor.role.is_parameter())
        .try_fold(0u64, |sum, tensor| sum.checked_add(tensor.elements()));
    if let Ok(network) = spec.check(spec.input) {
        let flow = flow(spec, spec.input).unwrap();
        prop_assert_eq!(&flow, &network.flow());
        prop_assert_eq!(Some(flow.parameters), sum);
        prop_assert_eq!(flow.macs, flow.rows.iter().map(|row| row.macs).sum::<u64>());
        prop_assert_eq!((network.parameters(), network.macs()), (flow.parameters, flow.macs));
        prop_assert_eq!(flow.rows.len(), spec.depth_in_blocks() + 2);
        let paths: Vec<_> = network.tensors().map(|(path, _)| path.to_string()).collect();
        prop_assert!(paths.iter().eq(listed.iter().map(|tensor| &tensor.path)));
        check_network(&network)?;
    }
    for naming in [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential] {
        let named = names(spec, naming);
        let different: HashSet<_> = named.iter().map(|tensor| &tensor.name).collect();
        prop_assert_eq!(different.len(), listed.len());
        prop_assert!(named.iter().zip(&listed).all(|(named, listed)| named.path == listed.path));
    }
    let toml = spec.to_toml().unwrap();
    prop_assert_eq!(&NetSpec::from_toml(&toml).unwrap(), spec, "{}", toml);
    prop_assert_eq!(&NetSpec::from_json(&spec.to_json().unwrap()).unwrap(), spec);
    Ok(())
}

/// Holds for every checked network: its parts are its layers, and each layer is found at its path.
fn check_network(network: &Network) -> Result<(), TestCaseError> {
    check_layers(network.layers(), network.input())?;
    let spec = network.spec();
    let finest = spec.places().into_iter().filter(|place| !matches!(place, Place::Stage(_)));
    let parts: Vec<_> = finest.flat_map(|place| network.layers_of(place)).cloned().collect();
    prop_assert_eq!(&parts[..], network.layers());
    for place in spec.places() {
        prop_assert_eq!(place.to_string().parse(), Ok(place));
        let inside: Vec<_> =
            network.layers().iter().filter(|layer| place.contains(layer.path())).cloned().collect();
        prop_assert_eq!(&inside[..], network.layers_of(place));
    }
    for layer in network.layers() {
        prop_assert_eq!(network.find(layer.path()), Some(layer));
    }
    let blocks = network.blocks().map(|(path, block, layers)| (path, *block, layers[0].path().place()));
    let expected = spec.blocks().map(|(path, block)| (path, *block, Some(Place::Block(path))));
    prop_assert!(blocks.eq(expected));
    Ok(())
}

/// Holds for every list of layers: each reads what stands before it, shapes chain, paths are texts and back,
/// and no path stands for two layers.
fn check_layers(layers: &[Layer], input: [usize; 3]) -> Result<(), TestCaseError> {
    let mut paths = HashSet::new();
    let mut read = vec![false; layers.len()];
    for (index, layer) in layers.iter().enumerate() {
        for source in layer.reads().sources() {
            let shape = match source {
                Source::Input => input,
                Source::Layer(id) => {
                    prop_assert!(id.index() < index, "{} reads what comes later", layer.path());
                    read[id.index()] = true;
                    layers[id.index()].output()
                }
            };
            prop_assert_eq!(shape, layer.input(), "{}", layer.path());
        }
        prop_assert_eq!(layer.reads().second().is_some(), *layer.op() == LayerOp::Add);
        prop_assert!(!layer.output().contains(&0));
        prop_assert!(paths.insert(layer.path()));
        prop_assert_eq!(layer.path().to_string().parse::<LayerPath>(), Ok(layer.path()));
        for tensor in layer.tensors() {
            let path = layer.path().tensor(tensor.field);
            prop_assert_eq!(path.to_string().parse::<TensorPath>(), Ok(path));
        }
    }
    // Every map is read, but for the last, which is the output.
    prop_assert!(read.iter().rev().skip(1).all(|&read| read));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_network(spec in network(), input in [size(), size(), size()]) {
        check(&spec)?;
        if let Ok(network) = spec.check(input) {
            check_network(&network)?;
        }
        spec.with_input(input);
    }

    #[test]
    fn sound_networks_pass(spec in sound_network()) {
        let flow = flow(&spec, spec.input);
        prop_assert!(flow.is_ok(), "{:?}", flow);
        check(&spec)?;
    }

    #[test]
    fn any_block(block in block(), input in [size(), size(), size()]) {
        if let Ok(row) = block_flow(&block, input) {
            let parameters = block_tensors(&block, input[0]).into_iter().filter(|t| t.role.is_parameter());
            prop_assert_eq!(row.parameters, parameters.map(|t| t.elements()).sum::<u64>());
            prop_assert_eq!(row.output[0], block.channels);
            let checked = block.check(input).unwrap();
            prop_assert_eq!(checked.output(), row.output);
            check_layers(checked.layers(), input)?;
        }
    }
}
