//! A plan between maps and its packed weights: what the convolution and the gradient with respect to its input have
//! in common.

use std::sync::Arc;

use super::ConvShape;
use super::kernel::KernelView;
use super::method::{Convolution, Operands, Plan, Prepare, Workers};
use super::select::Choice;
use super::sums::Sums;
use super::table::Algorithm;
use crate::gemm::{Epilogue, Finish};
use crate::layout::{check_length, workspace as floats};
use crate::simd::BLOCK;
use crate::{Buffer, Cpu, Error, Isa, Layout, Pool};

/// A [`Plan`] with the layouts of its maps.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    plan: Arc<dyn Plan>,
    /// Layouts of the convolution that it computes; its channels are those of the maps that are read and written.
    shape: ConvShape,
    input: Layout,
    output: Layout,
    packing: Packing,
}

/// Agreement of packed weights and a plan. Weights serve every batch and image size, and every stride and
/// padding unless `reach` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packing {
    algorithm: Algorithm,
    isa: Isa,
    direction: Direction,
    channels: [usize; 2],
    kernel: [usize; 2],
    groups: usize,
    /// Channels that lie together in the input.
    block: usize,
    /// Stride, padding and dilation.
    reach: Option<[[usize; 2]; 3]>,
}

/// Packed weights: floats in an order that no one but the method that packed them knows.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    packing: Packing,
    values: Buffer,
}

impl Packed {
    pub(super) fn memory(&mut self) -> &mut Buffer {
        &mut self.values
    }
}

/// Pass that a [`Prepared`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    /// The gradient with respect to the input.
    ByInput,
}

/// Operands of a [`Prepared`].
pub(super) struct Arguments<'a> {
    pub(super) x: &'a [f32],
    pub(super) weights: &'a Packed,
    pub(super) epilogue: &'a Epilogue<'a>,
    pub(super) sums: Option<Sums<'a>>,
    pub(super) y: &'a mut [f32],
    pub(super) workspace: &'a mut [f32],
}

impl Prepared {
    /// The convolution `of` by what `choice` says.
    pub(super) fn forward(cpu: &Cpu, of: &Convolution, choice: &Choice) -> Result<Self, Error> {
        Self::by(cpu, of, choice, Direction::Forward, choice.algorithm.method().forward)
    }

    /// The gradient with respect to the input of the convolution with the shape of `of`, from its output's gradient
    /// to its input's.
    pub(super) fn by_input(cpu: &Cpu, of: &Convolution, choice: &Choice) -> Result<Self, Error> {
        let method = choice.algorithm.method();
        if let Some(shape) = of.shape.turned() {
            return Self::by(cpu, &Convolution { shape, ..*of }, choice, Direction::ByInput, method.forward);
        }
        let Some(by_input) = method.by_input else {
            let reason = "by the input, it needs stride 1 and a padding below the kernel's reach".into();
            return Err(Error::Shape { what: method.name.into(), reason });
        };
        let prepared = Self::by(cpu, of, choice, Direction::ByInput, by_input)?;
        // The plan reads the weights with in- and output channels exchanged, as the convolution would that is missing.
        Ok(Self { shape: of.shape.exchanged(), ..prepared })
    }

    fn by(
        cpu: &Cpu,
        of: &Convolution,
        choice: &Choice,
        direction: Direction,
        prepare: Prepare,
    ) -> Result<Self, Error> {
        let Convolution { shape, input, output } = *of;
        let method = choice.algorithm.method();
        let wrong = |reason: String| Error::Shape { what: method.name.into(), reason };
        if ![1, BLOCK].contains(&input.block()) || output.block() != BLOCK {
            let reason = format!("reads blocked or planar and writes blocked, not {input:?} to {output:?}");
            return Err(wrong(reason));
        }
        (method.applies)(&shape, &input).map_err(|why| wrong(why.into()))?;
        let plan = prepare(cpu, of)?;
        let packing = Packing {
            algorithm: choice.algorithm,
            isa: cpu.isa(),
            direction,
            channels: [shape.in_channels, shape.out_channels],
            kernel: shape.kernel,
            groups: shape.groups,
            block: input.block(),
            reach: plan.packs_for_reach().then_some([shape.stride, shape.padding, shape.dilation]),
        };
        Ok(Self { plan, shape, input, output, packing })
    }

    /// Packed weights that are still zeros.
    pub(super) fn zeroed_weights(&self) -> Packed {
        Packed { packing: self.packing, values: Buffer::zeroed(self.plan.weights()) }
    }

    /// Packs the convolution's `weights`, `[out_channels][in_channels / groups][rows][columns]`.
    pub(super) fn pack(&self, pool: &Pool, weights: &[f32], packed: &mut Packed) -> Result<(), Error> {
        self.check_packing(packed)?;
        check_length("the weights", self.shape.weights(), weights.len())?;
        let kernels = KernelView::new(&self.shape, weights, self.packing.direction == Direction::ByInput);
        self.plan.pack(Workers { pool, isa: self.packing.isa }, kernels, &mut packed.values);
        Ok(())
    }

    /// Floats of workspace that [`Prepared::run`] needs on `cpu`.
    pub(super) fn workspace(&self, cpu: &Cpu) -> usize {
        let blocks = self.output.blocks();
        let vectors = Finish::scratch(blocks) + Finish::sums(self.plan.bands(), blocks);
        vectors + self.plan.scratch(cpu.pool().threads())
    }

    /// Computes `y`, all of it: its border and the lanes past the last channel become 0.
    pub(super) fn run(&self, cpu: &Cpu, arguments: Arguments<'_>) -> Result<(), Error> {
        let Arguments { x, weights, epilogue, sums, y, workspace } = arguments;
        self.check(cpu, weights)?;
        let [reads, writes] = match self.packing.direction {
            Direction::Forward => ["the input", "the output"],
            Direction::ByInput => {
                ["the gradient with respect to the output", "the gradient with respect to the input"]
            }
        };
        self.input.check(reads, x.len())?;
        self.output.check(writes, y.len())?;
        if let Some(sums) = &sums {
            sums.check(self.output.channels())?;
        }
        let workspace = floats(self.workspace(cpu), workspace)?;
        let blocks = self.output.blocks();
        let (vectors, workspace) = workspace.split_at_mut(Finish::scratch(blocks));
        let (partial, scratch) = workspace.split_at_mut(Finish::sums(self.plan.bands(), blocks));
        if sums.is_some() {
            partial.fill(0.0);
        }
        let finish = epilogue.prepare(&self.output, vectors, sums.is_some().then_some(&mut *partial))?;
        self.plan.run(cpu, Operands { x, weights: &weights.values, finish: &finish, y, scratch });
        if let Some(sums) = sums {
            sums.add_up(partial, blocks * BLOCK);
        }
        Ok(())
    }

    /// Checks that `cpu` and `weights` are of the kind that this was made for.
    pub(super) fn check(&self, cpu: &Cpu, weights: &Packed) -> Result<(), Error> {
        if cpu.isa() != self.packing.isa {
            let reason = format!("made for {}, asked to run on {}", self.packing.isa, cpu.isa());
            return Err(self.wrong(reason));
        }
        self.check_packing(weights)
    }

    fn check_packing(&self, weights: &Packed) -> Result<(), Error> {
        if weights.packing != self.packing {
            return Err(
                self.wrong(format!("weights packed for {:?}; this is {:?}", weights.packing, self.packing))
            );
        }
        check_length("the packed weights", self.plan.weights(), weights.values.len())
    }

    fn wrong(&self, reason: String) -> Error {
        let what = match self.packing.direction {
            Direction::Forward => "convolution",
            Direction::ByInput => "the gradient with respect to the input",
        };
        Error::Shape { what: what.into(), reason }
    }
}
