//! Blocks of progressive scans (ITU-T T.81, G.1 and G.2).

use super::bits::Bits;
use super::frame::Scan;
use super::huffman::Codes;
use super::idct::Block;
use super::tables::ZIGZAG;
use crate::fault::Fault;

const TOO_MANY: Fault = Fault::Corrupt("a block has more than 64 coefficients");

/// Decodes the AC coefficients of one scan, block after block.
pub(super) struct Bands<'a> {
    pub(super) scan: &'a Scan,
    pub(super) codes: &'a Codes,
    /// Blocks still to come that have no new coefficient.
    pub(super) empty: u32,
}

impl Bands<'_> {
    /// The next block.
    pub(super) fn block(&mut self, bits: &mut Bits, block: &mut Block) -> Result<(), Fault> {
        if self.scan.high == 0 { self.first(bits, block) } else { self.refine(bits, block) }
    }

    /// A symbol: zeros before the value, and its size. Without a value, the blocks that end here are counted.
    #[inline(always)]
    fn symbol(&mut self, bits: &mut Bits) -> Result<(usize, u32), Fault> {
        bits.fill();
        let symbol = self.codes.symbol(bits)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && run < 15 {
            self.empty = (1 << run) + if run == 0 { 0 } else { bits.take(run) };
        }
        Ok((run as usize, size))
    }

    /// The high bits of the coefficients.
    fn first(&mut self, bits: &mut Bits, block: &mut Block) -> Result<(), Fault> {
        if self.empty > 0 {
            self.empty -= 1;
            return Ok(());
        }
        let mut k = self.scan.first;
        while k <= self.scan.last {
            let (run, size) = self.symbol(bits)?;
            if self.empty > 0 {
                self.empty -= 1;
                break;
            }
            k += run;
            if size > 0 {
                let &place = ZIGZAG.get(k).ok_or(TOO_MANY)?;
                block[usize::from(place & 63)] = (bits.signed(size) << self.scan.low) as i16;
            }
            k += 1;
        }
        Ok(())
    }

    /// Refinement: one bit more of the coefficients that are not zero, and those that become so.
    fn refine(&mut self, bits: &mut Bits, block: &mut Block) -> Result<(), Fault> {
        let step = 1i16 << self.scan.low;
        let mut k = self.scan.first;
        if self.empty == 0 {
            while k <= self.scan.last {
                let (mut zeros, size) = self.symbol(bits)?;
                if self.empty > 0 {
                    break;
                }
                let value = match size {
                    0 => 0,
                    // One bit says the sign; no other size is possible.
                    1 if bits.bit() => step,
                    1 => -step,
                    _ => return Err(Fault::Corrupt("a refinement of more than one bit")),
                };
                while let Some(place) = self.place(k) {
                    let old = &mut block[place];
                    if *old != 0 {
                        *old = refined(*old, step, bits);
                    } else if zeros == 0 {
                        *old = value;
                        break;
                    } else {
                        zeros -= 1;
                    }
                    k += 1;
                }
                if value != 0 && k > self.scan.last {
                    return Err(TOO_MANY);
                }
                k += 1;
            }
        }
        if self.empty > 0 {
            self.empty -= 1;
            while let Some(place) = self.place(k) {
                let old = &mut block[place];
                if *old != 0 {
                    *old = refined(*old, step, bits);
                }
                k += 1;
            }
        }
        Ok(())
    }

    /// The place of coefficient `k`, where it belongs to the scan.
    #[inline(always)]
    fn place(&self, k: usize) -> Option<usize> {
        if k > self.scan.last { None } else { ZIGZAG.get(k).map(|&place| usize::from(place & 63)) }
    }
}

/// A coefficient that is not zero, with its next bit.
#[inline(always)]
fn refined(old: i16, step: i16, bits: &mut Bits) -> i16 {
    // The bit may be there already, where a file says it twice.
    if !bits.bit() || old & step != 0 {
        old
    } else if old >= 0 {
        old.wrapping_add(step)
    } else {
        old.wrapping_sub(step)
    }
}
