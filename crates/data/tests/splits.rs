//! Which folders are read as splits, which as classes, and what is said of those that are neither.

mod support;

use std::fs;

use residual_data::{Dataset, Error, Note, Split};
use support::{errors_of_every_kind, every_kind, images, open, write_folder};

/// The data set of these images, the same in a folder and in every archive.
fn opened(paths: &[&str]) -> Dataset {
    let place = tempfile::tempdir().unwrap();
    let all: Vec<Dataset> =
        every_kind(place.path(), &images(paths)).iter().map(|path| open(path).unwrap()).collect();
    let text = |data: &Dataset| format!("{:?} {:?} {:?}", data.classes, data.splits(), data.notes());
    assert!(
        all.iter().all(|data| text(data) == text(&all[0])),
        "{:?}",
        all.iter().map(text).collect::<Vec<_>>()
    );
    all.into_iter().next().unwrap()
}

fn notes(data: &Dataset) -> Vec<String> {
    data.notes().iter().map(ToString::to_string).collect()
}

/// The folder's images of a split, by name.
fn names(data: &Dataset, split: Split) -> Vec<String> {
    let set = data.split(split).unwrap();
    (0..set.len()).map(|i| set.name(i).into_owned()).collect()
}

#[test]
fn common_spellings_of_splits() {
    for (train, held_out, split) in [
        ("Training", "Testing", Split::Test),
        ("training", "validation", Split::Val),
        ("TRAIN", "VAL", Split::Val),
        ("trn", "tst", Split::Test),
        ("train", "dev", Split::Val),
        ("train", "eval", Split::Val),
        ("seg_train", "seg_test", Split::Test),
        ("train_set", "test_set", Split::Test),
        ("training set", "Test Set", Split::Test),
        ("images_train", "images_val", Split::Val),
        ("train2017", "val2017", Split::Val),
        ("train-images", "test-images", Split::Test),
        ("my.train.v2", "my.valid.v2", Split::Val),
        ("trainset", "testset", Split::Test),
        ("TrainImages", "ValImages", Split::Val),
        ("train", "test_set", Split::Test),
    ] {
        let held = format!("{held_out}/a/3.png");
        let data = opened(&[&format!("{train}/a/1.png"), &format!("{train}/b/2.png"), &held]);
        assert_eq!(
            (data.classes.join(" "), data.splits()),
            ("a b".into(), vec![Split::Train, split]),
            "{train}"
        );
        assert_eq!(names(&data, split), [held]);
        assert_eq!(data.notes(), []);
    }
}

#[test]
fn a_split_in_one_more_folder_of_its_name() {
    let data = opened(&[
        "archive/seg_train/seg_train/sea/1.jpg",
        "archive/seg_train/seg_train/street/1.jpg",
        "archive/seg_test/seg_test/sea/2.jpg",
        "archive/seg_pred/seg_pred/3.jpg",
    ]);
    assert_eq!(data.classes, ["sea", "street"]);
    assert_eq!(names(&data, Split::Test), ["archive/seg_test/seg_test/sea/2.jpg"]);
    assert_eq!(notes(&data), ["left out, beside the splits: seg_pred (1 image)"]);
    // A class may be called like its split.
    let data = opened(&["train/train/1.png", "train/bus/1.png", "test/train/1.png"]);
    assert_eq!(data.classes, ["bus", "train"]);
}

#[test]
fn classes_may_be_called_like_splits() {
    let data = opened(&["test/1.png", "test/2.png", "bus/1.png", "car/1.png", "car/2.png", "tram/3.png"]);
    assert_eq!(data.classes, ["bus", "car", "test", "tram"]);
    assert_eq!(notes(&data), ["2 classes with a single image, of which nothing can be held out: bus, tram"]);
    // A train with folders of its own among other vehicles.
    let data = opened(&["train/1.png", "train/express/2.png", "bus/1.png", "bus/2.png"]);
    assert_eq!(data.classes, ["bus", "train"]);
    // Folders inside classes, of which one has a split's word.
    let data =
        opened(&["training_shoes/red/1.png", "training_shoes/red/2.png", "boots/blue/3.png", "boots/4.png"]);
    assert_eq!(data.classes, ["boots", "training_shoes"]);
}

#[test]
fn splits_without_classes_are_an_error_with_help() {
    for paths in [
        &["train/1.jpg", "train/2.jpg", "test/3.jpg"][..],
        &["Training set/1.jpg", "Testing set/3.jpg"],
        &["d/train2017/1.jpg", "d/val2017/3.jpg"],
        &["train/1.jpg", "test/3.jpg", "misc/1.jpg"],
    ] {
        for error in errors_of_every_kind(&images(paths)) {
            assert!(matches!(&error, Error::FlatSplits { folders, .. } if folders.len() == 2), "{error}");
            assert!(
                error.to_string().contains("help: put the images of each class into a folder"),
                "{error}"
            );
        }
    }
    // Unlabelled images beside labelled ones, as in contests.
    let data =
        opened(&["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "test/1.jpg", "test/2.jpg", "x.jpg"]);
    assert_eq!(data.splits(), [Split::Train, Split::Val]);
    assert_eq!(notes(&data), ["left out 3 images in no class folder (test/1.jpg)"]);
}

#[test]
fn what_may_or_may_not_be_splits_is_an_error() {
    for paths in [
        &["train2017/a/1.png", "train2017/b/1.png", "val2014/a/1.png"][..],
        &["x_train/a/1.png", "x_test/a/1.png", "y_train/a/1.png", "y_test/b/1.png"],
        &["train/a/1.png", "train/b/1.png", "test_v2/a/1.png"],
        &["train/a/1.png", "other/b/1.png", "other/c/1.png"],
    ] {
        for error in errors_of_every_kind(&images(paths)) {
            assert!(matches!(error, Error::UnclearSplits { .. }), "{error}");
        }
    }
    for error in errors_of_every_kind(&images(&["cat/train/1.png", "cat/test/2.png", "dog/train/1.png"])) {
        assert!(matches!(&error, Error::SplitsInClasses { class, .. } if class == "cat"), "{error}");
    }
    for error in errors_of_every_kind(&images(&["photos/cat/1.png", "photos/dog/1.png", "misc/1.png"])) {
        assert!(matches!(&error, Error::StrayFolders { folder, .. } if folder == "photos"), "{error}");
    }
}

#[test]
fn folders_beside_the_splits_are_said() {
    let data = opened(&[
        "train/a/1.png",
        "train/b/1.png",
        "test/a/1.png",
        "extra/1.png",
        "more/c/1.png",
        "more/c/2.png",
    ]);
    assert_eq!(data.classes, ["a", "b"]);
    assert_eq!(notes(&data), ["left out, beside the splits: extra (1 image), more (2 images)"]);
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), &images(&["train/a/1.png", "train/b/1.png", "stray/1.png"]));
    fs::create_dir(place.path().join("empty")).unwrap();
    let data = open(place.path()).unwrap();
    assert_eq!(notes(&data), ["left out, beside the splits: empty (0 images), stray (1 image)"]);
    let error = data.split(Split::Val).unwrap_err().to_string();
    assert!(
        error.contains("no val images; the data have: train; help: put such images into val/CLASS"),
        "{error}"
    );
}

#[test]
fn an_empty_folder_beside_the_folder_of_splits_does_not_hide_them() {
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), &images(&["data/train/a/1.png", "data/train/b/1.png", "data/val/a/2.png"]));
    fs::create_dir(place.path().join("docs")).unwrap();
    assert_eq!(open(place.path()).unwrap().splits(), [Split::Train, Split::Val]);
    // ImageNet as it is downloaded.
    let data = opened(&[
        "ILSVRC/Annotations/train/a/1.xml",
        "ILSVRC/Data/CLS-LOC/train/a/1.JPEG",
        "ILSVRC/Data/CLS-LOC/train/b/1.JPEG",
        "ILSVRC/Data/CLS-LOC/val/a/1.JPEG",
        "ILSVRC/Data/CLS-LOC/test/1.JPEG",
    ]);
    assert_eq!((data.classes.join(" "), data.splits()), ("a b".into(), vec![Split::Train, Split::Val]));
}

#[test]
fn a_class_of_one_image_and_one_of_folders_are_said() {
    let data = opened(&["cat/1.png", "cat/2.png", "stray/1.png", "pets/dog/1.png", "pets/hen/2.png"]);
    assert_eq!(data.classes, ["cat", "pets", "stray"]);
    assert_eq!(
        notes(&data),
        [
            "each of these is read as one class, though its images are in folders of their own: pets (2 folders)",
            "1 class with a single image, of which nothing can be held out: stray",
        ]
    );
    assert_eq!(data.classes_summary(), "3 classes: cat, pets, stray");
}

#[test]
fn folders_of_runs_are_not_data() {
    let run = ["recipe.toml", "metrics.jsonl", "last.safetensors", "seen/1.png", "seen/other/2.png"];
    for place_of_run in ["runs/small-1", "cat/deep/run", "best"] {
        let mut files = images(&["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]);
        files
            .extend(images(&run.map(|name| format!("{place_of_run}/{name}")).each_ref().map(String::as_str)));
        let place = tempfile::tempdir().unwrap();
        for path in every_kind(place.path(), &files) {
            let data = open(&path).unwrap();
            assert_eq!(data.classes, ["cat", "dog"]);
            assert_eq!(data.split(Split::Train).unwrap().len() + data.split(Split::Val).unwrap().len(), 4);
            assert_eq!(data.notes(), [Note::Runs { count: 1, first: place_of_run.into() }]);
        }
    }
    // A run that was begun a moment ago has its recipe and its lock; a recipe alone is a file like others.
    let mut files = images(&["train/a/1.png", "train/b/1.png", "test/a/1.png"]);
    files.extend(images(&["train/run/recipe.toml", "train/run/.lock"]));
    let place = tempfile::tempdir().unwrap();
    for path in every_kind(place.path(), &files) {
        assert_eq!(open(&path).unwrap().classes, ["a", "b"]);
    }
    let data = opened(&["a/1.png", "a/recipe.toml", "b/1.png"]);
    assert_eq!((data.classes.len(), notes(&data).len()), (2, 1));
    for error in
        errors_of_every_kind(&images(&["runs/1/recipe.toml", "runs/1/metrics.jsonl", "runs/1/x/y/1.png"]))
    {
        assert!(error.to_string().contains("nothing but folders of training runs"), "{error}");
    }
}

#[test]
fn files_of_other_kinds_are_counted_once() {
    let data = opened(&[
        "README.md",
        "a/1.jpg",
        "a/2.avif",
        "a/3.AVIF",
        "a/x/4.heic",
        "b/1.jpg",
        "b/labels.txt",
        "b/LICENSE",
    ]);
    assert_eq!(
        notes(&data),
        [
            "left out 5 files in class folders that are not named as images: 2 .avif, 1 .heic, 1 .txt, 1 without an ending (a/2.avif)"
        ]
    );
    for error in errors_of_every_kind(&images(&["a/1.jpg", "b/1.avif", "b/2.avif"])) {
        assert!(error.to_string().contains("class folder `b` has no images, but 2 .avif;"), "{error}");
    }
}

#[test]
fn what_programs_leave_behind_is_no_class() {
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), &images(&["a/1.jpg", "b/1.JFIF", "b/2.jpe", "b/Thumbs.db", "a/desktop.ini"]));
    for folder in ["__pycache__", ".ipynb_checkpoints", "@eaDir", "lost+found", "a/@eaDir/x"] {
        fs::create_dir_all(place.path().join(folder)).unwrap();
    }
    let data = open(place.path()).unwrap();
    assert_eq!((data.classes.join(" "), data.notes().len()), ("a b".into(), 1));
    assert_eq!(data.split(Split::Train).unwrap().len() + data.split(Split::Val).unwrap().len(), 3);
}
