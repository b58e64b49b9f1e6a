//! Networks in 8 bits with integers: what the same network gives in float32 with the values of its integers.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use residual_arch::{Attention, BlockSpec, MaxPool, NetSpec, Shortcut, StageSpec, families::family};
use residual_engine::quantised::{MapScale, QuantConv, Quantised};
use residual_engine::{Images, MapName, Options, Plan, StepKind};
use residual_kernels::Isa;
use residual_testkit::formula;
use residual_testkit::naive::relative_error;
use residual_weights::Model;

fn images(spec: &NetSpec, batch: usize) -> Vec<f32> {
    let [channels, height, width] = spec.input;
    formula::input(&[batch, channels, height, width])
}

/// A residual network of basic blocks and bottlenecks behind a stem with a max pool, small, whose channels fill no blocks.
fn plain() -> NetSpec {
    let mut spec = family("cifar_resnet8").unwrap().with_input([3, 21, 18]);
    spec.stem.pool = Some(MaxPool { kernel: 3, stride: 2, padding: 1, zeros: false });
    spec.stages = [
        vec![BlockSpec::basic(16), BlockSpec::bottleneck(16, 24, 40, 2)],
        vec![BlockSpec::projection(40, 2), BlockSpec::basic(40)],
    ]
    .map(StageSpec::new)
    .into();
    spec
}

/// Network with parts that compute in float32: an attention, groups, a zero-padded shortcut, pre-activation.
fn mixed() -> NetSpec {
    let mut spec = plain();
    let zeros = Shortcut::ZeroPad { channels: 50, stride: 2 };
    spec.stages = [
        vec![
            BlockSpec::basic(16),
            BlockSpec::basic(16).with(|block| block.attention = Some(Attention::squeeze_excite(8))),
            BlockSpec::bottleneck(16, 24, 40, 2).with(|block| block.groups = 4),
        ],
        vec![BlockSpec::basic(40).preactivation(), BlockSpec::basic(40)],
        vec![BlockSpec::basic(50).with(|block| (block.shortcut, block.stride) = (zeros, 2))],
    ]
    .map(StageSpec::new)
    .into();
    spec
}

/// The model in 8 bits, with scales from the extremes of its maps on some images; weights reach to `most`.
fn in_8_bits(model: &Model, x: &[f32], batch: usize, most: f32) -> Model {
    let plan = Plan::compile(model, &Options::default().with(|options| options.max_batch = batch)).unwrap();
    let mut scales: BTreeMap<MapName, MapScale> = BTreeMap::new();
    let mut see = |seen: residual_engine::Seen<'_>| {
        let extreme = |f: fn(f32, f32) -> f32| seen.values.iter().copied().fold(0.0, f);
        scales.insert(seen.map, MapScale::of_range(extreme(f32::min), extreme(f32::max)));
    };
    plan.observe(Images::Planar(x), &mut plan.scratch(), &mut see).unwrap();
    let (mut convs, mut maps) = (BTreeMap::new(), BTreeMap::new());
    for step in plan.steps() {
        if step.kind == StepKind::Copy {
            let scale = scales[&step.input];
            scales.insert(MapName::Of(step.path), scale);
        }
        maps.insert(step.path, scales[&MapName::Of(step.path)]);
        let StepKind::Conv { conv, norm, .. } = step.kind else { continue };
        let folded = plan.folded(model, step.path).unwrap();
        let each = folded.weights.len() / conv.out_channels;
        let largest = |row: &[f32]| row.iter().fold(1e-6_f32, |most, w| most.max(w.abs()));
        let scale: Vec<f32> = folded.weights.chunks(each).map(|row| largest(row) / most).collect();
        let rows = folded.weights.chunks(each).zip(&scale);
        let weights =
            rows.flat_map(|(row, &scale)| row.iter().map(move |w| (w / scale).round() as i8)).collect();
        convs.insert(step.path, Arc::new(QuantConv { weights, scale, bias: folded.bias, norm }));
    }
    let input = Some(scales[&MapName::Images]);
    model.clone().with_quantised(Quantised { convs, input, maps }).unwrap()
}

fn logits(model: &Model, x: &[f32], change: impl FnOnce(&mut Options)) -> Vec<f32> {
    let plan =
        Plan::compile(model, &Options::default().with(|options| options.max_batch = 4).with(change)).unwrap();
    plan.run(Images::Planar(x), &mut plan.scratch()).unwrap().to_vec()
}

/// Kernels of a plan's layers.
fn kernels(model: &Model, x: &[f32], change: impl FnOnce(&mut Options)) -> Vec<String> {
    let plan =
        Plan::compile(model, &Options::default().with(|options| options.max_batch = 4).with(change)).unwrap();
    let profile = plan.profile(Images::Planar(x), 1, &mut plan.scratch()).unwrap();
    profile.layers.into_iter().map(|layer| layer.kernel).collect()
}

#[test]
fn integers_give_what_their_values_give_in_float32() {
    for (spec, most) in [(plain(), 63.0), (plain(), 127.0), (mixed(), 63.0)] {
        let x = images(&spec, 4);
        let model = in_8_bits(&common::model(&spec), &x, 4, most);
        let float = logits(&common::model(&spec), &x, |_| ());
        let wanted = logits(&model, &x, |options| options.integers = false);
        let doubles: Vec<f64> = wanted.iter().map(|&value| f64::from(value)).collect();
        for isa in Isa::available() {
            let found = logits(&model, &x, |options| (options.isa, options.threads) = (Some(isa), Some(2)));
            let error = relative_error(&found, &doubles);
            // A value between two bytes may be rounded to either.
            assert!(error < 0.03, "{} on {isa}: {error}, {found:?}, {wanted:?}", spec.name);
        }
        let off = relative_error(&wanted, &float.iter().map(|&value| f64::from(value)).collect::<Vec<_>>());
        assert!((1e-5..0.2).contains(&off), "{off}: in 8 bits is near, and not the same");
    }
}

#[test]
fn an_image_has_the_same_bits_in_any_batch_with_any_threads() {
    let spec = mixed();
    let x = images(&spec, 4);
    let model = in_8_bits(&common::model(&spec), &x, 4, 63.0);
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let all = logits(&model, &x, |options| options.threads = Some(1));
    for threads in [1, 3] {
        let plan = Plan::compile(
            &model,
            &Options::default().with(|options| {
                (options.max_batch, options.threads, options.isa) =
                    (4, Some(threads), Some(Isa::available()[0]));
            }),
        );
        let (plan, each) = (plan.unwrap(), x.len() / 4);
        let mut scratch = plan.scratch();
        assert_eq!(bits(plan.run(Images::Planar(&x), &mut scratch).unwrap()), bits(&all));
        for (image, expected) in x.chunks(each).zip(all.chunks(all.len() / 4)) {
            assert_eq!(bits(plan.run(Images::Planar(image), &mut scratch).unwrap()), bits(expected));
        }
    }
}

#[test]
fn pixels_give_what_their_normalised_values_give() {
    let spec = plain();
    let model = in_8_bits(&common::model(&spec), &images(&spec, 4), 4, 63.0);
    let plan = Plan::compile(&model, &Options::default().with(|options| options.max_batch = 2)).unwrap();
    let (mean, std) = (&model.spec().preprocess.mean, &model.spec().preprocess.std);
    let pixels: Vec<u8> =
        (0..2 * 21 * 18 * 3_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let value = |index: usize| {
        let (n, c, pixel) = (index / (3 * 378), index / 378 % 3, index % 378);
        (f32::from(pixels[(n * 378 + pixel) * 3 + c]) / 255.0 - mean[c]) / std[c]
    };
    let values: Vec<f32> = (0..pixels.len()).map(value).collect();
    let mut scratch = plan.scratch();
    let found = plan.run(Images::Interleaved(&pixels), &mut scratch).unwrap().to_vec();
    let wanted = plan.run(Images::Planar(&values), &mut scratch).unwrap();
    let doubles: Vec<f64> = wanted.iter().map(|&value| f64::from(value)).collect();
    assert!(relative_error(&found, &doubles) < 0.01, "{found:?}, {wanted:?}");
}

#[test]
fn layers_say_what_computes_them() {
    let spec = mixed();
    let x = images(&spec, 4);
    let model = in_8_bits(&common::model(&spec), &x, 4, 63.0);
    let portable = kernels(&model, &x, |options| options.isa = Some(Isa::named("portable").unwrap()));
    assert!(portable.iter().all(|kernel| !kernel.contains("int8")), "{portable:?}");
    let best = kernels(&model, &x, |_| ());
    let float = kernels(&common::model(&spec), &x, |_| ());
    if residual_kernels::int8::DotProduct::of(Isa::detect().unwrap()).name().ends_with("vnni") {
        let count = |word: &str| best.iter().filter(|kernel| kernel.contains(word)).count();
        assert!(count("int8 a") >= 8, "{best:?}");
        assert_eq!(count("int8 max pool"), 1, "{best:?}");
        assert!(count("float32 to int8") >= 2 && count("int8 to float32") >= 1, "{best:?}");
        assert!(count("squeeze") == float.iter().filter(|kernel| kernel.contains("squeeze")).count());
    }
}

#[test]
fn maps_and_steps_are_those_of_the_network() {
    let spec = mixed();
    let x = images(&spec, 4);
    let float = common::model(&spec);
    let model = in_8_bits(&float, &x, 4, 127.0);
    let plan = |model: &Model, integers| {
        let options =
            Options::default().with(|options| (options.max_batch, options.integers) = (4, integers));
        Plan::compile(model, &options).unwrap()
    };
    let (ours, reference) = (plan(&model, true), plan(&model, false));
    assert_eq!(ours.steps(), plan(&float, true).steps());
    let seen = |plan: &Plan| {
        let mut all = Vec::new();
        let mut see =
            |seen: residual_engine::Seen<'_>| all.push((seen.map, seen.shape, seen.values.to_vec()));
        plan.observe(Images::Planar(&x), &mut plan.scratch(), &mut see).unwrap();
        all
    };
    let (found, wanted) = (seen(&ours), seen(&reference));
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!((found.0, found.1), (wanted.0, wanted.1));
        let doubles: Vec<f64> = wanted.2.iter().map(|&value| f64::from(value)).collect();
        assert!(relative_error(&found.2, &doubles) < 0.05, "{}", found.0);
    }
}

#[test]
fn memory_is_a_quarter() {
    let spec = plain();
    let x = images(&spec, 4);
    let model = in_8_bits(&common::model(&spec), &x, 4, 63.0);
    let bytes = |integers| {
        let options =
            Options::default().with(|options| (options.max_batch, options.integers) = (4, integers));
        Plan::compile(&model, &options).unwrap().scratch().bytes()
    };
    if residual_kernels::int8::DotProduct::of(Isa::detect().unwrap()).name().ends_with("vnni") {
        assert!(bytes(true) * 2 < bytes(false), "{} of {}", bytes(true), bytes(false));
    }
}
