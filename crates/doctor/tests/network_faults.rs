//! Each fault that can be planted in a specification or in weights is found, by its kind and place.

use residual_arch::families::family;
use residual_arch::{NetSpec, Order, Shortcut};
use residual_doctor::{Finding, Kind, Patient, Severity, Training, differences, examine};
use residual_nn::ResNetConfig;
use residual_train::to_state_dict;
use residual_weights::{StateDict, Tensor};

fn of_spec(spec: NetSpec) -> Vec<Finding> {
    examine(&Patient::new(spec)).unwrap().findings
}

fn small(change: impl FnOnce(&mut NetSpec)) -> NetSpec {
    let mut spec = family("small").unwrap();
    change(&mut spec);
    spec
}

/// The only finding, which must be of this kind at this place.
fn only(findings: &[Finding], kind: Kind, place: &str) -> Finding {
    let [finding] = findings else { panic!("one finding was expected: {findings:#?}") };
    assert_eq!((finding.kind, finding.place.as_str()), (kind, place), "{finding:#?}");
    assert!(
        [&finding.found, &finding.expected, &finding.help].iter().all(|text| !text.is_empty()),
        "{finding:?}"
    );
    finding.clone()
}

#[test]
fn a_forgotten_stride_and_a_wrong_width_are_found_at_once() {
    let spec = small(|spec| {
        spec.stages[1].blocks[0].shortcut = Shortcut::projection(64, 1);
        spec.stages[2].blocks[0].shortcut = Shortcut::projection(96, 2);
    });
    let findings = of_spec(spec);
    only(&findings[..1], Kind::ForgottenStride, "stage2.block0");
    let second = only(&findings[1..], Kind::ShapesDiffer, "stage3.block0");
    assert_eq!(second.help, "give the projection 128 channels");
    assert_eq!(second.severity, Severity::Fault);
}

#[test]
fn every_refusal_of_arch_is_a_finding() {
    only(&of_spec(small(|spec| spec.head.classes = 0)), Kind::Impossible, "head");
    only(&of_spec(small(|spec| spec.stochastic_depth = 2.0)), Kind::Impossible, "network");
    only(
        &of_spec(small(|spec| spec.stages[0].blocks[1].groups = 5)),
        Kind::Impossible,
        "stage1.block1.conv1",
    );
    only(&of_spec(small(|spec| spec.stem.convs.clear())), Kind::Impossible, "stem");
    only(&of_spec(small(|spec| spec.preprocess.std[1] = 0.0)), Kind::Impossible, "preprocess");
    only(&of_spec(small(|spec| spec.stages[0].blocks[0].width = 0)), Kind::Impossible, "stage1.block0");
}

#[test]
fn zero_initialisation_is_asked_for_in_deep_or_uneven_networks() {
    let uneven = small(|spec| spec.stages[0].blocks[0].zero_init = true);
    only(&of_spec(uneven), Kind::ZeroInit, "stage1.block1");
    let deep = small(|spec| {
        let block = spec.stages[2].blocks[1];
        spec.stages[2].blocks.extend([block; 50]);
    });
    only(&of_spec(deep.clone()), Kind::ZeroInit, "stage1.block0");
    let mut mended = deep;
    mended.stages.iter_mut().flat_map(|stage| &mut stage.blocks).for_each(|block| block.zero_init = true);
    assert_eq!(of_spec(mended), []);
}

#[test]
fn shortcuts_that_are_missing() {
    let one = small(|spec| spec.stages[1].blocks[1].shortcut = Shortcut::None);
    only(&of_spec(one), Kind::MissingShortcut, "stage2.block1");
    let deep = small(|spec| {
        let block = spec.stages[2].blocks[1];
        spec.stages[2].blocks.extend([block; 12]);
        spec.stages.iter_mut().flat_map(|stage| &mut stage.blocks).for_each(|block| *block = block.plain());
    });
    only(&of_spec(deep), Kind::DeepPlain, "network");
}

#[test]
fn norms_that_are_missing() {
    let blocks = |spec: &mut NetSpec| {
        spec.stages
            .iter_mut()
            .flat_map(|stage| &mut stage.blocks)
            .for_each(|b| b.order = Order::PreActivation);
    };
    only(&of_spec(small(blocks)), Kind::MissingNorm, "head");
    only(&of_spec(small(|spec| spec.stem.bare = true)), Kind::MissingNorm, "stem");
}

#[test]
fn images_that_a_stride_uses_up() {
    let spec = family("resnet18").unwrap().with_input([3, 32, 32]);
    let finding = only(&of_spec(spec), Kind::SmallMap, "stage4.block1");
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.found.contains("stride of 32"), "{finding:?}");
}

#[test]
fn preprocessing_that_cannot_be_meant() {
    let scale = small(|spec| spec.preprocess.mean = vec![123.7, 116.3, 103.5]);
    only(&of_spec(scale), Kind::NormalisationScale, "preprocess.mean");
    let scale = small(|spec| spec.preprocess.std = vec![58.4; 3]);
    only(&of_spec(scale), Kind::NormalisationScale, "preprocess.std");
    only(&of_spec(small(|spec| spec.preprocess.crop = Some([28, 28]))), Kind::PreprocessSize, "preprocess");
    let mut spec = family("resnet18").unwrap();
    spec.preprocess.resize = Some(residual_arch::Resize::ShorterSide(200));
    only(&of_spec(spec), Kind::PreprocessSize, "preprocess.crop");
}

#[test]
fn a_specification_beside_another_checkpoint() {
    let trained = small(|_| ());
    assert_eq!(differences(&trained, &trained), []);
    let other = small(|spec| spec.preprocess.mean[0] = 0.5);
    only(&differences(&other, &trained), Kind::PreprocessDiffers, "preprocess");
    let other = small(|spec| spec.stages[0].blocks[0].width = 16);
    only(&differences(&other, &trained), Kind::NetworkDiffers, "stage1.block0.conv1.weight");
}

#[test]
fn rates_and_batches_beyond_the_papers() {
    let with = |name: &str, batch_size, lr, warms_up| {
        let training = Some(Training { batch_size, lr, warms_up });
        examine(&Patient { training, ..Patient::new(family(name).unwrap()) }).unwrap().findings
    };
    assert_eq!(with("small", 64, 0.05, true), []);
    assert_eq!(with("cifar_resnet110", 128, 0.1, true), []);
    assert_eq!(with("cifar_resnet56", 128, 0.1, false), []);
    only(&with("cifar_resnet110", 128, 0.1, false), Kind::LearningRate, "lr");
    only(&with("small", 64, 1.0, true), Kind::LearningRate, "lr");
    only(&with("small", 4, 0.005, true), Kind::SmallBatch, "batch_size");
}

/// New weights of `small`, changed.
fn of_weights(change: impl FnOnce(&mut StateDict)) -> Vec<Finding> {
    let spec = small(|_| ());
    let network = ResNetConfig::new(spec.clone()).init(&burn::tensor::Device::flex()).unwrap();
    let mut state = to_state_dict(&network, network.spec().naming).unwrap();
    change(&mut state);
    examine(&Patient { weights: Some(state), ..Patient::new(spec) }).unwrap().findings
}

/// The values of the tensor at a canonical path.
fn values<'a>(state: &'a mut StateDict, path: &str) -> &'a mut [f32] {
    let spec = small(|_| ());
    let name = residual_arch::names::to_file(&spec, spec.naming)[path].clone();
    state.get_mut(&name).unwrap().data_mut()
}

#[test]
fn new_weights_are_sound() {
    assert_eq!(of_weights(|_| ()), []);
}

#[test]
fn a_bias_before_a_norm() {
    let bias = |state: &mut StateDict| {
        state.insert("stem.0.bias", Tensor::new(vec![32], vec![0.1; 32]).unwrap()).unwrap();
    };
    only(&of_weights(bias), Kind::ConvBias, "stem.conv0");
}

#[test]
fn tensors_of_another_network() {
    let missing = |state: &mut StateDict| drop(state.remove("stem.0.weight"));
    only(&of_weights(missing), Kind::Tensors, "stem.0.weight");
    let extra = |state: &mut StateDict| {
        state.insert("embedding", Tensor::new(vec![1], vec![0.0]).unwrap()).unwrap();
    };
    only(&of_weights(extra), Kind::Tensors, "embedding");
}

#[test]
fn values_that_cannot_be() {
    let path = "stage2.block0.conv1.weight";
    only(&of_weights(|state| values(state, path)[7] = f32::NAN), Kind::NotFinite, path);
    only(&of_weights(|state| values(state, path)[7] = f32::INFINITY), Kind::NotFinite, path);
    only(&of_weights(|state| values(state, path).fill(0.01)), Kind::ConstantWeights, path);
    let path = "stage1.block1.norm2.running_var";
    let negative = only(&of_weights(|state| values(state, path)[0] = -1.0), Kind::RunningVariance, path);
    assert_eq!(negative.severity, Severity::Fault);
    only(&of_weights(|state| values(state, path)[0] = 1e9), Kind::RunningVariance, path);
    only(&of_weights(|state| values(state, path).fill(0.0)), Kind::RunningVariance, path);
}

#[test]
fn statistics_that_never_moved() {
    let shifted = |state: &mut StateDict| values(state, "stage1.block0.norm1.bias").fill(0.3);
    only(&of_weights(shifted), Kind::UntouchedStatistics, "batch norms");
}

#[test]
fn channels_that_a_norm_has_killed() {
    let dead = |count| {
        move |state: &mut StateDict| {
            values(state, "stage1.block0.norm1.bias")[..count].fill(-9.0);
            values(state, "stem.norm0.running_mean").fill(0.1);
        }
    };
    only(&of_weights(dead(20)), Kind::DeadChannels, "stage1.block0.norm1");
    assert_eq!(of_weights(dead(10)), []);
}
