//! Reading a file of any supported kind, told by its content.

use std::io::Read;
use std::path::Path;

use crate::error::Error;
use crate::folder::weights_file;
use crate::mapping::{Mapping, Source};
use crate::pickle::{read_archive, read_legacy};
use crate::safetensors;
use crate::state_dict::StateDict;

/// Number of bytes that tell the kind of a file.
const HEAD: usize = 512;

/// Reads the tensors of a safetensors file or of a PyTorch checkpoint (zip or legacy; the state dict plain or
/// under `state_dict` or `model`). The content decides, not the file's name; of the folder of a run it is that of
/// [`weights_file`]. A `module.` that all names begin with, as `DataParallel` has it, is removed.
///
/// Nothing in the file is executed. All tensors become f32, correctly rounded where they were something else.
/// Memory is at most about 16 times the file's size.
///
/// # Errors
/// Any cause of [`Error`] that concerns reading, with the file's name.
pub fn read(path: impl AsRef<Path>) -> Result<StateDict, Error> {
    let path = weights_file(path)?;
    read_file(&path).map_err(|error| error.in_file(&path))
}

fn read_file(path: &Path) -> Result<StateDict, Error> {
    let mut file = residual_files::open(path).map_err(Error::file("read"))?;
    let size = file.metadata().map_err(Error::io("read"))?.len();
    let mut bytes = Vec::new();
    // A film is refused by its first bytes.
    file.by_ref().take(HEAD as u64).read_to_end(&mut bytes).map_err(Error::io("read"))?;
    let kind = Kind::of(&bytes)?;
    residual_files::require_memory(size).map_err(Error::TooLittleMemory)?;
    file.read_to_end(&mut bytes).map_err(Error::io("read"))?;
    kind.parse(Source::read(&bytes))
}

/// Maps a file into memory and reads it as [`read`] does, where tensors of 32-bit floats lie in the map: nothing
/// is copied, and what nobody looks at is not even read. Everything else is converted, as [`read`] does; what the
/// system does not map is read.
///
/// As long as a tensor lives, nobody may write into the file in place: its elements would change while they
/// are read, and a file that is cut short ends the process (SIGBUS). Replacing the file by another of its name,
/// as [`write_atomically`](crate::write_atomically()) does, changes nothing for the tensors. So this is for files
/// of weights that are at rest, and best for tensors that are packed at once and then let go.
///
/// # Errors
/// As for [`read`].
pub fn map(path: impl AsRef<Path>) -> Result<StateDict, Error> {
    let path = weights_file(path)?;
    map_file(&path).map_err(|error| error.in_file(&path))
}

fn map_file(path: &Path) -> Result<StateDict, Error> {
    let file = residual_files::open(path).map_err(Error::file("read"))?;
    // An empty file cannot be mapped; reading says that it is empty.
    let has_bytes = file.metadata().is_ok_and(|found| found.len() > 0);
    match has_bytes.then(|| Mapping::of(&file)) {
        Some(Ok(mapping)) => Kind::of(&mapping[..mapping.len().min(HEAD)])?.parse(Source::mapped(&mapping)),
        _ => read_file(path),
    }
}

/// Reads the content of a file, as [`read`] does.
///
/// # Errors
/// As for [`read`], without the file's name.
pub fn read_bytes(bytes: &[u8]) -> Result<StateDict, Error> {
    Kind::of(&bytes[..bytes.len().min(HEAD)])?.parse(Source::read(bytes))
}

enum Kind {
    Safetensors,
    Archive,
    Legacy,
}

impl Kind {
    fn of(head: &[u8]) -> Result<Self, Error> {
        match head {
            [] => Err(Error::Empty),
            // The length of the header, under 2^40, then its first character. This comes before pickles: a
            // header of 640 bytes begins with 0x80 0x02, as they do.
            [_, _, _, _, _, 0, 0, 0, b'{', ..] => Ok(Self::Safetensors),
            [b'P', b'K', 3, 4, ..] => Ok(Self::Archive),
            [0x80, 2..=5, ..] => Ok(Self::Legacy),
            _ => Err(Error::NotWeights { looks_like: looks_like(head) }),
        }
    }

    fn parse(self, source: Source<'_>) -> Result<StateDict, Error> {
        let state = match self {
            Self::Safetensors => safetensors::from_source(source),
            Self::Archive => read_archive(source),
            Self::Legacy => read_legacy(source),
        }?;
        without_module(state)
    }
}

/// The tensors without the `module.` that `DataParallel` puts before every one.
fn without_module(state: StateDict) -> Result<StateDict, Error> {
    let bare = |name: &str| name.strip_prefix("module.").filter(|bare| !bare.is_empty()).map(str::to_owned);
    if state.is_empty() || !state.names().all(|name| bare(name).is_some()) {
        return Ok(state);
    }
    state.rename_all(|name| bare(name).unwrap_or_else(|| name.to_owned()))
}

/// Kind of a file that holds no weights.
fn looks_like(head: &[u8]) -> &'static str {
    let text = head.trim_ascii_start().to_ascii_lowercase();
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(0, b"\xff\xd8\xff") {
        "a JPEG image"
    } else if at(0, b"\x89PNG") {
        "a PNG image"
    } else if at(0, b"\x1f\x8b") {
        "a gzip archive"
    } else if at(257, b"ustar") {
        "a tar archive"
    } else if at(0, b"\x89HDF") {
        "an HDF5 file"
    } else if at(0, b"PK\x05\x06") {
        "an empty zip archive"
    } else if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") {
        "a web page (the download was answered by a page, not by the file)"
    } else if text.starts_with(b"version https://git-lfs") {
        "a Git LFS pointer (fetch the file itself with `git lfs pull`)"
    } else if head.len() < 9 {
        "a few bytes"
    } else if std::str::from_utf8(head).is_ok_and(|text| !text.contains('\0')) {
        "a text file"
    } else {
        "something unknown"
    }
}
