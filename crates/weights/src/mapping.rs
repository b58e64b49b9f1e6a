//! A file's bytes in memory without a copy of them.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;

use crate::element::{ByteOrder, ElementType};
use crate::quantised::QuantConv;
use crate::tensor::Data;

/// A file that the system brings into memory page by page, when it is read.
#[derive(Clone, Debug)]
pub(crate) struct Mapping(Arc<Mmap>);

impl Mapping {
    /// # Errors
    /// Where the system does not map it.
    #[expect(unsafe_code, reason = "a file may change under its map; see SAFETY")]
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        // SAFETY: the map is private and read-only, so nothing in this process changes what it shows. Another
        // process that writes into the file in place does: `map` asks its callers to keep that from
        // happening, and this crate's own writers replace files and never write into them
        // (`write_atomically`), after which a map still shows the earlier content. Any bytes are valid
        // elements.
        let map = unsafe { Mmap::map(file) }?;
        Ok(Self(Arc::new(map)))
    }

    /// Lets the system take the memory of `bytes` back. Whoever reads them later reads them from the file again.
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "advice that discards pages; see SAFETY")]
    pub(crate) fn release(&self, bytes: &Range<usize>) {
        // SAFETY: the pages are a file's, never written to, so what is discarded comes back as it was, for every
        // slice that points to it.
        let done =
            unsafe { self.0.unchecked_advise_range(UncheckedAdvice::DontNeed, bytes.start, bytes.len()) };
        // Memory that is not given back is no error.
        drop(done);
    }

    #[cfg(not(unix))]
    pub(crate) fn release(&self, _: &Range<usize>) {}

    /// Range in the file of `part`, a part of its bytes.
    fn place(&self, part: &[u8]) -> Option<Range<usize>> {
        let start = part.as_ptr().addr().checked_sub(self.0.as_ptr().addr())?;
        (start + part.len() <= self.0.len()).then(|| start..start + part.len())
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The bytes that a reader works on.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) bytes: &'a [u8],
    /// The file, where they are a map's.
    mapping: Option<&'a Mapping>,
}

impl<'a> Source<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        Self { bytes, mapping: None }
    }

    pub(crate) fn mapped(mapping: &'a Mapping) -> Self {
        Self { bytes: mapping, mapping: Some(mapping) }
    }

    /// True where elements of this kind may stay in the file.
    pub(crate) fn holds(&self, element: ElementType, order: ByteOrder) -> bool {
        self.mapping.is_some() && element == ElementType::F32 && order == ByteOrder::HERE
    }

    /// The elements in `part`, which lies in the source: where they are, if that is a map of them as this
    /// machine has them, else converted.
    pub(crate) fn elements(&self, part: &[u8], element: ElementType, order: ByteOrder) -> Data {
        let as_here = self.holds(element, order);
        let in_place = self.mapping.filter(|_| as_here && bytemuck::try_cast_slice::<u8, f32>(part).is_ok());
        match in_place.and_then(|mapping| Some((mapping.clone(), mapping.place(part)?))) {
            Some((file, bytes)) => Data::Mapped { file, bytes },
            None if element == ElementType::I8 => {
                let weights = bytemuck::cast_slice(part).to_vec();
                Data::int8(Arc::new(QuantConv { weights, ..QuantConv::default() }))
            }
            None => Data::Owned(element.decode(part, order)),
        }
    }
}
