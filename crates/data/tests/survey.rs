//! A survey of data: what is counted, and which images are found twice.

mod support;

use std::fs;
use std::path::Path;

use parquet::file::properties::WriterProperties;
use residual_arch::{Alpha, OrientationPolicy, Preprocess};
use residual_data::{
    DataSource, Dataset, Equal, Format, LabelledImages, MOST_COMPARED, OpenOptions, Place, Source, Split,
    Survey, SurveyOptions, overlap,
};
use support::table::write_table;
use support::{every_kind, images, open, png, write_folder, zip_bytes};
use tempfile::TempDir;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photographs").join(name)).unwrap()
}

fn survey(data: &Dataset, threads: usize) -> Survey {
    Survey::take(data, &SurveyOptions::new(threads), |_| ()).unwrap()
}

/// A folder of classes of these files, nothing held out.
fn photographs(files: &[(&str, &str)]) -> (TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let files = files.iter().map(|&(path, name)| (path.to_owned(), fixture(name))).collect();
    write_folder(folder.path(), &files);
    let options = OpenOptions::default().with(|options| options.holdout = 0.0);
    let data = Dataset::open(&DataSource::Path(folder.path().into()), &options).unwrap();
    (folder, data)
}

#[test]
fn every_property_of_an_image_is_counted() {
    let (_folder, data) = photographs(&[
        ("a/turned.jpg", "turned_jpeg_6.jpg"),
        ("a/turned.png", "turned_png_6.png"),
        ("a/turned.tif", "turned_tiff_5.tif"),
        ("a/clear.png", "png_rgba_16x16.png"),
        ("b/animated.webp", "webp_animated_alpha_lossy.webp"),
        ("b/named_wrongly.jpg", "gif_few_16x16.gif"),
        ("b/deep.png", "png_grey16_16x16.png"),
        ("b/bitmap.bmp", "bmp_4_16x16.bmp"),
    ]);
    let survey = survey(&data, 2);
    assert_eq!((survey.images(), survey.counts(Split::Train)), (8, vec![4, 4]));
    let formats: Vec<_> = survey.formats().into_iter().collect();
    use Format::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    assert_eq!(formats, [(Jpeg, 1), (Png, 3), (WebP, 1), (Bmp, 1), (Gif, 1), (Tiff, 1)]);
    assert_eq!(survey.orientations().into_iter().collect::<Vec<_>>(), [(1, 5), (5, 1), (6, 2)]);
    let turned = survey.turned();
    let turned = turned.iter().map(|turned| format!("{} {}", survey.name(turned.place), turned.by_decoder));
    assert_eq!(turned.collect::<Vec<_>>(), ["a/turned.jpg false", "a/turned.png false", "a/turned.tif true"]);
    assert_eq!((survey.transparent(), survey.first_of_several(), survey.deep()), (2, 1, 1));
    assert_eq!(survey.channels()[&1], 1);
    assert!(survey.broken().is_empty() && survey.bytes() > 0);
}

#[test]
fn the_handling_is_that_of_the_preprocessing() {
    let (_folder, data) = photographs(&[
        ("a/turned.jpg", "turned_jpeg_6.jpg"),
        ("a/clear.png", "png_rgba_16x16.png"),
        ("b/deep.png", "png_grey16_16x16.png"),
        ("b/animated.webp", "webp_animated_alpha_lossy.webp"),
    ]);
    let survey = survey(&data, 1);
    let preprocess = Preprocess::imagenet(10, 8).with_orientation(OrientationPolicy::Apply);
    let found = survey.handling(&preprocess);
    assert_eq!((found.turned, found.left_turned), (1, 0));
    assert_eq!((found.opacity_dropped, found.laid_on_background), (2, 0));
    assert_eq!((found.first_of_several, found.made_rgb, found.other_channels), (1, 1, 0));
    // The turned one is 7x13 and grows to 10x18, the others shrink.
    assert_eq!((found.enlarged, found.shrunk, found.cropped, found.padded), (1, 3, 4, 0));
    assert_eq!(found.median_cut, Some(1.0 - 64.0 / 100.0));
    assert_eq!(found.sizes, [[8, 8].into()]);

    let plain = Preprocess::normalise_only().with(|preprocess| preprocess.alpha = Alpha::White);
    let found = survey.handling(&plain);
    assert_eq!((found.turned, found.left_turned, found.laid_on_background), (0, 1, 2));
    assert_eq!((found.as_they_are, found.stretched, found.cropped), (4, 0, 0));
    assert_eq!(found.sizes, [[16, 16], [7, 13], [30, 50]].map(Into::into));
    let padded = plain.with(|preprocess| preprocess.crop = Some([14, 20]));
    let found = survey.handling(&padded);
    assert_eq!((found.padded, found.cropped, found.as_they_are), (3, 3, 0));
}

#[test]
fn broken_images_are_named_and_end_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = png(0);
    let mut files = images(&["train/a/1.png", "train/b/1.png", "val/a/1.png"]);
    files.push(("train/a/0.png".into(), whole[..whole.len() / 2].to_vec()));
    files.push(("train/a/2.png".into(), Vec::new()));
    files.push(("val/b/0.jpg".into(), b"<html>404</html>".to_vec()));
    write_folder(folder.path(), &files);
    let data = open(folder.path()).unwrap();
    fs::remove_file(folder.path().join("train/b/1.png")).unwrap();
    for threads in [0, 1, 3] {
        let survey = survey(&data, threads);
        let broken: Vec<_> = survey
            .broken()
            .iter()
            .map(|broken| format!("{}: {}", survey.name(broken.place), broken.found))
            .collect();
        let [cut, empty, gone, page] = &broken[..] else { panic!("{broken:?}") };
        assert_eq!(cut, "train/a/0.png: the image is truncated");
        assert_eq!(empty, "train/a/2.png: the image file is empty");
        assert_eq!(gone, "train/b/1.png: no such file or folder");
        assert!(page.starts_with("val/b/0.jpg: an HTML page and no image"), "{page}");
        assert_eq!(survey.images(), 6);
    }
}

/// Two splits with equal bytes, equal pixels, and repeats, some under another label.
fn repeated() -> Vec<(String, Vec<u8>)> {
    // Behind its end a file may go on.
    let again = |tone| [png(tone), b"more".to_vec()].concat();
    let file = |path: &str, bytes: Vec<u8>| (path.to_owned(), bytes);
    vec![
        file("train/a/0.png", png(1)),
        file("train/a/1.png", png(2)),
        file("train/a/2.png", png(3)),
        file("train/a/3.png", png(2)),
        file("train/b/0.png", png(3)),
        file("train/b/1.png", png(9)),
        file("test/a/0.png", png(1)),
        file("test/a/1.png", png(7)),
        file("test/b/0.png", png(2)),
        file("test/b/1.png", png(8)),
    ]
    .into_iter()
    .chain([file("test/a/2.png", again(1)), file("test/b/2.png", png(77))])
    .collect()
}

#[test]
fn duplicates_are_found_across_and_within_splits() {
    let place = tempfile::tempdir().unwrap();
    for path in every_kind(place.path(), &repeated()) {
        let data = open(&path).unwrap();
        let whole = survey(&data, 2);
        let found = whole.duplicates();
        let [across] = &found.across[..] else { panic!("{found:?}") };
        assert_eq!((across.split, across.with, across.total), (Split::Test, Split::Train, 6));
        assert_eq!((across.same_bytes, across.same_pixels, across.other_labels), (2, 1, 1));
        assert_eq!(across.first, ["test/a/0.png", "train/a/0.png"]);
        let kinds: Vec<_> =
            found.within.iter().map(|found| (found.split, found.same_bytes, found.same_pixels)).collect();
        assert_eq!(kinds, [(Split::Train, 2, 0), (Split::Test, 0, 1)]);
        assert_eq!(found.within[0].other_labels, 1);
        let other = found.within[0].first_other_label.as_ref().unwrap();
        assert_eq!(other, &["train/b/0.png", "train/a/2.png"]);
        let at = |split, index| Place { split, index };
        assert_eq!((found.groups.len(), found.groups[0].equal), (3, Equal::Pixels));
        assert_eq!(found.groups[0].places, [at(Split::Train, 0), at(Split::Test, 0), at(Split::Test, 2)]);
        assert_eq!(found.groups[1].equal, Equal::Bytes);

        // Files alone, undecoded: equal pixels do not show.
        let options = SurveyOptions::new(1).with(|options| options.decode = false);
        let files = Survey::take(&data, &options, |_| ()).unwrap();
        assert_eq!(
            (files.duplicates().across[0].same_bytes, files.duplicates().across[0].same_pixels),
            (2, 0)
        );
        assert!(files.sizes().is_none());
    }
}

#[test]
fn the_overlap_before_a_training_is_that_of_the_survey_within_its_budget() {
    let place = tempfile::tempdir().unwrap();
    for path in every_kind(place.path(), &repeated()) {
        let data = open(&path).unwrap();
        let [train, test] = [Split::Train, Split::Test].map(|split| data.split(split).unwrap());
        let found = overlap(Split::Test, &test, &train, MOST_COMPARED).unwrap();
        assert_eq!((found.same_bytes, found.same_pixels, found.other_labels), (2, 0, 1), "{path:?}");
        assert_eq!((found.first[0].as_str(), found.uncompared), ("test/a/0.png", 0));
        let none = overlap(Split::Test, &test, &train, 0).unwrap();
        assert_eq!(none.images(), 0);
        assert!(none.uncompared >= 2, "{none:?}");
    }
}

#[test]
fn a_checksum_alone_is_no_proof() {
    // Other bytes of the same size and CRC-32: the comparison reads them.
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = same_crc();
    let mut files = images(&["train/b/1.png", "test/b/1.png"]);
    files.extend([("train/a/0.png".into(), one.clone()), ("test/a/0.png".into(), other)]);
    let path = folder.path().join("x.zip");
    fs::write(&path, zip_bytes(&files)).unwrap();
    let data = open(&path).unwrap();
    let [train, test] = [Split::Train, Split::Test].map(|split| data.split(split).unwrap());
    assert_eq!(train.stamp(0).unwrap().crc, test.stamp(0).unwrap().crc);
    let found = overlap(Split::Test, &test, &train, MOST_COMPARED).unwrap();
    assert_eq!(found.images(), 0, "{found:?}");
}

/// Two texts of 8 bytes with one CRC-32: four bytes behind each that bring it to zero.
fn same_crc() -> [Vec<u8>; 2] {
    ["abcd", "wxyz"].map(|text| {
        let crc = |bytes: &[u8]| {
            let mut crc = flate2::Crc::new();
            crc.update(bytes);
            crc.sum()
        };
        // CRC-32 is linear: the effect of each of the last 32 bits is found alone, and the sum of some is wanted.
        let with = |last: u32| [text.as_bytes(), &last.to_le_bytes()].concat();
        let mut wanted = crc(&with(0));
        let mut rows: Vec<(u32, u32)> =
            (0..32).map(|bit| (crc(&with(1 << bit)) ^ crc(&with(0)), 1 << bit)).collect();
        let mut last = 0;
        for bit in 0..32 {
            let Some(at) = rows.iter().position(|row| row.0 >> bit & 1 == 1) else { continue };
            let pivot = rows.swap_remove(at);
            for row in rows.iter_mut().filter(|row| row.0 >> bit & 1 == 1) {
                *row = (row.0 ^ pivot.0, row.1 ^ pivot.1);
            }
            if wanted >> bit & 1 == 1 {
                (wanted, last) = (wanted ^ pivot.0, last ^ pivot.1);
            }
        }
        assert_eq!(crc(&with(last)), 0);
        with(last)
    })
}

#[test]
fn images_of_a_program_are_compared_where_they_have_stamps() {
    let image = |value: u8| residual_data::Image::new(2, 2, 1, vec![value; 4]).unwrap();
    let set = |values: &[u8]| {
        let images = values.iter().map(|&value| (image(value), usize::from(value > 5))).collect();
        LabelledImages::new(["low", "high"], images).unwrap()
    };
    let found = overlap(Split::Val, &set(&[1, 7, 9]), &set(&[9, 2, 1]), MOST_COMPARED).unwrap();
    assert_eq!((found.images(), found.other_labels), (2, 0));

    struct Unknown([String; 1]);
    impl Source for Unknown {
        fn len(&self) -> usize {
            1
        }
        fn classes(&self) -> &[String] {
            &self.0
        }
        fn label(&self, _: usize) -> usize {
            0
        }
        fn image(&self, _: usize) -> Result<residual_data::Image, residual_data::Error> {
            panic!("no image is asked for")
        }
    }
    assert_eq!(overlap(Split::Val, &Unknown(["a".into()]), &set(&[1]), MOST_COMPARED), None);
}

#[test]
fn tables_and_shards_are_surveyed_and_compared_before_a_training() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shards");
    for (name, judged) in [("hugging_face", Split::Test), ("webdataset", Split::Val)] {
        let data = open(&fixtures.join(name)).unwrap();
        let survey = survey(&data, 3);
        let [train, other] = [Split::Train, judged].map(|split| data.split(split).unwrap());
        assert_eq!(survey.images(), train.len() + other.len(), "{name}");
        assert_eq!(survey.formats().values().sum::<usize>(), survey.images(), "{name}");
        assert!(survey.broken().is_empty() && survey.sizes().is_some(), "{name}");
        let found = overlap(judged, &other, &train, MOST_COMPARED).unwrap();
        assert_eq!((found.images(), found.uncompared), (0, 0), "{name}");
    }
}

#[test]
fn rows_of_tables_are_compared_as_far_as_the_limit_goes() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, tones: &[u8]| {
        let images = tones.iter().map(|&tone| png(tone)).collect();
        write_table(&place.path().join(name), images, WriterProperties::builder());
    };
    write("train.parquet", &[10, 20, 30, 40]);
    // Of equal images the second has another label: labels are 0, 1, 0, ...
    write("test.parquet", &[90, 30, 10]);
    let data = open(place.path()).unwrap();
    let [train, test] = [Split::Train, Split::Test].map(|split| data.split(split).unwrap());
    let found = overlap(Split::Test, &test, &train, MOST_COMPARED).unwrap();
    assert_eq!((found.images(), found.other_labels, found.uncompared), (2, 1, 0));
    assert_eq!(found.first, ["test.parquet[1]", "train.parquet[2]"]);
    let bytes: usize = (0..train.len()).map(|index| train.bytes(index).unwrap().len()).sum();
    for most in [0, bytes as u64] {
        let found = overlap(Split::Test, &test, &train, most).unwrap();
        assert_eq!((found.images(), found.uncompared), (0, 3), "{most}");
    }
}
