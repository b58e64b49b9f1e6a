//! The format of `torch.save` since PyTorch 1.6: an uncompressed zip archive.
//!
//! ```text
//! NAME/data.pkl      the object; tensors name their storages by key
//! NAME/byteorder     `little` or `big`; absent in older files, which are little-endian
//! NAME/data/KEY      the elements of a storage
//! ```

use std::collections::BTreeMap;
use std::io::{self, Cursor};

use residual_pickle::interpret;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::find;
use super::storage::Gatherer;
use super::torch::View;
use crate::element::ByteOrder;
use crate::error::Error;
use crate::looks_like::looks_like_archive;
use crate::mapping::Source;
use crate::origin::{Format, Origin};
use crate::state_dict::StateDict;

/// Reads the state dict of a zip checkpoint.
pub(crate) fn read_archive(source: Source<'_>, key: Option<&str>) -> Result<StateDict, Error> {
    let mut archive = Archive::open(source.bytes)?;
    let pickle = archive.entry("data.pkl")?.ok_or(Error::NotTorchArchive { seems: None })?;
    let mut budget = residual_pickle::budget();
    let found = find::tensors(&interpret(pickle, &mut budget)?, key, &mut budget)?;

    // A storage is read once, for all tensors that share it.
    let mut by_storage: BTreeMap<&str, Vec<(String, View<'_>)>> = BTreeMap::new();
    for (name, view) in found.views {
        by_storage.entry(view.storage.key).or_default().push((name, view));
    }
    let mut gatherer = Gatherer::new(source, archive.byte_order()?);
    let mut state = StateDict::new();
    state.origin = Origin {
        format: Format::TorchZip,
        wrapper: found.wrapper,
        module: found.module,
        others: found.others,
        files: 1,
    };
    for (key, views) in by_storage {
        let storage = archive.entry(&format!("data/{key}"))?;
        for (name, view) in views {
            let storage = storage.ok_or_else(|| Error::BadTensor {
                name: name.clone(),
                reason: format!("its storage {key} is not in the file"),
            })?;
            let tensor = gatherer.tensor(&name, &view, storage)?;
            state.insert(name, tensor)?;
        }
    }
    Ok(state)
}

/// The most entries of an archive. A ResNet-152 with its optimiser has 2,000.
const MAX_ENTRIES: usize = 1 << 18;

struct Archive<'a> {
    bytes: &'a [u8],
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder that all entries lie in, with its slash.
    folder: String,
    /// Bytes that entries may still take. Honest entries do not overlap.
    left: usize,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        // The end of the directory takes 22 bytes, and a comment of up to 64 KiB may follow it.
        let tail = &bytes[bytes.len().saturating_sub(22 + 0xffff)..];
        if !tail.windows(22).any(|window| window.starts_with(b"PK\x05\x06")) {
            return Err(Error::Truncated {
                within: "the zip archive, whose directory is missing".to_owned(),
            });
        }
        check_directory(bytes)?;
        // PyTorch's reader takes the directory's place as it is written, and so refuses bytes before the archive;
        // a guess from the directory's size goes wrong where zip64 records lie behind the directory.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, Cursor::new(bytes)).map_err(broken)?;
        let is_pickle = |name: &&str| matches!(name.strip_suffix("data.pkl"), Some(f) if f.is_empty() || f.ends_with('/'));
        let names: Vec<_> = zip.file_names().filter_map(Result::ok).collect();
        let pickle = names.iter().map(AsRef::as_ref).filter(is_pickle).min_by_key(|name| name.len());
        let not_torch = || Error::NotTorchArchive { seems: looks_like_archive(&names) };
        let folder = pickle.ok_or_else(not_torch)?.trim_end_matches("data.pkl").to_owned();
        if names.iter().any(|name| name.strip_prefix(folder.as_str()) == Some("constants.pkl")) {
            return Err(Error::TorchScript);
        }
        drop(names);
        Ok(Self { bytes, zip, folder, left: bytes.len() })
    }

    /// The content of `name` inside the folder, where it lies in the file and checked against its CRC; `None`
    /// where there is no such entry.
    fn entry(&mut self, name: &str) -> Result<Option<&'a [u8]>, Error> {
        let path = format!("{}{name}", self.folder);
        let Some(index) = self.zip.index_for_name(&path) else { return Ok(None) };
        let mut entry = self.zip.by_index(index).map_err(|error| match error {
            // Its word for an entry that is encrypted.
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
                Error::Encrypted { entry: path.clone() }
            }
            error => broken(error),
        })?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(Error::Archive {
                reason: format!("`{path}` is compressed, which PyTorch never does"),
            });
        }
        let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        self.left = self
            .left
            .checked_sub(size)
            .ok_or_else(|| Error::Archive { reason: format!("`{path}` is larger than the file allows") })?;
        let whole = io::copy(&mut entry, &mut io::sink())
            .map_err(|error| Error::Archive { reason: format!("`{path}`: {error}") })?;
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let content = start.and_then(|start| self.bytes.get(start..)?.get(..size));
        match content {
            Some(content) if whole == size as u64 => Ok(Some(content)),
            _ => Err(Error::Truncated { within: format!("`{path}`") }),
        }
    }

    fn byte_order(&mut self) -> Result<ByteOrder, Error> {
        match self.entry("byteorder")? {
            None | Some(b"little") => Ok(ByteOrder::Little),
            Some(b"big") => Ok(ByteOrder::Big),
            Some(_) => Err(Error::Archive { reason: "`byteorder` is neither little nor big".to_owned() }),
        }
    }
}

/// Refuses a directory of more entries than any checkpoint has, before memory is taken for them.
fn check_directory(bytes: &[u8]) -> Result<(), Error> {
    // The end of the directory may be in the last 64 KiB, and what is no comment may look like it: all are asked.
    let tail = bytes.len().saturating_sub(26 + (1 << 16));
    let natural = |at: usize, width: usize| {
        let digits = bytes.get(at..at + width)?;
        Some(digits.iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte)))
    };
    for at in (tail..bytes.len()).filter(|&at| bytes[at..].starts_with(b"PK\x05\x06")) {
        let short = natural(at + 10, 2).unwrap_or(0);
        // A locator of 20 bytes lies before it where there is a record of 64 bits.
        let locator = at.checked_sub(20).filter(|&at| bytes[at..].starts_with(b"PK\x06\x07"));
        let record = locator.and_then(|at| usize::try_from(natural(at + 8, 8)?).ok());
        let record = record.filter(|&at| bytes.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x06\x06")));
        let long = record.and_then(|at| natural(at.checked_add(32)?, 8)).unwrap_or(0);
        if short.max(long) > MAX_ENTRIES as u64 {
            return Err(Error::TooLarge { what: "the number of entries in the archive", limit: MAX_ENTRIES });
        }
    }
    Ok(())
}

fn broken(error: ZipError) -> Error {
    Error::Archive { reason: error.to_string() }
}
