//! Zip archives with zip64 records behind their directory, whatever the length of their names.

mod support;

use std::fs;
use std::io::Cursor;

use residual_data::ImageSet;
use support::{Files, images, open};
use zip::ZipArchive;

/// A zip archive of stored files, with records of zip64 behind the directory whether or not they are needed, while
/// the end record has the true numbers: as PyTorch's writer and others lay it out.
fn zip64_bytes(files: &Files) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let (at, size) = (file.len() as u32, content.len() as u32);
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend([crc.sum(), size, size].iter().flat_map(|n| n.to_le_bytes()));
        common.extend((name.len() as u16).to_le_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend([0; 2]);
        file.extend(name.as_bytes());
        file.extend(content);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 12]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, length, count) = (file.len() as u64, directory.len() as u64, files.len() as u64);
    file.extend(directory);
    file.extend(b"PK\x06\x06");
    file.extend(44u64.to_le_bytes());
    file.extend([20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([count, count, length, start].iter().flat_map(|n| n.to_le_bytes()));
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend((start + length).to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count as u16, count as u16].iter().flat_map(|n| n.to_le_bytes()));
    file.extend([length as u32, start as u32].iter().flat_map(|n| n.to_le_bytes()));
    file.extend([0; 2]);
    file
}

fn archive(folder: &str) -> Vec<u8> {
    let files = images(&["cat/1.png", "cat/2.png", "dog/1.png"]);
    zip64_bytes(&files.into_iter().map(|(name, bytes)| (format!("{folder}/{name}"), bytes)).collect())
}

#[test]
fn folders_of_every_length_are_read() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("images.zip");
    let mut misled = Vec::new();
    for length in 1..=100 {
        let bytes = archive(&"a".repeat(length));
        // A place guessed from the directory's size.
        if ZipArchive::new(Cursor::new(&bytes)).is_err() {
            misled.push(length);
        }
        fs::write(&path, bytes).unwrap();
        let data = open(&path).unwrap_or_else(|error| panic!("{length} characters: {error}"));
        assert_eq!(data.classes, ["cat", "dog"], "{length} characters");
        let sets: Vec<_> = data.splits().into_iter().map(|split| data.split(split).unwrap()).collect();
        assert_eq!(sets.iter().map(ImageSet::len).sum::<usize>(), 3);
        sets.iter().for_each(|set| (0..set.len()).for_each(|image| drop(set.read(image).unwrap())));
    }
    // Its first entry has 76 bytes, as the records of zip64 have: the archives are of the kind that is meant.
    assert_eq!(misled, [20]);
}

#[test]
fn an_archive_behind_other_bytes_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("images.zip");
    for prefix in [b"#!/bin/sh\n".as_slice(), b"MZ\x90\0", b"PK\x03\x04 and more"] {
        fs::write(&path, [prefix, &archive("a")].concat()).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains("images.zip"), "{error}");
    }
}
