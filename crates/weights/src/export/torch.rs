//! A state dict as `torch.save` writes it: a zip archive with a pickle and the elements of every tensor.

use std::io::{Cursor, Write};
use std::path::Path;

use residual_arch::Naming;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::atomic::write_atomically;
use crate::error::Error;
use crate::model::Model;
use crate::state_dict::StateDict;

/// Name of the folder in the archive; any will do.
const FOLDER: &str = "archive";

/// Writes the tensors of a model under the names of a scheme as a PyTorch checkpoint, a dict of float32 tensors by
/// name, which `torch.load(..., weights_only=True)` takes. Of a backbone there is no linear layer.
///
/// # Errors
/// [`Error::Io`] and [`Error::NotAFile`], naming the file; [`Error::Unwritable`] for 4 GB and more.
pub fn torch(model: &Model, path: impl AsRef<Path>, naming: Naming) -> Result<(), Error> {
    let path = path.as_ref();
    let archive = archive(&model.to_plain(naming)?).map_err(|error| error.in_file(path))?;
    write_atomically(path, |file| file.write_all(&archive))
}

/// The bytes of the archive.
fn archive(state: &StateDict) -> Result<Vec<u8>, Error> {
    let elements: u64 = state.iter().map(|(_, tensor)| 4 * tensor.data().len() as u64).sum();
    if elements >= u64::from(u32::MAX) - (1 << 24) {
        return Err(Error::Unwritable { reason: "4 GB and more in a PyTorch archive".to_owned() });
    }
    residual_files::require_memory(elements).map_err(Error::TooLittleMemory)?;
    let mut archive = Archive(ZipWriter::new(Cursor::new(Vec::new())));
    archive.entry("data.pkl", [pickle(state)])?;
    archive.entry("byteorder", [b"little".to_vec()])?;
    for (key, (_, tensor)) in state.iter().enumerate() {
        let chunks = tensor.data().chunks(1 << 16);
        let chunks = chunks.map(|chunk| chunk.iter().flat_map(|element| element.to_le_bytes()).collect());
        archive.entry(&format!("data/{key}"), chunks)?;
    }
    archive.entry("version", [b"3\n".to_vec()])?;
    Ok(archive.0.finish().map_err(broken)?.into_inner())
}

/// A zip archive as it is written.
struct Archive(ZipWriter<Cursor<Vec<u8>>>);

impl Archive {
    fn entry(&mut self, name: &str, chunks: impl IntoIterator<Item = Vec<u8>>) -> Result<(), Error> {
        // torch.load maps the elements, and wants them at multiples of 64 bytes.
        let stored =
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(64);
        self.0.start_file(format!("{FOLDER}/{name}"), stored).map_err(broken)?;
        chunks.into_iter().try_for_each(|chunk| self.0.write_all(&chunk)).map_err(Error::io("write"))
    }
}

fn broken(error: ZipError) -> Error {
    Error::Unwritable { reason: error.to_string() }
}

/// The pickle, of protocol 2: a dict whose values are calls of `torch._utils._rebuild_tensor_v2`.
fn pickle(state: &StateDict) -> Vec<u8> {
    let mut pickle = Pickle(vec![0x80, 2]);
    pickle.0.extend(b"}(");
    for (key, (name, tensor)) in state.iter().enumerate() {
        pickle.text(name);
        pickle.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        // The storage, a persistent id: ('storage', torch.FloatStorage, KEY, 'cpu', elements).
        pickle.0.push(b'(');
        pickle.text("storage");
        pickle.0.extend(b"ctorch\nFloatStorage\n");
        pickle.text(&key.to_string());
        pickle.text("cpu");
        pickle.number(tensor.data().len());
        pickle.0.extend(b"tQ");
        // Offset, size, stride, requires_grad, hooks.
        pickle.number(0);
        pickle.tuple(tensor.shape());
        pickle.tuple(&strides(tensor.shape()));
        pickle.0.push(0x89);
        pickle.0.extend(b"ccollections\nOrderedDict\n)RtR");
    }
    pickle.0.extend(b"u.");
    pickle.0
}

/// Strides of a row-major array.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    strides
}

/// Opcodes as they are written.
struct Pickle(Vec<u8>);

impl Pickle {
    /// `BINUNICODE`
    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    /// `BININT1`, `BININT`, or `LONG1` of eight bytes, as Python's own pickler chooses by size.
    fn number(&mut self, number: usize) {
        match (u8::try_from(number), i32::try_from(number)) {
            (Ok(small), _) => self.0.extend([b'K', small]),
            (_, Ok(number)) => {
                self.0.push(b'J');
                self.0.extend(number.to_le_bytes());
            }
            _ => {
                self.0.extend([0x8a, 8]);
                self.0.extend((number as u64).to_le_bytes());
            }
        }
    }

    /// `MARK`, the numbers, `TUPLE`
    fn tuple(&mut self, numbers: &[usize]) {
        self.0.push(b'(');
        numbers.iter().for_each(|&number| self.number(number));
        self.0.push(b't');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tensor, read_bytes};

    #[test]
    fn what_is_written_is_read() {
        let tensor = |shape: &[usize]| {
            let count = shape.iter().product::<usize>();
            Tensor::new(shape.to_vec(), (0..count).map(|i| i as f32 - 2.5).collect()).unwrap()
        };
        let tensors = [("a.weight", tensor(&[2, 3, 1, 1])), ("b", tensor(&[])), ("c", tensor(&[300]))];
        let state = StateDict::from_tensors(tensors.map(|(name, tensor)| (name.to_owned(), tensor))).unwrap();
        let read = read_bytes(&archive(&state).unwrap()).unwrap();
        assert!(read.iter().eq(state.iter()));
    }
}
