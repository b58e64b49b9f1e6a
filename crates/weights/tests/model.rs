//! Models: opened from every kind of file, saved, changed, refused.

use std::path::Path;

use residual_arch::families::family;
use residual_arch::names::names;
use residual_arch::{Naming, NetSpec};
use residual_weights::{Architecture, Checkpoint, Error, Model, StateDict, Tensor, read, safetensors};

const SCHEMES: [Naming; 5] =
    [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential, Naming::Transformers];

/// Different values in every tensor of `spec`, under the names of a scheme.
fn bare(spec: &NetSpec, naming: Naming) -> StateDict {
    let tensors = names(spec, naming).into_iter().enumerate().map(|(index, tensor)| {
        let count: usize = tensor.shape.iter().product();
        let values = (0..count).map(|at| (index * 7 + at % 13) as f32 * 0.25).collect();
        (tensor.name, Tensor::new(tensor.shape, values).unwrap())
    });
    StateDict::from_tensors(tensors).unwrap()
}

fn model(spec: &NetSpec) -> Model {
    Model::from_state_dict(spec, bare(spec, spec.naming)).unwrap()
}

fn written(path: &Path, state: &StateDict) {
    safetensors::write(path, state).unwrap();
}

#[test]
fn every_scheme_gives_the_same_model_with_the_classes_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.safetensors");
    for name in ["cifar_resnet8", "cifar_preact8", "resnetv2_50"] {
        let spec = family(name).unwrap().with_classes(7);
        let wanted = model(&spec);
        for naming in SCHEMES {
            let mut state = wanted.to_state_dict(naming).unwrap();
            let counter = Tensor::new(vec![], vec![3.0]).unwrap();
            state.insert("layer1.0.bn1.num_batches_tracked", counter).unwrap();
            written(&path, &state);
            let found = Model::open_as(&path, name).unwrap();
            assert_eq!(found, wanted, "{name} {naming:?}");
            assert_eq!(found.spec().head.classes, 7, "{name} {naming:?}");
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(Model::from_bytes_as(&bytes, name).unwrap(), wanted, "{name} {naming:?}");
        }
    }
}

#[test]
fn a_saved_model_is_opened_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    // timm stores the linear layer of this one as a convolution.
    let spec = family("cifar_preact8").unwrap().with_classes(3).with(|net| net.naming = Naming::Timm);
    let classes: Vec<String> = ["cat", "dog", "ship"].map(String::from).into();
    for model in [model(&spec).with_classes(classes).unwrap(), model(&spec)] {
        model.save(&path).unwrap();
        let found = Model::open(&path).unwrap();
        assert_eq!(found, model);
        assert_eq!((found.file(), found.naming()), (Some(path.as_path()), Naming::Timm));
        assert!(found.tensors().all(|(_, tensor)| tensor.is_mapped()), "nothing is copied");
        assert_eq!(Model::from_bytes(&std::fs::read(&path).unwrap()).unwrap(), model);
        assert_eq!(read(&path).unwrap().get("head.fc.weight").unwrap().shape(), [3, 64, 1, 1]);
        assert_eq!(Model::from_checkpoint(Checkpoint::read(&path).unwrap()).unwrap(), model);
    }
    // The folder of a run stands for its best.
    model(&spec).save(folder.path().join("best.safetensors")).unwrap();
    assert!(Model::open(folder.path()).unwrap().file().unwrap().ends_with("best.safetensors"));
}

#[test]
fn a_trained_file_is_held_against_the_network_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, toml) = (folder.path().join("net.safetensors"), folder.path().join("net.toml"));
    let spec = family("cifar_resnet8").unwrap().with_classes(3);
    model(&spec).save(&path).unwrap();
    spec.write(&toml).unwrap();
    let toml = toml.to_str().unwrap();
    assert!(Model::open_as(&path, toml).is_ok() && Model::open_as(&path, &spec).is_ok());
    assert!(Model::open_as(&path, "cifar_resnet8").is_ok(), "the number of classes is the file's");
    assert_eq!(Architecture::from(path.to_str().unwrap()).specification().unwrap(), spec);
    let error = Model::open_as(&path, "cifar_resnet14").unwrap_err();
    assert!(matches!(error.cause(), Error::OtherNetwork { .. }), "{error}");
    assert!(error.to_string().contains("net.safetensors: holds `cifar_resnet8`"), "{error}");
}

#[test]
fn what_is_no_model_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let spec = family("cifar_resnet8").unwrap();
    written(&path, &bare(&spec, Naming::Cifar));
    let found = Model::open(&path).unwrap();
    assert_eq!(found.recognised().unwrap().family.as_deref(), Some("cifar_resnet8"));
    let error = Model::open_as(&path, "cifar_resnet20").unwrap_err();
    assert!(matches!(error.cause(), Error::Mismatch(_)), "{error}");
    assert!(error.to_string().contains("net.safetensors, as cifar_resnet20: the tensors"), "{error}");
    let error = Model::open_as(&path, "cifar_resnet9").unwrap_err();
    assert!(matches!(error.cause(), Error::UnknownModel(_)), "{error}");
    let error = Model::open_as(&path, "nowhere.toml").unwrap_err();
    assert!(error.to_string().contains("nowhere.toml: cannot read"), "{error}");
    let mut broken = spec.clone();
    broken.stages[1].blocks[0].shortcut = residual_arch::Shortcut::Identity;
    let error = Model::open_as(&path, &broken).unwrap_err();
    assert!(matches!(error.cause(), Error::Shape(_)), "{error}");
    assert!(Model::from_bytes(b"photo").is_err());
    // By path: one tensor too few, one of another shape.
    let sound = model(&spec);
    let network = sound.network().clone();
    let without_first = sound.clone().into_tensors().skip(1);
    let error = Model::new(network.clone(), without_first).unwrap_err();
    assert!(error.to_string().contains("missing (1): stem.conv0.weight"), "{error}");
    let flat = sound.clone().into_tensors().map(|(path, tensor)| {
        let count = tensor.data().len();
        (path, tensor.reshaped(vec![count]).unwrap())
    });
    assert!(matches!(Model::new(network, flat), Err(Error::Mismatch(_))));
    assert!(matches!(sound.with_classes(vec!["one".into()]), Err(Error::Unwritable { .. })));
}

#[test]
fn changed_values_leave_the_file_and_bad_ones_are_named_as_the_file_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    model(&family("cifar_resnet8").unwrap()).save(&path).unwrap();
    let mut model = Model::open(&path).unwrap();
    let weight = "stage1.block0.conv1.weight".parse().unwrap();
    assert!(model.check_values(|_| true).is_ok());
    model.tensor_mut(weight).unwrap()[0] = f32::NAN;
    assert!(model.tensor_mut("stage9.block0.conv1.weight".parse().unwrap()).is_none());
    assert!(model.check_values(|path| path != weight).is_ok(), "only those that are chosen");
    let error = model.check_values(|path| path == weight).unwrap_err();
    assert!(error.to_string().contains("layer1.0.conv1.weight (1 of 2304"), "{error}");
    assert!(Model::open(&path).unwrap().check_values(|_| true).is_ok());
}
