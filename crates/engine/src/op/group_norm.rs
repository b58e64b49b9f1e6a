//! Group norm with what follows it: `y = act(norm(x) + residual)`, one image after the other.

use std::sync::Arc;

use residual_kernels::norm::{BatchStatistics, apply, apply_workspace, moments};
use residual_kernels::{Cpu, Epilogue, Error as KernelError, Layout, MapsMut, MapsRef};

use super::{Executable, Join, Operation, OperationMemory, Prepared, Site, single};

/// PyTorch's, added to the variance.
const EPSILON: f64 = 1e-5;

/// Scale, shift and groups of a group norm (Wu and He 2018).
#[derive(Debug)]
pub(crate) struct GroupAffine {
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
    /// Number of groups, which divides the channels.
    pub(crate) groups: usize,
}

/// A group norm with the addition and the ReLU behind it.
#[derive(Debug)]
pub(crate) struct GroupNorm {
    pub(crate) affine: Arc<GroupAffine>,
    pub(crate) relu: bool,
}

impl Operation for GroupNorm {
    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        let maps = site.maps;
        let join = Join { residual: maps.residual.as_ref().map(single).transpose()?, relu: self.relu };
        let (input, output) = (single(&maps.input)?, single(&maps.output)?);
        let passes = BatchStatistics::workspace(&input).max(apply_workspace(&output));
        let workspace = 4 * input.channels() + passes;
        let (affine, batch) = (Arc::clone(&self.affine), maps.input.batch());
        Ok(Prepared::ready(workspace, ReadyGroupNorm { affine, batch, input, output, join }))
    }
}

#[derive(Debug)]
struct ReadyGroupNorm {
    affine: Arc<GroupAffine>,
    batch: usize,
    /// Layout of one image.
    input: Layout,
    /// Layout of one image.
    output: Layout,
    /// Join, with the residual's layout for one image.
    join: Join,
}

impl Executable for ReadyGroupNorm {
    fn kernel(&self) -> String {
        self.join.describe("group norm")
    }

    /// The moments of an image's channels in one pass, put together by group, and the norm in another.
    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        let OperationMemory { x, residual, y, workspace } = memory;
        let Self { input, output, join, .. } = self;
        let (vectors, workspace) = workspace.split_at_mut(4 * input.channels());
        let (by_channel, affine) = vectors.split_at_mut(2 * input.channels());
        let (mean, variance) = by_channel.split_at_mut(input.channels());
        let (scale, shift) = affine.split_at_mut(input.channels());
        for n in 0..self.batch {
            let image = |layout: &Layout| n * layout.image()..(n + 1) * layout.image();
            let x = &x[image(input)];
            let passes = &mut workspace[..BatchStatistics::workspace(input)];
            moments(cpu, x, *input, [mean, variance], passes)?;
            self.affine.fold([mean, variance], [scale, shift]);
            let residual = residual.zip(join.residual);
            let residual = residual.map(|(values, layout)| MapsRef::new(&values[image(&layout)], layout));
            let epilogue = Epilogue { scale: Some(scale), shift: Some(shift), residual, relu: join.relu };
            let y = MapsMut::new(&mut y[image(output)], *output);
            apply(cpu, MapsRef::new(x, *input), &epilogue, y, &mut workspace[..apply_workspace(output)])?;
        }
        Ok(())
    }
}

impl GroupAffine {
    /// Scale and shift of each channel from the moments of an image's channels, which all have as many pixels:
    /// `mean = sum mean_c / n`, `var = sum (var_c + (mean_c - mean)^2) / n` over the `n` channels of a group.
    fn fold(&self, [means, variances]: [&[f32]; 2], [scale, shift]: [&mut [f32]; 2]) {
        let each = (self.gamma.len() / self.groups).max(1);
        for first in (0..self.gamma.len()).step_by(each) {
            let channels = first..first + each;
            let mean_of = |c: usize| f64::from(means[c]);
            let mean = channels.clone().map(mean_of).sum::<f64>() / each as f64;
            let around = |c: usize| f64::from(variances[c]) + (mean_of(c) - mean).powi(2);
            let variance = channels.clone().map(around).sum::<f64>() / each as f64;
            for c in channels {
                let factor = f64::from(self.gamma[c]) / (variance + EPSILON).sqrt();
                scale[c] = factor as f32;
                shift[c] = (f64::from(self.beta[c]) - mean * factor) as f32;
            }
        }
    }
}
