//! CIFAR-10's own archives, made small: the same files, the same pickles, fewer images.

mod support;

use std::fs;

use residual_data::{Dataset, Error, Split};
use support::cifar::{binary_10, planes, python_10};
use support::{Files, every_kind, gz_bytes, open, tar_bytes};

/// Images in a batch.
const COUNT: usize = 3;

fn label(batch: u8, i: usize) -> u8 {
    (batch * 3 + i as u8) % 10
}

/// Labels of the five training batches and of the test batch.
fn labels() -> [Vec<u8>; 6] {
    [1, 2, 3, 4, 5, 6].map(|batch| (0..COUNT).map(|i| label(batch, i)).collect())
}

fn binary() -> Files {
    binary_10(&labels())
}

fn python() -> Files {
    python_10(&labels())
}

fn check(dataset: &Dataset) {
    assert_eq!(dataset.classes.len(), 10);
    assert_eq!(dataset.splits(), [Split::Train, Split::Test]);
    dataset.check_trainable().unwrap();
    let (train, test) = (dataset.split(Split::Train).unwrap(), dataset.split(Split::Test).unwrap());
    assert_eq!((train.len(), test.len()), (5 * COUNT, COUNT));
    assert_eq!(train.name(COUNT + 1), "data_batch_2[1]");
    for (set, first) in [(train, 1), (test, 6)] {
        for i in 0..set.len() {
            let (batch, i_in_batch) = (first + (i / COUNT) as u8, i % COUNT);
            assert_eq!(set.label(i), usize::from(label(batch, i_in_batch)));
            let image = set.read(i).unwrap();
            assert_eq!((image.width(), image.height(), image.channels()), (32, 32, 3));
            let planes = planes(batch, i_in_batch);
            for (p, pixel) in image.pixels().chunks(3).enumerate() {
                assert_eq!(pixel, [planes[p], planes[1024 + p], planes[2048 + p]]);
            }
        }
    }
}

#[test]
fn binary_and_python_packed_and_unpacked() {
    for (files, last) in [(binary(), "truck"), (python(), "lorry")] {
        let place = tempfile::tempdir().unwrap();
        for path in every_kind(place.path(), &files) {
            let dataset = open(&path).unwrap();
            check(&dataset);
            assert_eq!(dataset.classes[9], last, "the names are those of batches.meta");
        }
        // The folder itself, not only the one around it.
        let inside = files[0].0.split('/').next().unwrap();
        check(&open(&place.path().join("folder").join(inside)).unwrap());
    }
}

#[test]
fn class_names_are_known_without_their_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x");
    fs::write(&path, tar_bytes(&binary()[..6].to_vec())).unwrap();
    assert_eq!(open(&path).unwrap().classes[6..8], ["frog", "horse"]);
}

#[test]
fn what_is_not_as_published_is_named() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.tar.gz");
    let error = |files: Files| {
        fs::write(&path, gz_bytes(&tar_bytes(&files))).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, Error::Cifar { .. }), "{error}");
        error.to_string()
    };
    let mut short = binary();
    short[1].1.pop();
    assert!(error(short).contains("data_batch_2.bin: not as in CIFAR-10: 9218 bytes are not a whole number"));
    let mut label = binary();
    label[0].1[3073] = 10;
    assert!(error(label).contains("image 1 has the label 10"));
    let mut missing = binary();
    missing.remove(2);
    assert!(error(missing).contains("4 training batches"));
    let mut cut = python();
    cut[0].1.truncate(5000);
    assert!(error(cut).contains("data_batch_1: not as in CIFAR-10: the pickle is truncated"));
    let mut other = python();
    other[5].1 = b"\x80\x02}q\x01.".to_vec();
    assert!(error(other).contains("test_batch: not as in CIFAR-10: there is no list `labels`"));
    // A label too many for the array.
    let mut more = python();
    let at = more[0].1.windows(2).position(|pair| pair == b"K\x03").unwrap();
    more[0].1.splice(at..at, *b"K\x01");
    assert!(error(more).contains("`data` is not [number of labels, 3072]"));
}

/// Changed at random, the same in every run: an error, or images.
#[test]
fn no_changed_pickle_is_more_than_an_error() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.tar");
    let (mut opened, mut refused) = (0, 0);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |end: usize| {
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        (random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) as usize % end
    };
    for number in 0..2000 {
        let mut files = python();
        let bytes = &mut files[[0, 6][number % 2]].1;
        // Most of a batch is pixels: the first and the last bytes are the pickle's own.
        let place = [below(bytes.len().min(300)), bytes.len() - 1 - below(60)][below(2)];
        match below(4) {
            0 => bytes[place] ^= 1 << below(8),
            1 => bytes[place] = [0, 0x7f, 0xff, b'(', b'R', b'h', b'b', b'.'][below(8)],
            2 => drop(bytes.drain(place..(place + 1 + below(9)).min(bytes.len() - 1))),
            _ => {
                let part = bytes[place..(place + 9).min(bytes.len())].repeat(1 << below(12));
                drop(bytes.splice(place..place, part));
            }
        }
        fs::write(&path, tar_bytes(&files)).unwrap();
        match open(&path) {
            Ok(data) => {
                opened += 1;
                for split in data.splits() {
                    let set = data.split(split).unwrap();
                    (0..set.len()).for_each(|image| drop(set.read(image)));
                }
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().len() < 10_000, "{number}");
            }
        }
    }
    assert!(opened > 100 && refused > 100, "{opened} opened, {refused} refused");
}
