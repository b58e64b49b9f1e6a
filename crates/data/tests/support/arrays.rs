//! Arrays as IDX files and as files of NumPy.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Cursor, Write};

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::Files;

/// An IDX file of bytes.
pub(crate) fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let sides = sizes.iter().flat_map(|size| size.to_be_bytes());
    [0, 0, 8, sizes.len() as u8].into_iter().chain(sides).chain(values.iter().copied()).collect()
}

/// A `.npy` file of this kind and shape.
pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\0".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
}

/// An `.npz` of these arrays, stored or deflated.
pub(crate) fn npz(arrays: &[(&str, Vec<u8>)], deflated: bool) -> Vec<u8> {
    let method = if deflated { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let options = SimpleFileOptions::default().compression_method(method);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Bytes of image `i` of a set: each its own.
pub(crate) fn pixels(set: usize, i: usize, size: usize) -> Vec<u8> {
    (0..size).map(|k| (set * 101 + i * 37 + k * 3) as u8).collect()
}

/// Pixels of `count` images, one behind the other.
pub(crate) fn images(set: usize, count: usize, size: usize) -> Vec<u8> {
    (0..count).flat_map(|i| pixels(set, i, size)).collect()
}

/// The four files of MNIST, 4x5 pixels, with as many training and test images as there are labels.
pub(crate) fn mnist(train: &[u8], test: &[u8]) -> Files {
    let of = |set: usize, labels: &[u8]| {
        (
            idx(&[labels.len() as u32, 5, 4], &images(set, labels.len(), 20)),
            idx(&[labels.len() as u32], labels),
        )
    };
    let ((train_images, train_labels), (test_images, test_labels)) = (of(0, train), of(1, test));
    [
        ("train-images-idx3-ubyte", train_images),
        ("train-labels-idx1-ubyte", train_labels),
        ("t10k-images-idx3-ubyte", test_images),
        ("t10k-labels-idx1-ubyte", test_labels),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}
