//! The parameters of a unit as inputs of one operation of the graph.

use burn::backend::flex::FlexTensor;
use burn::module::Param;
use burn::tensor::Tensor;
use residual_kernels::block::{
    BlockGradients, BlockParameters, Input, LinkGradients, LinkParameters, Running, SqueezeGradients,
    SqueezeParameters,
};

use super::buffers::{Buffers, Floats, values};
use super::graph::{Inputs, constant};
use super::unit::Unit;
use crate::BatchNorm;

/// Parameters of a unit among an operation's inputs, after the first: weights, scale and shift of every convolution,
/// the projection last, then both layers of squeeze-and-excitation.
#[derive(Clone, Debug)]
pub(super) struct Operands {
    links: usize,
    /// Projection, if there is one, and the presence of its norm.
    projection: Option<bool>,
    squeezes: bool,
    eps: f32,
    /// Factor of every image's branch.
    depth: Option<Vec<f32>>,
}

impl Operands {
    pub(super) fn of(unit: &Unit<'_>) -> Self {
        Self {
            links: unit.convs.len(),
            projection: unit.projection.map(|(_, norm)| norm.is_some()),
            squeezes: unit.squeeze.is_some(),
            eps: unit.norms.first().map_or(0.0, |norm| norm.epsilon as f32),
            depth: unit.depth.clone(),
        }
    }

    /// Convolutions of the branch.
    pub(super) fn links(&self) -> usize {
        self.links
    }

    /// Calls `body` with the block's input and its parameters.
    pub(super) fn with<T>(&self, inputs: &[FlexTensor], body: impl FnOnce(&Input<'_>) -> T) -> T {
        let mut parts = inputs.iter().map(values);
        let mut next = || parts.next().unwrap_or(&[]);
        let x = next();
        let mut link = |normed: bool| {
            let weights = next();
            let [gamma, beta] = if normed { [next(), next()] } else { [&[][..]; 2] };
            LinkParameters { weights, gamma, beta }
        };
        let links: Vec<_> = (0..self.links).map(|_| link(true)).collect();
        let projection = self.projection.map(link);
        let squeeze =
            self.squeezes.then(|| SqueezeParameters { reduce: [next(), next()], expand: [next(), next()] });
        let parameters = BlockParameters { links: &links, projection, squeeze, eps: self.eps };
        body(&Input { x, parameters: &parameters, depth: self.depth.as_deref() })
    }

    /// Calls `body` with the gradients with respect to the parameters, which it fills, and gives them one by one. Not
    /// all links have all three: what is empty is no input.
    pub(super) fn gradients(
        &self,
        buffers: &Buffers,
        parameters: &BlockParameters<'_>,
        body: impl FnOnce(&mut BlockGradients<'_>),
    ) -> Vec<Floats> {
        let take = |values: &[f32]| buffers.take(values.len());
        let mut links: Vec<[Floats; 3]> =
            parameters.all_links().map(|link| [link.weights, link.gamma, link.beta].map(take)).collect();
        let layers = |by: &SqueezeParameters<'_>| [by.reduce, by.expand].map(|layer| layer.map(take));
        let mut squeeze = parameters.squeeze.as_ref().map(layers);
        body(&mut BlockGradients {
            links: links
                .iter_mut()
                .map(|[weights, gamma, beta]| LinkGradients { weights, gamma, beta })
                .collect(),
            squeeze: squeeze.as_mut().map(|layers| {
                let [reduce, expand] = layers.each_mut().map(|by| by.each_mut().map(|by| &mut by[..]));
                SqueezeGradients { reduce, expand }
            }),
        });
        let links = links.into_iter().flatten().filter(|by| !by.is_empty());
        links.chain(squeeze.into_iter().flatten().flatten()).collect()
    }
}

/// Calls `body` with the mean and the variance of every norm.
pub(super) fn with_running<T>(running: &[[FlexTensor; 2]], body: impl FnOnce(&[Running<'_>]) -> T) -> T {
    let running =
        running.iter().map(|[mean, variance]| Running { mean: values(mean), variance: values(variance) });
    body(&running.collect::<Vec<_>>())
}

impl Unit<'_> {
    /// Adds its parameters as inputs, of which each gets a gradient unless they are `frozen`.
    pub(super) fn push_parameters(&self, inputs: &mut Inputs, frozen: bool) {
        fn push<const D: usize>(inputs: &mut Inputs, parameter: &Param<Tensor<D>>, frozen: bool) {
            match frozen {
                true => inputs.push_constant(parameter.val()),
                false => inputs.push(parameter.val()),
            }
        }
        let norm = |inputs: &mut Inputs, norm: &BatchNorm| {
            [&norm.weight, &norm.bias].into_iter().for_each(|by| push(inputs, by, frozen));
        };
        for (conv, of) in self.convs.iter().zip(&self.norms) {
            push(inputs, &conv.weight, frozen);
            norm(inputs, of);
        }
        if let Some((conv, of)) = self.projection {
            push(inputs, &conv.weight, frozen);
            of.into_iter().for_each(|of| norm(inputs, of));
        }
        for layer in self.squeeze.iter().flat_map(|squeeze| [&squeeze.reduce, &squeeze.expand]) {
            push(inputs, &layer.weight, frozen);
            layer.bias.iter().for_each(|bias| push(inputs, bias, frozen));
        }
    }

    /// Norms of the unit, the projection's last.
    pub(super) fn all_norms(&self) -> impl Iterator<Item = &BatchNorm> {
        self.norms.iter().copied().chain(self.projection.and_then(|(_, norm)| norm))
    }

    /// The running mean and variance of every norm.
    pub(super) fn running(&self) -> Vec<[FlexTensor; 2]> {
        let of = |norm: &BatchNorm| [&norm.running_mean, &norm.running_var].map(|v| constant(v.value()));
        self.all_norms().map(of).collect()
    }
}
