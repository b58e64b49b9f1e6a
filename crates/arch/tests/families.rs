//! The families against what is published, and against PyTorch's counts (`expected/`).

use residual_arch::families::{PATTERNS, all, family};
use residual_arch::shape::{block_flow, flow};
use residual_arch::{
    Attention, BlockKind, BlockSpec, Naming, NetSpec, Order, Preprocess, Resize, Role, Shortcut, blocks,
    names::names, tensors,
};

fn network(name: &str) -> NetSpec {
    family(name).unwrap()
}

fn parameters(name: &str) -> u64 {
    let spec = network(name);
    let counted = flow(&spec, spec.input).unwrap().parameters;
    let listed: u64 = tensors(&spec).iter().filter(|t| t.role.is_parameter()).map(|t| t.elements()).sum();
    assert_eq!(counted, listed, "{name}");
    counted
}

fn macs(name: &str) -> u64 {
    let spec = network(name);
    flow(&spec, spec.input).unwrap().macs
}

#[test]
fn parameters_are_the_published_ones() {
    let published = [
        ("small", 696_618),
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
        ("resnext50_32x4d", 25_028_904),
        ("resnext101_32x8d", 88_791_336),
        ("resnext101_64x4d", 83_455_272),
        ("wide_resnet50_2", 68_883_240),
        ("wide_resnet101_2", 126_886_696),
        ("cifar_resnet20", 269_722),
        ("cifar_resnet20_b", 272_474),
        ("cifar_resnet110", 1_727_962),
        ("cifar_resnet1202", 19_421_274),
        ("cifar_plain20", 269_722),
        ("cifar_preact1001", 10_327_706),
        ("wrn_28_10", 36_479_194),
    ];
    for (name, count) in published {
        assert_eq!(parameters(name), count, "{name}");
    }
}

/// timm publishes millions with two decimals.
#[test]
fn parameters_are_timms() {
    let published = [
        ("resnet26t", 16.01),
        ("resnet26d", 16.01),
        ("resnet34d", 21.82),
        ("resnet50d", 25.58),
        ("resnet101d", 44.57),
        ("resnet152d", 60.21),
        ("seresnet18", 11.78),
        ("seresnet34", 21.96),
        ("seresnet50", 28.09),
        ("seresnet101", 49.33),
        ("seresnet152", 66.82),
        ("resnetv2_50", 25.55),
        ("resnetv2_50d", 25.57),
        ("resnetv2_101", 44.54),
        ("resnetv2_152", 60.19),
    ];
    for (name, millions) in published {
        let count = parameters(name) as f64 / 1e6;
        assert!((count - millions).abs() <= 0.005, "{name}: {count}");
    }
}

/// timm's own counts, of networks whose attention a rounded number would not show.
#[test]
fn parameters_of_attention_are_timms_to_the_last() {
    let counts = [
        ("ecaresnet26t", 16_011_916),
        ("ecaresnet50t", 25_573_814),
        ("ecaresnet50d", 25_576_350),
        ("ecaresnet101d", 44_568_563),
        ("ecaresnet200d", 64_693_400),
        ("ecaresnet269d", 102_093_077),
        ("ecaresnetlight", 30_162_046),
        ("ecaresnext26t_32x4d", 15_406_220),
        ("ecaresnext50t_32x4d", 25_045_686),
        ("seresnetaa50d", 28_107_256),
        ("seresnextaa101d_32x8d", 93_588_280),
        ("seresnextaa201d_32x8d", 149_394_904),
    ];
    for (name, count) in counts {
        assert_eq!(parameters(name), count, "{name}");
    }
}

/// Every network of `expected/published.txt` that is a family, by its numbers of parameters and of tensors; a state
/// dict has a counter of batches beside every running mean.
#[test]
fn every_published_network_is_a_family_or_says_why_not() {
    let table = include_str!("expected/published.txt").lines().filter(|line| !line.starts_with('#'));
    let rows = table.map(|line| line.split(' ').collect::<Vec<_>>());
    let mut refused = Vec::new();
    for row in rows {
        let [name, count, entries] = row[..] else { panic!("{row:?}") };
        let spec = match family(name) {
            Ok(spec) => spec,
            Err(error) => {
                refused.push(error.to_string());
                continue;
            }
        };
        assert_eq!(parameters(name).to_string(), count, "{name}");
        let listed = tensors(&spec);
        let counters = listed.iter().filter(|tensor| tensor.role == Role::RunningMean).count();
        assert_eq!((listed.len() + counters).to_string(), entries, "{name}");
        assert!(all().contains(&name), "{name}");
    }
    let reason = |name: &str, norm: &str| {
        format!(
            "`{name}` is not supported: its normalisation is {norm}, expected batch or group normalisation; did you \
             mean `resnetv2_50d_gn` or `resnetv2_50d`?"
        )
    };
    let expected =
        [reason("resnetv2_50d_evos", "EvoNorm"), reason("resnetv2_50d_frn", "filter response normalisation")];
    assert_eq!(refused, expected);
    assert!(family("timm_resnetv2_50d_frn").unwrap_err().published);
}

/// kuangliu's `pytorch-cifar` prints these.
#[test]
fn cifar_stem_networks_have_the_parameters_of_the_copied_code() {
    let counts = [
        ("cifar_stem_resnet18", 11_173_962),
        ("cifar_stem_resnet34", 21_282_122),
        ("cifar_stem_resnet50", 23_520_842),
        ("cifar_stem_resnet101", 42_512_970),
        ("cifar_stem_resnet152", 58_156_618),
        ("cifar_stem_preact18", 11_171_146),
        ("cifar_stem_senet18", 11_260_354),
    ];
    for (name, count) in counts {
        assert_eq!(parameters(name), count, "{name}");
    }
    assert_eq!(network("resnet18_cifar"), network("cifar_stem_resnet18"));
    let names: Vec<_> =
        names(&network("cifar_stem_senet18"), Naming::Cifar).into_iter().map(|t| t.name).collect();
    for name in ["bn1.weight", "layer1.0.fc1.weight", "layer2.0.shortcut.0.weight", "linear.bias"] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    assert_eq!(network("cifar_seresnet20").stages[2].blocks[0].attention, Some(Attention::squeeze_excite(4)));
}

/// A filter has no parameters, and the convolution before it computes as many times more as the stride says.
#[test]
fn anti_aliased_networks_have_the_parameters_of_the_others() {
    let pairs = [
        ("resnetblur18", "resnet18"),
        ("resnetblur50", "resnet50"),
        ("resnetblur50d", "resnet50d"),
        ("resnetblur101d", "resnet101d"),
        ("resnetaa34d", "resnet34d"),
        ("resnetaa50", "resnet50"),
        ("resnetaa50d", "resnet50d"),
        ("resnetaa101d", "resnet101d"),
    ];
    for (filtered, strided) in pairs {
        assert_eq!(parameters(filtered), parameters(strided), "{filtered}");
        let macs = |name: &str| flow(&network(name), [3, 224, 224]).unwrap().macs;
        assert!(macs(filtered) > macs(strided), "{filtered}");
    }
}

/// The same blocks under another stem: the difference is the stem's alone.
#[test]
fn deep_and_tiered_stems_differ_from_the_plain_one_by_their_own_weights() {
    let deep = 9 * (3 * 32 + 32 * 32 + 32 * 64) + 2 * (32 + 32 + 64);
    let tiered = 9 * (3 * 24 + 24 * 32 + 32 * 64) + 2 * (24 + 32 + 64);
    let plain = 49 * 3 * 64 + 2 * 64;
    for depth in ["34", "50", "101", "152"] {
        let with = parameters(&format!("resnet{depth}d"));
        assert_eq!(with - deep, parameters(&format!("resnet{depth}")) - plain);
    }
    assert_eq!(parameters("resnet26d") - deep, parameters("resnet26t") - tiered);
}

#[test]
fn operations_are_the_published_ones() {
    let published =
        [("resnet18", 1.814e9), ("resnet34", 3.664e9), ("resnet50", 4.089e9), ("small", 105_743_616.0)];
    for (name, count) in published {
        let relative = macs(name) as f64 / count - 1.0;
        assert!(relative.abs() < 5e-4, "{name}: {}", macs(name));
    }
}

/// The four counts at the top of a file of `expected/`: input, output, parameters, MACs.
fn expected(text: &str) -> (Vec<usize>, Vec<usize>, u64, u64) {
    let field = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key}"))
    };
    let shape = |key| field(key).split('x').map(|side| side.parse().unwrap()).collect();
    let count = |key| field(key).parse().unwrap();
    (shape("input "), shape("output "), count("parameters "), count("macs "))
}

macro_rules! golden {
    ($($name:literal),*) => {
        [$(($name, expected(include_str!(concat!("expected/", $name, ".txt"))))),*]
    };
}

#[test]
fn networks_count_as_pytorch_does() {
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
    for (name, (input, output, parameters, macs)) in golden {
        let flow = flow(&network(name), [input[1], input[2], input[3]]).unwrap();
        assert_eq!((flow.parameters, flow.macs), (parameters, macs), "{name}");
        assert_eq!(flow.output, [output[1], 1, 1], "{name}");
    }
}

#[test]
fn blocks_count_as_pytorch_does() {
    let golden = golden![
        "basic_block_32",
        "projection_block_32_64_s2",
        "bottleneck_64_32_128_s2",
        "bottleneck_128_32_128_s1",
        "preact_block_32"
    ];
    for (name, (input, output, parameters, macs)) in golden {
        let (block, channels) = blocks::from_name(name).unwrap();
        assert_eq!(channels, input[1], "{name}");
        let row = block_flow(&block, [input[1], input[2], input[3]]).unwrap();
        assert_eq!((row.parameters, row.macs), (parameters, macs), "{name}");
        assert_eq!(row.output[..], output[1..], "{name}");
    }
}

#[test]
fn every_name_is_a_network_that_flows() {
    let names = all();
    for name in &names {
        let spec = network(name);
        assert_eq!(spec.name, *name);
        let classes = if spec.input == [3, 32, 32] { 10 } else { 1000 };
        assert_eq!(flow(&spec, spec.input).unwrap().output, [classes, 1, 1], "{name}");
        assert!(spec.blocks().all(|(_, block)| !block.zero_init));
    }
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
}

#[test]
fn basic_or_bottleneck() {
    let kind = |name| network(name).stages[0].blocks[0].kind;
    let basic =
        ["cifar_preact20", "cifar_preact56", "cifar_preact110", "cifar_preact164_basic", "cifar_preact8"];
    for name in basic {
        assert_eq!(kind(name), BlockKind::Basic, "{name}");
    }
    let bottleneck = [
        "cifar_preact11",
        "cifar_preact29",
        "cifar_preact164",
        "cifar_preact1001",
        "cifar_preact20_bottleneck",
    ];
    for name in bottleneck {
        assert_eq!(kind(name), BlockKind::Bottleneck, "{name}");
    }
    // Above 110, a depth that bottlenecks do not fit stays basic.
    assert_eq!(kind("cifar_preact116"), BlockKind::Basic);
    assert_eq!(network("cifar_preact164").depth_in_blocks(), 3 * 18);
}

#[test]
fn cifar_families_have_their_own_shortcuts() {
    let second = |name| network(name).stages[1].blocks[0].shortcut;
    assert_eq!(second("cifar_resnet20"), Shortcut::ZeroPad { channels: 32, stride: 2 });
    assert_eq!(second("cifar_resnet20_b"), Shortcut::projection(32, 2));
    assert_eq!(second("cifar_plain20"), Shortcut::None);
    assert!(network("cifar_plain20").blocks().all(|(_, block)| block.is_plain()));
    assert_eq!(second("wrn_16_4"), Shortcut::projection(128, 2));
    assert_eq!(network("wrn_16_1").stages[0].blocks[0].shortcut, Shortcut::Identity);
}

#[test]
fn blocks_are_torchvisions_and_timms() {
    let block = |name: &str, stage: usize, index: usize| network(name).stages[stage].blocks[index];
    assert_eq!(block("resnet18", 1, 0), BlockSpec::projection(128, 2));
    assert_eq!(block("resnet50", 0, 0), BlockSpec::bottleneck(64, 64, 256, 1));
    assert_eq!(
        block("resnext50_32x4d", 1, 1),
        BlockSpec::bottleneck(512, 256, 512, 1).with(|block| block.groups = 32)
    );
    assert_eq!(block("resnext101_64x4d", 0, 1).width, 256);
    assert_eq!(block("wide_resnet50_2", 3, 1).width, 1024);
    let reduced: Vec<_> = (0..4).map(|stage| block("seresnet18", stage, 0).attention).collect();
    assert_eq!(reduced, [8, 8, 16, 32].map(|reduced| Some(Attention::squeeze_excite(reduced))));
    let pooled = Shortcut::pooled_projection(256, 1);
    assert_eq!(block("resnet50d", 0, 0).shortcut, pooled);
    assert_eq!(block("resnet34d", 0, 0).shortcut, Shortcut::Identity);
    assert_eq!(block("resnetv2_50d", 0, 0).shortcut, pooled);
    assert_eq!(block("resnetv2_50", 0, 0).order, Order::PreActivation);
}

#[test]
fn aliases() {
    assert_eq!(network("small_resnet"), network("small"));
    assert_eq!(network("timm_resnet50d"), network("resnet50d"));
    // Of the same layers; each library has names and a preprocessing of its own.
    let (timm, torchvision) = (network("timm_resnet50"), network("resnet50"));
    assert_eq!(tensors(&timm), tensors(&torchvision));
    assert_eq!((timm.naming, torchvision.naming), (Naming::Timm, Naming::Torchvision));
}

#[test]
fn unknown_names_are_answered_with_near_ones() {
    let near = |name: &str| family(name).unwrap_err().suggestions;
    let cases = [
        ("resnet51", "resnet50"),
        ("ResNet-50", "resnet50"),
        ("smal", "small"),
        ("resnet50v2", "resnetv2_50"),
        ("resnext50", "resnext50_32x4d"),
        ("timm_seresnet5", "seresnet50"),
        ("wrn28_10", "wrn_28_10"),
        ("cifar_resnet_20", "cifar_resnet20"),
        ("cifar_resnet21", "cifar_resnet20"),
        ("cifar_resnet18", "cifar_resnet20"),
        ("cifar_resnet21", "cifar_resnet26"),
        ("cifar_resnet21_b", "cifar_resnet20_b"),
        ("cifar_resnet2", "cifar_resnet8"),
        ("cifar_plain9", "cifar_plain8"),
        ("cifar_preact13", "cifar_preact11"),
        ("cifar_preact13", "cifar_preact14"),
        ("cifar_preact21_basic", "cifar_preact20_basic"),
        ("wrn_29_10", "wrn_28_10"),
        ("wrn_4_1", "wrn_10_1"),
    ];
    for (wrong, right) in cases {
        assert!(near(wrong).contains(&right.to_string()), "{wrong}: {:?}", near(wrong));
    }
    for name in ["cifar_resnet21", "cifar_preact13", "wrn_29_10", "cifar_plain9"] {
        assert!(near(name).iter().all(|name| family(name).is_ok()), "{name}");
    }
    let message = family("wrn_29_10").unwrap_err().to_string();
    assert!(message.contains("`wrn_29_10`") && message.contains("6n + 4") && message.contains("`wrn_34_10`"));
    let message = family("vgg").unwrap_err().to_string();
    assert!(PATTERNS.iter().all(|pattern| message.contains(pattern)), "{message}");
}

#[test]
fn hostile_names_are_refused() {
    let digits = "9".repeat(5000);
    let names = [
        String::new(),
        "cifar_resnet".into(),
        "cifar_resnet020".into(),
        "cifar_resnet+20".into(),
        "cifar_resnet-4".into(),
        format!("cifar_resnet{digits}"),
        format!("cifar_plain{digits}"),
        format!("cifar_preact{digits}"),
        format!("cifar_preact{digits}_bottleneck"),
        format!("wrn_28_{digits}"),
        format!("wrn_{digits}_1"),
        "wrn_28_0".into(),
        "wrn_28_10_4".into(),
        "cifar_resnet300002".into(),
        "timm_cifar_resnet20".into(),
        "x".repeat(100_000),
        "résnet50".repeat(30),
    ];
    for name in names {
        let error = family(&name).unwrap_err();
        assert!(error.suggestions.iter().all(|name| family(name).is_ok()));
    }
}

#[test]
fn the_deepest_and_widest_names_flow_or_say_why_not() {
    assert!(flow(&network("wrn_28_10000"), [3, 32, 32]).is_ok());
    assert_eq!(network("cifar_preact1001").depth_in_blocks(), 333);
    assert_eq!(network("cifar_resnet60002").depth_in_blocks(), 30_000);
}

#[test]
fn classes_and_input_can_be_set() {
    let spec = network("resnet18").with_classes(7).with_input([3, 160, 160]);
    assert_eq!(flow(&spec, spec.input).unwrap().output, [7, 1, 1]);
    assert_eq!(spec.preprocess, Preprocess::imagenet(183, 160));
    let grey = network("small").with_input([1, 28, 28]);
    assert_eq!(flow(&grey, grey.input).unwrap().rows[0].output, [32, 28, 28]);
    assert_eq!((grey.preprocess.mean.len(), grey.preprocess.std.len()), (1, 1));
    assert_eq!(grey.preprocess.resize, None);
    let back = grey.with_input([3, 32, 32]);
    assert_eq!(back.preprocess.mean.len(), 3);

    let exact = |resize, crop| {
        Preprocess::normalise_only()
            .with(|preprocess| (preprocess.resize, preprocess.crop) = (Some(resize), crop))
    };
    let moved = exact(Resize::Exact([40, 80]), Some([20, 40])).with_input([3, 10, 60]);
    assert_eq!((moved.resize, moved.crop), (Some(Resize::Exact([20, 120])), Some([10, 60])));
    let moved = exact(Resize::Exact([40, 80]), None).with_input([3, 10, 60]);
    assert_eq!(moved.resize, Some(Resize::Exact([10, 60])));
    let moved = exact(Resize::ShorterSide(256), Some([224, 224])).with_input([3, 224, 448]);
    assert_eq!((moved.resize, moved.crop), (Some(Resize::Cover([256, 512])), Some([224, 448])));
    // No panic on sizes that mean nothing.
    exact(Resize::ShorterSide(usize::MAX), Some([0, 0])).with_input([3, usize::MAX, usize::MAX]);
}
