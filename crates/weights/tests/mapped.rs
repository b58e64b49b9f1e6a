//! Files that are mapped: the same tensors as when they are read, and where their elements lie.

mod pickler;

use std::fs;
use std::path::PathBuf;

use pickler::{Py, archive, f32s, floats, items, legacy, storage, tensor};
use residual_weights::{Error, StateDict, Tensor, Weights, map, read, safetensors};
use tempfile::TempDir;

fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn sample() -> StateDict {
    let values = |count: usize| (0..count).map(|i| i as f32 - 2.5).collect::<Vec<_>>();
    let mut state = StateDict::new();
    state.insert("fc.weight", Tensor::new(vec![2, 3], values(6)).unwrap()).unwrap();
    state.insert("fc.bias", Tensor::new(vec![2], values(2)).unwrap()).unwrap();
    state.insert("empty", Tensor::new(vec![0, 4], vec![]).unwrap()).unwrap();
    state.metadata.insert("key".to_owned(), "text".to_owned());
    state
}

/// A safetensors file of one tensor `t` of four elements, with `spaces` after its header.
fn one(dtype: &str, data: &[u8], spaces: usize) -> Vec<u8> {
    let header = format!(r#"{{"t":{{"dtype":"{dtype}","shape":[4],"data_offsets":[0,{}]}}}}"#, data.len());
    let spaces = header.len().next_multiple_of(8) - header.len() + spaces;
    let header = header + &" ".repeat(spaces);
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn our_own_files_are_not_copied() {
    let (_folder, path) = written(&safetensors::to_bytes(&sample()).unwrap());
    let mapped = map(&path).unwrap();
    assert_eq!(mapped, sample());
    assert_eq!(mapped, read(&path).unwrap());
    assert!(mapped.iter().all(|(_, tensor)| tensor.is_mapped()));
    assert!(read(&path).unwrap().iter().all(|(_, tensor)| !tensor.is_mapped()));
    assert!(matches!(Weights::map(&path).unwrap(), Weights::Plain(state) if state == sample()));
}

#[test]
fn what_is_not_as_this_machine_has_it_is_converted() {
    let floats = f32s(&[1.0, -2.0, 0.5, 4.0]);
    let halves: Vec<u8> =
        [0x3c00u16, 0xc000, 0x3800, 0x4400].into_iter().flat_map(u16::to_le_bytes).collect();
    for (file, in_place) in [
        (one("F32", &floats, 0), true),
        // The data begin at an odd place.
        (one("F32", &floats, 1), false),
        (one("F16", &halves, 0), false),
    ] {
        let (_folder, path) = written(&file);
        let mapped = map(&path).unwrap();
        let tensor = mapped.get("t").unwrap();
        assert_eq!((tensor.data(), tensor.is_mapped()), (&[1.0, -2.0, 0.5, 4.0][..], in_place));
        assert_eq!(mapped, read(&path).unwrap());
    }
}

#[test]
fn checkpoints_of_pytorch_are_the_same_mapped_and_read() {
    let transposed = tensor(storage("FloatStorage", "0", 6), 0, &[3, 2], &[1, 3]);
    let object =
        Py::Dict(items([("w", floats("0", &[2, 3])), ("turned", transposed), ("b", floats("1", &[2]))]));
    let (weight, bias) = (f32s(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), f32s(&[7.0, 8.0]));
    let zip = archive(&object, &[("0", weight.clone()), ("1", bias.clone())]);
    let old = legacy(&object, &[("0", 6, weight), ("1", 2, bias)]);
    for file in [zip, old] {
        let (_folder, path) = written(&file);
        let mapped = map(&path).unwrap();
        assert_eq!(mapped, read(&path).unwrap());
        assert_eq!(mapped.get("turned").unwrap().data(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert!(!mapped.get("turned").unwrap().is_mapped(), "its elements lie in another order");
    }
}

#[test]
fn tensors_outlive_the_replacement_of_their_file() {
    let (_folder, path) = written(&safetensors::to_bytes(&sample()).unwrap());
    let mapped = map(&path).unwrap();
    safetensors::write(&path, &StateDict::new()).unwrap();
    assert_eq!(mapped, sample());
    fs::remove_file(&path).unwrap();
    assert_eq!(mapped, sample());
}

#[test]
fn what_is_released_is_read_again() {
    let large: Vec<f32> = (0..300_000).map(|i| i as f32).collect();
    let state =
        StateDict::from_tensors([("w".to_owned(), Tensor::new(vec![300_000], large).unwrap())]).unwrap();
    let (_folder, path) = written(&safetensors::to_bytes(&state).unwrap());
    let mapped = map(&path).unwrap();
    let slice = mapped.get("w").unwrap().data();
    for _ in 0..2 {
        mapped.get("w").unwrap().release();
        assert_eq!(slice, state.get("w").unwrap().data());
    }
    fs::remove_file(&path).unwrap();
    mapped.get("w").unwrap().release();
    assert_eq!(mapped, state);
    state.get("w").unwrap().release();
}

#[test]
fn a_change_is_not_the_files() {
    let (_folder, path) = written(&safetensors::to_bytes(&sample()).unwrap());
    let mut mapped = map(&path).unwrap();
    let other = mapped.clone();
    let tensor = mapped.get_mut("fc.bias").unwrap();
    tensor.data_mut()[1] = 9.0;
    assert_eq!((tensor.data(), tensor.is_mapped()), (&[-2.5, 9.0][..], false));
    assert_eq!(other, sample());
    assert_eq!(read(&path).unwrap(), sample());
}

#[test]
fn what_cannot_be_mapped_fails_as_reading_does() {
    let cause = |path: &str| match map(path).unwrap_err() {
        Error::InFile { cause, .. } => *cause,
        other => panic!("no file named: {other}"),
    };
    let (_folder, empty) = written(b"");
    assert!(matches!(cause(empty.to_str().unwrap()), Error::Empty));
    assert!(matches!(cause("/nowhere/weights"), Error::Io { doing: "read", .. }));
    #[cfg(unix)]
    {
        let error = cause("/dev/zero");
        assert!(matches!(error, Error::Io { doing: "read", .. }) && error.to_string().contains("a device"));
        assert!(matches!(cause("/"), Error::NoWeightsInFolder));
    }
    let whole = safetensors::to_bytes(&sample()).unwrap();
    let (_folder, cut) = written(&whole[..whole.len() - 4]);
    assert!(matches!(cause(cut.to_str().unwrap()), Error::Truncated { .. }));
}
