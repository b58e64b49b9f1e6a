//! The shape check: one test for each way in which a specification can be wrong.

use residual_arch::families::family;
use residual_arch::shape::{Disagreement, ShapeError, block_flow, flow};
use residual_arch::{
    AntiAlias, Attention, BlockSpec, MaxPool, NetSpec, Resize, Shortcut, StemConv, StemSpec,
};

const INPUT: [usize; 3] = [3, 32, 32];

/// `small` with one thing changed.
fn changed(change: impl FnOnce(&mut NetSpec)) -> NetSpec {
    let mut spec = family("small").unwrap();
    change(&mut spec);
    spec
}

fn error(change: impl FnOnce(&mut NetSpec)) -> ShapeError {
    flow(&changed(change), INPUT).unwrap_err()
}

fn message(change: impl FnOnce(&mut NetSpec)) -> String {
    error(change).to_string()
}

fn block(spec: &mut NetSpec, stage: usize, index: usize) -> &mut BlockSpec {
    &mut spec.stages[stage - 1].blocks[index]
}

#[test]
fn rows_of_a_sound_network() {
    let flow = flow(&family("small").unwrap(), INPUT).unwrap();
    let paths: Vec<_> = flow.rows.iter().map(|row| row.path.as_str()).collect();
    let expected = [
        "stem",
        "stage1.block0",
        "stage1.block1",
        "stage2.block0",
        "stage2.block1",
        "stage3.block0",
        "stage3.block1",
        "head",
    ];
    assert_eq!(paths, expected);
    assert_eq!(flow.rows[3].output, [64, 16, 16]);
    assert_eq!(flow.rows[3].shortcut, Some(Shortcut::projection(64, 2)));
    assert_eq!(flow.rows[3].parameters, 9 * 64 * (32 + 64) + 32 * 64 + 6 * 64);
    assert_eq!(flow.rows[3].macs, 256 * (9 * 64 * (32 + 64) + 32 * 64));
    assert_eq!((flow.rows[0].shortcut, flow.rows[7].output), (None, [10, 1, 1]));
    assert_eq!(flow.parameters, flow.rows.iter().map(|row| row.parameters).sum::<u64>());
    assert_eq!(flow.macs, flow.rows.iter().map(|row| row.macs).sum::<u64>());
}

#[test]
fn rows_read_well_and_serialise() {
    let spec = family("resnext50_32x4d").unwrap();
    let flow = flow(&spec, [3, 224, 224]).unwrap();
    assert_eq!(flow.rows[0].description, "7x7 conv 64, stride 2, max pool 3x3, stride 2");
    assert_eq!(flow.rows[4].description, "bottleneck 256-512, stride 2, groups 32");
    assert_eq!(flow.rows[17].description, "average pool, linear 1000");
    let json = serde_json::to_value(&flow).unwrap();
    assert_eq!(json["parameters"], 25_028_904);
    assert_eq!(json["rows"][4]["shortcut"], "projection 512, stride 2");
    assert_eq!(json["rows"][4]["output"], serde_json::json!([512, 28, 28]));
    assert!(json["rows"][0]["shortcut"].is_null());
}

#[test]
fn odd_sides_round_up() {
    for name in ["small", "cifar_resnet20", "resnet50d", "wrn_16_4", "cifar_plain20"] {
        let spec = family(name).unwrap();
        for input in [[3, 33, 47], [3, 7, 1], [3, 1, 1]] {
            assert!(flow(&spec, input).is_ok(), "{name} {input:?}");
        }
    }
    let odd = flow(&family("small").unwrap(), [3, 33, 47]).unwrap();
    assert_eq!(odd.rows[6].output, [128, 9, 12]);
}

#[test]
fn channels_disagree() {
    let found = error(|spec| block(spec, 3, 0).shortcut = Shortcut::projection(64, 2));
    let expected = Disagreement {
        block: Some("stage3.block0".parse().unwrap()),
        stride: 2,
        shortcut: Shortcut::projection(64, 2),
        branch: [128, 8, 8],
        given: [64, 8, 8],
    };
    assert_eq!(found, ShapeError::Channels(Box::new(expected)));
    let text =
        "stage3.block0: branch gives 128x8x8, shortcut gives 64x8x8; help: give the projection 128 channels";
    assert_eq!(found.to_string(), text);
    let text = "stage1.block1: branch gives 48x32x32, shortcut gives 32x32x32; help: use a projection shortcut with stride 1";
    assert_eq!(message(|spec| *block(spec, 1, 1) = BlockSpec::basic(48)), text);
}

#[test]
fn sizes_disagree() {
    let found = error(|spec| block(spec, 2, 0).shortcut = Shortcut::ZeroPad { channels: 64, stride: 4 });
    assert!(matches!(found, ShapeError::Size(_)), "{found:?}");
    let text = "stage2.block0: branch gives 64x16x16, shortcut gives 64x8x8; help: give the zero-pad shortcut stride 2";
    assert_eq!(found.to_string(), text);
    let found = error(|spec| block(spec, 2, 1).shortcut = Shortcut::projection(64, 2));
    assert!(matches!(found, ShapeError::Size(_)), "{found:?}");
    // Only the width tells them apart.
    let spec = changed(|spec| block(spec, 2, 1).shortcut = Shortcut::projection(64, 2));
    assert!(matches!(flow(&spec, [3, 1, 32]).unwrap_err(), ShapeError::Size(_)));
}

#[test]
fn the_shortcut_forgets_the_stride() {
    let found = error(|spec| block(spec, 3, 0).shortcut = Shortcut::projection(128, 1));
    assert!(matches!(found, ShapeError::ForgottenStride(_)), "{found:?}");
    let text =
        "stage3.block0: branch gives 128x8x8, shortcut gives 128x16x16; help: give the projection stride 2";
    assert_eq!(found.to_string(), text);

    let found = error(|spec| block(spec, 3, 0).shortcut = Shortcut::Identity);
    assert!(matches!(found, ShapeError::ForgottenStride(_)), "{found:?}");
    let text = "stage3.block0: branch gives 128x8x8, shortcut gives 64x16x16; help: use a projection shortcut with stride 2";
    assert_eq!(found.to_string(), text);

    // A map of one pixel hides the error from the sizes.
    let spec = changed(|spec| block(spec, 3, 0).shortcut = Shortcut::projection(128, 1));
    assert!(matches!(flow(&spec, [3, 1, 1]).unwrap_err(), ShapeError::ForgottenStride(_)));
}

#[test]
fn a_zero_pad_shortcut_cannot_shrink() {
    let found = error(|spec| {
        *block(spec, 2, 0) =
            BlockSpec::basic(16).with(|block| block.shortcut = Shortcut::ZeroPad { channels: 16, stride: 1 });
    });
    let expected =
        ShapeError::ZeroPadShrinks { block: Some("stage2.block0".parse().unwrap()), from: 32, to: 16 };
    assert_eq!(found, expected);
    assert!(found.to_string().contains("use a projection shortcut"));
}

#[test]
fn the_map_shrinks_to_nothing() {
    let unpadded = StemConv::same(32, 7, 1).with(|conv| conv.padding = 0);
    let spec = changed(|spec| spec.stem.convs[0] = unpadded);
    let found = flow(&spec, [3, 32, 4]).unwrap_err();
    let expected = ShapeError::Vanishes {
        layer: "stem.conv0".parse().unwrap(),
        kernel: 7,
        padding: 0,
        height: 32,
        width: 4,
    };
    assert_eq!(found, expected);
    assert!(
        found.to_string().starts_with("stem.conv0: a 7x7 kernel with padding 0 does not fit a map of 32x4")
    );
    assert_eq!(flow(&spec, [3, 7, 7]).unwrap().rows[0].output, [32, 1, 1]);

    let pool = MaxPool { kernel: 2, padding: 0, ..MaxPool::HALVING };
    let spec = changed(|spec| {
        spec.stem = StemSpec::cifar(1).with(|stem| (stem.convs, stem.pool) = (vec![unpadded], Some(pool)))
    });
    let found = flow(&spec, [3, 7, 7]).unwrap_err();
    assert!(
        matches!(&found, ShapeError::Vanishes { layer, .. } if layer.to_string() == "stem.pool"),
        "{found:?}"
    );
}

#[test]
fn a_pool_padded_past_half_its_kernel() {
    let found = error(|spec| spec.stem.pool = Some(MaxPool { kernel: 2, padding: 2, ..MaxPool::HALVING }));
    assert_eq!(found, ShapeError::PoolPadding { layer: "stem.pool".parse().unwrap(), kernel: 2, padding: 2 });
}

#[test]
fn groups_do_not_divide() {
    let found = error(|spec| {
        let wide = BlockSpec::bottleneck(32, 30, 64, 2);
        *block(spec, 2, 0) = wide.with(|block| block.groups = 4);
    });
    let expected =
        ShapeError::Groups { layer: "stage2.block0.conv2".parse().unwrap(), groups: 4, channels: 30 };
    assert_eq!(found, expected);
    assert!(found.to_string().ends_with("use a multiple of 4 channels"));
    // A basic block's first convolution is grouped by its input too.
    let found =
        block_flow(&BlockSpec::projection(8, 1).with(|block| block.groups = 4), [6, 8, 8]).unwrap_err();
    assert_eq!(found, ShapeError::Groups { layer: "conv1".parse().unwrap(), groups: 4, channels: 6 });
}

#[test]
fn efficient_attention_needs_a_middle() {
    let found = error(|spec| block(spec, 1, 1).attention = Some(Attention::Efficient { kernel: 4 }));
    assert_eq!(
        found.to_string(),
        "stage1.block1.eca: a kernel of 4 has no middle; help: use an odd one, such as 5"
    );
}

#[test]
fn filters_need_maps_to_filter() {
    let filtered = |filter| changed(|spec| block(spec, 2, 0).anti_alias = Some(filter));
    let found = flow(&filtered(AntiAlias::Blur), [3, 1, 8]).unwrap_err();
    assert_eq!(
        found.to_string(),
        "stage2.block0.aa: a map of 1x8 where 2x2 is the least; help: give a larger input"
    );
    // A mean rounds down, a projection up: they agree on even maps.
    assert!(flow(&filtered(AntiAlias::Average), [3, 8, 8]).is_ok());
    let found = flow(&filtered(AntiAlias::Average), [3, 9, 8]).unwrap_err();
    assert_eq!(
        found.to_string(),
        "stage2.block0: branch gives 64x4x4, shortcut gives 64x5x4; help: give an input whose sides are multiples of 2 \
         here, or blur"
    );
    assert_eq!(flow(&filtered(AntiAlias::Blur), [3, 9, 8]).unwrap().rows[3].output, [64, 5, 4]);
}

#[test]
fn zero_classes() {
    assert_eq!(error(|spec| spec.head.classes = 0), ShapeError::NoClasses);
}

#[test]
fn empty_input() {
    let spec = family("small").unwrap();
    for input in [[0, 32, 32], [3, 0, 32], [3, 32, 0]] {
        assert_eq!(flow(&spec, input).unwrap_err(), ShapeError::EmptyInput { input });
    }
    let found = block_flow(&BlockSpec::basic(8), [8, 0, 4]).unwrap_err();
    assert_eq!(found, ShapeError::EmptyInput { input: [8, 0, 4] });
}

#[test]
fn channels_of_the_input() {
    let found = flow(&family("small").unwrap(), [1, 32, 32]).unwrap_err();
    assert_eq!(found, ShapeError::InputChannels { expected: 3, found: 1 });
    let found = error(|spec| spec.preprocess.mean = vec![0.5]);
    assert_eq!(found, ShapeError::Normalisation { mean: 1, std: 3, channels: 3 });
}

#[test]
fn normalisation_by_nothing() {
    for value in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let found = error(|spec| spec.preprocess.std[1] = value);
        assert!(matches!(found, ShapeError::NormalisationValue { what: "std", .. }), "{found:?}");
    }
    let found = error(|spec| spec.preprocess.mean[0] = f32::NAN);
    assert!(matches!(found, ShapeError::NormalisationValue { what: "mean", .. }), "{found:?}");
    assert!(flow(&changed(|spec| spec.preprocess.mean[0] = -1.0), INPUT).is_ok());
}

#[test]
fn no_stem() {
    assert_eq!(error(|spec| spec.stem.convs.clear()), ShapeError::NoStem);
}

#[test]
fn nothing_may_be_zero() {
    let at_block = |change: fn(&mut BlockSpec)| error(|spec| change(block(spec, 2, 0)));
    let cases = [
        (at_block(|block| block.channels = 0), "channels"),
        (at_block(|block| block.width = 0), "width"),
        (at_block(|block| block.stride = 0), "stride"),
        (at_block(|block| block.groups = 0), "groups"),
        (at_block(|block| block.attention = Some(Attention::squeeze_excite(0))), "squeeze_excite"),
        (at_block(|block| block.shortcut = Shortcut::projection(0, 2)), "the shortcut's channels"),
        (at_block(|block| block.shortcut = Shortcut::projection(64, 0)), "the shortcut's stride"),
        (
            at_block(|block| block.shortcut = Shortcut::ZeroPad { channels: 64, stride: 0 }),
            "the shortcut's stride",
        ),
    ];
    for (found, what) in cases {
        assert_eq!(found.to_string(), format!("stage2.block0: {what} is zero; help: give at least one"));
    }
    let at_stem = |change: fn(&mut StemConv)| error(|spec| change(&mut spec.stem.convs[0]));
    let cases = [
        (at_stem(|conv| conv.channels = 0), "channels"),
        (at_stem(|conv| conv.kernel = 0), "kernel"),
        (at_stem(|conv| conv.stride = 0), "stride"),
    ];
    for (found, what) in cases {
        assert_eq!(found.to_string(), format!("stem.conv0: {what} is zero; help: give at least one"));
    }
    for (kernel, stride, what) in [(0, 2, "kernel"), (3, 0, "stride")] {
        let found = error(|spec| spec.stem.pool = Some(MaxPool { kernel, stride, padding: 0, zeros: false }));
        assert_eq!(found.to_string(), format!("stem.pool: {what} is zero; help: give at least one"));
    }
}

#[test]
fn probabilities() {
    for value in [1.0, -0.1, f64::NAN, f64::INFINITY] {
        let found = error(|spec| spec.head.dropout = value);
        assert!(matches!(found, ShapeError::Probability { what: "dropout", .. }), "{found:?}");
        let found = error(|spec| spec.stochastic_depth = value);
        assert!(matches!(found, ShapeError::Probability { what: "stochastic_depth", .. }), "{found:?}");
    }
    assert!(flow(&changed(|spec| spec.stochastic_depth = 0.999), INPUT).is_ok());
}

#[test]
fn images_beyond_all_images() {
    let size = |resize, crop| {
        let mut spec = family("small").unwrap();
        (spec.preprocess.resize, spec.preprocess.crop) = (resize, crop);
        flow(&spec, INPUT).map(|_| ())
    };
    let refused = |field, height, width| Err(ShapeError::ImageSize { field, height, width });
    let (side, exact) = (|side| Some(Resize::ShorterSide(side)), |size| Some(Resize::Exact(size)));
    for wrong in [0, 2049, 1_000_000_000_000, usize::MAX] {
        assert_eq!(size(side(wrong), None), refused("resize", wrong, wrong));
        assert_eq!(size(exact([wrong, 2048]), None), refused("resize", wrong, 2048));
        assert_eq!(size(side(32), Some([2048, wrong])), refused("crop", 2048, wrong));
    }
    assert_eq!(size(side(2048), Some([2048, 2048])), Ok(()));
    assert_eq!(size(exact([1 << 22, 1]), Some([1, 1 << 22])), Ok(()));
    let spec = family("small").unwrap();
    for input in [[3, 1_000_000, 1_000_000], [3, 8193, 8192], [3, usize::MAX, usize::MAX]] {
        assert_eq!(flow(&spec, input), Err(ShapeError::InputSize { input }));
        assert_eq!(block_flow(&BlockSpec::basic(3), input), Err(ShapeError::InputSize { input }));
    }
    assert!(flow(&spec, [3, 8192, 8192]).is_ok());
}

#[test]
fn numbers_past_all_bounds() {
    let max = usize::MAX;
    let huge = [
        error(|spec| spec.stem.convs[0].channels = max),
        error(|spec| spec.stem.convs[0].padding = max),
        error(|spec| spec.head.classes = max),
        error(|spec| *block(spec, 2, 0) = BlockSpec::projection(max, 1)),
        error(|spec| block(spec, 2, 0).attention = Some(Attention::squeeze_excite(max))),
        block_flow(&BlockSpec::basic(max / 2), [max / 2, 1, 1]).unwrap_err(),
    ];
    for found in huge {
        assert!(matches!(found, ShapeError::TooLarge { .. }), "{found:?}");
    }
    let found = error(|spec| spec.stem.convs[0].kernel = max);
    assert!(matches!(found, ShapeError::Vanishes { .. } | ShapeError::TooLarge { .. }), "{found:?}");
    // A stride past the map leaves one pixel.
    assert!(flow(&changed(|spec| spec.stem.convs[0].stride = max), INPUT).is_ok());
}
