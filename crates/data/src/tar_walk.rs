//! The headers of a tar archive, one after the other: old tar, ustar, GNU and pax.
//!
//! The `tar` crate parses the fields; the walk is our own, since that crate reads names of any length into memory.

use std::io::{self, Read, Seek, SeekFrom};

use tar::{EntryType, Header};

/// Tar is made of blocks of this many bytes.
pub(crate) const BLOCK: usize = 512;

/// The longest extended header (GNU long name, pax) that is read. A path has at most 4096 bytes anywhere.
const MAX_EXTENSION: u64 = 1 << 20;

/// A member of the archive.
pub(crate) struct Entry {
    /// Path, as it is written.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// The place of its bytes in the archive.
    pub(crate) offset: u64,
    /// Number of those.
    pub(crate) length: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Folder,
    HardLink(Vec<u8>),
    SymbolicLink(Vec<u8>),
    /// Something that is not read, by its name.
    Other(&'static str),
}

/// A stream that can pass over bytes.
pub(crate) trait Skip: Read {
    /// Passes over `length` bytes, or up to the end; how many there were. A file may claim more than it has.
    fn skip(&mut self, length: u64) -> io::Result<u64>;
}

/// A reader that passes over bytes by reading them.
pub(crate) struct Stream<R>(pub(crate) R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Skip for Stream<R> {
    fn skip(&mut self, length: u64) -> io::Result<u64> {
        io::copy(&mut self.0.by_ref().take(length), &mut io::sink())
    }
}

/// A file that passes over bytes by moving its position.
pub(crate) struct Seekable<F>(pub(crate) F);

impl<F: Read> Read for Seekable<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<F: Read + Seek> Skip for Seekable<F> {
    fn skip(&mut self, length: u64) -> io::Result<u64> {
        let step = i64::try_from(length).map_err(|_| corrupt("a size that no file has"))?;
        self.0.seek(SeekFrom::Current(step))?;
        Ok(length)
    }
}

/// Walks from header to header.
pub(crate) struct Walk<S> {
    stream: S,
    /// Bytes of the archive before the stream's position.
    position: u64,
    /// The next header.
    next: u64,
    /// True where the end marker was seen.
    ended: bool,
}

/// Fields of extended headers for the next member.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    length: Option<u64>,
    sparse: bool,
}

fn corrupt(detail: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail.into())
}

fn cut(detail: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, detail.into())
}

impl<S: Skip> Walk<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, position: 0, next: 0, ended: false }
    }

    /// True where the archive had its end marker; what follows that is not looked at.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// The stream, behind what was read.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    /// The next member; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut extended = Extended::default();
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let (kind, length) = (header.entry_type(), header.entry_size()?);
            let is_extension = matches!(
                kind,
                EntryType::GNULongName
                    | EntryType::GNULongLink
                    | EntryType::XHeader
                    | EntryType::XGlobalHeader
            );
            if !is_extension {
                return self.entry(&header, extended).map(Some);
            }
            let offset = self.position;
            self.follow(offset, length)?;
            if kind == EntryType::XGlobalHeader {
                continue;
            }
            if length > MAX_EXTENSION {
                return Err(corrupt(format!("a header of {length} bytes, where names have some hundred")));
            }
            let mut bytes = vec![0; length as usize];
            self.read(&mut bytes)?;
            match kind {
                EntryType::GNULongName => extended.name = Some(up_to_zero(bytes)),
                EntryType::GNULongLink => extended.link = Some(up_to_zero(bytes)),
                _ => extended.read_pax(&bytes)?,
            }
        }
    }

    /// Reads what the member has next.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => cut(format!("it ends after {} bytes", self.position)),
            _ => error,
        })?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    /// The member's bytes end `length` bytes behind `offset`, filled up to a block.
    fn follow(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let end = length.checked_next_multiple_of(BLOCK as u64).and_then(|length| offset.checked_add(length));
        self.next = end.ok_or_else(|| corrupt("a size that no file has"))?;
        Ok(())
    }

    fn header(&mut self) -> io::Result<Option<Header>> {
        let ahead = self.next - self.position;
        if self.stream.skip(ahead)? < ahead {
            return Err(cut("its last member is not complete"));
        }
        self.position = self.next;
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < BLOCK {
            match self.stream.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(cut("a header is not complete")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += BLOCK as u64;
        self.next = self.position;
        if block.iter().all(|&byte| byte == 0) {
            self.ended = true;
            return Ok(None);
        }
        let sums = block
            .iter()
            .enumerate()
            .map(|(i, &byte)| if (148..156).contains(&i) { 32 } else { u32::from(byte) });
        let sum: u32 = sums.sum();
        if header.cksum()? != sum {
            return Err(corrupt(format!(
                "the checksum of the header at byte {} is wrong",
                self.position - BLOCK as u64
            )));
        }
        Ok(Some(header))
    }

    fn entry(&mut self, header: &Header, extended: Extended) -> io::Result<Entry> {
        let name = extended.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let link =
            || extended.link.or_else(|| Some(header.link_name_bytes()?.into_owned())).unwrap_or_default();
        let mut length = match extended.length {
            Some(length) => length,
            None => header.entry_size()?,
        };
        let kind = match header.entry_type() {
            _ if extended.sparse => EntryKind::Other("a sparse file"),
            // Old tar marks a folder by its slash.
            EntryType::Regular if name.ends_with(b"/") => EntryKind::Folder,
            EntryType::Regular | EntryType::Continuous => EntryKind::File,
            EntryType::Directory => EntryKind::Folder,
            EntryType::Link => EntryKind::HardLink(link()),
            EntryType::Symlink => EntryKind::SymbolicLink(link()),
            EntryType::Char | EntryType::Block => EntryKind::Other("a device"),
            EntryType::Fifo => EntryKind::Other("a FIFO"),
            EntryType::GNUSparse => EntryKind::Other("a sparse file"),
            _ => EntryKind::Other("a member of an unknown kind"),
        };
        // Nothing follows these, whatever size they claim.
        if header.entry_type().is_hard_link()
            || header.entry_type().is_symlink()
            || matches!(
                header.entry_type(),
                EntryType::Directory | EntryType::Char | EntryType::Block | EntryType::Fifo
            )
        {
            length = 0;
        }
        self.skip_sparse_maps(header)?;
        let offset = self.position;
        self.follow(offset, length)?;
        Ok(Entry { name, kind, offset, length })
    }

    /// Behind the header of GNU's sparse files there may be more blocks of their map.
    fn skip_sparse_maps(&mut self, header: &Header) -> io::Result<()> {
        let extended = header.as_gnu().filter(|_| header.entry_type().is_gnu_sparse());
        let mut more = extended.is_some_and(tar::GnuHeader::is_extended);
        while more {
            let mut map = tar::GnuExtSparseHeader::new();
            self.read(map.as_mut_bytes())?;
            more = map.is_extended();
        }
        Ok(())
    }
}

impl Extended {
    /// Reads records `LENGTH KEY=VALUE\n`, where the length counts all of the record.
    fn read_pax(&mut self, mut records: &[u8]) -> io::Result<()> {
        let malformed = || corrupt("a pax header that is not as it should be");
        while !records.iter().all(|&byte| byte == 0) {
            let space = records.iter().position(|&byte| byte == b' ').ok_or_else(malformed)?;
            let length =
                std::str::from_utf8(&records[..space]).ok().and_then(|text| text.parse::<usize>().ok());
            let length = length.filter(|&length| length > space + 1).ok_or_else(malformed)?;
            let record = records.get(space + 1..length).ok_or_else(malformed)?;
            let record = record.strip_suffix(b"\n").ok_or_else(malformed)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(malformed)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    self.length = Some(size.ok_or_else(malformed)?);
                }
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
            records = &records[length..];
        }
        Ok(())
    }
}

/// The text before its first zero byte.
fn up_to_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|&byte| byte == 0) {
        bytes.truncate(end);
        bytes.shrink_to_fit();
    }
    bytes
}
