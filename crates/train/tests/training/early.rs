//! Trainings that end early, and rates that follow what an epoch shows.

use residual_train::{EarlyStop, Monitor, Outcome, Recipe, Schedule, Training, Warmup, read_metrics};

use crate::toy;

#[test]
fn a_training_that_does_not_improve_ends_finished_and_stays_so() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    // No epoch improves the loss by ten.
    let stop = EarlyStop::new(2).with(|stop| stop.min_delta = 10.0);
    let recipe = toy::recipe(data.path()).with(|recipe| {
        (recipe.epochs, recipe.schedule) = (9, Schedule::Constant {});
        recipe.early_stop = Some(stop);
    });
    let [whole, parts] = ["whole", "parts"].map(|name| runs.path().join(name));
    let mut trainer = Training::new(&recipe).begin(&whole).unwrap();
    let Outcome::Finished { best, early, .. } = trainer.run().unwrap() else { panic!() };
    assert!(early && best.epoch <= 3, "{best:?}");
    assert_eq!((trainer.epochs_done(), trainer.steps_done()), (3, 12));
    drop(trainer);
    let lines = read_metrics(whole.join("metrics.jsonl")).unwrap();
    assert!(lines.len() == 6 && stop.has_ended(&lines) && !stop.has_ended(&lines[..4]));

    toy::interrupt(Training::new(&recipe).begin(&parts).unwrap(), 10);
    toy::finish(Training::default().resume(&parts).unwrap());
    assert_eq!(toy::Result::of(&parts), toy::Result::of(&whole));

    let mut finished = Training::default().resume(&whole).unwrap();
    assert!(finished.step().unwrap().is_none());
    let Outcome::Finished { early: true, .. } = finished.run().unwrap() else { panic!() };
    drop(finished);

    // With more patience it goes on, to the bits of a training that had it from the beginning.
    let patient = recipe.clone().with(|recipe| recipe.early_stop = Some(stop.with(|stop| stop.patience = 4)));
    let settled = Recipe::read(whole.join("recipe.toml")).unwrap();
    let changed = settled.with(|recipe| recipe.early_stop = patient.early_stop);
    std::fs::write(whole.join("recipe.toml"), changed.to_toml().unwrap()).unwrap();
    let mut trainer = Training::default().resume(&whole).unwrap();
    let said = "early_stop.patience is 4 from now on; it was 2";
    assert!(trainer.remarks().iter().any(|remark| remark == said), "{:?}", trainer.remarks());
    let Outcome::Finished { early: true, .. } = trainer.run().unwrap() else { panic!() };
    drop(trainer);
    let patiently = runs.path().join("patiently");
    toy::train(&patient, &patiently);
    assert_eq!(toy::Result::of(&whole).last, toy::Result::of(&patiently).last);
}

#[test]
fn a_training_that_improves_goes_on_to_its_last_epoch() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| recipe.early_stop = Some(EarlyStop::new(3)));
    let mut trainer = Training::new(&recipe).begin(runs.path()).unwrap();
    let Outcome::Finished { early: false, .. } = trainer.run().unwrap() else { panic!() };
    assert_eq!(trainer.epochs_done(), 3);
}

#[test]
fn the_rate_falls_on_a_plateau_and_a_resumed_training_falls_with_it() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| {
        (recipe.epochs, recipe.warmup) = (5, Warmup::Steps(0));
        // No accuracy is twice the best so far from the second epoch on: the rate falls after each.
        recipe.schedule = Schedule::Plateau {
            factor: 0.5,
            patience: 0,
            threshold: 0.999,
            cooldown: 1,
            min: 0.02,
            metric: Monitor::Loss,
        };
    });
    let [whole, parts] = ["whole", "parts"].map(|name| runs.path().join(name));
    toy::train(&recipe, &whole);
    let lines = read_metrics(whole.join("metrics.jsonl")).unwrap();
    let rates: Vec<f64> = lines.iter().filter(|line| line.split == "train").map(|line| line.lr).collect();
    assert_eq!(rates, [0.05, 0.05, 0.025, 0.025, 0.02]);

    // In the middle of an epoch with a rate that has fallen, and right after one.
    toy::interrupt(Training::new(&recipe).begin(&parts).unwrap(), 10);
    toy::interrupt(Training::default().resume(&parts).unwrap(), 16);
    toy::finish(Training::default().resume(&parts).unwrap());
    assert_eq!(toy::Result::of(&parts), toy::Result::of(&whole));
}
