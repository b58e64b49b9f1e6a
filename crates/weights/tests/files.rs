//! safetensors, files of other kinds, and writing that does not lose what was there.

use std::fs;
use std::io;
use std::path::Path;

use proptest::prelude::*;
use residual_weights::{Error, StateDict, Tensor, read, read_bytes, safetensors, write_atomically};

fn sample() -> StateDict {
    let tensor = |shape: &[usize]| {
        let count = shape.iter().product::<usize>();
        Tensor::new(shape.to_vec(), (0..count).map(|i| i as f32 / 8.0).collect()).unwrap()
    };
    let mut state = StateDict::from_tensors([
        ("fc.weight".to_owned(), tensor(&[2, 3])),
        ("fc.bias".to_owned(), tensor(&[2])),
        ("bn.num_batches_tracked".to_owned(), tensor(&[])),
        ("empty".to_owned(), tensor(&[0, 4])),
    ])
    .unwrap();
    state.metadata = (0..20).map(|i| (format!("key{i}"), format!("\"{i}\" é"))).collect();
    state
}

/// A safetensors file of this header and these data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.bin");
    safetensors::write(&path, &sample()).unwrap();
    assert_eq!(read(&path).unwrap(), sample());
    assert_eq!(fs::read(&path).unwrap(), safetensors::to_bytes(&sample()).unwrap());
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let mut state = StateDict::new();
    state.insert("b", Tensor::new(vec![], vec![1.0]).unwrap()).unwrap();
    state.insert("a", Tensor::new(vec![1, 2], vec![2.0, 3.0]).unwrap()).unwrap();
    state.metadata.insert("y".to_owned(), "1".to_owned());
    state.metadata.insert("x".to_owned(), "2".to_owned());
    let mut header = concat!(
        r#"{"__metadata__":{"x":"2","y":"1"},"#,
        r#""a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"#,
        r#""b":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}"#,
    )
    .to_owned();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let data: Vec<u8> = [2.0f32, 3.0, 1.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(safetensors::to_bytes(&state).unwrap(), file(&header, &data));
}

#[test]
fn a_header_whose_length_looks_like_a_pickle_is_read() {
    for length in [0x0280u64, 0x0380, 0x0480, 0x0580] {
        let mut state = StateDict::new();
        state.insert("t", Tensor::new(vec![1], vec![0.5]).unwrap()).unwrap();
        let found = (0..length as usize).find_map(|padding| {
            state.metadata.insert("padding".to_owned(), "x".repeat(padding));
            let bytes = safetensors::to_bytes(&state).unwrap();
            (bytes[..8] == length.to_le_bytes()).then_some(bytes)
        });
        assert_eq!(read_bytes(&found.unwrap()).unwrap(), state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_state_dict_survives(
        tensors in prop::collection::btree_map(
            "[a-z\"\\\\.é]{1,12}",
            (prop::collection::vec(0usize..4, 0..4), any::<u32>()),
            0..8,
        ),
        metadata in prop::collection::btree_map(".*", ".*", 0..4),
    ) {
        let mut state = StateDict::new();
        for (name, (shape, seed)) in tensors {
            let count = shape.iter().product::<usize>() as u32;
            // Any bits at all: NaNs and infinities too.
            let data = (0..count).map(|i| f32::from_bits(seed.wrapping_mul(i.wrapping_add(2654435761)))).collect();
            state.insert(name, Tensor::new(shape, data).unwrap()).unwrap();
        }
        state.metadata = metadata;
        let bytes = safetensors::to_bytes(&state).unwrap();
        let back = read_bytes(&bytes).unwrap();
        // NaN is not equal to itself, so bits are compared.
        prop_assert_eq!(safetensors::to_bytes(&back).unwrap(), bytes);
        prop_assert_eq!(&back.metadata, &state.metadata);
        for ((name, tensor), (back_name, back_tensor)) in state.iter().zip(back.iter()) {
            prop_assert_eq!((name, tensor.shape()), (back_name, back_tensor.shape()));
        }
    }

    #[test]
    fn random_bytes_never_panic(kind in 0usize..3, tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let head: [&[u8]; 3] = [
            b"PK\x03\x04",
            b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.",
            b"\x40\0\0\0\0\0\0\0{",
        ];
        prop_assert!(read_bytes(&[head[kind], &tail].concat()).is_err());
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let bytes = safetensors::to_bytes(&sample()).unwrap();
    for length in 0..bytes.len() {
        let error = read_bytes(&bytes[..length]).unwrap_err();
        match length {
            0 => assert!(matches!(error, Error::Empty)),
            1..=8 => assert!(matches!(error, Error::NotWeights { .. })),
            _ => assert!(matches!(error, Error::Truncated { .. }), "cut at {length}: {error}"),
        }
    }
}

#[test]
fn a_file_damaged_anywhere_does_not_panic() {
    let bytes = safetensors::to_bytes(&sample()).unwrap();
    for at in 0..bytes.len() {
        for value in [0x00, 0x22, 0x7f, 0xff, bytes[at] ^ 1] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            if let Ok(state) = read_bytes(&damaged) {
                assert!(!state.is_empty());
            }
        }
    }
}

#[test]
fn broken_safetensors_are_refused() {
    let entry = |shape: &str, from: usize, to: usize| {
        format!(r#"{{"t":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
    };
    let cases = [
        file("{not json", &[]),
        file(&entry("[2]", 0, 4), &[0; 4]),
        file(&entry("[1]", 4, 8), &[0; 8]),
        file(&entry("[1]", 0, 4), &[0; 5]),
        file(&entry("[18446744073709551615,18446744073709551615]", 0, 4), &[0; 4]),
        file(&"[".repeat(100_000).replacen('[', "{", 1), &[]),
    ];
    for case in cases {
        let error = read_bytes(&case).unwrap_err();
        assert!(matches!(error, Error::Safetensors { .. }), "{error}");
    }
    let float8 = file(r#"{"t":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}"#, &[0]);
    assert!(matches!(read_bytes(&float8), Err(Error::UnsupportedType { name, .. }) if name == "t"));
    let nameless = file(r#"{"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, &[0]);
    assert!(matches!(read_bytes(&nameless), Err(Error::ReservedName { .. })));
    let header = (100_000_001u64).to_le_bytes();
    assert!(matches!(read_bytes(&[&header[..], b"{"].concat()), Err(Error::Safetensors { .. })));
}

#[test]
fn other_element_types_are_read() {
    let header = concat!(
        r#"{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"#,
        r#""b":{"dtype":"BF16","shape":[1],"data_offsets":[2,4]},"#,
        r#""c":{"dtype":"I64","shape":[1],"data_offsets":[4,12]}}"#,
    );
    let state = read_bytes(&file(header, &[0, 0x3c, 0x80, 0x3f, 7, 0, 0, 0, 0, 0, 0, 0])).unwrap();
    let values: Vec<f32> = state.iter().map(|(_, tensor)| tensor.data()[0]).collect();
    assert_eq!(values, [1.0, 1.0, 7.0]);
}

#[test]
fn files_of_other_kinds_are_told() {
    let tar = [&[b'x'; 257][..], b"ustar\0"].concat();
    let cases: [(&[u8], &str); 9] = [
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "JPEG"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0", "PNG"),
        (b"\n<!DOCTYPE html><title>404</title>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0", "gzip"),
        (&tar, "tar"),
        (b"some text that is no checkpoint", "text"),
        (b"abc", "few bytes"),
        (b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "unknown"),
    ];
    for (bytes, expected) in cases {
        let error = read_bytes(bytes).unwrap_err();
        assert!(matches!(error, Error::NotWeights { .. }));
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pth");
    fs::write(&empty, b"").unwrap();
    for path in [&empty, &folder.path().join("absent.pth"), folder.path()] as [&Path; 3] {
        let error = read(path).unwrap_err();
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    }
    assert!(matches!(read(&empty).unwrap_err().cause(), Error::Empty));
}

/// The only file in the folder, and its content.
fn only_file(folder: &Path) -> Vec<u8> {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    fs::read(&files[0]).unwrap()
}

#[test]
fn a_failed_write_leaves_the_earlier_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    write_atomically(&path, |file| file.write_all(b"earlier")).unwrap();
    let error = write_atomically(&path, |file| {
        file.write_all(&[0; 3_000_000])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    })
    .unwrap_err();
    assert!(error.to_string().contains("last.safetensors: cannot write: "), "{error}");
    assert_eq!(only_file(folder.path()), b"earlier");

    let panicked = std::panic::catch_unwind(|| write_atomically(&path, |_| panic!("the writer's own fault")));
    assert!(panicked.is_err());
    assert_eq!(only_file(folder.path()), b"earlier");

    write_atomically(&path, |file| file.write_all(b"later")).unwrap();
    assert_eq!(only_file(folder.path()), b"later");
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("no/such/folder/file");
    assert!(matches!(safetensors::write(&absent, &sample()).unwrap_err().cause(), Error::Io { .. }));
    let error = safetensors::write(folder.path(), &sample()).unwrap_err();
    assert!(matches!(error.cause(), Error::NotAFile));
    assert!(matches!(write_atomically("", |_| Ok(())).unwrap_err().cause(), Error::NotAFile));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn devices_stay_devices_and_links_stay_links() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    let error = write_atomically("/dev/null", |file| file.write_all(b"x")).unwrap_err();
    assert!(matches!(error.cause(), Error::NotAFile));
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());

    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    fs::write(&target, b"earlier").unwrap();
    symlink(&target, &link).unwrap();
    write_atomically(&link, |file| file.write_all(b"later")).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&target).unwrap(), b"later");

    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(closed.join("probe"), b"").is_ok() {
        eprintln!("skipped: this user may write into any folder");
    } else {
        let error = write_atomically(closed.join("file"), |file| file.write_all(b"x")).unwrap_err();
        assert!(matches!(error.cause(), Error::Io { .. }));
    }
}
