//! Random networks, batches and images through a training step of the fused path, beside the stock one.
//!
//! `RESIDUAL_RANDOM_CASES=N` runs so many networks in place of a few hundred, and `RESIDUAL_RANDOM_SEED=N` others.

use burn::tensor::{Device, Tensor, TensorData};
use residual_arch::shape::flow;
use residual_arch::{
    AntiAlias, Attention, BlockKind, BlockSpec, ConvKind, HeadSpec, MaxPool, NetSpec, NormKind, Order,
    Shortcut, StageSpec, StemConv, StemSpec, families::family,
};
use residual_nn::fused::{Memory, Path};
use residual_nn::{Compute, Error, Init, Mode, NamedTensor, Randomness, ResNet, ResNetConfig, cross_entropy};
use residual_testkit::formula;

/// Draws of one case.
struct Draws {
    randomness: Randomness,
    next: u64,
}

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.next += 1;
        self.randomness.uniform("random network", self.next)
    }

    /// From `low` to `high`.
    fn number(&mut self, low: usize, high: usize) -> usize {
        low + (self.uniform() * (high - low + 1) as f64) as usize
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.number(0, from.len() - 1)]
    }

    /// Few channels, and now and then more than two blocks of the kernels' layout.
    fn channels(&mut self) -> usize {
        let most = self.one_of(&[3, 16, 17, 40]);
        self.number(1, most)
    }

    fn anti_alias(&mut self) -> Option<AntiAlias> {
        self.one_of(&[None, None, None, Some(AntiAlias::Blur), Some(AntiAlias::Average)])
    }

    /// Mostly what the kernels have.
    fn kinds(&mut self) -> (NormKind, ConvKind) {
        let norm = self.one_of(&[NormKind::Batch, NormKind::Batch, NormKind::Batch, NormKind::group(1)]);
        let plain = ConvKind::Plain;
        (norm, self.one_of(&[plain, plain, plain, plain, ConvKind::Standardised]))
    }

    fn attention(&mut self) -> Attention {
        match self.chance(0.7) {
            true => Attention::squeeze_excite(self.number(1, 9)),
            false => Attention::Efficient { kernel: self.one_of(&[1, 3, 5]) },
        }
    }

    fn stem(&mut self) -> StemSpec {
        let conv = |draws: &mut Self| {
            let kernel = draws.one_of(&[1, 2, 3, 3, 4, 5, 7]);
            let padding = if draws.chance(0.8) { kernel / 2 } else { draws.number(0, kernel) };
            let stride = draws.one_of(&[1, 1, 1, 2, 3]);
            StemConv::same(draws.channels(), kernel, stride).with(|conv| conv.padding = padding)
        };
        let convs = (0..self.one_of(&[1, 1, 2, 3])).map(|_| conv(self)).collect();
        let pool = self.chance(0.3).then(|| {
            let kernel = self.number(1, 4);
            MaxPool {
                kernel,
                stride: self.number(1, 3),
                padding: self.number(0, kernel / 2),
                zeros: self.chance(0.3),
            }
        });
        StemSpec::new(convs).with(|stem| {
            stem.bare = self.chance(0.4);
            stem.pool = pool;
            stem.anti_alias = self.anti_alias();
            (stem.norm, stem.conv) = self.kinds();
        })
    }

    fn block(&mut self, in_channels: usize, order: Order) -> BlockSpec {
        let groups = self.one_of(&[1, 1, 1, 2, 3]);
        let same = in_channels.is_multiple_of(groups) && self.chance(0.4);
        let basic = self.chance(0.5) && in_channels.is_multiple_of(groups);
        let channels = if same { in_channels } else { groups * self.channels() };
        let stride = if same { 1 } else { self.one_of(&[1, 1, 2, 3]) };
        let zero_pad = channels >= in_channels && self.chance(0.4);
        let shortcut = match self.number(0, 9) {
            0 => Shortcut::None,
            1..=6 if same => Shortcut::Identity,
            _ if zero_pad => Shortcut::ZeroPad { channels, stride },
            _ => Shortcut::Projection { channels, stride, average_pool: self.chance(0.3), kernel: 1 },
        };
        BlockSpec::basic(channels).with(|block| {
            block.kind = if basic { BlockKind::Basic } else { BlockKind::Bottleneck };
            block.order = order;
            block.width = groups * self.channels();
            (block.stride, block.stride_first) = (stride, self.chance(0.2));
            block.anti_alias = self.anti_alias();
            block.groups = groups;
            block.attention = self.chance(0.3).then(|| self.attention());
            block.zero_init = self.chance(0.1);
            (block.norm, block.conv) = self.kinds();
            block.first_width = self.chance(0.2).then(|| groups * self.channels());
            block.shortcut = shortcut;
        })
    }

    fn network(&mut self) -> NetSpec {
        let stem = self.stem();
        let mut channels = stem.channels();
        let usual = self.one_of(&[Order::PostActivation, Order::PreActivation]);
        let mut stages = Vec::new();
        for _ in 0..self.number(0, 3) {
            let mut blocks = Vec::new();
            for _ in 0..self.number(1, 2) {
                let order = if self.chance(0.9) {
                    usual
                } else {
                    self.one_of(&[Order::PostActivation, Order::PreActivation])
                };
                blocks.push(self.block(channels, order));
                channels = blocks[blocks.len() - 1].channels;
            }
            stages.push(StageSpec::new(blocks));
        }
        let head = HeadSpec::new(self.number(1, 20)).with(|head| {
            head.norm = usual == Order::PreActivation || self.chance(0.2);
            head.dropout = self.one_of(&[0.0, 0.0, 0.3]);
        });
        let stochastic_depth = self.one_of(&[0.0, 0.0, 0.5]);
        let input = [self.number(1, 4), 8, 8];
        let family = family("small").unwrap().with_input(input);
        family.with(|net| {
            net.stem = stem;
            net.stages = stages;
            net.head = head;
            net.stochastic_depth = stochastic_depth;
        })
    }

    /// Batch, rows and columns: many small images, or few that may be larger; not too much work.
    fn sizes(&mut self) -> [usize; 3] {
        let side = self.one_of(&[1, 2, 5, 9, 16, 33, 70]);
        let [height, width] = [0, 1].map(|_| self.number(1, side));
        let most = (6_000 / (height * width)).clamp(1, 300);
        let most = self.one_of(&[2, 5, 20, 300]).min(most);
        [self.number(1, most), height, width]
    }
}

/// A network with what it runs on.
struct Case {
    spec: NetSpec,
    input: [usize; 4],
    frozen: Vec<String>,
    memory: Memory,
    /// Whether the gradient with respect to the input is asked for.
    tracked: bool,
}

impl Case {
    /// The network of a seed; none where there is no such network, or its batch norms have one value a channel.
    fn new(seed: u64, index: u64) -> Option<Self> {
        let mut draws = Draws { randomness: Randomness::new(seed, index), next: 0 };
        let spec = draws.network();
        let [batch, height, width] = draws.sizes();
        let input = [batch, spec.input[0], height, width];
        flow(&spec, [spec.input[0], height, width]).ok()?;
        let mut case = Self { spec, input, frozen: Vec::new(), memory: Memory::Keep, tracked: true };
        let Ok(mut net) = case.build(Path::Fused) else { return None };
        if draws.chance(0.3) {
            case.frozen = net.layers().into_iter().filter(|_| draws.chance(0.3)).collect();
            net.freeze_layers(&case.frozen).unwrap();
        }
        // Something has to train.
        case.tracked = draws.chance(0.3) || net.parameters().iter().all(|parameter| parameter.frozen);
        if draws.chance(0.3) {
            case.memory = Memory::Low;
        }
        match net.check_input(input, Mode::train(0, 0)) {
            Ok(()) => Some(case),
            Err(Error::SingleValue { .. }) => None,
            Err(error) => panic!("case {index}: {error}"),
        }
    }

    fn build(&self, path: Path) -> Result<ResNet, Error> {
        let device = Device::flex().autodiff();
        let mut net = ResNetConfig::new(self.spec.clone()).init(Init::new(7, &device))?;
        net.set_compute(Compute { path, memory: self.memory });
        net.freeze_layers(&self.frozen)?;
        Ok(net)
    }

    /// Logits, gradients and running statistics of a training step, then the logits of an evaluation.
    fn step(&self, path: Path) -> Vec<NamedTensor> {
        let net = self.build(path).unwrap();
        let data = TensorData::new(formula::input(&self.input), self.input);
        let x = Tensor::<4>::from_data(data, &Device::flex().autodiff());
        let x = if self.tracked { x.require_grad() } else { x };
        let logits = net.forward(x.clone(), Mode::train(3, 4));
        let labels = formula::labels(self.input[0], self.spec.head.classes);
        let gradients = cross_entropy(logits.clone(), &labels, 0.1).unwrap().backward();
        let mut found = vec![NamedTensor::read("logits", logits)];
        found.extend(net.gradients(&gradients));
        found.extend(net.state().into_iter().filter(|tensor| tensor.path.contains(".running_")));
        found.extend(x.grad(&gradients).map(|by_input| NamedTensor::read("input", by_input)));
        found.push(NamedTensor::read("evaluated", net.forward(x, Mode::Eval)));
        found
    }
}

/// Distance of all tensors together, relative to their norm.
fn error(found: &[NamedTensor], wanted: &[NamedTensor]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let (mut distance, mut norm) = (0.0, 1e-12);
    for (found, wanted) in found.iter().zip(wanted) {
        let pairs = found.values.iter().zip(&wanted.values);
        distance += square(&mut pairs.map(|(&a, &b)| f64::from(a) - f64::from(b)));
        norm += square(&mut wanted.values.iter().map(|&value| f64::from(value)));
    }
    (distance / norm).sqrt()
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

#[test]
fn random_networks_train_fused_as_they_do_layer_by_layer() {
    let (seed, wanted) = (setting("RESIDUAL_RANDOM_SEED", 1), setting("RESIDUAL_RANDOM_CASES", 200));
    let (mut run, mut far) = (0, Vec::new());
    for index in 0.. {
        if run == wanted {
            break;
        }
        assert!(index < 20 * (wanted + 10), "only {run} of {index} networks are possible");
        let Some(case) = Case::new(seed, index) else { continue };
        run += 1;
        let what = || {
            format!(
                "case {index}: {:?}, frozen {:?}, {:?}\n{:?}",
                case.input, case.frozen, case.memory, case.spec
            )
        };
        let fused = std::panic::catch_unwind(|| case.step(Path::Fused));
        let fused = fused.unwrap_or_else(|_| panic!("{}", what()));
        let stock = case.step(Path::Stock);
        let shapes = |found: &[NamedTensor]| {
            found.iter().map(|tensor| (tensor.path.clone(), tensor.shape.clone())).collect::<Vec<_>>()
        };
        assert_eq!(shapes(&fused), shapes(&stock), "{}", what());
        let finite =
            |found: &[NamedTensor]| found.iter().all(|t| t.values.iter().all(|value| value.is_finite()));
        assert!(finite(&fused) || !finite(&stock), "{}", what());
        let error = error(&fused, &stock);
        if error.is_nan() || error > 2e-2 {
            far.push((index, error));
        }
    }
    // A batch norm of few values, or a ReLU next to zero, makes much of a rounding error: few do.
    println!("{run} networks, {} far: {far:?}", far.len());
    assert!(20 * far.len() as u64 <= run, "{} of {run}: {far:?}", far.len());
}
