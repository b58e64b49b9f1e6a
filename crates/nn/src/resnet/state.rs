//! The tensors of a network by canonical path.

use std::collections::HashMap;

use burn::tensor::{Gradients, Tensor};
use residual_arch::{LayerTensor, NetSpec, Place, Role, TensorPath, TensorSpec, block_tensors};

use super::paths::canonical;
use crate::{Block, BlockConfig, Error, Init, NamedTensor, ResNet, ResNetConfig, tensors};

/// A trainable parameter of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Canonical path.
    pub path: String,
    /// Part of the network that holds its layer: the stem, a block or the head.
    pub place: Place,
    /// Shape.
    pub shape: Vec<usize>,
    /// Role; [`Role::decays`] says whether weight decay is for it.
    pub role: Role,
    /// True where its layer is frozen.
    pub frozen: bool,
}

impl ResNet {
    /// Tensors, parameters and running statistics, in the order of [`residual_arch::tensors`].
    pub fn state(&self) -> Vec<NamedTensor> {
        in_order(self.spec.tensors(), tensors::state(self))
    }

    /// Replaces every tensor: exactly those of [`residual_arch::tensors`], in any order. Frozen layers
    /// stay frozen.
    ///
    /// # Errors
    /// If the tensors do not fit; all that do not are listed, and the network stays as it is.
    pub fn load(&mut self, tensors: impl IntoIterator<Item = NamedTensor>) -> Result<(), Error> {
        let device = self.device();
        let mut loaded = ResNetConfig::new(self.spec.clone()).init_with(tensors, &device)?;
        loaded.copy_frozen(self);
        loaded.set_compute(self.compute());
        loaded.freeze_statistics(self.statistics_are_frozen());
        if self.norms_are_bypassed() {
            loaded.bypass_norms();
        }
        *self = loaded;
        Ok(())
    }

    /// Trainable parameters, in the order of [`residual_arch::tensors`].
    pub fn parameters(&self) -> Vec<Parameter> {
        self.parameters_by_path().map(|(_, parameter)| parameter).collect()
    }

    fn parameters_by_path(&self) -> impl Iterator<Item = (TensorPath, Parameter)> {
        let parameters = self.spec.tensors().filter(|(_, tensor)| tensor.role.is_parameter());
        parameters.filter_map(|(path, LayerTensor { shape, role, .. })| {
            // Every layer of a network has its place; a block by itself has none.
            let place = path.layer.place()?;
            let frozen = self.is_frozen(place);
            Some((path, Parameter { path: path.to_string(), place, shape, role, frozen }))
        })
    }

    /// Number of parameters, without the running statistics.
    ///
    /// Of an optional module, Burn's own count (`Module::num_params`, where it is asked of a module as a `Module`)
    /// takes every tensor that is saved for a parameter.
    pub fn num_params(&self) -> usize {
        self.parameters().iter().map(|parameter| parameter.shape.iter().product::<usize>()).sum()
    }

    /// The gradient of every parameter that has one: frozen layers have none.
    pub fn gradients(&self, gradients: &Gradients) -> Vec<NamedTensor> {
        in_order(self.spec.tensors(), tensors::gradients(self, gradients))
    }

    /// Calls `f(parameter, gradient)` for every parameter that has a gradient, from the stem to the head, without a
    /// copy of either.
    pub fn visit_gradients(&self, gradients: &Gradients, mut f: impl FnMut(&Parameter, &[f32])) {
        let parameters: HashMap<_, _> = self.parameters_by_path().collect();
        tensors::visit_gradients(self, gradients, |path, gradient| {
            if let Some(parameter) = canonical(path).and_then(|path| parameters.get(&path)) {
                f(parameter, gradient);
            }
        });
    }

    /// Replaces every parameter that has a gradient by `f(parameter, value, gradient)`, values and
    /// gradients flat and without autodiff.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use residual_nn::{Mode, SmallResNetConfig, cross_entropy};
    /// let device = Device::flex().autodiff();
    /// let small = SmallResNetConfig::new(10).init(&device)?;
    /// let logits = small.forward(Tensor::ones([2, 3, 8, 8], &device), Mode::train(0, 0));
    /// let gradients = cross_entropy(logits, &[3, 7], 0.0)?.backward();
    /// // One step of gradient descent, weight decay on weights proper alone.
    /// let net = small.net.update(&gradients, |parameter, value, gradient| {
    ///     let decay = if parameter.role.decays() { 1e-4 } else { 0.0 };
    ///     value.clone() - (gradient + value * decay) * 0.1
    /// });
    /// # let _ = net;
    /// # Ok::<(), residual_nn::Error>(())
    /// ```
    pub fn update(
        self,
        gradients: &Gradients,
        mut f: impl FnMut(&Parameter, Tensor<1>, Tensor<1>) -> Tensor<1>,
    ) -> Self {
        let parameters: HashMap<_, _> = self.parameters_by_path().collect();
        tensors::update(self, gradients, |path, value, gradient| {
            match canonical(path).and_then(|path| parameters.get(&path)) {
                Some(parameter) => f(parameter, value, gradient),
                None => value,
            }
        })
    }

    /// [`update`](Self::update) by `f(parameter, values, gradient)` in place, for an optimiser on the CPU.
    pub fn update_in_place(
        &mut self,
        gradients: Gradients,
        mut f: impl FnMut(&Parameter, &mut [f32], &[f32]),
    ) {
        let parameters: HashMap<_, _> = self.parameters_by_path().collect();
        // The blocks change hands: parameters that two networks share would have to be copied.
        let stages = std::mem::take(&mut self.stages);
        let network = Self { stages, ..self.clone() };
        let context = network.context().clone();
        *self = tensors::update_in_context(network, gradients, context, |path, values, gradient| {
            if let Some(parameter) = canonical(path).and_then(|path| parameters.get(&path)) {
                f(parameter, values, gradient);
            }
        });
    }

    /// Changes parameters by `f(parameter, values)` in place.
    pub fn change_parameters(&mut self, mut f: impl FnMut(&Parameter, &mut [f32])) {
        let parameters: HashMap<_, _> = self.parameters_by_path().collect();
        let stages = std::mem::take(&mut self.stages);
        let network = Self { stages, ..self.clone() };
        *self = tensors::change_in_place(network, |path, values| {
            if let Some(parameter) = canonical(path).and_then(|path| parameters.get(&path)) {
                f(parameter, values);
            }
        });
    }

    fn copy_frozen(&mut self, other: &Self) {
        self.stem.training = other.stem.training.clone();
        self.head.training = other.head.training.clone();
        let blocks = self.stages.iter_mut().flat_map(|stage| &mut stage.blocks);
        for (block, other) in blocks.zip(other.stages.iter().flat_map(|stage| &stage.blocks)) {
            block.training = other.training.clone();
        }
    }
}

impl BlockConfig {
    /// Builds a block with the given tensors: exactly those of [`residual_arch::block_tensors`].
    ///
    /// # Errors
    /// If the block is not sound, or the tensors do not fit it; all that do not are listed.
    pub fn init_with(
        &self,
        tensors: impl IntoIterator<Item = NamedTensor>,
        device: &burn::tensor::Device,
    ) -> Result<Block, Error> {
        let checked = crate::error::check_block(&self.spec, self.in_channels)?;
        let tensors = matching(&block_tensors(&self.spec, self.in_channels), tensors)?;
        Block::build(&self.spec, checked.layers(), &Init::from_tensors(tensors, device))
    }
}

impl Block {
    /// Tensors, in the order of [`residual_arch::block_tensors`].
    pub fn state(&self) -> Vec<NamedTensor> {
        in_order(self.spec().tensors(self.in_channels()), tensors::state(self))
    }

    /// Number of parameters, as [`ResNet::num_params`] counts them.
    pub fn num_params(&self) -> usize {
        let tensors = self.spec().tensors(self.in_channels()).map(|(_, tensor)| tensor);
        let parameters = tensors.filter(|tensor| tensor.role.is_parameter());
        parameters.map(|tensor| tensor.shape.iter().product::<usize>()).sum()
    }

    /// The gradient of every parameter.
    pub fn gradients(&self, gradients: &Gradients) -> Vec<NamedTensor> {
        in_order(self.spec().tensors(self.in_channels()), tensors::gradients(self, gradients))
    }
}

/// The tensors under their canonical paths, in the specification's order.
fn in_order(
    specs: impl Iterator<Item = (TensorPath, LayerTensor)>,
    found: Vec<NamedTensor>,
) -> Vec<NamedTensor> {
    let by_path = |tensor: NamedTensor| Some((canonical(&tensor.path)?, tensor));
    let mut found: HashMap<TensorPath, NamedTensor> = found.into_iter().filter_map(by_path).collect();
    let named = |path: TensorPath, tensor| NamedTensor { path: path.to_string(), ..tensor };
    specs.filter_map(|(path, _)| found.remove(&path).map(|tensor| named(path, tensor))).collect()
}

/// The tensors by path, if they are exactly those of the network.
pub(super) fn checked(
    spec: &NetSpec,
    tensors: impl IntoIterator<Item = NamedTensor>,
) -> Result<HashMap<String, NamedTensor>, Error> {
    matching(&residual_arch::tensors(spec), tensors)
}

fn matching(
    specs: &[TensorSpec],
    tensors: impl IntoIterator<Item = NamedTensor>,
) -> Result<HashMap<String, NamedTensor>, Error> {
    let wanted: HashMap<_, _> = specs.iter().map(|spec| (spec.path.as_str(), spec)).collect();
    let (mut found, mut unexpected, mut misshapen) = (HashMap::new(), vec![], vec![]);
    for tensor in tensors {
        let Some(spec) = wanted.get(tensor.path.as_str()) else {
            unexpected.push(tensor.path);
            continue;
        };
        if tensor.shape != spec.shape {
            misshapen.push((tensor.path.clone(), spec.shape.clone(), tensor.shape.clone()));
        } else if tensor.values.len() != tensor.shape.iter().product::<usize>() {
            misshapen.push((tensor.path.clone(), spec.shape.clone(), vec![tensor.values.len()]));
        }
        if let Some(twice) = found.insert(tensor.path.clone(), tensor) {
            unexpected.push(twice.path);
        }
    }
    let missing = specs.iter().filter(|spec| !found.contains_key(&spec.path));
    let missing: Vec<String> = missing.map(|spec| spec.path.clone()).collect();
    if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
        Ok(found)
    } else {
        Err(Error::Tensors { missing, unexpected, misshapen })
    }
}
