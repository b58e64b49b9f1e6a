//! Whole steps of sharpness-aware minimisation against PyTorch's in float64 (`bench/peers/sharpness.py`).

use std::collections::BTreeMap;

use residual_arch::{BlockSpec, HeadSpec, NetSpec, StageSpec, StemSpec};
use residual_data::{Image, LabelledImages};
use residual_testkit::formula;
use residual_train::{Outcome, Recipe, Rule, Sam, Schedule, Training, Warmup, to_model};
use residual_weights::{Model, Tensor};

use crate::toy;

/// Images of the script, all of which are in a step.
const IMAGES: usize = 9;

/// Steps of the script: one an epoch.
const STEPS: usize = 2;

fn network() -> NetSpec {
    let stage = |block| StageSpec::new(vec![block]);
    toy::network(3).with(|net| {
        net.stem = StemSpec::cifar(4);
        net.stages = vec![stage(BlockSpec::basic(4)), stage(BlockSpec::projection(8, 2))];
        net.head = HeadSpec::new(3);
        net.stochastic_depth = 0.0;
        (net.preprocess.mean, net.preprocess.std) = (vec![0.5; 3], vec![0.25; 3]);
    })
}

fn model() -> Model {
    let spec = network();
    let checked = spec.check(spec.input).unwrap();
    let tensors: Vec<_> = checked
        .tensors()
        .map(|(path, tensor)| {
            // The formula's statistics are another network's; in training they say nothing.
            let values = formula::tensor(&path.to_string(), &tensor.shape);
            (path, Tensor::new(tensor.shape, values).unwrap())
        })
        .collect();
    Model::new(checked, tensors).unwrap()
}

fn images() -> LabelledImages {
    let [channels, height, width] = network().input;
    let image = |number: usize| {
        let name = format!("image {number}");
        let values = formula::uniform(&name, channels * height * width);
        let pixels = values.map(|value| ((value + 1.0) * 128.0).floor() as u8).collect();
        (Image::new(width, height, channels, pixels).unwrap(), number % 3)
    };
    LabelledImages::new(["a", "b", "c"], (0..IMAGES).map(image).collect()).unwrap()
}

/// Values of every tensor, by its path.
fn expected(case: &str) -> BTreeMap<String, Vec<f64>> {
    let lines = include_str!("../expected/sam.txt").lines().map(|line| line.split(' '));
    let of_case = lines.filter_map(|mut words| {
        (words.next()? == case).then_some(())?;
        Some((words.next()?.to_owned(), words.map(|word| word.parse().unwrap()).collect()))
    });
    of_case.collect()
}

fn trained(sam: Option<Sam>) -> BTreeMap<String, Vec<f32>> {
    let runs = tempfile::tempdir().unwrap();
    let recipe = Recipe::default().with(|recipe| {
        (recipe.epochs, recipe.batch_size, recipe.lr) = (STEPS, Some(IMAGES), Some(0.1));
        (recipe.schedule, recipe.warmup) = (Schedule::Constant {}, Warmup::Steps(0));
        recipe.optimiser.rule = Rule::Sgd { momentum: 0.9, nesterov: false };
        (recipe.optimiser.weight_decay, recipe.optimiser.decay_norm_and_bias) = (0.01, true);
        (recipe.augment, recipe.sam, recipe.threads) = (Some(Vec::new()), sam, Some(2));
    });
    let training = Training::new(recipe).model(model()).images(images(), images());
    let mut trainer = training.begin(runs.path().join("run")).unwrap();
    assert!(matches!(trainer.run().unwrap(), Outcome::Finished { .. }));
    assert_eq!(trainer.steps_done() as usize, STEPS);
    let model = to_model(trainer.network()).unwrap();
    model.tensors().map(|(path, tensor)| (path.to_string(), tensor.data().to_vec())).collect()
}

#[test]
fn steps_are_those_of_pytorch() {
    let adaptive = Sam::new(2.0).with(|sam| sam.adaptive = true);
    let plain = expected("sgd");
    for (case, sam) in [("sgd", None), ("sam", Some(Sam::new(0.5))), ("adaptive", Some(adaptive))] {
        let (found, expected) = (trained(sam), expected(case));
        assert_eq!(expected.len(), found.keys().filter(|path| !path.contains("running")).count());
        let (mut furthest, mut moved) = (0f64, 0f64);
        for (path, values) in &expected {
            for (place, value) in values.iter().enumerate() {
                furthest = furthest.max((f64::from(found[path][place]) - value).abs());
                moved = moved.max((plain[path][place] - value).abs());
            }
        }
        assert!(furthest < 1e-5, "{case}: {furthest:e}");
        assert!(sam.is_none() || moved > 1e-2, "{case} does not tell: {moved:e}");
    }
}
