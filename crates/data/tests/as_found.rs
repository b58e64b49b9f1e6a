//! Data as people have them, beside the layouts that are documented: what is read, and what is refused with advice.

mod support;

use std::path::Path;

use residual_arch::TaskKind;
use residual_data::{DataSource, Dataset, Error, Note, OpenOptions, Source, Split};
use support::{Files, images, png, write_folder};

fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let files: Files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone())).collect();
    write_folder(place.path(), &files);
    place
}

fn open(path: &Path, task: TaskKind, labels: &[&str]) -> Result<Dataset, Error> {
    let options = OpenOptions::default().with(|options| {
        (options.holdout, options.task) = (0.0, task);
        let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
        if !labels.is_empty() {
            options.columns.set_labels(&labels);
        }
    });
    Dataset::open(&DataSource::Path(path.into()), &options)
}

/// Classes of a list of the four images `0.png` to `3.png`, and the label of each.
fn listed(name: &str, text: impl AsRef<[u8]>, labels: &[&str]) -> Result<(Vec<String>, Vec<usize>), Error> {
    let mut files: Vec<(String, Vec<u8>)> = (0..4).map(|i| (format!("images/{i}.png"), png(i))).collect();
    files.push((name.to_owned(), text.as_ref().to_vec()));
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), &files);
    let data = open(&place.path().join(name), TaskKind::SingleLabel, labels)?;
    let train = data.split(Split::Train)?;
    (0..train.len()).for_each(|index| drop(train.read(index).unwrap()));
    Ok((data.classes.clone(), (0..train.len()).map(|index| train.label(index)).collect()))
}

#[test]
fn lists_as_competitions_and_spreadsheets_have_them() {
    let two = |a: &str, b: &str| (vec![a.to_owned(), b.to_owned()], vec![0, 1, 0, 1]);
    let utf_16 = |text: &str, big: bool| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let plain = "Datei;Klasse\n0.png;Hund\n1.png;Katze\n2.png;Hund\n3.png;Katze\n";
    for (name, text) in [
        ("kaggle.csv", "id,breed\n0,Hund\n1,Katze\n2,Hund\n3,Katze\n".as_bytes().to_vec()),
        ("german.csv", plain.as_bytes().to_vec()),
        ("pandas.csv", b",photo,kind\n0,0.png,Hund\n1,1.png,Katze\n2,2.png,Hund\n3,3.png,Katze\n".to_vec()),
        ("excel.csv", utf_16(plain, false)),
        ("excel.txt", utf_16(&plain.replace(';', "\t"), true)),
        (
            "boxes.txt",
            b"0.png\tHund\t0\t0\t9\t9\n1.png\tKatze\t1\t1\t8\t8\n2.png\tHund\t0\t0\t9\t9\n3.png\tKatze\t0\t0\t9\t9\n"
                .to_vec(),
        ),
    ] {
        assert_eq!(listed(name, text, &[]).unwrap(), two("Hund", "Katze"), "{name}");
    }
    let one_hot = "image_id,healthy,rust,scab\n0,1,0,0\n1,0,0,1\n2,1,0,0\n3,0,0,1\n";
    let columns = ["healthy", "rust", "scab"];
    // A class that no image has is none.
    assert_eq!(listed("train.csv", one_hot, &columns).unwrap(), two("healthy", "scab"));
}

#[test]
fn lists_that_are_unclear_come_with_advice() {
    for (text, wanted) in [
        ("image_id,healthy,rust\n0,1,0\n", "--label healthy,rust"),
        ("file,age,height\n0.png,20,150\n", "--task regression --label age,height"),
        ("ImageId,PredictionString\n0,n01440764 0 0 10 10\n", "--columns path="),
    ] {
        let error = listed("l.csv", text, &[]).unwrap_err();
        assert!(matches!(&error, Error::ListColumns { help, .. } if help.contains(wanted)), "{error}");
    }
    for (row, wanted) in
        [("1,1", "`a` and `b` are both 1"), ("0,0", "none of the columns"), ("2,0", "`a` is `2`")]
    {
        let error =
            listed("l.csv", format!("id,a,b\n0,1,0\n1,{row}\n"), &["a", "b"]).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains(wanted), "{error}");
    }
    let damaged = listed("l.csv", b"\xff\xfea\0,\0\x00\xd8", &[]).unwrap_err().to_string();
    assert!(damaged.contains("UTF-16") && damaged.contains("help: "), "{damaged}");
}

/// A competition's test images have a list with other columns, none of which are labels.
#[test]
fn a_list_beside_has_the_labels_under_the_same_name() {
    let list = |name: &'static str, text: &str| (name, text.as_bytes().to_vec());
    let mut files: Vec<(&str, Vec<u8>)> =
        ["images/0.png", "images/1.png", "images/2.png"].iter().map(|&path| (path, png(1))).collect();
    files.push(list("train.csv", "id,breed\n0,pug\n1,boxer\n"));
    files.push(list("test.csv", "id,width\n2,640\n"));
    let place = folder(&files);
    let data = open(&place.path().join("train.csv"), TaskKind::SingleLabel, &[]).unwrap();
    assert_eq!(
        (data.classes.clone(), data.splits()),
        (vec!["boxer".into(), "pug".into()], vec![Split::Train])
    );
    assert!(matches!(data.notes(), [Note::UnlabelledList { .. }]), "{:?}", data.notes());
}

#[test]
fn columns_of_0_and_1_are_the_classes_of_several_labels() {
    let place =
        folder(&[("0.png", png(0)), ("1.png", png(1)), ("l.csv", b"id,a,b\n0,1,1\n1,0,0\n".to_vec())]);
    let data = open(&place.path().join("l.csv"), TaskKind::MultiLabel, &[]).unwrap();
    let train = data.split(Split::Train).unwrap();
    assert_eq!(data.classes, ["a", "b"]);
    assert_eq!([train.targets(0), train.targets(1)], [[1.0, 1.0], [0.0, 0.0]]);
}

#[test]
fn boxes_of_objects_are_refused_by_name() {
    let yolo = ["images/train/0.jpg", "images/val/1.jpg", "labels/train/0.txt", "labels/val/1.txt"];
    let export = ["train/images/0.jpg", "train/labels/0.txt", "valid/images/1.jpg", "valid/labels/1.txt"];
    let coco = ["train2017/0.jpg", "val2017/1.jpg", "annotations/instances_train2017.json"];
    let roboflow =
        ["train/0.jpg", "train/_annotations.coco.json", "valid/1.jpg", "valid/_annotations.coco.json"];
    let voc = ["JPEGImages/0.jpg", "JPEGImages/1.jpg", "Annotations/0.xml", "Annotations/1.xml"];
    for (paths, wanted) in
        [(&yolo[..], "YOLO"), (&export, "YOLO"), (&coco, "COCO"), (&roboflow, "COCO"), (&voc, "Pascal VOC")]
    {
        let place = tempfile::tempdir().unwrap();
        write_folder(place.path(), &images(paths));
        let error = open(place.path(), TaskKind::SingleLabel, &[]).unwrap_err();
        assert!(matches!(&error, Error::Boxes { format, .. } if *format == wanted), "{paths:?}: {error}");
    }
}

#[test]
fn a_list_beside_the_images_is_named() {
    let csv = || b"id,label\n0,a\n".to_vec();
    let flat = folder(&[("train/0.png", png(0)), ("test/1.png", png(1)), ("labels.csv", csv())]);
    let error = open(flat.path(), TaskKind::SingleLabel, &[]).unwrap_err();
    let Error::ListBeside { error, list } = error else { panic!("{error}") };
    assert!(matches!(*error, Error::FlatSplits { .. }) && list == "labels.csv", "{error} {list}");
    // Test images that are numbered otherwise, and labels in the names of files.
    let prefixed =
        folder(&[("train/cat.0.png", png(0)), ("train/dog.0.png", png(1)), ("test1/1.png", png(2))]);
    let error = open(prefixed.path(), TaskKind::SingleLabel, &[]).unwrap_err();
    assert!(matches!(error, Error::FlatSplits { .. }), "{error}");
    for (image, list) in [("images/0.png", "train.csv"), ("train/0.png", "train/metadata.jsonl")] {
        let place = folder(&[(image, png(0)), (list, csv())]);
        let data = open(place.path(), TaskKind::SingleLabel, &[]).unwrap();
        let named = |note: &Note| matches!(note, Note::LabelsBeside { list: found } if found.ends_with(list));
        assert!(data.notes().iter().any(named), "{list}: {:?}", data.notes());
    }
}

#[test]
fn evaluation_images_have_the_classes_of_a_list_beside_them() {
    // Tiny ImageNet.
    let place = folder(&[
        ("train/n01443537/images/n01443537_0.JPEG", support::jpeg(0)),
        ("train/n01443537/n01443537_boxes.txt", b"n01443537_0.JPEG\t0\t10\t63\t58\n".to_vec()),
        ("train/n01629819/images/n01629819_0.JPEG", support::jpeg(1)),
        ("val/images/val_0.JPEG", support::jpeg(2)),
        ("val/images/val_1.JPEG", support::jpeg(3)),
        ("val/images/val_2.JPEG", support::jpeg(4)),
        (
            "val/val_annotations.txt",
            b"val_0.JPEG\tn01629819\t0\t32\t44\t62\nval_1.JPEG\tn01443537\t0\t1\t2\t3\n".to_vec(),
        ),
        ("test/images/test_0.JPEG", support::jpeg(5)),
        ("wnids.txt", b"n01443537\nn01629819\n".to_vec()),
    ]);
    let data = open(place.path(), TaskKind::SingleLabel, &[]).unwrap();
    assert_eq!((data.classes.len(), data.splits()), (2, vec![Split::Train, Split::Val]));
    let val = data.split(Split::Val).unwrap();
    let labels: Vec<_> = (0..val.len()).map(|i| (val.name(i), val.label(i))).collect();
    assert_eq!(labels, [("val/images/val_0.JPEG".into(), 1), ("val/images/val_1.JPEG".into(), 0)]);
    // One that the list does not have, and the test images.
    let loose = |note: &Note| matches!(note, Note::Loose { count: 2, .. });
    assert!(data.notes().iter().any(loose), "{:?}", data.notes());
    let read = |note: &Note| matches!(note, Note::ListsBeside { lists } if lists[0].ends_with("val_annotations.txt"));
    assert!(data.notes().iter().any(read), "{:?}", data.notes());
    // The list by itself.
    let val = open(&place.path().join("val/val_annotations.txt"), TaskKind::SingleLabel, &[]).unwrap();
    assert_eq!(val.classes, ["n01443537", "n01629819"]);
    assert_eq!(val.split(Split::Val).unwrap().len(), 2);
}

#[test]
fn a_flat_split_has_the_classes_of_its_list() {
    let files = |list: &str, text: &[u8]| {
        folder(&[
            ("train/cat/a.jpg", support::jpeg(0)),
            ("train/dog/b.jpg", support::jpeg(1)),
            ("val/c.jpg", support::jpeg(2)),
            ("val/d.jpg", support::jpeg(3)),
            (list, text.to_vec()),
        ])
    };
    for (list, text) in [
        ("val.csv", "image,class\nc.jpg,dog\nd.jpg,cat\n"),
        ("val_labels.txt", "val/c.jpg dog\nval/d.jpg cat\n"),
        ("val/labels.csv", "file,label\nc,dog\nd,cat\n"),
    ] {
        let place = files(list, text.as_bytes());
        let data = open(place.path(), TaskKind::SingleLabel, &[]).unwrap();
        let val = data.split(Split::Val).unwrap();
        assert_eq!([val.label(0), val.label(1)], [1, 0], "{list}");
    }
    // Of another split, of classes that training does not have, or no list at all: as if it were not there.
    for (list, text) in [
        ("test.csv", "image,class\nval/c.jpg,dog\n"),
        ("val.csv", "image,class\nc.jpg,cow\n"),
        ("val.csv", "\0"),
    ] {
        let place = files(list, text.as_bytes());
        let data = open(place.path(), TaskKind::SingleLabel, &[]).unwrap();
        assert_eq!(data.splits(), [Split::Train], "{list}");
        assert!(data.notes().iter().any(|note| matches!(note, Note::Loose { count: 2, .. })), "{list}");
    }
}

#[test]
fn packed_files_inside_are_named() {
    let place = folder(&[("train.zip", b"PK".to_vec()), ("test.zip", b"PK".to_vec())]);
    let error = open(place.path(), TaskKind::SingleLabel, &[]).unwrap_err().to_string();
    assert!(error.contains("2 .zip") && error.contains("unpack"), "{error}");
}

/// Files of some names, an image each.
fn flat(names: &[&str]) -> tempfile::TempDir {
    let files: Vec<(&str, Vec<u8>)> =
        names.iter().zip(0..).map(|(name, tone)| (*name, support::jpeg(tone))).collect();
    folder(&files)
}

#[test]
fn classes_in_file_names_are_read_and_said() {
    // Dogs vs. Cats: the test images have no labels.
    let place = flat(&[
        "train/cat.0.jpg",
        "train/cat.1.jpg",
        "train/dog.0.jpg",
        "train/dog.1.jpg",
        "train/dog.2.jpg",
        "test1/1.jpg",
    ]);
    let data = open(place.path(), TaskKind::SingleLabel, &[]).unwrap();
    assert_eq!(
        (&data.classes[..], data.splits()),
        (&["cat".to_owned(), "dog".to_owned()][..], vec![Split::Train])
    );
    let train = data.split(Split::Train).unwrap();
    let labels: Vec<usize> = (0..train.len()).map(|index| train.label(index)).collect();
    assert_eq!(labels, [0, 0, 1, 1, 1]);
    let notes: Vec<String> = data.notes().iter().map(ToString::to_string).collect();
    assert!(notes.iter().any(|note| note.contains("2 classes") && note.contains("cat.0.jpg")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("test1/1.jpg")), "{notes:?}");

    let place = flat(&["red panda_1.png", "red panda_2.png", "fox-01.jpg", "fox-02.jpg"]);
    assert_eq!(open(place.path(), TaskKind::SingleLabel, &[]).unwrap().classes, ["fox", "red panda"]);

    let place = flat(&[
        "train/a_1.jpg",
        "train/a_2.jpg",
        "train/b_1.jpg",
        "train/b_2.jpg",
        "val/a_3.jpg",
        "val/b_3.jpg",
    ]);
    let data = open(place.path(), TaskKind::SingleLabel, &[]).unwrap();
    assert_eq!(data.splits(), [Split::Train, Split::Val]);
    assert_eq!(data.split(Split::Val).unwrap().len(), 2);
}

#[test]
fn file_names_that_say_no_classes_are_none() {
    for names in [
        &["IMG_1.jpg", "IMG_2.jpg", "DSC_1.jpg", "DSC_2.jpg"][..],
        &["1.jpg", "2.jpg", "3.jpg", "4.jpg"],
        &["cat.0.jpg", "cat.1.jpg"],
        &["cat.0.jpg", "cat.1.jpg", "dog.0.jpg"],
        &["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg", "other.jpg"],
    ] {
        let place = flat(names);
        let error = open(place.path(), TaskKind::SingleLabel, &[]).unwrap_err();
        assert!(matches!(error, Error::NoClasses { .. }), "{names:?}: {error}");
    }
    let place = flat(&["train/a_1.jpg", "train/a_2.jpg", "train/b_1.jpg", "train/b_2.jpg", "val/c_3.jpg"]);
    let error = open(place.path(), TaskKind::SingleLabel, &[]).unwrap_err();
    assert!(matches!(error, Error::UnknownClass { .. }), "{error}");
}
