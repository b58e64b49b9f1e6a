//! Zip archives as PyTorch writes them, and odd ones.

mod pickler;

use std::io::Cursor;

use ::zip::ZipArchive;
use pickler::{Py, f32s, floats, items, pickle, torch_archive, torch_zip};
use residual_weights::{Error, StateDict, read_bytes};

fn checkpoint(folder: &str) -> Vec<u8> {
    let object = Py::OrderedDict(items([("w", floats("0", &[3])), ("b", floats("1", &[2]))]));
    torch_archive(folder, &object, &[("0", f32s(&[1.0, 2.0, 3.0])), ("1", f32s(&[4.0, 5.0]))])
}

fn assert_read(state: &StateDict, case: &str) {
    assert_eq!(state.names().collect::<Vec<_>>(), ["b", "w"], "{case}");
    assert_eq!(state.get("w").unwrap().data(), [1.0, 2.0, 3.0], "{case}");
    assert_eq!(state.get("b").unwrap().data(), [4.0, 5.0], "{case}");
}

#[test]
fn folders_of_every_length_are_read() {
    let mut misled = Vec::new();
    for length in 1..=100 {
        let file = checkpoint(&"a".repeat(length));
        // A place guessed from the directory's size.
        if ZipArchive::new(Cursor::new(&file)).is_err() {
            misled.push(length);
        }
        let state = read_bytes(&file).unwrap_or_else(|error| panic!("{length} characters: {error}"));
        assert_read(&state, &format!("{length} characters"));
    }
    // Its first entry has 76 bytes, as the records of zip64 have: the archives are of the kind that is meant.
    assert_eq!(misled, [21]);
}

#[test]
fn names_beyond_ascii_and_nested_folders_are_read() {
    for folder in ["é", "猫猫猫猫猫猫猫", "a/b/c", "a b", &"é".repeat(10)] {
        assert_read(&read_bytes(&checkpoint(folder)).unwrap(), folder);
    }
}

/// PyTorch reads no archive behind other bytes, whose places are then wrong by their number.
#[test]
fn bytes_before_an_archive_are_refused() {
    for prefix in
        [b"#!/bin/sh\nexit\n".as_slice(), b"MZ\x90\0", b"PK\x03\x04 and more", &checkpoint("x")[..76]]
    {
        let file = [prefix, &checkpoint("a")].concat();
        let error = read_bytes(&file).unwrap_err();
        assert!(
            matches!(error, Error::NotWeights { .. } | Error::Archive { .. } | Error::NotTorchArchive { .. }),
            "{error}"
        );
    }
}

#[test]
fn bytes_behind_an_archive_do_no_harm() {
    assert_read(&read_bytes(&[checkpoint("a"), b"\n".to_vec()].concat()).unwrap(), "a line break");
}

#[test]
fn an_encrypted_entry_is_called_so() {
    let mut file = checkpoint("a");
    let headers = [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)];
    for (signature, flags) in headers {
        let places: Vec<usize> =
            (0..file.len() - 4).filter(|&at| file[at..].starts_with(signature)).collect();
        places.into_iter().for_each(|at| file[at + flags] |= 1);
    }
    let error = read_bytes(&file).unwrap_err();
    assert!(matches!(&error, Error::Encrypted { entry } if entry == "a/data.pkl"), "{error}");
    assert!(error.to_string().contains("is encrypted"), "{error}");
}

#[test]
fn a_directory_of_millions_of_entries_is_refused_before_it_is_read() {
    let object = pickle(&Py::OrderedDict(items([("w", floats("0", &[3]))])), 2);
    let mut entries = vec![("a/data.pkl".to_owned(), object)];
    entries.push(("a/data/0".to_owned(), f32s(&[1.0, 2.0, 3.0])));
    let file = torch_zip(&entries);
    // The record of 64 bits, with the number of entries on this disk and in all; its locator; the end.
    let end = file.len() - 22;
    let numbers = end - 20 - 56 + 24;
    let mut claims = file;
    claims[numbers..numbers + 8].copy_from_slice(&u64::from(u32::MAX).to_le_bytes());
    claims[numbers + 8..numbers + 16].copy_from_slice(&u64::from(u32::MAX).to_le_bytes());
    claims[end + 8..end + 12].copy_from_slice(&[0xff; 4]);
    let error = read_bytes(&claims).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}
