//! Whole networks: their tensors, modes, freezing, heads, checks.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use residual_arch::{Attention, BlockSpec, NetSpec, Role, Shortcut, StageSpec, StemSpec, families::family};
use residual_nn::fused::{Memory, Path};
use residual_nn::{Compute, Error, Init, Mode, NamedTensor, ResNet, ResNetConfig, cross_entropy};
use residual_testkit::formula;

fn autodiff() -> Device {
    Device::flex().autodiff()
}

fn input(shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(formula::input(&shape), shape), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    NamedTensor::read("", tensor).values
}

/// The family member with an eighth of its channels, one or two blocks a stage, for 32x32 images.
fn narrow(name: &str) -> NetSpec {
    let mut spec = family(name).unwrap().with_classes(3).with_input([3, 32, 32]);
    for conv in &mut spec.stem.convs {
        conv.channels = (conv.channels / 8).max(2);
    }
    for block in spec.stages.iter_mut().flat_map(|stage| &mut stage.blocks) {
        block.channels /= 8;
        block.width /= 8;
        block.groups = block.groups.div_ceil(8);
        if let Some(Attention::SqueezeExcite { reduced }) = &mut block.attention {
            *reduced = reduced.div_ceil(8);
        }
        match &mut block.shortcut {
            Shortcut::Projection { channels, .. } | Shortcut::ZeroPad { channels, .. } => *channels /= 8,
            _ => {}
        }
    }
    spec.stages.iter_mut().for_each(|stage| stage.blocks.truncate(2));
    spec
}

fn tiny() -> NetSpec {
    let mut spec = family("small").unwrap().with_classes(4).with_input([3, 8, 8]);
    spec.stem = StemSpec::cifar(4);
    let stage = StageSpec::new;
    spec.stages = vec![
        stage(vec![BlockSpec::basic(4), BlockSpec::basic(4)]),
        stage(vec![BlockSpec::projection(8, 2), BlockSpec::basic(8)]),
    ];
    spec
}

fn build(spec: NetSpec, device: &Device) -> ResNet {
    ResNetConfig::new(spec).init(Init::new(9, device)).unwrap()
}

#[test]
fn tensors_of_every_kind_of_network_are_those_of_the_specification() {
    let names = [
        "small",
        "resnet18",
        "resnet26t",
        "resnet50d",
        "resnext50_32x4d",
        "wide_resnet50_2",
        "seresnet18",
        "seresnet50",
        "ecaresnet26t",
        "resnetblur50",
        "resnetaa50d",
        "resnetv2_50",
        "resnetv2_50d",
        "cifar_resnet20",
        "cifar_resnet20_b",
        "cifar_plain20",
        "cifar_preact20",
        "cifar_preact164",
        "wrn_16_4",
    ];
    for name in names {
        let spec = narrow(name);
        let net = build(spec.clone(), &autodiff());
        let state = net.state();
        let wanted = residual_arch::tensors(&spec);
        let found: Vec<_> = state.iter().map(|t| (t.path.as_str(), t.shape.as_slice())).collect();
        let wanted: Vec<_> = wanted.iter().map(|t| (t.path.as_str(), t.shape.as_slice())).collect();
        assert_eq!(found, wanted, "{name}");
        // Running statistics are part of the state and are no parameters.
        let counted = residual_arch::shape::flow(&spec, spec.input).unwrap().parameters;
        assert_eq!(net.num_params() as u64, counted, "{name}");
        let of_blocks = net.stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.num_params());
        let flow = residual_arch::shape::flow(&spec, spec.input).unwrap();
        let rows = flow.rows.iter().filter(|row| row.path.starts_with("stage"));
        assert!(of_blocks.map(|number| number as u64).eq(rows.map(|row| row.parameters)), "{name}");
        assert!(state.iter().map(|t| t.values.len() as u64).sum::<u64>() > counted, "{name}");

        let logits = net.forward(input([2, 3, 32, 32], &autodiff()), Mode::train(0, 0));
        assert_eq!(logits.dims(), [2, 3], "{name}");
        let gradients = cross_entropy(logits, &[0, 2], 0.0).unwrap().backward();
        let parameters: Vec<_> = net.parameters().into_iter().map(|p| p.path).collect();
        let learnt: Vec<_> = net.gradients(&gradients).into_iter().map(|t| t.path).collect();
        assert_eq!(learnt, parameters, "{name}");
    }
}

#[test]
fn initial_values_follow_the_rules_and_the_seed() {
    let spec = narrow("seresnet50").with(|net| net.stochastic_depth = 0.0);
    let net = build(spec.clone(), &Device::flex());
    for (tensor, spec) in net.state().iter().zip(residual_arch::tensors(&spec)) {
        let n = tensor.values.len() as f64;
        let deviation = (tensor.values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n).sqrt();
        match spec.role {
            Role::ConvWeight if n > 500.0 => {
                let wanted = (2.0 / (spec.shape[0] * spec.shape[2] * spec.shape[3]) as f64).sqrt();
                assert!((deviation / wanted - 1.0).abs() < 0.15, "{}: {deviation} {wanted}", spec.path);
            }
            Role::RunningMean | Role::NormBias => assert_eq!(deviation, 0.0, "{}", spec.path),
            Role::RunningVar => assert_eq!(deviation, 1.0, "{}", spec.path),
            _ => {}
        }
    }
    assert_eq!(net.state(), build(spec.clone(), &autodiff()).state());
    let other = ResNetConfig::new(spec).init(Init::new(10, &Device::flex())).unwrap();
    assert_ne!(net.state(), other.state());
}

#[test]
fn state_goes_round() {
    let device = autodiff();
    let net = build(tiny(), &device);
    net.forward(input([3, 3, 8, 8], &device), Mode::train(0, 0));
    let mut other = ResNetConfig::new(tiny()).init(Init::new(77, &device)).unwrap();
    other.freeze_layers(&["stage1"]).unwrap();
    let x = input([2, 3, 8, 8], &device);
    let logits = values(net.forward(x.clone(), Mode::Eval));
    assert_ne!(values(other.forward(x.clone(), Mode::Eval)), logits);
    other.load(net.state().into_iter().rev()).unwrap();
    assert_eq!(values(other.forward(x, Mode::Eval)), logits);
    assert!(other.state() == net.state());
    assert!(other.parameters().iter().all(|p| p.frozen == p.path.starts_with("stage1")));
}

#[test]
fn tensors_that_do_not_fit_are_listed_all_at_once() {
    let mut net = build(tiny(), &Device::flex());
    let before = net.state();
    let mut tensors = before.clone();
    tensors.remove(0);
    tensors[0].path = "stem.norm0.gamma".into();
    tensors[1].shape = vec![2, 2];
    tensors.push(tensors[5].clone());
    tensors[6].values.pop();
    let twice = tensors[5].path.clone();
    let (misshapen, short) = (tensors[1].path.clone(), tensors[6].path.clone());
    let error = net.load(tensors).unwrap_err();
    assert_eq!(
        error,
        Error::Tensors {
            missing: vec!["stem.conv0.weight".into(), "stem.norm0.weight".into()],
            unexpected: vec!["stem.norm0.gamma".into(), twice],
            misshapen: vec![(misshapen, vec![4], vec![2, 2]), (short, vec![4], vec![3])],
        }
    );
    assert!(error.to_string().contains("2 missing: stem.conv0.weight, stem.norm0.weight; 2 unexpected"));
    assert!(net.state() == before);
}

#[test]
fn evaluation_records_no_graph() {
    let device = autodiff();
    let net = build(tiny(), &device);
    let x = input([2, 3, 8, 8], &device);
    assert!(!net.forward(x.clone(), Mode::Eval).is_tracked());
    assert!(net.forward(x.clone(), Mode::train(0, 0)).is_tracked());
    // With an input that asks for it, the gradient of the input alone.
    let x = x.require_grad();
    let gradients = net.forward(x.clone(), Mode::Eval).sum().backward();
    assert!(x.grad(&gradients).is_some());
    assert!(net.gradients(&gradients).is_empty());
}

#[test]
fn evaluation_is_the_same_on_a_plain_device() {
    let net = build(tiny(), &autodiff());
    let plain = net.valid();
    let here = values(net.forward(input([2, 3, 8, 8], &autodiff()), Mode::Eval));
    assert_eq!(values(net.forward(input([2, 3, 8, 8], &Device::flex()), Mode::Eval)), here);
    assert_eq!(values(plain.forward(input([2, 3, 8, 8], &Device::flex()), Mode::Eval)), here);
}

#[test]
fn frozen_layers_keep_still_and_pass_gradients_on() {
    let device = autodiff();
    let mut net = build(tiny(), &device);
    net.freeze_layers(&["stage1", "stage2.block0"]).unwrap();
    let before = net.state();
    let logits = net.forward(input([3, 3, 8, 8], &device), Mode::train(0, 0));
    let gradients = cross_entropy(logits, &[0, 1, 2], 0.0).unwrap().backward();
    let frozen = |path: &str| path.starts_with("stage1") || path.starts_with("stage2.block0");
    let learnt = net.gradients(&gradients);
    assert!(learnt.iter().all(|t| !frozen(&t.path)));
    assert!(learnt.iter().any(|t| t.path == "stem.conv0.weight" && t.values.iter().any(|&v| v != 0.0)));
    let net = net.update(&gradients, |parameter, value, gradient| {
        assert!(!parameter.frozen);
        value - gradient
    });
    for (old, new) in before.iter().zip(net.state()) {
        assert_eq!(frozen(&old.path), old.values == new.values, "{}", old.path);
    }
}

#[test]
fn frozen_statistics_stay_while_parameters_learn_on_either_path() {
    let device = autodiff();
    let preactivation = narrow("cifar_preact20_basic");
    for spec in [tiny(), preactivation] {
        let gradients_of = |path, memory| {
            let mut net = build(spec.clone(), &device);
            net.set_compute(Compute { path, memory });
            // Statistics that are no batch's.
            let moved = net.state().into_iter().map(|mut tensor| {
                if tensor.path.ends_with("running_mean") || tensor.path.ends_with("running_var") {
                    tensor
                        .values
                        .iter_mut()
                        .enumerate()
                        .for_each(|(i, value)| *value += 0.1 * (i % 5) as f32);
                }
                tensor
            });
            net.load(moved).unwrap();
            net.freeze_statistics(true);
            let (before, mode) = (net.state(), Mode::train(0, 0));
            let input = input([2, 3, 16, 16], &device);
            let logits = net.forward(input.clone(), mode);
            let evaluated = values(net.forward(input, Mode::Eval));
            for (trained, evaluated) in values(logits.clone()).iter().zip(evaluated) {
                assert!((trained - evaluated).abs() < 1e-4, "{trained} {evaluated}");
            }
            let gradients = cross_entropy(logits, &[0, 1], 0.0).unwrap().backward();
            let learnt = net.gradients(&gradients);
            assert_eq!(net.state(), before);
            assert_eq!(learnt.len(), net.parameters().len());
            learnt
        };
        let fused = gradients_of(Path::Fused, Memory::Keep);
        assert!(gradients_of(Path::Fused, Memory::Low) == fused);
        for (fused, stock) in fused.iter().zip(gradients_of(Path::Stock, Memory::Keep)) {
            assert_eq!(fused.path, stock.path);
            let size = stock.values.iter().fold(1e-3f32, |most, value| most.max(value.abs()));
            let pairs = fused.values.iter().zip(&stock.values);
            let apart = pairs.fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(apart <= 1e-3 * size, "{}: {apart} of {size}", fused.path);
        }
    }
}

#[test]
fn burns_own_freeze_reaches_the_statistics() {
    let device = autodiff();
    let net = build(tiny(), &device).freeze();
    let before = net.state();
    assert!(!net.forward(input([3, 3, 8, 8], &device), Mode::train(0, 0)).is_tracked());
    assert!(net.state() == before);
    assert!(net.unfreeze().forward(input([3, 3, 8, 8], &device), Mode::train(0, 0)).is_tracked());
}

#[test]
fn a_frozen_prefix_records_nothing() {
    let device = autodiff();
    let mut net = build(tiny(), &device);
    net.freeze_layers(&["stem", "stage1"]).unwrap();
    let features = net.forward_features(input([3, 3, 8, 8], &device), Mode::train(0, 0));
    assert!(!features.get("stage1").unwrap().is_tracked());
    assert!(features.get("stage2.block0").unwrap().is_tracked());
    net.thaw_layers(&["stem"]).unwrap();
    let features = net.forward_features(input([3, 3, 8, 8], &device), Mode::train(0, 0));
    assert!(features.stem.is_tracked());
}

#[test]
fn an_unknown_layer_is_named_with_the_known_ones() {
    let mut net = build(tiny(), &Device::flex());
    let error = net.freeze_layers(&["stem", "layer1"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "the network has no layer `layer1`; help: name one of stem, stage1, stage1.block0, stage1.block1, stage2, \
         stage2.block0, stage2.block1, head"
    );
    assert!(net.parameters().iter().all(|parameter| !parameter.frozen));
}

#[test]
fn update_moves_parameters_by_role_and_keeps_them_trainable() {
    let device = autodiff();
    let mut net = build(tiny(), &device);
    let x = input([3, 3, 8, 8], &device);
    let mut losses = vec![];
    for step in 0..8 {
        let logits = net.forward(x.clone(), Mode::train(0, step));
        let loss = cross_entropy(logits, &[0, 1, 2], 0.0).unwrap();
        losses.push(loss.clone().into_scalar::<f32>());
        let mut seen = vec![];
        let wanted: Vec<_> = net.parameters().into_iter().map(|p| (p.path, p.role)).collect();
        net = net.update(&loss.backward(), |parameter, value, gradient| {
            assert_eq!(value.dims(), [parameter.shape.iter().product::<usize>()]);
            seen.push((parameter.path.clone(), parameter.role));
            value - gradient * 0.1
        });
        seen.sort_by_key(|(path, _)| wanted.iter().position(|(w, _)| w == path));
        assert_eq!(seen, wanted);
    }
    assert!(losses[7] < 0.6 * losses[0], "{losses:?}");
}

#[test]
fn a_new_head_leaves_the_rest() {
    let device = autodiff();
    let mut net = build(tiny(), &device);
    let before = net.state();
    net.replace_head(7, 5).unwrap();
    let after = net.state();
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old == new, !old.path.starts_with("head.linear"), "{}", old.path);
    }
    assert_eq!(net.spec().head.classes, 7);
    assert_eq!(net.forward(input([2, 3, 8, 8], &device), Mode::Eval).dims(), [2, 7]);
    assert!(net.replace_head(0, 5).is_err());
    assert!(net.state() == after);
}

#[test]
fn features_are_what_the_forward_pass_sees() {
    let device = Device::flex();
    let net = build(tiny(), &device);
    let x = input([2, 3, 8, 8], &device);
    let features = net.forward_features(x.clone(), Mode::Eval);
    assert_eq!(values(features.stem.clone()), values(net.stem.forward(x.clone(), Mode::Eval)));
    let shapes: Vec<_> = features.blocks.iter().map(|(at, map)| (at.to_string(), map.dims())).collect();
    let wanted = [
        ("stage1.block0", [2, 4, 8, 8]),
        ("stage1.block1", [2, 4, 8, 8]),
        ("stage2.block0", [2, 8, 4, 4]),
        ("stage2.block1", [2, 8, 4, 4]),
    ];
    assert_eq!(shapes, wanted.map(|(path, dims)| (path.to_string(), dims)));
    let last = features.get("stage2").unwrap();
    assert_eq!(values(last.clone()), values(features.get("stage2.block1").unwrap().clone()));
    assert_eq!(values(net.head.forward(last.clone(), Mode::Eval)), values(net.forward(x, Mode::Eval)));
    assert!(features.get("stage3").is_none());
}

#[test]
fn stochastic_depth_and_dropout_are_drawn_from_the_step() {
    let device = Device::flex();
    let mut spec = tiny().with(|net| net.stochastic_depth = 0.8);
    spec.head.dropout = 0.5;
    // Of two equal networks, since a training pass moves the running statistics.
    let at = |mode| values(build(spec.clone(), &device).forward(input([8, 3, 8, 8], &device), mode));
    assert_eq!(at(Mode::train(1, 1)), at(Mode::train(1, 1)));
    assert_ne!(at(Mode::train(1, 1)), at(Mode::train(1, 2)));
    let plain = build(tiny(), &device).forward(input([8, 3, 8, 8], &device), Mode::Eval);
    assert_eq!(at(Mode::Eval), values(plain));
}

#[test]
fn max_pool_pads_with_minus_infinity() {
    let device = Device::flex();
    let mut spec = tiny();
    spec.stem.pool = Some(residual_arch::MaxPool::HALVING);
    spec.stem.bare = true;
    let net = build(spec, &device);
    // A stem whose convolution gives -1 everywhere: zeros of the padding must not win.
    let mut state = net.state();
    state[0].values.fill(0.0);
    for output in state[0].values.chunks_mut(27) {
        output[4] = -1.0;
    }
    let mut net = net;
    net.load(state).unwrap();
    let y = net.stem.forward(Tensor::ones([1, 3, 8, 8], &device), Mode::Eval);
    assert_eq!(values(y), vec![-1.0; 4 * 16]);
}

#[test]
fn inputs_are_checked_before_they_run() {
    let net = build(tiny(), &Device::flex());
    let train = Mode::train(0, 0);
    assert_eq!(net.check_input([2, 3, 8, 8], train), Ok(()));
    assert_eq!(net.check_input([0, 3, 8, 8], Mode::Eval), Err(Error::EmptyBatch));
    assert!(matches!(net.check_input([2, 1, 8, 8], Mode::Eval), Err(Error::Shape(_))));
    assert!(matches!(net.check_input([2, 3, 0, 8], Mode::Eval), Err(Error::Shape(_))));
    assert_eq!(net.check_input([1, 3, 2, 2], Mode::Eval), Ok(()));
    let error = net.check_input([1, 3, 2, 2], train).unwrap_err();
    assert_eq!(error, Error::SingleValue { layer: "stage2.block0".into(), batch: 1, height: 1, width: 1 });
    assert_eq!(net.check_input([2, 3, 2, 2], train), Ok(()));
    let mut frozen = net;
    frozen.freeze_layers(&["stage2"]).unwrap();
    assert_eq!(frozen.check_input([1, 3, 2, 2], train), Ok(()));
    assert_eq!(frozen.forward(Tensor::ones([1, 3, 2, 2], &Device::flex()), train).dims(), [1, 4]);
}

/// What a panic says.
fn panic_of(body: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_err();
    *panic.downcast::<String>().unwrap()
}

#[test]
fn other_channels_are_an_error_that_names_the_layer() {
    for device in [Device::flex(), autodiff()] {
        let net = build(family("small").unwrap(), &device);
        for mode in [Mode::Eval, Mode::train(0, 0)] {
            let grey = || input([2, 1, 32, 32], &device);
            let error = net.try_forward(grey(), mode).unwrap_err().to_string();
            assert!(error.contains("1 channels where the network takes 3"), "{error}");
            for said in [
                panic_of(|| drop(net.forward(grey(), mode))),
                panic_of(|| drop(net.forward_features(grey(), mode))),
                panic_of(|| drop(net.stem.forward(grey(), mode))),
            ] {
                assert!(said.starts_with("stem.conv0: 1 channels where it takes 3; help: "), "{said}");
            }
            let block = &net.stages[1].blocks[0];
            let said = panic_of(|| drop(block.forward(grey(), mode)));
            assert!(said.starts_with("block: 1 channels where it takes 32"), "{said}");
            let expected = Error::Channels { layer: "block".into(), expected: 32, found: 1 };
            assert_eq!(block.check_input([2, 1, 32, 32], mode), Err(expected));
            let said = panic_of(|| drop(net.head.forward(grey(), mode)));
            assert!(said.starts_with("head: 1 channels where it takes 128"), "{said}");
            let conv = net.stem.layers.convs().next().unwrap();
            let said = panic_of(|| drop(conv.forward(grey(), mode)));
            assert!(said.starts_with("convolution: 1 channels where it takes 3"), "{said}");
            let said = panic_of(|| drop(net.stem.layers.norms().next().unwrap().forward(grey(), mode)));
            assert!(said.starts_with("batch norm: 1 channels where it takes 32"), "{said}");
        }
    }
}

/// A norm on a map of one pixel, before layers that make it larger again or that have none.
#[test]
fn norms_of_a_single_value_are_found_wherever_they_are() {
    let train = Mode::train(0, 0);
    let conv = |kernel, padding, stride| {
        residual_arch::StemConv::same(4, kernel, stride).with(|conv| conv.padding = padding)
    };
    let pool = |kernel, padding| Some(residual_arch::MaxPool { kernel, stride: 1, padding, zeros: false });
    let stems = [
        StemSpec::new(vec![conv(3, 1, 9), conv(2, 2, 1)]),
        StemSpec::new(vec![conv(3, 1, 9), conv(1, 1, 1)]).with(|stem| stem.bare = true),
        StemSpec::new(vec![conv(3, 1, 9)]).with(|stem| stem.pool = pool(1, 0)),
        StemSpec::new(vec![conv(3, 1, 9)]).with(|stem| stem.pool = pool(2, 1)),
    ];
    for stem in stems {
        let mut net = build(tiny().with(|net| net.stem = stem.clone()), &autodiff());
        let single = Error::SingleValue { layer: "stem".into(), batch: 1, height: 1, width: 1 };
        assert_eq!(net.check_input([1, 3, 8, 8], train), Err(single), "{stem:?}");
        assert_eq!(net.check_input([1, 3, 8, 8], Mode::Eval), Ok(()), "{stem:?}");
        assert_eq!(net.check_input([2, 3, 8, 8], train), Ok(()), "{stem:?}");
        net.freeze_layers(&["stem"]).unwrap();
        let found = net.check_input([1, 3, 8, 8], train);
        assert!(!format!("{found:?}").contains("stem"), "{found:?}");
    }
}

#[test]
fn blocks_are_checked_on_their_own() {
    let block = residual_nn::BlockConfig::new(BlockSpec::projection(16, 2), 8).init(&autodiff()).unwrap();
    let train = Mode::train(0, 0);
    assert_eq!(block.check_input([2, 8, 1, 1], train), Ok(()));
    assert_eq!(block.check_input([1, 8, 2, 2], Mode::Eval), Ok(()));
    assert_eq!(block.check_input([0, 8, 4, 4], train), Err(Error::EmptyBatch));
    assert!(matches!(block.check_input([1, 8, 0, 4], train), Err(Error::Shape(_))));
    let single = Error::SingleValue { layer: "block".into(), batch: 1, height: 1, width: 1 };
    assert_eq!(block.check_input([1, 8, 2, 2], train), Err(single));
    let said = panic_of(|| drop(block.forward(input([1, 8, 1, 1], &autodiff()), train)));
    assert!(said.contains("more than one value per channel"), "{said}");
}

/// Sizes that the specification allows and that no kernel takes.
#[test]
fn enormous_sizes_are_errors_before_they_run() {
    let huge = (1 << 24) + 1;
    type Change = fn(&mut NetSpec, usize);
    let changes: [(&str, Change); 6] = [
        ("stem.pool: pooling: ", |spec, _| {
            let (kernel, padding) = (usize::MAX, usize::MAX / 2);
            spec.stem.pool = Some(residual_arch::MaxPool { kernel, stride: 1, padding, zeros: false });
        }),
        ("stem.conv0: convolution: ", |spec, huge| spec.stem.convs[0].stride = huge),
        ("stem.conv0: a feature map: ", |spec, _| {
            (spec.stem.convs[0].stride, spec.stem.convs[0].padding) = (usize::MAX / 8, usize::MAX / 8);
        }),
        ("stage1.block0.conv1: convolution: ", |spec, huge| {
            spec.stages[0].blocks[0] = BlockSpec::projection(8, huge)
        }),
        ("stage1.block0.shortcut.conv: convolution: ", |spec, huge| {
            spec.stages[0].blocks[0] =
                BlockSpec::projection(4, 8).with(|block| block.shortcut = Shortcut::projection(4, huge));
        }),
        ("stage1.block0.conv2: convolution: ", |spec, huge| {
            spec.stages[0].blocks[0] = BlockSpec::bottleneck(4, 4, 8, huge)
                .with(|block| block.shortcut = Shortcut::pooled_projection(8, huge));
        }),
    ];
    for (start, change) in changes {
        let mut spec = tiny();
        spec.stages.truncate(1);
        spec.stages[0].blocks.truncate(1);
        spec.stem.convs[0].channels = 4;
        change(&mut spec, huge);
        let net = match ResNetConfig::new(spec).init(&Device::flex()) {
            Ok(net) => net,
            // Sizes that are no network's are said when it is built.
            Err(Error::Shape(_)) => continue,
            Err(error) => panic!("{start}: {error}"),
        };
        for mode in [Mode::Eval, Mode::train(0, 0)] {
            let error = net.check_input([2, 3, 8, 8], mode).unwrap_err();
            assert!(error.to_string().starts_with(start), "{start}: {error}");
            assert!(matches!(error, Error::Kernel { .. }), "{error:?}");
        }
    }
    let net = build(tiny(), &Device::flex());
    assert!(matches!(net.check_input([huge, 3, 8, 8], Mode::Eval), Err(Error::Kernel { .. })));
    assert!(matches!(net.check_input([usize::MAX / 2, 3, 8, 8], Mode::Eval), Err(Error::Kernel { .. })));
}

#[test]
fn unsound_specifications_are_errors() {
    let error = |spec| ResNetConfig::new(spec).init(&Device::flex()).unwrap_err().to_string();
    let mut spec = tiny();
    spec.stages[1].blocks[0].shortcut = Shortcut::Identity;
    assert!(error(spec).starts_with("stage2.block0: "));
    assert!(error(tiny().with_classes(0)).contains("class"));
}
