//! Channel attention with what follows it: `y = act(x gate(mean x) + residual)`.

use std::fmt::Debug;
use std::sync::Arc;

use residual_kernels::norm::{apply, apply_workspace};
use residual_kernels::{Cpu, Epilogue, Error as KernelError, Layout, MapsMut, MapsRef, pool};

use super::{Executable, Join, Operation, OperationMemory, Prepared, Site, single};

/// Factor of each channel of an image, from the means of its channels.
pub(crate) trait Gate: Debug + Send + Sync {
    /// Name of the attention, for people.
    fn name(&self) -> &'static str;

    /// Floats of workspace for one image.
    fn workspace(&self) -> usize;

    /// Computes the factors before their sigmoid, `[batch][channels]`, from the means.
    ///
    /// # Errors
    /// Those of the kernel.
    fn run(
        &self,
        cpu: &Cpu,
        batch: usize,
        means: &[f32],
        gates: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), KernelError>;
}

/// Channel attention with the addition and the ReLU behind it.
#[derive(Clone, Debug)]
pub(crate) struct ChannelAttention {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) relu: bool,
}

impl Operation for ChannelAttention {
    fn prepare(&self, site: &Site<'_>) -> Result<Prepared, KernelError> {
        let maps = site.maps;
        let join = Join { residual: maps.residual.as_ref().map(single).transpose()?, relu: self.relu };
        let image = ImageLayouts { input: single(&maps.input)?, output: single(&maps.output)? };
        let vectors = maps.input.batch() * (2 * maps.input.channels() + self.gate.workspace());
        let workspace = vectors + apply_workspace(&image.output);
        let gate = Arc::clone(&self.gate);
        Ok(Prepared::ready(workspace, ReadyAttention { gate, input: maps.input, image, join }))
    }
}

/// Layouts of one image.
#[derive(Clone, Copy, Debug)]
struct ImageLayouts {
    input: Layout,
    output: Layout,
}

#[derive(Debug)]
struct ReadyAttention {
    gate: Arc<dyn Gate>,
    /// Layout of the whole input.
    input: Layout,
    image: ImageLayouts,
    /// Join, with the residual's layout for one image.
    join: Join,
}

impl ReadyAttention {
    /// The factor of each channel of each image, and what is left of the workspace.
    fn gates<'w>(
        &self,
        cpu: &Cpu,
        x: &[f32],
        workspace: &'w mut [f32],
    ) -> Result<(&'w [f32], &'w mut [f32]), KernelError> {
        let (batch, channels) = (self.input.batch(), self.input.channels());
        let (means, workspace) = workspace.split_at_mut(batch * channels);
        let (gates, workspace) = workspace.split_at_mut(batch * channels);
        let (middle, workspace) = workspace.split_at_mut(batch * self.gate.workspace());
        pool::global_average(cpu, MapsRef::new(x, self.input), means)?;
        self.gate.run(cpu, batch, means, gates, middle)?;
        gates.iter_mut().for_each(|gate| *gate = 1.0 / (1.0 + (-*gate).exp()));
        Ok((gates, workspace))
    }
}

impl Executable for ReadyAttention {
    fn kernel(&self) -> String {
        self.join.describe(self.gate.name())
    }

    /// Multiplies in one pass over the maps after their means are known: the gates of an image are a scale by
    /// channel, as a batch norm's is.
    fn run(&self, cpu: &Cpu, memory: OperationMemory<'_>) -> Result<(), KernelError> {
        let OperationMemory { x, residual, y, workspace } = memory;
        let (gates, workspace) = self.gates(cpu, x, workspace)?;
        let (ImageLayouts { input, output }, Join { residual: added, relu }) = (self.image, self.join);
        for (n, gates) in gates.chunks_exact(self.input.channels()).enumerate() {
            let image = |layout: &Layout| n * layout.image()..(n + 1) * layout.image();
            let residual = residual.zip(added);
            let residual = residual.map(|(values, layout)| MapsRef::new(&values[image(&layout)], layout));
            let epilogue = Epilogue { scale: Some(gates), shift: None, residual, relu };
            apply(
                cpu,
                MapsRef::new(&x[image(&input)], input),
                &epilogue,
                MapsMut::new(&mut y[image(&output)], output),
                workspace,
            )?;
        }
        Ok(())
    }
}
