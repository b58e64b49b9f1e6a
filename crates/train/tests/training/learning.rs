//! Trainings learn, and begin where they are told to.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use residual_data::{Dataset, Split};
use residual_train::{
    DataRecipe, EvaluateOptions, Metrics, Observer, Recipe, ReplacedHead, Schedule, StepReport, Training,
    evaluate, from_model, read_metrics, to_state_dict,
};
use residual_weights::{Checkpoint, Model};

use crate::toy;

fn long(data: &Path) -> Recipe {
    toy::recipe(data).with(|recipe| recipe.epochs = 8)
}

#[test]
fn accuracy_rises_far_above_chance_and_the_best_network_has_it() {
    let (data, runs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    toy::images(data.path(), 3, 20, 10, 8);
    let best = toy::finish(Training::new(long(data.path())).begin(runs.path()).unwrap());
    assert!(best > 0.8, "{best}, chance is 0.33");

    let lines = read_metrics(runs.path().join("metrics.jsonl")).unwrap();
    assert_eq!(lines.len(), 16);
    assert!(lines[14].loss < 0.7 * lines[0].loss, "{lines:?}");
    assert_eq!((lines[0].split.as_str(), lines[1].split.as_str()), ("train", "val"));
    assert_eq!((lines[15].epoch, lines[15].step), (8, 48));
    assert!(lines.iter().all(|line| line.images_per_s > 0.0 && line.seconds > 0.0));

    let checkpoint = Checkpoint::read(runs.path().join("best.safetensors")).unwrap();
    assert_eq!(checkpoint.classes, ["azure", "brick", "clay"]);
    assert!(checkpoint.optimiser.is_empty() && checkpoint.state.is_none());
    let device = burn::tensor::Device::flex();
    let network = from_model(Model::from_checkpoint(checkpoint).unwrap(), &device).unwrap();
    let images = images(data.path(), Split::Val);
    // 30 images: full batches, a batch with what is left, and one batch for all give the same counts.
    let results = [4, 10, 7, 64].map(|batch_size| {
        let options = EvaluateOptions::default().with(|options| options.batch_size = batch_size);
        evaluate(&network, Arc::new(images.clone()), &options).unwrap()
    });
    // Of equal accuracies the epoch with the least loss.
    let line = Metrics::best(lines.iter().filter(|line| line.split == "val")).unwrap();
    for result in results {
        assert_eq!((result.total, result.top5_correct), (30, 30));
        assert_eq!(result.top1(), best);
        assert!((result.loss - line.loss).abs() < 1e-5, "{} instead of {}", result.loss, line.loss);
    }
}

fn images(data: &Path, split: Split) -> residual_data::ImageSet {
    open(data).split(split).unwrap()
}

fn open(data: &Path) -> Dataset {
    DataRecipe::default().with(|new| new.path = data.to_owned()).open().unwrap()
}

#[test]
fn every_epoch_draws_its_order_and_its_changes_anew() {
    let data = toy::data();
    // A rate so small that no weight moves, and nothing random in the network: only the images differ.
    let mut network = toy::network(3);
    (network.head.dropout, network.stochastic_depth) = (0.0, 0.0);
    let still = toy::recipe(data.path()).with(|recipe| {
        recipe.network = Some(network);
        recipe.lr = Some(1e-30);
        recipe.schedule = Schedule::Constant {};
    });
    let losses = |recipe: &Recipe| {
        let runs = tempfile::tempdir().unwrap();
        toy::train(recipe, runs.path());
        let lines = read_metrics(runs.path().join("metrics.jsonl")).unwrap();
        lines.iter().filter(|line| line.split == "train").map(|line| line.loss).collect::<Vec<_>>()
    };
    // One batch of all images: its order is no matter, up to rounding.
    let one = still.clone().with(|recipe| recipe.batch_size = Some(33));
    let fixed = losses(&one.clone().with(|recipe| recipe.augment = Some(vec![])));
    assert!(fixed.iter().all(|loss| (loss - fixed[0]).abs() < 1e-5), "{fixed:?}");
    for recipe in [one, still.with(|recipe| recipe.augment = Some(vec![]))] {
        let drawn = losses(&recipe);
        let apart = |a: usize, b: usize| (drawn[a] - drawn[b]).abs() > 1e-4;
        assert!(apart(0, 1) && apart(1, 2) && apart(0, 2), "{drawn:?}");
    }
}

#[test]
fn frozen_layers_stay_as_they_are() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let frozen = vec!["stem".to_owned(), "stage2.block0".to_owned()];
    let recipe = toy::recipe(data.path()).with(|recipe| (recipe.freeze, recipe.epochs) = (frozen, 2));
    let trainer = Training::new(&recipe).begin(runs.path()).unwrap();
    let before = toy::hashes(&runs.path().join("last.safetensors"));
    // Resuming must freeze again.
    toy::interrupt(trainer, 3);
    toy::finish(Training::default().resume(runs.path()).unwrap());
    let after = toy::hashes(&runs.path().join("last.safetensors"));
    for (name, hash) in before {
        let moved = after[&name] != hash;
        let thawed = name.starts_with("layer1.") || name.starts_with("stage1.") || is_head(&name);
        assert_eq!(moved, thawed, "{name}");
    }
}

fn is_head(name: &str) -> bool {
    ["fc.", "linear.", "head."].iter().any(|head| name.starts_with(head))
}

#[test]
fn weights_are_taken_over_and_a_head_for_other_classes_is_replaced() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let (first, same, two) = (runs.path().join("first"), runs.path().join("same"), runs.path().join("two"));
    toy::train(&toy::recipe(data.path()).with(|recipe| recipe.epochs = 1), &first);

    for file in ["last.safetensors", "best.safetensors"] {
        let weights = first.join(file);
        let out = same.join(file);
        let recipe =
            toy::recipe(data.path()).with(|recipe| (recipe.init, recipe.seed) = (Some(weights.clone()), 99));
        let trainer = Training::new(&recipe).begin(&out).unwrap();
        assert_eq!(trainer.replaced_head(), None);
        let state = to_state_dict(trainer.network(), trainer.network().spec().naming).unwrap();
        assert_eq!(state, Checkpoint::read(&weights).unwrap().tensors);
    }

    let fewer = tempfile::tempdir().unwrap();
    toy::images(fewer.path(), 2, 6, 2, 8);
    let recipe = toy::recipe(fewer.path()).with(|recipe| {
        (recipe.network, recipe.init) = (Some(toy::network(2)), Some(first.join("best.safetensors")))
    });
    let trainer = Training::new(&recipe).begin(&two).unwrap();
    assert_eq!(trainer.replaced_head(), Some(ReplacedHead { found: 3, classes: 2 }));
    let theirs = Checkpoint::read(first.join("best.safetensors")).unwrap().tensors;
    for (name, tensor) in to_state_dict(trainer.network(), trainer.network().spec().naming).unwrap().iter() {
        match is_head(name) {
            true => assert_eq!(tensor.shape()[0], 2, "{name}"),
            false => assert_eq!(Some(tensor), theirs.get(name), "{name}"),
        }
    }
    toy::finish(trainer);
}

#[derive(Default)]
struct Reports(Vec<StepReport>);

impl Observer for Reports {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        self.0.push(*report);
        ControlFlow::Continue(())
    }
}

#[test]
fn an_observer_hears_of_every_step() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let mut reports = Reports::default();
    let training = Training::new(toy::recipe(data.path())).observer(&mut reports);
    let mut trainer = training.begin(runs.path()).unwrap();
    assert_eq!((trainer.steps_done(), trainer.total_steps()), (0, 12));
    trainer.run().map(drop).unwrap();
    drop(trainer);
    let steps: Vec<_> = reports.0.iter().map(|r| (r.epoch, r.epoch_step, r.step)).collect();
    assert_eq!(steps[..5], [(1, 1, 1), (1, 2, 2), (1, 3, 3), (1, 4, 4), (2, 1, 5)]);
    assert_eq!((steps.len(), reports.0[0].total_steps, reports.0[0].epoch_steps), (12, 12, 4));
    // Two steps of warm-up to a twenty-fifth of the greatest rate.
    let first = 0.05 / 25.0;
    assert!((reports.0[0].lr - first / 2.0).abs() < 1e-12 && (reports.0[1].lr - first).abs() < 1e-12);
    assert_eq!(reports.0[11].seconds_left, 0.0);
    let line = &read_metrics(runs.path().join("metrics.jsonl")).unwrap()[0];
    assert_eq!((line.loss, line.top1, line.lr), (reports.0[3].loss, reports.0[3].top1, reports.0[3].lr));
}
