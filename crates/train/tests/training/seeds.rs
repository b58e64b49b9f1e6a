//! Trainings with several seeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use residual_train::{Error, SeedRuns, SeedSummary, Training};

use crate::toy;

#[test]
fn each_seed_is_the_run_that_it_is_alone_and_the_summary_has_mean_and_deviation() {
    let (data, folder) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path());
    let runs = SeedRuns::new(&recipe, [3, 1, 2], folder.path().join("three")).unwrap();
    let summary = runs.run(|training| training).unwrap();
    assert_eq!(summary.runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [3, 1, 2]);
    for run in &summary.runs {
        let alone = folder.path().join(format!("alone {}", run.seed));
        let best =
            toy::finish(Training::new(&recipe).with(|recipe| recipe.seed = run.seed).begin(&alone).unwrap());
        assert_eq!((run.best.top1, run.epochs), (best, 3));
        assert_eq!(toy::Result::of(&alone), toy::Result::of(&runs.run_folder(run.seed)));
    }
    let [a, b, c] = [0, 1, 2].map(|at| summary.runs[at].best.top1);
    let mean = (a + b + c) / 3.0;
    let variance = ((a - mean).powi(2) + (b - mean).powi(2) + (c - mean).powi(2)) / 2.0;
    assert!((summary.mean - mean).abs() < 1e-12 && (summary.deviation - variance.sqrt()).abs() < 1e-12);
    assert_eq!(SeedSummary::read(runs.folder()).unwrap(), Some(summary));
}

#[test]
fn what_is_finished_is_not_trained_again_and_what_is_not_goes_on() {
    let (data, folder) = (toy::data(), tempfile::tempdir().unwrap());
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    let recipe = toy::recipe(data.path());
    let expected = SeedRuns::new(&recipe, [0, 1], &whole).unwrap().run(|training| training).unwrap();

    // The first seed to its end, and three steps of the second.
    let runs = SeedRuns::new(&recipe, [0, 1], &parts).unwrap();
    toy::finish(runs.trainer(0, |training| training).unwrap());
    toy::interrupt(runs.trainer(1, |training| training).unwrap(), 3);
    assert_eq!(runs.summary().unwrap().runs, expected.runs[..1]);
    let best = std::fs::metadata(runs.run_folder(0).join("best.safetensors")).unwrap().modified().unwrap();

    let stop = Arc::new(AtomicBool::new(true));
    let error = runs.run(|training| training.stop(stop.clone())).unwrap_err();
    assert!(matches!(error, Error::Stopped { seed: 1 }), "{error}");
    stop.store(false, Ordering::Relaxed);
    let again = SeedRuns::open(&parts).unwrap();
    assert_eq!(again.run(|training| training).unwrap(), expected);
    assert_eq!(
        std::fs::metadata(runs.run_folder(0).join("best.safetensors")).unwrap().modified().unwrap(),
        best
    );
    for seed in [0, 1] {
        let [one, other] =
            [&whole, &parts].map(|folder| toy::Result::of(&folder.join(format!("seed-{seed}"))));
        assert_eq!(one, other);
    }
}

#[test]
fn wrong_seeds_and_folders_are_refused() {
    let (data, folder) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path());
    let refused = |recipe, seeds: &[u64]| {
        SeedRuns::new(recipe, seeds.iter().copied(), folder.path()).unwrap_err().to_string()
    };
    assert!(refused(&recipe, &[]).contains("no seed is given"));
    assert!(refused(&recipe, &[1, 2, 1]).contains("the seed 1 is given twice"));
    assert!(matches!(SeedRuns::open(folder.path()), Err(Error::NoRun { .. })));
    let runs = SeedRuns::new(&recipe, [1], folder.path()).unwrap();
    drop(runs.trainer(1, |training| training).unwrap());
    // Other seeds of the same recipe may follow, another recipe may not.
    assert!(SeedRuns::new(&recipe, [1, 2], folder.path()).is_ok());
    let other = recipe.clone().with(|recipe| recipe.lr = Some(0.01));
    assert!(refused(&other, &[1]).contains("has runs of another recipe"));
    std::fs::write(folder.path().join("seeds.json"), "{").unwrap();
    assert!(matches!(SeedRuns::open(folder.path()), Err(Error::Seeds { .. })));
}
