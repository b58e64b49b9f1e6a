//! Tensors from one scheme of names to another.

use std::collections::HashMap;

use residual_arch::names::{TensorName, names};
use residual_arch::{Naming, NetSpec};

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::matching::match_tensors;
use crate::quantised_description::QUANTISED;
use crate::scheme::scheme;
use crate::state_dict::StateDict;

impl StateDict {
    /// Names the tensors of `spec` as a scheme does, whichever named them before. Metadata and the counters of batches
    /// are kept, and no element is copied.
    ///
    /// # Errors
    /// [`Error::Mismatch`] and [`Error::Integers`] unless they are the network's.
    pub fn renamed(self, spec: &NetSpec, naming: Naming) -> Result<Self, Error> {
        let source = names(spec, scheme(spec, &self));
        let expected: Vec<_> =
            source.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
        match_tensors(&expected, &self)?;
        let targets = names(spec, naming);
        // Both lists are in the network's order.
        let pairs = source.into_iter().map(|tensor| tensor.name).zip(&targets);
        let new_names: HashMap<String, &TensorName> = pairs.collect();
        let mut result = Self::new();
        result.metadata.clone_from(&self.metadata);
        for (name, tensor) in self.into_tensors() {
            match new_names.get(&name) {
                // A linear layer may be a 1x1 convolution in the other scheme: the same values.
                Some(target) => result.insert(&target.name, tensor.reshaped(target.shape.clone())?)?,
                None => result.insert(counter_name(&name, &new_names), tensor)?,
            }
        }
        Ok(result)
    }

    /// Checks that no tensor is stored as integers, but for the counters of batches: those of a quantised network mean
    /// nothing without their scales.
    ///
    /// # Errors
    /// [`Error::Integers`].
    pub fn check_floats(&self) -> Result<(), Error> {
        let all: Vec<_> =
            self.iter().map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec())).collect();
        match_tensors(&all, self)
    }
}

impl Checkpoint {
    /// The checkpoint with its tensors named as a scheme does, and a description that says so.
    ///
    /// # Errors
    /// Those of [`StateDict::renamed`]; [`Error::InEightBits`].
    pub fn renamed(self, naming: Naming) -> Result<Self, Error> {
        if self.tensors.metadata.contains_key(QUANTISED) {
            return Err(Error::InEightBits);
        }
        let tensors = self.tensors.renamed(&self.spec, naming)?;
        let spec = self.spec.with(|net| net.naming = naming);
        Ok(Self { spec, tensors, ..self })
    }
}

/// The new name of a batch norm's `num_batches_tracked`, the only tensor that networks do without: that of
/// its neighbour `running_mean`.
fn counter_name(name: &str, new_names: &HashMap<String, &TensorName>) -> String {
    let renamed = || {
        let layer = name.strip_suffix("num_batches_tracked")?;
        let neighbour = new_names.get(&format!("{layer}running_mean"))?;
        Some(format!("{}num_batches_tracked", neighbour.name.strip_suffix("running_mean")?))
    };
    renamed().unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use residual_arch::families::family;

    use super::*;
    use crate::tensor::Tensor;

    fn state(spec: &NetSpec, naming: Naming) -> StateDict {
        let tensors = names(spec, naming).into_iter().enumerate().map(|(index, tensor)| {
            let count = tensor.shape.iter().product();
            (tensor.name, Tensor::new(tensor.shape, vec![index as f32; count]).unwrap())
        });
        StateDict::from_tensors(tensors).unwrap()
    }

    #[test]
    fn every_scheme_leads_to_every_other_and_back() {
        let all = [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential];
        let spec = family("cifar_preact20").unwrap();
        for from in all {
            for to in all {
                let there = state(&spec, from).renamed(&spec, to).unwrap();
                assert_eq!(there, state(&spec, to), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn counters_move_with_their_layer() {
        let spec = family("cifar_resnet20").unwrap();
        let mut cifar = state(&spec, Naming::Cifar);
        cifar.insert("bn1.num_batches_tracked", Tensor::new(vec![], vec![7.0]).unwrap()).unwrap();
        let sequential = cifar.renamed(&spec, Naming::Sequential).unwrap();
        assert_eq!(sequential.get("stem.1.num_batches_tracked").unwrap().data(), [7.0]);
    }

    #[test]
    fn another_networks_tensors_are_refused() {
        let other = state(&family("cifar_resnet32").unwrap(), Naming::Cifar);
        let error = other.renamed(&family("cifar_resnet20").unwrap(), Naming::Timm).unwrap_err();
        assert!(error.to_string().contains("unexpected"), "{error}");
    }
}
