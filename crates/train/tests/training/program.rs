//! A training as a program runs it: images from memory, steps, stops.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use residual_arch::Preprocess;
use residual_data::{Image, LabelledImages, Source};
use residual_train::{Error, Metrics, Observer, Outcome, Recipe, StepReport, Training};

use crate::toy;

/// Images of four channels, of which one is brighter: its number is the label.
fn images(count: usize) -> Vec<(Image, usize)> {
    let value = |image: usize, label: usize, byte: usize| {
        let noise = (image * 31 + byte * 17 + image * byte) % 60;
        (noise + if byte % 4 == label { 120 } else { 60 }) as u8
    };
    let pixels = |image, label| (0..256).map(|byte| value(image, label, byte)).collect();
    (0..count).map(|image| (Image::new(8, 8, 4, pixels(image, image % 3)).unwrap(), image % 3)).collect()
}

fn parts(images: Vec<(Image, usize)>) -> (LabelledImages, LabelledImages) {
    LabelledImages::new(["azure", "brick", "clay"], images).unwrap().hold_out(0.2, 0).unwrap()
}

/// [`toy::recipe`] for images of four channels.
fn recipe() -> Recipe {
    let mut recipe = toy::recipe(Path::new("nowhere"));
    recipe.threads = Some(1);
    let network = recipe.network.as_mut().unwrap();
    network.input = [4, 8, 8];
    network.preprocess = Preprocess::normalise_only()
        .with(|preprocess| (preprocess.mean, preprocess.std) = (vec![0.4; 4], vec![0.25; 4]));
    recipe
}

fn training<'a>() -> Training<'a> {
    let (train, held_out) = parts(images(41));
    Training::new(recipe()).images(train, held_out)
}

#[test]
fn images_of_four_channels_from_memory_are_trained_on_and_gone_on_with() {
    let runs = tempfile::tempdir().unwrap();
    let (whole, run) = (runs.path().join("whole"), runs.path().join("run"));
    let mut trainer = training().begin(&whole).unwrap();
    assert_eq!(trainer.classes(), ["azure", "brick", "clay"]);
    assert_eq!((trainer.training_images(), trainer.evaluation_images().1), (32, 9));
    let Outcome::Finished { best, .. } = trainer.run().unwrap() else { panic!() };
    // The recipe's threads, also after statistics were taken anew on a copy of the network.
    assert_eq!(trainer.network().context().cpu().pool().threads(), 1);
    assert!(best.top1 > 0.5, "{best:?}");
    assert_eq!(trainer.into_network().spec().input, [4, 8, 8]);

    toy::interrupt(training().begin(&run).unwrap(), 6);
    let error = Training::default().resume(&run).map(drop).unwrap_err();
    assert!(matches!(error, Error::ImagesNotGiven), "{error}");
    toy::finish(training().resume(&run).unwrap());
    assert_eq!(toy::Result::of(&run), toy::Result::of(&whole));
}

#[test]
fn other_images_than_those_that_the_run_began_with_are_refused() {
    let runs = tempfile::tempdir().unwrap();
    toy::interrupt(training().begin(runs.path()).unwrap(), 2);
    let resume = |images: Vec<(Image, usize)>| {
        let (train, held_out) = parts(images);
        Training::default().images(train, held_out).resume(runs.path()).map(drop).unwrap_err()
    };
    let mut other = images(41);
    other[7].0 = Image::new(8, 8, 4, vec![9; 256]).unwrap();
    let error = resume(other);
    assert!(matches!(&error, Error::ImageChanged { file, .. } if file == "image 7"), "{error}");
    assert!(matches!(resume(images(38)), Error::ImageChanged { .. }));
    // A run on images of a folder is not gone on with on others.
    let data = toy::data();
    let run = runs.path().join("folder");
    toy::interrupt(Training::new(toy::recipe(data.path())).begin(&run).unwrap(), 2);
    let grey = images(41)
        .into_iter()
        .map(|(image, label)| (Image::new(8, 8, 1, image.into_pixels()[..64].to_vec()).unwrap(), label));
    let (train, held_out) = parts(grey.collect());
    let error = Training::default().images(train, held_out).resume(&run).map(drop).unwrap_err();
    assert!(matches!(&error, Error::RecipeChanged { field, .. } if field == "data.from_program"), "{error}");
}

#[test]
fn parts_of_other_classes_are_refused() {
    let runs = tempfile::tempdir().unwrap();
    let (train, _) = parts(images(41));
    let two = LabelledImages::new(["azure", "brick"], Vec::new()).unwrap();
    let refused = |held_out: LabelledImages| {
        Training::new(recipe()).images(train.clone(), held_out).begin(runs.path()).map(drop).unwrap_err()
    };
    assert!(matches!(refused(two), Error::SplitsDiffer { .. }));
    let none = LabelledImages::new(train.classes().to_vec(), Vec::new()).unwrap();
    assert!(matches!(refused(none), Error::NothingToEvaluate));
    assert_eq!(std::fs::read_dir(runs.path()).unwrap().count(), 0);
}

/// Asks to stop at a step, and after the evaluation of an epoch.
struct Stop {
    step: u64,
    epoch: usize,
}

impl Observer for Stop {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        if report.step == self.step { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pass(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        let is_last = metrics.epoch == self.epoch && metrics.split == "val";
        if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn an_observer_or_a_flag_stops_a_training_that_goes_on_to_the_same_bits() {
    let runs = tempfile::tempdir().unwrap();
    let (whole, run) = (runs.path().join("whole"), runs.path().join("run"));
    toy::finish(training().begin(&whole).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let training = training().observer(Stop { step: 3, epoch: 2 }).stop(stop.clone());
    let mut trainer = training.begin(&run).unwrap();
    assert_eq!(trainer.run().unwrap(), Outcome::Interrupted { epoch: 1, step: 3 });
    assert_eq!(trainer.run().unwrap(), Outcome::Interrupted { epoch: 3, step: 8 });
    stop.store(true, Ordering::Relaxed);
    assert_eq!(trainer.run().unwrap(), Outcome::Interrupted { epoch: 3, step: 8 });
    assert_eq!(trainer.step().unwrap(), None);
    stop.store(false, Ordering::Relaxed);
    let report = trainer.step().unwrap().unwrap();
    assert_eq!((report.epoch, report.step), (3, 9));
    toy::finish(trainer);
    assert_eq!(toy::Result::of(&run), toy::Result::of(&whole));
}

/// A source that a program has written: it tells nothing of its images but their pixels.
struct Drawn(LabelledImages);

impl Source for Drawn {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn label(&self, index: usize) -> usize {
        self.0.label(index)
    }

    fn image(&self, index: usize) -> Result<Image, residual_data::Error> {
        self.0.image(index)
    }
}

#[test]
fn a_source_of_ones_own_is_trained_on_and_gone_on_with() {
    let runs = tempfile::tempdir().unwrap();
    let (whole, run) = (runs.path().join("whole"), runs.path().join("run"));
    let training = || {
        let (train, held_out) = parts(images(41));
        Training::new(recipe()).images(Drawn(train), Drawn(held_out))
    };
    toy::finish(training().begin(&whole).unwrap());
    toy::interrupt(training().begin(&run).unwrap(), 5);
    let trainer = training().resume(&run).unwrap();
    assert_eq!(trainer.remarks(), [""; 0]);
    toy::finish(trainer);
    assert_eq!(toy::Result::of(&run), toy::Result::of(&whole));
}

#[test]
fn a_model_in_memory_is_fine_tuned_and_its_recipe_repeated() {
    let runs = tempfile::tempdir().unwrap();
    let (first, run, again) = (runs.path().join("first"), runs.path().join("run"), runs.path().join("again"));
    let mut trainer = training().begin(&first).unwrap();
    trainer.run().map(drop).unwrap();
    let model = trainer.model().unwrap();
    assert_eq!(model.classes(), Some(&["azure", "brick", "clay"].map(String::from)[..]));

    let two = |images: Vec<(Image, usize)>| {
        let images = images.into_iter().filter(|(_, label)| *label < 2).collect();
        LabelledImages::new(["azure", "brick"], images).unwrap().hold_out(0.2, 0).unwrap()
    };
    let tuning = |recipe: Recipe| {
        let (train, held_out) = two(images(41));
        Training::new(recipe).images(train, held_out)
    };
    let open = recipe().with(|recipe| (recipe.network, recipe.lr) = (None, None));
    let mut trainer = tuning(open).model(model.clone()).begin(&run).unwrap();
    assert_eq!(trainer.replaced_head().map(|head| (head.found, head.classes)), Some((3, 2)));
    let path = "stem.conv0.weight".parse().unwrap();
    assert_eq!(trainer.model().unwrap().tensor(path), model.tensor(path));
    // A tenth of the rate of ten images, as with the weights of a file.
    assert!((trainer.recipe().rate() - 0.05 * 10.0 / 64.0 / 10.0).abs() < 1e-12);
    trainer.run().map(drop).unwrap();
    let repeated = Recipe::read(run.join("recipe.toml")).unwrap();
    toy::finish(tuning(repeated).begin(&again).unwrap());
    assert_eq!(toy::Result::of(&again), toy::Result::of(&run));
}
