//! Everything that can be wrong with data on disk: each is an error that names the file.

mod support;

use std::fs;

use residual_data::{DataSource, Dataset, Error, OpenOptions, Split};
use support::{
    errors_of_every_kind, every_kind, gz_bytes, images, jpeg, open, png, tar_bytes, write_folder, zip_bytes,
};

#[test]
fn no_such_path() {
    let error = open("/no/such/folder".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "/no/such/folder: no such file or folder");
}

#[test]
fn no_classes() {
    for files in [
        vec![],
        vec![("readme.txt".to_owned(), b"x".to_vec())],
        images(&["1.png", "2.png"]),
        images(&["train/1.png", "test/1.png"])[..0].to_vec(),
        vec![("train/a/".to_owned(), vec![]), ("train/b/".to_owned(), vec![])],
    ] {
        for error in errors_of_every_kind(&files) {
            assert!(matches!(error, Error::NoClasses { .. }), "{error}");
        }
    }
    let error = errors_of_every_kind(&images(&["1.png", "2.png"])).remove(0).to_string();
    assert!(error.contains("no classes found (2 images, none of them in a class folder)"), "{error}");
}

#[test]
fn one_class_opens_but_cannot_be_trained_on() {
    let place = tempfile::tempdir().unwrap();
    for path in every_kind(place.path(), &images(&["only/1.png", "only/2.png"])) {
        let error = open(&path).unwrap().check_trainable().unwrap_err();
        assert!(matches!(&error, Error::OneClass { class, .. } if class == "only"));
        assert!(error.to_string().starts_with(&path.display().to_string()));
    }
}

#[test]
fn an_empty_class() {
    let mut files = images(&["train/a/1.png", "train/b/1.png", "test/a/1.png"]);
    files.push(("train/c/".into(), vec![]));
    for error in errors_of_every_kind(&files) {
        assert!(matches!(&error, Error::EmptyClass { class, .. } if class == "train/c"), "{error}");
    }
    let mut files = images(&["a/1.png", "b/1.png"]);
    files.push(("c/readme.txt".into(), vec![b'x']));
    for error in errors_of_every_kind(&files) {
        assert!(matches!(&error, Error::EmptyClass { class, .. } if class == "c"), "{error}");
    }
    let mut files = images(&["a/1.png"]);
    files.push(("b/".into(), vec![]));
    for error in errors_of_every_kind(&files) {
        assert!(matches!(&error, Error::EmptyClass { class, .. } if class == "b"), "{error}");
    }
}

#[test]
fn a_class_that_training_does_not_know() {
    for error in errors_of_every_kind(&images(&["train/a/1.png", "train/b/1.png", "val/z/1.png"])) {
        let text = "class `val/z` is not among the known classes (a, b); help: ";
        assert!(error.to_string().contains(text), "{error}");
    }
    let paths = ["train/a/1.png", "train/b/1.png", "val/z/1.png", "test/b/1.png", "test/y/1.png"];
    for error in errors_of_every_kind(&images(&paths)) {
        let text = "2 classes (val/z, test/y) are not among the known classes (a, b)";
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn files_that_are_no_archive() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data.tar.gz");
    for (bytes, says) in [
        (Vec::new(), "an empty file"),
        (b"hello".to_vec(), "not an archive of a known kind"),
        (vec![7; 5000], "not an archive of a known kind"),
        (jpeg(1), "a single image"),
        (png(1), "a single image"),
        (gz_bytes(b"text"), "a gzip file that holds no tar archive"),
        (gz_bytes(&[9; 3000]), "a gzip file that holds no tar archive"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(&error, Error::UnknownFormat { found, .. } if found == says), "{error}");
        assert!(error.to_string().starts_with(&path.display().to_string()));
    }
    #[cfg(unix)]
    assert!(matches!(open("/dev/null".as_ref()), Err(Error::UnknownFormat { .. })));
}

#[test]
fn a_truncated_archive_wherever_it_is_cut() {
    let place = tempfile::tempdir().unwrap();
    let files = images(&["train/a/1.png", "train/b/1.jpg", "test/a/1.png", "test/b/1.png"]);
    let tar = tar_bytes(&files);
    let path = place.path().join("archive");
    for (kind, bytes) in [("tar", tar.clone()), ("gz", gz_bytes(&tar)), ("zip", zip_bytes(&files))] {
        fs::write(&path, &bytes).unwrap();
        open(&path).unwrap();
        // A tar ends with 1024 zeros, of which half may be missing.
        let end = if kind == "tar" { bytes.len() - 513 } else { bytes.len() - 1 };
        for cut in (600..end).step_by(if kind == "tar" { 128 } else { 17 }).chain([end]) {
            fs::write(&path, &bytes[..cut]).unwrap();
            let error = open(&path).unwrap_err();
            assert!(matches!(error, Error::TruncatedArchive { .. }), "{kind} cut at {cut}: {error}");
            assert!(error.to_string().starts_with(&path.display().to_string()));
        }
    }
}

#[test]
fn a_corrupt_archive() {
    let place = tempfile::tempdir().unwrap();
    let files = images(&["train/a/1.png", "train/b/1.png", "test/a/1.png"]);
    let path = place.path().join("archive");
    let tar = tar_bytes(&files);
    // The second header, damaged.
    let second = 512 + files[0].1.len().div_ceil(512) * 512;
    let mut damaged = tar.clone();
    damaged[second + 3] ^= 0xff;
    for bytes in [damaged.clone(), gz_bytes(&damaged)] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(open(&path), Err(Error::CorruptArchive { .. })));
    }
    // The checksum at the end of the compressed stream.
    let mut gz = gz_bytes(&tar);
    let end = gz.len() - 6;
    gz[end] ^= 0xff;
    fs::write(&path, gz).unwrap();
    assert!(matches!(open(&path), Err(Error::CorruptArchive { .. })));
}

#[test]
fn what_follows_a_gzip_stream() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("archive");
    let whole = gz_bytes(&tar_bytes(&images(&["a/1.png", "b/1.png"])));
    for (tail, opens) in [(vec![0; 10_000], true), (b"x".to_vec(), false), (b"\0\0more".to_vec(), false)] {
        fs::write(&path, [whole.clone(), tail].concat()).unwrap();
        match open(&path) {
            Ok(data) => assert!(opens && data.classes == ["a", "b"]),
            Err(error) => {
                assert!(!opens && matches!(error, Error::CorruptArchive { .. }), "{error}");
                assert!(
                    error.to_string().contains("trailing data behind the end of the gzip stream"),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn members_of_a_zip_that_are_not_read_are_named() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("archive");
    let whole = zip_bytes(&images(&["a/1.png", "b/1.png"]));
    let record = (0..whole.len()).find(|&at| whole[at..].starts_with(b"PK\x01\x02")).unwrap();
    let changed = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[record + at] = value;
        fs::write(&path, bytes).unwrap();
        open(&path).unwrap_err()
    };
    let error = changed(8, whole[record + 8] | 1);
    assert!(matches!(&error, Error::Encrypted { file } if file.ends_with("archive: a/1.png")), "{error}");
    let error = changed(10, 14);
    assert!(error.to_string().contains("a/1.png: packed by LZMA, which is not read here; help: "), "{error}");
}

#[test]
fn a_zip_of_more_members_than_16_bits_count() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("archive");
    let mut files: support::Files = (0..65_600).map(|i| (format!("a/{i}.png"), vec![])).collect();
    files.extend(images(&["b/1.png"]));
    fs::write(&path, zip_bytes(&files)).unwrap();
    let options = OpenOptions::default().with(|options| options.holdout = 0.0);
    let train = Dataset::open(&DataSource::Path(path), &options).unwrap().split(Split::Train).unwrap();
    assert_eq!(train.len(), 65_601);
    train.read(65_600).unwrap();
}

#[test]
fn archives_that_promise_too_much() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("archive");
    let options = OpenOptions::default().with(|options| options.memory_limit = 300);
    fs::write(&path, gz_bytes(&tar_bytes(&images(&["a/1.jpg", "b/1.jpg"])))).unwrap();
    let error = Dataset::open(&DataSource::Path(path.clone()), &options).unwrap_err();
    assert!(matches!(error, Error::ArchiveTooLarge { limit: 300, .. }), "{error}");

    // A header that claims 8 GiB of image, with nothing behind it.
    let mut header = tar::Header::new_gnu();
    header.set_path("a/1.jpg").unwrap();
    header.set_size(8 << 30);
    header.set_cksum();
    let tar = header.as_bytes().to_vec();
    fs::write(&path, gz_bytes(&tar)).unwrap();
    assert!(matches!(open(&path), Err(Error::FileTooLarge { .. })));
    fs::write(&path, &tar).unwrap();
    assert!(matches!(open(&path), Err(Error::TruncatedArchive { .. })));

    // A zip whose member unpacks to more than an image may have.
    let mut files = images(&["a/1.jpg", "b/1.jpg"]);
    files[0].1 = vec![0; (256 << 20) + 1];
    fs::write(&path, zip_bytes(&files)).unwrap();
    let train = open(&path).unwrap().split(Split::Train).unwrap();
    let error = train.read(0).unwrap_err();
    assert!(
        matches!(&error, Error::FileTooLarge { file, .. } if file.ends_with("archive: a/1.jpg")),
        "{error}"
    );
    train.read(1).unwrap();
}

#[test]
fn bad_images_name_their_file() {
    let place = tempfile::tempdir().unwrap();
    let mut files = images(&["a/1.png", "a/2.png", "a/3.jpg", "a/4.jpg", "b/1.png"]);
    files[0].1.truncate(60);
    files[1].1.clear();
    let length = files[2].1.len();
    files[2].1.truncate(length / 2);
    files[3].1 = b"<html>not found</html>".to_vec();
    for path in every_kind(place.path(), &files) {
        let options = OpenOptions::default().with(|options| options.holdout = 0.0);
        let set =
            Dataset::open(&DataSource::Path(path.clone()), &options).unwrap().split(Split::Train).unwrap();
        let errors: Vec<Error> = (0..4).map(|i| set.read(i).unwrap_err()).collect();
        assert!(matches!(errors[0], Error::TruncatedImage { .. }), "{}", errors[0]);
        assert!(matches!(errors[1], Error::EmptyImage { .. }), "{}", errors[1]);
        assert!(matches!(errors[2], Error::TruncatedImage { .. }), "{}", errors[2]);
        assert!(matches!(errors[3], Error::UnknownImage { .. }), "{}", errors[3]);
        for (i, error) in errors.iter().enumerate() {
            let text = error.to_string();
            assert!(text.starts_with(&path.display().to_string()) && text.contains(&*set.name(i)), "{text}");
            assert!(error.bad_image().is_some());
        }
        set.read(4).unwrap();
        assert!(matches!(set.read(5), Err(Error::NoSuchImage { index: 5, len: 5, .. })));
    }
}

#[test]
fn files_that_change_under_the_reader() {
    let place = tempfile::tempdir().unwrap();
    let files = images(&["a/1.png", "b/1.png"]);
    let paths = every_kind(place.path(), &files);
    let [folder, tar] = [&paths[0], &paths[1]].map(|path| open(path).unwrap().split(Split::Train).unwrap());
    fs::remove_file(paths[0].join("a/1.png")).unwrap();
    assert!(matches!(folder.read(0), Err(Error::NotFound { path }) if path.ends_with("folder/a/1.png")));
    fs::OpenOptions::new().write(true).open(&paths[1]).unwrap().set_len(600).unwrap();
    let error = tar.read(0).unwrap_err().to_string();
    assert!(error.contains("one.data: a/1.png"), "{error}");
}

#[cfg(unix)]
#[test]
fn an_unreadable_folder() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), &images(&["a/1.png", "b/1.png"]));
    let closed = place.path().join("b");
    let mode = |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    let result = open(place.path());
    let options = OpenOptions::default().with(|options| options.skip_bad = true);
    let skipping = Dataset::open(&DataSource::Path(place.path().into()), &options);
    let readable = fs::read_dir(&closed).is_ok();
    mode(0o755);
    if readable {
        println!("skipped: this user may read everything");
        return;
    }
    assert!(matches!(result, Err(Error::Unreadable { path, .. }) if path == closed));
    // Left out, it is a class without images.
    assert!(matches!(skipping, Err(Error::EmptyClass { class, .. }) if class == "b"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever is damaged in an archive, it opens or there is an error, and never a panic.
    #[test]
    fn damaged_archives_never_panic(at in 0usize..4000, byte: u8, kind in 0usize..3) {
        let place = tempfile::tempdir().unwrap();
        let files = images(&["train/a/1.png", "train/b/1.jpg", "test/a/1.png"]);
        let tar = tar_bytes(&files);
        let mut bytes = match kind {
            0 => tar,
            1 => gz_bytes(&tar),
            _ => zip_bytes(&files),
        };
        let at = at % bytes.len();
        bytes[at] = byte;
        let path = place.path().join("archive");
        fs::write(&path, bytes).unwrap();
        if let Ok(dataset) = open(&path) {
            for split in dataset.splits() {
                let set = dataset.split(split).unwrap();
                (0..set.len()).for_each(|i| drop(set.read(i)));
            }
        }
    }
}

#[test]
fn a_panic_of_a_decoder_is_a_corrupt_image() {
    // Found by fuzzing: an animation whose first frame is smaller than its canvas, on whose transparency image-webp 0.2.4
    // panics.
    let bytes = include_bytes!("fixtures/broken/alpha_of_another_size.webp");
    let error = residual_data::decode(bytes, "frame.webp").unwrap_err();
    assert!(matches!(&error, Error::CorruptImage { file, .. } if file == "frame.webp"), "{error}");
}
