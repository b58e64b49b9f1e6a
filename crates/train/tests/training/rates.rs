//! Learning rates by layer, in whole trainings.

use std::path::Path;

use residual_train::{OptimiserConfig, Recipe, Schedule, Training, Warmup};
use residual_weights::Checkpoint;

use crate::toy;

/// One step over all images.
fn one_step(data: &Path, optimiser: &str, lr: f64) -> Recipe {
    toy::recipe(data).with(|recipe| {
        recipe.optimiser = optimiser.parse().unwrap();
        (recipe.epochs, recipe.batch_size, recipe.lr) = (1, Some(33), Some(lr));
        (recipe.schedule, recipe.warmup) = (Schedule::Constant {}, Warmup::Steps(0));
    })
}

#[test]
fn each_part_takes_the_step_of_its_own_rate_with_every_optimiser() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let rates = [("stem", 0.5), ("stage1.block0", 0.25), ("stage2", 2.0)];
    for name in OptimiserConfig::NAMES {
        let tensors = |recipe: &Recipe, folder: String| {
            let run = runs.path().join(folder);
            toy::train(recipe, &run);
            Checkpoint::read(run.join("last.safetensors")).unwrap().tensors
        };
        let with_rates = one_step(data.path(), name, 0.01).with(|recipe| {
            recipe.rates = rates.map(|(place, factor)| (place.to_owned(), factor)).into();
        });
        let found = tensors(&with_rates, format!("{name} with rates"));
        for (place, factor) in [("stem", 0.5), ("stage1", 0.25), ("stage2", 2.0), ("head", 1.0)] {
            let whole = tensors(&one_step(data.path(), name, 0.01 * factor), format!("{name} {place}"));
            let is_its = |tensor: &str| tensor.starts_with(place) && !tensor.contains("running");
            let of_place: Vec<_> = found.iter().filter(|(tensor, _)| is_its(tensor)).collect();
            assert!(of_place.len() > 1, "{place}");
            for (tensor, values) in of_place {
                assert_eq!(Some(values), whole.get(tensor), "{name}: {tensor}");
            }
        }
    }
}

#[test]
fn a_decayed_rate_goes_on_to_the_same_bits() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| recipe.layer_decay = Some(0.6));
    let [whole, parts, plain] = ["whole", "parts", "plain"].map(|name| runs.path().join(name));
    toy::train(&recipe, &whole);
    toy::interrupt(Training::new(&recipe).begin(&parts).unwrap(), 5);
    toy::finish(Training::default().resume(&parts).unwrap());
    assert_eq!(toy::Result::of(&parts), toy::Result::of(&whole));
    toy::train(&toy::recipe(data.path()), &plain);
    assert_ne!(toy::Result::of(&plain).last, toy::Result::of(&whole).last);
}
