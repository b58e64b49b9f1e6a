//! Comparing the tensors that a network expects with those that a file holds.

use std::collections::BTreeSet;
use std::fmt;

use residual_files::escaped;

use crate::error::Error;
use crate::recognise::recognise;
use crate::state_dict::StateDict;

/// Number of names of each list that are shown; the fields hold them all.
const SHOWN: usize = 8;

/// Differences between the tensors that a network expects and those found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Expected and not found, in the network's order.
    pub missing: Vec<String>,
    /// Found and not expected, sorted. Batch norm's `num_batches_tracked` is never among them: it has no part
    /// in what a network computes.
    pub unexpected: Vec<String>,
    /// Found under the right name with another shape, in the network's order.
    pub misshapen: Vec<Misshapen>,
    /// Number of tensors that agree in name and shape.
    pub matched: usize,
    /// The network whose tensors were found, where it is known and the difference is large
    /// ([`Mismatch::is_another_network`]).
    pub looks_like: Option<String>,
}

/// A tensor of another shape than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// The tensor.
    pub name: String,
    /// The shape that the network expects.
    pub expected: Vec<usize>,
    /// The shape in the file.
    pub found: Vec<usize>,
}

impl Mismatch {
    /// True where so little agrees that the tensors are those of another network: under half of the expected
    /// ones are there with the right name and shape.
    pub fn is_another_network(&self) -> bool {
        let expected = self.matched + self.missing.len() + self.misshapen.len();
        self.matched * 2 < expected
    }

    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

/// Compares names and shapes, in full: the first difference does not hide the others.
///
/// ```
/// use residual_weights::{StateDict, Tensor, match_tensors};
///
/// let mut found = StateDict::new();
/// found.insert("fc.bias", Tensor::new(vec![2], vec![0.0; 2])?)?;
/// assert!(match_tensors(&[("fc.bias".to_owned(), vec![2])], &found).is_ok());
/// let error = match_tensors(&[("fc.bias".to_owned(), vec![3])], &found).unwrap_err();
/// assert!(error.to_string().contains("fc.bias: expected [3], found [2]"));
/// # Ok::<(), residual_weights::Error>(())
/// ```
///
/// # Errors
/// [`Error::Mismatch`] with every difference; [`Error::Integers`] where all agree and some are stored as integers.
pub fn match_tensors(expected: &[(String, Vec<usize>)], found: &StateDict) -> Result<(), Error> {
    let mut mismatch = Mismatch::default();
    for (name, shape) in expected {
        match found.get(name) {
            None => mismatch.missing.push(name.clone()),
            Some(tensor) if tensor.shape() != shape => mismatch.misshapen.push(Misshapen {
                name: name.clone(),
                expected: shape.clone(),
                found: tensor.shape().to_vec(),
            }),
            Some(_) => mismatch.matched += 1,
        }
    }
    let names: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    mismatch.unexpected = found
        .names()
        .filter(|name| !names.contains(name) && !is_batch_counter(name))
        .map(str::to_owned)
        .collect();
    if mismatch.is_empty() {
        return check_floats(expected, found);
    }
    if mismatch.is_another_network() {
        mismatch.looks_like = recognise(found).ok().map(|found| found.spec.name);
    }
    Err(Error::Mismatch(Box::new(mismatch)))
}

/// Integers under a weight's name are a quantised network's, and mean nothing without their scales.
fn check_floats(expected: &[(String, Vec<usize>)], found: &StateDict) -> Result<(), Error> {
    let integers = expected.iter().filter(|(name, _)| !is_batch_counter(name)).filter_map(|(name, _)| {
        let kind = found.get(name)?.integers()?;
        Some(format!("{} is {kind}", escaped(name)))
    });
    let mut tensors: Vec<String> = integers.collect();
    if tensors.is_empty() {
        return Ok(());
    }
    let more = tensors.len().saturating_sub(SHOWN);
    tensors.truncate(SHOWN);
    if more > 0 {
        tensors.push(format!("and {more} more"));
    }
    Err(Error::Integers { tensors })
}

/// True for a counter: PyTorch's batch norm stores one of batches, its averaged models one of averages, and no network
/// needs them.
pub(crate) fn is_batch_counter(name: &str) -> bool {
    matches!(name.rsplit('.').next(), Some("num_batches_tracked" | "n_averaged"))
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = self.matched + self.missing.len() + self.misshapen.len();
        write!(f, "the tensors are not the network's: {} of {expected} match", self.matched)?;
        if self.is_another_network() {
            let network = self.looks_like.as_deref().unwrap_or("another network");
            write!(f, "; these look like the weights of {network}")?;
        }
        list(f, "missing", &self.missing, |name| escaped(name).to_string())?;
        list(f, "unexpected", &self.unexpected, |name| escaped(name).to_string())?;
        list(f, "misshapen", &self.misshapen, |tensor| {
            format!("{}: expected {:?}, found {:?}", escaped(&tensor.name), tensor.expected, tensor.found)
        })
    }
}

/// `\n  LABEL (COUNT): a, b, c and N more`, or nothing where there are no items.
fn list<T>(f: &mut fmt::Formatter<'_>, label: &str, items: &[T], show: impl Fn(&T) -> String) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = items.iter().take(SHOWN).map(show).collect();
    write!(f, "\n  {label} ({}): {}", items.len(), shown.join("; "))?;
    match items.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, "; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    fn expected(names: &[(&str, usize)]) -> Vec<(String, Vec<usize>)> {
        names.iter().map(|&(name, extent)| (name.to_owned(), vec![extent])).collect()
    }

    fn found(names: &[(&str, usize)]) -> StateDict {
        let tensor = |extent| Tensor::new(vec![extent], vec![0.0; extent]).unwrap();
        StateDict::from_tensors(names.iter().map(|&(name, extent)| (name.to_owned(), tensor(extent))))
            .unwrap()
    }

    fn mismatch(wanted: &[(&str, usize)], there: &[(&str, usize)]) -> Mismatch {
        match match_tensors(&expected(wanted), &found(there)) {
            Err(Error::Mismatch(mismatch)) => *mismatch,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_differences_come_at_once() {
        let wanted = [("a", 1), ("b", 2), ("c", 3), ("d", 4)];
        let there = [("a", 1), ("b", 9), ("d", 4), ("x", 1), ("bn.num_batches_tracked", 1)];
        let mismatch = mismatch(&wanted, &there);
        assert_eq!(mismatch.missing, ["c"]);
        assert_eq!(mismatch.unexpected, ["x"]);
        let misshapen = Misshapen { name: "b".to_owned(), expected: vec![2], found: vec![9] };
        assert_eq!(mismatch.misshapen, [misshapen]);
        assert_eq!(mismatch.matched, 2);
        assert!(!mismatch.is_another_network());
        let text = mismatch.to_string();
        assert!(
            text.contains("2 of 4 match\n  missing (1): c\n  unexpected (1): x\n  misshapen (1): b:"),
            "{text}"
        );
    }

    #[test]
    fn another_network_is_called_so() {
        let mismatch = mismatch(&[("a", 1), ("b", 1)], &[("x", 1)]);
        assert!(mismatch.to_string().contains("another network"));
    }

    #[test]
    fn long_lists_are_cut_and_counted() {
        let names: Vec<String> = (0..20).map(|i| format!("t{i:02}")).collect();
        let wanted: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let mismatch = mismatch(&wanted, &[]);
        assert_eq!(mismatch.missing.len(), 20);
        let text = mismatch.to_string();
        assert!(text.contains("missing (20): t00;") && text.ends_with("t07; and 12 more"), "{text}");
    }

    #[test]
    fn counters_may_be_expected_too() {
        assert!(match_tensors(&expected(&[("n.num_batches_tracked", 1)]), &found(&[])).is_err());
        assert!(match_tensors(&[], &found(&[("n.num_batches_tracked", 1)])).is_ok());
    }
}
