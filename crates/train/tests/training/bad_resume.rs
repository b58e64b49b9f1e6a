//! Runs that cannot be resumed as they lie there: what is wrong is named, and no earlier checkpoint is lost.

use std::fs;
use std::path::Path;

use residual_arch::families;
use residual_train::{Changes, Error, Metrics, Recipe, Schedule, Training};

use crate::toy;

#[test]
fn a_run_that_was_tampered_with_is_not_resumed() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    let resume = || Training::default().resume(&run).map(drop).unwrap_err();
    let error = resume();
    assert!(matches!(error, Error::NoRun { .. }), "{error}");

    let recipe = toy::recipe(data.path());
    toy::interrupt(Training::new(&recipe).begin(&run).unwrap(), 5);
    let last = run.join("last.safetensors");
    let good = fs::read(&last).unwrap();

    // Another network in the recipe.
    let other = recipe
        .clone()
        .with(|recipe| recipe.network = Some(families::family("small").unwrap().with_classes(3)));
    let settled = fs::read_to_string(run.join("recipe.toml")).unwrap();
    fs::write(run.join("recipe.toml"), other.to_toml().unwrap()).unwrap();
    let error = resume();
    assert!(matches!(&error, Error::RecipeChanged { field, .. } if field.starts_with("network")), "{error}");
    fs::write(run.join("recipe.toml"), settled).unwrap();

    // Half a checkpoint, one changed bit anywhere behind the header, weights that are for prediction alone: each says
    // what can be done.
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let mut cases =
        vec![good[..good.len() / 2].to_vec(), fs::read(run.join("best.safetensors")).unwrap(), vec![]];
    for place in [header, (header + good.len()) / 2, good.len() - 1] {
        let mut bent = good.clone();
        bent[place] ^= 1;
        cases.push(bent);
    }
    for bytes in cases {
        fs::write(&last, bytes).unwrap();
        let error = resume();
        assert!(matches!(error, Error::Checkpoint { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("last.safetensors: cannot") && text.contains("--init"), "{text}");
        assert!(text.contains("run/best.safetensors"), "{text}");
    }
    fs::write(&last, &good).unwrap();
    toy::finish(Training::default().resume(&run).unwrap());
}

/// An interrupted run of toy data in `run`, and what it is made of.
fn interrupted(data: &Path, run: &Path) -> Recipe {
    let recipe = toy::recipe(data);
    toy::interrupt(Training::new(&recipe).begin(run).unwrap(), 5);
    recipe
}

fn refused_resume(run: &Path) -> Error {
    Training::default().resume(run).map(drop).unwrap_err()
}

#[test]
fn a_run_without_its_checkpoint_is_left_alone() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    interrupted(data.path(), &run);
    fs::remove_file(run.join("last.safetensors")).unwrap();
    let files = || {
        let files = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.map(|path| (fs::read(&path).unwrap(), path)).collect();
        files.sort();
        files
    };
    let before = files();
    let error = refused_resume(&run);
    assert!(matches!(error, Error::NoLast { .. }), "{error}");
    assert!(
        error.to_string().contains("--init") && error.to_string().contains("best.safetensors"),
        "{error}"
    );
    assert_eq!(files(), before);
    // Metrics alone, or the best network alone, are a run that has got on as well.
    for gone in ["metrics.jsonl", "best.safetensors"] {
        let path = run.join(gone);
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(matches!(refused_resume(&run), Error::NoLast { .. }), "{gone}");
        fs::write(&path, content).unwrap();
    }
    assert_eq!(files(), before);
}

#[test]
fn a_run_that_has_only_its_recipe_begins() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let (whole, run) = (runs.path().join("whole"), runs.path().join("run"));
    let recipe = toy::recipe(data.path());
    toy::train(&recipe, &whole);
    drop(Training::new(&recipe).begin(&run).unwrap());
    fs::remove_file(run.join("last.safetensors")).unwrap();
    let trainer = Training::default().resume(&run).unwrap();
    assert!(trainer.remarks()[0].contains("only just begun"), "{:?}", trainer.remarks());
    toy::finish(trainer);
    assert_eq!(toy::Result::of(&run), toy::Result::of(&whole));
}

#[test]
fn a_best_network_that_is_not_there_is_never_announced() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    let best = run.join("best.safetensors");
    let recipe = toy::recipe(data.path());
    // The best is the last network: it is written again, to the same bytes.
    let one = recipe.clone().with(|recipe| recipe.epochs = 1);
    toy::train(&one, &run);
    let bytes = fs::read(&best).unwrap();
    fs::remove_file(&best).unwrap();
    let trainer = Training::default().resume(&run).unwrap();
    assert!(trainer.remarks()[0].contains("written again"), "{:?}", trainer.remarks());
    toy::finish(trainer);
    assert_eq!(fs::read(&best).unwrap(), bytes);

    // It is another one, and epochs follow: the best of those is kept, and is there in the end.
    let run = runs.path().join("longer");
    let best = run.join("best.safetensors");
    toy::interrupt(Training::new(&recipe).begin(&run).unwrap(), 5);
    fs::remove_file(&best).unwrap();
    let trainer = Training::default().resume(&run).unwrap();
    assert!(trainer.remarks()[0].contains("from now on"), "{:?}", trainer.remarks());
    toy::finish(trainer);
    assert!(best.is_file());

    // The run is finished, and its best network was an earlier one.
    let lines = residual_train::read_metrics(run.join("metrics.jsonl")).unwrap();
    let judged = || lines.iter().filter(|line| line.split == "val");
    fs::remove_file(&best).unwrap();
    let (kept, last) = (Metrics::best(judged().skip(1)).unwrap(), judged().next_back().unwrap());
    match Training::default().resume(&run) {
        Ok(_) => assert!(kept.epoch == last.epoch && best.is_file()),
        Err(error) => assert!(matches!(error, Error::BestGone { .. }), "{error}"),
    }
}

#[test]
fn an_older_checkpoint_does_not_undo_newer_epochs() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    interrupted(data.path(), &run);
    let older = fs::read(run.join("last.safetensors")).unwrap();
    toy::finish(Training::default().resume(&run).unwrap());
    let metrics = fs::read(run.join("metrics.jsonl")).unwrap();
    fs::write(run.join("last.safetensors"), older).unwrap();
    let error = refused_resume(&run);
    assert!(matches!(error, Error::Checkpoint { .. }) && error.to_string().contains("epoch 3"), "{error}");
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), metrics);
}

#[test]
fn images_that_have_changed_are_named() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    interrupted(data.path(), &run);
    let image = data.path().join("train/brick/03.png");
    let away = data.path().join("moved.png");
    fs::rename(&image, &away).unwrap();
    let error = refused_resume(&run);
    let text = error.to_string();
    assert!(text.contains("train/brick/03.png: is missing"), "{text}");
    assert!(text.contains("have 32 train images, and had 33"), "{text}");
    // Other content of another size, and of the same one.
    let good = fs::read(&away).unwrap();
    let mut bent = good.clone();
    *bent.last_mut().unwrap() ^= 1;
    for (content, words) in [(&good[..60], "has 60 bytes"), (&bent[..], "other content")] {
        fs::write(&image, content).unwrap();
        let error = refused_resume(&run);
        assert!(matches!(error, Error::ImageChanged { .. }), "{error}");
        assert!(
            error.to_string().contains("train/brick/03.png") && error.to_string().contains(words),
            "{error}"
        );
    }
    fs::rename(&away, &image).unwrap();
    let new = data.path().join("val/clay/99.png");
    fs::copy(&image, &new).unwrap();
    let error = refused_resume(&run);
    assert!(error.to_string().contains("val/clay/99.png: is new"), "{error}");
    fs::remove_file(new).unwrap();
    // The same content with another time is the same.
    fs::write(&image, &good).unwrap();
    let trainer = Training::default().resume(&run).unwrap();
    assert!(trainer.remarks().is_empty(), "{:?}", trainer.remarks());
}

#[test]
fn data_that_moved_are_found_where_they_are_said_to_be() {
    let (root, runs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (old, new) = (root.path().join("old"), root.path().join("new"));
    toy::images(&old, 3, 11, 4, 8);
    let (whole, run) = (runs.path().join("whole"), runs.path().join("run"));
    let recipe = interrupted(&old, &run);
    toy::train(&recipe, &whole);
    // A copy has other times.
    toy::images(&new, 3, 11, 4, 8);
    fs::remove_dir_all(&old).unwrap();
    let error = refused_resume(&run);
    assert!(matches!(error, Error::DataGone(_)) && error.to_string().contains("--data"), "{error}");
    let moved = Changes { data: Some(new.clone()), ..Changes::default() };
    let trainer = Training::default().changes(moved).resume(&run).unwrap();
    assert!(trainer.remarks()[0].contains("data.path"), "{:?}", trainer.remarks());
    toy::interrupt(trainer, 7);
    // The place was written down.
    let trainer = Training::default().resume(&run).unwrap();
    assert!(trainer.remarks().is_empty(), "{:?}", trainer.remarks());
    toy::finish(trainer);
    assert_eq!(toy::Result::of(&run), toy::Result::of(&whole));
}

#[test]
fn an_edited_recipe_is_refused_by_its_field() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let run = runs.path().join("run");
    interrupted(data.path(), &run);
    let path = run.join("recipe.toml");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, field) in [
        ("batch_size = 10", "batch_size = 30", "batch_size"),
        ("seed = 11", "seed = 12", "seed"),
        ("epochs = 3", "epochs = 4", "epochs"),
        ("momentum = 0.9", "momentum = 0.8", "optimiser.momentum"),
    ] {
        assert!(good.contains(from), "{good}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let error = refused_resume(&run);
        assert!(matches!(&error, Error::RecipeChanged { field: found, .. } if found == field), "{error}");
    }
    fs::write(&path, good.replace("threads = 2", "threads = 1")).unwrap();
    let trainer = Training::default().resume(&run).unwrap();
    assert_eq!(trainer.remarks(), ["threads is 1 from now on; it was 2"]);
    fs::write(&path, good.replace("threads = 2", "threads = 9223372036854775807")).unwrap();
    drop(trainer);
    assert!(matches!(refused_resume(&run), Error::OutOfRange { field: "threads", .. }));
}

#[test]
fn a_run_of_constant_rate_goes_on_for_longer() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let (long, run) = (runs.path().join("long"), runs.path().join("run"));
    let constant = |epochs| {
        toy::recipe(data.path())
            .with(|recipe| (recipe.schedule, recipe.epochs) = (Schedule::Constant {}, epochs))
    };
    toy::train(&constant(3), &long);
    toy::train(&constant(2), &run);
    let longer = Changes { epochs: Some(3), ..Changes::default() };
    toy::finish(Training::default().changes(longer).resume(&run).unwrap());
    assert_eq!(toy::Result::of(&run), toy::Result::of(&long));
}
