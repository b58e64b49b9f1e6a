//! The gradient at a residual: `dL/dx = (dF/dx)^T dL/dy + dL/dy`, three ways, and to the bit.

use burn::tensor::{Device, Tensor, TensorData};
use residual_arch::{Attention, BlockSpec, families::family};
use residual_nn::fused::Path;
use residual_nn::{
    Activation, BlockConfig, Branch, Compute, Init, Linear, Mode, NamedTensor, PreActBlockConfig,
    ResNetConfig, Residual, cross_entropy, probe,
};
use residual_testkit::naive::{Conv2d, noise, relative_error};

const MODE: Mode = Mode::train(1, 2);

fn device() -> Device {
    Device::flex().autodiff()
}

fn tensor<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(noise(seed, shape.iter().product()), shape), &device())
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().into_data().try_into_vec().unwrap()
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// A branch whose gradient finite differences can follow: `W2 gelu(W1 x)`, smooth everywhere.
#[derive(burn::module::Module, Debug)]
struct Mlp {
    up: Linear,
    down: Linear,
}

impl Branch<2> for Mlp {
    fn forward(&self, x: Tensor<2>, mode: Mode) -> Tensor<2> {
        self.down.forward(Activation::Silu.forward(self.up.forward(x, mode)), mode)
    }
}

/// `y = W x + b` in float64; `W` `[out][in]`.
fn linear(layer: &Linear, x: &[f64]) -> Vec<f64> {
    let [outputs, inputs] = layer.weight.dims();
    let (w, b) = (doubles(&values(&layer.weight.val().inner())), doubles(&values(&layer.bias.val().inner())));
    let row = |o: usize| b[o] + (0..inputs).map(|i| w[o * inputs + i] * x[i]).sum::<f64>();
    (0..outputs).map(row).collect()
}

/// `dL/dx` for `L = <f(x), g>` by central differences.
fn differences(x: &[f64], g: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    const H: f64 = 1e-5;
    let loss = |x: &[f64]| f(x).iter().zip(g).map(|(y, g)| y * g).sum::<f64>();
    let at = |i: usize, step: f64| {
        let mut moved = x.to_vec();
        moved[i] += step;
        loss(&moved)
    };
    (0..x.len()).map(|i| (at(i, H) - at(i, -H)) / (2.0 * H)).collect()
}

fn close(what: &str, found: &[f32], wanted: &[f64]) {
    let error = relative_error(found, wanted);
    assert!(error < 1e-5, "{what}: {error:e}");
}

#[test]
fn any_module_three_ways() {
    let init = Init::new(5, &device());
    let mlp = Mlp { up: Linear::new(6, 12, init.at("up")), down: Linear::new(12, 6, init.at("down")) };
    let residual = Residual::new(mlp);
    let (x, g) = (tensor(1, [1, 6]), tensor(2, [1, 6]));

    let split = probe::split(&residual, x.clone(), g.clone(), MODE);
    let leaf = x.clone().require_grad();
    let y = residual.forward(leaf.clone(), MODE);
    let autodiff = values(&leaf.grad(&(y * g.clone()).sum().backward()).unwrap());
    let branch = |x: &[f64]| {
        let h: Vec<f64> = linear(&residual.branch.up, x).iter().map(|h| h / (1.0 + (-h).exp())).collect();
        linear(&residual.branch.down, &h)
    };
    let (x, g) = (doubles(&values(&x)), doubles(&values(&g)));
    let of_branch = differences(&x, &g, branch);
    let sum: Vec<f64> = of_branch.iter().zip(&g).map(|(branch, g)| branch + g).collect();

    close("the branch's share", &values(&split.branch), &of_branch);
    close("the identity's share", &values(&split.shortcut.clone().unwrap()), &g);
    close("the probe's sum", &values(&split.input), &sum);
    close("autodiff", &autodiff, &sum);
}

/// Batch norm in training, float64, `[n][c][plane]`.
fn normalise(x: &[f64], [n, c, plane]: [usize; 3], weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let mut y = x.to_vec();
    for channel in 0..c {
        let places = || (0..n).flat_map(move |b| (0..plane).map(move |p| (b * c + channel) * plane + p));
        let count = (n * plane) as f64;
        let mean = places().map(|i| x[i]).sum::<f64>() / count;
        let var = places().map(|i| (x[i] - mean).powi(2)).sum::<f64>() / count;
        for i in places() {
            y[i] =
                (x[i] - mean) / (var + 1e-5).sqrt() * f64::from(weight[channel]) + f64::from(bias[channel]);
        }
    }
    y
}

/// A pre-activation block in float64, written out.
fn preact(x: &[f64], [n, c, side]: [usize; 3], tensors: &[NamedTensor]) -> Vec<f64> {
    let named = |path: &str| &tensors.iter().find(|tensor| tensor.path == path).unwrap().values;
    let conv = Conv2d {
        batch: n,
        in_channels: c,
        out_channels: c,
        size: [side; 2],
        kernel: [3; 2],
        stride: [1; 2],
        padding: [1; 2],
        dilation: [1; 2],
        groups: 1,
    };
    let layer = |x: &[f64], number: usize| {
        let [weight, bias] = ["weight", "bias"].map(|field| named(&format!("norm{number}.{field}")));
        let h: Vec<f64> =
            normalise(x, [n, c, side * side], weight, bias).into_iter().map(|h| h.max(0.0)).collect();
        let w = named(&format!("conv{number}.weight"));
        let mut y = vec![0.0; x.len()];
        conv.products(|xi, wi, yi| y[yi] += h[xi] * f64::from(w[wi]));
        y
    };
    let branch = layer(&layer(x, 1), 2);
    x.iter().zip(branch).map(|(x, branch)| x + branch).collect()
}

#[test]
fn a_block_three_ways() {
    let (n, c, side) = (2, 3, 4);
    let block = PreActBlockConfig::basic(c, c).init(Init::new(3, &device())).unwrap();
    let (x, g) = (tensor(3, [n, c, side, side]), tensor(4, [n, c, side, side]));
    let split = probe::split_block(&block, x.clone(), g.clone(), MODE);
    let general = probe::split(&block.residual, x.clone(), g.clone(), MODE);
    assert_eq!(values(&general.branch), values(&split.branch));

    let wanted = differences(&doubles(&values(&x)), &doubles(&values(&g)), |x| {
        preact(x, [n, c, side], &block.state())
    });
    close("the probe", &values(&split.input), &wanted);
    assert_eq!(values(&split.shortcut.clone().unwrap()), values(&g));
    for path in [Path::Stock, Path::Fused] {
        let mut block = block.clone();
        block.set_compute(Compute { path, ..Compute::default() });
        let leaf = x.clone().require_grad();
        let gradients = (block.forward(leaf.clone(), MODE) * g.clone()).sum().backward();
        close("autodiff", &values(&leaf.grad(&gradients).unwrap()), &wanted);
    }
}

/// A block whose branch is scaled to zero: `y = x`.
fn silent(channels: usize) -> residual_nn::Block {
    let config = PreActBlockConfig::basic(channels, channels);
    let mut tensors = config.init(Init::new(7, &device())).unwrap().state();
    for tensor in tensors.iter_mut().filter(|tensor| tensor.path == "conv2.weight") {
        tensor.values.fill(0.0);
    }
    BlockConfig::new(config.spec(), channels).init_with(tensors, &device()).unwrap()
}

#[test]
fn a_thousand_blocks_pass_the_gradient_on_to_the_bit() {
    let block = silent(4);
    let (x, g) = (tensor(5, [2, 4, 4, 4]), tensor(6, [2, 4, 4, 4]));
    let bits = |tensor: &Tensor<4>| values(tensor).iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let leaf = x.clone().require_grad();
    let y = (0..1000).fold(leaf.clone(), |x, _| block.forward(x, MODE));
    assert_eq!(bits(&y.clone().inner()), bits(&x));
    let gradients = (y * g.clone()).sum().backward();
    assert_eq!(bits(&leaf.grad(&gradients).unwrap()), bits(&g), "autodiff");
    let probed = (0..1000).fold(g.clone(), |dy, _| probe::split_block(&block, x.clone(), dy, MODE).input);
    assert_eq!(bits(&probed), bits(&g), "the probe");
    // The branch is not idle: with its own weights the gradient changes.
    let awake = PreActBlockConfig::basic(4, 4).init(Init::new(7, &device())).unwrap();
    assert_ne!(bits(&probe::split_block(&awake, x, g.clone(), MODE).input), bits(&g));
}

/// Every kind of shortcut, and the ReLU after the addition: the shares add up to what autodiff gives.
#[test]
fn shares_add_up_for_every_kind_of_block() {
    let zero_pad = residual_arch::Shortcut::ZeroPad { channels: 8, stride: 2 };
    let specs = [
        (BlockSpec::basic(4), 4),
        (BlockSpec::basic(4).plain(), 4),
        (BlockSpec::projection(8, 2), 4),
        (BlockSpec::projection(8, 2).with(|block| block.shortcut = zero_pad), 4),
        (BlockSpec::projection(8, 2).preactivation(), 4),
        (
            BlockSpec::bottleneck(4, 4, 8, 2)
                .with(|block| block.attention = Some(Attention::squeeze_excite(2))),
            4,
        ),
    ];
    for (spec, channels) in specs {
        let block = BlockConfig::new(spec, channels).init(Init::new(9, &device())).unwrap();
        let before = block.state();
        let x = tensor(7, [3, channels, 6, 6]);
        let leaf = x.clone().require_grad();
        let y = block.forward(leaf.clone(), MODE);
        let g = tensor(8, y.dims());
        let wanted = leaf.grad(&(y * g.clone()).sum().backward()).unwrap();
        let moved = block.state();
        let split = probe::split_block(&block, x, g, MODE);
        assert_eq!(block.state(), moved, "{spec}: the probe moved running statistics");
        assert_ne!(before, moved, "{spec}");
        close(&spec.to_string(), &values(&split.input), &doubles(&values(&wanted)));
        assert_eq!(split.shortcut.is_none(), spec.is_plain());
        if spec == BlockSpec::basic(4) {
            assert_eq!(values(&split.shortcut.unwrap()), values(&split.sum), "identity");
        }
    }
}

/// Block by block is what one backward pass through the whole network gives.
#[test]
fn a_network_is_probed_as_one_backward_pass_sees_it() {
    for name in ["cifar_resnet8", "cifar_preact8", "cifar_plain8"] {
        let spec = family(name).unwrap().with_input([3, 8, 8]);
        let net = ResNetConfig::new(spec).init(Init::new(2, &device())).unwrap();
        let (x, labels) = (tensor(9, [4, 3, 8, 8]), [1, 5, 0, 9]);
        let found = net.probe(x.clone(), &labels, MODE).unwrap();
        let mut stock = net.clone();
        stock.set_compute(Compute { path: Path::Stock, ..Compute::default() });
        let stem = stock.stem.forward(x, MODE).inner().autodiff().require_grad();
        let blocks = stock.stages.iter().flat_map(|stage| &stage.blocks);
        let h = blocks.fold(stem.clone(), |h, block| block.forward(h, MODE));
        let loss = cross_entropy(stock.head.forward(h, MODE), &labels, 0.0).unwrap();
        let gradient = doubles(&values(&stem.grad(&loss.clone().backward()).unwrap()));
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let first = found.blocks[0].1.input;
        assert!((first / norm - 1.0).abs() < 1e-5, "{name}: {first} instead of {norm}");
        assert!((found.loss - f64::from(loss.into_scalar::<f32>())).abs() < 1e-6);
        assert_eq!(found.blocks.len(), 3);
    }
}

/// Without norms a plain network is convolutions and ReLUs alone: twice the input, twice the map.
#[test]
fn bypassed_norms_do_nothing() {
    for path in [Path::Stock, Path::Fused] {
        let spec = family("cifar_preact8").unwrap().with_input([3, 8, 8]);
        let mut net = ResNetConfig::new(spec).init(Init::new(2, &device())).unwrap();
        net.set_compute(Compute { path, ..Compute::default() });
        net.bypass_norms();
        assert!(net.norms_are_bypassed());
        let x = tensor(9, [2, 3, 8, 8]);
        let pooled = |x: Tensor<4>| values(&net.forward_features(x, MODE).pooled.inner());
        let (once, twice) = (pooled(x.clone()), pooled(x.clone() * 2.0));
        close("homogeneous", &twice, &once.iter().map(|v| 2.0 * f64::from(*v)).collect::<Vec<_>>());
        let gradients = cross_entropy(net.forward(x, MODE), &[0, 1], 0.0).unwrap().backward();
        let with: Vec<_> = net.gradients(&gradients).into_iter().map(|gradient| gradient.path).collect();
        assert!(with.iter().all(|path| !path.contains("norm")) && with.len() > 8, "{with:?}");
        let mut state = net.state();
        state.reverse();
        net.load(state).unwrap();
        assert!(net.norms_are_bypassed());
    }
}
