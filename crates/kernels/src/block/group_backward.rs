//! Gradients of a convolution, group by group: `dz`, then `dw = dz a^T` and `da = w^T dz`; with the first convolution
//! those of the shortcut.

use super::conv_layer::DataGradientWeights;
use super::convolve::Activations;
use super::groups::{GroupSlices, part, summed};
use super::norm::spread;
use super::parameters::BlockGradients;
use super::pass::BackwardPass;
use super::projection::ShortcutDataGradient;
use super::resources::{Operand, Resources};
use crate::norm::{Mask, Spread};
use crate::{Error, Layout, MapsRef};

/// Gradient with respect to the output `z` of a convolution, as it is made of the gradient behind the normalisation and
/// the ReLU that follow.
pub(super) struct ConvOutputGradient<'a> {
    /// Gradient behind the ReLU, of the whole batch; none where it is `g`.
    pub(super) behind: Option<&'a [f32]>,
    /// Layout of a group of it.
    pub(super) layout: Layout,
    pub(super) mask: Mask<'a>,
    /// Factors of the second pass; without them the gradient behind is that with respect to `z`.
    pub(super) factors: Option<&'a [f32]>,
}

/// Destination of the gradient with respect to a convolution's input.
pub(super) enum DataGradientTarget<'a> {
    /// Output of the normalisation before, whose sums are taken.
    Norm {
        index: usize,
        da: GroupSlices<'a>,
        sums: GroupSlices<'a>,
    },
    /// Input of the block.
    Input(GroupSlices<'a>),
    /// Input of the block, its gradient in place of `g`.
    OverG,
    Unwanted,
}

/// Gradient behind the join, `g = act'(y) dy`.
pub(super) enum JoinGradient<'a> {
    Read(&'a [f32]),
    /// Slice of each group, to be written over.
    Overwrite(GroupSlices<'a>),
}

/// The gradients of a convolution of the branch.
pub(super) struct ConvBackward<'a> {
    pub(super) pass: BackwardPass<'a>,
    pub(super) index: usize,
    pub(super) dz: ConvOutputGradient<'a>,
    pub(super) g: JoinGradient<'a>,
    /// Factors of the second pass through the projection's normalisation.
    pub(super) projection_factors: Option<&'a [f32]>,
    pub(super) target: DataGradientTarget<'a>,
}

/// Packed weights and the slices of the weight gradients of the groups.
#[derive(Clone, Copy)]
struct GroupWeights<'a> {
    packed: Option<DataGradientWeights<'a>>,
    dw: &'a GroupSlices<'a>,
}

impl ConvBackward<'_> {
    /// Computes the gradients group by group; those of the shortcut with the first convolution.
    pub(super) fn run(
        &self,
        on: &mut Resources<'_>,
        gradients: &mut BlockGradients<'_>,
    ) -> Result<(), Error> {
        let (pass, block) = (self.pass, self.pass.block);
        let (by_links, by_projection) = gradients.links.split_at_mut(block.links.len());
        let by_projection = by_projection.first_mut().filter(|_| self.index == 0);
        let by_projection = by_projection.map_or(&mut [][..], |by| &mut *by.weights);
        summed(on, &block.groups, by_links[self.index].weights, |on, dw| {
            summed(on, &block.groups, by_projection, |on, dw_projection| {
                self.with_weights(on, |on, packed, packed_projection| {
                    let task = Task {
                        of: self,
                        weights: GroupWeights { packed, dw },
                        projection: GroupWeights { packed: packed_projection, dw: dw_projection },
                    };
                    pass.block.groups.each(on, |on, group| task.run(on, group))
                })
            })
        })
    }

    /// Calls `body` with the packed weights of the convolution and of the projection, where they are wanted.
    fn with_weights<T>(
        &self,
        on: &mut Resources<'_>,
        body: impl FnOnce(
            &mut Resources<'_>,
            Option<DataGradientWeights<'_>>,
            Option<DataGradientWeights<'_>>,
        ) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (block, parameters) = (self.pass.block, self.pass.input.parameters);
        if matches!(self.target, DataGradientTarget::Unwanted) {
            return body(on, None, None);
        }
        let (layer, weights) = (&block.links[self.index], parameters.links[self.index].weights);
        layer.with_data_weights(on, weights, block.groups.count, |on, packed| {
            let Some(projection) = block.projection.as_ref().filter(|_| self.index == 0) else {
                return body(on, packed, None);
            };
            let weights = parameters.link(block.links.len()).weights;
            projection
                .layer
                .with_data_weights(on, weights, block.groups.count, |on, beside| body(on, packed, beside))
        })
    }
}

/// The gradients of a convolution, for one group after the other.
struct Task<'a> {
    of: &'a ConvBackward<'a>,
    weights: GroupWeights<'a>,
    projection: GroupWeights<'a>,
}

impl Task<'_> {
    fn run(&self, on: &mut Resources<'_>, group: usize) -> Result<(), Error> {
        let (of, pass, block) = (self.of, self.of.pass, self.of.pass.block);
        let (layer, layout) = (&block.links[of.index], block.y_of_group);
        let mut over = match &of.g {
            JoinGradient::Overwrite(slices) => Some(slices.take(group)),
            JoinGradient::Read(_) => None,
        };
        let g = match (&of.g, &over) {
            (JoinGradient::Read(g), _) => part(g, layout, group),
            (_, Some(over)) => MapsRef::new(over, layout),
            (_, None) => MapsRef::new(&[], layout),
        };
        let dz = self.dz(on, group, g)?;
        let from = Activations { x: pass.input.x, norms: &pass.tape.norms, written: &pass.tape.written };
        let a = block.conv_input(on, of.index, group, from)?;
        if !pass.frozen {
            layer.weight_gradient(on, &a, &dz, &mut self.weights.dw.take(group))?;
        }
        let shortcut = if of.index == 0 { self.shortcut(on, group, &a, g)? } else { None };
        a.release(on.scratch);
        let Some(packed) = self.weights.packed else {
            dz.release(on.scratch);
            return Ok(());
        };
        let residual = shortcut.as_ref().map(ShortcutDataGradient::maps);
        let mut fresh = None;
        match &of.target {
            DataGradientTarget::Unwanted => {}
            DataGradientTarget::Input(dx) => {
                layer.data_gradient(on, &dz, packed, residual, &mut dx.take(group))?;
            }
            DataGradientTarget::OverG => {
                let dx = fresh.insert(on.scratch.take(layer.layouts.dx.len()));
                layer.data_gradient(on, &dz, packed, residual, dx)?;
            }
            DataGradientTarget::Norm { index, da, sums } => {
                let mut da = da.take(group);
                layer.data_gradient(on, &dz, packed, residual, &mut da)?;
                if !pass.frozen {
                    self.norm_sums(on, group, *index, &da, &mut sums.take(group))?;
                }
            }
        }
        dz.release(on.scratch);
        shortcut.into_iter().for_each(|shortcut| shortcut.values.release(on.scratch));
        if let (Some(over), Some(dx)) = (&mut over, fresh) {
            over.copy_from_slice(&dx);
            on.scratch.give(dx);
        }
        Ok(())
    }

    /// `dz`, the gradient with respect to the output of the convolution.
    fn dz<'g>(&self, on: &mut Resources<'_>, group: usize, g: MapsRef<'g>) -> Result<Operand<'g>, Error>
    where
        Self: 'g,
    {
        let (of, layouts) = (&self.of.dz, self.of.pass.block.links[self.of.index].layouts);
        let dy = of.behind.map_or(g, |behind| part(behind, of.layout, group));
        let Some(factors) = of.factors else { return Ok(Operand::Borrowed(dy.values)) };
        let x = part(&self.of.pass.tape.written[self.of.index], layouts.output, group);
        spread(on, &Spread { x, dy, mask: of.mask, factors, residual: None }, layouts.dy)
    }

    /// `(dS/dx)^T g`, where it is added to the branch's gradient as that is stored; of the input `h` of the first
    /// convolution.
    fn shortcut<'g>(
        &self,
        on: &mut Resources<'_>,
        group: usize,
        h: &[f32],
        g: MapsRef<'g>,
    ) -> Result<Option<ShortcutDataGradient<'g>>, Error> {
        let (pass, block) = (self.of.pass, self.of.pass.block);
        let Some(projection) = &block.projection else {
            let wanted = self.weights.packed.is_some();
            return if wanted { block.shortcut_data_gradient(on, g) } else { Ok(None) };
        };
        let layouts = projection.layer.layouts;
        let dz = match self.of.projection_factors {
            Some(factors) => {
                let x = part(&pass.tape.projected, layouts.output, group);
                spread(on, &Spread { x, dy: g, mask: Mask::None, factors, residual: None }, layouts.dy)?
            }
            None => Operand::Borrowed(g.values),
        };
        let h = MapsRef::new(h, block.links[0].layouts.input);
        if !pass.frozen {
            projection.weight_gradient(on, h, &dz, &mut self.projection.dw.take(group))?;
        }
        let packed = self.projection.packed;
        let back = packed.map(|packed| projection.data_gradient(on, h.layout, &dz, packed)).transpose()?;
        dz.release(on.scratch);
        Ok(back)
    }

    /// Sums of the gradient of the normalisation before, while the maps that they are of are at hand.
    fn norm_sums(
        &self,
        on: &mut Resources<'_>,
        group: usize,
        norm: usize,
        da: &[f32],
        sums: &mut [f32],
    ) -> Result<(), Error> {
        let (pass, block) = (self.of.pass, self.of.pass.block);
        let z = match self.of.index.checked_sub(1) {
            Some(below) => part(&pass.tape.written[below], block.links[below].layouts.output, group),
            None => part(pass.input.x, block.x_of_group, group),
        };
        let (norm, layout) = (&pass.tape.norms[norm], block.links[self.of.index].layouts.dx);
        norm.gradient_sums(on, z, MapsRef::new(da, layout), norm.relu(), sums)
    }
}
