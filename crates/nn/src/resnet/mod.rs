//! Whole networks.

mod check;
mod features;
mod freeze;
mod paths;
mod state;
mod statistics;

pub use features::Features;
pub use state::Parameter;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use residual_arch::{NetSpec, Network, Place};

use crate::fused::FusedContext;
use crate::{Block, Compute, DropBlock, Error, Head, Init, Mode, NamedTensor, Stage, Stem};

/// Configuration of a [`ResNet`].
#[derive(Clone, Debug, PartialEq)]
pub struct ResNetConfig {
    /// Specification of the network.
    pub spec: NetSpec,
}

impl ResNetConfig {
    /// The network `spec`.
    pub fn new(spec: NetSpec) -> Self {
        Self { spec }
    }

    /// Builds it, He initialisation. `init` is `&device`, or [`Init::new(seed, &device)`](Init::new).
    /// To train, the device must be an autodiff one: `Device::flex().autodiff()`.
    ///
    /// # Errors
    /// If the specification is not sound: [`residual_arch::shape`] says what and where.
    pub fn init(&self, init: impl Into<Init>) -> Result<ResNet, Error> {
        ResNet::build(&self.spec.check(self.spec.input)?, &init.into())
    }

    /// Builds it with the given tensors: exactly those of [`residual_arch::tensors`], in any order.
    ///
    /// # Errors
    /// If the specification is not sound, or the tensors do not fit it; all that do not are listed.
    pub fn init_with(
        &self,
        tensors: impl IntoIterator<Item = NamedTensor>,
        device: &Device,
    ) -> Result<ResNet, Error> {
        let network = self.spec.check(self.spec.input)?;
        let tensors = state::checked(&self.spec, tensors)?;
        ResNet::build(&network, &Init::from_tensors(tensors, device))
    }
}

/// A residual network: stem, stages of blocks, head.
#[derive(Module, Debug)]
pub struct ResNet {
    /// Before the stages.
    pub stem: Stem,
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// After the stages.
    pub head: Head,
    #[module(skip)]
    spec: NetSpec,
    #[module(skip)]
    compute: Compute,
    #[module(skip)]
    context: FusedContext,
}

impl ResNet {
    /// Builds a checked network from its layers.
    fn build(network: &Network, init: &Init) -> Result<Self, Error> {
        let part = |place: Place| (network.layers_of(place), init.at(place));
        let mut stages: Vec<Stage> = vec![Stage { blocks: vec![] }; network.spec().stages.len()];
        for (path, spec, layers) in network.blocks() {
            stages[path.stage - 1].blocks.push(Block::build(spec, layers, &init.at(path))?);
        }
        let ((stem, stem_init), (head, head_init)) = (part(Place::Stem), part(Place::Head));
        let mut network = Self {
            stem: Stem::build(stem, &stem_init)?,
            stages,
            head: Head::build(head, &head_init)?,
            spec: network.spec().clone(),
            compute: Compute::default(),
            context: FusedContext::default(),
        };
        network.set_context(&FusedContext::default());
        Ok(network)
    }

    /// Specification of the network.
    pub fn spec(&self) -> &NetSpec {
        &self.spec
    }

    /// The device of its tensors.
    pub fn device(&self) -> Device {
        self.head.linear.weight.val().device()
    }

    /// # Shapes
    /// `[batch, channels, h, w]` to logits `[batch, classes]`.
    ///
    /// # Panics
    /// If the input does not fit the network: [`check_input`](Self::check_input) finds that beforehand, and
    /// [`try_forward`](Self::try_forward) makes an error of it.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<2> {
        let mut borders = self.stages.iter().map(Stage::border).chain([0]);
        let mut border = || borders.next().unwrap_or(0);
        let h = self.stem.forward_to(x.into(), mode, border());
        let h = self.stages.iter().fold(h, |h, stage| stage.forward_to(h, mode, border()));
        self.head.forward_maps(h, mode)
    }

    /// [`forward`](Self::forward) of an input that may not fit.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use residual_nn::{Mode, SmallResNetConfig};
    /// let small = SmallResNetConfig::new(10).init(&Device::flex())?;
    /// let grey = Tensor::zeros([1, 1, 32, 32], &Device::flex());
    /// let error = small.net.try_forward(grey, Mode::Eval).unwrap_err();
    /// assert!(error.to_string().contains("1 channels where the network takes 3"));
    /// # Ok::<(), residual_nn::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`check_input`](Self::check_input).
    pub fn try_forward(&self, x: Tensor<4>, mode: Mode) -> Result<Tensor<2>, Error> {
        self.check_input(x.dims(), mode)?;
        Ok(self.forward(x, mode))
    }

    /// Trains as `compute` says from now on. A network that is built trains fused and keeps what its backward
    /// pass reads.
    pub fn set_compute(&mut self, compute: Compute) {
        self.compute = compute;
        self.stem.set_compute(compute);
        self.stages
            .iter_mut()
            .flat_map(|stage| &mut stage.blocks)
            .for_each(|block| block.set_compute(compute));
        self.head.set_compute(compute);
    }

    /// Runs the fused layers in `context` from now on: its threads, its plans and its memory.
    pub fn set_context(&mut self, context: &FusedContext) {
        self.context = context.clone();
        self.stem.set_context(context);
        self.stages
            .iter_mut()
            .flat_map(|stage| &mut stage.blocks)
            .for_each(|block| block.set_context(context));
        self.head.set_context(context);
    }

    /// Sets the number of threads that compute the fused layers of this network, as
    /// [`FusedContext::with_threads`] has it. The results have the same bits for any number.
    pub fn set_threads(&mut self, threads: usize) {
        self.set_context(&FusedContext::with_threads(threads));
    }

    /// The threads, plans and memory of its fused layers.
    pub fn context(&self) -> &FusedContext {
        &self.context
    }

    /// Operations and memory that it trains with.
    pub fn compute(&self) -> Compute {
        self.compute
    }

    /// Parts that train through the framework's stock operations, wholly or in part: all of them on that path; on the
    /// fused one those whose layers the kernels do not have, as a block with a group norm.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use residual_nn::{Init, ResNetConfig};
    /// let spec = residual_arch::families::family("resnetblur18")?;
    /// let net = ResNetConfig::new(spec).init(Init::new(0, &Device::flex()))?;
    /// let parts: Vec<_> = net.stock_parts().map(|part| part.to_string()).collect();
    /// assert_eq!(parts, ["stem", "stage2.block0", "stage3.block0", "stage4.block0"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stock_parts(&self) -> impl Iterator<Item = Place> {
        let paths = self.spec.blocks().map(|(path, _)| path);
        let blocks = self.stages.iter().flat_map(|stage| &stage.blocks);
        let blocks = paths.zip(blocks).filter(|(_, block)| block.is_stock());
        let stem = self.stem.is_stock().then_some(Place::Stem);
        let head = self.head.is_stock().then_some(Place::Head);
        stem.into_iter().chain(blocks.map(|(path, _)| Place::Block(path))).chain(head)
    }

    /// Takes every norm out of the computation: the network without normalisation, for experiments on
    /// what it is good for. The norms' parameters stay where they are, get no gradient and do nothing. Its
    /// He initialisation (He et al. 2015b) is made for exactly this case. Trains through the layers' stock
    /// operations.
    pub fn bypass_norms(&mut self) {
        self.stem.layers.bypass_norms();
        for residual in
            self.stages.iter_mut().flat_map(|stage| &mut stage.blocks).map(|block| &mut block.residual)
        {
            residual.branch.bypass_norms();
            residual.shortcut.layers.bypass_norms();
        }
        self.head.layers.bypass_norms();
    }

    /// Sets DropBlock in the last two stages from now on, as timm's `drop_block_rate` does; with probability 0 takes
    /// it out.
    pub fn set_drop_block(&mut self, probability: f64) {
        for (from_last, stage) in self.stages.iter_mut().rev().enumerate() {
            let drop_block = DropBlock::of_stage(probability, from_last).filter(|_| probability > 0.0);
            stage.blocks.iter_mut().for_each(|block| block.set_drop_block(drop_block));
        }
    }

    /// True where [`bypass_norms`](Self::bypass_norms) was called.
    pub fn norms_are_bypassed(&self) -> bool {
        let mut blocks = self.stages.iter().flat_map(|stage| &stage.blocks);
        blocks.any(|block| block.residual.branch.norms_are_bypassed())
    }

    /// Another head with `classes` outputs, freshly initialised from `seed`, and thawed. The rest of the
    /// network stays.
    ///
    /// # Errors
    /// If there are no classes.
    pub fn replace_head(&mut self, classes: usize, seed: u64) -> Result<(), Error> {
        let spec = self.spec.clone().with_classes(classes);
        let network = spec.check(spec.input)?;
        let init = Init::new(seed, &self.device()).at(Place::Head);
        let mut head = Head::build(network.layers_of(Place::Head), &init)?;
        head.layers = std::mem::take(&mut self.head.layers);
        head.set_compute(self.compute);
        head.set_context(&self.context);
        self.head = head;
        self.spec = spec;
        Ok(())
    }
}
