//! Plans in 8 bits, held against sums of integers.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use residual_arch::families::family;
use residual_arch::{Convolution, NetSpec};
use residual_engine::quantised::{MapScale, QuantConv, Quantised};
use residual_engine::{Error, Images, MapName, Options, Plan, Step, StepKind};
use residual_kernels::Isa;
use residual_testkit::formula;
use residual_weights::Model;

/// Maps by name: `[channels, height, width]` and the values of one image.
type Maps = BTreeMap<MapName, ([usize; 3], Vec<f32>)>;

fn maps(plan: &Plan, image: &[f32]) -> Maps {
    let mut maps = Maps::new();
    let mut see = |seen: residual_engine::Seen<'_>| {
        let [_, channels, height, width] = seen.shape;
        maps.insert(seen.map, ([channels, height, width], seen.values.to_vec()));
    };
    plan.observe(Images::Planar(image), &mut plan.scratch(), &mut see).unwrap();
    maps
}

/// A network whose every convolution is in 8 bits, by the least and greatest values of the maps of one image.
fn quantised(model: &Model, plan: &Plan, image: &[f32]) -> Quantised {
    let maps = maps(plan, image);
    let scale_of = |map: MapName| {
        let values = &maps[&map].1;
        let end = |by: fn(f32, f32) -> f32| values.iter().copied().fold(0.0, by);
        MapScale::of_range(end(f32::min), end(f32::max))
    };
    let mut quantised = Quantised { input: Some(scale_of(MapName::Images)), ..Quantised::default() };
    for step in plan.steps() {
        let StepKind::Conv { conv, norm, .. } = step.kind else {
            let scale = match (step.kind, step.input) {
                (StepKind::Copy, MapName::Of(path)) => quantised.maps[&path],
                _ => scale_of(MapName::Of(step.path)),
            };
            quantised.maps.insert(step.path, scale);
            continue;
        };
        let folded = plan.folded(model, step.path).unwrap();
        let each = folded.weights.len() / conv.out_channels;
        let most = |filter: &[f32]| filter.iter().fold(1e-9_f32, |most, weight| most.max(weight.abs()));
        let scale: Vec<f32> = folded.weights.chunks(each).map(|filter| most(filter) / 63.0).collect();
        let integer = |(at, weight): (usize, &f32)| (weight / scale[at / each]).round_ties_even() as i8;
        let weights = folded.weights.iter().enumerate().map(integer).collect();
        let conv = QuantConv { weights, bias: folded.bias, norm, scale };
        quantised.convs.insert(step.path, Arc::new(conv));
        quantised.maps.insert(step.path, scale_of(MapName::Of(step.path)));
    }
    quantised
}

/// `y[o] = input.scale * scale[o] * sum((q - zero) * w) + bias[o]`, in integers.
fn convolved(
    conv: &Convolution,
    of: &QuantConv,
    input: MapScale,
    ([_, height, width], bytes): ([usize; 3], &[u8]),
    ([_, rows, columns], y): ([usize; 3], &mut [f32]),
) {
    let (ins, outs) = (conv.in_channels / conv.groups, conv.out_channels / conv.groups);
    let at = |channel: usize, row: usize, column: usize| {
        let inside =
            |place: usize, size: usize| place.checked_sub(conv.padding).filter(|place| *place < size);
        let byte = inside(row, height).zip(inside(column, width));
        byte.map_or(input.zero, |(row, column)| bytes[(channel * height + row) * width + column])
    };
    for (o, row, column) in (0..conv.out_channels).flat_map(|o| places(o, rows, columns)) {
        let mut sum = 0_i32;
        for i in 0..ins {
            for (tap_row, tap) in (0..conv.kernel).flat_map(|r| (0..conv.kernel).map(move |c| (r, c))) {
                let channel = o / outs * ins + i;
                let byte = at(channel, row * conv.stride + tap_row, column * conv.stride + tap);
                let weight = of.weights[((o * ins + i) * conv.kernel + tap_row) * conv.kernel + tap];
                sum += (i32::from(byte) - i32::from(input.zero)) * i32::from(weight);
            }
        }
        y[(o * rows + row) * columns + column] = input.scale * of.scale[o] * sum as f32 + of.bias[o];
    }
}

fn places(o: usize, rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (o, row, column)))
}

/// Holds what a plan makes of its own maps at a convolution against sums of integers.
fn hold(step: &Step, quantised: &Quantised, maps: &Maps) {
    let StepKind::Conv { conv, relu, .. } = step.kind else { return };
    let scale = |map: MapName| match map {
        MapName::Images => quantised.input.unwrap(),
        MapName::Of(path) => quantised.map(path).unwrap(),
    };
    let input = scale(step.input);
    let bytes: Vec<u8> = maps[&step.input].1.iter().map(|&x| input.quantise(x)).collect();
    for (x, byte) in maps[&step.input].1.iter().zip(&bytes) {
        assert_eq!(*x, input.dequantise(*byte), "{}: its input is no bytes of {input:?}", step.path);
    }
    let (shape, found) = &maps[&MapName::Of(step.path)];
    let mut y = vec![0.0; found.len()];
    let of = quantised.conv(step.path).unwrap();
    convolved(&conv, of, input, (maps[&step.input].0, &bytes), (*shape, &mut y));
    if let Some(residual) = step.residual {
        y.iter_mut().zip(&maps[&residual].1).for_each(|(y, x)| *y += x);
    }
    if relu {
        y.iter_mut().for_each(|y| *y = y.max(0.0));
    }
    let output = scale(MapName::Of(step.path));
    for (y, found) in y.iter().zip(found) {
        let apart = output.quantise(*y).abs_diff(output.quantise(*found));
        assert!(apart <= 1, "{}: {y} and {found} are {apart} steps of {} apart", step.path, output.scale);
    }
}

fn networks() -> Vec<NetSpec> {
    let named = |name: &str, size: usize| family(name).unwrap().with_input([3, size, size]);
    let grouped = named("resnet50", 40).with(|net| {
        net.stages.truncate(2);
        net.stages.iter_mut().for_each(|stage| stage.blocks.iter_mut().for_each(|block| block.groups = 4));
    });
    vec![named("cifar_resnet8", 15), named("resnet18", 40), named("cifar_preact20", 12), grouped]
}

#[test]
fn a_plan_in_8_bits_gives_what_sums_of_integers_give() {
    for spec in networks() {
        let model = common::model(&spec);
        let [channels, height, width] = spec.input;
        let image = formula::input(&[1, channels, height, width]);
        let plan = Plan::compile(&model, &Options::default()).unwrap();
        let quantised = quantised(&model, &plan, &image);
        let model = model.with_quantised(quantised.clone()).unwrap();
        for isa in Isa::available() {
            let options = Options::default();
            let options = options.with(|options| (options.isa, options.integers) = (Some(isa), false));
            let plan = Plan::compile(&model, &options).unwrap();
            let maps = maps(&plan, &image);
            plan.steps().iter().for_each(|step| hold(step, &quantised, &maps));
        }
    }
}

#[test]
fn a_map_that_an_integer_convolution_reads_has_a_scale() {
    let spec = family("cifar_resnet8").unwrap();
    let model = common::model(&spec);
    let plan = Plan::compile(&model, &Options::default()).unwrap();
    let image = formula::input(&[1, 3, 32, 32]);
    let whole = quantised(&model, &plan, &image);
    let without = |change: &dyn Fn(&mut Quantised)| {
        let mut quantised = whole.clone();
        change(&mut quantised);
        Plan::compile(&model.clone().with_quantised(quantised).unwrap(), &Options::default())
    };
    assert!(without(&|_| {}).is_ok());
    let path = "stage1.block0.conv1".parse().unwrap();
    let error = without(&|quantised| _ = quantised.maps.remove(&path)).unwrap_err();
    assert!(
        matches!(&error, Error::NoScale { .. }) && error.to_string().contains("stage1.block0.conv2"),
        "{error}"
    );
    let error = without(&|quantised| quantised.input = None).unwrap_err();
    assert!(error.to_string().contains("stem.conv0") && error.to_string().contains("images"), "{error}");
}

#[test]
fn a_layer_of_a_network_in_8_bits_can_be_asked_for() {
    let spec = family("cifar_resnet8").unwrap();
    let model = common::model(&spec);
    let image = formula::input(&[1, 3, 32, 32]);
    let plan = Plan::compile(&model, &Options::default()).unwrap();
    let quantised = quantised(&model, &plan, &image);
    let in_8_bits = model.clone().with_quantised(quantised).unwrap();
    // The sum of a branch, before anything is added to it, has values below zero.
    let layer = "stage2.block0.norm2".parse().unwrap();
    let until = Options::default().with(|options| options.until = Some(layer));
    let of = |model: &Model| {
        let plan = Plan::compile(model, &until).unwrap();
        plan.last(Images::Planar(&image), &mut plan.scratch()).unwrap().values
    };
    let (float, integer) = (of(&model), of(&in_8_bits));
    let noise: f32 = float.iter().zip(&integer).map(|(a, b)| (a - b).powi(2)).sum();
    let signal: f32 = float.iter().map(|a| a * a).sum();
    assert!(noise < 0.01 * signal && integer.iter().any(|value| *value < 0.0), "{noise} of {signal}");
}
