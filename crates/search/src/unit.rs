//! Vectors of length 1.

use crate::Error;

/// Independent sums of a row's squares, so that the compiler makes vectors of them.
const LANES: usize = 16;

/// Divides every row by its Euclidean norm; a row of zeros stays. `first` is the number of the first row in errors.
///
/// # Errors
/// [`Error::NotFinite`].
pub(crate) fn normalise(rows: &mut [f32], length: usize, first: u64, name: &str) -> Result<(), Error> {
    for (number, row) in (first..).zip(rows.chunks_exact_mut(length.max(1))) {
        let norm = norm(row).ok_or_else(|| Error::NotFinite { name: name.to_owned(), row: number })?;
        if norm > 0.0 {
            row.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
        }
    }
    Ok(())
}

/// Euclidean norm; `None` where a value is not finite.
fn norm(row: &[f32]) -> Option<f64> {
    let mut sums = [0f32; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|value| value * value).sum();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    let squares = sums.iter().sum::<f32>() + rest;
    // Squares that leave the range of f32 are taken in f64.
    match squares.is_finite() && squares > f32::MIN_POSITIVE * 1e6 {
        true => Some(f64::from(squares).sqrt()),
        false => {
            let squares: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
            squares.is_finite().then(|| squares.sqrt())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_unit_vectors_whatever_their_size() {
        for scale in [1.0, 1e-30, 1e30] {
            let mut rows: Vec<f32> = [vec![3.0, 4.0], vec![1.0, 0.0]].concat();
            rows.iter_mut().for_each(|value| *value *= scale);
            normalise(&mut rows, 2, 0, "x").unwrap();
            for (found, expected) in rows.iter().zip([0.6, 0.8, 1.0, 0.0]) {
                assert!((found - expected).abs() < 1e-6, "{rows:?}");
            }
        }
        let mut zeros = [0.0; 40];
        normalise(&mut zeros, 20, 0, "x").unwrap();
        assert_eq!(zeros, [0.0; 40]);
    }

    #[test]
    fn what_is_not_finite_is_named() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let found = normalise(&mut [1.0, 2.0, 0.0, bad], 2, 7, "x");
            assert!(matches!(found, Err(Error::NotFinite { row: 8, .. })), "{found:?}");
        }
    }
}
