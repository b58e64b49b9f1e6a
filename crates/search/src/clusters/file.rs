//! The file of an approximate index, which is read list by list and never trusted.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use residual_files::escaped;
use serde::{Deserialize, Serialize};

use super::{Clusters, MOST_CENTRES};
use crate::facts::MOST_LENGTH;
use crate::{Error, Index, Vectors};

/// Beginning of every such file.
const MAGIC: &[u8; 8] = b"RESCLUS1";

/// The longest header.
const MOST_HEADER: u32 = 1 << 16;

/// Header of the file: 8 bytes of magic, the length of the JSON as 4, the JSON. Behind it are, in little-endian order,
/// the centres (`[lists][length]` floats), where each list begins and the number of rows (`lists + 1` integers of 8
/// bytes), the rows' numbers list by list (4 bytes each), and their vectors (`[rows][length]` floats).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    lists: usize,
    length: usize,
    rows: u64,
    /// Digest of the index that it belongs to.
    digest: String,
}

impl Header {
    pub(super) fn new(index: &Index, lists: usize) -> Self {
        let facts = index.facts();
        Self { lists, length: facts.length, rows: index.len(), digest: facts.digest.clone() }
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>, Error> {
        let text = serde_json::to_vec(self).map_err(|error| Error::Write(error.to_string()))?;
        Ok([&MAGIC[..], &(text.len() as u32).to_le_bytes(), &text].concat())
    }

    /// Bytes of each part behind the header, where the numbers are possible.
    fn parts(&self) -> Option<[u64; 4]> {
        let Self { lists, length, rows, .. } = *self;
        if !(1..=MOST_CENTRES).contains(&lists) || !(1..=MOST_LENGTH).contains(&length) {
            return None;
        }
        let row = 4 * length as u64;
        let numbers = rows.checked_mul(4)?;
        Some([lists as u64 * row, 8 * (lists as u64 + 1), numbers, rows.checked_mul(row)?])
    }
}

/// Path of the approximate index beside an index.
pub(super) fn path_of(index: &Index) -> PathBuf {
    let mut name = index.path().as_os_str().to_owned();
    name.push(".clusters");
    name.into()
}

impl Clusters {
    /// Path of the approximate index that belongs to `index`.
    pub fn path(index: &Index) -> PathBuf {
        path_of(index)
    }

    /// Opens the approximate index beside `index`; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Clusters`] for a file that is damaged, or was made of another index; [`Error::Io`].
    pub fn open(index: &Index) -> Result<Option<Self>, Error> {
        let path = path_of(index);
        match path.exists() {
            true => Self::read(path, index).map(Some),
            false => Ok(None),
        }
    }

    fn read(path: PathBuf, index: &Index) -> Result<Self, Error> {
        let bad = |reason: String| Error::Clusters { file: escaped(&path).to_string(), reason };
        let mut file = residual_files::open(&path).map_err(|error| bad(error.to_string()))?;
        let length = file.metadata().map_err(|error| bad(error.to_string()))?.len();
        let (header, start) = header(&mut file).map_err(|error| bad(error.to_string()))?;
        let parts = header.parts().ok_or_else(|| bad("its header is impossible".into()))?;
        let end = parts.iter().try_fold(start, |sum, part| sum.checked_add(*part));
        if end != Some(length) {
            return Err(bad(format!("{length} bytes, which are not those that its header says")));
        }
        if header != Header::new(index, header.lists) {
            return Err(bad(format!("made of another index than {}", index.name())));
        }
        let centres = read_floats(&mut file, header.lists * header.length);
        let centres = centres.map_err(|error| bad(error.to_string()))?;
        let centres = Vectors::new(centres, header.length).map_err(|error| bad(error.to_string()))?;
        let starts = read_bytes(&mut file, parts[1] as usize).map_err(|error| bad(error.to_string()))?;
        let starts: Vec<u64> = starts.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let is_order =
            starts.first() == Some(&0) && starts.last() == Some(&header.rows) && starts.is_sorted();
        if !is_order {
            return Err(bad("its lists do not follow each other".into()));
        }
        let numbers = start + parts[0] + parts[1];
        let offsets = [numbers, numbers + parts[2]];
        Ok(Self { path, file: Mutex::new(file), centres, starts, offsets })
    }

    /// Numbers and vectors of the rows of a list.
    pub(super) fn list(&self, list: usize) -> Result<(Vec<u32>, Vec<f32>), Error> {
        let (start, end) = (self.starts[list], self.starts[list + 1]);
        let (count, length) = ((end - start) as usize, self.centres.length());
        let mut guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = &mut *guard;
        let mut read = || -> io::Result<_> {
            file.seek(SeekFrom::Start(self.offsets[0] + 4 * start))?;
            let numbers = read_bytes(file, 4 * count)?;
            file.seek(SeekFrom::Start(self.offsets[1] + 4 * length as u64 * start))?;
            Ok((numbers, read_floats(file, count * length)?))
        };
        let io = |reason| Error::Io { file: escaped(&self.path).to_string(), reason };
        let (numbers, rows) = read().map_err(io)?;
        let numbers: Vec<u32> =
            numbers.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let bad =
            |reason: &str| Error::Clusters { file: escaped(&self.path).to_string(), reason: reason.into() };
        if numbers.iter().any(|&row| u64::from(row) >= self.rows()) {
            return Err(bad("a list with a row that there is not"));
        }
        if rows.iter().any(|value| value.is_nan() || value.abs() > 2.0) {
            return Err(bad("a vector that has not length 1"));
        }
        Ok((numbers, rows))
    }
}

fn header(file: &mut impl Read) -> io::Result<(Header, u64)> {
    let wrong = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let mut start = [0; 12];
    file.read_exact(&mut start).map_err(|_| wrong("too short for an approximate index"))?;
    let length = u32::from_le_bytes([start[8], start[9], start[10], start[11]]);
    if &start[..8] != MAGIC || length > MOST_HEADER {
        return Err(wrong("no approximate index of this build"));
    }
    let text = read_bytes(file, length as usize).map_err(|_| wrong("it ends within its header"))?;
    let header = serde_json::from_slice(&text).map_err(|error| wrong(&format!("its header: {error}")))?;
    Ok((header, 12 + u64::from(length)))
}

/// Bytes, of which as many are there: the file's length was compared with the header's.
fn read_bytes(file: &mut impl Read, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count);
    match file.take(count as u64).read_to_end(&mut bytes)? {
        read if read == count => Ok(bytes),
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter")),
    }
}

fn read_floats(file: &mut impl Read, count: usize) -> io::Result<Vec<f32>> {
    let bytes = read_bytes(file, 4 * count)?;
    Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
