//! The list of layers of a checked network, and paths.

use residual_arch::families::{all, family};
use residual_arch::{
    Activation, AntiAlias, Attention, AveragePool, BlockPath, BlockSpec, BlurPool, EfficientAttention, Field,
    Layer, LayerOp, LayerPath, MaxPool, Naming, NetSpec, Norm, Order, Place, Shortcut, Source, SqueezeExcite,
    StemConv, TensorPath, ZeroPad, blocks,
};

fn paths(layers: &[Layer]) -> Vec<String> {
    layers.iter().map(|layer| layer.path().to_string()).collect()
}

/// `path < what it reads`, with the path of the block or network left out.
fn wiring(spec: &BlockSpec, input: [usize; 3]) -> Vec<String> {
    let checked = spec.check(input).unwrap();
    let name = |source| match source {
        Source::Input => "x".to_string(),
        Source::Layer(id) => checked.layers()[id.index()].path().to_string(),
    };
    let line = |layer: &Layer| {
        let reads: Vec<_> = layer.reads().sources().map(name).collect();
        format!("{} < {}", layer.path(), reads.join(" + "))
    };
    checked.layers().iter().map(line).collect()
}

#[test]
fn layers_of_a_post_activation_block() {
    let lines = [
        "conv1 < x",
        "norm1 < conv1",
        "act1 < norm1",
        "conv2 < act1",
        "norm2 < conv2",
        "shortcut.conv < x",
        "shortcut.norm < shortcut.conv",
        "add < norm2 + shortcut.norm",
        "act < add",
    ];
    assert_eq!(wiring(&BlockSpec::projection(64, 2), [32, 8, 8]), lines);
    let plain =
        ["conv1 < x", "norm1 < conv1", "act1 < norm1", "conv2 < act1", "norm2 < conv2", "act < norm2"];
    assert_eq!(wiring(&BlockSpec::basic(32).plain(), [32, 8, 8]), plain);
    let identity = wiring(&BlockSpec::basic(32), [32, 8, 8]);
    assert_eq!(identity[5..], ["add < norm2 + x", "act < add"]);
}

/// He et al. 2016: an identity reads the block's input, a shortcut that changes the shape what the first BN and
/// ReLU make of it; nothing stands behind the addition.
#[test]
fn layers_of_a_preactivation_block() {
    let (block, _) = blocks::from_name("preact_block_32").unwrap();
    let lines = [
        "norm1 < x",
        "act1 < norm1",
        "conv1 < act1",
        "norm2 < conv1",
        "act2 < norm2",
        "conv2 < act2",
        "add < conv2 + x",
    ];
    assert_eq!(wiring(&block, [32, 8, 8]), lines);
    let pooled = BlockSpec::projection(64, 2).preactivation().with(|block| {
        block.attention = Some(Attention::squeeze_excite(4));
        block.shortcut = Shortcut::pooled_projection(64, 2);
    });
    let lines = wiring(&pooled, [32, 8, 8]);
    let end =
        ["se < conv2", "shortcut.pool < act1", "shortcut.conv < shortcut.pool", "add < se + shortcut.conv"];
    assert_eq!(lines[6..], end);
}

#[test]
fn a_filter_stands_behind_the_activation_of_what_it_replaces_the_stride_of() {
    let blurred = |order| {
        let block = BlockSpec::bottleneck(8, 4, 16, 2).with(|block| block.anti_alias = Some(AntiAlias::Blur));
        wiring(&block.with(|block| block.order = order), [8, 8, 8])
    };
    let post = blurred(Order::PostActivation);
    assert_eq!(post[4..8], ["norm2 < conv2", "act2 < norm2", "aa < act2", "conv3 < aa"]);
    let pre = blurred(Order::PreActivation);
    assert_eq!(pre[5..9], ["conv2 < act2", "norm3 < conv2", "act3 < norm3", "aa < act3"]);

    let shapes = |name: &str, parts: &[&str]| {
        let spec = family(name).unwrap();
        let network = spec.check(spec.input).unwrap();
        let of = |part: &&str| {
            let layer = network.find(part.parse().unwrap()).unwrap();
            (*layer.op(), layer.output())
        };
        parts.iter().map(of).collect::<Vec<_>>()
    };
    let blur = LayerOp::BlurPool(BlurPool { stride: 2 });
    let pool = LayerOp::MaxPool(MaxPool { stride: 1, ..MaxPool::HALVING });
    assert_eq!(
        shapes("resnetblur50", &["stem.pool", "stem.aa", "stage2.block0.aa"]),
        [(pool, [64, 112, 112]), (blur, [64, 56, 56]), (blur, [128, 28, 28])]
    );
    let average = LayerOp::AveragePool(AveragePool { kernel: 2, stride: 2, overhang: false });
    assert_eq!(
        shapes("resnetaa34d", &["stem.pool", "stage3.block0.aa"]),
        [(average, [64, 56, 56]), (average, [256, 14, 14])]
    );
    let plain = BlockSpec::basic(8).with(|block| block.anti_alias = Some(AntiAlias::Blur));
    assert_eq!(wiring(&plain, [8, 8, 8]), wiring(&BlockSpec::basic(8), [8, 8, 8]));
}

#[test]
fn operations_carry_what_they_need() {
    let find = |spec: &NetSpec, path: &str| {
        let network = spec.check(spec.input).unwrap();
        let layer = network.find(path.parse().unwrap()).unwrap();
        (*layer.op(), layer.input(), layer.output())
    };
    let spec = family("cifar_resnet20").unwrap();
    let pad = ZeroPad { in_channels: 16, out_channels: 32, stride: 2 };
    assert_eq!(
        find(&spec, "stage2.block0.shortcut.pad"),
        (LayerOp::ZeroPad(pad), [16, 32, 32], [32, 16, 16])
    );
    assert_eq!((pad.before(), pad.after()), (8, 8));
    let odd = ZeroPad { in_channels: 4, out_channels: 7, stride: 1 };
    assert_eq!((odd.before(), odd.after()), (1, 2));

    let spec = family("seresnet50").unwrap();
    let squeeze = LayerOp::SqueezeExcite(SqueezeExcite { channels: 256, reduced: 16 });
    assert_eq!(find(&spec, "stage1.block0.se"), (squeeze, [256, 56, 56], [256, 56, 56]));

    let spec = family("ecaresnet26t").unwrap();
    let efficient = |channels, kernel| LayerOp::EfficientAttention(EfficientAttention { channels, kernel });
    assert_eq!(find(&spec, "stage1.block0.eca").0, efficient(256, 5));
    assert_eq!(find(&spec, "stage4.block1.eca").0, efficient(2048, 7));

    let spec = family("resnet50d").unwrap();
    assert_eq!(find(&spec, "stage1.block0.shortcut.pool").0, LayerOp::Identity);
    let pool = (LayerOp::AveragePool(AveragePool::overhanging(2)), [256, 56, 56], [256, 28, 28]);
    assert_eq!(find(&spec, "stage2.block0.shortcut.pool"), pool);

    let mut spec = family("small").unwrap();
    spec.stages[0].blocks[0].zero_init = true;
    let norm = |zero_init| LayerOp::Norm(Norm::Batch { channels: 32, zero_init });
    assert_eq!(find(&spec, "stage1.block0.norm1").0, norm(false));
    assert_eq!(find(&spec, "stage1.block0.norm2").0, norm(true));
    assert_eq!(find(&spec, "stage1.block0.act").0, LayerOp::Activation(Activation::Relu));
    assert_eq!(find(&spec, "head.pool").2, [128, 1, 1]);
    assert_eq!(find(&spec, "head.linear").0, LayerOp::Linear { inputs: 128, outputs: 10 });
}

/// Block `l` of `L` drops its branch with probability `p l / L`; a plain block has nothing left to be dropped.
#[test]
fn randomness_stands_where_it_acts() {
    let mut spec = family("small").unwrap();
    (spec.stochastic_depth, spec.head.dropout) = (0.3, 0.25);
    spec.stages[1].blocks[1].shortcut = Shortcut::None;
    let network = spec.check(spec.input).unwrap();
    let dropped: Vec<_> = network
        .layers()
        .iter()
        .filter_map(|layer| match layer.op() {
            LayerOp::StochasticDepth { probability } => Some((layer.path().to_string(), *probability)),
            _ => None,
        })
        .collect();
    let expected: Vec<_> = [("stage1.block0", 1), ("stage1.block1", 2), ("stage2.block0", 3)]
        .into_iter()
        .chain([("stage3.block0", 5), ("stage3.block1", 6)])
        .map(|(block, l)| (format!("{block}.depth"), 0.3 * f64::from(l) / 6.0))
        .collect();
    assert_eq!(dropped, expected);
    let head = network.layers_of(Place::Head);
    assert_eq!(paths(head), ["head.pool", "head.dropout", "head.linear"]);
    assert_eq!(*head[1].op(), LayerOp::Dropout { probability: 0.25 });
    assert!(head[1].op().is_identity_in_evaluation() && !head[2].op().is_identity_in_evaluation());
    let names = network.file_names(Naming::Sequential);
    assert_eq!(names.last().unwrap().name, "head.2.bias");
}

#[test]
fn parts_are_runs_of_layers() {
    let spec = family("resnetv2_50d").unwrap();
    let network = spec.check(spec.input).unwrap();
    let stem = [
        "stem.conv0",
        "stem.norm0",
        "stem.act0",
        "stem.conv1",
        "stem.norm1",
        "stem.act1",
        "stem.conv2",
        "stem.pool",
    ];
    assert_eq!(paths(network.layers_of(Place::Stem)), stem);
    assert_eq!(paths(network.layers_of(Place::Head)), ["head.norm", "head.act", "head.pool", "head.linear"]);
    let stage = network.layers_of(Place::Stage(4));
    assert_eq!(stage[0].path().to_string(), "stage4.block0.norm1");
    assert_eq!(stage.last().unwrap().path().to_string(), "stage4.block2.add");
    assert_eq!(stage.iter().map(Layer::parameters).sum::<u64>(), 14_958_592);
    for absent in [Place::Stage(0), Place::Stage(5), Place::Stage(usize::MAX)] {
        assert!(network.layers_of(absent).is_empty());
    }
    let block = |stage, block| Place::Block(BlockPath { stage, block });
    for absent in [block(0, 0), block(1, 3), block(5, 0), block(usize::MAX, usize::MAX)] {
        assert!(network.layers_of(absent).is_empty());
    }
    assert_eq!(network.find("stage1.block7.conv1".parse().unwrap()), None);
    assert_eq!(network.find("conv1".parse().unwrap()), None);
}

#[test]
fn places_of_a_network_in_order() {
    let mut spec = family("small").unwrap();
    spec.stages.remove(1);
    let texts: Vec<_> = spec.places().iter().map(Place::to_string).collect();
    let expected = [
        "stem",
        "stage1",
        "stage1.block0",
        "stage1.block1",
        "stage2",
        "stage2.block0",
        "stage2.block1",
        "head",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn every_path_of_every_family_reads_back() {
    for name in all() {
        let spec = family(name).unwrap();
        let network = spec.check(spec.input).unwrap();
        for layer in network.layers() {
            assert_eq!(layer.path().to_string().parse(), Ok(layer.path()), "{name}");
        }
        for (path, _) in network.tensors() {
            assert_eq!(path.to_string().parse(), Ok(path), "{name}");
        }
    }
}

#[test]
fn a_path_has_one_text() {
    let wrong = [
        "",
        ".",
        "stem",
        "stem.",
        "stem.conv",
        "stem.conv-1",
        "stem.conv+1",
        "stem.conv01",
        "stem.conv0.weight",
        "stem.conv\u{0661}",
        "stem.conv99999999999999999999999",
        "stem.shortcut.conv",
        "Stem.conv0",
        " stem.conv0",
        "stage0.block0.conv1",
        "stage1.conv1",
        "stage1.block0",
        "stage1.block0.",
        "stage1.block00.conv1",
        "stage1.block0.conv0",
        "stage1.block0.shortcut",
        "stage1.block0.shortcut.conv1",
        "stage1.block0.shortcut.add",
        "stage1.block0.conv1.conv1",
        "stages.0.blocks.0.conv1",
        "conv0",
        "head.fc",
        "head.linear.",
    ];
    for text in wrong {
        let error = text.parse::<LayerPath>().unwrap_err();
        assert!(error.to_string().contains("is no path of a layer"), "{error}");
    }
    for text in
        ["", "stage", "stage0", "stage01", "stage1.", "stage1.block", "block0", "stem.conv0", "layer1"]
    {
        assert!(text.parse::<Place>().is_err(), "{text}");
    }
    for text in ["weight", ".weight", "conv1", "stem.conv0weight", "stem.conv0.scale", "stem.conv0.weight "] {
        assert!(text.parse::<TensorPath>().is_err(), "{text}");
    }
    for text in ["stage3", "stage3.block0.conv1", "stage3.block-1", "stage3.block0 "] {
        assert!(text.parse::<BlockPath>().is_err(), "{text}");
    }
    assert_eq!("stage3.block0".parse(), Ok(BlockPath { stage: 3, block: 0 }));
    let squeeze: TensorPath = "stage1.block0.se.reduce.bias".parse().unwrap();
    assert_eq!(squeeze.field, Field::ReduceBias);
    assert_eq!(squeeze.layer.to_string(), "stage1.block0.se");
    let huge = format!("stage{}.block{}.conv{}", usize::MAX, usize::MAX, usize::MAX);
    assert_eq!(huge.parse::<LayerPath>().unwrap().to_string(), huge);
}

#[test]
fn places_hold_their_layers() {
    let contains =
        |place: &str, layer: &str| place.parse::<Place>().unwrap().contains(layer.parse().unwrap());
    assert!(contains("stem", "stem.norm0") && contains("head", "head.linear"));
    assert!(contains("stage1", "stage1.block11.conv1") && contains("stage1.block1", "stage1.block1.add"));
    assert!(
        !contains("stage1", "stage11.block1.conv1") && !contains("stage1.block1", "stage1.block11.conv1")
    );
    assert!(!contains("stem", "head.norm") && !contains("stage1", "conv1"));
    let includes = |a: &str, b: &str| a.parse::<Place>().unwrap().includes(b.parse().unwrap());
    assert!(includes("stage1", "stage1.block3") && includes("stage1", "stage1") && includes("stem", "stem"));
    assert!(!includes("stage1.block3", "stage1") && !includes("stage1", "stage2.block3"));
}

/// Strides that no map reaches the end of leave one pixel; they are shapes like any other.
#[test]
fn strides_past_the_map_leave_one_pixel() {
    for stride in [33, 16_777_216, 16_777_217, usize::MAX] {
        let shortcuts = [
            Shortcut::None,
            Shortcut::projection(64, stride),
            Shortcut::pooled_projection(64, stride),
            Shortcut::ZeroPad { channels: 64, stride },
        ];
        for shortcut in shortcuts {
            for order in [BlockSpec::preactivation, |block| block] {
                let block = order(
                    BlockSpec::basic(64).with(|block| (block.shortcut, block.stride) = (shortcut, stride)),
                );
                assert_eq!(block.check([32, 32, 17]).unwrap().output(), [64, 1, 1], "{block} {shortcut}");
            }
        }
        let mut spec = family("small").unwrap();
        spec.stem.convs = vec![StemConv::same(32, 3, stride)];
        let network = spec.check([3, 32, 32]).unwrap();
        assert_eq!(network.layers_of(Place::Stem)[0].output(), [32, 1, 1]);
    }
}
