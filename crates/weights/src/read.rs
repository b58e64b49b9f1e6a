//! Reading a file of any supported kind, told by its content.

use std::io::Read;
use std::path::Path;

use crate::error::Error;
use crate::folder::weights_file;
use crate::looks_like::looks_like;
use crate::mapping::{Mapping, Source};
use crate::pickle::{read_archive, read_legacy};
use crate::safetensors;
use crate::shards::{self, is_index};
use crate::state_dict::StateDict;

/// Number of bytes that tell the kind of a file.
const HEAD: usize = 512;

/// Reads the tensors of a safetensors file or of a PyTorch checkpoint: zip or legacy; a state dict, plain or inside dicts
/// under keys as `state_dict`, or a module pickled whole. The content decides, not the file's name; of a folder it is
/// that of [`weights_file`]. Names are those of the file; [`recognise`](crate::recognise()) finds their prefix.
///
/// Nothing in the file is executed. All tensors become f32, correctly rounded where they were something else.
/// Memory is at most about 16 times the file's size.
///
/// # Errors
/// Any cause of [`Error`] that concerns reading, with the file's name.
pub fn read(path: impl AsRef<Path>) -> Result<StateDict, Error> {
    read_key(path.as_ref(), None)
}

/// Reads one of several sets of tensors, as [`read`] does: that under a key of the file's dict, or else the tensors whose
/// names begin with the key and a dot.
///
/// # Errors
/// Those of [`read`]; [`Error::NoSuchKey`].
pub(crate) fn read_key(path: &Path, key: Option<&str>) -> Result<StateDict, Error> {
    let path = weights_file(path)?;
    let open = |file: &Path| read_file(file, None).map_err(|error| error.in_file(file));
    let read = if is_index(&path) { sharded(&path, key, open) } else { read_file(&path, key) };
    read.map_err(|error| error.in_file(&path))
}

fn read_file(path: &Path, key: Option<&str>) -> Result<StateDict, Error> {
    let mut file = residual_files::open(path).map_err(Error::file("read"))?;
    let size = file.metadata().map_err(Error::io("read"))?.len();
    let mut bytes = Vec::new();
    // A film is refused by its first bytes.
    file.by_ref().take(HEAD as u64).read_to_end(&mut bytes).map_err(Error::io("read"))?;
    let kind = Kind::of(&bytes)?;
    residual_files::require_memory(size).map_err(Error::TooLittleMemory)?;
    file.read_to_end(&mut bytes).map_err(Error::io("read"))?;
    kind.parse(Source::read(&bytes), key)
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
    map_key(path.as_ref(), None)
}

/// Maps a file and reads one of several sets of tensors, as [`read_key`] does.
///
/// # Errors
/// As for [`read_key`].
pub(crate) fn map_key(path: &Path, key: Option<&str>) -> Result<StateDict, Error> {
    let path = weights_file(path)?;
    let open = |file: &Path| map_file(file, None).map_err(|error| error.in_file(file));
    let mapped = if is_index(&path) { sharded(&path, key, open) } else { map_file(&path, key) };
    mapped.map_err(|error| error.in_file(&path))
}

fn map_file(path: &Path, key: Option<&str>) -> Result<StateDict, Error> {
    let file = residual_files::open(path).map_err(Error::file("read"))?;
    // An empty file cannot be mapped; reading says that it is empty.
    let has_bytes = file.metadata().is_ok_and(|found| found.len() > 0);
    match has_bytes.then(|| Mapping::of(&file)) {
        Some(Ok(mapping)) => {
            Kind::of(&mapping[..mapping.len().min(HEAD)])?.parse(Source::mapped(&mapping), key)
        }
        _ => read_file(path, key),
    }
}

/// Reads the content of a file, as [`read`] does.
///
/// # Errors
/// As for [`read`], without the file's name.
pub fn read_bytes(bytes: &[u8]) -> Result<StateDict, Error> {
    Kind::of(&bytes[..bytes.len().min(HEAD)])?.parse(Source::read(bytes), None)
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

    fn parse(self, source: Source<'_>, key: Option<&str>) -> Result<StateDict, Error> {
        let state = match self {
            Self::Safetensors => safetensors::from_source(source),
            Self::Archive => read_archive(source, key),
            Self::Legacy => read_legacy(source, key),
        }?;
        match key {
            Some(key) if !state.origin.wrapper.iter().any(|found| found == key) => under(state, key),
            _ => Ok(state),
        }
    }
}

/// The tensors that an index lists; of several sets one.
fn sharded(
    index: &Path,
    key: Option<&str>,
    open: impl Fn(&Path) -> Result<StateDict, Error>,
) -> Result<StateDict, Error> {
    let state = shards::read(index, open)?;
    match key {
        Some(key) => under(state, key),
        None => Ok(state),
    }
}

/// The tensors whose names begin with a key and a dot.
fn under(mut state: StateDict, key: &str) -> Result<StateDict, Error> {
    let mut chosen = state.split_prefix(&format!("{key}."))?;
    if chosen.is_empty() {
        let found = [state.origin.wrapper, state.origin.others].concat();
        return Err(Error::NoSuchKey { key: key.to_owned(), found });
    }
    (chosen.origin, chosen.metadata) = (state.origin, state.metadata);
    chosen.origin.wrapper.push(key.to_owned());
    Ok(chosen)
}
