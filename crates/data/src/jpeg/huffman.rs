//! Huffman codes (ITU-T T.81, annex C) and the tables that decode them.

use std::rc::Rc;

use super::bits::{Bits, extend};
use crate::fault::Fault;

/// Bits of a code that are looked up at once.
const LOOK: u32 = 9;
/// Bits of a code, and of the value behind it, that are looked up at once.
const LOOK_VALUE: u32 = 10;

/// A table as a DHT segment defines it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// Codes of each length from 1 on.
    pub(super) counts: [u8; 16],
    /// Their symbols, by rising code.
    pub(super) symbols: Vec<u8>,
}

impl Definition {
    /// Nothing, unless there are more codes of a length than that length has.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let mut free = 1i32;
        for &count in &self.counts {
            free = free * 2 - i32::from(count);
            if free < 0 {
                return Err(Fault::Corrupt("a Huffman table has more codes than fit"));
            }
        }
        Ok(())
    }

    /// Calls `each` with every code: its length, its value at the top of 16 bits, its symbol.
    fn each_code(&self, mut each: impl FnMut(u32, u32, u8)) {
        let (mut code, mut symbols) = (0, self.symbols.iter());
        for (length, &count) in (1..).zip(&self.counts) {
            for &symbol in symbols.by_ref().take(usize::from(count)) {
                each(length, code, symbol);
                code += 1 << (16 - length);
            }
        }
    }
}

/// Decoding tables that were made last, since most files of a set have the same: to make them takes as long as to decode
/// a picture of 32x32.
pub(super) struct Recent<T>(Vec<(Definition, Rc<T>)>);

/// Decoding tables that are kept, of each kind.
const KEPT: usize = 8;

impl<T> Recent<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The tables of a definition, made now or before.
    pub(super) fn of(&mut self, definition: &Definition, make: fn(&Definition) -> T) -> Rc<T> {
        if let Some((_, found)) = self.0.iter().find(|(known, _)| known == definition) {
            return found.clone();
        }
        let made = Rc::new(make(definition));
        self.0.truncate(KEPT - 1);
        self.0.insert(0, (definition.clone(), made.clone()));
        made
    }
}

/// Codes of one table, ready to be decoded.
pub(super) struct Codes {
    /// Table by the next [`LOOK`] bits: length and symbol of their code, or 0 for a longer one.
    look: [u16; 1 << LOOK],
    /// Table by length: the first 16 bits that belong to longer codes.
    limits: [u32; 17],
    /// Table by length: what is to be added to a code for its place in `symbols`.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Codes {
    /// Decoding tables of a definition that holds.
    pub(super) fn new(definition: &Definition) -> Self {
        let mut codes = Self {
            look: [0; 1 << LOOK],
            limits: [0; 17],
            offsets: [0; 17],
            symbols: definition.symbols.clone(),
        };
        definition.each_code(|length, code, symbol| {
            if length <= LOOK {
                let first = (code >> (16 - LOOK)) as usize;
                codes.look[first..first + (1 << (LOOK - length))]
                    .fill((length << 8) as u16 | u16::from(symbol));
            }
        });
        let (mut code, mut place) = (0, 0);
        for (length, &count) in (1..17).zip(&definition.counts) {
            codes.offsets[length] = place - (code >> (16 - length)) as i32;
            code += u32::from(count) << (16 - length);
            place += i32::from(count);
            codes.limits[length] = code;
        }
        codes
    }

    /// Takes one code off bits that are filled.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits) -> Result<u8, Fault> {
        let entry = self.look[bits.peek(LOOK)];
        if entry == 0 {
            let (symbol, length) = self.long_symbol(bits.peek(16) as u32)?;
            bits.skip(length);
            return Ok(symbol);
        }
        bits.skip(u32::from(entry >> 8));
        Ok(entry as u8)
    }

    /// The symbol at the start of 16 bits, and the length of its code.
    #[inline(never)]
    fn long_symbol(&self, next: u32) -> Result<(u8, u32), Fault> {
        let length = (1..17).find(|&length| next < self.limits[length]);
        let length = length.ok_or(Fault::Corrupt("a code that is in no Huffman table"))?;
        let place = (next >> (16 - length)) as i32 + self.offsets[length];
        // In range by construction of the limits.
        let symbol =
            self.symbols.get(place as usize).ok_or(Fault::Corrupt("a code that is in no Huffman table"))?;
        Ok((*symbol, length as u32))
    }
}

/// A step through the coefficients of a block: `run` zeros, then a value of `size` bits.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// Zeros before the value; [`END`] at the end of the block.
    pub(super) run: usize,
    /// The value.
    pub(super) value: i16,
}

/// The `run` that ends a block.
pub(super) const END: usize = 255;

/// Codes of AC coefficients of sequential scans: code and value are looked up together where they are short.
pub(super) struct Steps {
    /// Table by the next [`LOOK_VALUE`] bits, from the low bit: length (8), run (8), value (16); length 0: not here.
    look: [u32; 1 << LOOK_VALUE],
    codes: Codes,
}

impl Steps {
    /// Decoding tables of a definition that holds.
    pub(super) fn new(definition: &Definition) -> Self {
        let mut look = [0; 1 << LOOK_VALUE];
        definition.each_code(|length, code, symbol| {
            let (run, size) = run_and_size(symbol);
            let Some(spare) = LOOK_VALUE.checked_sub(length + size) else { return };
            let first = (code >> (16 - LOOK_VALUE)) as usize;
            for bits in 0..1 << size {
                let value = if size == 0 { 0 } else { extend(bits, size) };
                let entry = (length + size) | (run as u32) << 8 | (value as u32) << 16;
                let first = first + ((bits as usize) << spare);
                look[first..first + (1 << spare)].fill(entry);
            }
        });
        Self { look, codes: Codes::new(definition) }
    }

    /// Takes one step off bits that are filled.
    #[inline(always)]
    pub(super) fn step(&self, bits: &mut Bits) -> Result<Step, Fault> {
        let entry = self.look[bits.peek(LOOK_VALUE)];
        if entry as u8 == 0 {
            let (run, size) = run_and_size(self.codes.symbol(bits)?);
            let value = if size == 0 { 0 } else { bits.signed(size) as i16 };
            return Ok(Step { run, value });
        }
        bits.skip(entry & 0xff);
        Ok(Step { run: (entry >> 8) as u8 as usize, value: (entry >> 16) as i16 })
    }
}

/// Zeros and bits of a symbol of a sequential scan. Without bits there are 16 zeros or no more values.
fn run_and_size(symbol: u8) -> (usize, u32) {
    match (usize::from(symbol >> 4), u32::from(symbol & 15)) {
        (15, 0) => (15, 0),
        (_, 0) => (END, 0),
        found => found,
    }
}
