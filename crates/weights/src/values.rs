//! Values that no network computes with.

use std::fmt;

use residual_files::escaped;

use crate::error::Error;
use crate::state_dict::StateDict;

/// Tensors that an error names.
const SHOWN: usize = 4;

/// A tensor with values that no network computes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValues {
    /// The tensor.
    pub name: String,
    /// Number of bad values.
    pub bad: usize,
    /// Number of values.
    pub of: usize,
    /// True where they are finite and negative, in a running variance; else they are NaN or infinite.
    pub negative: bool,
}

impl fmt::Display for BadValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.negative { "negative variances" } else { "NaN or infinite" };
        write!(f, "{} ({} of {} values {what})", escaped(&self.name), self.bad, self.of)
    }
}

/// `a; b; c; d; and 3 more tensors`
pub(crate) fn list(tensors: &[BadValues]) -> String {
    let mut shown: Vec<String> = tensors.iter().take(SHOWN).map(BadValues::to_string).collect();
    match tensors.len().saturating_sub(SHOWN) {
        0 => {}
        1 => shown.push("and 1 more tensor".to_owned()),
        more => shown.push(format!("and {more} more tensors")),
    }
    shown.join("; ")
}

/// Checks that all values of the tensors `names` are finite, and those of running variances not negative. A tensor
/// that is not there is not checked.
///
/// One pass over the values; a batch of large tensors takes as long as reading them from memory.
///
/// # Errors
/// [`Error::Values`] with every tensor that has others.
pub fn check_values<'n>(names: impl IntoIterator<Item = &'n str>, state: &StateDict) -> Result<(), Error> {
    let bad = names.into_iter().filter_map(|name| bad_values(name, state.get(name)?.data()));
    let tensors: Vec<BadValues> = bad.collect();
    if tensors.is_empty() { Ok(()) } else { Err(Error::Values { tensors }) }
}

pub(crate) fn bad_values(name: &str, values: &[f32]) -> Option<BadValues> {
    let is_variance = name.rsplit('.').next() == Some("running_var");
    if all_finite(values) && !(is_variance && values.iter().any(|&value| value < 0.0)) {
        return None;
    }
    let not_finite = values.iter().filter(|value| !value.is_finite()).count();
    let negative = values.iter().filter(|&&value| value < 0.0).count();
    let bad = if not_finite > 0 { not_finite } else { negative };
    Some(BadValues { name: name.to_owned(), bad, of: values.len(), negative: not_finite == 0 })
}

/// True where no value is NaN or infinite. Counted and not searched for, which compilers make vectors of.
fn all_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    let of_chunk = |chunk: &[f32]| {
        chunk.iter().fold(0u32, |found, value| found | u32::from(value.to_bits() & EXPONENT == EXPONENT))
    };
    values.chunks(4096).all(|chunk| of_chunk(chunk) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    fn state(tensors: &[(&str, &[f32])]) -> StateDict {
        let tensor = |values: &[f32]| Tensor::new(vec![values.len()], values.to_vec()).unwrap();
        StateDict::from_tensors(tensors.iter().map(|(name, values)| ((*name).to_owned(), tensor(values))))
            .unwrap()
    }

    #[test]
    fn what_is_not_finite_is_found_at_any_place() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0x7f80_0001)] {
            for length in [1, 7, 4096, 4097, 10_000] {
                for at in [0, length / 2, length - 1] {
                    let mut values = vec![f32::MAX; length];
                    assert!(all_finite(&values));
                    values[at] = bad;
                    assert!(!all_finite(&values), "{bad} at {at} of {length}");
                }
            }
        }
        assert!(all_finite(&[]) && all_finite(&[0.0, -0.0, f32::MIN, f32::from_bits(1)]));
    }

    #[test]
    fn the_first_few_tensors_are_named_and_the_others_counted() {
        let nan = [f32::NAN, 1.0, f32::INFINITY];
        let found = state(&[("a", &nan), ("b", &[1.0]), ("c", &nan), ("d", &nan), ("e", &nan), ("f", &nan)]);
        let error = check_values(["a", "b", "c", "d", "e", "f", "absent"], &found).unwrap_err().to_string();
        assert!(
            error.contains("a (2 of 3 values NaN or infinite); c (") && error.contains("and 1 more tensor"),
            "{error}"
        );
        assert!(!error.contains("b (") && !error.contains("f ("), "{error}");
        assert!(check_values(["b"], &found).is_ok(), "only what is asked for is checked");
    }

    #[test]
    fn only_variances_may_not_be_negative() {
        let found = state(&[
            ("n.running_mean", &[-1.0]),
            ("n.running_var", &[0.0, -1e-9]),
            ("m.running_var", &[0.0]),
        ]);
        assert!(check_values(["n.running_mean", "m.running_var"], &found).is_ok());
        let error = check_values(["n.running_var"], &found).unwrap_err().to_string();
        assert!(error.contains("n.running_var (1 of 2 values negative variances)"), "{error}");
    }
}
