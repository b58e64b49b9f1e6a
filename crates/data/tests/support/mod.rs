//! Builds data sets: files in a folder, and the same in every kind of archive.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod arrays;
pub(crate) mod augments;
pub(crate) mod cifar;
pub(crate) mod laws;
pub(crate) mod table;

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{ImageBuffer, ImageFormat, Rgb};
use residual_data::{DataSource, Dataset, Error, OpenOptions};

/// Paths and contents; a path that ends with a slash is a folder.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// An image of one colour but for a gradient, encoded.
pub(crate) fn encoded(width: u32, height: u32, tone: u8, format: ImageFormat) -> Vec<u8> {
    let pixel = |x: u32, y: u32| Rgb([tone, (x * 5 % 256) as u8, (y * 5 % 256) as u8]);
    let mut bytes = Cursor::new(Vec::new());
    ImageBuffer::from_fn(width, height, pixel).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn png(tone: u8) -> Vec<u8> {
    encoded(8, 6, tone, ImageFormat::Png)
}

pub(crate) fn jpeg(tone: u8) -> Vec<u8> {
    encoded(8, 6, tone, ImageFormat::Jpeg)
}

/// Images at these paths, PNG or JPEG by their names.
pub(crate) fn images(paths: &[&str]) -> Files {
    let image = |(i, path): (usize, &&str)| {
        let bytes = if path.ends_with(".png") { png(i as u8) } else { jpeg(i as u8) };
        ((*path).to_owned(), bytes)
    };
    paths.iter().enumerate().map(image).collect()
}

pub(crate) fn write_folder(root: &Path, files: &Files) {
    for (path, bytes) in files {
        let target = root.join(path);
        if path.ends_with('/') {
            fs::create_dir_all(target).unwrap();
            continue;
        }
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
}

pub(crate) fn tar_bytes(files: &Files) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        header.set_entry_type(match path.ends_with('/') {
            true => tar::EntryType::Directory,
            false => tar::EntryType::Regular,
        });
        // Written as it is: the builder refuses what leads outside.
        let name = path.as_bytes();
        assert!(name.len() < 100);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gz_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zip_bytes(files: &Files) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, bytes) in files {
        let options = zip::write::SimpleFileOptions::default();
        if path.ends_with('/') {
            writer.add_directory(path.as_str(), options).unwrap();
            continue;
        }
        writer.start_file(path.as_str(), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The same files as a folder, a tar, a compressed tar and a zip. The archives' names do not say
/// what they are.
pub(crate) fn every_kind(place: &Path, files: &Files) -> Vec<PathBuf> {
    let folder = place.join("folder");
    fs::create_dir_all(&folder).unwrap();
    write_folder(&folder, files);
    let tar = tar_bytes(files);
    let archives =
        [("one.data", tar.clone()), ("two.data", gz_bytes(&tar)), ("three.data", zip_bytes(files))];
    let mut paths = vec![folder];
    for (name, bytes) in archives {
        paths.push(place.join(name));
        File::create(place.join(name)).unwrap().write_all(&bytes).unwrap();
    }
    paths
}

pub(crate) fn open(path: &Path) -> Result<Dataset, Error> {
    Dataset::open(&DataSource::Path(path.into()), &OpenOptions::default())
}

/// Every kind of these files fails to open, with an error that begins with the path.
pub(crate) fn errors_of_every_kind(files: &Files) -> Vec<Error> {
    let place = tempfile::tempdir().unwrap();
    let fail = |path: PathBuf| {
        let error = open(&path).unwrap_err();
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
        error
    };
    every_kind(place.path(), files).into_iter().map(fail).collect()
}
