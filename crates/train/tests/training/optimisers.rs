//! Optimisers, clipping and averages in whole trainings.

use residual_train::{Clip, Ema, OptimiserConfig, Training, read_metrics};
use residual_weights::Checkpoint;

use crate::toy;

#[test]
fn every_optimiser_learns_and_goes_on_to_the_same_bits() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let clips = [None, Some(Clip::Value(0.5)), Some(Clip::Norm(0.5)), Some(Clip::Adaptive(0.05)), None];
    for (name, clip) in OptimiserConfig::NAMES.into_iter().zip(clips) {
        let recipe = toy::recipe(data.path()).with(|recipe| {
            recipe.optimiser = name.parse().unwrap();
            (recipe.clip, recipe.lr, recipe.epochs) = (clip, None, 4);
            recipe.ema = Some(Ema::new(0.8));
        });
        let (whole, run) = (runs.path().join(name), runs.path().join(format!("{name} in parts")));
        toy::train(&recipe, &whole);
        for stop_at in [3, 9] {
            let training = Training::new(&recipe);
            let trainer = if stop_at == 3 { training.begin(&run) } else { training.resume(&run) };
            toy::interrupt(trainer.unwrap(), stop_at);
        }
        toy::finish(Training::default().resume(&run).unwrap());
        assert_eq!(toy::Result::of(&run), toy::Result::of(&whole), "{name}");
        let lines = read_metrics(whole.join("metrics.jsonl")).unwrap();
        let losses: Vec<f64> =
            lines.iter().filter(|line| line.split == "train").map(|line| line.loss).collect();
        assert!(losses[3] < losses[0], "{name}: {losses:?}");
    }
}

#[test]
fn a_limit_that_no_gradient_reaches_changes_nothing() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path());
    let without = runs.path().join("without");
    toy::train(&recipe, &without);
    for (name, clip, same) in [
        ("far", Clip::Norm(1e9), true),
        ("values", Clip::Value(1e9), true),
        ("shares", Clip::Adaptive(1e9), true),
        ("near", Clip::Norm(1e-3), false),
    ] {
        let run = runs.path().join(name);
        toy::train(&recipe.clone().with(|recipe| recipe.clip = Some(clip)), &run);
        assert_eq!(toy::Result::of(&run) == toy::Result::of(&without), same, "{name}");
    }
}

#[test]
fn the_best_network_is_the_best_average() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| recipe.ema = Some(Ema::new(0.9)));
    let (plain, averaged) = (runs.path().join("plain"), runs.path().join("averaged"));
    toy::train(&toy::recipe(data.path()), &plain);
    let best = toy::finish(Training::new(&recipe).begin(&averaged).unwrap());
    let lines = read_metrics(averaged.join("metrics.jsonl")).unwrap();
    let splits: Vec<&str> = lines.iter().map(|line| line.split.as_str()).collect();
    assert_eq!(splits, ["train", "val", "ema"].repeat(3));
    let of_average = lines.iter().filter(|line| line.split == "ema").map(|line| line.top1);
    assert_eq!(best, of_average.fold(0.0, f64::max));

    // The weights that are trained do not see their average.
    let [with, without] =
        [&averaged, &plain].map(|run| Checkpoint::read(run.join("last.safetensors")).unwrap());
    assert_eq!(with.tensors, without.tensors);
    let best = Checkpoint::read(averaged.join("best.safetensors")).unwrap();
    assert!(best.tensors != without.tensors && best.optimiser.is_empty());
    assert!(with.optimiser.get("average.head.linear.weight").is_some());
}

#[test]
fn an_average_that_keeps_nothing_is_the_network() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| recipe.ema = Some(Ema::new(0.0)));
    toy::train(&recipe, runs.path());
    let lines = read_metrics(runs.path().join("metrics.jsonl")).unwrap();
    for epoch in lines.chunks(3) {
        let [_, val, ema] = epoch else { panic!("{epoch:?}") };
        assert_eq!((val.loss, val.top1), (ema.loss, ema.top1));
    }
    let last = Checkpoint::read(runs.path().join("last.safetensors")).unwrap();
    let averaged = last.optimiser.iter().filter(|(name, _)| name.starts_with("average.")).count();
    assert_eq!((lines.len(), averaged), (9, last.tensors.len()));
}
