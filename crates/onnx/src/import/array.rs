//! Constants, in the file or beside it.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};
use std::rc::Rc;

use residual_files::{Budget, require_memory};

use crate::element::{BOOL, DOUBLE, FLOAT, INT8, INT32, INT64, UINT8};
use crate::error::Error;
use crate::proto::TensorProto;

/// Bytes that the constants of one file may take in memory.
pub(super) const MAX_CONSTANTS: u64 = 32 << 30;

/// The most dimensions of a constant.
const MAX_RANK: usize = 8;

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i32 = 1;

/// A constant array in row-major order.
#[derive(Debug, Clone)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) elements: Elements,
}

/// Elements of an array.
#[derive(Debug, Clone)]
pub(super) enum Elements {
    Floats(Rc<[f32]>),
    Integers(Rc<[i64]>),
}

impl Array {
    pub(super) fn floats(shape: Vec<usize>, elements: Vec<f32>) -> Self {
        Self { shape, elements: Elements::Floats(elements.into()) }
    }

    pub(super) fn len(&self) -> usize {
        match &self.elements {
            Elements::Floats(elements) => elements.len(),
            Elements::Integers(elements) => elements.len(),
        }
    }

    /// The elements, where they are floats.
    pub(super) fn as_floats(&self) -> Option<Rc<[f32]>> {
        match &self.elements {
            Elements::Floats(elements) => Some(Rc::clone(elements)),
            Elements::Integers(_) => None,
        }
    }
}

/// Reads the constants of a file.
pub(super) struct Constants<'a> {
    /// Folder that the file lies in; `None` where it is in memory.
    pub(super) folder: Option<&'a Path>,
    pub(super) budget: Budget,
}

impl Constants<'_> {
    /// Bytes of the constants that were read.
    pub(super) fn bytes(&self) -> u64 {
        self.budget.limit() - self.budget.left()
    }

    /// Reads a constant: what it claims of its size is held against the bytes that are there.
    pub(super) fn read(&mut self, tensor: &TensorProto) -> Result<Array, Error> {
        let wrong = |reason: String| Error::Constant { name: tensor.name.clone(), reason };
        let shape = shape(tensor).ok_or_else(|| wrong("a shape beyond reason".to_owned()))?;
        let count = shape.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent as u64));
        let size = element_size(tensor.data_type)
            .ok_or_else(|| wrong(format!("elements of type {}", type_name(tensor.data_type))))?;
        let bytes = count.and_then(|count| count.checked_mul(size)).filter(|&bytes| bytes <= MAX_CONSTANTS);
        let (count, bytes) = count.zip(bytes).ok_or_else(|| wrong("a shape beyond reason".to_owned()))?;
        // Integers are held as such of 64 bits.
        let memory = count * if matches!(tensor.data_type, FLOAT | DOUBLE) { 4 } else { 8 };
        let elements = if tensor.data_location == EXTERNAL {
            let found = self.external(tensor, bytes)?;
            raw(tensor.data_type, &found)
        } else if !tensor.raw_data.is_empty() || count == 0 {
            if tensor.raw_data.len() as u64 != bytes {
                let found = tensor.raw_data.len();
                return Err(wrong(format!("expected {bytes} bytes for its shape, found {found}")));
            }
            self.budget.charge(memory)?;
            raw(tensor.data_type, &tensor.raw_data)
        } else {
            self.budget.charge(memory)?;
            typed(tensor)
        };
        let array = Array { shape, elements };
        match array.len() as u64 == count {
            true => Ok(array),
            false => Err(wrong(format!("expected {count} elements for its shape, found {}", array.len()))),
        }
    }

    /// Bytes of a constant in a file beside this one, in its folder or below.
    fn external(&mut self, tensor: &TensorProto, expected: u64) -> Result<Vec<u8>, Error> {
        let wrong = |reason: String| Error::Constant { name: tensor.name.clone(), reason };
        let entry = |key: &str| {
            let found = tensor.external_data.iter().find(|entry| entry.key == key);
            found.map(|entry| entry.value.as_str())
        };
        let number = |key: &str| match entry(key).map(str::parse::<u64>) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(wrong(format!("its `{key}` in another file is no number"))),
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?.unwrap_or(expected));
        if length != expected {
            return Err(wrong(format!(
                "expected {expected} bytes for its shape, found {length} in another file"
            )));
        }
        let location = entry("location").unwrap_or_default();
        let folder = self.folder.ok_or_else(|| wrong("it lies in another file".to_owned()))?;
        let is_below = Path::new(location).components().all(|part| matches!(part, Component::Normal(_)));
        let path = folder.join(location);
        let outside = || wrong(format!("it lies in {location:?}, outside the file's folder"));
        if location.is_empty() || !is_below {
            return Err(outside());
        }
        // A link may lead elsewhere.
        let resolved = |path: &Path| path.canonicalize().map_err(residual_files::Error::from);
        let (real, folder) = (resolved(&path), resolved(folder));
        let in_file = |error: residual_files::Error| Error::from(error).in_file(&path);
        if !real.map_err(in_file)?.starts_with(folder.map_err(in_file)?) {
            return Err(outside());
        }
        let mut file = residual_files::open(&path).map_err(in_file)?;
        let size = file.metadata().map_err(|error| in_file(error.into()))?.len();
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(wrong(format!("{length} bytes from {offset} of {location:?}, which has {size}")));
        }
        self.budget.charge(2 * length)?;
        require_memory(2 * length)?;
        let mut bytes = vec![0; length as usize];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|error| in_file(error.into()))?;
        Ok(bytes)
    }
}

fn shape(tensor: &TensorProto) -> Option<Vec<usize>> {
    let is_small = tensor.dims.len() <= MAX_RANK;
    tensor
        .dims
        .iter()
        .map(|&extent| usize::try_from(extent).ok())
        .collect::<Option<Vec<_>>>()
        .filter(|_| is_small)
}

fn element_size(data_type: i32) -> Option<u64> {
    Some(match data_type {
        FLOAT | INT32 => 4,
        DOUBLE | INT64 => 8,
        UINT8 | INT8 | BOOL => 1,
        _ => return None,
    })
}

fn type_name(data_type: i32) -> String {
    match data_type {
        0 => "undefined".to_owned(),
        8 => "string".to_owned(),
        10 => "float16; help: convert the file to float32 first".to_owned(),
        16 => "bfloat16; help: convert the file to float32 first".to_owned(),
        other => format!("number {other}"),
    }
}

/// Elements of their little-endian bytes.
fn raw(data_type: i32, bytes: &[u8]) -> Elements {
    match data_type {
        FLOAT => {
            Elements::Floats(bytes.as_chunks().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect())
        }
        DOUBLE => Elements::Floats(
            bytes.as_chunks().0.iter().map(|&chunk| f64::from_le_bytes(chunk) as f32).collect(),
        ),
        INT32 => Elements::Integers(
            bytes.as_chunks().0.iter().map(|&chunk| i32::from_le_bytes(chunk).into()).collect(),
        ),
        INT64 => {
            Elements::Integers(bytes.as_chunks().0.iter().map(|&chunk| i64::from_le_bytes(chunk)).collect())
        }
        INT8 => Elements::Integers(bytes.iter().map(|&byte| i64::from(byte as i8)).collect()),
        _ => Elements::Integers(bytes.iter().map(|&byte| byte.into()).collect()),
    }
}

/// Elements in the field of their type.
fn typed(tensor: &TensorProto) -> Elements {
    match tensor.data_type {
        FLOAT => Elements::Floats(tensor.float_data.as_slice().into()),
        DOUBLE => Elements::Floats(tensor.double_data.iter().map(|&x| x as f32).collect()),
        INT64 => Elements::Integers(tensor.int64_data.as_slice().into()),
        _ => Elements::Integers(tensor.int32_data.iter().map(|&x| x.into()).collect()),
    }
}
