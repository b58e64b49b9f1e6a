//! All pairs of similar vectors.

use std::sync::{Mutex, PoisonError};

use residual_kernels::{Cpu, DotProducts};

use crate::clusters::{assign, fit};
use crate::{Error, Vectors};

/// Rows of a block; two blocks and their products are in a cache.
const BLOCK: usize = 1024;

/// Pairs that are found at the most: more are no near duplicates, but a threshold that is too low.
const MOST: usize = 1 << 24;

/// Pair of similar rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Number of the first row.
    pub first: u32,
    /// Number of the second, which is greater.
    pub second: u32,
    /// Cosine similarity.
    pub score: f32,
}

/// All pairs of vectors whose cosine similarity is at least `threshold`, in order: each block of rows is compared with
/// itself and those behind it, `n (n - 1) / 2` products of `n` vectors in blocks. `going` is told the number of rows that
/// are done, and says whether to go on; otherwise the pairs so far are given.
///
/// # Errors
/// [`Error::Option`] for a threshold outside of -1 to 1, and for one that more than 16 million pairs reach.
pub fn near_pairs(
    cpu: &Cpu,
    vectors: &Vectors,
    threshold: f32,
    mut going: impl FnMut(usize) -> bool,
) -> Result<Vec<Pair>, Error> {
    if !(-1.0..=1.0).contains(&threshold) {
        let reason = format!("{threshold}, where a cosine is from -1 to 1");
        return Err(Error::Option { what: "threshold", reason });
    }
    let (count, mut pairs, mut products) = (vectors.len(), Vec::new(), Vec::new());
    for first in (0..count).step_by(BLOCK) {
        if !going(first) {
            break;
        }
        let queries = first..(first + BLOCK).min(count);
        for start in (first..count).step_by(BLOCK) {
            let rows = start..(start + BLOCK).min(count);
            block(cpu, vectors, [queries.clone(), rows.clone()], &mut products)?;
            collect(cpu, &products, [first, start, rows.len()], threshold, &mut pairs);
            if pairs.len() > MOST {
                let reason =
                    format!("{threshold}: more than {MOST} pairs of {count} images reach it; help: raise it");
                return Err(Error::Option { what: "threshold", reason });
            }
        }
    }
    pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
    Ok(pairs)
}

/// Products of the rows `queries` with the rows `rows`.
fn block(
    cpu: &Cpu,
    vectors: &Vectors,
    [queries, rows]: [std::ops::Range<usize>; 2],
    products: &mut Vec<f32>,
) -> Result<(), Error> {
    let length = vectors.length();
    let sizes = DotProducts { rows: rows.len(), queries: queries.len(), length };
    products.resize(rows.len() * queries.len(), 0.0);
    let of = |range: std::ops::Range<usize>| &vectors.values()[range.start * length..range.end * length];
    Ok(sizes.run(cpu, of(rows), of(queries), products)?)
}

/// Pairs of a block of products, whose rows are `rows` long: those of the first row with later ones.
fn collect(
    cpu: &Cpu,
    products: &[f32],
    [first, start, rows]: [usize; 3],
    threshold: f32,
    pairs: &mut Vec<Pair>,
) {
    let found = Mutex::new(Vec::new());
    cpu.pool().for_each(products.len() / rows.max(1), |query, _| {
        let one = first + query;
        let scores = (start..).zip(&products[query * rows..][..rows]);
        let near = scores.filter(|&(other, &score)| score >= threshold && other > one);
        let near: Vec<Pair> =
            near.map(|(other, &score)| Pair { first: one as u32, second: other as u32, score }).collect();
        if !near.is_empty() {
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(near);
        }
    });
    pairs.append(&mut found.into_inner().unwrap_or_else(PoisonError::into_inner));
}

/// Pairs of vectors whose cosine similarity is at least `threshold`, as [`near_pairs`] finds them, among rows that have
/// one of their `NEAREST` closest centres in common: for more rows than can all be compared. Vectors whose cosine is close to
/// 1 have the same closest centre, but for those that lie between two.
///
/// # Errors
/// Those of [`near_pairs`].
pub fn near_pairs_approximately(
    cpu: &Cpu,
    vectors: &Vectors,
    threshold: f32,
    mut going: impl FnMut(usize) -> bool,
) -> Result<Vec<Pair>, Error> {
    let (count, length) = (vectors.len(), vectors.length());
    let centres = (count / ROWS_A_LIST).clamp(1, 1 << 14);
    let sampled = (centres * 64).min(count.max(1));
    let sample =
        (0..sampled.min(count)).flat_map(|row| vectors.row(row * count / sampled)).copied().collect();
    let centres = fit(cpu, &Vectors::of_units(sample, length), centres, 8)?;
    let mut lists: Vec<Vec<u32>> = vec![Vec::new(); centres.len()];
    for (block, rows) in vectors.values().chunks(BLOCK * length).enumerate() {
        for (row, nearest) in (block * BLOCK..).zip(assign(cpu, &centres, rows, NEAREST)?) {
            nearest.iter().for_each(|hit| lists[hit.row as usize].push(row as u32));
        }
    }
    let (mut pairs, mut done) = (Vec::new(), 0);
    for list in &lists {
        if !going(done / NEAREST) {
            break;
        }
        let rows = list.iter().flat_map(|&row| vectors.row(row as usize)).copied().collect();
        let found = near_pairs(cpu, &Vectors::of_units(rows, length), threshold, |_| true)?;
        let numbers = |pair: Pair| Pair {
            first: list[pair.first as usize],
            second: list[pair.second as usize],
            ..pair
        };
        pairs.extend(found.into_iter().map(numbers));
        done += list.len();
    }
    pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
    pairs.dedup_by_key(|pair| (pair.first, pair.second));
    Ok(pairs)
}

/// Closest centres of a row by which it is compared.
const NEAREST: usize = 2;

/// Rows that a list has in the mean, before rows are in several.
const ROWS_A_LIST: usize = 1024;
