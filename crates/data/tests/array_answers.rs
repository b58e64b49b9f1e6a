//! Arrays in Fortran order, and arrays of several labels or numbers an image.

mod support;

use std::fs;
use std::path::Path;

use residual_arch::TaskKind;
use residual_data::{DataSource, Dataset, Error, OpenOptions, Source, Split};
use support::arrays::{npy, npz};

fn open(path: &Path, task: TaskKind) -> Result<Dataset, Error> {
    let options = OpenOptions::default().with(|options| (options.holdout, options.task) = (0.0, task));
    Dataset::open(&DataSource::Path(path.into()), &options)
}

/// An `.npz` of these arrays beside four images of 2x3 pixels.
fn opened(arrays: &[(&str, Vec<u8>)], task: TaskKind) -> Result<Dataset, Error> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a.npz");
    let images = npy("|u1", "(4, 2, 3)", &(0..24).collect::<Vec<u8>>());
    fs::write(&path, npz(&[&[("x_train", images)], arrays].concat(), true)).unwrap();
    open(&path, task)
}

fn targets(data: &Dataset) -> Vec<Vec<f64>> {
    let train = data.split(Split::Train).unwrap();
    (0..train.len()).map(|index| train.targets(index)).collect()
}

#[test]
fn fortran_order_holds_the_same_images() {
    let size = [4, 3, 5, 2];
    let value = |at: [usize; 4]| (at[0] * 67 + at[1] * 31 + at[2] * 7 + at[3] * 3) as u16;
    let (mut rows, mut columns) = (Vec::new(), vec![0; size.iter().product()]);
    for at in 0..columns.len() {
        let place = [at / 30, at / 10 % 3, at / 2 % 5, at % 2];
        rows.push(value(place));
        columns[place[0] + 4 * (place[1] + 3 * (place[2] + 5 * place[3]))] = value(place);
    }
    let labels = npy("<i8", "(4,)", &[0_i64, 1, 0, 1].map(i64::to_le_bytes).concat());
    let array = |values: &[u16], order: &str, big: bool| {
        let bytes = |value: &u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let data: Vec<u8> = values.iter().map(|value| value % 256).flat_map(|value| bytes(&value)).collect();
        let text = npy(if big { ">u2" } else { "<u2" }, "(4, 3, 5, 2)", &data);
        let at = text.windows(5).position(|part| part == b"False").unwrap();
        [&text[..at], order.as_bytes(), &text[at + 5..]].concat()
    };
    let place = tempfile::tempdir().unwrap();
    let read = |name: &str, images: Vec<u8>| -> Vec<Vec<u8>> {
        let path = place.path().join(name);
        fs::write(&path, npz(&[("x", images), ("y", labels.clone())], false)).unwrap();
        let train = open(&path, TaskKind::SingleLabel).unwrap().split(Split::Train).unwrap();
        (0..train.len()).map(|index| train.read(index).unwrap().into_pixels()).collect()
    };
    let wanted = read("rows.npz", array(&rows, "False", false));
    assert_eq!(wanted[1][..4], [67, 70, 74, 77]);
    // `True ` is as long as `False`, so that the header's length stays.
    assert_eq!(read("columns.npz", array(&columns, "True ", false)), wanted);
    assert_eq!(read("big.npz", array(&columns, "True ", true)), wanted);
    let whole = array(&columns, "True ", false);
    let path = place.path().join("cut.npz");
    fs::write(&path, npz(&[("x", whole[..whole.len() - 2].to_vec()), ("y", labels.clone())], false)).unwrap();
    let error = open(&path, TaskKind::SingleLabel).unwrap_err().to_string();
    assert!(error.contains("truncated"), "{error}");
}

#[test]
fn columns_of_0_and_1_are_several_labels() {
    let flags = npy("|b1", "(4, 3)", &[1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 1]);
    let data = opened(&[("y_train", flags.clone())], TaskKind::MultiLabel).unwrap();
    assert_eq!(data.classes, ["0", "1", "2"]);
    let wanted = [[1.0, 0.0, 1.0], [0.0; 3], [0.0, 0.0, 1.0], [1.0, 0.0, 1.0]];
    assert_eq!(targets(&data), wanted);
    let names: Vec<u8> = ["cat", "dog", "owl"].iter().flat_map(|name| name.bytes()).collect();
    let named = [("y_train", flags.clone()), ("class_names", npy("|S3", "(3,)", &names))];
    let data = opened(&named, TaskKind::MultiLabel).unwrap();
    assert_eq!(data.classes, ["cat", "dog", "owl"]);
    assert_eq!(targets(&data), wanted);
    let floats = [1.0_f32, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let floats = npy("<f4", "(4, 2)", &floats.map(f32::to_le_bytes).concat());
    let data = opened(&[("y_train", floats)], TaskKind::MultiLabel).unwrap();
    assert_eq!(targets(&data), [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]);
    // Names between signs, in one column.
    let texts: Vec<u8> = ["a|b", "b  ", "   ", "a  "].iter().flat_map(|text| text.bytes()).collect();
    let data = opened(&[("y_train", npy("|S3", "(4,)", &texts))], TaskKind::MultiLabel).unwrap();
    assert_eq!(
        (targets(&data), data.classes),
        (
            vec![vec![1.0, 1.0], vec![0.0, 1.0], vec![0.0; 2], vec![1.0, 0.0]],
            vec!["a".to_owned(), "b".to_owned()]
        )
    );
    let error = opened(&[("y_train", flags)], TaskKind::SingleLabel).unwrap_err().to_string();
    assert!(error.contains("--task multi-label"), "{error}");
    let three = npy("|u1", "(4, 2)", &[0, 1, 0, 3, 0, 0, 1, 1]);
    let error = opened(&[("y_train", three)], TaskKind::MultiLabel).unwrap_err().to_string();
    assert!(error.contains("y_train[1]") && error.contains("`1` is `3`, expected 0 or 1"), "{error}");
}

#[test]
fn numbers_are_targets() {
    let numbers = npy("<f8", "(4,)", &[1.5_f64, -2.0, 0.25, 7.0].map(f64::to_le_bytes).concat());
    let data = opened(&[("y_train", numbers)], TaskKind::Regression).unwrap();
    assert_eq!(
        (targets(&data), data.classes),
        (vec![vec![1.5], vec![-2.0], vec![0.25], vec![7.0]], vec!["label".to_owned()])
    );
    let two = npy(">i2", "(4, 2)", &[1_i16, 2, -3, 4, 5, 6, 1, 2].map(i16::to_be_bytes).concat());
    let data = opened(&[("y_train", two)], TaskKind::Regression).unwrap();
    assert_eq!(data.classes, ["0", "1"]);
    assert_eq!(targets(&data), [[1.0, 2.0], [-3.0, 4.0], [5.0, 6.0], [1.0, 2.0]]);
    let missing = npy("<f4", "(4,)", &[1.0_f32, f32::NAN, 0.0, 1.0].map(f32::to_le_bytes).concat());
    let error = opened(&[("y_train", missing)], TaskKind::Regression).unwrap_err().to_string();
    assert!(error.contains("y_train[1]") && error.contains("`NaN`"), "{error}");
}
