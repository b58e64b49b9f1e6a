//! Zip archives, read in place: the directory at their end is walked once, each member is unpacked when it is read.
//!
//! The walk is our own, since the `zip` crate keeps a directory of any size in memory, and names as text.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::Crc;

use crate::links::{Link, Member, Members};
use crate::listing::{Listing, shown};
use crate::packed::{Packed, extra_field, u16_at, u32_at, u64_at};
use crate::path::{InnerPath, is_image};
use crate::shared_file::SharedFile;
use crate::store::{Blob, Location, Store};
use crate::{Error, OpenOptions};

/// The end of the directory's record, without its comment.
const END: usize = 22;
/// The record in front of it that tells the place of the larger one, and that one.
const LOCATOR: u64 = 20;
const END_64: usize = 56;
/// A member's record in the directory, without its names.
const RECORD: usize = 46;
/// The longest target of a link.
const MAX_TARGET: u64 = 4096;

/// A member's record in the directory.
struct Record {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    /// The program's system that packed it: 3 for Unix.
    system: u8,
    /// Kind and permissions as Unix has them; 0 where they are not told.
    mode: u32,
    packed: Packed,
}

pub(crate) fn list_zip(path: &Path, options: &OpenOptions) -> Result<Listing, Error> {
    let file = SharedFile::open(path)?;
    let mut listing = Listing::new(shown(path), options);
    let origin = listing.origin.clone();
    let corrupt = |detail: String| Error::CorruptArchive { path: origin.clone(), detail };
    let cut = || corrupt("its directory is not complete".into());
    let directory = Directory::find(&file).map_err(|source| Error::io(path, source))?.ok_or_else(|| {
        Error::TruncatedArchive { path: origin.clone(), detail: "the directory at its end is missing".into() }
    })?;
    if directory.start.checked_add(directory.length).is_none_or(|end| end > directory.end) {
        return Err(corrupt("its directory lies behind its end".into()));
    }
    let mut reader = file.clone();
    reader.seek(SeekFrom::Start(directory.start)).map_err(|source| Error::io(path, source))?;
    let mut reader = BufReader::with_capacity(1 << 16, reader.take(directory.length));
    let mut members = Members::default();
    for _ in 0..directory.count {
        let record = Record::read(&mut reader).map_err(|_| cut())?;
        let record = record.ok_or_else(|| corrupt("a record of its directory is not one".into()))?;
        let path = record.path();
        let member = record.member(&file, &path, &listing)?;
        members.add(&mut listing, path, member)?;
    }
    members.list(&mut listing)?;
    listing.store = Store::of_blobs(vec![Blob::File(file)]);
    Ok(listing)
}

/// Directory of an archive: its place and its size.
struct Directory {
    start: u64,
    length: u64,
    count: u64,
    /// The place of the record at its end.
    end: u64,
}

impl Directory {
    /// Looks for the record at the archive's end, behind which there is nothing but a comment; `None` without one.
    fn find(file: &SharedFile) -> io::Result<Option<Self>> {
        let from = file.length().saturating_sub((END + usize::from(u16::MAX)) as u64);
        let mut tail = Vec::new();
        let mut reader = file.clone();
        reader.seek(SeekFrom::Start(from))?;
        reader.take(file.length() - from).read_to_end(&mut tail)?;
        let is_end = |at: &usize| {
            let record = &tail[*at..];
            record.starts_with(b"PK\x05\x06") && END + usize::from(u16_at(record, 20)) == record.len()
        };
        let Some(at) =
            (0..=tail.len().saturating_sub(END)).rev().filter(|at| at + END <= tail.len()).find(is_end)
        else {
            return Ok(None);
        };
        let record = &tail[at..];
        let found = Self {
            start: u64::from(u32_at(record, 16)),
            length: u64::from(u32_at(record, 12)),
            count: u64::from(u16_at(record, 10)),
            end: from + at as u64,
        };
        Ok(Some(found.of_64_bits(file)?.unwrap_or(found)))
    }

    /// The larger record of archives with more than 65,535 members or 4 GiB; `None` where there is none.
    fn of_64_bits(&self, file: &SharedFile) -> io::Result<Option<Self>> {
        let Some(place) = self.end.checked_sub(LOCATOR) else { return Ok(None) };
        let mut locator = [0; LOCATOR as usize];
        let mut reader = file.clone();
        reader.seek(SeekFrom::Start(place))?;
        reader.read_exact(&mut locator)?;
        if !locator.starts_with(b"PK\x06\x07") {
            return Ok(None);
        }
        let place = u64_at(&locator, 8);
        if place.checked_add(END_64 as u64).is_none_or(|end| end > self.end) {
            return Ok(None);
        }
        let mut record = [0; END_64];
        reader.seek(SeekFrom::Start(place))?;
        reader.read_exact(&mut record)?;
        Ok(record.starts_with(b"PK\x06\x06").then(|| Self {
            start: u64_at(&record, 48),
            length: u64_at(&record, 40),
            count: u64_at(&record, 32),
            end: place,
        }))
    }
}

impl Record {
    /// Reads the next record; `None` where there is something else.
    fn read(reader: &mut impl Read) -> io::Result<Option<Self>> {
        let mut fixed = [0; RECORD];
        reader.read_exact(&mut fixed)?;
        if !fixed.starts_with(b"PK\x01\x02") {
            return Ok(None);
        }
        let mut take = |at: usize| -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; usize::from(u16_at(&fixed, at))];
            reader.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        let (name, extra, _comment) = (take(28)?, take(30)?, take(32)?);
        let mut packed = Packed {
            header: u64::from(u32_at(&fixed, 42)),
            packed: u64::from(u32_at(&fixed, 20)),
            size: u64::from(u32_at(&fixed, 24)),
            crc: u32_at(&fixed, 16),
            deflated: u16_at(&fixed, 10) == 8,
            blob: 0,
        };
        packed.widen(&extra);
        let (system, attributes) = (fixed[5], u32_at(&fixed, 38));
        Ok(Some(Self {
            name: unicode_path(&extra, &name).unwrap_or(name),
            flags: u16_at(&fixed, 8),
            method: u16_at(&fixed, 10),
            system,
            mode: if matches!(system, 3 | 19) { attributes >> 16 } else { 0 },
            packed,
        }))
    }

    /// Names are UTF-8 where a flag says so; other bytes are code page 437 unless they are UTF-8 all the same, as
    /// many programs write them, or come from Unix, where a name is any bytes. A backslash is a slash where the
    /// program that packed it writes them so.
    fn path(&self) -> InnerPath {
        const UTF8: u16 = 1 << 11;
        let is_text = self.flags & UTF8 != 0 || std::str::from_utf8(&self.name).is_ok();
        let mut name = match is_text || matches!(self.system, 3 | 19) {
            true => self.name.clone(),
            false => self.name.iter().flat_map(|&byte| cp437(byte).to_string().into_bytes()).collect(),
        };
        if !matches!(self.system, 3 | 19) || !name.contains(&b'/') {
            name.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
        }
        InnerPath::of_slashed(&name)
    }

    fn member(self, archive: &SharedFile, path: &InnerPath, listing: &Listing) -> Result<Member, Error> {
        const KIND: u32 = 0o170_000;
        let file = || format!("{}: {path}", listing.origin);
        if self.name.ends_with(b"/") || self.name.ends_with(b"\\") {
            return Ok(Member::Folder);
        }
        let relevant = is_image(path.last()) && !path.is_hidden();
        if self.flags & 1 != 0 {
            return match relevant {
                true => Err(Error::Encrypted { file: file() }),
                false => Ok(Member::Unread("an encrypted file".into())),
            };
        }
        Ok(match self.mode & KIND {
            _ if !matches!(self.method, 0 | 8) => {
                Member::Unread(format!("packed by {}", method_name(self.method)))
            }
            0o120_000 if self.packed.size > MAX_TARGET => {
                Member::Unread("a link of impossible length".into())
            }
            0o120_000 => {
                Member::Link(Link { target: self.packed.read(archive.clone(), &file())?, symbolic: true })
            }
            0o040_000 => Member::Folder,
            0o010_000 => Member::Unread("a FIFO".into()),
            0o140_000 => Member::Unread("a socket".into()),
            0o020_000 | 0o060_000 => Member::Unread("a device".into()),
            _ => Member::File(Location::Packed(self.packed)),
        })
    }
}

/// The name in UTF-8 that Info-ZIP puts beside one that is not; it counts while it belongs to that.
fn unicode_path(extra: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let field = extra_field(extra, 0x7075).filter(|field| field.len() > 5 && field[0] == 1)?;
    let mut crc = Crc::new();
    crc.update(name);
    (u32_at(field, 1) == crc.sum() && std::str::from_utf8(&field[5..]).is_ok()).then(|| field[5..].to_vec())
}

fn method_name(method: u16) -> String {
    match method {
        9 => "Deflate64".into(),
        12 => "bzip2".into(),
        14 => "LZMA".into(),
        93 => "Zstandard".into(),
        95 => "xz".into(),
        other => format!("method {other}"),
    }
}

/// The character of code page 437.
fn cp437(byte: u8) -> char {
    const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
    match byte.checked_sub(128) {
        None => char::from(byte),
        Some(place) => UPPER.chars().nth(usize::from(place)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_code_page_437_has_a_character_of_its_own() {
        let all: std::collections::BTreeSet<char> = (0..=255).map(cp437).collect();
        assert_eq!(all.len(), 256);
        assert!(!all.contains(&char::REPLACEMENT_CHARACTER));
        assert_eq!([0x82, 0x41, 0xe1, 0xff].map(cp437), ['é', 'A', 'ß', '\u{a0}']);
    }
}
