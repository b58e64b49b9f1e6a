//! Tensors by name.

use std::collections::{BTreeMap, btree_map};

use crate::error::Error;
use crate::origin::Origin;
use crate::tensor::Tensor;

/// Tensors by name, in the order of their names, and free text beside them.
///
/// ```
/// use residual_weights::{StateDict, Tensor};
///
/// let mut state = StateDict::new();
/// state.insert("fc.bias", Tensor::new(vec![2], vec![0.5, -0.5])?)?;
/// state.rename("fc.bias", "linear.bias")?;
/// assert_eq!(state.get("linear.bias").unwrap().data(), [0.5, -0.5]);
/// # Ok::<(), residual_weights::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct StateDict {
    tensors: BTreeMap<String, Tensor>,
    /// Free text by key, as a safetensors file carries it under `__metadata__`.
    pub metadata: BTreeMap<String, String>,
    pub(crate) origin: Origin,
}

impl PartialEq for StateDict {
    /// Equal tensors and metadata; where they came from does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.tensors == other.tensors && self.metadata == other.metadata
    }
}

impl StateDict {
    /// State dict without tensors and metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// State dict of named tensors.
    ///
    /// # Errors
    /// [`Error::Duplicate`] and [`Error::ReservedName`], as for [`StateDict::insert`].
    pub fn from_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Result<Self, Error> {
        let mut state = Self::new();
        for (name, tensor) in tensors {
            state.insert(name, tensor)?;
        }
        Ok(state)
    }

    /// Adds a tensor.
    ///
    /// # Errors
    /// [`Error::Duplicate`] where the name is taken, [`Error::ReservedName`] for the empty name and for
    /// safetensors' own `__metadata__`.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Result<(), Error> {
        let name = name.into();
        if name.is_empty() || name == "__metadata__" {
            return Err(Error::ReservedName { name });
        }
        match self.tensors.entry(name) {
            btree_map::Entry::Occupied(taken) => Err(Error::Duplicate { name: taken.key().clone() }),
            btree_map::Entry::Vacant(free) => {
                free.insert(tensor);
                Ok(())
            }
        }
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The tensor called `name`, to be changed in place.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tensor> {
        self.tensors.get_mut(name)
    }

    /// Takes the tensor called `name` out.
    pub fn remove(&mut self, name: &str) -> Option<Tensor> {
        self.tensors.remove(name)
    }

    /// Origin of the tensors: the file's format, and what wrapped them in it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// True where there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Names and tensors, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Names and tensors, sorted by name, without a copy.
    pub fn into_tensors(self) -> impl Iterator<Item = (String, Tensor)> {
        self.tensors.into_iter()
    }

    /// Gives one tensor another name.
    ///
    /// # Errors
    /// [`Error::NoSuchTensor`] where `from` is absent; [`Error::Duplicate`] and [`Error::ReservedName`]
    /// where `to` is taken or reserved, the tensor then keeping its name.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Error> {
        let tensor = self.remove(from).ok_or_else(|| Error::NoSuchTensor { name: from.to_owned() })?;
        if from != to && (self.tensors.contains_key(to) || to.is_empty() || to == "__metadata__") {
            self.tensors.insert(from.to_owned(), tensor);
            return Err(match to {
                "" | "__metadata__" => Error::ReservedName { name: to.to_owned() },
                _ => Error::Duplicate { name: to.to_owned() },
            });
        }
        self.tensors.insert(to.to_owned(), tensor);
        Ok(())
    }

    /// Gives every tensor the name that `name_of` makes of its own; the metadata stay.
    ///
    /// # Errors
    /// [`Error::Duplicate`] and [`Error::ReservedName`], as for [`StateDict::insert`].
    pub fn rename_all(self, mut name_of: impl FnMut(&str) -> String) -> Result<Self, Error> {
        let mut renamed = Self { tensors: BTreeMap::new(), metadata: self.metadata, origin: self.origin };
        for (name, tensor) in self.tensors {
            renamed.insert(name_of(&name), tensor)?;
        }
        Ok(renamed)
    }

    /// Takes out every tensor whose name begins with `prefix`, the prefix removed.
    ///
    /// # Errors
    /// [`Error::ReservedName`] where nothing remains of a name.
    pub fn split_prefix(&mut self, prefix: &str) -> Result<Self, Error> {
        let mut split = Self::new();
        let names: Vec<String> =
            self.tensors.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        for name in names {
            if let Some(tensor) = self.tensors.remove(&name) {
                split.insert(&name[prefix.len()..], tensor)?;
            }
        }
        Ok(split)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(value: f32) -> Tensor {
        Tensor::new(vec![], vec![value]).unwrap()
    }

    #[test]
    fn names_are_unique_and_never_reserved() {
        let mut state = StateDict::from_tensors([("a".to_owned(), scalar(1.0))]).unwrap();
        assert!(matches!(state.insert("a", scalar(2.0)), Err(Error::Duplicate { .. })));
        assert!(matches!(state.insert("__metadata__", scalar(2.0)), Err(Error::ReservedName { .. })));
        assert!(matches!(state.insert("", scalar(2.0)), Err(Error::ReservedName { .. })));
        assert_eq!(state.get("a"), Some(&scalar(1.0)));
    }

    #[test]
    fn a_refused_rename_changes_nothing() {
        let mut state =
            StateDict::from_tensors([("a".to_owned(), scalar(1.0)), ("b".to_owned(), scalar(2.0))]).unwrap();
        let before = state.clone();
        assert!(matches!(state.rename("a", "b"), Err(Error::Duplicate { .. })));
        assert!(matches!(state.rename("a", ""), Err(Error::ReservedName { .. })));
        assert!(matches!(state.rename("c", "d"), Err(Error::NoSuchTensor { .. })));
        state.rename("a", "a").unwrap();
        assert_eq!(state, before);
        assert!(matches!(state.rename_all(|_| "x".to_owned()), Err(Error::Duplicate { .. })));
    }

    #[test]
    fn a_prefix_splits_off() {
        let mut state =
            StateDict::from_tensors([("p.a".to_owned(), scalar(1.0)), ("q".to_owned(), scalar(2.0))])
                .unwrap();
        let split = state.split_prefix("p.").unwrap();
        assert_eq!(split.names().collect::<Vec<_>>(), ["a"]);
        assert_eq!(state.names().collect::<Vec<_>>(), ["q"]);
    }
}
