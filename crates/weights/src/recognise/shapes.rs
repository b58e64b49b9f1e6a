//! Names and shapes of a file's tensors.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::matching::is_batch_counter;
use crate::state_dict::StateDict;

/// Shapes by name, without the counters that no network needs.
pub(super) struct Shapes<'a>(BTreeMap<&'a str, &'a [usize]>);

impl<'a> Shapes<'a> {
    pub(super) fn of(state: &'a StateDict) -> Self {
        let tensors = state.iter().filter(|(name, _)| !is_batch_counter(name));
        Self(tensors.map(|(name, tensor)| (name, tensor.shape())).collect())
    }

    #[cfg(test)]
    pub(super) fn of_names(names: &'a [residual_arch::names::TensorName]) -> Self {
        Self(names.iter().map(|tensor| (tensor.name.as_str(), &tensor.shape[..])).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a [usize]> {
        self.0.get(name).copied()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.keys().copied()
    }

    /// Names that begin with a prefix, and their shapes.
    pub(super) fn under<'p>(
        &self,
        prefix: &'p str,
    ) -> impl Iterator<Item = (&'a str, &'a [usize])> + use<'_, 'a, 'p> {
        let range = (Bound::Included(prefix), Bound::Unbounded);
        let from = self.0.range::<str, _>(range).map(|(&name, &shape)| (name, shape));
        from.take_while(move |(name, _)| name.starts_with(prefix))
    }
}

impl<'a> FromIterator<(&'a str, &'a [usize])> for Shapes<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a [usize])>>(tensors: I) -> Self {
        Self(tensors.into_iter().collect())
    }
}
