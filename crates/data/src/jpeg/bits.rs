//! Bits of a scan, from the most significant, without the zero bytes that are stuffed behind 255
//! (ITU-T T.81, F.1.2.3).

use crate::fault::Fault;

/// The bits between two markers. Behind the last one there are zeros, and [`Bits::check`] tells.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The next byte to load.
    at: usize,
    /// The next bits, from the top.
    buffer: u64,
    /// Bits in `buffer`; less than none, where more were taken than there are.
    count: i32,
    /// A marker, or the end of the bytes, lies at `at`.
    ended: bool,
}

impl<'a> Bits<'a> {
    /// The bits from byte `at` on.
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, buffer: 0, count: 0, ended: false }
    }

    /// Makes at least 32 bits ready, which is one Huffman code and the value behind it.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        if self.count < 32 {
            self.load();
        }
    }

    #[inline(always)]
    fn load(&mut self) {
        if let Some(&bytes) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>())
            && self.count >= 0
        {
            let word = u64::from_be_bytes(bytes);
            // No byte of 255: no byte of the complement is zero.
            if (!word).wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 == 0 {
                self.buffer |= word >> self.count;
                let loaded = (63 - self.count) >> 3;
                self.at += loaded as usize;
                self.count += loaded * 8;
                return;
            }
        }
        *self = self.loaded_by_bytes();
    }

    /// Reading of what is called seldom, by value: so the bits stay in registers elsewhere.
    #[cold]
    fn loaded_by_bytes(mut self) -> Self {
        while !self.ended && self.count <= 56 {
            match self.data.get(self.at) {
                Some(0xff) if self.data.get(self.at + 1) == Some(&0) => self.push(0xff, 2),
                None | Some(0xff) => self.ended = true,
                Some(&byte) => self.push(byte, 1),
            }
        }
        self
    }

    fn push(&mut self, byte: u8, length: usize) {
        self.buffer |= u64::from(byte) << (56 - self.count);
        self.count += 8;
        self.at += length;
    }

    /// The next `count` bits, 1 to 32, still to be taken.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> usize {
        (self.buffer >> (64 - count)) as usize
    }

    /// Takes `count` bits, 0 to 32, off.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= count as i32;
    }

    /// The next `count` bits, 1 to 16, as a number.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let bits = self.peek(count) as u32;
        self.skip(count);
        bits
    }

    /// Next bit; fills by itself.
    #[inline(always)]
    pub(super) fn bit(&mut self) -> bool {
        if self.count < 1 {
            self.load();
        }
        self.take(1) != 0
    }

    /// The number of `size` bits, 1 to 16, as a difference is written (EXTEND of F.2.2.1): those that begin with
    /// a zero are negative.
    #[inline(always)]
    pub(super) fn signed(&mut self, size: u32) -> i32 {
        extend(self.take(size), size)
    }

    /// Nothing, unless more bits were taken than there are.
    #[inline(always)]
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.count >= 0 { Ok(()) } else { Err(self.ended_early()) }
    }

    /// `fault`, unless it comes of bits that are not there.
    #[cold]
    pub(super) fn blame(&self, fault: Fault) -> Fault {
        self.check().err().unwrap_or(fault)
    }

    #[cold]
    fn ended_early(&self) -> Fault {
        let rest = self.data.get(self.at..).unwrap_or_default();
        // A lone 255 at the end is half a marker.
        if rest.len() < 2 { Fault::Truncated } else { Fault::Corrupt("a scan ends before its last pixel") }
    }

    /// Drops what is left of the last byte and goes behind the restart marker of number `expected`.
    pub(super) fn restart(&mut self, expected: u8) -> Result<(), Fault> {
        let (code, behind) = next_marker(self.data, self.position()).ok_or(Fault::Truncated)?;
        if code != 0xd0 + expected {
            return Err(Fault::Corrupt("a restart marker is missing"));
        }
        *self = Self::new(self.data, behind);
        Ok(())
    }

    /// The place behind all bytes that were loaded, which is at or before the next marker.
    pub(super) fn position(&self) -> usize {
        self.at
    }
}

/// The number that `size` bits stand for.
#[inline(always)]
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    let bits = bits as i32;
    if bits >> (size - 1) == 0 { bits + 1 - (1 << size) } else { bits }
}

/// The code of the first marker at or behind byte `at`, and the place behind it. Bytes that belong to no segment
/// are passed over.
pub(super) fn next_marker(data: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += data.get(at..)?.iter().position(|&byte| byte == 0xff)? + 1;
        match *data.get(at)? {
            // A stuffed byte of a scan.
            0 => at += 1,
            // Fill before a marker; the next byte decides.
            0xff => {}
            code => return Some((code, at + 1)),
        }
    }
}
