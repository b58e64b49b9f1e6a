//! Trainings that leave the finite numbers, and say where.

use std::path::Path;

use residual_train::{Clip, Error, Recipe, Training, Warmup, read_metrics, to_model};
use residual_weights::{Model, Tensor};

use crate::toy;

fn recipe(data: &Path) -> Recipe {
    toy::recipe(data).with(|recipe| recipe.warmup = Warmup::Steps(0))
}

/// The toy network with other weights: `f(name, values)` changes them.
fn model(data: &Path, mut f: impl FnMut(&str, &mut [f32])) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let trainer = Training::new(recipe(data)).begin(folder.path().join("run")).unwrap();
    let model = to_model(trainer.network()).unwrap();
    let spec = model.spec().clone();
    let tensors = model.into_tensors().map(|(path, tensor)| {
        let (shape, mut values) = tensor.into_parts();
        f(&path.to_string(), &mut values);
        (path, Tensor::new(shape, values).unwrap())
    });
    let network = spec.check(spec.input).unwrap();
    Model::new(network, tensors.collect::<Vec<_>>()).unwrap()
}

/// The error of a training that begins with this model, whose run is left as it was before its first step.
fn error(data: &Path, model: &Model, change: impl FnOnce(&mut Recipe)) -> Error {
    let runs = tempfile::tempdir().unwrap();
    let run = runs.path().join("run");
    let mut trainer = Training::new(recipe(data)).with(change).model(model.clone()).begin(&run).unwrap();
    let weights = |trainer: &residual_train::Trainer| {
        let state = trainer.network().state();
        state.into_iter().filter(|tensor| !tensor.path.contains("running")).collect::<Vec<_>>()
    };
    let (file, before) = (toy::hashes(&run.join("last.safetensors")), weights(&trainer));
    let error = trainer.run().unwrap_err();
    assert_eq!((trainer.steps_done(), weights(&trainer) == before), (0, true), "{error}");
    assert_eq!(toy::hashes(&run.join("last.safetensors")), file);
    error
}

#[test]
fn the_layer_whose_output_is_the_first_that_is_not_finite_is_named() {
    let data = toy::data();
    let huge = |layer: &str| {
        model(data.path(), |path, values| {
            if path == format!("{layer}.weight") {
                values.fill(3e38);
            }
        })
    };
    let conv = huge("stage1.block0.conv1");
    for (name, accumulate) in [("whole", 1), ("in parts", 2)] {
        let error = error(data.path(), &conv, |recipe| recipe.accumulate = accumulate);
        let text = error.to_string();
        let Error::Diverged { step: 0, epoch: 1, layer, .. } = error else { panic!("{name}: {text}") };
        assert_eq!(layer.as_deref(), Some("stage1.block0.conv1"), "{name}");
        assert!(text.contains("), first in the output of `stage1.block0.conv1`, the checkpoints"), "{text}");
    }
    let error = error(data.path(), &huge("head.linear"), |_| ());
    assert!(error.to_string().contains("`head.linear`"), "{error}");
}

#[test]
fn an_evaluation_names_the_layer_too() {
    let data = toy::data();
    let huge = model(data.path(), |name, values| {
        if name == "stage1.block0.conv1.weight" {
            values.fill(3e38);
        }
    });
    let text = error(data.path(), &huge, |recipe| recipe.evaluate_first = true).to_string();
    assert!(text.contains("first in the output of `stage1.block0.conv1`"), "{text}");
}

/// A gradient that overflows where nothing of the forward pass does; a limit on it does not hide it.
#[test]
fn a_gradient_that_is_not_finite_is_named_whatever_clips_it() {
    let data = toy::data();
    // What the second convolution reads is 1e30, and the slope behind it 1e12 for each logit.
    let steep = model(data.path(), |path, values| match path {
        "stage2.block0.norm1.weight" => values.fill(1e30),
        "stage2.block0.conv2.weight" => values.iter_mut().for_each(|value| *value *= 1e-30),
        "head.linear.weight" => values.iter_mut().for_each(|value| *value *= 1e12),
        _ => {}
    });
    for clip in [None, Some(Clip::Value(0.5)), Some(Clip::Norm(1.0)), Some(Clip::Adaptive(0.01))] {
        let error = error(data.path(), &steep, |recipe| recipe.clip = clip);
        let Error::GradientNotFinite { step: 0, epoch: 1, parameter, .. } = &error else { panic!("{error}") };
        assert_eq!(parameter, "stage2.block0.conv2.weight");
        assert!(error.to_string().contains("the checkpoints from before it are kept"), "{error}");
    }
}

#[test]
fn the_epochs_mean_gradient_norm_of_each_part_is_written() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let norms = |name: &str, change: fn(&mut Recipe)| {
        let run = runs.path().join(name);
        toy::train(&recipe(data.path()).with(change), &run);
        let lines = read_metrics(run.join("metrics.jsonl")).unwrap();
        assert!(lines.iter().all(|line| (line.split == "train") == line.gradient_norms.is_some()));
        lines.into_iter().filter_map(|line| line.gradient_norms).collect::<Vec<_>>()
    };
    let plain = norms("plain", |_| ());
    assert_eq!(plain.len(), 3);
    let places = ["head", "stage1.block0", "stage2.block0", "stem"];
    for epoch in &plain {
        assert!(epoch.keys().eq(&places) && epoch.values().all(|norm| *norm > 0.0), "{epoch:?}");
    }
    // Norms are those before clipping; frozen parts have none; parts of a batch add up to its gradient.
    let clipped = norms("clipped", |recipe| (recipe.clip, recipe.lr) = (Some(Clip::Norm(1e-9)), Some(1e-9)));
    let still = norms("still", |recipe| recipe.lr = Some(1e-9));
    for (clipped, still) in clipped.iter().zip(&still) {
        assert!(places.iter().all(|place| (clipped[*place] / still[*place] - 1.0).abs() < 1e-3));
    }
    let frozen = norms("frozen", |recipe| recipe.freeze = vec!["stem".into(), "stage1".into()]);
    assert!(frozen[0].keys().eq(&["head", "stage2.block0"]), "{:?}", frozen[0]);
}
