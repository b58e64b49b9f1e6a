//! Layers that train from some epoch on, and statistics that stay.

use residual_train::{OptimiserConfig, Recipe, Training, Unfreeze};

use crate::toy;

fn recipe(data: &std::path::Path) -> Recipe {
    toy::recipe(data).with(|recipe| {
        recipe.epochs = 3;
        recipe.optimiser = OptimiserConfig::adamw();
        recipe.freeze = vec!["stem".into(), "stage1".into()];
        recipe.unfreeze = vec![Unfreeze::new(2, ["stage1"]), Unfreeze::new(3, ["stem"])];
    })
}

#[test]
fn layers_are_thawed_when_their_epoch_comes_and_resume_to_the_bit() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let (whole, parts) = (runs.path().join("whole"), runs.path().join("parts"));
    toy::train(&recipe(data.path()), &whole);
    let wanted = toy::hashes(&whole.join("last.safetensors"));

    let mut trainer = Training::new(recipe(data.path())).begin(&parts).unwrap();
    let first = toy::hashes(&parts.join("last.safetensors"));
    let steps = trainer.total_steps() / 3;
    for epoch in 1..=3 {
        // In the middle of each epoch, and at its end.
        for stop in [(epoch - 1) * steps + 1, epoch * steps] {
            toy::interrupt(trainer, stop);
            let now = toy::hashes(&parts.join("last.safetensors"));
            let moved = |prefixes: [&str; 2]| {
                let is_in = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
                let mut named = first.iter().filter(|(name, _)| is_in(name));
                named.any(|(name, hash)| now[name] != *hash)
            };
            let found = [moved(["stem.", "conv1."]), moved(["stage1.", "layer1."])];
            assert_eq!(found, [epoch > 2, epoch > 1], "after step {stop}");
            trainer = Training::default().resume(&parts).unwrap();
        }
    }
    toy::finish(trainer);
    assert_eq!(toy::hashes(&parts.join("last.safetensors")), wanted);
}

#[test]
fn frozen_statistics_stay_and_the_first_evaluation_counts() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let (first, tuned) = (runs.path().join("first"), runs.path().join("tuned"));
    toy::train(&toy::recipe(data.path()).with(|recipe| recipe.epochs = 1), &first);
    let recipe = toy::recipe(data.path()).with(|recipe| {
        (recipe.epochs, recipe.freeze_statistics, recipe.evaluate_first) = (2, true, true);
        recipe.init = Some(first.join("best.safetensors"));
    });
    let trainer = Training::new(&recipe).begin(&tuned).unwrap();
    let before = toy::hashes(&tuned.join("last.safetensors"));
    toy::interrupt(trainer, 2);
    toy::finish(Training::default().resume(&tuned).unwrap());
    let after = toy::hashes(&tuned.join("last.safetensors"));
    for (name, hash) in before {
        assert_eq!(after[&name] == hash, name.contains("running"), "{name}");
    }
    let lines = residual_train::read_metrics(tuned.join("metrics.jsonl")).unwrap();
    assert_eq!(lines.iter().map(|line| line.epoch).collect::<Vec<_>>(), [0, 1, 1, 2, 2]);

    // Nothing but the first evaluation.
    let recipe = recipe.with(|recipe| recipe.epochs = 0);
    let only = runs.path().join("only");
    toy::train(&recipe, &only);
    assert_eq!(residual_train::read_metrics(only.join("metrics.jsonl")).unwrap().len(), 1);
}

#[test]
fn what_is_not_frozen_cannot_be_thawed() {
    let data = toy::data();
    let refused = |unfreeze: Unfreeze| {
        let recipe = recipe(data.path()).with(|recipe| recipe.unfreeze = vec![unfreeze]);
        let runs = tempfile::tempdir().unwrap();
        Training::new(&recipe).begin(runs.path().join("run")).unwrap_err().to_string()
    };
    assert!(refused(Unfreeze::new(2, ["head"])).contains("head is not frozen"));
    assert!(refused(Unfreeze::new(1, ["stem"])).contains("none of 2 to 3"));
    assert!(refused(Unfreeze::new(4, ["stem"])).contains("none of 2 to 3"));
    assert!(refused(Unfreeze::new(2, ["stage9"])).contains("stage9"));
}
