//! The same bits for any number of threads, and from run to run.

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use residual_arch::{Attention, BlockSpec, NetSpec, Shortcut, StageSpec, StemSpec, families::family};
use residual_nn::beyond::{EncoderBlockConfig, UNetBlockConfig};
use residual_nn::{Init, Mode, NamedTensor, ResNetConfig, cross_entropy, tensors};
use residual_testkit::formula;

/// Runs `f` in pools of 1, 2 and 5 threads, twice in the last, and expects equal bits.
fn assert_same_bits(what: &str, f: impl Fn() -> Vec<NamedTensor> + Sync) {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&f)
    };
    let wanted = run(1);
    assert!(wanted.len() > 1 && wanted.iter().all(|t| t.values.iter().all(|v| v.is_finite())), "{what}");
    for threads in [2, 5, 5] {
        for (wanted, found) in wanted.iter().zip(run(threads)) {
            let same = wanted.values.iter().zip(&found.values).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same && wanted.path == found.path, "{what}, {threads} threads: {} differs", wanted.path);
        }
    }
}

fn input<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let data = TensorData::new(formula::input(&shape), shape);
    Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
}

/// Loss, gradients and running statistics of one training step.
fn step(spec: &NetSpec, shape: [usize; 4]) -> Vec<NamedTensor> {
    let device = Device::flex().autodiff();
    let net = ResNetConfig::new(spec.clone()).init(Init::new(1, &device)).unwrap();
    let x = input(shape);
    let logits = net.forward(x.clone(), Mode::train(3, 4));
    let labels = formula::labels(shape[0], spec.head.classes);
    let loss = cross_entropy(logits.clone(), &labels, 0.1).unwrap();
    let gradients = loss.backward();
    let mut found = net.gradients(&gradients);
    found.extend(net.state());
    found.push(NamedTensor::read("logits", logits));
    found.push(NamedTensor::read("input", x.grad(&gradients).unwrap()));
    found
}

#[test]
fn small_network() {
    let spec = family("small").unwrap().with(|net| net.stochastic_depth = 0.5);
    assert_same_bits("small", || step(&spec, [24, 3, 32, 32]));
}

/// Every option at once, on maps large enough for the parallel paths of the backend.
#[test]
fn network_with_every_option() {
    let mut spec = family("resnet26d").unwrap().with_classes(5).with_input([3, 64, 64]);
    spec.stem = StemSpec::deep(8, 8, 16);
    let bottleneck = BlockSpec::bottleneck(16, 32, 64, 2).with(|block| {
        block.groups = 4;
        block.attention = Some(Attention::squeeze_excite(8));
        block.shortcut = Shortcut::pooled_projection(64, 2);
    });
    let padded = BlockSpec::basic(96)
        .with(|block| (block.stride, block.shortcut) = (2, Shortcut::ZeroPad { channels: 96, stride: 2 }));
    let preact = BlockSpec::projection(96, 1).preactivation();
    spec.stages = [bottleneck, padded, preact].map(|block| StageSpec::new(vec![block])).to_vec();
    spec.head.norm = true;
    spec.head.dropout = 0.2;
    assert_same_bits("every option", || step(&spec, [6, 3, 64, 64]));
}

fn with_input_gradient<const D: usize>(
    mut found: Vec<NamedTensor>,
    x: &Tensor<D>,
    gradients: &Gradients,
) -> Vec<NamedTensor> {
    found.push(NamedTensor::read("input", x.grad(gradients).unwrap()));
    found
}

#[test]
fn encoder_block() {
    let device = Device::flex().autodiff();
    assert_same_bits("encoder", || {
        let block = EncoderBlockConfig::new(64, 4).with_stochastic_depth(0.3).init(&device).unwrap();
        let x = input([24, 65, 64]);
        let gradients = block.forward(x.clone(), Mode::train(1, 1)).powi_scalar(2).sum().backward();
        with_input_gradient(tensors::gradients(&block, &gradients), &x, &gradients)
    });
}

#[test]
fn unet_block() {
    let device = Device::flex().autodiff();
    assert_same_bits("U-Net", || {
        let block = UNetBlockConfig::new(16, 32, 8).init(&device).unwrap();
        let (x, time) = (input([8, 16, 32, 32]), input([8, 8]));
        let y = block.forward(x.clone(), time, Mode::train(1, 1));
        let gradients = y.powi_scalar(2).sum().backward();
        with_input_gradient(tensors::gradients(&block, &gradients), &x, &gradients)
    });
}
