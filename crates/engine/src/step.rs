//! One operation on a batch of one size, ready to run.

use residual_kernels::eltwise::zero_pad;
use residual_kernels::linear::Linear;
use residual_kernels::norm::{apply, apply_workspace};
use residual_kernels::pool::{self, Pooling};
use residual_kernels::{
    Algorithm, Conv, ConvShape, ConvWeights, Cpu, Epilogue, Error as KernelError, Layout,
};

use crate::graph::{Dense, Map, Node, Op};

/// The sizes of a convolution on `batch` images of the map `from`.
pub(crate) fn conv_shape(conv: &residual_arch::Convolution, from: &Map, batch: usize) -> ConvShape {
    ConvShape {
        batch,
        in_channels: conv.in_channels,
        out_channels: conv.out_channels,
        size: from.size,
        kernel: [conv.kernel; 2],
        stride: [conv.stride; 2],
        padding: [conv.padding; 2],
        dilation: [1; 2],
        groups: conv.groups,
    }
}

/// The weights of a convolution packed for its algorithm, shared by the steps of all batch sizes.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(crate) weights: ConvWeights,
    pub(crate) bias: Option<Vec<f32>>,
}

/// What an operation needs to know of the batch's size and of the maps' layouts.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    from: Layout,
    to: Layout,
    residual: Option<Layout>,
    work: Work,
}

#[derive(Clone, Debug)]
enum Work {
    Conv(Box<Conv>),
    Normalise,
    MaxPool(Pooling),
    AveragePool(Pooling),
    ZeroPad,
    /// One image of the input, of the output and of the residual.
    Excite([Layout; 2], Option<Layout>),
}

/// The memory that a step runs on.
pub(crate) struct Memory<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) residual: Option<&'a [f32]>,
    pub(crate) y: &'a mut [f32],
    pub(crate) workspace: &'a mut [f32],
}

impl Step {
    /// `layout` gives the layout of a map, `algorithm` is a convolution's.
    pub(crate) fn new(
        cpu: &Cpu,
        node: &Node,
        algorithm: Option<Algorithm>,
        layout: impl Fn(usize) -> Result<Layout, KernelError>,
    ) -> Result<Self, KernelError> {
        let (from, to) = (layout(node.input)?, layout(node.output)?);
        let residual = node.op.residual().map(layout).transpose()?;
        let size = [from.height(), from.width()];
        let work = match &node.op {
            Op::Conv { conv, .. } => {
                let shape = conv_shape(conv, &Map { channels: from.channels(), size }, from.batch());
                Work::Conv(Box::new(match algorithm {
                    Some(algorithm) => Conv::with_algorithm(cpu, shape, from, to, algorithm)?,
                    None => Conv::new(cpu, shape, from, to)?,
                }))
            }
            Op::Normalise(_) => Work::Normalise,
            Op::MaxPool(pool) => {
                let square = |side| [side; 2];
                let (kernel, stride) = (square(pool.kernel), square(pool.stride));
                Work::MaxPool(Pooling::windows(size, kernel, stride, square(pool.padding))?)
            }
            Op::AveragePool { stride } => {
                Work::AveragePool(Pooling::overhanging(size, [2; 2], [*stride; 2])?)
            }
            Op::ZeroPad { .. } => Work::ZeroPad,
            Op::Excite { .. } => {
                Work::Excite([one(&from)?, one(&to)?], residual.as_ref().map(one).transpose()?)
            }
        };
        Ok(Self { from, to, residual, work })
    }

    /// Images at a time.
    pub(crate) fn batch(&self) -> usize {
        self.from.batch()
    }

    /// Floats of workspace.
    pub(crate) fn workspace(&self, cpu: &Cpu, op: &Op) -> usize {
        match (&self.work, op) {
            (Work::Conv(conv), _) => conv.workspace(cpu),
            (Work::Normalise, _) => apply_workspace(&self.to),
            (Work::Excite([_, to], _), Op::Excite { reduce, .. }) => {
                self.from.batch() * (2 * self.from.channels() + reduce.outs) + apply_workspace(to)
            }
            _ => 0,
        }
    }

    /// The convolution, of which the weights are packed.
    pub(crate) fn conv(&self) -> Option<&Conv> {
        match &self.work {
            Work::Conv(conv) => Some(conv),
            _ => None,
        }
    }

    /// What it runs, for people.
    pub(crate) fn kernel(&self) -> String {
        match &self.work {
            Work::Conv(conv) => conv.algorithm().to_string(),
            Work::Normalise => "batch norm and ReLU".into(),
            Work::MaxPool(_) => "max pool".into(),
            Work::AveragePool(_) => "average pool".into(),
            Work::ZeroPad => "zero-padded copy".into(),
            Work::Excite(..) => "squeeze and excite".into(),
        }
    }

    /// Multiplications and additions that a direct computation takes.
    pub(crate) fn operations(&self) -> f64 {
        self.conv().and_then(|conv| conv.shape().operations().ok()).unwrap_or(0.0)
    }

    /// Computes the output.
    pub(crate) fn run(
        &self,
        cpu: &Cpu,
        op: &Op,
        packed: Option<&Packed>,
        memory: Memory<'_>,
    ) -> Result<(), KernelError> {
        let Memory { x, residual, y, workspace } = memory;
        let (x, y) = ((x, self.from), (y, self.to));
        match (&self.work, op) {
            (Work::Conv(conv), Op::Conv { join, .. }) => {
                let Some(packed) = packed else { return Err(foreign()) };
                let epilogue = Epilogue {
                    scale: None,
                    shift: packed.bias.as_deref(),
                    residual: residual.zip(self.residual),
                    relu: join.relu,
                };
                conv.forward(cpu, x.0, &packed.weights, &epilogue, None, y.0, workspace)
            }
            (Work::Normalise, Op::Normalise(affine)) => {
                let (scale, shift) = (Some(&affine.scale[..]), Some(&affine.shift[..]));
                let epilogue = Epilogue { scale, shift, residual: None, relu: true };
                apply(cpu, x, &epilogue, y, workspace)
            }
            (Work::MaxPool(pooling), _) => pool::maximum(cpu, pooling, x, y),
            (Work::AveragePool(pooling), _) => pool::average(cpu, pooling, x, y),
            (Work::ZeroPad, Op::ZeroPad { stride, before }) => zero_pad(cpu, x, *stride, *before, y),
            (Work::Excite(one, shortcut), Op::Excite { reduce, expand, join }) => {
                let residual = residual.zip(*shortcut);
                excite(cpu, x, [reduce, expand], (residual, join.relu), (y.0, *one), workspace)
            }
            _ => Err(foreign()),
        }
    }
}

/// The layout of a single image.
fn one(layout: &Layout) -> Result<Layout, KernelError> {
    Layout::blocked(1, layout.channels(), layout.height(), layout.width())?.with_border(layout.border())
}

/// A step was run with another step's operation.
fn foreign() -> KernelError {
    KernelError::Shape { what: "a step".into(), reason: "the operation is another step's".into() }
}

/// Squeeze-and-excitation with what follows it, one pass over the maps after their means are known: the gates
/// of an image are a scale by channel, as a batch norm's is.
fn excite(
    cpu: &Cpu,
    (x, maps): (&[f32], Layout),
    [reduce, expand]: [&Dense; 2],
    (residual, relu): (Option<(&[f32], Layout)>, bool),
    (y, [from, to]): (&mut [f32], [Layout; 2]),
    workspace: &mut [f32],
) -> Result<(), KernelError> {
    let (batch, channels) = (maps.batch(), maps.channels());
    let (means, workspace) = workspace.split_at_mut(batch * channels);
    let (gates, workspace) = workspace.split_at_mut(batch * channels);
    let (middle, workspace) = workspace.split_at_mut(batch * reduce.outs);
    pool::global_average(cpu, (x, maps), means)?;
    reduce.forward(cpu, batch, means, middle)?;
    // `max` would turn a NaN into 0.
    middle.iter_mut().filter(|value| **value < 0.0).for_each(|value| *value = 0.0);
    expand.forward(cpu, batch, middle, gates)?;
    gates.iter_mut().for_each(|gate| *gate = 1.0 / (1.0 + (-*gate).exp()));
    for (n, gates) in gates.chunks_exact(channels).enumerate() {
        let image = |layout: &Layout| n * layout.image()..(n + 1) * layout.image();
        let residual = residual.map(|(values, layout)| (&values[image(&layout)], layout));
        let epilogue = Epilogue { scale: Some(gates), shift: None, residual, relu };
        apply(cpu, (&x[image(&from)], from), &epilogue, (&mut y[image(&to)], to), workspace)?;
    }
    Ok(())
}

impl Dense {
    /// `y = x W^T + b` for `batch` rows.
    pub(crate) fn forward(
        &self,
        cpu: &Cpu,
        batch: usize,
        x: &[f32],
        y: &mut [f32],
    ) -> Result<(), KernelError> {
        let layer = Linear { batch, ins: self.ins, outs: self.outs };
        layer.forward(cpu, x, &self.weights, &self.bias, y)
    }
}
