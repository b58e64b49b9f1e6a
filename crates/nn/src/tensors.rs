//! The tensors of any module by path: reading, gradients, updates.
//!
//! Paths are those of the module's fields, as `residual.branch.up.weight`. A [`ResNet`](crate::ResNet)
//! has the same methods with canonical paths.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

use crate::fused::{FusedContext, with_last_values};

/// A tensor's path, shape and values, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Path.
    pub path: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<f32>,
}

impl NamedTensor {
    /// A tensor as numbers.
    pub fn read<const D: usize>(path: impl Into<String>, tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        // Every tensor of this crate is f32: the conversion is the identity.
        let values = tensor.into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
        Self { path: path.into(), shape, values }
    }
}

/// Parameters and running statistics of a module.
pub fn state<M: Module>(module: &M) -> Vec<NamedTensor> {
    collect(module, |path, parameter| Some(parameter.named(path)))
}

/// The gradient of every parameter that has one.
pub fn gradients<M: Module>(module: &M, gradients: &Gradients) -> Vec<NamedTensor> {
    collect(module, |path, parameter| parameter.gradient(path, gradients))
}

/// Calls `f(path, gradient)` for every parameter that has a gradient.
pub(crate) fn visit_gradients<M: Module>(module: &M, gradients: &Gradients, mut f: impl FnMut(&str, &[f32])) {
    collect(module, |path, parameter| {
        parameter.with_gradient(gradients, &mut |gradient| f(&path, gradient));
        None::<()>
    });
}

/// Replaces every parameter that has a gradient by `f(path, parameter, gradient)`, all three flat.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{Init, Linear, Mode, tensors};
/// let device = Device::flex().autodiff();
/// let layer = Linear::new(4, 2, Init::new(0, &device));
/// let loss = layer.forward(Tensor::<2>::ones([1, 4], &device), Mode::train(0, 0)).sum();
/// // One step of gradient descent.
/// let layer = tensors::update(layer, &loss.backward(), |_, value, gradient| value - gradient * 0.1);
/// # let _ = layer;
/// ```
pub fn update<M: Module>(
    module: M,
    gradients: &Gradients,
    f: impl FnMut(&str, Tensor<1>, Tensor<1>) -> Tensor<1>,
) -> M {
    module.map(&mut Updater { path: vec![], gradients, f })
}

/// Changes every parameter that has a gradient by `f(path, parameter, gradient)`, flat and in place: without
/// another copy of either where nobody else holds them.
pub fn update_in_place<M: Module>(
    module: M,
    gradients: Gradients,
    f: impl FnMut(&str, &mut [f32], &[f32]),
) -> M {
    module.map(&mut InPlace { path: vec![], gradients, context: None, f })
}

/// [`update_in_place`] of a module whose fused layers run in `context`, which keeps the gradients' memory.
pub(crate) fn update_in_context<M: Module>(
    module: M,
    gradients: Gradients,
    context: FusedContext,
    f: impl FnMut(&str, &mut [f32], &[f32]),
) -> M {
    module.map(&mut InPlace { path: vec![], gradients, context: Some(context), f })
}

/// Changes every trained parameter by `f(path, parameter)`, flat and in place.
pub(crate) fn change_in_place<M: Module>(module: M, f: impl FnMut(&str, &mut [f32])) -> M {
    module.map(&mut Changer { path: vec![], f })
}

struct Changer<F> {
    path: Vec<String>,
    f: F,
}

impl<F: FnMut(&str, &mut [f32])> ModuleMapper for Changer<F> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Running statistics are no parameters of a graph.
        if !parameter.val().is_require_grad() {
            return parameter;
        }
        with_values_mut(parameter, |values| (self.f)(&self.path.join("."), values))
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

/// Parameter whose values were changed in place: without another copy where nobody else holds them.
fn with_values_mut<const D: usize>(
    parameter: Param<Tensor<D>>,
    change: impl FnOnce(&mut [f32]),
) -> Param<Tensor<D>> {
    let (id, value, mapper) = parameter.consume();
    let (shape, device) = (value.dims(), value.device().inner());
    // Every tensor of this crate is f32: the conversion does not copy.
    let mut values = value.inner().into_data().try_into_vec::<f32>().unwrap_or_default();
    change(&mut values);
    let value = Tensor::from_data(TensorData::new(values, shape), &device);
    Param::from_mapped_value(id, Tensor::from_inner(value).require_grad(), mapper)
}

struct InPlace<F> {
    path: Vec<String>,
    gradients: Gradients,
    context: Option<FusedContext>,
    f: F,
}

impl<F: FnMut(&str, &mut [f32], &[f32])> ModuleMapper for InPlace<F> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = parameter.val().grad_remove(&mut self.gradients) else { return parameter };
        let path = self.path.join(".");
        with_values_mut(parameter, |values| {
            with_last_values(gradient, self.context.as_ref(), |gradient| (self.f)(&path, values, gradient));
        })
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

/// A parameter of any rank, borrowed from a module.
pub(crate) trait AnyParameter {
    fn named(&self, path: String) -> NamedTensor;
    fn gradient(&self, path: String, gradients: &Gradients) -> Option<NamedTensor>;
    fn with_gradient(&self, gradients: &Gradients, f: &mut dyn FnMut(&[f32]));
}

impl<const D: usize> AnyParameter for Param<Tensor<D>> {
    fn named(&self, path: String) -> NamedTensor {
        NamedTensor::read(path, self.val())
    }

    fn gradient(&self, path: String, gradients: &Gradients) -> Option<NamedTensor> {
        self.val().grad(gradients).map(|gradient| NamedTensor::read(path, gradient))
    }

    fn with_gradient(&self, gradients: &Gradients, f: &mut dyn FnMut(&[f32])) {
        if let Some(gradient) = self.val().grad(gradients) {
            with_last_values(gradient, None, f);
        }
    }
}

/// Results of `f` for every tensor, in the module's order.
pub(crate) fn collect<M: Module, T>(
    module: &M,
    f: impl FnMut(String, &dyn AnyParameter) -> Option<T>,
) -> Vec<T> {
    let mut collector = Collector { path: vec![], found: vec![], f };
    module.visit(&mut collector);
    collector.found
}

struct Collector<T, F> {
    path: Vec<String>,
    found: Vec<T>,
    f: F,
}

impl<T, F: FnMut(String, &dyn AnyParameter) -> Option<T>> ModuleVisitor for Collector<T, F> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.found.extend((self.f)(self.path.join("."), parameter));
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

struct Updater<'a, F> {
    path: Vec<String>,
    gradients: &'a Gradients,
    f: F,
}

impl<F: FnMut(&str, Tensor<1>, Tensor<1>) -> Tensor<1>> ModuleMapper for Updater<'_, F> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = parameter.val().grad(self.gradients) else { return parameter };
        let (id, value, mapper) = parameter.consume();
        let shape = value.dims();
        let n: usize = shape.iter().product();
        let updated = (self.f)(&self.path.join("."), value.inner().reshape([n]), gradient.reshape([n]));
        let value = Tensor::from_inner(updated.reshape(shape)).require_grad();
        Param::from_mapped_value(id, value, mapper)
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}
