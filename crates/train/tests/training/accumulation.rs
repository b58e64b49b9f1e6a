//! Steps whose batch goes through the network in parts.

use std::path::Path;

use residual_arch::{NetSpec, NormKind};
use residual_data::{Augment, Mix};
use residual_train::{Recipe, Sam, Training};
use residual_weights::Checkpoint;

use crate::toy;

/// The toy network with norms that see one image at a time.
fn group_norms(classes: usize) -> NetSpec {
    toy::network(classes).with(|net| {
        net.stem.norm = NormKind::group(2);
        net.stages
            .iter_mut()
            .flat_map(|stage| &mut stage.blocks)
            .for_each(|block| block.norm = NormKind::group(2));
    })
}

/// Steps of 12 images with all that is random: augmentation, mixing, dropout, stochastic depth. The last step of an
/// epoch has 9.
fn recipe(data: &Path, batch_size: usize, accumulate: usize) -> Recipe {
    toy::recipe(data).with(|recipe| {
        recipe.network = Some(group_norms(3));
        (recipe.batch_size, recipe.accumulate, recipe.epochs) = (Some(batch_size), accumulate, 2);
        recipe.augment = Some(Augment::parse_list("pad_crop:padding=1,random_erasing").unwrap());
        recipe.mix = Some(Mix::default().with(|mix| (mix.mixup, mix.cutmix) = (0.8, 1.0)));
    })
}

/// Greatest difference of the weights of two finished trainings.
fn difference(one: &Path, other: &Path) -> f32 {
    let [one, other] =
        [one, other].map(|run| Checkpoint::read(run.join("last.safetensors")).unwrap().tensors);
    let pairs = one.iter().map(|(name, tensor)| (tensor.data(), other.get(name).unwrap().data()));
    pairs.flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn parts_make_the_step_of_the_large_batch() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = |name: &str, recipe: &Recipe| {
        let folder = runs.path().join(name);
        toy::train(recipe, &folder);
        folder
    };
    let large = run("large", &recipe(data.path(), 12, 1));
    for (batch_size, accumulate) in [(6, 2), (4, 3), (1, 12)] {
        let parts = run(&format!("{accumulate} parts"), &recipe(data.path(), batch_size, accumulate));
        let found = difference(&parts, &large);
        assert!(found > 0.0 && found < 2e-5, "{accumulate} parts: {found}");
        let [parts, large] = [&parts, &large].map(|run| toy::Result::of(run).metrics);
        for (of_parts, of_large) in parts.iter().zip(&large) {
            assert!((of_parts.loss - of_large.loss).abs() < 1e-5, "{of_parts:?} {of_large:?}");
            assert_eq!((of_parts.step, of_parts.top1), (of_large.step, of_large.top1));
        }
    }
    // Another draw, and the weights are others.
    let other = run("other", &recipe(data.path(), 12, 1).with(|recipe| recipe.seed = 12));
    assert!(difference(&other, &large) > 1e-2);
}

#[test]
fn frozen_batch_norms_do_not_see_the_parts() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let frozen = |batch_size, accumulate| {
        recipe(data.path(), batch_size, accumulate).with(|recipe| {
            recipe.network = Some(toy::network(3));
            recipe.freeze = ["stem", "stage1", "stage2"].map(str::to_owned).into();
        })
    };
    let [large, parts] = ["large", "parts"].map(|name| runs.path().join(name));
    toy::train(&frozen(12, 1), &large);
    toy::train(&frozen(3, 4), &parts);
    let found = difference(&parts, &large);
    assert!(found > 0.0 && found < 1e-5, "{found}");
}

#[test]
fn accumulation_and_sharpness_go_on_to_the_same_bits() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    for (name, accumulate, sam) in
        [("parts", 3, None), ("sam", 1, Some(Sam::new(0.1))), ("both", 3, Some(Sam::new(0.1)))]
    {
        let recipe = recipe(data.path(), 12 / accumulate, accumulate).with(|recipe| {
            recipe.network = Some(toy::network(3));
            recipe.sam = sam;
        });
        let [whole, parts] = ["whole", "in parts"].map(|part| runs.path().join(format!("{name} {part}")));
        toy::train(&recipe, &whole);
        toy::interrupt(Training::new(&recipe).begin(&parts).unwrap(), 2);
        toy::interrupt(Training::default().resume(&parts).unwrap(), 4);
        toy::finish(Training::default().resume(&parts).unwrap());
        assert_eq!(toy::Result::of(&parts), toy::Result::of(&whole), "{name}");
    }
}

#[test]
fn sharpness_of_no_radius_is_the_optimiser_alone_and_parts_do_not_change_it() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = |name: &str, recipe: Recipe| {
        let folder = runs.path().join(name);
        toy::train(&recipe, &folder);
        folder
    };
    // Batch norms' running statistics included: those of the first pass alone move them.
    let with = |sam| {
        recipe(data.path(), 12, 1).with(|recipe| {
            recipe.network = Some(toy::network(3));
            recipe.sam = sam;
        })
    };
    let plain = run("plain", with(None));
    assert_eq!(difference(&run("near", with(Some(Sam::new(1e-30)))), &plain), 0.0);
    assert!(difference(&run("far", with(Some(Sam::new(0.5)))), &plain) > 1e-3);

    let sharp = |batch_size, accumulate| {
        recipe(data.path(), batch_size, accumulate).with(|recipe| recipe.sam = Some(Sam::new(0.1)))
    };
    let found = difference(&run("large", sharp(12, 1)), &run("parts", sharp(4, 3)));
    assert!(found > 0.0 && found < 5e-5, "{found}");
}
