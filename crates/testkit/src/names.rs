//! The names that tensors have in a golden file.

use std::collections::{BTreeMap, HashMap};

use residual_arch::names::{TensorName, block_names, names};
use residual_arch::{TensorSpec, block_tensors, tensors};

use crate::formula;
use crate::report::Computed;
use crate::rounding::Moved;
use crate::subject::Subject;

/// The names that the tensors of a network or block have in its golden file.
#[derive(Clone, Debug)]
pub struct Names {
    /// Tensors by canonical path: the shape of the implementation's tensor and the name and shape in the file.
    tensors: HashMap<String, (Vec<usize>, TensorName)>,
}

impl Names {
    /// Names of the tensors of `subject`.
    pub fn of(subject: &Subject) -> Self {
        match subject {
            Subject::Network(spec) => Self::new(tensors(spec), names(spec, spec.naming)),
            Subject::Block { block, in_channels } => {
                Self::new(block_tensors(block, *in_channels), block_names(block, *in_channels))
            }
        }
    }

    fn new(tensors: Vec<TensorSpec>, names: Vec<TensorName>) -> Self {
        let mut by_path: HashMap<String, TensorName> =
            names.into_iter().map(|name| (name.path.clone(), name)).collect();
        let named = tensors.into_iter().filter_map(|tensor| {
            let name = by_path.remove(&tensor.path)?;
            Some((tensor.path, (tensor.shape, name)))
        });
        Self { tensors: named.collect() }
    }

    /// Tensors by canonical path, filled by the formula under its name and shape in the file, biases moved.
    pub fn fill(&self, moved: &[Moved]) -> impl Iterator<Item = (String, Computed)> {
        self.tensors.iter().map(move |(path, (shape, name))| {
            let mut values = formula::tensor(&name.name, &name.shape);
            for moved in moved.iter().filter(|moved| moved.path == *path) {
                values[moved.channel] += moved.by;
            }
            (path.clone(), Computed { shape: shape.clone(), values })
        })
    }

    /// Tensors by canonical path under their names and shapes in the file.
    pub fn in_file(
        &self,
        tensors: impl IntoIterator<Item = (String, Computed)>,
    ) -> BTreeMap<String, Computed> {
        let rename = |(path, tensor): (String, Computed)| match self.tensors.get(&path) {
            Some((shape, name)) if *shape == tensor.shape => {
                (name.name.clone(), Computed { shape: name.shape.clone(), values: tensor.values })
            }
            // Left as it is, it shows in the report as unexpected.
            _ => (path, tensor),
        };
        tensors.into_iter().map(rename).collect()
    }

    /// The running statistics among `state`, as [`in_file`](Self::in_file).
    pub fn running(&self, state: impl IntoIterator<Item = (String, Computed)>) -> BTreeMap<String, Computed> {
        self.in_file(state.into_iter().filter(|(path, _)| path.contains(".running_")))
    }
}
