//! The safetensors format: an 8-byte little-endian header length, a JSON header, then the raw elements.
//!
//! Reading goes through the `safetensors` crate, which checks that the tensors cover the data exactly.
//! Writing is done here because that crate writes the metadata in the random order of a hash map: the same
//! tensors and metadata give the same bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use ::safetensors::tensor::{Metadata, TensorInfo};
use ::safetensors::{Dtype, SafeTensorError, SafeTensors};
use residual_files::Budget;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::atomic::write_atomically;
use crate::element::{ByteOrder, ElementType};
use crate::error::Error;
use crate::mapping::Source;
use crate::origin::{Format, Origin};
use crate::state_dict::StateDict;
use crate::tensor::Tensor;

/// The longest header that readers accept, in bytes.
const MAX_HEADER: usize = 100_000_000;

/// Reads the bytes of a safetensors file.
///
/// # Errors
/// [`Error::Truncated`], [`Error::Safetensors`], [`Error::UnsupportedType`] (4-, 6- and 8-bit floats, complex
/// numbers), [`Error::ReservedName`] (a tensor without a name).
pub fn from_bytes(bytes: &[u8]) -> Result<StateDict, Error> {
    from_source(Source::read(bytes))
}

/// Reads the bytes of a safetensors file that may be mapped.
pub(crate) fn from_source(source: Source<'_>) -> Result<StateDict, Error> {
    let bytes = source.bytes;
    check_header(bytes)?;
    let (length, header) = SafeTensors::read_metadata(bytes).map_err(|error| broken(error, bytes))?;
    let data = &bytes[8 + length..];
    let tensors = header.tensors();
    require_memory(&source, tensors.values())?;
    let mut state = StateDict::new();
    state.origin = Origin { format: Format::Safetensors, files: 1, ..Origin::default() };
    for (name, info) in tensors {
        let element = element_type(info.dtype).ok_or_else(|| Error::UnsupportedType {
            name: name.clone(),
            found: format!("elements of type {}", info.dtype),
        })?;
        let (start, end) = info.data_offsets;
        let data = source.elements(&data[start..end], element, ByteOrder::Little);
        let tensor = Tensor::stored(info.shape.clone(), data, element)?;
        state.insert(name, tensor)?;
    }
    if let Some(metadata) = header.metadata() {
        state.metadata = metadata.iter().map(|(key, text)| (key.clone(), text.clone())).collect();
    }
    Ok(state)
}

/// Writes a safetensors file, atomically ([`write_atomically`]). All tensors are stored as F32 in the order
/// of their names, and behind them as I8 those that a file held as such; equal input gives equal bytes.
///
/// # Errors
/// [`Error::Io`] and [`Error::NotAFile`], naming the file; [`Error::TooLarge`] where names and metadata exceed
/// the 100 MB that the format allows a header.
pub fn write(path: impl AsRef<Path>, state: &StateDict) -> Result<(), Error> {
    Content::of(state).write(path.as_ref())
}

/// The bytes that [`write()`] puts into a file.
///
/// # Errors
/// [`Error::TooLarge`], as for [`write()`].
pub fn to_bytes(state: &StateDict) -> Result<Vec<u8>, Error> {
    let content = Content::of(state);
    let mut bytes = content.header()?;
    content.write_elements(&mut bytes).map_err(Error::io("write"))?;
    Ok(bytes)
}

/// Content of a file, borrowed from one or more state dicts.
#[derive(Default)]
pub(crate) struct Content<'a> {
    pub(crate) tensors: BTreeMap<Cow<'a, str>, &'a Tensor>,
    pub(crate) metadata: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

impl<'a> Content<'a> {
    pub(crate) fn of(state: &'a StateDict) -> Self {
        let text = |text: &'a String| Cow::Borrowed(text.as_str());
        Self {
            tensors: state.iter().map(|(name, tensor)| (Cow::Borrowed(name), tensor)).collect(),
            metadata: state.metadata.iter().map(|(key, value)| (text(key), text(value))).collect(),
        }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let header = self.header().map_err(|error| error.in_file(path))?;
        write_atomically(path, |file| {
            file.write_all(&header)?;
            self.write_elements(file)
        })
    }

    fn write_elements(&self, file: &mut dyn Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        for tensor in self.in_order().map(|(_, tensor)| tensor) {
            if let Some(integers) = tensor.as_int8() {
                file.write_all(bytemuck::cast_slice(integers))?;
                continue;
            }
            for elements in tensor.data().chunks(1 << 16) {
                bytes.clear();
                bytes.extend(elements.iter().flat_map(|element| element.to_le_bytes()));
                file.write_all(&bytes)?;
            }
        }
        Ok(())
    }

    /// The tensors in the order of their names, those of integers after the others: floats begin at multiples of four.
    fn in_order(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let all = || self.tensors.iter().map(|(name, tensor)| (&**name, *tensor));
        let floats = all().filter(|(_, tensor)| tensor.as_int8().is_none());
        floats.chain(all().filter(|(_, tensor)| tensor.as_int8().is_some()))
    }

    /// The length and the JSON header, padded with spaces so that the data begin at a multiple of eight.
    fn header(&self) -> Result<Vec<u8>, Error> {
        let mut json =
            serde_json::to_vec(self).map_err(|error| Error::Safetensors { reason: error.to_string() })?;
        json.resize(json.len().next_multiple_of(8), b' ');
        if json.len() > MAX_HEADER {
            return Err(Error::TooLarge { what: "the header", limit: MAX_HEADER });
        }
        let mut header = (json.len() as u64).to_le_bytes().to_vec();
        header.append(&mut json);
        Ok(header)
    }
}

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Entry<'a> {
            dtype: &'static str,
            shape: &'a [usize],
            data_offsets: [usize; 2],
        }
        let mut map = serializer.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry("__metadata__", &self.metadata)?;
        }
        let mut start = 0;
        for (name, tensor) in self.in_order() {
            let (dtype, size) = if tensor.as_int8().is_some() { ("I8", 1) } else { ("F32", 4) };
            let end = start + tensor.elements() * size;
            let entry = Entry { dtype, shape: tensor.shape(), data_offsets: [start, end] };
            map.serialize_entry(name, &entry)?;
            start = end;
        }
        map.end()
    }
}

/// Refuses tensors that, as f32, take more memory than there is. Those in a map may take none.
fn require_memory<'t>(
    source: &Source<'_>,
    tensors: impl Iterator<Item = &'t &'t TensorInfo>,
) -> Result<(), Error> {
    let taken = tensors.filter_map(|info| {
        let element = element_type(info.dtype)?;
        let bytes = (info.data_offsets.1 - info.data_offsets.0) as u64;
        (!source.holds(element, ByteOrder::Little)).then(|| bytes / element.size() as u64 * 4)
    });
    residual_files::require_memory(taken.sum()).map_err(Error::TooLittleMemory)
}

/// Tells a file that was cut short from one that is broken, and charges the header's memory before it is parsed.
fn check_header(bytes: &[u8]) -> Result<(), Error> {
    let truncated = |within: &str| Err(Error::Truncated { within: within.to_owned() });
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return truncated("the safetensors header");
    };
    let length = u64::from_le_bytes(*length);
    if length <= MAX_HEADER as u64 && length > rest.len() as u64 {
        return truncated("the safetensors header");
    }
    let header = &rest[..usize::try_from(length).map_or(0, |length| length.min(rest.len()))];
    charge_json(&mut Budget::new(JSON_MEMORY), "the memory for the header", header)
}

/// Bytes of memory that the JSON of one file may take beside its own: that of a million class names takes half.
pub(crate) const JSON_MEMORY: u64 = 224 << 20;

/// Charges what parsing `text` takes.
pub(crate) fn charge_json(budget: &mut Budget, what: &'static str, text: &[u8]) -> Result<(), Error> {
    let charged = budget.charge(residual_files::json_memory(text));
    charged.map_err(|_| Error::TooLarge { what, limit: JSON_MEMORY as usize })
}

fn broken(error: SafeTensorError, bytes: &[u8]) -> Error {
    if matches!(error, SafeTensorError::MetadataIncompleteBuffer) {
        let found = declared_length(bytes).map_or(0, |declared| declared.saturating_sub(bytes.len()));
        return match found {
            0 => Error::Safetensors { reason: "bytes follow the last tensor".to_owned() },
            _ => Error::Truncated { within: "the safetensors data".to_owned() },
        };
    }
    Error::Safetensors { reason: error.to_string() }
}

/// Number of bytes of the file by its own header.
fn declared_length(bytes: &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let header: Metadata = serde_json::from_slice(rest.get(..length)?).ok()?;
    header.data_len().checked_add(length)?.checked_add(8)
}

fn element_type(dtype: Dtype) -> Option<ElementType> {
    Some(match dtype {
        Dtype::F64 => ElementType::F64,
        Dtype::F32 => ElementType::F32,
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::Bf16,
        Dtype::I64 => ElementType::I64,
        Dtype::I32 => ElementType::I32,
        Dtype::I16 => ElementType::I16,
        Dtype::I8 => ElementType::I8,
        Dtype::U64 => ElementType::U64,
        Dtype::U32 => ElementType::U32,
        Dtype::U16 => ElementType::U16,
        Dtype::U8 => ElementType::U8,
        Dtype::BOOL => ElementType::Bool,
        _ => return None,
    })
}
