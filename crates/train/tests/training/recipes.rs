//! Recipes with a name: settled on the images that they are made for, and two steps of each on a small network.

use residual_arch::Preprocess;
use residual_data::Augment;
use residual_train::{NamedRecipe, Recipe, Training, Warmup};

use crate::toy;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|class| format!("class{class}")).collect()
}

#[test]
fn every_recipe_is_settled_on_its_images() {
    for named in NamedRecipe::all() {
        let recipe = named.recipe().unwrap();
        let of_imagenet = named.name.starts_with("imagenet");
        let (classes, images) = if of_imagenet { (1000, 1_281_167) } else { (10, 45_000) };
        let (settled, spec) = recipe.settle(&names(classes), images).unwrap();
        let side = if of_imagenet { 224 } else { 32 };
        assert_eq!((spec.input, spec.head.classes), ([3, side, side], classes), "{}", named.name);
        assert_eq!(settled.origin, recipe.origin);
        if named.name.starts_with("finetune") {
            let photographs = Recipe::from("resnet18").with(|other| other.init = Some("weights".into()));
            let recipe =
                recipe.with(|recipe| (recipe.model, recipe.init) = (photographs.model, photographs.init));
            assert_eq!(recipe.settle(&names(5), 800).unwrap().1.input, [3, 224, 224]);
        }
    }
}

/// The recipe for the toy network, on images of 36x36 pixels for those that are cut out of larger ones.
fn stand_in(named: &NamedRecipe, data: &std::path::Path) -> Recipe {
    let (settled, _) = named.recipe().unwrap().settle(&names(3), 45_000).unwrap();
    let is_cut = settled.augment.iter().flatten().any(|one| matches!(one, Augment::RandomResizedCrop(_)));
    settled.with(|recipe| {
        let network = toy::network(3).with(|network| network.input = [3, 32, 32]);
        (recipe.model, recipe.network) = (None, Some(network));
        recipe.preprocess = is_cut.then(|| Preprocess::imagenet(36, 32));
        for one in recipe.augment.iter_mut().flatten() {
            if let Augment::RandomResizedCrop(crop) = one {
                crop.size = Some([28, 28]);
            }
        }
        (recipe.batch_size, recipe.eval_batch_size, recipe.drop_last) = (Some(12), None, None);
        recipe.epochs = 1;
        if recipe.warmup != Warmup::Steps(0) {
            recipe.warmup = Warmup::Steps(1);
        }
        recipe.data.path = data.to_owned();
        recipe.threads = Some(2);
    })
}

#[test]
fn every_recipe_trains() {
    let data = tempfile::tempdir().unwrap();
    toy::images(data.path(), 3, 8, 2, 36);
    let runs = tempfile::tempdir().unwrap();
    for named in NamedRecipe::all() {
        let recipe = stand_in(named, data.path());
        let mut trainer = Training::new(&recipe).begin(runs.path().join(named.name)).unwrap();
        let first = trainer.step().unwrap().unwrap();
        let second = trainer.step().unwrap().unwrap();
        assert!(first.loss.is_finite() && second.loss.is_finite(), "{}", named.name);
        assert_eq!((second.step, second.total_steps), (2, 2), "{}", named.name);
        toy::finish(trainer);
        // The run's recipe says what it began as.
        let written = Recipe::read(runs.path().join(named.name).join("recipe.toml")).unwrap();
        assert_eq!(written.origin.unwrap().name, named.name);
    }
}
