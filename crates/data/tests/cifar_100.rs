//! CIFAR-100's own archives, made small.

mod support;

use std::fs;

use residual_data::{Columns, DataSource, Dataset, Error, OpenOptions, Split};
use support::cifar::{binary_100, planes, python_100};
use support::{every_kind, gz_bytes, open, tar_bytes, write_folder};

const TRAIN: [u8; 4] = [99, 0, 42, 7];
const TEST: [u8; 2] = [7, 50];

fn with_label(path: &std::path::Path, label: &str) -> Result<Dataset, Error> {
    let columns: Columns = format!("label={label}").parse().unwrap();
    Dataset::open(
        &DataSource::Path(path.into()),
        &OpenOptions::default().with(|options| options.columns = columns),
    )
}

#[test]
fn python_and_binary_packed_and_unpacked() {
    for files in [python_100(&TRAIN, &TEST), binary_100(&TRAIN, &TEST)] {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("folder").join(files[0].0.split('/').next().unwrap());
        let mut paths = every_kind(place.path(), &files);
        paths.push(inside);
        for path in paths {
            for (label, class) in [("fine", "fine42"), ("coarse", "coarse08")] {
                let data = with_label(&path, label).unwrap();
                assert_eq!(data.classes.len(), if label == "fine" { 100 } else { 20 });
                assert_eq!(data.splits(), [Split::Train, Split::Test]);
                let train = data.split(Split::Train).unwrap();
                assert_eq!((train.len(), data.split(Split::Test).unwrap().len()), (4, 2));
                assert_eq!(data.classes[train.label(2)], class);
                assert_eq!(train.name(2), "train[2]");
                let (image, planes) = (train.read(2).unwrap(), planes(1, 2));
                for (p, pixel) in image.pixels().chunks(3).enumerate() {
                    assert_eq!(pixel, [planes[p], planes[1024 + p], planes[2048 + p]]);
                }
            }
            assert_eq!(open(&path).unwrap().classes[99], "fine99", "fine labels are the default");
            assert!(matches!(with_label(&path, "breed"), Err(Error::InvalidOption { .. })));
        }
    }
}

#[test]
fn what_is_not_as_published_is_named() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.tar.gz");
    let error = |files: support::Files| {
        fs::write(&path, gz_bytes(&tar_bytes(&files))).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, Error::Cifar { set: "CIFAR-100", .. }), "{error}");
        error.to_string()
    };
    let mut cut = python_100(&TRAIN, &TEST);
    cut[0].1.truncate(5000);
    assert!(error(cut).contains("cifar-100-python/train: not as in CIFAR-100: the pickle is truncated"));
    assert!(
        error(python_100(&[1, 100], &TEST))
            .contains("train: not as in CIFAR-100: image 1 has the label 100, beyond 99")
    );
    let mut names = python_100(&TRAIN, &TEST);
    names[2].1 = b"\x80\x02}.".to_vec();
    assert!(error(names).contains("meta: not as in CIFAR-100: names of 0 classes or more, expected 100"));
    let mut short = binary_100(&TRAIN, &TEST);
    short[1].1.pop();
    assert!(
        error(short)
            .contains("test.bin: not as in CIFAR-100: 6147 bytes are not a whole number of records of 3074")
    );
    let mut missing = binary_100(&TRAIN, &TEST);
    missing.remove(2);
    assert!(error(missing).contains("fine_label_names.txt: not as in CIFAR-100: there is no such file"));
}

#[test]
fn files_of_these_names_among_images_are_files_like_others() {
    let place = tempfile::tempdir().unwrap();
    let files = support::images(&["a/1.png", "a/meta", "a/train", "b/1.png", "b/x.npz"]);
    write_folder(place.path(), &files);
    let data = open(place.path()).unwrap();
    assert_eq!(data.classes, ["a", "b"]);
    let notes: Vec<String> = data.notes().iter().map(ToString::to_string).collect();
    assert_eq!(
        notes[0],
        "left out 3 files in class folders that are not named as images: 2 without an ending, 1 .npz (a/meta)"
    );
}
