//! Members of zip archives, unpacked when they are read.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use crate::limits::check_size;
use crate::shared_file::SharedFile;
use crate::{Error, Stamp};

/// Bytes of a member's record in front of its bytes, without its names.
const LOCAL: usize = 30;

/// Location of a member's bytes in the archive.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// The place of its local header.
    pub(crate) header: u64,
    /// Bytes in the archive.
    pub(crate) packed: u64,
    /// Bytes unpacked.
    pub(crate) size: u64,
    pub(crate) crc: u32,
    pub(crate) deflated: bool,
    /// Blob that is the archive.
    pub(crate) blob: usize,
}

impl Packed {
    /// Stamp of the member, from the directory.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { size: self.size, modified: None, crc: Some(self.crc) }
    }

    /// Unpacks the member, an image file; `file` is named in errors.
    pub(crate) fn read(&self, archive: SharedFile, file: &str) -> Result<Vec<u8>, Error> {
        check_size(self.size, file)?;
        self.unpack(archive, file)
    }

    /// Unpacks the member, whose claimed size is one that may be held in memory.
    pub(crate) fn unpack(&self, mut archive: SharedFile, file: &str) -> Result<Vec<u8>, Error> {
        let failed = |detail: String| Error::CorruptImage { file: file.into(), detail };
        let io = |source: io::Error| failed(source.to_string());
        let start = self.start(&mut archive, file)?;
        archive.seek(SeekFrom::Start(start)).map_err(io)?;
        // The size is the archive's claim: no memory is set aside for it, and more is not read.
        let packed = BufReader::new(archive.take(self.packed));
        let mut bytes = Vec::new();
        let limit = self.size.saturating_add(1);
        match self.deflated {
            true => DeflateDecoder::new(packed).take(limit).read_to_end(&mut bytes),
            false => packed.take(limit).read_to_end(&mut bytes),
        }
        .map_err(io)?;
        let mut crc = Crc::new();
        crc.update(&bytes);
        if bytes.len() as u64 != self.size || crc.sum() != self.crc {
            return Err(failed("the archive's checksum or size of it is not that of its bytes".into()));
        }
        Ok(bytes)
    }

    /// Place of the member's bytes in the archive.
    pub(crate) fn start(&self, archive: &mut SharedFile, file: &str) -> Result<u64, Error> {
        let failed = |detail: String| Error::CorruptImage { file: file.into(), detail };
        let io = |source: io::Error| failed(source.to_string());
        archive.seek(SeekFrom::Start(self.header)).map_err(io)?;
        let mut local = [0; LOCAL];
        archive.read_exact(&mut local).map_err(io)?;
        if !local.starts_with(b"PK\x03\x04") {
            return Err(failed("its place in the archive holds something else".into()));
        }
        let behind = u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        Ok(self.header.saturating_add(LOCAL as u64 + behind))
    }

    /// Takes what does not fit 32 bits from the extra field of zip64.
    pub(crate) fn widen(&mut self, extra: &[u8]) {
        let Some(mut wide) = extra_field(extra, 1) else { return };
        for value in [&mut self.size, &mut self.packed, &mut self.header] {
            if *value == u64::from(u32::MAX)
                && let Some((first, rest)) = wide.split_at_checked(8)
            {
                *value = u64_at(first, 0);
                wide = rest;
            }
        }
    }
}

/// The field of this number among the extra fields.
pub(crate) fn extra_field(mut extra: &[u8], wanted: u16) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let (number, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let field = extra.get(4..4 + length)?;
        if number == wanted {
            return Some(field);
        }
        extra = &extra[4 + length..];
    }
    None
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_fields_are_found() {
        let extra = [&[9, 9, 1, 0, 7][..], &[1, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 0]].concat();
        let packed = u64::from(u32::MAX);
        let mut packed = Packed { header: 5, packed, size: 6, crc: 0, deflated: false, blob: 0 };
        packed.widen(&extra);
        assert_eq!((packed.header, packed.packed, packed.size), (5, 0x201, 6));
        assert_eq!(extra_field(&[1, 0, 200, 0, 1], 1), None);
    }
}
