//! Residual blocks, forward and backward, against the same computed step by step in float64, on every
//! instruction set that the machine has.

use residual_kernels::block::{
    Block, BlockGradients, BlockParameters, BlockShape, Link, LinkGradients, LinkParameters, Order, Policy,
    Shortcut,
};
use residual_kernels::{Cpu, Isa, Layout, convert};
use residual_testkit::naive::{Conv2d, noise, relative_error};

const EPS: f64 = 1e-5;

/// Bound of the relative error of a whole block in the Euclidean norm: three convolutions, up to F(4x4),
/// each within 5e-6, and the normalisations between them.
const BOUND: f64 = 3e-5;

/// Maps in float64, `[n][c][pixels]`.
#[derive(Clone)]
struct Maps {
    n: usize,
    c: usize,
    size: [usize; 2],
    values: Vec<f64>,
}

/// A convolution and its normalisation in float64, with the gradients by their parameters.
struct Unit {
    conv: Conv2d,
    weights: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
    by: [Vec<f64>; 3],
}

impl Unit {
    fn forward(&self, x: &Maps) -> Maps {
        let size = self.conv.output();
        let mut values = vec![0.0; x.n * self.conv.out_channels * size[0] * size[1]];
        self.conv.products(|xi, wi, yi| values[yi] += x.values[xi] * self.weights[wi]);
        Maps { n: x.n, c: self.conv.out_channels, size, values }
    }

    fn backward(&mut self, x: &Maps, dy: &Maps) -> Maps {
        let (mut dx, mut dw) = (vec![0.0; x.values.len()], vec![0.0; self.weights.len()]);
        self.conv.products(|xi, wi, yi| {
            dx[xi] += dy.values[yi] * self.weights[wi];
            dw[wi] += dy.values[yi] * x.values[xi];
        });
        self.by[0] = dw;
        Maps { values: dx, ..x.clone() }
    }

    /// Indices, mean and deviation of channel `c`.
    fn channel(x: &Maps, c: usize) -> (Vec<usize>, f64, f64) {
        let pixels = x.size[0] * x.size[1];
        let of: Vec<usize> =
            (0..x.n).flat_map(|n| (n * x.c + c) * pixels..(n * x.c + c + 1) * pixels).collect();
        let mean = of.iter().map(|&i| x.values[i]).sum::<f64>() / of.len() as f64;
        let variance = of.iter().map(|&i| (x.values[i] - mean).powi(2)).sum::<f64>() / of.len() as f64;
        (of, mean, (variance + EPS).sqrt())
    }

    fn norm(&self, x: &Maps) -> Maps {
        let mut y = x.clone();
        for c in 0..x.c {
            let (of, mean, deviation) = Self::channel(x, c);
            of.iter()
                .for_each(|&i| y.values[i] = self.gamma[c] * (x.values[i] - mean) / deviation + self.beta[c]);
        }
        y
    }

    fn norm_backward(&mut self, x: &Maps, g: &Maps) -> Maps {
        let mut dx = x.clone();
        for c in 0..x.c {
            let (of, mean, deviation) = Self::channel(x, c);
            let hat = |i: usize| (x.values[i] - mean) / deviation;
            let m = of.len() as f64;
            let dbeta: f64 = of.iter().map(|&i| g.values[i]).sum();
            let dgamma: f64 = of.iter().map(|&i| g.values[i] * hat(i)).sum();
            for &i in &of {
                dx.values[i] = self.gamma[c] / deviation * (g.values[i] - dbeta / m - hat(i) * dgamma / m);
            }
            self.by[1][c] = dgamma;
            self.by[2][c] = dbeta;
        }
        dx
    }
}

fn relu(x: &Maps) -> Maps {
    Maps { values: x.values.iter().map(|&v| v.max(0.0)).collect(), ..x.clone() }
}

/// `dy` where `y` is above 0.
fn gate(dy: &Maps, y: &Maps) -> Maps {
    let values = dy.values.iter().zip(&y.values).map(|(&d, &y)| if y > 0.0 { d } else { 0.0 }).collect();
    Maps { values, ..dy.clone() }
}

fn add(a: &Maps, b: &Maps) -> Maps {
    Maps { values: a.values.iter().zip(&b.values).map(|(a, b)| a + b).collect(), ..a.clone() }
}

/// A block in float64.
struct Naive {
    order: Order,
    shortcut: Shortcut,
    links: Vec<Unit>,
    projection: Option<Unit>,
}

impl Naive {
    /// `y` and `dx`; the gradients by the parameters stay in the units.
    fn run(&mut self, x: &Maps, dy: &Maps) -> (Maps, Maps) {
        match self.order {
            Order::PostActivation => self.post(x, dy),
            Order::PreActivation => self.pre(x, dy),
        }
    }

    fn zero_pads(&self) -> bool {
        matches!(self.shortcut, Shortcut::ZeroPad { .. })
    }

    /// Pairs of elements of `x` and of `y` between which the zero-padded shortcut moves.
    fn moved<'a>(&self, x: &'a Maps, y: &'a Maps) -> impl Iterator<Item = (usize, usize)> + 'a {
        let Shortcut::ZeroPad { stride } = self.shortcut else { panic!("not zero-padded") };
        let before = (y.c - x.c) / 2;
        (0..x.values.len()).filter_map(move |from| {
            let (column, row) = (from % x.size[1], from / x.size[1] % x.size[0]);
            let plane = from / (x.size[0] * x.size[1]);
            let (n, channel) = (plane / x.c, plane % x.c + before);
            let to = ((n * y.c + channel) * y.size[0] + row / stride) * y.size[1] + column / stride;
            (row % stride == 0 && column % stride == 0).then_some((from, to))
        })
    }

    fn zero_pad(&self, x: &Maps, like: &Maps) -> Maps {
        let mut y = Maps { values: vec![0.0; like.values.len()], ..like.clone() };
        self.moved(x, like).for_each(|(from, to)| y.values[to] = x.values[from]);
        y
    }

    fn zero_pad_backward(&self, dy: &Maps, like: &Maps) -> Maps {
        let mut dx = Maps { values: vec![0.0; like.values.len()], ..like.clone() };
        self.moved(like, dy).for_each(|(from, to)| dx.values[from] = dy.values[to]);
        dx
    }

    fn post(&mut self, x: &Maps, dy: &Maps) -> (Maps, Maps) {
        let (mut read, mut written) = (vec![x.clone()], Vec::new());
        for unit in &self.links {
            let z = unit.forward(&read[read.len() - 1]);
            read.push(relu(&unit.norm(&z)));
            written.push(z);
        }
        let last = self.links.len() - 1;
        let mut sum = self.links[last].norm(&written[last]);
        let projected = self.projection.as_ref().map(|unit| unit.forward(x));
        match (&self.projection, &projected) {
            (Some(unit), Some(z)) => sum = add(&sum, &unit.norm(z)),
            _ if self.shortcut == Shortcut::Identity => sum = add(&sum, x),
            _ if self.zero_pads() => sum = add(&sum, &self.zero_pad(x, &sum)),
            _ => {}
        }
        let g = gate(dy, &sum);
        let mut back = g.clone();
        for i in (0..=last).rev() {
            let dz = self.links[i].norm_backward(&written[i], &back);
            back = self.links[i].backward(&read[i], &dz);
            if i > 0 {
                back = gate(&back, &read[i]);
            }
        }
        match (&mut self.projection, &projected) {
            (Some(unit), Some(z)) => {
                let dz = unit.norm_backward(z, &g);
                back = add(&back, &unit.backward(x, &dz));
            }
            _ if self.shortcut == Shortcut::Identity => back = add(&back, &g),
            _ => {}
        }
        if self.zero_pads() {
            back = add(&back, &self.zero_pad_backward(&g, x));
        }
        (relu(&sum), back)
    }

    fn pre(&mut self, x: &Maps, dy: &Maps) -> (Maps, Maps) {
        let (mut read, mut written) = (Vec::new(), vec![x.clone()]);
        for unit in &self.links {
            let a = relu(&unit.norm(&written[written.len() - 1]));
            written.push(unit.forward(&a));
            read.push(a);
        }
        let mut y = written[written.len() - 1].clone();
        match &self.projection {
            Some(unit) => y = add(&y, &unit.forward(&read[0])),
            None if self.shortcut == Shortcut::Identity => y = add(&y, x),
            None if self.zero_pads() => y = add(&y, &self.zero_pad(&read[0], &y)),
            None => {}
        }
        let mut back = dy.clone();
        for i in (0..self.links.len()).rev() {
            back = self.links[i].backward(&read[i], &back);
            if let (0, Some(unit)) = (i, &mut self.projection) {
                back = add(&back, &unit.backward(&read[0], dy));
            }
            if i == 0 && self.zero_pads() {
                back = add(&back, &self.zero_pad_backward(dy, &read[0]));
            }
            back = self.links[i].norm_backward(&written[i], &gate(&back, &read[i]));
        }
        if self.shortcut == Shortcut::Identity {
            back = add(&back, dy);
        }
        (y, back)
    }
}

fn link([weights, gamma, beta]: &[Vec<f32>; 3]) -> LinkParameters<'_> {
    LinkParameters { weights, gamma, beta }
}

/// A block and its operands.
struct Case {
    shape: BlockShape,
    input: [usize; 4],
    x: Vec<f32>,
    dy: Vec<f32>,
    /// Weights, gamma and beta of each convolution, the projection's last.
    parameters: Vec<[Vec<f32>; 3]>,
}

impl Case {
    fn new(shape: BlockShape, input: [usize; 4]) -> Self {
        let [n, c, h, w] = input;
        let maps = Layout::blocked(n, c, h, w).unwrap();
        let output = shape.output(&maps).unwrap();
        let pre = shape.order == Order::PreActivation;
        let mut parameters = Vec::new();
        let mut channels = c;
        let of = |seed: u64, ins: usize, outs: usize, taps: usize, groups: usize, normalised: usize| {
            let gain = (2.0 / (ins / groups * taps) as f32).sqrt();
            [
                noise(seed, outs * ins / groups * taps).iter().map(|w| 1.7 * gain * w).collect(),
                noise(seed + 1, normalised).iter().map(|g| 1.0 + 0.4 * g).collect(),
                noise(seed + 2, normalised).iter().map(|b| 0.3 * b).collect(),
            ]
        };
        for (i, link) in shape.links.iter().enumerate() {
            let normalised = if pre { channels } else { link.out_channels };
            let taps = link.kernel * link.kernel;
            parameters.push(of(
                10 * i as u64 + 20,
                channels,
                link.out_channels,
                taps,
                link.groups,
                normalised,
            ));
            channels = link.out_channels;
        }
        if let Shortcut::Projection { .. } = shape.shortcut {
            parameters.push(of(90, c, channels, 1, 1, if pre { 0 } else { channels }));
        }
        let dy = noise(3, n * channels * output.height() * output.width());
        Self { x: noise(1, n * c * h * w), dy, input, parameters, shape }
    }

    fn naive(&self) -> (Naive, Maps, Maps) {
        let [n, c, h, w] = self.input;
        let f = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
        let (mut channels, mut size) = (c, [h, w]);
        let unit = |conv: Conv2d, [weights, gamma, beta]: &[Vec<f32>; 3]| Unit {
            conv,
            weights: f(weights),
            gamma: f(gamma),
            beta: f(beta),
            by: [Vec::new(), vec![0.0; gamma.len()], vec![0.0; beta.len()]],
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
        for (link, parameters) in self.shape.links.iter().zip(&self.parameters) {
            let of = conv(channels, link.out_channels, size, link.kernel, link.stride, link.groups);
            (channels, size) = (link.out_channels, of.output());
            links.push(unit(of, parameters));
        }
        let projection = match self.shape.shortcut {
            Shortcut::Projection { stride } => {
                Some(unit(conv(c, channels, [h, w], 1, stride, 1), &self.parameters[links.len()]))
            }
            _ => None,
        };
        let x = Maps { n, c, size: [h, w], values: f(&self.x) };
        let dy = Maps { n, c: channels, size, values: f(&self.dy) };
        (Naive { order: self.shape.order, shortcut: self.shape.shortcut, links, projection }, x, dy)
    }

    /// `y`, `dx` and the gradients by all parameters.
    fn run(&self, cpu: &Cpu, borders: [usize; 2], policy: Policy) -> Vec<Vec<f32>> {
        let [n, c, h, w] = self.input;
        let from = Layout::blocked(n, c, h, w).unwrap().with_border(borders[0]).unwrap();
        let to = self.shape.output(&from).unwrap().with_border(borders[1]).unwrap();
        let block = Block::new(cpu, &self.shape, from, to, policy).unwrap();
        let all: Vec<LinkParameters<'_>> = self.parameters.iter().map(link).collect();
        let (links, projection) = all.split_at(self.shape.links.len());
        let parameters = BlockParameters { links, projection: projection.first().copied(), eps: EPS as f32 };
        let mut packed = block.pack(&parameters).unwrap();
        block.pack_into(cpu, &parameters, &mut packed).unwrap();
        let (mut tape, mut workspace) = (block.tape(), vec![f32::NAN; block.workspace(cpu)]);
        let (x, dy) = (laid(&self.x, from), laid(&self.dy, to));
        let (mut y, mut dx) = (vec![f32::NAN; to.len()], vec![f32::NAN; from.len()]);
        if policy == Policy::Keep {
            block.forward(cpu, &x, &parameters, &packed, &mut tape, &mut y, &mut workspace).unwrap();
        }
        let mut by: Vec<[Vec<f32>; 3]> =
            self.parameters.iter().map(|p| p.each_ref().map(|p| vec![f32::NAN; p.len()])).collect();
        let gradients = by.iter_mut().map(|[weights, gamma, beta]| LinkGradients { weights, gamma, beta });
        let mut all: Vec<LinkGradients<'_>> = gradients.collect();
        let (links, projection) = all.split_at_mut(self.shape.links.len());
        let gradients = BlockGradients { links, projection: projection.first_mut() };
        workspace.fill(f32::NAN);
        block
            .backward(
                cpu,
                (&x, &mut y, &dy),
                &parameters,
                &packed,
                &mut tape,
                gradients,
                &mut dx,
                &mut workspace,
            )
            .unwrap();
        let mut found = vec![plain(&y, to), plain(&dx, from)];
        found.extend(by.into_iter().flatten());
        found
    }

    fn check(&self) {
        let (mut naive, x, dy) = self.naive();
        let (y, dx) = naive.run(&x, &dy);
        let mut wanted = vec![y.values, dx.values];
        wanted.extend(naive.links.into_iter().chain(naive.projection).flat_map(|unit| unit.by));
        for isa in Isa::available() {
            let cpu = Cpu::with_isa(isa, 2).unwrap();
            for borders in [[1, 1], [0, 2]] {
                let kept = self.run(&cpu, borders, Policy::Keep);
                for (i, (found, wanted)) in kept.iter().zip(&wanted).enumerate() {
                    let error = relative_error(found, wanted);
                    assert!(error <= BOUND, "{isa} {:?} {:?} result {i}: {error:e}", self.shape, self.input);
                }
                assert!(
                    self.run(&cpu, borders, Policy::Recompute) == kept,
                    "{isa}: recomputed to the same bits"
                );
            }
        }
    }
}

fn planar(layout: &Layout) -> Layout {
    Layout::planar(layout.batch(), layout.channels(), layout.height(), layout.width()).unwrap()
}

fn laid(values: &[f32], to: Layout) -> Vec<f32> {
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

const ORDERS: [Order; 2] = [Order::PostActivation, Order::PreActivation];

#[test]
fn basic_blocks_of_every_shortcut() {
    for order in ORDERS {
        for (channels, size) in [(3, [5, 4]), (17, [6, 7]), (32, [8, 8])] {
            let input = [3, channels, size[0], size[1]];
            Case::new(BlockShape::basic(channels, 1, Shortcut::Identity, order), input).check();
            Case::new(BlockShape::basic(channels + 5, 1, Shortcut::None, order), input).check();
            for stride in [1, 2] {
                let shortcut = Shortcut::Projection { stride };
                Case::new(BlockShape::basic(2 * channels, stride, shortcut, order), input).check();
            }
        }
    }
}

#[test]
fn shortcuts_without_parameters() {
    for order in ORDERS {
        for (ins, outs, stride) in [(16, 32, 2), (3, 8, 1), (33, 40, 2), (17, 17, 3)] {
            let shortcut = Shortcut::ZeroPad { stride };
            Case::new(BlockShape::basic(outs, stride, shortcut, order), [2, ins, 7, 8]).check();
        }
    }
}

#[test]
fn bottlenecks_with_and_without_groups() {
    for order in ORDERS {
        for groups in [1, 4] {
            let identity = BlockShape::bottleneck((16, groups), 40, 1, Shortcut::Identity, order);
            Case::new(identity, [2, 40, 7, 6]).check();
            let shortcut = Shortcut::Projection { stride: 2 };
            Case::new(BlockShape::bottleneck((20, groups), 33, 2, shortcut, order), [2, 24, 9, 7]).check();
        }
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    for order in ORDERS {
        let case =
            Case::new(BlockShape::basic(48, 2, Shortcut::Projection { stride: 2 }, order), [5, 33, 13, 14]);
        for isa in Isa::available() {
            let of = |threads| case.run(&Cpu::with_isa(isa, threads).unwrap(), [1, 1], Policy::Keep);
            let one = of(1);
            assert!([2, 3, 5].into_iter().all(|threads| of(threads) == one), "{isa} {order:?}");
        }
    }
}

#[test]
fn an_identity_block_of_no_branch_hands_the_gradient_on_unchanged() {
    let shape = BlockShape::basic(16, 1, Shortcut::Identity, Order::PreActivation);
    let mut case = Case::new(shape, [2, 16, 6, 6]);
    case.parameters[1][0].fill(0.0);
    let found = case.run(&Cpu::new(2).unwrap(), [1, 1], Policy::Keep);
    assert!(found[0] == case.x && found[1] == case.dy);
}

#[test]
fn branch_and_shortcut_that_do_not_fit_are_errors() {
    let x = Layout::blocked(1, 16, 8, 8).unwrap();
    let order = Order::PostActivation;
    let error = |shape: BlockShape| shape.output(&x).unwrap_err().to_string();
    let strided = error(BlockShape::basic(16, 2, Shortcut::Identity, order));
    assert!(strided.contains("[16, 4, 4]") && strided.contains("[16, 8, 8]"), "{strided}");
    assert!(
        error(BlockShape::basic(32, 2, Shortcut::Projection { stride: 1 }, order)).contains("[32, 8, 8]")
    );
    assert!(error(BlockShape { links: Vec::new(), shortcut: Shortcut::None, order }).contains("empty"));
    let link = Link { out_channels: 16, kernel: 3, stride: 1, groups: 3 };
    assert!(error(BlockShape { links: vec![link], shortcut: Shortcut::None, order }).contains("groups"));
    let cpu = Cpu::new(1).unwrap();
    let shape = BlockShape::basic(16, 1, Shortcut::Identity, order);
    assert!(Block::new(&cpu, &shape, x, Layout::planar(1, 16, 8, 8).unwrap(), Policy::Keep).is_err());
    let block = Block::new(&cpu, &shape, x, x, Policy::Keep).unwrap();
    let (weights, ones) = (vec![0.0; 9 * 256], vec![1.0; 16]);
    let link = LinkParameters { weights: &weights, gamma: &ones, beta: &ones };
    let parameters = |links| BlockParameters { links, projection: None, eps: 1e-5 };
    let (one, two) = ([link], [link, link]);
    assert!(block.pack(&parameters(&one)).is_err());
    let short = [link, LinkParameters { gamma: &ones[1..], ..link }];
    assert!(block.pack(&parameters(&short)).is_err());
    let parameters = parameters(&two);
    let packed = block.pack(&parameters).unwrap();
    let (a, mut y, mut workspace) =
        (vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; block.workspace(&cpu)]);
    let mut run = |x: &[f32], tape: &mut _, workspace: &mut [f32]| {
        block.forward(&cpu, x, &parameters, &packed, tape, &mut y, workspace)
    };
    assert!(run(&a, &mut block.tape(), &mut workspace).is_ok());
    assert!(run(&a[1..], &mut block.tape(), &mut workspace).is_err());
    assert!(run(&a, &mut block.tape(), &mut workspace[..9]).is_err());
    let smaller = Layout::blocked(1, 16, 4, 4).unwrap();
    let other = Block::new(&cpu, &shape, smaller, smaller, Policy::Keep).unwrap();
    assert!(run(&a, &mut other.tape(), &mut workspace).is_err());
}
