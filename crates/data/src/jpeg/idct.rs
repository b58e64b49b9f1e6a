//! Inverse discrete cosine transform of 8x8 coefficients, in the fixed point that libjpeg calls "slow integer" and
//! decodes with by default: the algorithm of Loeffler, Ligtenberg and Moschytz (ICASSP 1989) with constants of 13
//! bits, columns first, 2 bits kept between the passes.
//!
//! Sums are written as sums of products of 16-bit numbers, and the 8 columns as one loop, so that a compiler can
//! make vectors of them. Values that 16 bits do not hold wrap or saturate as they do in libjpeg-turbo's vectors; no
//! encoder makes them.

/// Coefficients or factors of one block, in rows.
pub(super) type Block = [i16; 64];

/// A constant of 13 bits.
const fn fix(value: f64) -> i32 {
    (value * 8192.0 + 0.5) as i32
}

const C0_298: i32 = fix(0.298631336);
const C0_390: i32 = fix(0.390180644);
const C0_541: i32 = fix(0.541196100);
const C0_765: i32 = fix(0.765366865);
const C0_899: i32 = fix(0.899976223);
const C1_175: i32 = fix(1.175875602);
const C1_501: i32 = fix(1.501321110);
const C1_847: i32 = fix(1.847759065);
const C1_961: i32 = fix(1.961570560);
const C2_053: i32 = fix(2.053119869);
const C2_562: i32 = fix(2.562915447);
const C3_072: i32 = fix(3.072711026);

/// Pass along the first index, for all 8 of the second. The results have `SHIFT` bits less.
// Neither this nor `shuffle` is inlined: together they become worse vectors, at a cost of a quarter of the time
// of decoding (4:4:4 photographs, x86-64).
#[inline(never)]
fn pass<const SHIFT: u32>(v: &Block) -> Block {
    let mut out = [0; 64];
    for i in 0..8 {
        let wide = |value: i16| i32::from(value);
        let (v2, v6) = (wide(v[2 * 8 + i]), wide(v[6 * 8 + i]));
        let even2 = v2 * C0_541 + v6 * (C0_541 - C1_847);
        let even3 = v2 * (C0_541 + C0_765) + v6 * C0_541;
        let even0 = wide(v[i].wrapping_add(v[4 * 8 + i])) << 13;
        let even1 = wide(v[i].wrapping_sub(v[4 * 8 + i])) << 13;
        let half = 1 << (SHIFT - 1);
        let (a0, a3) = (even0 + even3 + half, even0 - even3 + half);
        let (a1, a2) = (even1 + even2 + half, even1 - even2 + half);

        let z3 = wide(v[7 * 8 + i].wrapping_add(v[3 * 8 + i]));
        let z4 = wide(v[5 * 8 + i].wrapping_add(v[8 + i]));
        let y3 = z3 * (C1_175 - C1_961) + z4 * C1_175;
        let y4 = z3 * C1_175 + z4 * (C1_175 - C0_390);
        let (v1, v3, v5, v7) = (wide(v[8 + i]), wide(v[3 * 8 + i]), wide(v[5 * 8 + i]), wide(v[7 * 8 + i]));
        let b0 = v7 * (C0_298 - C0_899) + v1 * -C0_899 + y3;
        let b1 = v5 * (C2_053 - C2_562) + v3 * -C2_562 + y4;
        let b2 = v3 * (C3_072 - C2_562) + v5 * -C2_562 + y3;
        let b3 = v1 * (C1_501 - C0_899) + v7 * -C0_899 + y4;

        let narrow = |value: i32| (value >> SHIFT).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        out[i] = narrow(a0.wrapping_add(b3));
        out[7 * 8 + i] = narrow(a0.wrapping_sub(b3));
        out[8 + i] = narrow(a1.wrapping_add(b2));
        out[6 * 8 + i] = narrow(a1.wrapping_sub(b2));
        out[2 * 8 + i] = narrow(a2.wrapping_add(b1));
        out[5 * 8 + i] = narrow(a2.wrapping_sub(b1));
        out[3 * 8 + i] = narrow(a3.wrapping_add(b0));
        out[4 * 8 + i] = narrow(a3.wrapping_sub(b0));
    }
    out
}

/// Rows and columns exchanged: three times the second half between the first, as cards are shuffled, since the six
/// bits of a place are turned by three.
#[inline(always)]
fn transpose(v: &Block) -> Block {
    shuffle(&shuffle(&shuffle(v)))
}

#[inline(never)]
fn shuffle(v: &Block) -> Block {
    let mut out = [0; 64];
    for i in 0..32 {
        out[2 * i] = v[i];
        out[2 * i + 1] = v[32 + i];
    }
    out
}

/// Samples of a block: 8 rows of 8 at the start of every `stride` of `target`.
#[allow(clippy::needless_range_loop, reason = "the plain loops become vectors")]
pub(super) fn inverse(block: &Block, factors: &Block, target: &mut [u8], stride: usize) {
    let mut v = [0; 64];
    for i in 0..64 {
        v[i] = block[i].wrapping_mul(factors[i]);
    }
    let rows = transpose(&pass::<18>(&transpose(&pass::<11>(&v))));
    let mut samples = [0; 64];
    for i in 0..64 {
        samples[i] = (rows[i].clamp(-128, 127) + 128) as u8;
    }
    for (row, target) in samples.as_chunks::<8>().0.iter().zip(target.chunks_mut(stride)) {
        if let Some(target) = target.first_chunk_mut() {
            *target = *row;
        }
    }
}

/// Samples of a block that has no coefficient but the first.
pub(super) fn inverse_flat(dc: i16, factor: i16, target: &mut [u8], stride: usize) {
    let sample = ((i32::from(dc.wrapping_mul(factor)) + 4) >> 3).clamp(-128, 127) + 128;
    for target in target.chunks_mut(stride).take(8) {
        if let Some(target) = target.first_chunk_mut::<8>() {
            *target = [sample as u8; 8];
        }
    }
}
