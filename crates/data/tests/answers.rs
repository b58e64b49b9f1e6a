//! Several labels and numbers of an image: lists, tables and shards, and what is wrong in them by line.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use residual_arch::{Preprocess, TaskKind};
use residual_data::{DataSource, Dataset, Error, Loader, LoaderOptions, OpenOptions, Source, Split};
use support::{Files, images, png, tar_bytes, write_folder};

/// A folder of images `photos/0.png` to `photos/9.png`.
fn folder() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let paths: Vec<String> = (0..10).map(|i| format!("photos/{i}.png")).collect();
    write_folder(place.path(), &images(&paths.iter().map(String::as_str).collect::<Vec<_>>()));
    place
}

fn open(path: &Path, task: TaskKind, labels: &[&str]) -> Result<Dataset, Error> {
    let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
    let options = OpenOptions::default().with(|options| {
        (options.task, options.holdout) = (task, 0.0);
        if !labels.is_empty() {
            options.columns.set_labels(&labels);
        }
    });
    Dataset::open(&DataSource::Path(path.into()), &options)
}

/// Opens a list of this name and text beside the images.
fn list(name: &str, text: &str, task: TaskKind, labels: &[&str]) -> Result<Dataset, Error> {
    let place = folder();
    let path = place.path().join(name);
    fs::write(&path, text).unwrap();
    open(&path, task, labels)
}

fn targets(data: &Dataset, split: Split) -> Vec<Vec<f64>> {
    let set = data.split(split).unwrap();
    assert_eq!(set.task(), data.task());
    (0..set.len()).map(|index| set.targets(index)).collect()
}

const MULTI: TaskKind = TaskKind::MultiLabel;
const NUMBERS: TaskKind = TaskKind::Regression;

#[test]
fn sets_of_classes_are_the_same_however_they_are_written() {
    let rows = [vec![1.0, 1.0, 0.0], vec![0.0; 3], vec![0.0, 1.0, 1.0]];
    for (name, text, labels) in [
        ("l.csv", "path,label\nphotos/0.png,dog|cat\nphotos/1.png,\nphotos/2.png,owl|dog\n", vec![]),
        (
            "c.csv",
            "path,label\nphotos/0.png,\"dog, cat\"\nphotos/1.png,\"\"\nphotos/2.png,\"[\"\"owl\"\",\"\"dog\"\"]\"\n",
            vec![],
        ),
        (
            "l.tsv",
            "path\tkinds\nphotos/0.png\tcat;dog\nphotos/1.png\t\nphotos/2.png\tdog;owl\n",
            vec!["kinds"],
        ),
        (
            "l.jsonl",
            "{\"path\": \"photos/0.png\", \"labels\": [\"dog\", \"cat\"]}\n{\"path\": \"photos/1.png\", \"labels\": []}\n\
             {\"path\": \"photos/2.png\", \"labels\": [\"dog\", \"owl\"]}\n",
            vec![],
        ),
        (
            "h.csv",
            "path,cat,dog,owl\nphotos/0.png,1,1,0\nphotos/1.png,0,0,0\nphotos/2.png,0,true,1.0\n",
            vec!["cat", "dog", "owl"],
        ),
    ] {
        let data = list(name, text, MULTI, &labels).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(data.classes, ["cat", "dog", "owl"], "{name}");
        assert_eq!(targets(&data, Split::Train), rows, "{name}");
        let set = data.split(Split::Train).unwrap();
        assert_eq!([0, 1, 2].map(|index| set.label(index)), [0, 0, 1], "{name}");
        assert!(data.check_trainable().is_ok());
    }
}

#[test]
fn numbers_come_from_one_column_or_several() {
    let text = "path,age,height\nphotos/0.png,1.5,170\nphotos/1.png,-2e1, 180.25\n";
    let data = list("l.csv", text, NUMBERS, &["height", "age"]).unwrap();
    assert_eq!(data.classes, ["height", "age"]);
    assert_eq!(targets(&data, Split::Train), [[170.0, 1.5], [180.25, -20.0]]);
    let data = list("l.csv", text, NUMBERS, &["age"]).unwrap();
    assert_eq!(
        (data.classes.as_slice(), targets(&data, Split::Train)),
        (&["age".to_owned()][..], vec![vec![1.5], vec![-20.0]])
    );
    assert!(data.check_trainable().is_ok(), "one target is enough");
    let text =
        "{\"path\": \"photos/0.png\", \"target\": 3}\n{\"path\": \"photos/1.png\", \"target\": 4.25}\n";
    assert_eq!(targets(&list("l.jsonl", text, NUMBERS, &[]).unwrap(), Split::Train), [[3.0], [4.25]]);
    let data = list("l.txt", "photos/0.png 3\nphotos/1.png 7.5\n", NUMBERS, &[]).unwrap();
    assert_eq!(targets(&data, Split::Train), [[3.0], [7.5]]);
}

#[test]
fn what_is_wrong_is_said_by_line() {
    let refused = |name: &str, text: &str, task, labels: &[&str]| {
        list(name, text, task, labels).unwrap_err().to_string()
    };
    for (text, labels, wanted) in [
        (
            "path,age\nphotos/0.png,1\nphotos/1.png,\n",
            vec!["age"],
            "line 3: `age` is empty, expected a number; help: ",
        ),
        (
            "path,age\nphotos/0.png,1\nphotos/1.png,NaN\n",
            vec!["age"],
            "line 3: `age` is `NaN`, expected a finite number",
        ),
        ("path,age\nphotos/0.png,old\n", vec!["age"], "line 2: `age` is `old`, expected a finite number"),
        (
            "path,age\nphotos/0.png,1\n",
            vec!["age", "height"],
            "no columns of paths and labels among path, age",
        ),
    ] {
        let said = refused("l.csv", text, NUMBERS, &labels);
        assert!(said.contains(wanted), "{text}: {said}");
    }
    let said = refused("l.csv", "path,a,b\nphotos/0.png,1,0\nphotos/1.png,1,3\n", MULTI, &["a", "b"]);
    assert!(said.contains("line 3: `b` is `3`, expected 0 or 1; help: "), "{said}");
    let text = "path,label,split\nphotos/0.png,cat|dog,train\nphotos/1.png,cat|fox,val\n";
    let said = refused("l.csv", text, MULTI, &[]);
    assert!(said.contains("fox") && said.contains("not among the known classes (cat, dog)"), "{said}");
    let said = refused("l.csv", "path,a,b\nphotos/0.png,1,1\n", TaskKind::SingleLabel, &["a", "b"]);
    assert!(said.contains("line 2: `a` and `b` are both 1; help: several labels"), "{said}");
    let said = refused("l.csv", "path,label\nphotos/0.png,a|b\nphotos/0.png,a\n", MULTI, &[]);
    assert!(said.contains("another label in line 2"), "{said}");
    let text = "{\"path\": \"photos/0.png\", \"label\": [\"a\", {}]}\n";
    assert!(refused("l.jsonl", text, MULTI, &[]).contains("line 1: `label` is neither text"), "{text}");
    let place = folder();
    let said = open(place.path(), NUMBERS, &[]).unwrap_err().to_string();
    assert!(said.contains("of the class `photos`: `label` is `photos`, expected a finite number"), "{said}");
}

#[test]
fn folders_and_held_out_images_have_answers_too() {
    let place = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..20).map(|i| format!("{}/{i}.png", ["18", "25.5"][i % 2])).collect();
    write_folder(place.path(), &images(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    let data = open(place.path(), NUMBERS, &[]).unwrap();
    let found = targets(&data, Split::Train);
    assert_eq!((found.len(), found[0].as_slice(), found[19].as_slice()), (20, &[18.0][..], &[25.5][..]));
    let sets = open(place.path(), MULTI, &[]).unwrap();
    assert_eq!((sets.classes.len(), targets(&sets, Split::Train)[0].as_slice()), (2, &[1.0, 0.0][..]));

    // Ten different numbers: a share of all is held out, not of each.
    let place = folder();
    let path = place.path().join("l.csv");
    let rows: Vec<String> = (0..10).map(|i| format!("photos/{i}.png,{i}.5\n")).collect();
    fs::write(&path, format!("path,label\n{}", rows.concat())).unwrap();
    let options = OpenOptions::default().with(|options| (options.task, options.holdout) = (NUMBERS, 0.3));
    let data = Dataset::open(&DataSource::Path(path), &options).unwrap();
    assert_eq!((targets(&data, Split::Train).len(), targets(&data, Split::Val).len()), (7, 3));
}

#[test]
fn answers_follow_the_classes_of_a_network() {
    let text = "path,label\nphotos/0.png,dog|cat\nphotos/1.png,owl\n";
    let data = list("l.csv", text, MULTI, &[]).unwrap();
    let classes = ["owl", "fox", "dog", "cat"].map(str::to_owned);
    let data = data.with_classes(&classes).unwrap();
    assert_eq!(targets(&data, Split::Train), [[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]]);
    let text = "path,x,y\nphotos/0.png,1,2\n";
    let data = list("l.csv", text, NUMBERS, &["x", "y"]).unwrap();
    let turned = data.clone().with_classes(&["y", "x"].map(str::to_owned)).unwrap();
    assert_eq!(targets(&turned, Split::Train), [[2.0, 1.0]]);
    let error = data.with_classes(&["y", "x", "z"].map(str::to_owned)).unwrap_err().to_string();
    assert!(error.contains("2 targets, and the network has y, x, z"), "{error}");
}

#[test]
fn batches_carry_targets() {
    let text = "path,label\nphotos/0.png,a|b\nphotos/1.png,\nphotos/2.png,b\n";
    let set = list_set(text, MULTI);
    let grey = Preprocess::normalise_only();
    let options = LoaderOptions::evaluation(2, grey);
    let batches: Vec<_> = Loader::new(set, options).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches[0].targets, [1.0, 1.0, 0.0, 0.0]);
    assert_eq!((batches[1].targets.as_slice(), batches[1].labels.as_slice()), (&[0.0, 1.0][..], &[1][..]));
}

/// Set of a list whose images stay.
fn list_set(text: &str, task: TaskKind) -> Arc<dyn Source> {
    let place = Box::leak(Box::new(folder()));
    let path = place.path().join("l.csv");
    fs::write(&path, text).unwrap();
    let set = open(&path, task, &[]).unwrap().split(Split::Train).unwrap();
    Arc::new(set)
}

fn table(path: &Path) {
    let schema = "message m { required binary image; \
                  optional group kinds (LIST) { repeated group list { optional int32 element; } } optional binary tags (UTF8); required double age; \
                  required float height; required boolean cat; required int32 dog; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let file = fs::File::create(path).unwrap();
    // As Hugging Face's `datasets` keeps the names.
    let features = r#"{"info": {"features": {"kinds": {"feature": {"names": ["owl", "cat"], "_type": "ClassLabel"}, "_type": "List"}}}}"#;
    let features = vec![KeyValue::new("huggingface".to_owned(), features.to_owned())];
    let properties = Arc::new(WriterProperties::builder().set_key_value_metadata(Some(features)).build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let pictures: Vec<ByteArray> = [0, 9, 18].map(|tone| ByteArray::from(png(tone))).into();
    let texts: Vec<ByteArray> = ["x|y", "y"].map(ByteArray::from).into();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&pictures, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    // [1, 0], no list, [1 and an absent one].
    let kinds = column.typed::<Int32Type>();
    kinds.write_batch(&[1, 0, 1], Some(&[3, 3, 0, 3, 2]), Some(&[0, 1, 0, 0, 1])).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&texts, Some(&[1, 0, 1]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&[1.5, 2.5, -3.0], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<FloatType>().write_batch(&[0.25, 0.5, f32::NAN], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<BoolType>().write_batch(&[true, false, false], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int32Type>().write_batch(&[0, 1, 0], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn tables_have_answers_in_columns() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t.parquet");
    table(&path);
    let data = open(&path, MULTI, &["tags"]).unwrap();
    assert_eq!(data.classes, ["x", "y"]);
    assert_eq!(targets(&data, Split::Train), [[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]);
    let data = open(&path, MULTI, &["cat", "dog"]).unwrap();
    assert_eq!(targets(&data, Split::Train), [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]);
    let data = open(&path, MULTI, &["kinds"]).unwrap();
    assert_eq!(data.classes, ["cat", "owl"]);
    assert_eq!(targets(&data, Split::Train), [[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]);
    assert!(open(&path, TaskKind::SingleLabel, &["kinds"]).is_err());
    let data = open(&path, NUMBERS, &["age", "dog"]).unwrap();
    assert_eq!(data.classes, ["age", "dog"]);
    assert_eq!(targets(&data, Split::Train), [[1.5, 0.0], [2.5, 1.0], [-3.0, 0.0]]);
    let error = open(&path, NUMBERS, &["height"]).unwrap_err().to_string();
    assert!(error.contains("row 2") && error.contains("`height` is `NaN`"), "{error}");
    let error = open(&path, TaskKind::SingleLabel, &["cat", "dog"]).unwrap_err().to_string();
    assert!(error.contains("row 2: none of the columns of classes is 1"), "{error}");
    assert!(open(&path, NUMBERS, &["weight"]).is_err());
    let little = OpenOptions::default().with(|options| {
        (options.task, options.memory_limit) = (MULTI, 300);
        options.columns.set_labels(&["cat".to_owned(), "dog".to_owned()]);
    });
    let error = Dataset::open(&DataSource::Path(path), &little).unwrap_err();
    assert!(matches!(error, Error::OverMemory { .. }), "{error}");
}

#[test]
fn shards_have_answers_in_their_members() {
    let place = tempfile::tempdir().unwrap();
    let mut files = Files::new();
    for (index, labels) in ["[\"b\", \"a\"]", "[]", "\"a\""].iter().enumerate() {
        files.push((format!("{index}.png"), png(index as u8)));
        files.push((format!("{index}.json"), format!("{{\"label\": {labels}}}").into_bytes()));
    }
    let path = place.path().join("train-000000.tar");
    fs::write(&path, tar_bytes(&files)).unwrap();
    let data = open(&path, MULTI, &[]).unwrap();
    assert_eq!(data.classes, ["a", "b"]);
    assert_eq!(targets(&data, Split::Train), [[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]);
    let error = open(&path, NUMBERS, &[]).unwrap_err().to_string();
    assert!(error.contains("expected a finite number") || error.contains("is a list"), "{error}");
}
