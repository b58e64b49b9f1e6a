//! Trainings whose batches are divided into shards, by one rank and by several.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use residual_data::{Augment, Mix};
use residual_ranks::{Communicator, ThreadRank};
use residual_train::{BatchNormOver, Ema, Error, OptimiserConfig, Outcome, Recipe, Sam, Trainer, Training};

use crate::toy;

const LONG: Duration = Duration::from_secs(60);

/// Three epochs with all that is random, and an average: steps of 12 images in five shards, the last of 9.
fn recipe(data: &Path) -> Recipe {
    toy::recipe(data).with(|recipe| {
        (recipe.batch_size, recipe.shards, recipe.epochs) = (Some(12), 5, 2);
        recipe.augment = Some(Augment::parse_list("pad_crop:padding=1,random_erasing").unwrap());
        recipe.mix = Some(Mix::default().with(|mix| (mix.mixup, mix.cutmix) = (0.8, 1.0)));
        recipe.ema = Some(Ema::new(0.9));
    })
}

/// Calls `body` on each rank of a group.
fn on<T: Send>(ranks: usize, body: impl Fn(Arc<dyn Communicator>) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let group = ThreadRank::group(ranks, LONG).into_iter();
        let threads: Vec<_> = group.map(|rank| scope.spawn(|| body(Arc::new(rank)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn train(recipe: &Recipe, ranks: usize, out: &Path) -> toy::Result {
    on(ranks, |rank| toy::finish(Training::new(recipe).ranks(rank).begin(out).unwrap()));
    toy::Result::of(out)
}

#[test]
fn any_number_of_ranks_and_threads_gives_the_same_bits() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let plain = recipe(data.path());
    let with = |change: fn(&mut Recipe)| plain.clone().with(change);
    let sharp = with(|recipe| {
        (recipe.sam, recipe.mix, recipe.optimiser) = (Some(Sam::new(0.1)), None, OptimiserConfig::lars());
    });
    let frozen = with(|recipe| (recipe.freeze, recipe.drop_block) = (vec!["stem".into()], Some(0.2)));
    for (name, recipe) in [("plain", plain.clone()), ("sharp", sharp), ("frozen", frozen)] {
        let alone = train(&recipe, 1, &runs.path().join(format!("{name} 1")));
        for (ranks, threads) in [(2, 1), (3, 2), (4, 1)] {
            let recipe = recipe.clone().with(|recipe| recipe.threads = Some(threads));
            let found = train(&recipe, ranks, &runs.path().join(format!("{name} {ranks}")));
            assert_eq!(found, alone, "{name} on {ranks} ranks of {threads} threads");
        }
    }
    // Another number of shards is another training.
    let other = plain.clone().with(|recipe| recipe.shards = 2);
    assert_ne!(
        train(&other, 1, &runs.path().join("two")).last,
        train(&plain, 2, &runs.path().join("five")).last
    );
}

#[test]
fn shards_of_one_batch_norm_free_network_are_the_whole_batch() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let of = |shards| {
        recipe(data.path()).with(|recipe| {
            (recipe.shards, recipe.mix, recipe.ema) = (shards, None, None);
            (recipe.batch_size, recipe.epochs) = (Some(11), 2);
            recipe.freeze = ["stem", "stage1", "stage2"].map(str::to_owned).into();
        })
    };
    let [whole, parts] = [(1, "whole"), (4, "parts")].map(|(shards, name)| {
        let out = runs.path().join(name);
        train(&of(shards), 1, &out);
        residual_weights::Checkpoint::read(out.join("last.safetensors")).unwrap().tensors
    });
    for (name, tensor) in whole.iter() {
        let other = parts.get(name).unwrap().data();
        let found = tensor.data().iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(found < 1e-5, "{name}: {found}");
    }
}

#[test]
fn a_run_of_four_ranks_goes_on_with_two_and_one() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = recipe(data.path());
    let whole = train(&recipe, 1, &runs.path().join("whole"));
    let parts = runs.path().join("parts");
    on(4, |rank| toy::interrupt(Training::new(&recipe).ranks(rank).begin(&parts).unwrap(), 2));
    on(2, |rank| toy::interrupt(Training::default().ranks(rank).resume(&parts).unwrap(), 4));
    toy::finish(Training::default().resume(&parts).unwrap());
    assert_eq!(toy::Result::of(&parts), whole);
}

#[test]
fn a_stop_of_one_rank_is_one_of_all_after_the_same_step() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let (recipe, out) = (recipe(data.path()), runs.path().join("run"));
    let steps = on(3, |rank| {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(rank.rank() == 2));
        let mut trainer = Training::new(&recipe).stop(stop).ranks(rank).begin(&out).unwrap();
        assert!(matches!(trainer.run().unwrap(), Outcome::Interrupted { .. }));
        trainer.steps_done()
    });
    assert_eq!(steps, [1, 1, 1]);
    toy::finish(Training::default().resume(&out).unwrap());
    assert_eq!(toy::Result::of(&out), train(&recipe, 1, &runs.path().join("whole")));
}

#[test]
fn a_rank_that_ends_ends_the_others_and_the_run_goes_on() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = recipe(data.path()).with(|recipe| recipe.checkpoint_every_steps = Some(1));
    for lost in 0..3 {
        let (out, begun) = (runs.path().join(format!("lost {lost}")), Instant::now());
        let errors = on(3, |rank| {
            let number = rank.rank();
            let mut trainer = Training::new(&recipe).ranks(rank).begin(&out).unwrap();
            trainer.step().unwrap();
            trainer.step().unwrap();
            (number != lost).then(|| trainer.run().unwrap_err())
        });
        for error in errors.into_iter().flatten() {
            assert!(matches!(error, Error::Ranks(_)), "{error}");
            assert!(error.to_string().contains("has ended"), "{error}");
        }
        assert!(begun.elapsed() < LONG);
        on(2, |rank| toy::finish(Training::default().ranks(rank).resume(&out).unwrap()));
        assert_eq!(
            toy::Result::of(&out).last,
            train(&recipe, 1, &runs.path().join(format!("whole {lost}"))).last
        );
    }
}

#[test]
fn an_image_that_one_rank_cannot_decode_stops_all_and_is_mended() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = recipe(data.path()).with(|recipe| recipe.data.cache = residual_data::CacheLimit::Off);
    let whole = train(&recipe, 1, &runs.path().join("whole"));
    let (image, out) = (data.path().join("train/brick/03.png"), runs.path().join("run"));
    let good = std::fs::read(&image).unwrap();
    let begin = |rank: Arc<dyn Communicator>, image: &Path| -> Result<Outcome, Error> {
        let number = rank.rank();
        let mut trainer = Training::new(&recipe).ranks(rank.clone()).begin(&out)?;
        residual_ranks::barrier(&*rank)?;
        if number == 0 {
            std::fs::write(image, b"no image").unwrap();
        }
        residual_ranks::barrier(&*rank)?;
        trainer.run()
    };
    let errors = on(3, |rank| begin(rank, &image).unwrap_err());
    assert!(errors.iter().all(|error| error.to_string().contains("03.png")), "{errors:?}");
    assert_eq!(errors.iter().filter(|error| matches!(error, Error::Data(_))).count(), 1, "{errors:?}");
    std::fs::write(&image, good).unwrap();
    on(2, |rank| toy::finish(Training::default().ranks(rank).resume(&out).unwrap()));
    assert_eq!(toy::Result::of(&out).last, whole.last);
}

#[test]
fn what_ranks_cannot_train_is_refused() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let out = runs.path().join("run");
    let refused = |ranks: usize, change: fn(&mut Recipe)| {
        let recipe = recipe(data.path()).with(change);
        on(ranks, |rank| Training::new(&recipe).ranks(rank).begin(&out).map(drop).unwrap_err().to_string())
    };
    type Case = (usize, fn(&mut Recipe), &'static str);
    let cases: [Case; 6] = [
        (2, |recipe| recipe.shards = 1, "--shards 8"),
        (6, |_| (), "6 ranks are more than 5 shards"),
        (1, |recipe| recipe.shards = 0, "between 1 and"),
        (1, |recipe| recipe.shards = 13, "12 images in a step are fewer than 13 shards"),
        (1, |recipe| recipe.accumulate = 2, "accumulate: a batch of 5 shards"),
        (1, |recipe| recipe.batch_norm = BatchNormOver::Global, "group norms"),
    ];
    for (ranks, change, words) in cases {
        assert!(refused(ranks, change).iter().all(|error| error.contains(words)), "{words}");
        assert!(!out.exists(), "{words}");
    }
    let errors = on(2, |rank| {
        let recipe = recipe(data.path()).with(|recipe| recipe.seed = rank.rank() as u64);
        Training::new(&recipe).ranks(rank).begin(&out).map(drop).unwrap_err().to_string()
    });
    assert!(errors.iter().all(|error| error.contains("rank 1 has another recipe")), "{errors:?}");
}

#[test]
fn a_step_of_a_trainer_is_the_same_on_each_rank() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let (recipe, out) = (recipe(data.path()), runs.path().join("run"));
    let losses = on(2, |rank| {
        let mut trainer: Trainer = Training::new(&recipe).ranks(rank).begin(&out).unwrap();
        (0..3).map(|_| trainer.step().unwrap().unwrap().batch_loss.to_bits()).collect::<Vec<_>>()
    });
    assert_eq!(losses[0], losses[1]);
}
