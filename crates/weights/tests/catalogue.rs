//! Every family member is told by its own tensors.

use residual_arch::families::{all, family};
use residual_arch::names::names;
use residual_arch::{Attention, BlockSpec, HeadSpec, Naming, NetSpec, StageSpec, StemConv, StemSpec};
use residual_weights::{Checkpoint, Error, StateDict, Tensor, match_tensors, recognise, recognise_as};

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

/// The name of the family member that is found, or those that have the same tensors.
fn candidates(state: &StateDict) -> Vec<String> {
    let found = recognise(state).unwrap();
    found.family.into_iter().chain(found.alternatives).collect()
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
        for naming in [spec.naming, Naming::Sequential, Naming::Transformers] {
            let mut state = tensors(&spec.clone().with_classes(7), naming);
            state.insert("bn1.num_batches_tracked", Tensor::new(vec![], vec![1.0]).unwrap()).unwrap();
            let found = recognise(&state).unwrap_or_else(|error| panic!("{model} {naming}: {error}"));
            // Without shortcuts, or with parameter-free ones: the tensors are the same.
            assert!(candidates(&state).contains(&model.to_owned()), "{model} {naming}: {found}");
            assert_eq!((found.classes(), found.left_out.len()), (Some(7), 0));
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_residual_network_is_taken_and_the_plain_one_named() {
    let state = tensors(&family("cifar_plain20").unwrap(), Naming::Cifar);
    assert_eq!(candidates(&state), ["cifar_resnet20", "cifar_plain20"]);
}

#[test]
fn an_imagenet_network_is_recognised() {
    let state = tensors(&family("resnet18").unwrap(), Naming::Torchvision);
    let found = recognise(&state).unwrap();
    assert_eq!((found.family.as_deref(), found.naming), (Some("resnet18"), Naming::Torchvision));
    assert_eq!((found.classes(), found.head.as_deref(), found.prefix.as_str()), (Some(1000), Some("fc"), ""));
    assert_eq!(found.spec, family("resnet18").unwrap());
}

/// A network of no family, with everything that a specification can be read off.
fn own(change: impl FnOnce(&mut BlockSpec)) -> NetSpec {
    let mut block = BlockSpec::basic(12);
    change(&mut block);
    let first = block.with(|block| {
        block.stride = 2;
        block.shortcut = residual_arch::Shortcut::projection(block.channels, 2);
    });
    let before = block.with(|block| block.shortcut = residual_arch::Shortcut::projection(block.channels, 1));
    let stages = vec![StageSpec::new(vec![before, block]), StageSpec::new(vec![first, block, block])];
    let preactivation = block.order == residual_arch::Order::PreActivation;
    let stem = StemSpec::new(vec![StemConv::same(10, 3, 1)]).with(|stem| stem.bare = preactivation);
    let head = HeadSpec::new(5).with(|head| head.norm = preactivation);
    NetSpec::new("own", [3, 32, 32], stem, stages, head)
}

#[test]
fn a_specification_is_read_off_tensors_of_no_family() {
    let bottleneck = |block: &mut BlockSpec| *block = BlockSpec::bottleneck(24, 8, 24, 1);
    let specs = [
        own(|_| {}),
        own(bottleneck),
        own(|block| {
            bottleneck(block);
            block.groups = 4;
        }),
        own(|block| block.attention = Some(Attention::squeeze_excite(3))),
        own(|block| block.attention = Some(Attention::Efficient { kernel: 5 })),
        own(|block| *block = block.preactivation()),
        own(|block| {
            bottleneck(block);
            *block = block.preactivation();
        }),
        own(|_| {}).with(|net| net.input[0] = 1),
        own(|_| {}).with(|net| {
            net.stem = StemSpec::deep(4, 6, 10);
            net.input = [3, 224, 224];
        }),
        own(|_| {}).with(|net| {
            net.stem = StemSpec::imagenet().with(|stem| stem.convs[0].channels = 10);
            net.input = [3, 224, 224];
        }),
    ];
    for spec in specs {
        for naming in
            [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential, Naming::Transformers]
        {
            let found =
                recognise(&tensors(&spec, naming)).unwrap_or_else(|error| panic!("{naming}: {error}"));
            assert_eq!(found.family, None);
            // Whether an average pool stands in a shortcut is in the name of no more than some schemes.
            assert_eq!(found.spec.stages, spec.stages, "{naming}");
            assert_eq!((&found.spec.stem, found.spec.input[0]), (&spec.stem, spec.input[0]), "{naming}");
            assert_eq!(found.spec.input[1..], family(&found.like).unwrap().input[1..], "{naming}");
            assert_eq!(found.spec.head, spec.head);
            found.spec.check(found.spec.input).unwrap();
            assert!(family(&found.like).is_ok(), "{}", found.like);
        }
    }
}

#[test]
fn a_specification_that_is_named_is_found_under_any_prefix() {
    let spec = own(|_| {});
    let state = tensors(&spec, Naming::Sequential).rename_all(|name| format!("a.b.{name}")).unwrap();
    let found = recognise_as(&state, &spec).unwrap();
    assert_eq!((found.prefix.as_str(), found.naming), ("a.b.", Naming::Sequential));
    assert!(recognise_as(&state, &family("resnet18").unwrap()).is_err());
}

#[test]
fn what_is_near_a_network_is_not_one() {
    let sound = tensors(&family("cifar_resnet20").unwrap(), Naming::Cifar);
    let mut lacking = sound.clone();
    lacking.remove("bn1.weight");
    let mut misshapen = sound.clone();
    misshapen.remove("bn1.weight");
    misshapen.insert("bn1.weight", Tensor::new(vec![1], vec![0.0]).unwrap()).unwrap();
    let mut far = sound.clone();
    far.rename("layer1.0.bn1.bias", "layer1.18446744073709551615.bn1.bias").unwrap();
    let mut more = sound.clone();
    more.insert("layer1.0.conv9.weight", Tensor::new(vec![1], vec![0.0]).unwrap()).unwrap();
    let mut beside = sound;
    beside.insert("attnpool.weight", Tensor::new(vec![1], vec![0.0]).unwrap()).unwrap();
    for state in [lacking, misshapen, far, more, beside, StateDict::new()] {
        assert!(matches!(recognise(&state), Err(Error::NoSpec { model: None, .. })));
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
    assert!(matches!(&error, Error::NoSpec { model: Some(model), .. } if model == "cifar_resnet20"));
    assert!(error.to_string().ends_with("--model NAME (they look like cifar_resnet20)"), "{error}");
}

#[test]
fn tensors_of_other_networks_are_called_what_they_seem_to_be() {
    let cases = [
        (&["model.layers.0.self_attn.q_proj.weight", "model.embed_tokens.weight"][..], "language model"),
        (&["cls_token", "blocks.0.attn.qkv.weight"], "vision transformer"),
        (&["stages.0.blocks.0.conv_dw.weight", "stages.0.blocks.0.mlp.fc1.weight"], "ConvNeXt"),
        (&["features.1.conv.0.0.weight"], "MobileNet"),
        (&["features.0.weight", "classifier.6.weight"], "VGG"),
        (&["features.denseblock1.denselayer1.conv1.weight"], "DenseNet"),
        (&["down_blocks.0.a", "up_blocks.0.a", "time_embedding.linear_1.weight"], "diffusion UNet"),
    ];
    for (names, kind) in cases {
        let tensor = || Tensor::new(vec![1], vec![0.0]).unwrap();
        let state = StateDict::from_tensors(names.iter().map(|name| ((*name).to_owned(), tensor()))).unwrap();
        let error = recognise(&state).unwrap_err().to_string();
        assert!(error.contains(kind), "{error}");
    }
}
