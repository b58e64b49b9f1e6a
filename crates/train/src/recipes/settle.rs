//! Settling of a recipe: what it leaves open is decided by the network and the data.

use residual_arch::{
    NetSpec, OrientationPolicy, Place, Preprocess, RegressionTarget, Resize, Task, TaskKind, families,
};
use residual_data::{Augment, Augmenter, Fit, RandomResizedCrop};

use crate::recipes::batches::{default_batch, leaves_last_out};
use crate::train_loop::whiten::check_whiten;
use crate::{Error, PlaceRates, Recipe};

/// Widest input that gets the augmentation of CIFAR, wider ones that of ImageNet.
pub(crate) const SMALL_INPUT: usize = 64;

/// Limit on the images at a time in an evaluation, where the recipe does not say: more do not make it faster.
const MOST_AT_A_TIME: usize = 256;

impl Recipe {
    /// Settles what the recipe leaves open: the network for data of these `classes`, its preprocessing, the
    /// augmentation, the batches. Gives the recipe with nothing left open, and the network.
    ///
    /// # Errors
    /// Those of [`Recipe::validate`]; [`Error::OneClass`], [`Error::NothingToTrainOn`],
    /// [`Error::NoFullBatch`] for data that do not suffice; [`Error::UnknownModel`], [`Error::Network`],
    /// [`Error::ClassesDiffer`], [`Error::Channels`] for a network that does not fit them;
    /// [`Error::UnknownLayer`] and [`Error::AllFrozen`] for `freeze`, [`Error::UnknownRate`] for `rates`;
    /// [`Error::Resized`] for `resize`.
    pub fn settle(&self, classes: &[String], training_images: usize) -> Result<(Self, NetSpec), Error> {
        self.validate()?;
        if let ([class], true) = (classes, self.task.is_single_label()) {
            return Err(Error::OneClass { class: class.clone() });
        }
        if training_images == 0 {
            return Err(Error::NothingToTrainOn);
        }
        let mut recipe = self.clone();
        let spec = recipe.network_for(classes)?;
        recipe.preprocess = Some(spec.preprocess.clone());
        check_freeze(&recipe.freeze, &spec)?;
        check_whiten(&recipe, &spec)?;
        recipe.check_unfreeze(&spec)?;
        PlaceRates::new(&recipe, &spec)?;
        recipe.resize.iter().try_for_each(|resize| resize.check(&recipe, &spec))?;
        recipe.settle_augment(&spec)?;
        recipe.settle_batches(training_images)?;
        Ok((recipe, spec))
    }

    /// Settles the augmentations and the sizes of their crops, and checks them against the network's channels.
    fn settle_augment(&mut self, spec: &NetSpec) -> Result<(), Error> {
        let [_, height, width] = spec.input;
        let list = self.augment.get_or_insert_with(|| default_augment(spec));
        for one in list.iter_mut() {
            if let Augment::RandomResizedCrop(crop) = one {
                crop.size.get_or_insert([height, width]);
            }
        }
        Augmenter::new(list, &spec.preprocess)?;
        Ok(())
    }

    fn settle_batches(&mut self, images: usize) -> Result<(), Error> {
        let batch_size = *self.batch_size.get_or_insert_with(|| default_batch(images / self.accumulate));
        self.lr = Some(self.rate());
        self.eval_batch_size.get_or_insert(batch_size.min(MOST_AT_A_TIME));
        let batch_size = self.images_per_step();
        self.check_shards(batch_size)?;
        let drop_last = *self.drop_last.get_or_insert_with(|| leaves_last_out(images, batch_size));
        match drop_last && images < batch_size {
            true => Err(Error::NoFullBatch { images, batch_size }),
            false => Ok(()),
        }
    }

    /// Network for data of these classes, with the preprocessing that its images will have.
    fn network_for(&mut self, classes: &[String]) -> Result<NetSpec, Error> {
        let mut spec = match &self.network {
            Some(spec) if spec.head.classes != classes.len() => {
                let (network, data) = (spec.head.classes, classes.len());
                return Err(Error::ClassesDiffer { network, data, names: classes.to_vec() });
            }
            Some(spec) => spec.clone(),
            None => {
                let model = self.model.get_or_insert_with(|| "small".to_owned());
                families::family(model)?.with_classes(classes.len())
            }
        };
        spec.preprocess = match &self.preprocess {
            Some(given) => given.clone(),
            // New trainings see photographs as people do; what is published was trained without.
            None => Fit::preprocess(&spec).with_orientation(OrientationPolicy::Apply),
        };
        self.set_dropping(&mut spec);
        spec.task = task_of(self.task, spec.task, classes);
        let (found, expected) = (spec.preprocess.mean.len(), spec.input[0]);
        if found != expected {
            return Err(Error::Channels { found, expected });
        }
        if let Some([height, width]) = size(&spec.preprocess) {
            spec.input = [spec.input[0], height, width];
        }
        spec.check(spec.input)?;
        Ok(spec)
    }
}

/// Task of a network by the recipe's: with its own threshold or targets where it has them, and else the usual threshold,
/// and targets that are not standardised yet.
fn task_of(kind: TaskKind, own: Task, classes: &[String]) -> Task {
    let is_kept = match &own {
        Task::Regression { targets } => targets.iter().map(|target| &target.name).eq(classes),
        _ => true,
    };
    match kind {
        kind if own.kind() == kind && is_kept => own,
        TaskKind::MultiLabel => Task::multi_label(),
        TaskKind::Regression => {
            let targets = classes.iter().map(|name| RegressionTarget::new(name, 0.0, 1.0)).collect();
            Task::Regression { targets }
        }
        _ => Task::SingleLabel,
    }
}

/// Size of preprocessed images, where it is the same for all.
pub(crate) fn size(preprocess: &Preprocess) -> Option<[usize; 2]> {
    match (preprocess.crop, preprocess.resize) {
        (Some(size), _) | (None, Some(Resize::Exact(size))) => Some(size),
        _ => None,
    }
}

fn default_augment(spec: &NetSpec) -> Vec<Augment> {
    let [_, height, width] = spec.input;
    let flip = Augment::HorizontalFlip { probability: 0.5 };
    let crop = if width <= SMALL_INPUT {
        Augment::PadCrop { padding: width / 8 }
    } else {
        Augment::RandomResizedCrop(RandomResizedCrop::new([height, width]))
    };
    vec![crop, flip]
}

fn check_freeze(freeze: &[String], spec: &NetSpec) -> Result<(), Error> {
    let frozen = spec.named_places(freeze)?;
    let places = spec.places();
    // A stage without blocks has nothing to train.
    let mut trained = places.iter().filter(|place| !matches!(place, Place::Stage(_)));
    match trained.all(|&place| frozen.iter().any(|frozen| frozen.includes(place))) {
        true => Err(Error::AllFrozen),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("class{i}")).collect()
    }

    fn model(name: &str) -> Recipe {
        Recipe { model: Some(name.into()), ..Recipe::default() }
    }

    #[test]
    fn nothing_is_left_open_and_settling_again_changes_nothing() {
        let (recipe, spec) = Recipe::default().settle(&classes(3), 1000).unwrap();
        assert_eq!((spec.name.as_str(), spec.head.classes), ("small", 3));
        assert_eq!(recipe.preprocess.as_ref(), Some(&spec.preprocess));
        assert_eq!(spec.preprocess.crop, Some([32, 32]));
        // 1000 images: 31 steps of 32, and 8 images are left, which make a batch.
        assert_eq!((recipe.batch_size, recipe.lr), (Some(32), Some(0.025)));
        assert_eq!((recipe.eval_batch_size, recipe.drop_last), (Some(32), Some(false)));
        let flip = Augment::HorizontalFlip { probability: 0.5 };
        assert_eq!(recipe.augment, Some(vec![Augment::PadCrop { padding: 4 }, flip]));
        assert_eq!(recipe.settle(&classes(3), 1000).unwrap(), (recipe, spec));
    }

    #[test]
    fn wide_inputs_are_cut_at_random() {
        let (recipe, spec) = model("resnet18").settle(&classes(3), 1000).unwrap();
        let published = families::family("resnet18").unwrap().preprocess;
        assert_eq!(published.orientation, OrientationPolicy::Ignore);
        assert_eq!(spec.preprocess, published.with_orientation(OrientationPolicy::Apply));
        let augment = recipe.augment.unwrap();
        assert_eq!(augment[0], Augment::RandomResizedCrop(RandomResizedCrop::new([224, 224])));
    }

    #[test]
    fn a_crop_without_a_size_takes_the_input_and_channels_are_checked() {
        let crop = Augment::RandomResizedCrop(RandomResizedCrop::default());
        let grey = Augment::RandomGrayscale { probability: 0.1 };
        let with = |augment| Recipe { augment: Some(augment), ..Recipe::default() };
        let (recipe, _) = with(vec![crop, grey.clone()]).settle(&classes(3), 1000).unwrap();
        assert_eq!(recipe.augment.unwrap()[0], Augment::RandomResizedCrop(RandomResizedCrop::new([32, 32])));
        let mut network = families::family("small").unwrap().with_classes(3).with_input([1, 32, 32]);
        network.preprocess = Preprocess::normalise_only()
            .with(|preprocess| (preprocess.mean, preprocess.std) = (vec![0.5], vec![0.5]));
        let recipe = Recipe { network: Some(network), ..with(vec![grey]) };
        let error = recipe.settle(&classes(3), 1000).unwrap_err();
        assert!(error.to_string().starts_with("random_grayscale: grey is made of red"), "{error}");
    }

    #[test]
    fn preprocessing_sets_the_input() {
        let preprocess = Some(Preprocess::imagenet(72, 64));
        let (_, spec) = Recipe { preprocess, ..Recipe::default() }.settle(&classes(2), 100).unwrap();
        assert_eq!(spec.input, [3, 64, 64]);
    }

    #[test]
    fn what_was_given_stays() {
        let given = Recipe { batch_size: Some(70_000), lr: Some(1.0), ..Recipe::default() };
        let (recipe, _) = given.settle(&classes(2), 300).unwrap();
        assert_eq!((recipe.batch_size, recipe.lr, recipe.drop_last), (Some(70_000), Some(1.0), Some(false)));
        assert_eq!(recipe.eval_batch_size, Some(256));
        let tuned = Recipe { init: Some("weights".into()), ..Recipe::default() };
        let (recipe, _) = tuned.settle(&classes(2), 5000).unwrap();
        assert_eq!((recipe.batch_size, recipe.drop_last), (Some(64), Some(false)));
        assert!((recipe.lr.unwrap() - 0.005).abs() < 1e-12);
        assert_eq!(recipe.settle(&classes(2), 5000).unwrap().0, recipe);
    }

    #[test]
    fn small_sets_keep_their_only_batch() {
        let sixty_four = Recipe { batch_size: Some(64), ..Recipe::default() };
        let (recipe, _) = sixty_four.settle(&classes(2), 63).unwrap();
        assert_eq!(recipe.drop_last, Some(false));
        let error = Recipe { drop_last: Some(true), ..sixty_four }.settle(&classes(2), 63).unwrap_err();
        assert!(matches!(error, Error::NoFullBatch { images: 63, batch_size: 64 }), "{error}");
    }

    #[test]
    fn data_and_network_must_fit() {
        let refused = |recipe: Recipe, n| recipe.settle(&classes(n), 100).unwrap_err();
        let error = refused(Recipe::default(), 1);
        assert!(matches!(&error, Error::OneClass { class } if class == "class0"), "{error}");
        let error = Recipe::default().settle(&classes(2), 0).unwrap_err();
        assert!(matches!(error, Error::NothingToTrainOn), "{error}");
        let error = refused(model("smal"), 2);
        assert!(matches!(error, Error::UnknownModel(_)) && error.to_string().contains("small"), "{error}");

        let spec = families::family("small").unwrap();
        let given = |spec: NetSpec| Recipe { network: Some(spec), ..Recipe::default() };
        let error = refused(given(spec.clone()), 3);
        assert!(matches!(error, Error::ClassesDiffer { network: 10, data: 3, .. }), "{error}");
        let mut broken = spec.clone();
        broken.stages[1].blocks[0].shortcut = residual_arch::Shortcut::Identity;
        let error = refused(given(broken), 10);
        assert!(matches!(error, Error::Network(_)) && error.to_string().contains("stage2.block0"), "{error}");
        let mut grey = spec.preprocess.clone();
        (grey.mean, grey.std) = (vec![0.5], vec![0.5]);
        let error = refused(Recipe { preprocess: Some(grey), ..given(spec) }, 10);
        assert!(matches!(error, Error::Channels { found: 1, expected: 3 }), "{error}");
    }

    #[test]
    fn only_layers_that_exist_are_frozen() {
        let freeze = |layers: &[&str]| {
            let freeze = layers.iter().map(ToString::to_string).collect();
            Recipe { freeze, ..Recipe::default() }.settle(&classes(2), 100)
        };
        assert!(freeze(&["stem", "stage1", "stage2.block1"]).is_ok());
        for unknown in ["stage4", "stage", "stage1.block2", "", "fc", "stage3.block0.conv1"] {
            let error = freeze(&["stem", unknown]).unwrap_err();
            assert!(matches!(&error, Error::UnknownLayer(cause) if cause.name == unknown), "{error}");
        }
        let error = freeze(&["stem", "stage1", "stage2", "stage3", "head"]).unwrap_err();
        assert!(matches!(error, Error::AllFrozen), "{error}");
    }
}
