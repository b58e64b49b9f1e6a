//! Stamps of stored images.

/// Stamp of a stored image, from which one tells without reading it whether it has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of the file, or of the archive, in nanoseconds since 1970; none for what is held in
    /// memory.
    pub modified: Option<i64>,
    /// Checksum of it, which a zip archive has.
    pub crc: Option<u32>,
}
