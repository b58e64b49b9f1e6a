//! Writes what `torch.save` writes, so that the tests need no Python.

#![allow(dead_code, reason = "every test file uses a part")]

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A Python value.
#[derive(Debug, Clone)]
pub(crate) enum Py {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Tuple(Vec<Py>),
    List(Vec<Py>),
    Dict(Vec<(Py, Py)>),
    /// `collections.OrderedDict`, as Python 3 writes it: an empty one, then its items, then its `_metadata`.
    OrderedDict(Vec<(Py, Py)>),
    Global(&'static str, &'static str),
    Call(Box<Py>, Vec<Py>),
    /// An object of a class with a state: `cls.__new__(cls)`, then `__setstate__`.
    Object(Box<Py>, Box<Py>),
    Persistent(Box<Py>),
}

pub(crate) fn text(text: &str) -> Py {
    Py::Text(text.to_owned())
}

pub(crate) fn ints(ints: &[i64]) -> Py {
    Py::Tuple(ints.iter().map(|&int| Py::Int(int)).collect())
}

/// `[("a", value)]` as the items of a dict.
pub(crate) fn items<const N: usize>(items: [(&str, Py); N]) -> Vec<(Py, Py)> {
    items.into_iter().map(|(key, value)| (text(key), value)).collect()
}

pub(crate) fn storage(class: &'static str, key: &str, count: i64) -> Py {
    let id = vec![text("storage"), Py::Global("torch", class), text(key), text("cpu"), Py::Int(count)];
    Py::Persistent(Box::new(Py::Tuple(id)))
}

/// `torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, False, OrderedDict())`.
pub(crate) fn tensor(storage: Py, offset: i64, shape: &[i64], strides: &[i64]) -> Py {
    let arguments = vec![
        storage,
        Py::Int(offset),
        ints(shape),
        ints(strides),
        Py::Bool(false),
        Py::OrderedDict(Vec::new()),
    ];
    Py::Call(Box::new(Py::Global("torch._utils", "_rebuild_tensor_v2")), arguments)
}

/// A contiguous float tensor that has a storage to itself.
pub(crate) fn floats(key: &str, shape: &[i64]) -> Py {
    let mut strides = vec![1; shape.len()];
    for dimension in (1..shape.len()).rev() {
        strides[dimension - 1] = strides[dimension] * shape[dimension];
    }
    tensor(storage("FloatStorage", key, shape.iter().product()), 0, shape, &strides)
}

pub(crate) fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The pickle of `value`, protocol 2 or 4.
pub(crate) fn pickle(value: &Py, protocol: u8) -> Vec<u8> {
    let mut bytes = vec![0x80, protocol];
    put(value, protocol, &mut bytes);
    bytes.push(b'.');
    bytes
}

fn put(value: &Py, protocol: u8, out: &mut Vec<u8>) {
    match value {
        Py::None => out.push(b'N'),
        Py::Bool(value) => out.push(if *value { 0x88 } else { 0x89 }),
        Py::Int(int @ 0..=0xff) => out.extend([b'K', *int as u8]),
        Py::Int(int) => match i32::try_from(*int) {
            Ok(int) => {
                out.push(b'J');
                out.extend(int.to_le_bytes());
            }
            Err(_) => {
                out.extend([0x8a, 8]);
                out.extend(int.to_le_bytes());
            }
        },
        Py::Float(value) => {
            out.push(b'G');
            out.extend(value.to_be_bytes());
        }
        Py::Text(value) => put_text(value, protocol, out),
        Py::Tuple(parts) => {
            out.push(b'(');
            parts.iter().for_each(|part| put(part, protocol, out));
            out.push(b't');
        }
        Py::List(parts) => {
            out.extend(b"](");
            parts.iter().for_each(|part| put(part, protocol, out));
            out.push(b'e');
        }
        Py::Dict(items) => {
            out.push(b'}');
            put_items(items, protocol, out);
        }
        Py::OrderedDict(items) => {
            put(&Py::Global("collections", "OrderedDict"), protocol, out);
            out.extend(b")R");
            put_items(items, protocol, out);
            put(&Py::Dict(vec![(text("_metadata"), Py::None)]), protocol, out);
            out.push(b'b');
        }
        Py::Global(module, name) => put_global(module, name, protocol, out),
        Py::Call(function, arguments) => {
            put(function, protocol, out);
            put(&Py::Tuple(arguments.clone()), protocol, out);
            out.push(b'R');
        }
        Py::Object(class, state) => {
            put(class, protocol, out);
            out.extend(b")\x81");
            put(state, protocol, out);
            out.push(b'b');
        }
        Py::Persistent(id) => {
            put(id, protocol, out);
            out.push(b'Q');
        }
    }
}

fn put_items(items: &[(Py, Py)], protocol: u8, out: &mut Vec<u8>) {
    out.push(b'(');
    for (key, value) in items {
        put(key, protocol, out);
        put(value, protocol, out);
    }
    out.push(b'u');
}

fn put_text(value: &str, protocol: u8, out: &mut Vec<u8>) {
    if protocol >= 4 && value.len() < 256 {
        out.extend([0x8c, value.len() as u8]);
    } else {
        out.push(b'X');
        out.extend((value.len() as u32).to_le_bytes());
    }
    out.extend(value.as_bytes());
}

fn put_global(module: &str, name: &str, protocol: u8, out: &mut Vec<u8>) {
    if protocol >= 4 {
        put_text(module, protocol, out);
        put_text(name, protocol, out);
        out.push(0x93);
    } else {
        out.extend(format!("c{module}\n{name}\n").as_bytes());
    }
}

/// A legacy checkpoint. Storages are `(key, elements, bytes)`.
pub(crate) fn legacy(object: &Py, storages: &[(&str, i64, Vec<u8>)]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    file.extend(b"\x80\x02M\xe9\x03.");
    file.extend(pickle(&Py::Dict(items([("little_endian", Py::Bool(true))])), 2));
    file.extend(pickle(object, 2));
    file.extend(pickle(&Py::List(storages.iter().map(|(key, ..)| text(key)).collect()), 2));
    for (_, count, bytes) in storages {
        file.extend(count.to_le_bytes());
        file.extend(bytes);
    }
    file
}

/// An archive of these entries, in the folder `archive/`.
pub(crate) fn zip(entries: &[(&str, Vec<u8>)], compression: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(compression);
    for (name, content) in entries {
        zip.start_file(format!("archive/{name}"), options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A zip checkpoint. Storages are `(key, bytes)`.
pub(crate) fn archive(object: &Py, storages: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut entries = vec![("data.pkl".to_owned(), pickle(object, 2))];
    entries.push(("byteorder".to_owned(), b"little".to_vec()));
    entries.extend(storages.iter().map(|(key, bytes)| (format!("data/{key}"), bytes.clone())));
    entries.push(("version".to_owned(), b"3\n".to_vec()));
    let entries: Vec<(&str, Vec<u8>)> =
        entries.iter().map(|(name, content)| (name.as_str(), content.clone())).collect();
    zip(&entries, CompressionMethod::Stored)
}

/// A zip archive as PyTorch's writer lays it out: stored entries, and records of zip64 behind the directory whether
/// or not they are needed, while the end record has the true numbers. Names have their folder.
pub(crate) fn torch_zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let at = file.len() as u32;
        let size = content.len() as u32;
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
    let (start, length, count) = (file.len() as u64, directory.len() as u64, entries.len() as u64);
    let record = start + length;
    file.extend(directory);
    file.extend(b"PK\x06\x06");
    file.extend(44u64.to_le_bytes());
    file.extend([20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([count, count, length, start].iter().flat_map(|n| n.to_le_bytes()));
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend(record.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count as u16, count as u16].iter().flat_map(|n| n.to_le_bytes()));
    file.extend([length as u32, start as u32].iter().flat_map(|n| n.to_le_bytes()));
    file.extend([0; 2]);
    file
}

/// A checkpoint as PyTorch writes it to a file called `folder`.
pub(crate) fn torch_archive(folder: &str, object: &Py, storages: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut entries = vec![(format!("{folder}/data.pkl"), pickle(object, 2))];
    entries.push((format!("{folder}/byteorder"), b"little".to_vec()));
    entries.extend(storages.iter().map(|(key, bytes)| (format!("{folder}/data/{key}"), bytes.clone())));
    entries.push((format!("{folder}/version"), b"3\n".to_vec()));
    torch_zip(&entries)
}
