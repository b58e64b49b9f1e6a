//! A block and its operands, run by the kernels and held against float64.

use residual_kernels::block::{
    Block, BlockGradients, BlockParameters, BlockShape, Gradients, Input, InputGradient, KeptOutputs,
    LinkGradients, LinkParameters, Memory, Order, Outputs, Resources, Running, Shortcut, SqueezeGradients,
    SqueezeParameters,
};
use residual_kernels::{Cpu, Isa, Layout, Scratch, convert};
use residual_testkit::naive::{Conv2d, noise, relative_error};

use crate::naive::{EPS, Gate, Maps, Naive, Unit};

/// Bound of the relative error of a whole block in the Euclidean norm: three convolutions, up to F(4x4),
/// each within 5e-6, and the normalisations between them.
const BOUND: f64 = 3e-5;

/// Bound for the gradients by squeeze-and-excitation's parameters: a handful of numbers, each the sum over a map
/// of products of either sign.
const SQUEEZE_BOUND: f64 = 1e-4;

/// A block and its operands.
pub(crate) struct Case {
    pub(crate) shape: BlockShape,
    input: [usize; 4],
    pub(crate) x: Vec<f32>,
    pub(crate) dy: Vec<f32>,
    /// Weights, gamma and beta of each convolution, the projection's last.
    pub(crate) parameters: Vec<[Vec<f32>; 3]>,
    /// Weights and bias of both layers of squeeze-and-excitation.
    squeeze: Option<[Vec<f32>; 4]>,
    depth: Option<Vec<f32>>,
}

/// Weights, gamma and beta.
fn parameters(seed: u64, [ins, outs, taps]: [usize; 3], normalised: usize) -> [Vec<f32>; 3] {
    let gain = 1.7 * (2.0 / (ins * taps) as f32).sqrt();
    [
        noise(seed, outs * ins * taps).iter().map(|w| gain * w).collect(),
        noise(seed + 1, normalised).iter().map(|g| 1.0 + 0.4 * g).collect(),
        noise(seed + 2, normalised).iter().map(|b| 0.3 * b).collect(),
    ]
}

fn projects(shortcut: Shortcut) -> bool {
    matches!(shortcut, Shortcut::Projection { .. } | Shortcut::PooledProjection { .. })
}

fn f(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

impl Case {
    pub(crate) fn new(shape: BlockShape, input: [usize; 4]) -> Self {
        let [n, c, h, w] = input;
        let output = shape.output(&Layout::blocked(n, c, h, w).unwrap()).unwrap();
        let pre = shape.order == Order::PreActivation;
        let (mut all, mut channels) = (Vec::new(), c);
        for (i, link) in shape.links.iter().enumerate() {
            let normalised = if pre { channels } else { link.out_channels };
            let sizes = [channels / link.groups, link.out_channels, link.kernel * link.kernel];
            all.push(parameters(10 * i as u64 + 20, sizes, normalised));
            channels = link.out_channels;
        }
        if projects(shape.shortcut) {
            all.push(parameters(90, [c, channels, 1], if pre { 0 } else { channels }));
        }
        let squeeze = shape.squeeze.map(|middle| {
            let [w1, _, b1] = parameters(70, [channels, middle, 1], middle);
            let [w2, _, b2] = parameters(80, [middle, channels, 1], channels);
            [w1, b1, w2, b2]
        });
        let dy = noise(3, n * channels * output.height() * output.width());
        Self { x: noise(1, n * c * h * w), dy, input, parameters: all, squeeze, depth: None, shape }
    }

    /// With stochastic depth: every third image loses its branch.
    pub(crate) fn dropping(self) -> Self {
        let factor = |n: usize| if n % 3 == 1 { 0.0 } else { 1.25 };
        Self { depth: Some((0..self.input[0]).map(factor).collect()), ..self }
    }

    /// Running statistics of every normalisation.
    pub(crate) fn running(&self) -> Vec<[Vec<f32>; 2]> {
        let normalised = self.parameters.iter().map(|p| p[1].len()).filter(|&len| len > 0);
        let of = |(i, len): (usize, usize)| {
            let seed = 200 + 2 * i as u64;
            let variance = noise(seed + 1, len).iter().map(|v| 1.0 + 0.5 * v).collect();
            [noise(seed, len).iter().map(|m| 0.2 * m).collect(), variance]
        };
        normalised.enumerate().map(of).collect()
    }

    /// The block, `x` and `dy` in float64.
    pub(crate) fn naive(&self, running: &[[Vec<f32>; 2]]) -> (Naive, Maps, Maps) {
        let [n, c, h, w] = self.input;
        let (mut channels, mut size) = (c, [h, w]);
        let unit = |i: usize, conv: Conv2d| {
            let [weights, gamma, beta] = self.parameters[i].each_ref().map(|p| f(p));
            let by = [Vec::new(), vec![0.0; gamma.len()], vec![0.0; beta.len()]];
            let running = running.get(i).map(|of| of.each_ref().map(|v| f(v)));
            Unit { conv, weights, gamma, beta, by, running }
        };
        let conv = |ins, outs, size, kernel: usize, stride, groups| Conv2d {
            batch: n,
            in_channels: ins,
            out_channels: outs,
            size,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            dilation: [1; 2],
            groups,
        };
        let mut links = Vec::new();
        for (i, link) in self.shape.links.iter().enumerate() {
            let of = conv(channels, link.out_channels, size, link.kernel, link.stride, link.groups);
            (channels, size) = (link.out_channels, of.output());
            links.push(unit(i, of));
        }
        let projection = match self.shape.shortcut {
            Shortcut::Projection { stride } => Some(conv(c, channels, [h, w], 1, stride, 1)),
            Shortcut::PooledProjection { .. } => Some(conv(c, channels, size, 1, 1, 1)),
            _ => None,
        };
        let projection = projection.map(|conv| unit(links.len(), conv));
        let gate = Gate {
            layers: self.squeeze.as_ref().map(|layers| layers.each_ref().map(|p| f(p))),
            depth: self.depth.as_ref().map_or_else(|| vec![1.0; n], |depth| f(depth)),
            by: Default::default(),
        };
        let x = Maps { n, c, size: [h, w], values: f(&self.x) };
        let dy = Maps { n, c: channels, size, values: f(&self.dy) };
        (Naive { order: self.shape.order, shortcut: self.shape.shortcut, links, projection, gate }, x, dy)
    }

    /// Calls `body` with the block's parameters.
    fn with<T>(&self, body: impl FnOnce(&BlockParameters<'_>) -> T) -> T {
        let all: Vec<LinkParameters<'_>> = self
            .parameters
            .iter()
            .map(|[weights, gamma, beta]| LinkParameters { weights, gamma, beta })
            .collect();
        let (links, projection) = all.split_at(self.shape.links.len());
        let squeeze = self
            .squeeze
            .as_ref()
            .map(|[w1, b1, w2, b2]| SqueezeParameters { reduce: [w1, b1], expand: [w2, b2] });
        let projection = projection.first().copied();
        body(&BlockParameters { links, projection, squeeze, eps: EPS as f32 })
    }

    /// The block from and to maps with these borders.
    fn block(&self, cpu: &Cpu, borders: [usize; 2], memory: Memory) -> Block {
        let [from, to] = self.maps(borders);
        Block::new(cpu, &self.shape, from, to, memory).unwrap()
    }

    fn maps(&self, borders: [usize; 2]) -> [Layout; 2] {
        let [n, c, h, w] = self.input;
        let from = Layout::blocked(n, c, h, w).unwrap().with_border(borders[0]).unwrap();
        [from, self.shape.output(&from).unwrap().with_border(borders[1]).unwrap()]
    }

    /// [`run`](Self::run) with so many images at a time.
    pub(crate) fn run_by(&self, cpu: &Cpu, borders: [usize; 2], images: usize) -> Vec<Vec<f32>> {
        let memory = Memory::Keep;
        let maps = self.maps(borders);
        let block = Block::with_images_at_once(cpu, &self.shape, maps, memory, images).unwrap();
        self.train(cpu, &block, memory, &[])
    }

    /// `y`, `dx` and the gradients by all parameters.
    pub(crate) fn run(&self, cpu: &Cpu, borders: [usize; 2], memory: Memory) -> Vec<Vec<f32>> {
        self.train(cpu, &self.block(cpu, borders, memory), memory, &[])
    }

    /// `y`, `dx` and the gradients by all parameters with running statistics, which are constants.
    fn with_constant_statistics(&self, cpu: &Cpu, borders: [usize; 2]) -> Vec<Vec<f32>> {
        self.train(cpu, &self.block(cpu, borders, Memory::Keep), Memory::Keep, &self.running())
    }

    /// Training step of a block that is there, with the batch's statistics where there are no `running` ones. Where the
    /// input lies as the output does, its gradient takes the memory of the output's.
    fn train(&self, cpu: &Cpu, block: &Block, memory: Memory, running: &[[Vec<f32>; 2]]) -> Vec<Vec<f32>> {
        let (from, to) = (*block.x(), *block.y());
        let (x, mut dy) = (laid(&self.x, from), laid(&self.dy, to));
        let (mut y, mut dx) = (vec![f32::NAN; to.len()], vec![f32::NAN; from.len()]);
        let zeroed = |of: &[Vec<f32>]| of.iter().map(|p| vec![f32::NAN; p.len()]).collect::<Vec<_>>();
        let mut by: Vec<Vec<Vec<f32>>> = self.parameters.iter().map(|p| zeroed(p)).collect();
        let mut by_squeeze = self.squeeze.as_ref().map(|p| zeroed(p));
        self.with(|parameters| {
            let (mut tape, mut scratch) = (block.tape(), Scratch::default());
            let mut on = Resources { cpu, scratch: &mut scratch };
            let input = Input { x: &x, parameters, depth: self.depth.as_deref() };
            let running: Vec<_> = running.iter().map(|[mean, variance]| Running { mean, variance }).collect();
            match memory {
                Memory::Keep if running.is_empty() => {
                    block.forward(&mut on, &input, &mut tape, &mut y).unwrap();
                }
                Memory::Keep => block.forward_frozen(&mut on, &input, &running, &mut tape, &mut y).unwrap(),
                Memory::Low => {}
            }
            let links = by.iter_mut().map(|of| {
                let [weights, gamma, beta] = &mut of[..] else { panic!("three of them") };
                LinkGradients { weights, gamma, beta }
            });
            let squeeze = by_squeeze.as_mut().map(|of| {
                let [w1, b1, w2, b2] = &mut of[..] else { panic!("four of them") };
                SqueezeGradients { reduce: [w1, b1], expand: [w2, b2] }
            });
            let mut gradients = BlockGradients { links: links.collect(), squeeze };
            let outputs = Outputs { y: &mut y, dy: &mut dy };
            let by_x = if from == to { InputGradient::OverDy } else { InputGradient::To(&mut dx) };
            let gradients = Gradients { parameters: &mut gradients, x: by_x };
            block.backward(&mut on, &input, outputs, &mut tape, gradients).unwrap();
        });
        if from == to {
            dx = dy;
        }
        let mut found = vec![plain(&y, to), plain(&dx, from)];
        found.extend(by.into_iter().flatten().chain(by_squeeze.into_iter().flatten()));
        found
    }

    /// `y` with running statistics.
    fn evaluate(&self, cpu: &Cpu, borders: [usize; 2]) -> Vec<f32> {
        let block = self.block(cpu, borders, Memory::Keep);
        let mut y = vec![f32::NAN; block.y().len()];
        let running = self.running();
        let running: Vec<_> = running.iter().map(|[mean, variance]| Running { mean, variance }).collect();
        let x = laid(&self.x, *block.x());
        self.with(|parameters| {
            let input = Input { x: &x, parameters, depth: self.depth.as_deref() };
            let mut on = Resources { cpu, scratch: &mut Scratch::default() };
            block.evaluate(&mut on, &input, &running, &mut y).unwrap();
            assert!(block.evaluate(&mut on, &input, &running[1..], &mut y).is_err());
        });
        plain(&y, *block.y())
    }

    /// `y` and `dx` of the frozen block. The gradient takes the memory of the output's where it can.
    fn frozen(&self, cpu: &Cpu, borders: [usize; 2]) -> [Vec<f32>; 2] {
        let block = self.block(cpu, borders, Memory::Keep);
        let (from, to) = (*block.x(), *block.y());
        let (x, mut dy) = (laid(&self.x, from), laid(&self.dy, to));
        let (mut y, mut dx) = (vec![f32::NAN; to.len()], vec![f32::NAN; from.len()]);
        let running = self.running();
        let running: Vec<_> = running.iter().map(|[mean, variance]| Running { mean, variance }).collect();
        self.with(|parameters| {
            let (mut tape, mut scratch) = (block.tape(), Scratch::default());
            let mut on = Resources { cpu, scratch: &mut scratch };
            let input = Input { x: &x, parameters, depth: self.depth.as_deref() };
            block.forward_frozen(&mut on, &input, &running, &mut tape, &mut y).unwrap();
            let by = if from == to { InputGradient::OverDy } else { InputGradient::To(&mut dx) };
            let outputs = KeptOutputs { y: &y, dy: &mut dy };
            block.backward_frozen(&mut on, &input, outputs, &tape, by).unwrap();
        });
        let dx = if from == to { dy } else { dx };
        [plain(&y, to), plain(&dx, from)]
    }

    fn assert_close(&self, isa: Isa, found: &[Vec<f32>], wanted: &[Vec<f64>]) {
        assert_eq!(found.len(), wanted.len());
        for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            let error = relative_error(found, wanted);
            let bound = if i < 2 + 3 * self.parameters.len() { BOUND } else { SQUEEZE_BOUND };
            assert!(error <= bound, "{isa} {:?} {:?} result {i}: {error:e}", self.shape, self.input);
        }
    }

    /// Against float64 on every instruction set: training by either memory, evaluation, and the block frozen.
    pub(crate) fn check(&self) {
        let (mut naive, x, dy) = self.naive(&[]);
        let (y, dx) = naive.run(&x, &dy);
        let mut wanted = vec![y.values, dx.values];
        wanted.extend(naive.links.into_iter().chain(naive.projection).flat_map(|unit| unit.by));
        wanted.extend(naive.gate.by.into_iter().filter(|_| self.squeeze.is_some()));
        let (mut evaluated, ..) = self.naive(&self.running());
        let (y, dx) = evaluated.run(&x, &dy);
        let constant = [y.values, dx.values];
        let mut trained = constant.to_vec();
        trained.extend(evaluated.links.into_iter().chain(evaluated.projection).flat_map(|unit| unit.by));
        trained.extend(evaluated.gate.by.into_iter().filter(|_| self.squeeze.is_some()));
        for isa in Isa::available() {
            let cpu = Cpu::with_isa(isa, 2).unwrap();
            for borders in [[1, 1], [0, 2]] {
                let kept = self.run(&cpu, borders, Memory::Keep);
                self.assert_close(isa, &kept, &wanted);
                self.assert_close(isa, &self.run_by(&cpu, borders, 1), &wanted);
                assert!(self.run(&cpu, borders, Memory::Low) == kept, "{isa}: recomputed to the same bits");
                let error = relative_error(&self.evaluate(&cpu, borders), &constant[0]);
                assert!(error <= BOUND, "{isa} {:?} evaluated: {error:e}", self.shape);
                self.assert_close(isa, &self.frozen(&cpu, borders), &constant);
                self.assert_close(isa, &self.with_constant_statistics(&cpu, borders), &trained);
            }
        }
    }
}

fn planar(layout: &Layout) -> Layout {
    Layout::planar(layout.batch(), layout.channels(), layout.height(), layout.width()).unwrap()
}

/// Planar values as `to` says.
pub(crate) fn laid(values: &[f32], to: Layout) -> Vec<f32> {
    let mut laid = vec![f32::NAN; to.len()];
    convert(&Cpu::new(1).unwrap(), values, planar(&to), &mut laid, to).unwrap();
    laid
}

fn plain(values: &[f32], from: Layout) -> Vec<f32> {
    let mut plain = vec![f32::NAN; planar(&from).len()];
    convert(&Cpu::new(1).unwrap(), values, from, &mut plain, planar(&from)).unwrap();
    let sum = |values: &[f32]| values.iter().map(|&v| f64::from(v).abs()).sum::<f64>();
    assert!((sum(values) - sum(&plain)).abs() <= 1e-9 * sum(&plain), "border and spare lanes are zero");
    plain
}
