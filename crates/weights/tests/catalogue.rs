//! Every family member is told by its own tensors.

use residual_arch::families::{all, family};
use residual_arch::names::names;
use residual_arch::{Naming, NetSpec};
use residual_weights::{Checkpoint, Error, Recognised, StateDict, Tensor, match_tensors, recognise};

/// The most elements of a network that is built here.
const LARGEST: u64 = 3_000_000;

fn tensors(spec: &NetSpec, naming: Naming) -> StateDict {
    let mut state = StateDict::new();
    for tensor in names(spec, naming) {
        let count = tensor.shape.iter().product();
        state.insert(tensor.name, Tensor::new(tensor.shape, vec![0.0; count]).unwrap()).unwrap();
    }
    state
}

fn elements(spec: &NetSpec) -> u64 {
    residual_arch::tensors(spec).iter().map(|tensor| tensor.elements()).sum()
}

#[test]
fn small_networks_are_recognised_in_every_scheme() {
    let more =
        ["cifar_resnet26", "cifar_resnet26_b", "cifar_preact26", "cifar_preact38_bottleneck", "wrn_10_2"];
    let mut seen = 0;
    for model in all().into_iter().chain(more) {
        let spec = family(model).unwrap();
        if elements(&spec) > LARGEST {
            continue;
        }
        for naming in [spec.naming, Naming::Sequential] {
            let mut state = tensors(&spec.clone().with_classes(7), naming);
            state.insert("bn1.num_batches_tracked", Tensor::new(vec![], vec![1.0]).unwrap()).unwrap();
            let found = recognise(&state).unwrap_or_else(|| panic!("{model} is not recognised"));
            // Without shortcuts, or with parameter-free ones: the tensors are the same.
            let expected = model.replace("plain", "resnet");
            assert_eq!((found.model, found.classes), (expected, 7));
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn an_imagenet_network_is_recognised() {
    let state = tensors(&family("resnet18").unwrap(), Naming::Torchvision);
    let expected = Recognised { model: "resnet18".to_owned(), naming: Naming::Torchvision, classes: 1000 };
    assert_eq!(recognise(&state), Some(expected));
}

#[test]
fn what_is_near_a_network_is_not_one() {
    let sound = tensors(&family("cifar_resnet20").unwrap(), Naming::Cifar);
    let mut lacking = sound.clone();
    lacking.remove("bn1.weight");
    let mut misshapen = sound.clone();
    misshapen.remove("bn1.weight");
    misshapen.insert("bn1.weight", Tensor::new(vec![1], vec![0.0]).unwrap()).unwrap();
    let mut scalar = sound.clone();
    scalar.remove("linear.bias");
    scalar.insert("linear.bias", Tensor::new(vec![], vec![0.0]).unwrap()).unwrap();
    let mut far = sound;
    far.rename("layer1.0.bn1.bias", "layer1.18446744073709551615.bn1.bias").unwrap();
    for state in [lacking, misshapen, scalar, far, StateDict::new()] {
        assert_eq!(recognise(&state), None);
    }
}

#[test]
fn errors_name_the_network() {
    let state = tensors(&family("cifar_resnet20").unwrap(), Naming::Cifar);
    let expected = names(&family("resnet18").unwrap(), Naming::Torchvision);
    let expected: Vec<_> = expected.into_iter().map(|tensor| (tensor.name, tensor.shape)).collect();
    let error = match_tensors(&expected, &state).unwrap_err();
    assert!(error.to_string().contains("look like the weights of cifar_resnet20"), "{error}");

    let error = Checkpoint::from_state_dict(state).unwrap_err();
    assert!(matches!(&error, Error::NoSpec { model: Some(model) } if model == "cifar_resnet20"));
    assert!(error.to_string().ends_with("--model NAME (they look like cifar_resnet20)"), "{error}");
}
