//! Parquet tables and WebDataset shards: files of the usual programs (`bench/peers/shards.py`), and damaged ones.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use residual_arch::Preprocess;
use residual_data::{
    Batch, DataSource, Dataset, Error, ImageSet, Loader, LoaderOptions, OpenOptions, Source, Split,
};
use support::table::write_table;
use support::{Files, png, tar_bytes};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shards")
}

/// Everything in training, where the data do not say otherwise.
fn whole() -> OpenOptions {
    OpenOptions::default().with(|options| options.holdout = 0.0)
}

fn opened(path: impl Into<PathBuf>, options: &OpenOptions) -> Result<Dataset, Error> {
    Dataset::open(&DataSource::Path(path.into()), options)
}

fn error(path: impl Into<PathBuf>) -> String {
    opened(path, &whole()).unwrap_err().to_string()
}

/// Class and CRC-32 of the pixels of each image, as `expected.txt` has them.
fn found(data: &Dataset, split: Split) -> Vec<String> {
    let set = data.split(split).unwrap();
    let line = |i| {
        let image = set.read(i).unwrap();
        assert_eq!(image.channels(), 3);
        let mut crc = flate2::Crc::new();
        crc.update(image.pixels());
        format!("{} {:08x}", data.classes[set.label(i)], crc.sum())
    };
    (0..set.len()).map(line).collect()
}

#[test]
fn sets_of_the_usual_programs_are_read_as_by_them() {
    let mut sets: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
    let expected = fs::read_to_string(fixtures().join("expected.txt")).unwrap();
    for line in expected.lines() {
        let [set, split, rest] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        sets.entry(set).or_default().entry(split).or_default().push(rest.to_owned());
    }
    assert_eq!(sets.len(), 18);
    for (set, splits) in sets {
        let data = opened(fixtures().join(set), &whole()).unwrap();
        let kept: usize = data.splits().into_iter().map(|split| data.split(split).unwrap().len()).sum();
        assert_eq!(kept, splits.values().map(Vec::len).sum::<usize>(), "{set}");
        for (split, wanted) in splits {
            let split = match split {
                "val" => Split::Val,
                "test" => Split::Test,
                _ => Split::Train,
            };
            assert_eq!(found(&data, split), wanted, "{set}");
        }
    }
}

#[test]
fn classes_are_those_that_the_data_name() {
    let of = |set: &str| opened(fixtures().join(set), &whole()).unwrap().classes;
    assert_eq!(of("hugging_face"), ["owl", "cat", "dog"], "in the order of the features");
    assert_eq!(of("webdataset"), ["owl", "cat", "dog"], "in the order of classes.txt");
    assert_eq!(of("pandas/animals.parquet"), ["cat", "dog", "owl"]);
    assert_eq!(of("polars"), ["0", "1", "2"]);
}

#[test]
fn names_places_and_stamps_tell_the_images_apart() {
    let data = opened(fixtures().join("hugging_face"), &whole()).unwrap();
    let set = data.split(Split::Train).unwrap();
    assert_eq!(set.name(8), "data/train-00001-of-00002.parquet[1]");
    assert!(set.file(8).ends_with("train-00001-of-00002.parquet, row 1"), "{}", set.file(8));
    let data = opened(fixtures().join("webdataset"), &whole()).unwrap();
    let set = data.split(Split::Train).unwrap();
    assert_eq!(set.name(6), "train-000001.tar/set/000006.jpg");
    assert!(set.file(6).ends_with("train-000001.tar: set/000006.jpg"), "{}", set.file(6));
    assert_eq!(set.stamp(6).unwrap().size, set.bytes(6).unwrap().len() as u64);
    assert!(set.stamp(6).unwrap().modified.is_some());
}

#[test]
fn braces_stand_for_shards_and_their_splits() {
    let folder = fixtures().join("webdataset");
    let lengths = |pattern: &str| {
        let data = opened(folder.join(pattern), &whole()).unwrap();
        Split::ALL.map(|split| data.splits().contains(&split).then(|| data.split(split).unwrap().len()))
    };
    assert_eq!(lengths("train-{000000..000001}.tar"), [Some(10), None, None]);
    assert_eq!(lengths("{train-{000000..000002},val-000000}.tar"), [Some(13), Some(5), None]);
    assert_eq!(lengths("{train,val}-000000.tar"), [Some(5), Some(5), None]);
    assert_eq!(lengths("val-{000000..000000}.tar"), [None, Some(5), None]);
    assert_eq!(lengths("val-000000.tar"), [None, Some(5), None]);
    let text = error(folder.join("train-{000002..000003}.tar"));
    assert!(text.ends_with("train-000003.tar: no such file or folder"), "{text}");
}

#[test]
fn a_part_is_held_out_where_no_name_says_a_split() {
    let data = opened(fixtures().join("pandas/animals.parquet"), &OpenOptions::default()).unwrap();
    let sizes = [Split::Train, Split::Val].map(|split| data.split(split).unwrap().len());
    assert_eq!(sizes, [9, 3]);
    // A single table of training images, and the others beside it.
    let data = opened(fixtures().join("polars/train.parquet"), &OpenOptions::default()).unwrap();
    assert_eq!(data.split(Split::Val).unwrap().len(), 3);
    assert!(data.notes()[0].to_string().starts_with("read as the other splits: "), "{:?}", data.notes());
}

fn batches(set: &Arc<ImageSet>, change: impl FnOnce(&mut LoaderOptions)) -> Vec<Batch> {
    let options = LoaderOptions::evaluation(4, Preprocess::normalise_only()).with(|options| {
        (options.shuffle, options.seed, options.epoch) = (true, 5, 2);
        change(options);
    });
    Loader::new(set.clone(), options).unwrap().map(Result::unwrap).collect()
}

#[test]
fn batches_are_the_same_for_any_number_of_workers_and_after_a_resume() {
    for set in ["hugging_face", "polars", "pyarrow/zstd_v2.parquet", "pyarrow/lz4.parquet", "webdataset"] {
        // Opened anew each time: what is in memory already changes nothing.
        let open = || Arc::new(opened(fixtures().join(set), &whole()).unwrap().split(Split::Train).unwrap());
        let one = batches(&open(), |options| options.workers = 1);
        let indices: Vec<usize> = one.iter().flat_map(|batch| batch.indices.clone()).collect();
        let mut sorted = indices.clone();
        sorted.sort_unstable();
        assert!(sorted == (0..open().len()).collect::<Vec<_>>() && sorted != indices, "{set}: {indices:?}");
        for workers in [0, 2, 5] {
            assert_eq!(
                batches(&open(), |options| options.workers = workers),
                one,
                "{set}, {workers} workers"
            );
        }
        for first in 1..one.len() {
            let rest = batches(&open(), |options| (options.workers, options.first_batch) = (2, first));
            assert_eq!(rest, one[first..], "{set} from batch {first}");
        }
        assert_ne!(batches(&open(), |options| options.epoch = 3), one);
    }
}

#[test]
fn rows_without_an_image_are_bad_images() {
    let data = opened(fixtures().join("pyarrow/nulls.parquet"), &whole()).unwrap();
    let set = data.split(Split::Train).unwrap();
    assert_eq!(set.len(), 6);
    for row in [2, 4] {
        let error = set.read(row).unwrap_err();
        let text = error.to_string();
        assert!(
            text.ends_with(&format!("nulls.parquet, row {row}: there is no image; help: leave it out")),
            "{text}"
        );
        assert!(error.bad_image().is_some());
    }
    let set = Arc::new(set);
    let epoch = batches(&set, |options| options.skip_bad = true);
    assert_eq!(epoch.iter().map(|batch| batch.skipped.len()).sum::<usize>(), 2);
}

#[test]
fn images_without_labels_are_left_out_and_counted() {
    let data = opened(fixtures().join("unlabelled"), &whole()).unwrap();
    assert_eq!(data.splits(), [Split::Train]);
    assert_eq!(data.notes()[0].to_string(), "left out 3 test images without labels");
    assert_eq!(data.classes, ["owl", "cat", "dog"], "those of no image too");
    let data = opened(fixtures().join("unlabelled"), &OpenOptions::default()).unwrap();
    assert_eq!(data.splits(), [Split::Train, Split::Val], "a part is held out");
}

#[test]
fn large_row_groups_are_read_in_parts() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("large.parquet");
    let image = |row: usize| vec![row as u8; 1_000_000 + row];
    let read = |row: usize| {
        let set = opened(&path, &whole()).unwrap().split(Split::Train).unwrap();
        (set.len(), set.bytes(row).unwrap().into_owned())
    };
    let pages = || WriterProperties::builder().set_write_batch_size(1).set_data_page_size_limit(2_000_000);
    // 40 MB in pages of 2 MB, of which some are places in a dictionary and the others plain.
    for (dictionary, compression) in [(0, Compression::UNCOMPRESSED), (9_000_000, Compression::SNAPPY)] {
        let properties = pages()
            .set_dictionary_enabled(dictionary > 0)
            .set_dictionary_page_size_limit(dictionary)
            .set_compression(compression);
        write_table(&path, (0..40).map(image).collect(), properties);
        for row in [0, 39, 7, 8, 9, 20, 31] {
            assert_eq!(read(row), (40, image(row)), "row {row}");
        }
    }
    // 300,000 rows of three images, whose dictionary is in the first part.
    let images = (0..300_000).map(|row| vec![row as u8 % 3; 10]).collect();
    write_table(&path, images, pages().set_write_batch_size(1024).set_data_page_row_count_limit(50_000));
    for row in [299_999, 0, 270_000, 100_000] {
        assert_eq!(read(row), (300_000, vec![row as u8 % 3; 10]));
    }
}

#[test]
fn columns_can_be_named_and_are_listed_where_they_are_not_found() {
    let path = fixtures().join("pandas/animals.parquet");
    let with =
        |columns: &str| opened(&path, &whole().with(|options| options.columns = columns.parse().unwrap()));
    assert_eq!(with("path=img,label=breed").unwrap().classes.len(), 3);
    let text = with("path=photo").unwrap_err().to_string();
    assert!(
        text.ends_with(
            "animals.parquet: no column of images among img (BYTE_ARRAY), breed (BYTE_ARRAY); \
             help: name them, as in --columns path=image,label=breed"
        ),
        "{text}"
    );
    assert!(with("label=kind").unwrap_err().to_string().contains("no column of labels among"));
    let text = error(fixtures().join("pyarrow/empty.parquet"));
    assert!(text.ends_with("empty.parquet: no samples with an image and a label"), "{text}");
}

/// Copies a fixture, changed.
fn damaged(place: &tempfile::TempDir, fixture: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = fs::read(fixtures().join(fixture)).unwrap();
    change(&mut bytes);
    let path = place.path().join(Path::new(fixture).file_name().unwrap());
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn tables_that_are_cut_say_so() {
    let place = tempfile::tempdir().unwrap();
    let fixture = "pyarrow/snappy.parquet";
    let length = fs::read(fixtures().join(fixture)).unwrap().len();
    for kept in [8, 100, length / 2, length - 9, length - 1] {
        let path = damaged(&place, fixture, |bytes| bytes.truncate(kept));
        let text = error(&path);
        assert!(text.contains("snappy.parquet: the archive is truncated"), "{kept}: {text}");
    }
    // A page is cut out of the middle, and the footer stays: what is there is not what it says.
    let path = damaged(&place, fixture, |bytes| drop(bytes.drain(200..400)));
    let outcome = opened(&path, &whole()).and_then(|data| {
        let set = data.split(Split::Train)?;
        (0..set.len()).try_for_each(|row| set.read(row).map(drop))
    });
    let text = outcome.unwrap_err().to_string();
    assert!(text.contains("snappy.parquet"), "{text}");
}

#[test]
fn a_damaged_page_is_an_error_of_its_rows_alone() {
    let place = tempfile::tempdir().unwrap();
    // The first image's bytes, which are in the first of three row groups.
    let path = damaged(&place, "pyarrow/snappy.parquet", |bytes| bytes[4..40].fill(0xff));
    let data = opened(&path, &whole()).unwrap();
    let set = data.split(Split::Train).unwrap();
    for row in 0..set.len() {
        match set.read(row) {
            Ok(_) => assert!(row >= 4, "row {row}"),
            Err(error) => {
                assert!(row < 4 && error.bad_image().is_some(), "row {row}: {error}");
                assert!(error.to_string().contains(&format!("snappy.parquet, row {row}: ")), "{error}");
            }
        }
    }
}

#[test]
fn no_change_of_a_byte_does_harm() {
    let place = tempfile::tempdir().unwrap();
    for fixture in [
        "pyarrow/gzip_v2.parquet",
        "pyarrow/snappy.parquet",
        "pyarrow/delta.parquet",
        "pyarrow/delta_v2.parquet",
        "hugging_face/data/test-00000-of-00001.parquet",
    ] {
        let length = fs::read(fixtures().join(fixture)).unwrap().len();
        for at in (0..length).step_by(11) {
            let path = damaged(&place, fixture, |bytes| bytes[at] ^= 1 << (at % 8));
            let Ok(data) = opened(&path, &whole()) else { continue };
            for split in data.splits() {
                let set = data.split(split).unwrap();
                for row in 0..set.len() {
                    assert!(set.label(row) < data.classes.len());
                    let _ = set.read(row);
                }
            }
        }
    }
}

#[test]
fn rows_without_a_label_or_with_one_beyond_the_names_are_named_or_counted() {
    let place = tempfile::tempdir().unwrap();
    let beyond = place.path().join("beyond.parquet");
    let features = r#"{"info": {"features": {"label": {"names": ["only"], "_type": "ClassLabel"}}}}"#;
    let metadata = vec![KeyValue::new("huggingface".to_owned(), features.to_owned())];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(metadata));
    write_table(&beyond, vec![png(1), png(2)], properties);
    let no_label = fixtures().join("pyarrow/no_label.parquet");
    for (path, left, wanted) in [
        (beyond, 1, "beyond.parquet, row 1: the label 1 is beyond the 1 classes"),
        (no_label, 2, "no_label.parquet, row 1: no label; help: leave the row out"),
    ] {
        let text = error(&path);
        assert!(text.contains(wanted), "{text}");
        let data = opened(&path, &whole().with(|options| options.skip_bad = true)).unwrap();
        assert_eq!(data.split(Split::Train).unwrap().len(), left);
        let notes: Vec<String> = data.notes().iter().map(ToString::to_string).collect();
        assert!(notes.len() == 1 && notes[0].contains(wanted), "{notes:?}");
    }
}

/// A sample of an image and a label in a shard.
fn sample(key: &str, label: &str) -> Files {
    vec![(format!("{key}.png"), png(3)), (format!("{key}.cls"), label.as_bytes().to_vec())]
}

fn shards(place: &tempfile::TempDir, shards: &[(&str, Files)]) {
    for (name, files) in shards {
        fs::write(place.path().join(name), tar_bytes(files)).unwrap();
    }
}

#[test]
fn shards_that_are_cut_say_so_and_are_read_up_to_there_on_request() {
    let place = tempfile::tempdir().unwrap();
    let path = damaged(&place, "webdataset/train-000000.tar", |bytes| bytes.truncate(8300));
    let text = error(&path);
    assert!(text.contains("train-000000.tar: the archive is truncated (`"), "{text}");
    let data = opened(&path, &whole().with(|options| options.skip_bad = true)).unwrap();
    let kept = data.split(Split::Train).unwrap().len();
    assert!((1..5).contains(&kept), "{kept}");
    let notes: Vec<String> = data.notes().iter().map(ToString::to_string).collect();
    assert!(notes.iter().any(|note| note.starts_with("left out 1 sample at fault: ")), "{notes:?}");
}

#[test]
fn samples_at_fault_are_named_or_counted() {
    for (files, wanted) in [
        (vec![("2.png".to_owned(), png(1))], "a-0.tar: 2: no label; help: put it into a `.cls`"),
        (vec![("2.cls".to_owned(), b"1".to_vec())], "a-0.tar: 2: a label, and no image"),
        (sample("2", " "), "a-0.tar: 2: `.cls` holds no label"),
        (sample("2", &"x".repeat(5000)), "a-0.tar: 2: `.cls` has 5000 bytes, where a label has 4096 at most"),
        (
            vec![("2.png".to_owned(), png(1)), ("2.json".to_owned(), b"{\"label\": [1]}".to_vec())],
            "a-0.tar: 2: `.json` has a label that is neither a whole number nor a text: [1]",
        ),
        (
            vec![("2.png".to_owned(), png(1)), ("2.json".to_owned(), b"{\"caption\": 1}".to_vec())],
            "a-0.tar: 2: no label",
        ),
    ] {
        let place = tempfile::tempdir().unwrap();
        let all = [sample("0", "1"), sample("1", "0"), files, sample("3", "0")].concat();
        shards(&place, &[("a-0.tar", all), ("a-1.tar", sample("4", "1"))]);
        let text = error(place.path());
        assert!(text.contains(wanted), "{text}");
        let data = opened(place.path(), &whole().with(|options| options.skip_bad = true)).unwrap();
        assert_eq!(data.split(Split::Train).unwrap().len(), 4);
        let note = data.notes()[0].to_string();
        assert!(note.starts_with("left out 1 sample at fault: ") && note.contains("a-0.tar: 2: "), "{note}");
    }
}

#[test]
fn labels_beyond_the_names_and_unknown_ones_are_errors() {
    let place = tempfile::tempdir().unwrap();
    shards(&place, &[("train-0.tar", [sample("0", "0"), sample("1", "2")].concat())]);
    fs::write(place.path().join("classes.txt"), "cat\ndog\n").unwrap();
    let text = error(place.path());
    assert!(text.contains("train-0.tar: 1.png: the label 2 is beyond the 2 names of "), "{text}");
    fs::remove_file(place.path().join("classes.txt")).unwrap();
    shards(&place, &[("val-0.tar", sample("0", "7"))]);
    let text = error(place.path());
    assert!(text.contains("class `7` is not among the known classes (0, 2)"), "{text}");
}

#[test]
fn a_chosen_field_or_ending_is_the_label() {
    let place = tempfile::tempdir().unwrap();
    let files: Files = (0..4)
        .flat_map(|i| {
            let json = format!("{{\"label\": 0, \"breed\": \"b{}\"}}", i % 2).into_bytes();
            [
                (format!("{i}.png"), png(i)),
                (format!("{i}.json"), json),
                (format!("{i}.txt"), vec![b'x', b'0' + i]),
            ]
        })
        .collect();
    shards(&place, &[("a.tar", files)]);
    let classes = |columns: &str| {
        let options = whole().with(|options| options.columns = columns.parse().unwrap());
        opened(place.path().join("a.tar"), &options).unwrap().classes
    };
    assert_eq!(classes("label=breed"), ["b0", "b1"]);
    assert_eq!(classes("label=txt"), ["x0", "x1", "x2", "x3"]);
}

#[test]
fn an_archive_of_folders_stays_one_and_compressed_shards_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let files: Files = ["cat/1", "cat/2", "dog/1", "dog/2"]
        .iter()
        .flat_map(|name| [(format!("{name}.png"), png(1)), (format!("{name}.json"), b"{}".to_vec())])
        .collect();
    shards(&place, &[("photos.tar", files)]);
    let data = opened(place.path().join("photos.tar"), &whole()).unwrap();
    assert_eq!(data.classes, ["cat", "dog"]);
    for name in ["s-0.tar.gz", "s-1.tar.gz"] {
        fs::write(place.path().join(name), support::gz_bytes(&tar_bytes(&sample("0", "1")))).unwrap();
    }
    let text = error(place.path().join("s-{0..1}.tar.gz"));
    assert!(text.contains("shards compressed as a whole") && text.contains("help: unpack them"), "{text}");
}

#[test]
fn several_sets_side_by_side_are_not_mixed() {
    let place = tempfile::tempdir().unwrap();
    for set in ["one", "two"] {
        fs::create_dir_all(place.path().join(set).join("train")).unwrap();
        let path = place.path().join(set).join("train/0000.parquet");
        fs::copy(fixtures().join("polars/train.parquet"), path).unwrap();
    }
    let text = error(place.path());
    assert!(text.ends_with("several data sets side by side: one, two; help: give one of them"), "{text}");
    // A picture about the data is no class.
    fs::create_dir_all(place.path().join("one/assets")).unwrap();
    fs::write(place.path().join("one/assets/preview.png"), png(1)).unwrap();
    let data = opened(place.path().join("one"), &whole()).unwrap();
    assert_eq!(data.split(Split::Train).unwrap().len(), 9);
}

#[test]
fn an_order_of_its_own_is_that_of_the_loader() {
    let set = opened(fixtures().join("hugging_face"), &whole()).unwrap().split(Split::Train).unwrap();
    let order = Source::order(&set, 5, 2);
    let loaded: Vec<usize> =
        batches(&Arc::new(set), |_| {}).iter().flat_map(|batch| batch.indices.clone()).collect();
    assert_eq!(loaded, order);
}
