//! Every layout of image files, in a folder and in every kind of archive.

mod support;

use std::collections::BTreeSet;
use std::fs;

use residual_data::{DataSource, Dataset, Error, ImageSet, OpenOptions, Split};
use support::{every_kind, images, open, write_folder};

fn names(set: &ImageSet) -> Vec<(String, usize)> {
    (0..set.len()).map(|i| (set.name(i).into_owned(), set.label(i))).collect()
}

fn pairs(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
    expected.iter().map(|(name, label)| ((*name).to_owned(), *label)).collect()
}

#[test]
fn splits_with_classes() {
    let place = tempfile::tempdir().unwrap();
    let files = images(&[
        "train/dog/b.jpg",
        "train/dog/a.png",
        "train/cat/deep/er/1.JPEG",
        "train/cat-2/1.jpg",
        "test/cat/x.jpg",
        "test/cat-2/x.jpg",
    ]);
    for path in every_kind(place.path(), &files) {
        let dataset = open(&path).unwrap();
        assert_eq!(dataset.classes, ["cat", "cat-2", "dog"]);
        assert_eq!(dataset.splits(), [Split::Train, Split::Test]);
        let train = dataset.split(Split::Train).unwrap();
        let expected = [
            ("train/cat/deep/er/1.JPEG", 0),
            ("train/cat-2/1.jpg", 1),
            ("train/dog/a.png", 2),
            ("train/dog/b.jpg", 2),
        ];
        assert_eq!(names(&train), pairs(&expected), "{}", path.display());
        let test = names(&dataset.split(Split::Test).unwrap());
        assert_eq!(test, pairs(&[("test/cat/x.jpg", 0), ("test/cat-2/x.jpg", 1)]));
        // Test answers for val.
        assert_eq!(names(&dataset.split(Split::Val).unwrap()), test);
        assert_eq!(dataset.resolve(Split::Val).unwrap(), Split::Test);
        dataset.check_trainable().unwrap();
        // The second file: tone 1 is the red of the PNG.
        let image = train.read(2).unwrap();
        assert_eq!((image.width(), image.height(), image.channels()), (8, 6, 3));
        assert_eq!(image.pixels()[..6], [1, 0, 0, 1, 5, 0]);
        assert!((0..train.len()).all(|i| train.read(i).is_ok()));
    }
}

#[test]
fn names_of_the_validation_split() {
    for name in ["val", "valid", "validation", "Val"] {
        let place = tempfile::tempdir().unwrap();
        let path = format!("{name}/a/1.png");
        write_folder(place.path(), &images(&["Train/a/1.png", "Train/b/1.png", &path]));
        let dataset = open(place.path()).unwrap();
        assert_eq!(dataset.splits(), [Split::Train, Split::Val]);
        assert_eq!(dataset.split(Split::Test).unwrap().name(0), path);
    }
}

#[test]
fn one_more_folder_around_everything() {
    let place = tempfile::tempdir().unwrap();
    let files = images(&["my data/v1/train/a/1.png", "my data/v1/train/b/1.png", "my data/v1/val/b/1.png"]);
    for path in every_kind(place.path(), &files) {
        let dataset = open(&path).unwrap();
        assert_eq!(dataset.classes, ["a", "b"]);
        let val = dataset.split(Split::Val).unwrap();
        assert_eq!(names(&val), pairs(&[("my data/v1/val/b/1.png", 1)]));
        val.read(0).unwrap();
    }
    let place = tempfile::tempdir().unwrap();
    for path in every_kind(place.path(), &images(&["top/a/1.png", "top/b/1.png"])) {
        assert_eq!(open(&path).unwrap().classes, ["a", "b"]);
    }
}

#[test]
fn what_is_no_image_is_left_out() {
    let place = tempfile::tempdir().unwrap();
    let mut files = images(&[
        "train/a/1.png",
        "train/b/1.png",
        "test/a/1.png",
        "train/a/._1.png",
        "__MACOSX/train/a/1.png",
        ".cache/c/1.png",
        "train/loose.png",
    ]);
    files.push(("README.txt".into(), b"hello".to_vec()));
    files.push(("train/a/notes.txt".into(), b"hello".to_vec()));
    files.push(("extra/things/table.csv".into(), b"1,2".to_vec()));
    for path in every_kind(place.path(), &files) {
        let dataset = open(&path).unwrap();
        assert_eq!(dataset.classes, ["a", "b"]);
        let expected = pairs(&[("train/a/1.png", 0), ("train/b/1.png", 1)]);
        assert_eq!(names(&dataset.split(Split::Train).unwrap()), expected);
    }
}

#[test]
fn names_that_lead_outside_are_only_names() {
    let files = images(&["../../train/a/1.png", "/train/b/../1.png", "train/./b/2.png", "test/a/1.png"]);
    let place = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("tar", support::tar_bytes(&files)),
        ("gz", support::gz_bytes(&support::tar_bytes(&files))),
        ("zip", support::zip_bytes(&files)),
    ] {
        let path = place.path().join(name);
        fs::write(&path, bytes).unwrap();
        let train = open(&path).unwrap().split(Split::Train).unwrap();
        assert_eq!(names(&train), pairs(&[("train/a/1.png", 0), ("train/b/1.png", 1), ("train/b/2.png", 1)]));
        assert!((0..train.len()).all(|i| train.read(i).is_ok()));
    }
}

fn class_folder(counts: &[(&str, usize)]) -> support::Files {
    let paths: Vec<String> = counts
        .iter()
        .flat_map(|(class, count)| (0..*count).map(move |i| format!("{class}/{i:03}.png")))
        .collect();
    images(&paths.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn one_folder_is_split_by_class_and_seed() {
    let place = tempfile::tempdir().unwrap();
    let files = class_folder(&[("a", 20), ("b", 10), ("c", 1), ("d", 2)]);
    let mut seen = Vec::new();
    for path in every_kind(place.path(), &files) {
        let split = |seed, holdout| {
            let options = OpenOptions::default()
                .with(|options| (options.split_seed, options.holdout) = (seed, holdout));
            let dataset = Dataset::open(&DataSource::Path(path.clone()), &options).unwrap();
            [Split::Train, Split::Val].map(|split| names(&dataset.split(split).unwrap()))
        };
        let [train, val] = split(0, 0.2);
        let count = |set: &[(String, usize)], label| set.iter().filter(|(_, l)| *l == label).count();
        assert_eq!([0, 1, 2, 3].map(|label| count(&train, label)), [16, 8, 1, 1]);
        assert_eq!([0, 1, 2, 3].map(|label| count(&val, label)), [4, 2, 0, 1]);
        let mut all = [train.clone(), val.clone()].concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 33, "nothing is in both, nothing is lost");
        assert!(train.is_sorted());
        assert_ne!(split(1, 0.2)[1], val, "another seed holds out others");
        assert_eq!(split(0, 0.5)[0].len(), 10 + 5 + 1 + 1);
        seen.push([train, val]);
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "the same in every kind of archive");
}

#[test]
fn nothing_is_held_out_where_nothing_is_wanted() {
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), &class_folder(&[("a", 3), ("b", 3)]));
    let source = DataSource::Path(place.path().into());
    let options = |holdout| OpenOptions::default().with(|options| options.holdout = holdout);
    let dataset = Dataset::open(&source, &options(0.0)).unwrap();
    assert_eq!(dataset.splits(), [Split::Train]);
    let error = dataset.split(Split::Test).unwrap_err();
    let text = "no test images; the data have: train; help: hold out a part of each class (validation = 0.1)";
    assert!(error.to_string().contains(text), "{error}");
    // However much is held out, something is left to train on.
    assert_eq!(Dataset::open(&source, &options(0.99)).unwrap().split(Split::Train).unwrap().len(), 2);
    for holdout in [-0.1, 1.0, f64::NAN] {
        let error = Dataset::open(&source, &options(holdout)).unwrap_err();
        assert!(matches!(error, Error::InvalidOption { option: "holdout", .. }));
    }
}

#[test]
fn a_class_may_be_called_like_a_split() {
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), &images(&["train/1.png", "train/2.png", "bus/1.png", "bus/2.png"]));
    assert_eq!(open(place.path()).unwrap().classes, ["bus", "train"]);
}

#[test]
fn test_images_alone_can_be_evaluated_but_not_trained_on() {
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), &images(&["test/b/1.png", "test/c/1.png"]));
    let dataset = open(place.path()).unwrap();
    assert_eq!(dataset.classes, ["b", "c"]);
    assert!(matches!(dataset.check_trainable(), Err(Error::MissingSplit { wanted: Split::Train, .. })));
    // Labels as a network with more classes has them.
    let known = ["c", "a", "b"].map(str::to_owned);
    let relabelled = dataset.clone().with_classes(&known).unwrap();
    let test = relabelled.split(Split::Test).unwrap();
    assert_eq!(names(&test), pairs(&[("test/b/1.png", 2), ("test/c/1.png", 0)]));
    let error = dataset.clone().with_classes(&known[..2]).unwrap_err();
    assert!(matches!(error, Error::UnknownClass { unknown, .. } if unknown == ["b"]));
}

#[test]
fn folders_of_imagenet_have_the_names_of_its_classes() {
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), &images(&["val/n02102040/1.png", "val/n01440764/2.png", "val/hen/3.png"]));
    let known: Vec<String> =
        residual_arch::published::imagenet().iter().map(|&name| name.to_owned()).collect();
    let labels = open(place.path()).unwrap().with_classes(&known).unwrap();
    let wanted = [("val/hen/3.png", 8), ("val/n01440764/2.png", 0), ("val/n02102040/1.png", 217)];
    assert_eq!(names(&labels.split(Split::Val).unwrap()), pairs(&wanted));
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    write_folder(place.path(), &images(&["elsewhere/1.png", "data/a/1.png", "data/a/2.png"]));
    symlink(place.path().join("elsewhere"), data.join("b")).unwrap();
    symlink(&data, data.join("a/circle")).unwrap();
    symlink("../b", data.join("a/cross")).unwrap();
    symlink(data.join("a"), place.path().join("elsewhere/cross")).unwrap();
    symlink("nowhere.txt", data.join("a/readme.txt")).unwrap();
    let dataset = open(&data).unwrap();
    assert_eq!(dataset.classes, ["a", "b"]);
    let all: BTreeSet<String> = dataset
        .splits()
        .into_iter()
        .flat_map(|split| names(&dataset.split(split).unwrap()))
        .map(|(name, _)| name)
        .collect();
    let expected = ["a/1.png", "a/2.png", "a/cross/1.png", "b/1.png", "b/cross/1.png", "b/cross/2.png"];
    assert_eq!(all, expected.map(str::to_owned).into());
    let notes: Vec<String> = dataset.notes().iter().map(ToString::to_string).collect();
    assert!(notes[0].starts_with("left out 4 links to a folder around it"), "{notes:?}");
    assert!(notes[1].contains("readme.txt: a link to `nowhere.txt`, which cannot be followed"), "{notes:?}");
}

#[test]
fn a_source_reads_as_it_is_written() {
    #[derive(serde::Deserialize, serde::Serialize)]
    struct Recipe {
        data: DataSource,
    }
    for (text, source) in [("sample", DataSource::Sample), ("a/b.zip", DataSource::Path("a/b.zip".into()))] {
        let recipe: Recipe = toml::from_str(&format!("data = \"{text}\"")).unwrap();
        assert_eq!(recipe.data, source);
        assert_eq!(toml::to_string(&recipe).unwrap().trim(), format!("data = \"{text}\""));
        assert_eq!(text.parse::<DataSource>().unwrap(), source);
    }
}

#[test]
fn the_sample_is_complete() {
    let dataset = Dataset::open(&DataSource::Sample, &OpenOptions::default()).unwrap();
    assert_eq!(dataset.classes.join(" "), "airplane automobile bird cat deer dog frog horse ship truck");
    for (split, per_class) in [(Split::Train, 500), (Split::Test, 100)] {
        let set = dataset.split(split).unwrap();
        let mut counts = [0; 10];
        for i in 0..set.len() {
            counts[set.label(i)] += 1;
            let image = set.read(i).unwrap();
            assert_eq!((image.width(), image.height(), image.channels()), (32, 32, 3));
        }
        assert_eq!(counts, [per_class; 10]);
    }
    assert_eq!(dataset.split(Split::Test).unwrap().file(0), "sample: test/airplane/0000.jpg");
}

#[test]
fn the_full_archive_opens() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cifar10-images.tar.gz");
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    let dataset = open(&path).unwrap();
    let (train, test) = (dataset.split(Split::Train).unwrap(), dataset.split(Split::Test).unwrap());
    assert_eq!((dataset.classes.len(), train.len(), test.len()), (10, 50_000, 10_000));
    assert_eq!(train.name(49_999), "train/truck/4999.jpg");
    assert_eq!(test.read(9_999).unwrap().width(), 32);
}

#[test]
fn every_image_has_a_stamp_without_being_read() {
    let place = tempfile::tempdir().unwrap();
    let files = images(&["train/cat/1.png", "train/dog/1.png", "val/cat/2.png", "val/dog/2.png"]);
    let stamps = every_kind(place.path(), &files).into_iter().map(|path| {
        let set = open(&path).unwrap().split(Split::Train).unwrap();
        assert!(set.stamp(set.len()).is_err());
        let stamp = set.stamp(1).unwrap();
        assert_eq!(stamp.size, set.bytes(1).unwrap().len() as u64, "{}", path.display());
        (stamp.modified.is_some(), stamp.crc.is_some())
    });
    // A folder and a tar have times, a compressed tar is in memory, a zip has checksums.
    assert_eq!(stamps.collect::<Vec<_>>(), [(true, false), (true, false), (false, false), (false, true)]);
}
