//! The fused path against the stock one: values, gradients, statistics, conversions, memory.

use burn::module::Module;
use burn::tensor::{Device, Gradients, Tensor, TensorData, activation::relu};
use residual_arch::{Attention, BlockSpec, NetSpec, Shortcut, families::family};
use residual_kernels::{Cpu, Isa, Pool};
use residual_nn::fused::{FusedContext, Memory, Path, conversions};
use residual_nn::{
    BasicBlockConfig, Block, BlockConfig, Compute, Conv2d, Init, Maps, Mode, NamedTensor, ResNet,
    ResNetConfig, cross_entropy,
};
use residual_testkit::formula;

const FUSED: Compute = Compute { path: Path::Fused, memory: Memory::Keep };
const STOCK: Compute = Compute { path: Path::Stock, memory: Memory::Keep };

fn device() -> Device {
    Device::flex().autodiff()
}

fn input(shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(formula::input(&shape), shape), &device()).require_grad()
}

/// `sum of w y`, with weights of either sign.
fn weighted(y: Tensor<4>) -> Tensor<1> {
    let shape = y.dims();
    let weights = TensorData::new(formula::loss_weights(shape.iter().product()), shape);
    (y.clone() * Tensor::from_data(weights, &y.device())).sum()
}

/// The relative error in the Euclidean norm of every tensor.
fn assert_close(what: &str, found: &[NamedTensor], wanted: &[NamedTensor], bound: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!((&found.path, &found.shape), (&wanted.path, &wanted.shape), "{what}");
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let pairs = found.values.iter().zip(&wanted.values);
        let error = norm(&mut pairs.map(|(&a, &b)| f64::from(a) - f64::from(b)));
        let size = norm(&mut wanted.values.iter().map(|&v| f64::from(v)));
        assert!(error <= bound * size.max(1e-6), "{what}, {}: {error:e} of {size:e}", found.path);
    }
}

fn block_step(spec: BlockSpec, shape: [usize; 4], compute: Compute) -> Vec<NamedTensor> {
    let mut block = BlockConfig::new(spec, shape[1]).init(Init::new(5, &device())).unwrap();
    block.set_compute(compute);
    let x = input(shape);
    let y = block.forward(x.clone(), Mode::train(0, 0));
    let gradients = weighted(y.clone()).backward();
    results(NamedTensor::read("y", y), &x, &gradients, block.gradients(&gradients), block.state())
}

fn results(
    y: NamedTensor,
    x: &Tensor<4>,
    gradients: &Gradients,
    parameters: Vec<NamedTensor>,
    state: Vec<NamedTensor>,
) -> Vec<NamedTensor> {
    let mut found = vec![y, NamedTensor::read("dx", x.grad(gradients).unwrap())];
    found.extend(parameters);
    found.extend(state.into_iter().filter(|tensor| tensor.path.contains("running")));
    found
}

#[test]
fn every_kind_of_block_computes_what_its_layers_do() {
    let zero_pad = BlockSpec::basic(24)
        .with(|block| (block.shortcut, block.stride) = (Shortcut::ZeroPad { channels: 24, stride: 2 }, 2));
    let pooled =
        BlockSpec::projection(24, 2).with(|block| block.shortcut = Shortcut::pooled_projection(24, 2));
    let specs = [
        BlockSpec::basic(16),
        BlockSpec::projection(24, 2),
        zero_pad,
        BlockSpec::bottleneck(16, 8, 32, 2).with(|block| block.groups = 4),
        BlockSpec::bottleneck(16, 8, 16, 1),
        BlockSpec::basic(16).plain(),
        BlockSpec::basic(16).preactivation(),
        BlockSpec::projection(24, 2).preactivation(),
        zero_pad.preactivation(),
        BlockSpec::basic(16).with(|block| block.attention = Some(Attention::squeeze_excite(4))),
        BlockSpec::bottleneck(16, 8, 32, 2)
            .with(|block| block.attention = Some(Attention::squeeze_excite(4))),
        BlockSpec::projection(24, 2)
            .with(|block| block.attention = Some(Attention::squeeze_excite(4)))
            .preactivation(),
        pooled,
        pooled.with(|block| block.attention = Some(Attention::squeeze_excite(6))),
        pooled.preactivation(),
    ];
    for spec in specs {
        let of = |compute| block_step(spec, [3, 16, 7, 6], compute);
        assert_close(&format!("{spec:?}"), &of(FUSED), &of(STOCK), 2e-4);
        assert_eq!(of(Compute { memory: Memory::Low, ..FUSED }), of(FUSED), "{spec:?}");
        let of = |compute| frozen_block(spec, [3, 16, 7, 6], compute);
        assert_close(&format!("frozen {spec:?}"), &of(FUSED), &of(STOCK), 2e-4);
        assert_eq!(of(Compute { memory: Memory::Low, ..FUSED }), of(FUSED), "frozen {spec:?}");
    }
}

/// The output of a frozen block, and the gradient that it hands on.
fn frozen_block(spec: BlockSpec, shape: [usize; 4], compute: Compute) -> Vec<NamedTensor> {
    let mut block = BlockConfig::new(spec, shape[1]).init(Init::new(5, &device())).unwrap();
    // Statistics other than 0 and 1.
    block.forward(input(shape), Mode::train(0, 0));
    block.set_compute(compute);
    let before = conversions();
    let x = input(shape);
    let y = block.forward(x.clone(), Mode::Eval);
    assert_eq!(conversions() - before, if compute.path == Path::Fused { 2 } else { 0 });
    let gradients = weighted(y.clone()).backward();
    assert!(block.gradients(&gradients).is_empty());
    results(NamedTensor::read("y", y), &x, &gradients, Vec::new(), block.state())
}

fn build(spec: &NetSpec, compute: Compute) -> ResNet {
    let mut net = ResNetConfig::new(spec.clone()).init(Init::new(1, &device())).unwrap();
    net.set_compute(compute);
    net
}

fn net_step(spec: &NetSpec, shape: [usize; 4], compute: Compute) -> Vec<NamedTensor> {
    step(&build(spec, compute), shape)
}

/// Logits, gradients and running statistics of a training step.
fn step(net: &ResNet, shape: [usize; 4]) -> Vec<NamedTensor> {
    let spec = net.spec();
    let x = input(shape);
    let logits = net.forward(x.clone(), Mode::train(3, 4));
    let labels = formula::labels(shape[0], spec.head.classes);
    let gradients = cross_entropy(logits.clone(), &labels, 0.1).unwrap().backward();
    let logits = NamedTensor::read("logits", logits);
    results(logits, &x, &gradients, net.gradients(&gradients), net.state())
}

#[test]
fn networks_compute_what_their_layers_do() {
    for name in ["cifar_resnet8", "cifar_preact8", "cifar_preact11", "resnet18", "resnet26d", "seresnet18"] {
        let spec = family(name).unwrap().with_classes(5);
        // Maps of the last stage that leave a batch norm enough values to have a variance.
        let side = if name.starts_with("cifar") { 32 } else { 96 };
        let of = |compute| net_step(&spec, [3, 3, side, side], compute);
        let (fused, stock) = (of(FUSED), of(STOCK));
        assert_close(name, &fused[..1], &stock[..1], 1e-4);
        // A ReLU near zero may fall on the other side.
        assert_close(name, &fused[1..], &stock[1..], 3e-2);
        assert_eq!(of(Compute { memory: Memory::Low, ..FUSED }), fused, "{name}");
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let spec = family("small").unwrap().with_input([3, 16, 16]);
    let mut wanted = None;
    for threads in [1, 2, 5] {
        // On fewer cores as well.
        let mut net = build(&spec, FUSED);
        net.set_context(&FusedContext::with_cpu(Cpu::with_isa(Isa::detect().unwrap(), threads).unwrap()));
        let found = step(&net, [5, 3, 16, 16]);
        assert_eq!(wanted.get_or_insert_with(|| found.clone()), &found, "{threads} threads");
    }
}

#[test]
fn no_number_of_threads_panics() {
    let mut net = build(&family("small").unwrap(), FUSED);
    for threads in [0, 1, 1000, usize::MAX] {
        net.set_threads(threads);
        assert_eq!(net.context().cpu().pool().threads(), Pool::helpful_threads(threads.max(1)));
    }
}

#[test]
fn networks_of_one_process_have_threads_of_their_own() {
    let spec = family("small").unwrap().with_input([3, 16, 16]);
    let [mut one, mut three, other] = [0, 1, 2].map(|_| build(&spec, FUSED));
    let threads = |net: &ResNet| net.context().cpu().pool().threads();
    let usual = threads(&other);
    one.set_threads(1);
    three.set_context(&FusedContext::with_cpu(Cpu::with_isa(Isa::detect().unwrap(), 3).unwrap()));
    assert_eq!([&one, &three, &other].map(threads), [1, 3, usual]);
    // In turns and at the same time, with batches of several sizes.
    let wanted = [5, 2].map(|batch| step(&build(&spec, FUSED), [batch, 3, 16, 16]));
    std::thread::scope(|scope| {
        for net in [&one, &three, &other] {
            let wanted = &wanted;
            scope.spawn(move || {
                // The second pass of a network has other running statistics.
                let found = step(net, [5, 3, 16, 16]);
                assert_eq!(found, wanted[0]);
                assert_eq!(step(net, [2, 3, 16, 16])[0], wanted[1][0]);
                assert_eq!(step(net, [5, 3, 16, 16])[0], wanted[0][0]);
            });
        }
    });
    assert_eq!([&one, &three, &other].map(threads), [1, 3, usual]);
}

#[test]
fn a_network_converts_its_images_and_nothing_else() {
    for name in
        ["small", "resnet18", "cifar_preact11", "cifar_resnet14", "resnet50", "resnet26d", "seresnet18"]
    {
        let net = build(&family(name).unwrap(), FUSED);
        let before = conversions();
        let x = Tensor::<4>::zeros([2, 3, 32, 32], &device());
        let logits = net.forward(x, Mode::train(0, 0));
        assert_eq!(conversions() - before, 1, "{name}");
        logits.sum().backward();
    }
}

#[test]
fn networks_that_drop_branches_compute_what_their_layers_do() {
    for name in ["cifar_resnet8", "cifar_preact8"] {
        let spec = family(name).unwrap().with(|net| net.stochastic_depth = 0.6);
        let of = |compute| net_step(&spec, [5, 3, 32, 32], compute);
        let (fused, stock) = (of(FUSED), of(STOCK));
        assert_close(name, &fused[..1], &stock[..1], 1e-4);
        assert_close(name, &fused[1..], &stock[1..], 3e-2);
        assert_eq!(of(Compute { memory: Memory::Low, ..FUSED }), fused, "{name}");
        let kept = spec.clone().with(|net| net.stochastic_depth = 0.0);
        assert_ne!(net_step(&kept, [5, 3, 32, 32], FUSED)[0], fused[0], "{name}: branches are dropped");
    }
}

/// One step with frozen layers, and the conversions that it took.
fn frozen_step(layers: &[&str], compute: Compute) -> (Vec<NamedTensor>, u64) {
    let mut net = build(&family("resnet18").unwrap().with_classes(5), compute);
    net.freeze_layers(layers).unwrap();
    let before = conversions();
    let x = input([3, 3, 64, 64]).detach();
    let logits = net.forward(x, Mode::train(3, 4));
    let gradients = cross_entropy(logits.clone(), &[0, 1, 2], 0.0).unwrap().backward();
    let conversions = conversions() - before;
    let mut found = vec![NamedTensor::read("logits", logits)];
    found.extend(net.gradients(&gradients));
    found.extend(net.state().into_iter().filter(|tensor| tensor.path.contains("running")));
    (found, conversions)
}

#[test]
fn frozen_layers_run_fused() {
    for (layers, conversions) in [
        (&["stem", "stage1", "stage2.block0"][..], 1),
        // A frozen block between others hands its gradient on.
        (&["stage2", "stage3.block1"][..], 1),
    ] {
        let ((fused, found), (stock, _)) = (frozen_step(layers, FUSED), frozen_step(layers, STOCK));
        assert_eq!(found, conversions, "{layers:?}");
        assert_close("frozen", &fused[..1], &stock[..1], 1e-4);
        assert_close("frozen", &fused[1..], &stock[1..], 3e-2);
        assert!(fused.iter().all(|tensor| {
            tensor.path.contains("running") || !layers.iter().any(|layer| tensor.path.starts_with(layer))
        }));
    }
}

#[test]
fn evaluation_runs_fused_and_computes_what_the_layers_do() {
    for name in ["resnet18", "seresnet18", "resnet26d", "cifar_preact11"] {
        let spec = family(name).unwrap().with_classes(5);
        let of = |compute| {
            let x = input([2, 3, 64, 64]).detach();
            NamedTensor::read("logits", build(&spec, compute).forward(x, Mode::Eval))
        };
        assert_close(name, &[of(FUSED)], &[of(STOCK)], 1e-4);
    }
}

/// A network of one's own: our blocks around a layer of Burn's.
#[derive(Module, Debug)]
struct Mixed {
    first: Block,
    own: Conv2d,
    second: Block,
}

impl Mixed {
    fn forward(&self, x: Tensor<4>, mode: Mode) -> Tensor<4> {
        let h = self.first.forward_maps(x.into(), mode);
        let h = relu(self.own.forward(h.into_tensor(), mode));
        self.second.forward_maps(Maps::from(h), mode).into_tensor()
    }
}

#[test]
fn blocks_mix_with_layers_of_burns() {
    let run = |compute| {
        let block = || BasicBlockConfig::new(16).init(Init::new(2, &device())).unwrap();
        let own = Conv2d::pointwise(16, 16, Init::new(3, &device()));
        let mut net = Mixed { first: block(), own, second: block() };
        net.first.set_compute(compute);
        net.second.set_compute(compute);
        let x = input([2, 16, 6, 5]);
        let y = net.forward(x.clone(), Mode::train(0, 0));
        let gradients = weighted(y.clone()).backward();
        let by = residual_nn::tensors::gradients(&net, &gradients);
        results(NamedTensor::read("y", y), &x, &gradients, by, Vec::new())
    };
    assert_close("mixed", &run(FUSED), &run(STOCK), 2e-4);
}

#[test]
fn an_input_that_forks_gets_both_gradients() {
    let run = |compute| {
        let mut block = BasicBlockConfig::new(16).init(Init::new(2, &device())).unwrap();
        block.set_compute(compute);
        let x = input([2, 16, 6, 5]);
        let y = block.forward(x.clone(), Mode::train(0, 0)) + x.clone() * 3.0;
        let gradients = weighted(y.clone()).backward();
        results(NamedTensor::read("y", y), &x, &gradients, block.gradients(&gradients), Vec::new())
    };
    assert_close("forked", &run(FUSED), &run(STOCK), 2e-4);
}

#[test]
fn without_autodiff_a_block_trains_no_graph_and_computes_the_same() {
    let device = Device::flex();
    let block = BasicBlockConfig::new(16).init(Init::new(2, &device)).unwrap();
    let x = Tensor::<4>::ones([2, 16, 6, 5], &device);
    let y = block.forward(x.clone(), Mode::train(0, 0));
    let mut stock = block.clone();
    stock.set_compute(STOCK);
    let wanted = stock.forward(x, Mode::train(0, 0));
    let [y, wanted] = [y, wanted].map(|y| NamedTensor::read("y", y));
    assert_close("no graph", &[y], &[wanted], 1e-4);
}
