//! Blocks of sequential scans (ITU-T T.81, F.2).

use super::bits::Bits;
use super::huffman::{Codes, END, Steps};
use super::tables::ZIGZAG;
use crate::fault::Fault;

/// Takes a difference of DC coefficients off the bits.
#[inline(always)]
pub(super) fn difference(bits: &mut Bits, codes: &Codes) -> Result<i16, Fault> {
    bits.fill();
    let size = u32::from(codes.symbol(bits)?);
    Ok(if size == 0 { 0 } else { bits.signed(size) as i16 })
}

/// Decodes a block, of which `put` is given the coefficients that are not zero, with their places.
#[inline]
pub(super) fn block(
    bits: &mut Bits,
    tables: (&Codes, &Steps),
    predicted: &mut i16,
    put: impl FnMut(usize, i16),
) -> Result<(), Fault> {
    // A copy stays in registers.
    let mut own = *bits;
    let result = coefficients(&mut own, tables, predicted, put);
    *bits = own;
    result
}

#[inline(always)]
fn coefficients(
    bits: &mut Bits,
    (dc, ac): (&Codes, &Steps),
    predicted: &mut i16,
    mut put: impl FnMut(usize, i16),
) -> Result<(), Fault> {
    *predicted = predicted.wrapping_add(difference(bits, dc)?);
    put(0, *predicted);
    let mut k = 1;
    while k < 64 {
        bits.fill();
        let step = ac.step(bits)?;
        k += step.run;
        let Some(&place) = ZIGZAG.get(k) else {
            if step.run == END {
                return Ok(());
            }
            return Err(Fault::Corrupt("a block has more than 64 coefficients"));
        };
        put(usize::from(place & 63), step.value);
        k += 1;
    }
    Ok(())
}
