//! The parameters of a block and the gradients with respect to them.

use super::plan::Block;
use super::shape::wrong;
use crate::layout::check_length;
use crate::{Error, Layout};

/// The parameters of a convolution and of the normalisation that goes with it: after the convolution in
/// post-activation, before it in pre-activation.
#[derive(Clone, Copy, Debug)]
pub struct LinkParameters<'a> {
    /// `[out_channels][in_channels / groups][rows][columns]`
    pub weights: &'a [f32],
    /// Scale of each normalised channel; empty where there is no normalisation.
    pub gamma: &'a [f32],
    /// Shift of each normalised channel; empty where there is no normalisation.
    pub beta: &'a [f32],
}

/// The parameters of squeeze-and-excitation: two linear layers, each with a bias.
#[derive(Clone, Copy, Debug)]
pub struct SqueezeParameters<'a> {
    /// `[middle][channels]` and `[middle]`.
    pub reduce: [&'a [f32]; 2],
    /// `[channels][middle]` and `[channels]`.
    pub expand: [&'a [f32]; 2],
}

/// The parameters of a block.
#[derive(Clone, Copy, Debug)]
pub struct BlockParameters<'a> {
    /// Convolutions of the branch, from the input on.
    pub links: &'a [LinkParameters<'a>],
    /// Projection, where there is one; it has no normalisation in pre-activation.
    pub projection: Option<LinkParameters<'a>>,
    /// Squeeze-and-excitation, where there is one.
    pub squeeze: Option<SqueezeParameters<'a>>,
    /// Epsilon, which normalisations add to the variance.
    pub eps: f32,
}

impl<'a> BlockParameters<'a> {
    /// Parameters of the convolutions, the projection's last.
    pub fn all_links(&self) -> impl Iterator<Item = &LinkParameters<'a>> {
        self.links.iter().chain(&self.projection)
    }

    /// Parameters of convolution `index`, the projection last.
    pub(super) fn link(&self, index: usize) -> &LinkParameters<'a> {
        self.links.get(index).or(self.projection.as_ref()).expect("the parameters were checked")
    }
}

/// Gradients with respect to [`LinkParameters`], of the same lengths.
#[derive(Debug)]
pub struct LinkGradients<'a> {
    /// Gradient with respect to the weights.
    pub weights: &'a mut [f32],
    /// Gradient with respect to the scale of each normalised channel.
    pub gamma: &'a mut [f32],
    /// Gradient with respect to the shift of each normalised channel.
    pub beta: &'a mut [f32],
}

/// Gradients with respect to [`SqueezeParameters`], of the same lengths.
#[derive(Debug)]
pub struct SqueezeGradients<'a> {
    /// Gradients with respect to the first layer's weights and bias.
    pub reduce: [&'a mut [f32]; 2],
    /// Gradients with respect to the second layer's weights and bias.
    pub expand: [&'a mut [f32]; 2],
}

/// Gradients with respect to the parameters of a block.
#[derive(Debug)]
pub struct BlockGradients<'a> {
    /// Parameters of the convolutions, the projection's last.
    pub links: Vec<LinkGradients<'a>>,
    /// Gradients of squeeze-and-excitation.
    pub squeeze: Option<SqueezeGradients<'a>>,
}

impl Block {
    /// Checks the parameters against the block.
    pub(super) fn check_parameters(&self, parameters: &BlockParameters<'_>) -> Result<(), Error> {
        let parts = |links: usize, projection: bool, squeeze: bool| {
            format!("{links} convolutions, a projection: {projection}, a squeeze: {squeeze}")
        };
        let wanted = parts(self.links.len(), self.projection.is_some(), self.squeeze.is_some());
        let found =
            parts(parameters.links.len(), parameters.projection.is_some(), parameters.squeeze.is_some());
        if wanted != found {
            return Err(wrong(format!("it has {wanted}; the parameters are for {found}")));
        }
        for (index, (layer, link)) in self.convs().zip(parameters.all_links()).enumerate() {
            check_length(
                "a convolution's weights",
                layer.forward.conv.shape().weights(),
                link.weights.len(),
            )?;
            let channels = self.normalised.get(index).map_or(0, Layout::channels);
            check_length("a normalisation's scale", channels, link.gamma.len())?;
            check_length("a normalisation's shift", channels, link.beta.len())?;
        }
        if let (Some(middle), Some(squeeze)) = (self.squeeze, &parameters.squeeze) {
            let channels = self.y.channels();
            for (weights, bias, outs) in [
                (squeeze.reduce[0], squeeze.reduce[1], middle),
                (squeeze.expand[0], squeeze.expand[1], channels),
            ] {
                check_length("the squeeze's weights", middle * channels, weights.len())?;
                check_length("the squeeze's bias", outs, bias.len())?;
            }
        }
        Ok(())
    }

    /// Checks the gradients against the parameters, which were checked.
    pub(super) fn check_gradients(
        &self,
        parameters: &BlockParameters<'_>,
        gradients: &BlockGradients<'_>,
    ) -> Result<(), Error> {
        check_length("the gradients' convolutions", self.convs().count(), gradients.links.len())?;
        for (found, wanted) in gradients.links.iter().zip(parameters.all_links()) {
            check_length(
                "the gradient with respect to the weights",
                wanted.weights.len(),
                found.weights.len(),
            )?;
            check_length("the gradient with respect to a scale", wanted.gamma.len(), found.gamma.len())?;
            check_length("the gradient with respect to a shift", wanted.beta.len(), found.beta.len())?;
        }
        let squeezes = [parameters.squeeze.is_some(), gradients.squeeze.is_some()].map(usize::from);
        check_length("the gradients with respect to a squeeze", squeezes[0], squeezes[1])
    }
}
