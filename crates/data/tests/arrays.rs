//! Images and labels as arrays: IDX files, gzipped or not, and arrays of NumPy.

mod support;

use std::fs;
use std::path::Path;

use residual_data::{DataSource, Dataset, Error, OpenOptions, Split};
use support::arrays::{idx, images, mnist, npy, npz, pixels};
use support::{Files, every_kind, gz_bytes, open, write_folder};

fn open_with(path: &Path, change: impl FnOnce(&mut OpenOptions)) -> Result<Dataset, Error> {
    Dataset::open(&DataSource::Path(path.into()), &OpenOptions::default().with(change))
}

/// Labels of a split by the names of their classes.
fn labels(data: &Dataset, split: Split) -> Vec<&str> {
    let set = data.split(split).unwrap();
    (0..set.len()).map(|i| data.classes[set.label(i)].as_str()).collect()
}

fn gzipped(files: &Files) -> Files {
    files.iter().map(|(name, bytes)| (format!("{name}.gz"), gz_bytes(bytes))).collect()
}

fn check_mnist(data: &Dataset, path: &Path) {
    assert_eq!(data.classes, ["0", "2", "9"], "{}", path.display());
    assert_eq!(data.splits(), [Split::Train, Split::Test]);
    assert_eq!(labels(data, Split::Train), ["9", "0", "9", "2"]);
    assert_eq!(labels(data, Split::Test), ["2", "2"]);
    for (set, split) in [Split::Train, Split::Test].into_iter().enumerate() {
        let images = data.split(split).unwrap();
        for i in 0..images.len() {
            let image = images.read(i).unwrap();
            assert_eq!([image.height(), image.width(), image.channels()], [5, 4, 1]);
            assert_eq!(image.pixels(), pixels(set, i, 20));
        }
    }
}

#[test]
fn idx_files_packed_and_unpacked() {
    let plain = mnist(&[9, 0, 9, 2], &[2, 2]);
    let dotted: Files =
        plain.iter().map(|(name, bytes)| (name.replace("-idx", ".idx"), bytes.clone())).collect();
    let emnist: Files = plain
        .iter()
        .map(|(name, bytes)| (format!("d/emnist-digits-{}", name.replace("t10k", "test")), bytes.clone()))
        .collect();
    let both = [plain.clone(), gzipped(&plain)].concat();
    for files in [plain.clone(), gzipped(&plain), dotted, gzipped(&emnist), both] {
        let place = tempfile::tempdir().unwrap();
        for path in every_kind(place.path(), &files) {
            let data = open(&path).unwrap();
            check_mnist(&data, &path);
            assert_eq!(data.notes(), []);
        }
        // One of the files stands for its set.
        let file = place.path().join("folder").join(&files[1].0);
        check_mnist(&open(&file).unwrap(), &file);
    }
}

#[test]
fn one_set_among_several_is_named_by_a_file() {
    let place = tempfile::tempdir().unwrap();
    for set in ["letters", "digits"] {
        let files = mnist(&[9, 0, 9, 2], &[2, 2]);
        let named = files.into_iter().map(|(name, bytes)| (format!("emnist-{set}-{name}"), bytes)).collect();
        write_folder(place.path(), &gzipped(&named));
    }
    let error = open(place.path()).unwrap_err();
    assert!(matches!(&error, Error::SeveralSets { sets, .. } if sets.len() == 2), "{error}");
    assert!(error.to_string().contains("emnist-letters-train-images-idx3-ubyte"), "{error}");
    let file = place.path().join("emnist-letters-t10k-labels-idx1-ubyte.gz");
    check_mnist(&open(&file).unwrap(), &file);
}

#[test]
fn classes_of_fashion_mnist_have_names_where_the_folder_is_called_so() {
    let place = tempfile::tempdir().unwrap();
    for name in ["fashion-mnist", "FashionMNIST/raw", "x/fashion_mnist"] {
        let folder = place.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        write_folder(&folder, &mnist(&[9, 0, 9, 3], &[2]));
        let data = open(&folder).unwrap();
        assert_eq!((data.classes.len(), labels(&data, Split::Train)[0]), (10, "Ankle boot"), "{name}");
        assert_eq!(data.classes[data.split(Split::Test).unwrap().label(0)], "Pullover");
    }
    let folder = place.path().join("fashion-mnist");
    write_folder(&folder, &mnist(&[9, 10], &[2]));
    let error = open(&folder).unwrap_err().to_string();
    assert!(error.contains("train-labels-idx1-ubyte[1]: the label 10 is beyond the 10 classes"), "{error}");
}

#[test]
fn broken_idx_files_are_named() {
    let place = tempfile::tempdir().unwrap();
    let error = |name: &str, bytes: Vec<u8>| {
        let folder = place.path().join("x");
        write_folder(
            place.path(),
            &mnist(&[9, 0, 9, 2], &[2, 2]).into_iter().map(|(n, b)| (format!("x/{n}"), b)).collect(),
        );
        fs::write(folder.join(name), bytes).unwrap();
        let error = open(&folder).unwrap_err().to_string();
        fs::remove_dir_all(folder).unwrap();
        error
    };
    let whole = mnist(&[9, 0, 9, 2], &[2, 2]);
    for length in [0, 3, 9, 15, 17, whole[0].1.len() - 1] {
        let text = error("train-images-idx3-ubyte", whole[0].1[..length].to_vec());
        assert!(text.contains("train-images-idx3-ubyte: truncated: "), "{length}: {text}");
    }
    for (bytes, wanted) in [
        (idx(&[5, 5, 4], &images(0, 5, 20)), "train-images-idx3-ubyte: 5 images, where "),
        (idx(&[4, 5, 4], &images(0, 5, 20)), "100 bytes of values, where its sizes [4, 5, 4] need 80"),
        (idx(&[u32::MAX; 4], &[0; 80]), "impossible sizes"),
        (idx(&[4, 0, 4], &[]), "which are not those of images"),
        (idx(&[0, u32::MAX, u32::MAX, u32::MAX], &[]), "impossible sizes"),
        (idx(&[4, 20], &[0; 80]), "sizes [4, 20], where images have [n, height, width]"),
        (vec![0, 0, 7, 1, 0, 0, 0, 0], "not an IDX file (it begins with 00 00 07 01)"),
        ([&[0, 0, 13, 3], &idx(&[1, 1, 1], &[])[4..], &0.5f32.to_be_bytes()].concat(), "has 4 labels"),
    ] {
        let text = error("train-images-idx3-ubyte", bytes);
        assert!(text.contains(wanted), "{text}");
    }
    let text = error("t10k-labels-idx1-ubyte", idx(&[2], &[2, 7]));
    assert!(
        text.contains("t10k-labels-idx1-ubyte[1]: class `7` is not among the known classes (0, 2, 9)"),
        "{text}"
    );
    let text = error("t10k-labels-idx1-ubyte", idx(&[2, 2], &[2, 2, 0, 0]));
    assert!(text.contains("sizes [2, 2], where labels have [2] or [2, 1]"), "{text}");
    // A gzip stream that is cut, and one that unpacks to more than may be held.
    let folder = place.path().join("gz");
    write_folder(&folder, &gzipped(&whole));
    let path = folder.join("train-images-idx3-ubyte.gz");
    let packed = fs::read(&path).unwrap();
    fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    let text = open(&folder).unwrap_err().to_string();
    assert!(
        text.contains("train-images-idx3-ubyte.gz: the archive is truncated (the gzip stream ends"),
        "{text}"
    );
    fs::write(&path, gz_bytes(&vec![0; 30 << 20])).unwrap();
    let result = open_with(&folder, |options| options.memory_limit = 1 << 20);
    assert!(matches!(result, Err(Error::ArchiveTooLarge { .. })), "{result:?}");
    // Images without labels.
    let alone = place.path().join("alone");
    write_folder(&alone, &whole[..1].to_vec());
    assert!(matches!(open(&alone), Err(Error::NoArrays { .. })));
}

/// `x_train` and so on of 6 and 2 images of this shape, which `size` bytes fill.
fn keras(shape: &str, size: usize, labels: [Vec<u8>; 2]) -> Vec<(&'static str, Vec<u8>)> {
    let x = |set, count: usize| npy("|u1", &format!("({count}, {shape})"), &images(set, count, size));
    let [train, test] = labels;
    vec![("x_train", x(0, 6)), ("y_train", train), ("x_test", x(1, 2)), ("y_test", test)]
}

fn wide(labels: &[u8]) -> Vec<u8> {
    labels.iter().flat_map(|&label| i64::from(label).to_le_bytes()).collect()
}

#[test]
fn arrays_of_numpy_stored_deflated_and_side_by_side() {
    let (train, test) = ([3u8, 11, 3, 5, 11, 5], [5u8, 5]);
    for (shape, size, sizes) in [
        ("5, 4", 20, [5, 4, 1]),
        ("5, 4, 3", 60, [5, 4, 3]),
        ("3, 5, 4", 60, [5, 4, 3]),
        ("5, 4, 1", 20, [5, 4, 1]),
    ] {
        for wide_labels in [false, true] {
            let array = |labels: &[u8]| match wide_labels {
                true => npy("<i8", &format!("({}, 1)", labels.len()), &wide(labels)),
                false => npy("|u1", &format!("({},)", labels.len()), labels),
            };
            let arrays = keras(shape, size, [array(&train), array(&test)]);
            let place = tempfile::tempdir().unwrap();
            let folder = place.path().join("npy");
            for (name, bytes) in &arrays {
                write_folder(&folder, &vec![(format!("{name}.npy"), bytes.clone())]);
            }
            let (stored, deflated) = (place.path().join("a.npz"), place.path().join("b.bin"));
            fs::write(&stored, npz(&arrays, false)).unwrap();
            fs::write(&deflated, npz(&arrays, true)).unwrap();
            let around = place.path().join("around");
            fs::create_dir(&around).unwrap();
            fs::write(around.join("set.npz"), npz(&arrays, true)).unwrap();
            for path in [folder, stored, deflated, around] {
                let data = open(&path).unwrap();
                assert_eq!(data.classes, ["3", "5", "11"], "{}", path.display());
                assert_eq!(labels(&data, Split::Train), ["3", "11", "3", "5", "11", "5"]);
                assert_eq!(labels(&data, Split::Test), ["5", "5"]);
                let set = data.split(Split::Train).unwrap();
                let (image, raw) = (set.read(4).unwrap(), pixels(0, 4, size));
                assert_eq!([image.height(), image.width(), image.channels()], sizes);
                match shape {
                    "3, 5, 4" => {
                        assert_eq!(image.pixels()[..6], [raw[0], raw[20], raw[40], raw[1], raw[21], raw[41]])
                    }
                    _ => assert_eq!(image.pixels(), raw),
                }
                assert!(set.name(4).ends_with("x_train[4]"), "{}", set.name(4));
                assert!(set.stamp(4).is_ok());
            }
        }
    }
}

/// Opens an `.npz` of these arrays.
fn opened(arrays: &[(&str, Vec<u8>)], change: impl FnOnce(&mut OpenOptions)) -> Result<Dataset, Error> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("set.npz");
    fs::write(&path, npz(arrays, true)).unwrap();
    open_with(&path, change)
}

#[test]
fn names_of_arrays_say_what_they_hold() {
    let x = |count: usize| npy("|u1", &format!("({count}, 2, 2)"), &images(0, count, 4));
    let y = |labels: &[u8]| npy("|u1", &format!("({},)", labels.len()), labels);
    // As MedMNIST has them.
    let medmnist: Vec<(&str, Vec<u8>)> = vec![
        ("train_images", x(4)),
        ("train_labels", npy("|u1", "(4, 1)", &[0, 1, 1, 0])),
        ("val_images", x(1)),
        ("val_labels", npy("|u1", "(1, 1)", &[1])),
        ("test_images", x(2)),
        ("test_labels", npy("|u1", "(2, 1)", &[1, 0])),
    ];
    let data = opened(&medmnist, |_| ()).unwrap();
    assert_eq!(data.splits(), [Split::Train, Split::Val, Split::Test]);
    // Without splits a share is held out; names of classes are used; other arrays are said.
    let names = npy(
        "<U3",
        "(2,)",
        &"cat dog"
            .chars()
            .filter(|c| *c != ' ')
            .flat_map(|c| u32::from(c).to_le_bytes())
            .collect::<Vec<u8>>(),
    );
    let arrays = [
        ("images", x(10)),
        ("labels", y(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1])),
        ("class_names", names),
        ("ids", y(&[0; 10])),
    ];
    let data = opened(&arrays, |options| options.holdout = 0.2).unwrap();
    assert_eq!((data.classes.join(" "), data.splits()), ("cat dog".into(), vec![Split::Train, Split::Val]));
    assert_eq!(data.split(Split::Val).unwrap().len(), 2);
    assert_eq!(data.notes()[0].to_string(), "left out 1 array in no pair of images and labels: ids");
    // Text as labels; arrays without telling names.
    let text = npy("|S3", "(4,)", b"catdogcatdog");
    assert_eq!(opened(&[("arr_0", text.clone()), ("arr_1", x(4))], |_| ()).unwrap().classes, ["cat", "dog"]);
    // Arrays that are named.
    let arrays = [("pictures", x(4)), ("fine", y(&[0, 1, 2, 3])), ("coarse", y(&[0, 0, 1, 1])), ("x", x(4))];
    let data =
        opened(&arrays, |options| options.columns = "path=pictures,label=coarse".parse().unwrap()).unwrap();
    assert_eq!(data.classes, ["0", "1"]);
    let error = opened(&arrays, |_| ()).unwrap_err();
    assert!(matches!(&error, Error::NoArrays { found, .. } if found.len() == 4), "{error}");
    // Whole numbers of another kind are pixels all the same.
    let floats: Vec<u8> = images(0, 4, 4).iter().flat_map(|&byte| f32::from(byte).to_le_bytes()).collect();
    let data = opened(&[("x", npy("<f4", "(4, 2, 2)", &floats)), ("y", y(&[0, 1, 1, 0]))], |_| ()).unwrap();
    assert_eq!(data.split(Split::Train).unwrap().read(0).unwrap().pixels().len(), 4);
}

#[test]
fn parts_in_several_files_are_one_set() {
    let x = |set, count: usize| npy("|u1", &format!("({count}, 2, 2)"), &images(set, count, 4));
    let y = |labels: &[u8]| npy("|u1", &format!("({},)", labels.len()), labels);
    let place = tempfile::tempdir().unwrap();
    for (name, set, labels) in
        [("train_data_batch_1", 0, [0u8, 1]), ("train_data_batch_2", 1, [1, 0]), ("val_data", 2, [0, 1])]
    {
        let arrays = [("data", x(set, 2)), ("labels", y(&labels))];
        fs::write(place.path().join(format!("{name}.npz")), npz(&arrays, true)).unwrap();
    }
    let data = open(place.path()).unwrap();
    assert_eq!(
        (labels(&data, Split::Train), labels(&data, Split::Val)),
        (vec!["0", "1", "1", "0"], vec!["0", "1"])
    );
    let train = data.split(Split::Train).unwrap();
    assert_eq!(train.read(2).unwrap().pixels(), pixels(1, 0, 4));
    let other = [("train_images", x(0, 2)), ("train_labels", y(&[0, 1]))];
    for name in ["path.npz", "blood.npz"] {
        fs::write(place.path().join(name), npz(&other, false)).unwrap();
    }
    let error = open(place.path()).unwrap_err();
    assert!(matches!(&error, Error::SeveralSets { sets, .. } if sets.len() == 3), "{error}");
}

#[test]
fn broken_arrays_are_named() {
    let x = npy("|u1", "(4, 2, 2)", &images(0, 4, 4));
    let y = |descr: &str, shape: &str, bytes: &[u8]| npy(descr, shape, bytes);
    let good = y("|u1", "(4,)", &[0, 1, 0, 1]);
    let half: Vec<u8> = [0.0f32, 0.5, 1.0, 0.25].iter().flat_map(|value| value.to_le_bytes()).collect();
    for (images, labels, wanted) in [
        (x.clone(), y("|u1", "(3,)", &[0, 1, 0]), "x: 4 images, where "),
        (
            x.clone(),
            y("|O", "(4,)", b"\x80\x04\x95cposix\nsystem\n"),
            "y: Python objects, which only running a pickle would make: refused",
        ),
        (x.clone(), y("<i4", "(4,)", &[0; 15]), "y: truncated: 15 bytes of values"),
        (x.clone(), y("|i1", "(4,)", &[0, 1, 255, 0]), "y[2]: the label -1 is below 0"),
        (x.clone(), y("<f4", "(4,)", &half), "y[1]: the label 0.5 is no whole number"),
        (x.clone(), y("|S1", "(4,)", b"ab\0c"), "y[2]: the label is empty"),
        (x.clone(), y("|S1", "(4,)", b"ab\xffc"), "y[2]: a label that is no text"),
        (x.clone(), y("|u1", "(4, 3)", &[0; 12]), "help: give an image one label, as with argmax"),
        (x.clone(), y("<c8", "(4,)", &[0; 32]), "elements of the kind `<c8`, which is not read"),
        (
            y("<f4", "(4, 1, 1)", &half),
            good.clone(),
            "x[1]: the value 0.5 is no whole number from 0 to 255; help: save pixels as uint8",
        ),
        (
            y("<i2", "(4, 1, 1)", &[0, 0, 1, 1, 0, 0, 0, 0]),
            good.clone(),
            "x[1]: the value 257 is no whole number from 0 to 255",
        ),
        (y("|u1", "(4, 4)", &[0; 16]), good.clone(), "x: sizes [4, 4], where images have"),
        (y("|u1", "(4, 99999999999, 99999999999)", &[0; 16]), good.clone(), "impossible sizes"),
        (b"not an array at all".to_vec(), good.clone(), "x: not a NumPy array"),
        (x[..40].to_vec(), good.clone(), "x: truncated: it ends too early"),
    ] {
        let error = opened(&[("x", images), ("y", labels)], |_| ()).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("set.npz"), "{error}");
    }
    // A member whose bytes are damaged.
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("set.npz");
    let mut bytes = npz(&[("x", x), ("y", good)], true);
    bytes[60] ^= 0x55;
    fs::write(&path, &bytes).unwrap();
    assert!(open(&path).unwrap_err().to_string().contains("set.npz: x"));
    // A directory that claims more than the archive holds is no reason to set memory aside.
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(open(&path), Err(Error::TruncatedArchive { .. })));
}

#[test]
fn memory_is_not_set_aside_for_what_is_claimed() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("set.npz");
    // 30 MiB of zeros in 30 kB.
    let arrays =
        [("x", npy("|u1", "(30, 1024, 1024)", &vec![0; 30 << 20])), ("y", npy("|u1", "(30,)", &[0; 30]))];
    fs::write(&path, npz(&arrays, true)).unwrap();
    let result = open_with(&path, |options| options.memory_limit = 4 << 20);
    assert!(matches!(result, Err(Error::ArchiveTooLarge { .. })), "{result:?}");
    // Stored, it stays where it is.
    fs::write(&path, npz(&arrays, false)).unwrap();
    let data = open_with(&path, |options| options.memory_limit = 4 << 20).unwrap();
    assert_eq!(data.split(Split::Train).unwrap().read(7).unwrap().height(), 1024);
    // Numbers that are made bytes take memory.
    let floats =
        [("x", npy("<f4", "(8, 1024, 1024)", &vec![0; 32 << 20])), ("y", npy("|u1", "(8,)", &[0; 8]))];
    fs::write(&path, npz(&floats, false)).unwrap();
    let result = open_with(&path, |options| options.memory_limit = 4 << 20);
    assert!(matches!(result, Err(Error::ArchiveTooLarge { .. })), "{result:?}");
}

#[test]
fn every_file_once_more_in_a_folder_of_its_name_is_said() {
    let files = mnist(&[9, 0, 9, 2], &[2, 2]);
    let twice: Files = files
        .iter()
        .flat_map(|(name, bytes)| {
            [(format!("{name}/{name}"), bytes.clone()), (name.replace("-idx", ".idx"), bytes.clone())]
        })
        .collect();
    let place = tempfile::tempdir().unwrap();
    for path in every_kind(place.path(), &twice) {
        let data = open(&path).unwrap();
        check_mnist(&data, &path);
        assert!(
            data.notes()[0].to_string().starts_with("left out 4 arrays in no pair of images and labels: ")
        );
    }
}

/// Changed at random, the same in every run: an error, or images.
#[test]
fn no_changed_file_is_more_than_an_error() {
    let place = tempfile::tempdir().unwrap();
    let (mut opened, mut refused) = (0, 0);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |end: usize| {
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        (random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) as usize % end
    };
    let x = npy("|u1", "(4, 2, 2)", &images(0, 4, 4));
    let y = npy("<i4", "(4,)", &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    let plain = mnist(&[1, 0, 1, 0], &[1]);
    let sets: [Files; 3] = [
        plain.clone(),
        gzipped(&plain),
        vec![
            ("train.npz".into(), npz(&[("x", x.clone()), ("y", y.clone())], false)),
            ("test.npz".into(), npz(&[("x", x), ("y", y)], true)),
        ],
    ];
    for number in 0..3000 {
        let mut files = sets[number % 3].clone();
        let file = below(files.len());
        let bytes = &mut files[file].1;
        let at = below(bytes.len());
        match below(4) {
            0 => bytes[at] ^= 1 << below(8),
            1 => bytes[at] = [0, 0x7f, 0xff, b'(', b'9', b'O', b'<', b','][below(8)],
            2 => drop(bytes.drain(at..(at + 1 + below(9)).min(bytes.len()))),
            _ => drop(bytes.splice(at..at, vec![0xff; below(40)])),
        }
        let folder = place.path().join(number.to_string());
        write_folder(&folder, &files);
        match open_with(&folder, |options| options.memory_limit = 64 << 20) {
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
        fs::remove_dir_all(folder).unwrap();
    }
    assert!(opened > 100 && refused > 100, "{opened} opened, {refused} refused");
}
