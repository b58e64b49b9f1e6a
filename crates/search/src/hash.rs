//! Perceptual hashes: 64 bits that are nearly the same for images that look nearly the same.

use std::f64::consts::PI;
use std::fmt;
use std::sync::LazyLock;

use residual_data::Image;

use crate::Error;

/// Side of the grey image that is transformed.
const SIDE: usize = 32;

/// Frequencies in each direction, from 1: that of 0 is brightness alone.
const FREQUENCIES: usize = 8;

/// Least amplitude of the greatest coefficient, in grey levels: below it an image is flat, and its bits are noise.
const FLAT: f64 = 1.0;

/// Pairs that are found at the most.
const MOST: usize = 1 << 24;

/// Perceptual hash of an image (pHash; Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash
/// Functions", section 3.2.1).
///
/// The image, upright and in grey (`0.299 R + 0.587 G + 0.114 B`), is averaged over areas to `g`, 32x32. Of its discrete
/// cosine transform the 64 coefficients of the frequencies `u, v` from 1 to 8,
/// `F(u, v) = sum over y, x of g(y, x) cos(pi u (2 y + 1) / 64) cos(pi v (2 x + 1) / 64)`, give a bit each: 1 where it is
/// above their median. Scaling, compression and small changes of brightness and contrast change few bits; a crop, a
/// turn or a mirror image change half of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash64(pub u64);

/// `cos(pi u (2 x + 1) / 64)` for each frequency and place.
static COSINES: LazyLock<[[f64; SIDE]; FREQUENCIES]> = LazyLock::new(|| {
    let angle = |u: usize, x: usize| PI * (u + 1) as f64 * (2 * x + 1) as f64 / (2 * SIDE) as f64;
    std::array::from_fn(|u| std::array::from_fn(|x| angle(u, x).cos()))
});

impl Hash64 {
    /// Hash of an image; `None` for a flat one, such as a single colour, of which every bit would be noise.
    pub fn of(image: &Image) -> Option<Self> {
        let grey = grey(image)?;
        // Rows first, then columns.
        let rows: Vec<[f64; FREQUENCIES]> = grey
            .iter()
            .map(|row| COSINES.map(|cosines| row.iter().zip(cosines).map(|(value, cos)| value * cos).sum()))
            .collect();
        let mut coefficients = [0.0; FREQUENCIES * FREQUENCIES];
        for (place, coefficient) in coefficients.iter_mut().enumerate() {
            let (u, v) = (place / FREQUENCIES, place % FREQUENCIES);
            *coefficient = rows.iter().zip(COSINES[u]).map(|(row, cos)| row[v] * cos).sum();
        }
        // A wave of amplitude 1 has a coefficient of a quarter of the pixels.
        let quarter = (SIDE * SIDE / 4) as f64;
        if coefficients.iter().all(|value| value.abs() < FLAT * quarter) {
            return None;
        }
        let mut sorted = coefficients;
        sorted.sort_unstable_by(f64::total_cmp);
        let median = (sorted[31] + sorted[32]) / 2.0;
        let bit = |(place, value): (usize, &f64)| u64::from(*value > median) << place;
        Some(Self(coefficients.iter().enumerate().map(bit).sum()))
    }

    /// Number of bits in which two hashes differ.
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// The hash in hexadecimal digits.
impl fmt::Display for Hash64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Grey values of an image, averaged over areas; `None` for one without pixels.
fn grey(image: &Image) -> Option<[[f64; SIDE]; SIDE]> {
    let [width, height, channels] = [image.width(), image.height(), image.channels()];
    if width == 0 || height == 0 {
        return None;
    }
    let weights: &[f64] = if channels >= 3 { &[0.299, 0.587, 0.114] } else { &[1.0] };
    let pixel = |values: &[u8]| -> f64 {
        values.iter().zip(weights).map(|(&value, weight)| f64::from(value) * weight).sum()
    };
    let columns: Vec<Vec<(usize, f64)>> = (0..width).map(|x| shares(x, width)).collect();
    let mut sums = [[0.0; SIDE]; SIDE];
    for (y, row) in image.pixels().chunks_exact(width * channels).enumerate() {
        let mut line = [0.0; SIDE];
        for (values, shares) in row.chunks_exact(channels).zip(&columns) {
            let value = pixel(values);
            shares.iter().for_each(|&(cell, share)| line[cell] += share * value);
        }
        for (cell, share) in shares(y, height) {
            sums[cell].iter_mut().zip(line).for_each(|(sum, value)| *sum += share * value);
        }
    }
    Some(sums)
}

/// Cells that a pixel of `length` lies in, with its share of each: the shares in a cell add up to 1.
fn shares(place: usize, length: usize) -> Vec<(usize, f64)> {
    // In units of a pixel's part in `SIDE`: the pixel is `SIDE` of them wide, a cell is `length`.
    let (start, end) = (place * SIDE, (place + 1) * SIDE);
    let cells = start / length..end.div_ceil(length).min(SIDE);
    cells
        .map(|cell| {
            let covered = end.min((cell + 1) * length) - start.max(cell * length);
            (cell, covered as f64 / length as f64)
        })
        .collect()
}

/// All pairs of hashes that differ in `distance` bits at the most, in order, with that number. Hashes are cut into
/// `distance + 1` bands, one of which is the same in both of a pair (multi-index hashing; Norouzi, Punjani and Fleet
/// 2012): those with the same band are compared. Of equal hashes, the first is paired with the others.
///
/// # Errors
/// [`Error::Option`] for a distance above 15, and for one that more than 16 million pairs are within.
pub fn near_hashes(hashes: &[Option<Hash64>], distance: u32) -> Result<Vec<(u32, u32, u32)>, Error> {
    if distance > 15 {
        let reason = format!("{distance} bits of 64, where 15 are the most");
        return Err(Error::Option { what: "distance", reason });
    }
    let listed = hashes.iter().enumerate().filter_map(|(number, hash)| Some(((*hash)?, number as u32)));
    let mut sorted: Vec<(Hash64, u32)> = listed.collect();
    sorted.sort_unstable();
    let mut pairs = Vec::new();
    let mut firsts = Vec::new();
    for equal in sorted.chunk_by(|one, other| one.0 == other.0) {
        firsts.push(equal[0]);
        pairs.extend(equal[1..].iter().map(|&(_, number)| (equal[0].1, number, 0)));
    }
    let bands = distance + 1;
    for band in 0..bands {
        in_band(&mut firsts, [band, bands, distance], &mut pairs)?;
    }
    pairs.sort_unstable();
    Ok(pairs)
}

/// Adds the pairs whose first equal band is this one.
fn in_band(
    hashes: &mut [(Hash64, u32)],
    [band, bands, distance]: [u32; 3],
    pairs: &mut Vec<(u32, u32, u32)>,
) -> Result<(), Error> {
    let of = |hash: Hash64, band: u32| {
        let (start, end) = (band * 64 / bands, (band + 1) * 64 / bands);
        (hash.0 >> start) & (u64::MAX >> (64 - (end - start)))
    };
    hashes.sort_unstable_by_key(|&(hash, number)| (of(hash, band), number));
    for run in hashes.chunk_by(|one, other| of(one.0, band) == of(other.0, band)) {
        for (place, &(one, first)) in run.iter().enumerate() {
            for &(other, second) in &run[place + 1..] {
                let found = one.distance(other);
                if found <= distance && (0..band).all(|earlier| of(one, earlier) != of(other, earlier)) {
                    pairs.push((first, second, found));
                }
            }
        }
        if pairs.len() > MOST {
            let reason = format!("{distance} bits: more than {MOST} pairs are within it; help: lower it");
            return Err(Error::Option { what: "distance", reason });
        }
    }
    Ok(())
}
