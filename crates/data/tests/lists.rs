//! Lists of images and labels: formats, columns, splits, and lines that are wrong.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use residual_arch::Preprocess;
use residual_data::{Columns, DataSource, Dataset, Error, Loader, LoaderOptions, OpenOptions, Split};
use support::{images, png, write_folder};

/// A folder of images `photos/0.png` to `photos/9.png`.
fn folder() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let paths: Vec<String> = (0..10).map(|i| format!("photos/{i}.png")).collect();
    write_folder(place.path(), &images(&paths.iter().map(String::as_str).collect::<Vec<_>>()));
    place
}

fn open_with(path: &Path, change: impl FnOnce(&mut OpenOptions)) -> Result<Dataset, Error> {
    Dataset::open(&DataSource::Path(path.into()), &OpenOptions::default().with(change))
}

/// Opens a list of this name and text beside the images.
fn opened(place: &tempfile::TempDir, name: &str, text: &str) -> Result<Dataset, Error> {
    let path = place.path().join(name);
    fs::write(&path, text).unwrap();
    open_with(&path, |_| ())
}

/// Images of all splits: split, path, class.
fn rows(data: &Dataset) -> Vec<(Split, String, String)> {
    let of_split = |split: Split| {
        let set = data.split(split).unwrap();
        let row = move |i| (split, set.name(i).into_owned(), data.classes[set.label(i)].clone());
        (0..data.split(split).unwrap().len()).map(row).collect::<Vec<_>>()
    };
    data.splits().into_iter().flat_map(of_split).collect()
}

fn notes(data: &Dataset) -> Vec<String> {
    data.notes().iter().map(ToString::to_string).collect()
}

const WANTED: [(Split, &str, &str); 4] = [
    (Split::Train, "photos/0.png", "cat"),
    (Split::Train, "photos/1.png", "dog"),
    (Split::Train, "photos/2.png", "cat"),
    (Split::Val, "photos/3.png", "dog"),
];

#[test]
fn every_format_says_the_same() {
    let place = folder();
    let json = "{\"file_name\": \"photos/0.png\", \"label\": \"cat\", \"split\": \"train\", \"x\": [1]}\n\n\
        {\"file_name\": \"photos/1.png\", \"label\": \"dog\", \"split\": \"train\"}\r\n\
        {\"label\": \"cat\", \"file_name\": \"photos/2.png\", \"split\": \"training\"}\n\
        {\"file_name\": \"photos/3.png\", \"label\": \"dog\", \"split\": \"valid\"}";
    for (name, text) in [
        (
            "l.csv",
            "path,label,split\nphotos/0.png,cat,train\nphotos/1.png,dog,train\nphotos/2.png,cat,train\nphotos/3.png,dog,val\n",
        ),
        // A byte-order mark, mixed line ends, quotes, spaces, other columns and no end of line.
        (
            "m.csv",
            "\u{feff}id;Image Path;Class;Subset\r\n9;\"photos/0.png\";cat;Train\r8;photos/1.png; dog ;TRAIN\n7;photos/2.png;cat;trn\n\n6;photos/3.png;\"dog\";dev",
        ),
        (
            "l.tsv",
            "label\tsplit\tfile\ncat\ttrain\tphotos/0.png\ndog\ttrain\tphotos/1.png\ncat\ttrain\tphotos/2.png\ndog\tvalidation\tphotos/3.png\n",
        ),
        ("l.jsonl", json),
    ] {
        let data = opened(&place, name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let wanted = WANTED.map(|(split, path, class)| (split, path.to_owned(), class.to_owned()));
        assert_eq!(rows(&data), wanted, "{name}");
        assert_eq!((&data.classes, notes(&data).len()), (&vec!["cat".to_owned(), "dog".to_owned()], 0));
        assert_eq!(data.split(Split::Train).unwrap().read(0).unwrap().width(), 8, "{name}");
    }
}

#[test]
fn lists_without_names_of_columns() {
    let place = folder();
    let expected = |data: &Dataset| {
        let labels = rows(data).into_iter().map(|(_, path, class)| format!("{path} {class}"));
        let mut labels: Vec<_> = labels.collect();
        labels.sort();
        assert_eq!(labels, ["photos/0.png 10", "photos/1.png 9", "photos/2.png 9", "photos/3.png 10"]);
        assert_eq!(data.classes, ["9", "10"], "numbers are sorted as numbers");
    };
    let csv = "photos/0.png,10\nphotos/1.png,9\nphotos/2.png,9\nphotos/3.png,10\n";
    expected(&opened(&place, "l.csv", csv).unwrap());
    let turned = "10,photos/0.png\n9,photos/1.png\n9,photos/2.png\n10,photos/3.png\n";
    expected(&opened(&place, "t.csv", turned).unwrap());
    expected(&opened(&place, "l.txt", &csv.replace(',', " ")).unwrap());
    expected(&opened(&place, "l.tsv", &csv.replace(',', "\t")).unwrap());
}

#[test]
fn identifiers_and_folders_of_the_lists_name() {
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), &images(&["train/a1.jpg", "train/b2.jpg", "train/c3.jpg", "train/d4.jpg"]));
    let data = opened(&place, "train.csv", "id,breed\na1,pug\nb2,boxer\nc3,pug\nd4,boxer\n");
    assert_eq!(data.unwrap().classes, ["boxer", "pug"]);
    let data = open_with(&place.path().join("train.csv"), |options| {
        options.columns = "label=breed".parse::<Columns>().unwrap();
    })
    .unwrap();
    assert_eq!(data.classes, ["boxer", "pug"]);
    assert_eq!(data.splits(), [Split::Train, Split::Val]);
    let set = data.split(Split::Train).unwrap();
    assert!(set.read(0).is_ok() && set.file(0).contains("train.csv, line "), "{}", set.file(0));
}

#[test]
fn a_root_is_taken_and_no_other_folder() {
    let (place, other) = (folder(), tempfile::tempdir().unwrap());
    let list = other.path().join("labels.csv");
    fs::write(&list, "path,label\n0.png,a\n1.png,b\n2.png,a\n3.png,b\n").unwrap();
    let error = open_with(&list, |_| ()).unwrap_err().to_string();
    assert!(error.contains("labels.csv, line 2: there is no file") && error.contains("--root"), "{error}");
    let data = open_with(&list, |options| options.root = Some(place.path().join("photos"))).unwrap();
    assert!(data.split(Split::Train).unwrap().read(0).is_ok());
}

#[test]
fn lists_beside_are_the_other_splits() {
    let place = folder();
    fs::write(place.path().join("val.csv"), "path,label\nphotos/3.png,b\n").unwrap();
    fs::write(place.path().join("Test.csv"), "path\nphotos/4.png\n").unwrap();
    fs::write(place.path().join("other_val.csv"), "path,label\nphotos/5.png,b\n").unwrap();
    let text = "path,label\nphotos/0.png,a\nphotos/1.png,b\nphotos/0.png,a\n";
    let data = opened(&place, "train.csv", text).unwrap();
    assert_eq!((data.splits(), rows(&data).len()), (vec![Split::Train, Split::Val], 3));
    let notes = notes(&data).join("\n");
    for wanted in [
        "read as the other splits:",
        "val.csv",
        "Test.csv, which has no column of labels",
        "1 line of images",
    ] {
        assert!(notes.contains(wanted), "{notes}");
    }
    // A list of one split alone is that split.
    let data = open_with(&place.path().join("val.csv"), |_| ()).unwrap();
    assert_eq!(data.splits(), [Split::Val]);
    // Labels that no training image has.
    fs::write(place.path().join("val.csv"), "path,label\nphotos/3.png,z\n").unwrap();
    let error = open_with(&place.path().join("train.csv"), |_| ()).unwrap_err();
    assert!(matches!(&error, Error::UnknownClass { unknown, .. } if unknown == &["z"]), "{error}");
    assert!(
        error.to_string().contains("val.csv, line 2: class `z` is not among the known classes (a, b)"),
        "{error}"
    );
}

#[test]
fn classes_of_another_order_or_fewer_of_them_keep_their_labels() {
    let place = folder();
    let text = "path,label,split\nphotos/0.png,hen,train\nphotos/1.png,cat,train\nphotos/2.png,dog,train\n\
        photos/3.png,hen,val\nphotos/4.png,cat,val\n";
    let data = opened(&place, "l.csv", text).unwrap();
    assert_eq!(data.classes, ["cat", "dog", "hen"]);
    let val = data.split(Split::Val).unwrap();
    assert_eq!((val.label(0), val.label(1)), (2, 0));
    // All that are unknown, at the place of the first.
    let text = text.to_owned() + "photos/5.png,owl,val\nphotos/6.png,ant,test\nphotos/7.png,owl,test\n";
    let error = opened(&place, "l.csv", &text).unwrap_err().to_string();
    assert!(
        error.contains("l.csv, line 7: 2 classes (ant, owl) are not among the known classes (cat, dog, hen)"),
        "{error}"
    );
}

#[test]
fn lines_are_counted_however_they_end() {
    let place = folder();
    for (name, text) in [
        ("a.csv", "path,label\r\nphotos/0.png,a\rphotos/1.png,b\n\n\r\n,c\n"),
        ("a.txt", "photos/3.png a\r\nphotos/0.png a\rphotos/1.png b\n\n\r\nphotos/2.png\n"),
        (
            "a.jsonl",
            "{\"path\": \"photos/0.png\", \"label\": 1}\r{\"path\": \"photos/1.png\", \"label\": 1}\r\n\n\n\r\n{\"path\": 3}",
        ),
    ] {
        let error = opened(&place, name, text).unwrap_err().to_string();
        assert!(error.contains(&format!("{name}, line 6: ")) || error.contains("no columns"), "{error}");
    }
    let data = opened(&place, "b.csv", "path,label\rphotos/0.png,a\rphotos/1.png,b\r").unwrap();
    assert!(data.split(Split::Train).unwrap().file(1).contains("b.csv, line 3: "));
}

#[test]
fn a_missing_image_is_left_out_where_bad_ones_are() {
    let place = folder();
    let data =
        opened(&place, "val.csv", "path,label\nphotos/0.png,a\nphotos/nowhere.png,b\nphotos/1.png,b\n")
            .unwrap();
    let set = Arc::new(data.split(Split::Val).unwrap());
    let options = |skip_bad| {
        LoaderOptions::evaluation(8, Preprocess::normalise_only()).with(|options| options.skip_bad = skip_bad)
    };
    let batch = Loader::new(set.clone(), options(true)).unwrap().next().unwrap().unwrap();
    assert_eq!((batch.labels.len(), batch.skipped.len()), (2, 1));
    assert!(batch.skipped[0].to_string().ends_with("nowhere.png: no such file"), "{}", batch.skipped[0]);
    assert!(Loader::new(set, options(false)).unwrap().next().unwrap().is_err());
}

#[test]
fn a_share_of_each_class_is_held_out() {
    let place = folder();
    let line = |i: usize| format!("photos/{i}.png,{}\n", ["a", "b"][i % 2]);
    let text = String::from("path,label\n") + &(0..10).map(line).collect::<String>();
    let path = place.path().join("l.csv");
    fs::write(&path, text).unwrap();
    let held = |share, seed| {
        let data = open_with(&path, |options| (options.holdout, options.split_seed) = (share, seed)).unwrap();
        let set = data.split(Split::Val).unwrap();
        (0..set.len()).map(|i| (set.name(i).into_owned(), set.label(i))).collect::<Vec<_>>()
    };
    let found = held(0.4, 0);
    assert_eq!(found.iter().map(|(_, label)| label).filter(|label| **label == 0).count(), 2);
    assert_eq!((found.len(), held(0.4, 0) == found), (4, true));
    assert!((1..9).any(|seed| held(0.4, seed) != found));
}

#[test]
fn wrong_lines_are_named() {
    let place = folder();
    let long = "x".repeat(10_000_000);
    for (name, text, wanted) in [
        (
            "a.csv",
            "path,label\nphotos/0.png,a\nphotos/1.png\n",
            "a.csv, line 3: 1 columns, the label is in column 2",
        ),
        ("a.csv", "path,label\nphotos/0.png,a\n,b\n", "a.csv, line 3: the path is empty"),
        ("a.csv", "path,label\nphotos/0.png,\n", "a.csv, line 2: the label is empty"),
        (
            "a.csv",
            "path,label,split\nphotos/0.png,a,fold3\n",
            "line 2: `fold3` is no split; help: use train, val or test",
        ),
        (
            "a.csv",
            "path,label\nphotos/0.png,a\nphotos/0.png,b\n",
            "line 3: photos/0.png has another label in line 2",
        ),
        ("a.csv", "path,label\nhttp://x/y.png,a\n", "is an address; help: download"),
        (
            "a.csv",
            "photo,kind,place\nphotos/0.png,a,b\n",
            "no columns of paths and labels among photo, kind, place; help: name them",
        ),
        ("a.csv", "path,label\n", "the list has no images"),
        ("a.csv", "", "the list has no images"),
        ("a.csv", &format!("path,label\n{long},a\n"), "line 2: a path of 10000000 bytes"),
        ("a.csv", &format!("path,label\nphotos/0.png,{long}\n"), "line 2: a label of 10000000 bytes"),
        ("a.txt", "photos/0.png\n", "a.txt, line 1: expected a path, a space and a label"),
        (
            "a.jsonl",
            "{\"path\": \"photos/0.png\", \"label\": [1, 2]}",
            "line 1: `label` is a list; help: give an image one",
        ),
        (
            "a.jsonl",
            "{\"path\": \"photos/0.png\", \"label\": 1.5}",
            "line 1: `label` is neither text nor a whole number",
        ),
        ("a.jsonl", "{\"path\": 3, \"label\": 1}", "line 1: the path is no text"),
        ("a.jsonl", "{\"path\": \"photos/0.png\"}", "no columns of paths and labels among path"),
        ("a.jsonl", "\n[1]", "a.jsonl, line 2: no JSON object"),
        ("a.jsonl", &"[".repeat(1_000_000), "line 1: no JSON object"),
    ] {
        let error = opened(&place, name, text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{}", error.chars().take(300).collect::<String>());
    }
    fs::write(place.path().join("b.csv"), b"path,label\nphotos/\xff.png,a\n").unwrap();
    assert!(open_with(&place.path().join("b.csv"), |_| ()).is_err());
    let error = open_with(&place.path().join("a.jsonl"), |options| options.memory_limit = 100).unwrap_err();
    assert!(matches!(error, Error::OverMemory { .. }), "{error}");
}

#[test]
fn a_missing_image_is_named_with_its_line() {
    let place = folder();
    let data = opened(&place, "val.csv", "path,label\nphotos/0.png,a\nphotos/nowhere.png,b\n").unwrap();
    let set = data.split(Split::Val).unwrap();
    let error = set.read(1).unwrap_err().to_string();
    assert!(error.contains("val.csv, line 3: ") && error.contains("nowhere.png"), "{error}");
    assert!(set.stamp(1).unwrap_err().to_string().contains("val.csv, line 3: "));
    assert!(set.file(1).ends_with("nowhere.png") && set.file(1).contains("val.csv, line 3: "));
    // An image beside the list, by an absolute path.
    fs::write(place.path().join("x.png"), png(3)).unwrap();
    let absolute = place.path().join("x.png");
    let data = opened(&place, "val.csv", &format!("path,label\n{},a\n", absolute.display())).unwrap();
    assert!(data.split(Split::Val).unwrap().read(0).is_ok());
}
