//! The same bits, whatever interrupts a training and however many threads it has.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use residual_arch::{BlockSpec, NetSpec, Resize, StageSpec, StemSpec};
use residual_data::{Augment, Mix, MixMode};
use residual_train::{Observer, Outcome, Recipe, StepReport, Training};

use crate::toy;

/// Steps of the toy training.
const STEPS: u64 = 12;

/// A seed that differs from run to run, printed so that a failure can be repeated.
fn random() -> impl FnMut(u64) -> u64 {
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos() as u64;
    println!("seed {seed}");
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

#[test]
fn a_resumed_training_ends_with_the_same_bits() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path());
    let whole = runs.path().join("whole");
    toy::train(&recipe, &whole);
    let expected = toy::Result::of(&whole);
    assert_eq!(expected.metrics.len(), 6);

    let mut random = random();
    for attempt in 0..3 {
        let first = 1 + random(STEPS - 2);
        let second = first + 1 + random(STEPS - 1 - first);
        println!("interrupted after steps {first} and {second}");
        let run = runs.path().join(format!("interrupted{attempt}"));
        toy::interrupt(Training::new(&recipe).begin(&run).unwrap(), first);
        let resumed = Training::default().resume(&run).unwrap();
        assert_eq!(resumed.steps_done(), first);
        toy::interrupt(resumed, second);
        toy::finish(Training::default().resume(&run).unwrap());
        assert_eq!(toy::Result::of(&run), expected);
    }
}

#[test]
fn a_training_on_shards_or_tables_is_resumed_in_mid_epoch_to_the_same_bits() {
    let shards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/fixtures/shards");
    for data in ["webdataset/{train-{000000..000002},val-000000}.tar", "hugging_face"] {
        let runs = tempfile::tempdir().unwrap();
        let recipe = toy::recipe(&shards.join(data)).with(|recipe| {
            let resize = Some(Resize::Exact([8, 8]));
            recipe.network = Some(toy::network(3).with(|net| net.preprocess.resize = resize));
            recipe.batch_size = Some(5);
        });
        let [whole, run] = ["whole", "interrupted"].map(|name| runs.path().join(name));
        toy::train(&recipe, &whole);
        // Three steps an epoch.
        toy::interrupt(Training::new(&recipe).begin(&run).unwrap(), 4);
        toy::finish(Training::default().resume(&run).unwrap());
        assert_eq!(toy::Result::of(&run), toy::Result::of(&whole), "{data}");
    }
}

/// Mixed batches, repeated images and policies, interrupted in the middle of an epoch and run on other numbers of
/// threads.
#[test]
fn mixing_and_repeated_augmentation_are_the_same_bits_however_a_training_is_run() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let with = |mode, threads| {
        toy::recipe(data.path()).with(|recipe| {
            let list = "pad_crop:padding=1,rand_augment,color_jitter:brightness=0.3,random_erasing";
            recipe.augment = Some(Augment::parse_list(list).unwrap());
            recipe.augment_repeats = 2;
            recipe.mix = Some(Mix::default().with(|mix| {
                (mix.mixup, mix.cutmix, mix.probability, mix.mode) = (0.8, 1.0, 0.7, mode);
            }));
            recipe.threads = Some(threads);
        })
    };
    let mut results = Vec::new();
    for mode in [MixMode::Batch, MixMode::Element] {
        let whole = runs.path().join(format!("{mode:?}"));
        toy::train(&with(mode, 2), &whole);
        let expected = toy::Result::of(&whole);
        let run = runs.path().join(format!("{mode:?}_interrupted"));
        // In the middle of the first epoch and of the second.
        toy::interrupt(Training::new(with(mode, 1)).begin(&run).unwrap(), 2);
        toy::interrupt(Training::default().resume(&run).unwrap(), 7);
        toy::finish(Training::default().resume(&run).unwrap());
        assert_eq!(toy::Result::of(&run), expected, "{mode:?}");
        results.push(expected);
    }
    assert_ne!(results[0].last, results[1].last);
    let plain = runs.path().join("plain");
    toy::train(&with(MixMode::Batch, 2).with(|recipe| recipe.mix = None), &plain);
    assert_ne!(toy::Result::of(&plain).last, results[0].last, "mixing changes the weights");
}

/// Ends the process's work at a step without any chance to save.
struct KillAt(u64);

impl Observer for KillAt {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        assert!(report.step < self.0, "killed");
        ControlFlow::Continue(())
    }
}

#[test]
fn a_killed_training_goes_on_from_its_last_checkpoint_to_the_same_bits() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| recipe.checkpoint_every_steps = Some(3));
    let whole = runs.path().join("whole");
    toy::train(&recipe, &whole);
    let run = runs.path().join("killed");
    // After the evaluation of the second epoch (step 8), and after the checkpoint of step 9.
    for (kill_at, kept) in [(2, 0), (9, 8), (11, 9)] {
        let training = Training::new(&recipe).observer(KillAt(kill_at));
        let mut trainer = match kill_at {
            2 => training.begin(&run).unwrap(),
            _ => training.resume(&run).unwrap(),
        };
        let killed = catch_unwind(AssertUnwindSafe(|| trainer.run().map(drop)));
        drop(trainer);
        assert!(killed.is_err(), "the training went on");
        assert_eq!(Training::default().resume(&run).unwrap().steps_done(), kept);
    }
    toy::finish(Training::default().resume(&run).unwrap());
    assert_eq!(toy::Result::of(&run), toy::Result::of(&whole));
}

/// Raises the flag in the middle of an evaluation.
struct StopInEvaluation<'a>(&'a AtomicBool);

impl Observer for StopInEvaluation<'_> {
    fn evaluating(&mut self, _done: usize, _total: usize) -> ControlFlow<()> {
        self.0.store(true, Ordering::Relaxed);
        ControlFlow::Continue(())
    }
}

#[test]
fn an_evaluation_that_was_interrupted_is_made_up_for() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path());
    let (whole, run) = (runs.path().join("whole"), runs.path().join("interrupted"));
    toy::train(&recipe, &whole);
    let stop = Arc::new(AtomicBool::new(false));
    let training = Training::new(&recipe).observer(StopInEvaluation(&stop)).stop(stop.clone());
    let outcome = training.begin(&run).unwrap().run().unwrap();
    assert_eq!(outcome, Outcome::Interrupted { epoch: 1, step: 4 });
    toy::finish(Training::default().resume(&run).unwrap());
    assert_eq!(toy::Result::of(&run), toy::Result::of(&whole));
}

#[test]
fn a_finished_training_stays_as_it_is() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| recipe.epochs = 1);
    toy::train(&recipe, runs.path());
    let before = toy::Result::of(runs.path());
    toy::finish(Training::default().resume(runs.path()).unwrap());
    assert_eq!(toy::Result::of(runs.path()), before);
}

#[test]
fn the_written_recipe_repeats_the_training() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let (first, again) = (runs.path().join("first"), runs.path().join("again"));
    let open = toy::recipe(data.path()).with(|recipe| {
        recipe.augment = None;
        recipe.drop_last = None;
        recipe.epochs = 2;
    });
    toy::train(&open, &first);
    toy::train(&Recipe::read(first.join("recipe.toml")).unwrap(), &again);
    assert_eq!(toy::Result::of(&first), toy::Result::of(&again));

    let here = tempfile::tempdir_in(".").unwrap();
    toy::images(here.path(), 3, 11, 4, 8);
    let relative = Path::new(here.path().file_name().unwrap());
    let trainer = Training::new(toy::recipe(relative)).begin(runs.path().join("relative")).unwrap();
    assert!(trainer.recipe().data.path.is_absolute());

    let other = runs.path().join("other");
    toy::train(&open.with(|recipe| recipe.seed = 12), &other);
    assert_ne!(toy::Result::of(&first).last, toy::Result::of(&other).last);
}

/// While updates are few, an evaluation uses the statistics of the weights as they are, not averages that still hold
/// what the network began with.
#[test]
fn statistics_that_are_taken_anew_are_the_same_after_an_interruption() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    // Weights that stay where they are: their statistics are the batches', however often they moved.
    let recipe = toy::recipe(data.path()).with(|recipe| (recipe.epochs, recipe.lr) = (2, Some(1e-30)));
    let (whole, run) = (runs.path().join("whole"), runs.path().join("interrupted"));
    toy::train(&recipe, &whole);
    toy::interrupt(Training::new(&recipe).begin(&run).unwrap(), 4);
    let mean = |run: &Path| residual_weights::Checkpoint::read(run.join("last.safetensors")).unwrap().tensors;
    let before = mean(&run);
    let name =
        before.iter().map(|(name, _)| name).find(|name| name.ends_with("running_var")).unwrap().to_owned();
    // After four updates the variance is still two thirds of what it began with.
    let moved = before.get(&name).unwrap().data().to_owned();
    toy::finish(Training::default().resume(&run).unwrap());
    assert_eq!(toy::Result::of(&run), toy::Result::of(&whole));
    let after = mean(&run).get(&name).unwrap().data().to_owned();
    for (moved, after) in moved.iter().zip(&after) {
        // (1 - 0.1)^4 = 0.656: v_4 = 0.656 + 0.344 v for the variance v of the batches.
        let predicted = (moved - 0.656) / 0.344;
        assert!((after - predicted).abs() < 0.25 * predicted.abs() + 0.05, "{after} instead of {predicted}");
        assert!((after - moved).abs() > 0.1 * (1.0 - after).abs(), "{after} is where four updates lead");
    }
}

/// Wide enough for the backend to share its work out among threads.
fn wide(classes: usize) -> NetSpec {
    let stage = |block| StageSpec::new(vec![block]);
    toy::network(classes).with(|net| {
        net.input = [3, 32, 32];
        net.stem = StemSpec::cifar(32);
        net.stages = vec![stage(BlockSpec::basic(32)), stage(BlockSpec::projection(64, 2))];
    })
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (data, runs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    toy::images(data.path(), 3, 11, 3, 32);
    let mut expected = None;
    for threads in [1, 2, 5] {
        let recipe = toy::recipe(data.path()).with(|recipe| {
            recipe.network = Some(wide(3));
            recipe.batch_size = Some(16);
            recipe.epochs = 1;
            recipe.threads = Some(threads);
        });
        let run = runs.path().join(threads.to_string());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| toy::train(&recipe, &run));
        let result = toy::Result::of(&run);
        match &expected {
            Some(expected) => assert_eq!(&result, expected, "{threads} threads"),
            None => expected = Some(result),
        }
    }
}
