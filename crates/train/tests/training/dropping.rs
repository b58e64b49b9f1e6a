//! Branches, features and squares of maps that are dropped.

use residual_train::{Recipe, Training};
use residual_weights::Checkpoint;

use crate::toy;

#[test]
fn a_named_model_drops_what_the_recipe_says() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| {
        (recipe.network, recipe.model) = (None, Some("small".into()));
        (recipe.drop_path, recipe.dropout, recipe.epochs) = (Some(0.3), Some(0.4), 1);
    });
    let trainer = Training::new(&recipe).begin(runs.path().join("run")).unwrap();
    let spec = trainer.network().spec();
    assert_eq!((spec.stochastic_depth, spec.head.dropout), (0.3, 0.4));
    drop(trainer);
    // The written recipe makes the same network again.
    let written = Recipe::read(runs.path().join("run/recipe.toml")).unwrap();
    assert_eq!((written.drop_path, written.network), (Some(0.3), None));
    let resumed = Training::default().resume(runs.path().join("run")).unwrap();
    assert_eq!(resumed.network().spec().stochastic_depth, 0.3);
    let kept = Checkpoint::read(runs.path().join("run/last.safetensors")).unwrap();
    assert_eq!(kept.spec.head.dropout, 0.4);
}

#[test]
fn drop_block_rises_over_the_training_and_goes_on_to_the_same_bits() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let plain = toy::recipe(data.path());
    let recipe = plain.clone().with(|recipe| recipe.drop_block = Some(0.4));
    let [whole, parts] = ["whole", "parts"].map(|name| runs.path().join(name));
    let mut with = Training::new(&recipe).begin(&whole).unwrap();
    let mut without = Training::new(&plain).begin(runs.path().join("plain")).unwrap();
    let losses = |trainer: &mut residual_train::Trainer| trainer.step().unwrap().unwrap().batch_loss;
    // Nothing is dropped in the first step.
    assert_eq!(losses(&mut with), losses(&mut without));
    let differ = (1..12).filter(|_| losses(&mut with) != losses(&mut without)).count();
    assert!(differ > 6, "{differ}");
    toy::finish(with);

    toy::interrupt(Training::new(&recipe).begin(&parts).unwrap(), 3);
    toy::interrupt(Training::default().resume(&parts).unwrap(), 7);
    toy::finish(Training::default().resume(&parts).unwrap());
    assert_eq!(toy::Result::of(&parts), toy::Result::of(&whole));
}
