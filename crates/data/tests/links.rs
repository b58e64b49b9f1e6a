//! Links, special files and names of any bytes, on disk and in archives.

mod support;

use std::path::Path;

use residual_data::{DataSource, Dataset, Error, OpenOptions, Split};
use support::{gz_bytes, jpeg, open, png};

/// A member of a tar: type, name, target of a link, bytes.
type Member<'a> = (u8, &'a [u8], &'a [u8], Vec<u8>);

fn tar(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, name, target, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.as_mut_bytes()[156] = *kind;
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn zip(members: &[Member]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (kind, name, target, content) in members {
        let options = zip::write::SimpleFileOptions::default();
        let name = std::str::from_utf8(name).unwrap();
        match kind {
            b'2' => writer.add_symlink(name, std::str::from_utf8(target).unwrap(), options).unwrap(),
            b'5' => writer.add_directory(name, options).unwrap(),
            _ => {
                writer.start_file(name, options).unwrap();
                writer.write_all(content).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}

/// Writes what `members` are as a tar, a compressed tar and, without hard links, a zip.
fn archives(place: &Path, members: &[Member]) -> Vec<std::path::PathBuf> {
    let mut all = vec![("a.tar", tar(members)), ("a.tar.gz", gz_bytes(&tar(members)))];
    if members.iter().all(|(kind, ..)| matches!(kind, b'0' | b'2' | b'5')) {
        all.push(("a.zip", zip(members)));
    }
    let write = |(name, bytes): (&str, Vec<u8>)| {
        std::fs::write(place.join(name), bytes).unwrap();
        place.join(name)
    };
    all.into_iter().map(write).collect()
}

fn file(name: &str, tone: u8) -> Member<'_> {
    (b'0', name.as_bytes(), b"", if name.ends_with(".jpg") { jpeg(tone) } else { png(tone) })
}

fn link<'a>(kind: u8, name: &'a str, target: &'a str) -> Member<'a> {
    (kind, name.as_bytes(), target.as_bytes(), Vec::new())
}

/// Each image's name, with its red.
fn contents(data: &Dataset) -> Vec<(String, u8)> {
    let mut all = Vec::new();
    for split in data.splits() {
        let set = data.split(split).unwrap();
        all.extend((0..set.len()).map(|i| (set.name(i).into_owned(), set.read(i).unwrap().pixels()[0])));
    }
    all.sort();
    all
}

#[test]
fn links_inside_the_archive_are_followed() {
    let place = tempfile::tempdir().unwrap();
    let members = [
        link(b'2', "d/cat/later.png", "../dog/1.png"),
        file("d/cat/0.png", 7),
        file("d/dog/1.png", 9),
        link(b'2', "d/cat/chain.png", "later.png"),
        file(".store/ab12", 3),
        link(b'2', "d/dog/stored.png", "../../.store/ab12"),
        link(b'2', "d/owl", "../.store/owls"),
        file(".store/owls/1.png", 5),
        link(b'2', ".store/owls/2.png", "../ab12"),
        link(b'2', "d/owl-too", "./owl/../../d/owl"),
    ];
    for path in archives(place.path(), &members) {
        let expected = [
            ("d/cat/0.png", 7),
            ("d/cat/chain.png", 9),
            ("d/cat/later.png", 9),
            ("d/dog/1.png", 9),
            ("d/dog/stored.png", 3),
            ("d/owl/1.png", 5),
            ("d/owl/2.png", 3),
            ("d/owl-too/1.png", 5),
            ("d/owl-too/2.png", 3),
        ];
        let data = open(&path).unwrap();
        let mut expected = expected.map(|(name, tone)| (name.to_owned(), tone));
        expected.sort();
        assert_eq!(contents(&data), expected, "{}", path.display());
        assert_eq!(data.notes(), []);
    }
    // Hard links count from the top, may come before their file, and have no bytes whatever they claim.
    let mut early = link(b'1', "d/dog/0.png", "d/cat/1.png");
    early.3 = Vec::new();
    let members =
        [early, file("d/cat/1.png", 4), link(b'1', "d/cat/2.png", "./d/dog/0.png"), file("d/dog/3.png", 6)];
    for path in archives(place.path(), &members) {
        let tones: Vec<u8> = contents(&open(&path).unwrap()).iter().map(|(_, tone)| *tone).collect();
        assert_eq!(tones, [4, 4, 4, 6], "{}", path.display());
    }
}

#[test]
fn other_links_are_errors_that_name_both() {
    let place = tempfile::tempdir().unwrap();
    for (kind, name, target, reason) in [
        (b'2', "a/2.png", "../../etc/x.png", "leads out"),
        (b'2', "a/2.png", "/etc/x.png", "leads out"),
        (b'2', "a/2.png", "../c/1.png", "there is none"),
        (b'2', "a/2.png", "2.png", "circle"),
        (b'1', "a/2.png", "c/1.png", "there is none"),
        (b'1', "a/2.png", "a/2.png", "circle"),
        (b'2', "cats", "/data/cats", "leads out"),
    ] {
        for path in
            archives(place.path(), &[file("a/1.png", 1), file("b/1.png", 2), link(kind, name, target)])
        {
            let error = open(&path).unwrap_err();
            assert!(matches!(error, Error::DeadLink { .. }), "{error}");
            let text = error.to_string();
            assert!([name, target, reason, "help: "].iter().all(|part| text.contains(part)), "{text}");
            let options = OpenOptions::default().with(|options| options.skip_bad = true);
            let data = Dataset::open(&DataSource::Path(path), &options).unwrap();
            assert_eq!(contents(&data).len(), 2);
            assert!(
                data.notes()[0].to_string().starts_with("left out 1 file or folder that cannot be read: ")
            );
        }
    }
}

#[test]
fn links_that_make_paths_without_end_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let members = [
        file("a/1.png", 1),
        file("b/1.png", 2),
        link(b'2', "a/up", ".."),
        link(b'2', "a/b", "../b"),
        link(b'2', "b/a", "../a"),
    ];
    for path in archives(place.path(), &members) {
        let data = open(&path).unwrap();
        let names: Vec<String> = contents(&data).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a/1.png", "a/b/1.png", "b/1.png", "b/a/1.png"], "{}", path.display());
        assert!(data.notes()[0].to_string().contains("to a folder around it"), "{:?}", data.notes());
    }
    // Each folder has two links to the next: 2^40 paths.
    let names: Vec<[String; 3]> =
        (0..40).map(|i| [format!("d{i:02}/x"), format!("d{i:02}/y"), format!("../d{:02}", i + 1)]).collect();
    let mut members = vec![file("d40/c/1.png", 1), file("d40/c/2.png", 1)];
    for [x, y, target] in &names {
        members.extend([link(b'2', x, target), link(b'2', y, target)]);
    }
    for path in archives(place.path(), &members) {
        let error = open(&path).unwrap_err();
        assert!(matches!(error, Error::TooManyLinks { .. }), "{error}");
    }
}

#[test]
fn members_that_are_no_files_are_errors() {
    let place = tempfile::tempdir().unwrap();
    for (kind, says) in [
        (b'3', "a device"),
        (b'4', "a device"),
        (b'6', "a FIFO"),
        (b'S', "a sparse file"),
        (b'M', "an unknown kind"),
    ] {
        let members = [file("a/1.png", 1), file("b/1.png", 2), (kind, &b"a/2.png"[..], &b""[..], Vec::new())];
        for path in archives(place.path(), &members) {
            let error = open(&path).unwrap_err();
            assert!(
                matches!(&error, Error::UnreadMember { file, .. } if file.ends_with("a/2.png")),
                "{error}"
            );
            assert!(error.to_string().contains(says), "{error}");
        }
        // Not named as an image, it is nobody's concern.
        let members = [file("a/1.png", 1), file("b/1.png", 2), (kind, &b"a/x"[..], &b""[..], Vec::new())];
        archives(place.path(), &members)
            .iter()
            .for_each(|path| assert_eq!(contents(&open(path).unwrap()).len(), 2));
    }
}

#[test]
fn names_are_bytes() {
    let place = tempfile::tempdir().unwrap();
    let names: [&[u8]; 5] =
        [b"caf\xe8/1.png", b"caf\xe9/1.png", b"caf\\xe9/1.png", b"dog\x1b[31m/1.png", b"dog/1\n.png"];
    let members: Vec<Member> =
        names.iter().enumerate().map(|(i, name)| (b'0', *name, &b""[..], png(i as u8))).collect();
    let mut paths = archives(place.path(), &members[..0]);
    paths.truncate(2);
    std::fs::write(&paths[0], tar(&members)).unwrap();
    std::fs::write(&paths[1], gz_bytes(&tar(&members))).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let folder = place.path().join("folder");
        for (name, (.., bytes)) in names.iter().zip(&members) {
            let path = folder.join(std::ffi::OsStr::from_bytes(name));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        paths.push(folder);
    }
    for path in paths {
        let data = open(&path).unwrap();
        assert_eq!(
            data.classes,
            [r"caf\\xe9", r"caf\xe8", r"caf\xe9", "dog", r"dog\u{1b}[31m"],
            "{}",
            path.display()
        );
        let tones: Vec<u8> = contents(&data).iter().map(|(_, tone)| *tone).collect();
        let tones: std::collections::BTreeSet<u8> = tones.into_iter().collect();
        assert_eq!(tones, [0, 1, 2, 3, 4].into());
        let train = data.split(Split::Train).unwrap();
        let shown: Vec<String> = (0..train.len()).map(|i| train.file(i)).collect();
        assert!(shown.iter().all(|name| !name.chars().any(char::is_control)), "{shown:?}");
    }
}

#[test]
fn names_in_a_zip_are_text_of_two_kinds() {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (i, name) in ["caf\u{e9}/1.png", "cafXX/2.png", "dog/3.png"].iter().enumerate() {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&png(i as u8)).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a.zip");
    // The made-by system, in the directory's records: 0 is DOS, which has code page 437, 3 is Unix.
    for (system, replaced, classes) in [
        (0u8, *b"\x82\x81", ["caf\u{e9}", "caf\u{e9}\u{fc}", "dog"]),
        (3, *b"\x82\x81", [r"caf\x82\x81", "caf\u{e9}", "dog"]),
        (0, *b"\xc3\xa8", ["caf\u{e8}", "caf\u{e9}", "dog"]),
    ] {
        let mut bytes = bytes.clone();
        for at in 0..bytes.len() - 5 {
            if bytes[at..].starts_with(b"PK\x01\x02") {
                bytes[at + 5] = system;
            }
            if bytes[at..].starts_with(b"cafXX") {
                bytes[at + 3..at + 5].copy_from_slice(&replaced);
            }
        }
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(open(&path).unwrap().classes, classes);
    }
}

#[cfg(unix)]
#[test]
fn special_files_in_a_folder_are_errors_at_once() {
    let place = tempfile::tempdir().unwrap();
    support::write_folder(place.path(), &support::images(&["a/1.png", "a/2.png", "b/1.png", "b/2.png"]));
    let (fifo, zero, dead) =
        (place.path().join("a/f.jpg"), place.path().join("a/z.jpg"), place.path().join("a/d.jpg"));
    let skipped = |count: usize| {
        let options =
            OpenOptions::default().with(|options| (options.skip_bad, options.holdout) = (true, 0.0));
        let data = Dataset::open(&DataSource::Path(place.path().into()), &options).unwrap();
        assert_eq!(data.split(Split::Train).unwrap().len(), 4);
        assert!(
            data.notes()[0].to_string().starts_with(&format!("left out {count} file")),
            "{:?}",
            data.notes()
        );
    };
    std::os::unix::fs::symlink("/dev/zero", &zero).unwrap();
    let error = open(place.path()).unwrap_err();
    assert!(matches!(&error, Error::NotRegular { path, kind: "a device" } if *path == zero), "{error}");
    skipped(1);
    std::fs::remove_file(&zero).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let error = open(place.path()).unwrap_err();
    assert!(matches!(&error, Error::NotRegular { path, kind: "a FIFO" } if *path == fifo), "{error}");
    assert!(matches!(open(&fifo), Err(Error::UnknownFormat { .. })));
    std::os::unix::fs::symlink("nowhere.jpg", &dead).unwrap();
    skipped(2);
    std::fs::remove_file(&fifo).unwrap();
    let error = open(place.path()).unwrap_err();
    assert!(matches!(&error, Error::DeadLink { target, .. } if target == "nowhere.jpg"), "{error}");
    // A file that turns into a FIFO after it was listed.
    std::fs::remove_file(&dead).unwrap();
    let train = open(place.path()).unwrap().split(Split::Train).unwrap();
    let first = place.path().join(&*train.name(0));
    std::fs::remove_file(&first).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&first).status().unwrap().success());
    assert!(matches!(train.read(0), Err(Error::NotRegular { .. })));
}

#[test]
fn a_folder_called_sample_is_within_reach() {
    assert_eq!(DataSource::Path("sample".into()).to_string(), "./sample");
    assert_eq!(
        DataSource::from(DataSource::Path("sample".into()).to_string()),
        DataSource::Path("./sample".into())
    );
}
