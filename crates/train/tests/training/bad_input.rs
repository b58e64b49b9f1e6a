//! Trainings that cannot begin or go on: what is wrong is said before it costs anything.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use residual_train::{Error, Observer, Recipe, Schedule, StepReport, Trainer, Training, Warmup};

use crate::toy;

/// The error of beginning the toy training after `change`; nothing may have been written.
fn refused(data: &Path, change: impl FnOnce(&mut Recipe)) -> Error {
    let runs = tempfile::tempdir().unwrap();
    let run = runs.path().join("run");
    let mut recipe = toy::recipe(data);
    change(&mut recipe);
    let error = Training::new(&recipe).begin(&run).map(drop).unwrap_err();
    assert!(!run.exists(), "a folder was made before this was found: {error}");
    error
}

#[test]
fn a_recipe_is_checked_before_anything_is_written() {
    let data = toy::data();
    let refused = |change: fn(&mut Recipe)| refused(data.path(), change);
    assert!(matches!(refused(|r| r.epochs = 0), Error::ZeroEpochs));
    assert!(matches!(refused(|r| r.lr = Some(-0.1)), Error::LearningRate { .. }));
    assert!(matches!(refused(|r| r.batch_size = Some(0)), Error::ZeroBatch { .. }));
    assert!(matches!(refused(|r| r.network = Some(toy::network(4))), Error::ClassesDiffer { .. }));
    assert!(matches!(refused(|r| r.freeze = vec!["layer1".into()]), Error::UnknownLayer(_)));
    assert!(matches!(
        refused(|r| (r.batch_size, r.drop_last) = (Some(50), Some(true))),
        Error::NoFullBatch { .. }
    ));
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
    let recipe = toy::recipe(data.path())
        .with(|recipe| (recipe.network, recipe.model) = (None, Some("cifar_resnet8".into())));
    drop(Training::new(&recipe).begin(&small).unwrap());
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
    let recipe = toy::recipe(data.path()).with(|recipe| recipe.epochs = 1);
    toy::train(&recipe, runs.path());
    let before = fs::read(runs.path().join("last.safetensors")).unwrap();
    let error = Training::new(&recipe).begin(runs.path()).map(drop).unwrap_err();
    assert!(matches!(error, Error::RunExists(_)) && error.to_string().contains("--resume"), "{error}");
    assert_eq!(fs::read(runs.path().join("last.safetensors")).unwrap(), before);
}

#[test]
fn two_trainings_do_not_share_a_folder() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let trainer = Training::new(toy::recipe(data.path())).begin(runs.path()).unwrap();
    let error = Training::default().resume(runs.path()).map(drop).unwrap_err();
    assert!(matches!(error, Error::Locked(_)), "{error}");
    drop(trainer);
    assert!(Training::default().resume(runs.path()).is_ok());
}

#[test]
fn weights_that_are_no_numbers_are_not_begun_with() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let first = runs.path().join("first");
    toy::train(&toy::recipe(data.path()).with(|recipe| recipe.epochs = 1), &first);
    let good = residual_weights::Checkpoint::read(first.join("best.safetensors")).unwrap();
    let names: Vec<String> = good.tensors.iter().map(|(name, _)| name.to_owned()).collect();
    let ends = |end: &str| names.iter().find(|name| name.ends_with(end)).unwrap().clone();
    let cases = [(ends("weight"), f32::NAN), (ends("bias"), f32::INFINITY), (ends("running_var"), -1.0)];
    for (name, value) in cases {
        let mut bad = good.clone();
        bad.tensors.get_mut(&name).unwrap().data_mut()[0] = value;
        let path = runs.path().join("bad.safetensors");
        bad.write(&path).unwrap();
        let error = refused(data.path(), |r| r.init = Some(path));
        assert!(matches!(error, Error::Init { .. }) && error.to_string().contains(&name), "{error}");
    }
}

#[test]
fn what_can_be_known_is_said_before_there_is_a_folder() {
    let data = toy::data();
    let alone = tempfile::tempdir().unwrap();
    toy::images(alone.path(), 3, 4, 2, 8);
    fs::remove_dir_all(alone.path().join("val")).unwrap();
    let error = refused(alone.path(), |_| ());
    assert!(matches!(error, Error::NothingHeldOut(_)) && error.to_string().contains("held out"), "{error}");

    let refused = |change: fn(&mut Recipe)| refused(data.path(), change);
    let wide = |r: &mut Recipe| {
        let mut spec = toy::network(3);
        spec.stages[1].blocks[0] = residual_arch::BlockSpec::projection(1 << 20, 2);
        r.network = Some(spec);
    };
    let error = refused(wide);
    assert!(matches!(error, Error::Memory { .. }), "{error}");
    let huge = |r: &mut Recipe| {
        let mut spec = toy::network(3);
        spec.stem = residual_arch::StemSpec::cifar(1 << 14);
        spec.stages.truncate(1);
        spec.stages[0].blocks[0] = residual_arch::BlockSpec::projection(4, 2);
        r.network = Some(spec);
        r.preprocess = Some(residual_arch::Preprocess::imagenet(2048, 2048));
        r.augment = Some(vec![]);
    };
    let error = refused(huge);
    assert!(matches!(error, Error::Memory { .. }) && error.to_string().contains("--batch-size"), "{error}");
    let error = refused(|r| r.preprocess = Some(residual_arch::Preprocess::imagenet(0, 8)));
    assert!(!error.to_string().is_empty());
    let error = refused(|r| r.epochs = usize::MAX >> 1);
    assert!(matches!(error, Error::TooManySteps { .. }), "{error}");
}

#[test]
fn a_batch_for_more_images_than_there_are_trains_and_evaluates() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| {
        recipe.batch_size = Some(70_000);
        recipe.eval_batch_size = Some(70_000);
        recipe.epochs = 2;
        recipe.warmup = Warmup::Steps(0);
    });
    toy::train(&recipe, runs.path());
}

#[test]
fn a_run_that_cannot_be_written_leaves_nothing() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let file = runs.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Training::new(toy::recipe(data.path())).begin(file.join("a/b")).map(drop).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let left: Vec<_> = fs::read_dir(runs.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["file"]);
}

#[test]
fn a_training_that_diverges_stops_and_keeps_what_was_good() {
    let data = toy::data();
    let diverge = |lr| {
        let runs = tempfile::tempdir().unwrap();
        let recipe = toy::recipe(data.path()).with(|recipe| {
            recipe.lr = Some(lr);
            recipe.schedule = Schedule::Constant {};
            recipe.warmup = Warmup::Steps(0);
            recipe.checkpoint_every_steps = Some(1);
        });
        let mut trainer = Training::new(&recipe).begin(runs.path()).unwrap();
        let error = trainer.run().unwrap_err();
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
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        if report.step == self.0 {
            fs::rename(self.1, self.1.with_extension("moved")).unwrap();
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn a_folder_that_vanishes_is_named_and_its_checkpoint_is_whole() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    let training = Training::new(toy::recipe(data.path())).observer(RemoveAt(6, &run));
    let error = training.begin(&run).unwrap().run().unwrap_err();
    assert!(error.to_string().contains("run/"), "{error}");
    toy::finish(Training::default().resume(run.with_extension("moved")).unwrap());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let file = runs.path().join("file");
    fs::write(&file, b"no folder").unwrap();
    let error = Training::new(toy::recipe(data.path())).begin(file.join("run")).map(drop).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("file/run"), "{error}");
}

/// A limit on the size of files fails a write in the middle, as a full disk does. It can be set for a
/// process only, so this test runs itself again under it.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_earlier_checkpoint() {
    const RUN: &str = "RESIDUAL_TEST_FULL_DISK";
    if let Some(run) = std::env::var_os(RUN) {
        let error = Training::default().resume(&run).unwrap().run().unwrap_err();
        assert!(matches!(error, Error::Weights(_)), "{error}");
        assert!(error.to_string().contains(".safetensors: cannot write"), "{error}");
        println!("the disk was full");
        return;
    }
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    toy::interrupt(Training::new(toy::recipe(data.path())).begin(&run).unwrap(), 5);
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
    toy::finish(Training::default().resume(&run).unwrap());
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
    let stopped = |mut trainer: Trainer| trainer.run().unwrap_err();
    let error = stopped(Training::new(&recipe).begin(&run).unwrap());
    assert!(matches!(error, Error::Data(_)) && error.to_string().contains("train/clay/01.png"), "{error}");
    // Mended, the training goes on to the image in the other split, and loses no step over it.
    fs::copy(data.path().join("train/clay/02.png"), data.path().join("train/clay/01.png")).unwrap();
    let error = stopped(Training::default().resume(&run).unwrap());
    assert!(matches!(error, Error::Data(_)) && error.to_string().contains("val/clay/01.png"), "{error}");
    assert_eq!(Training::default().resume(&run).unwrap().steps_done(), 4);
    fs::write(data.path().join("train/clay/01.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();

    let mut skipped = Skipped::default();
    let mut trainer = Training::default().observer(&mut skipped).resume(&run).unwrap();
    trainer.set_skip_bad(true);
    trainer.run().map(drop).unwrap();
    drop(trainer);
    // Each once, though every epoch meets both.
    assert_eq!(skipped.0.len(), 2, "{:?}", skipped.0);
    assert!(skipped.0.iter().all(|reason| reason.contains("clay/01.png")), "{:?}", skipped.0);
}

#[test]
fn a_single_image_on_a_single_pixel_is_refused_in_words() {
    let data = tempfile::tempdir().unwrap();
    toy::images(data.path(), 3, 3, 1, 2);
    let single = |r: &mut Recipe| {
        (r.batch_size, r.augment) = (Some(8), Some(vec![]));
        r.preprocess = Some(residual_arch::Preprocess::normalise_only());
    };
    // Nine images: a batch of eight, and one.
    let error = refused(data.path(), single);
    assert!(
        matches!(error, Error::LastBatch { images: 1, .. }) && error.to_string().contains("drop_last"),
        "{error}"
    );
    let error = refused(data.path(), |r| {
        single(r);
        r.batch_size = Some(1);
    });
    assert!(matches!(error, Error::Nn(_)) && error.to_string().contains("use a larger batch"), "{error}");
    // Left to itself, the recipe leaves the one out.
    let runs = tempfile::tempdir().unwrap();
    let mut open = toy::recipe(data.path());
    single(&mut open);
    let trainer = Training::new(open.with(|recipe| recipe.drop_last = None)).begin(runs.path()).unwrap();
    assert_eq!((trainer.recipe().drop_last, trainer.total_steps()), (Some(true), 3));
}

#[test]
fn images_too_small_for_the_network_are_refused_in_words() {
    let data = tempfile::tempdir().unwrap();
    toy::images(data.path(), 3, 3, 1, 2);
    let error = refused(data.path(), |r| {
        let mut network = toy::network(3);
        network.stem.convs[0].padding = 0;
        r.network = Some(network);
        r.preprocess = Some(residual_arch::Preprocess::normalise_only());
    });
    assert!(matches!(error, Error::ImageSize { input: [3, 2, 2], .. }), "{error}");
}
