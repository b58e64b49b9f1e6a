//! What is wrong is said before it costs anything, and no earlier checkpoint is lost.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use residual_arch::families;
use residual_train::{Error, Observer, Recipe, Schedule, StepReport, Trainer, Warmup};

use crate::toy;

/// The error of beginning the toy training after `change`; nothing may have been written.
fn refused(data: &Path, change: impl FnOnce(&mut Recipe)) -> Error {
    let runs = tempfile::tempdir().unwrap();
    let run = runs.path().join("run");
    let mut recipe = toy::recipe(data);
    change(&mut recipe);
    let error = Trainer::begin(&recipe, &run).map(drop).unwrap_err();
    assert!(!run.exists(), "a folder was made before this was found: {error}");
    error
}

#[test]
fn a_recipe_is_checked_before_anything_is_written() {
    let data = toy::data();
    let refused = |change: fn(&mut Recipe)| refused(data.path(), change);
    assert!(matches!(refused(|r| r.epochs = 0), Error::ZeroEpochs));
    assert!(matches!(refused(|r| r.lr = -0.1), Error::LearningRate { .. }));
    assert!(matches!(refused(|r| r.batch_size = 0), Error::ZeroBatch { .. }));
    assert!(matches!(refused(|r| r.network = Some(toy::network(4))), Error::ClassesDiffer { .. }));
    assert!(matches!(refused(|r| r.freeze = vec!["layer1".into()]), Error::UnknownLayer { .. }));
    assert!(matches!(refused(|r| (r.batch_size, r.drop_last) = (50, Some(true))), Error::NoFullBatch { .. }));
    assert!(matches!(refused(|r| r.warmup = Warmup::Epochs(3.0)), Error::WarmupTooLong { .. }));
    let error = refused(|r| {
        let mut spec = toy::network(3);
        spec.stages[1].blocks[0].shortcut = residual_arch::Shortcut::Identity;
        r.network = Some(spec);
    });
    assert!(error.to_string().contains("stage2.block0"), "{error}");
}

#[test]
fn data_that_teach_nothing_are_refused() {
    let one = tempfile::tempdir().unwrap();
    toy::images(one.path(), 1, 4, 2, 8);
    let error = refused(one.path(), |_| {});
    assert!(error.to_string().contains("azure"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = refused(empty.path(), |_| {});
    assert!(matches!(error, Error::Data(_)) && error.to_string().contains("no classes"), "{error}");
    let error = refused(&empty.path().join("nowhere"), |_| {});
    assert!(matches!(error, Error::Data(_)) && error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn weights_of_another_model_are_refused() {
    let data = toy::data();
    let runs = tempfile::tempdir().unwrap();
    let small = runs.path().join("small");
    let recipe = Recipe { network: None, model: Some("cifar_resnet8".into()), ..toy::recipe(data.path()) };
    drop(Trainer::begin(&recipe, &small).unwrap());
    let error = refused(data.path(), |r| r.init = Some(small.join("last.safetensors")));
    assert!(matches!(error, Error::Init { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("last.safetensors") && text.contains("toy") && text.contains("missing"), "{text}");

    let error = refused(data.path(), |r| r.init = Some(data.path().join("train/azure/00.png")));
    assert!(matches!(error, Error::Weights(_)) && error.to_string().contains("00.png"), "{error}");
    let error = refused(data.path(), |r| r.init = Some("none.pth".into()));
    assert!(error.to_string().contains("none.pth"), "{error}");
}

#[test]
fn a_run_is_not_overwritten() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = Recipe { epochs: 1, ..toy::recipe(data.path()) };
    toy::train(&recipe, runs.path());
    let before = fs::read(runs.path().join("last.safetensors")).unwrap();
    let error = Trainer::begin(&recipe, runs.path()).map(drop).unwrap_err();
    assert!(matches!(error, Error::RunExists(_)) && error.to_string().contains("--resume"), "{error}");
    assert_eq!(fs::read(runs.path().join("last.safetensors")).unwrap(), before);
}

#[test]
fn two_trainings_do_not_share_a_folder() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let trainer = Trainer::begin(&toy::recipe(data.path()), runs.path()).unwrap();
    let error = Trainer::resume(runs.path()).map(drop).unwrap_err();
    assert!(matches!(error, Error::Locked(_)), "{error}");
    drop(trainer);
    assert!(Trainer::resume(runs.path()).is_ok());
}

#[test]
fn a_run_that_was_tampered_with_is_not_resumed() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    let resume = || Trainer::resume(&run).map(drop).unwrap_err();
    let error = resume();
    assert!(matches!(error, Error::NoRun { .. }), "{error}");

    let recipe = toy::recipe(data.path());
    toy::interrupt(Trainer::begin(&recipe, &run).unwrap(), 5);
    let last = run.join("last.safetensors");
    let good = fs::read(&last).unwrap();

    // Another network in the recipe.
    let other =
        Recipe { network: Some(families::family("small").unwrap().with_classes(3)), ..recipe.clone() };
    let settled = fs::read_to_string(run.join("recipe.toml")).unwrap();
    fs::write(run.join("recipe.toml"), other.to_toml().unwrap()).unwrap();
    let error = resume();
    assert!(matches!(error, Error::Checkpoint { .. }) && error.to_string().contains("toy"), "{error}");
    fs::write(run.join("recipe.toml"), settled).unwrap();

    // Half a checkpoint, and weights that are for prediction alone.
    fs::write(&last, &good[..good.len() / 2]).unwrap();
    let error = resume();
    assert!(matches!(error, Error::Weights(_)) && error.to_string().contains("last.safetensors"), "{error}");
    fs::copy(run.join("best.safetensors"), &last).unwrap();
    let error = resume();
    assert!(matches!(error, Error::Checkpoint { .. }), "{error}");
    fs::write(&last, &good).unwrap();

    // Other images.
    let image = data.path().join("train/brick/03.png");
    fs::rename(&image, data.path().join("moved.png")).unwrap();
    let error = resume();
    assert!(matches!(error, Error::DataChanged { what: "training images", .. }), "{error}");
    fs::rename(data.path().join("moved.png"), &image).unwrap();
    toy::finish(Trainer::resume(&run).unwrap());
}

#[test]
fn a_training_that_diverges_stops_and_keeps_what_was_good() {
    let data = toy::data();
    let diverge = |lr| {
        let runs = tempfile::tempdir().unwrap();
        let recipe = Recipe {
            lr,
            schedule: Schedule::Constant {},
            warmup: Warmup::Steps(0),
            checkpoint_every_steps: Some(1),
            ..toy::recipe(data.path())
        };
        let trainer = Trainer::begin(&recipe, runs.path()).unwrap();
        let error = trainer.run(&mut (), &AtomicBool::new(false)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("lower the learning rate") && text.contains("step"), "{text}");
        let kept = residual_weights::Checkpoint::read(runs.path().join("last.safetensors")).unwrap();
        let finite =
            |(_, tensor): (&str, &residual_weights::Tensor)| tensor.data().iter().all(|x| x.is_finite());
        assert!(kept.tensors.iter().all(finite) && kept.optimiser.iter().all(finite));
        error
    };
    // Weights that are large and then a loss that is not finite; weights that are not finite at once.
    let error = diverge(1e30);
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
    let error = diverge(1e39);
    assert!(matches!(error, Error::NotFinite { step: 1, .. }), "{error}");
}

/// Takes the folder away in the middle of a training.
struct RemoveAt<'a>(u64, &'a Path);

impl Observer for RemoveAt<'_> {
    fn step(&mut self, report: &StepReport) {
        if report.step == self.0 {
            fs::rename(self.1, self.1.with_extension("moved")).unwrap();
        }
    }
}

#[test]
fn a_folder_that_vanishes_is_named_and_its_checkpoint_is_whole() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    let trainer = Trainer::begin(&toy::recipe(data.path()), &run).unwrap();
    let error = trainer.run(&mut RemoveAt(6, &run), &AtomicBool::new(false)).unwrap_err();
    assert!(error.to_string().contains("run/"), "{error}");
    toy::finish(Trainer::resume(run.with_extension("moved")).unwrap());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let file = runs.path().join("file");
    fs::write(&file, b"no folder").unwrap();
    let error = Trainer::begin(&toy::recipe(data.path()), file.join("run")).map(drop).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("file/run"), "{error}");
}

/// A limit on the size of files fails a write in the middle, as a full disk does. It can be set for a
/// process only, so this test runs itself again under it.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_earlier_checkpoint() {
    const RUN: &str = "RESIDUAL_TEST_FULL_DISK";
    if let Some(run) = std::env::var_os(RUN) {
        let error = Trainer::resume(&run).unwrap().run(&mut (), &AtomicBool::new(false)).unwrap_err();
        assert!(matches!(error, Error::Weights(_)), "{error}");
        assert!(error.to_string().contains(".safetensors: cannot write"), "{error}");
        println!("the disk was full");
        return;
    }
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    toy::interrupt(Trainer::begin(&toy::recipe(data.path()), &run).unwrap(), 5);
    let files = ["last.safetensors", "best.safetensors"].map(|name| run.join(name));
    let contents = || files.clone().map(|path| fs::read(path).unwrap());
    let before = contents();

    // Blocks of 512 bytes: metrics.jsonl fits, a checkpoint does not.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "bad_input::a_full_disk_leaves_the_earlier_checkpoint", "--nocapture"])
        .env(RUN, &run)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && output.contains("the disk was full"), "{output}");
    assert!(before.iter().all(|file| file.len() > 8 * 512));
    assert_eq!(contents(), before);
    let names = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
    toy::finish(Trainer::resume(&run).unwrap());
}

#[derive(Default)]
struct Skipped(Vec<String>);

impl Observer for Skipped {
    fn skipped(&mut self, reason: &str) {
        self.0.push(reason.to_owned());
    }
}

#[test]
fn a_corrupt_image_stops_the_training_or_is_left_out() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path());
    for split in ["train", "val"] {
        fs::write(data.path().join(split).join("clay/01.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    }
    let run = runs.path().join("run");
    let stopped = |trainer: Trainer| trainer.run(&mut (), &AtomicBool::new(false)).unwrap_err();
    let error = stopped(Trainer::begin(&recipe, &run).unwrap());
    assert!(matches!(error, Error::Data(_)) && error.to_string().contains("train/clay/01.png"), "{error}");
    // Mended, the training goes on to the image in the other split, and loses no step over it.
    fs::copy(data.path().join("train/clay/02.png"), data.path().join("train/clay/01.png")).unwrap();
    let error = stopped(Trainer::resume(&run).unwrap());
    assert!(matches!(error, Error::Data(_)) && error.to_string().contains("val/clay/01.png"), "{error}");
    assert_eq!(Trainer::resume(&run).unwrap().steps_done(), 4);
    fs::write(data.path().join("train/clay/01.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();

    let mut trainer = Trainer::resume(&run).unwrap();
    trainer.set_skip_bad(true);
    let mut skipped = Skipped::default();
    trainer.run(&mut skipped, &AtomicBool::new(false)).map(drop).unwrap();
    // Each once, though every epoch meets both.
    assert_eq!(skipped.0.len(), 2, "{:?}", skipped.0);
    assert!(skipped.0.iter().all(|reason| reason.contains("clay/01.png")), "{:?}", skipped.0);
}

#[test]
fn a_single_image_on_a_single_pixel_is_refused_in_words() {
    let (data, runs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    toy::images(data.path(), 3, 3, 1, 2);
    let recipe = Recipe { batch_size: 8, augment: Some(vec![]), ..toy::recipe(data.path()) };
    let preprocess = residual_arch::Preprocess::normalise_only();
    let recipe = Recipe { preprocess: Some(preprocess), ..recipe };
    let error =
        Trainer::begin(&recipe, runs.path()).unwrap().run(&mut (), &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, Error::Nn(_)) && error.to_string().contains("use a larger batch"), "{error}");
}

#[test]
fn images_too_small_for_the_network_are_refused_in_words() {
    let (data, runs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    toy::images(data.path(), 3, 3, 1, 2);
    let mut network = toy::network(3);
    network.stem.convs[0].padding = 0;
    let preprocess = Some(residual_arch::Preprocess::normalise_only());
    let recipe = Recipe { network: Some(network), preprocess, ..toy::recipe(data.path()) };
    let error =
        Trainer::begin(&recipe, runs.path()).unwrap().run(&mut (), &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, Error::ImageSize { input: [3, 2, 2], .. }), "{error}");
}
