//! Graphs that other tools wrote, answered as onnxruntime answers them (`bench/peers/onnx_fixtures.py`), and files for
//! other libraries.

use std::collections::BTreeMap;
use std::path::PathBuf;

use residual::arch::{OddMargin, Preprocess};
use residual::onnx::{ExportOptions, ImportOptions, export, import};
use residual::predict::Options;
use residual::weights::Tensor;
use residual::{Classifier, Model};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx")
}

/// `sin(i)`, in f64 and rounded once.
fn image() -> Vec<f32> {
    (0..3 * 32 * 32).map(|i| f64::from(i).sin() as f32).collect()
}

/// Logits of the engine for the graph's input: what the import has made a part of the preprocessing is done to it.
fn logits(model: Model, is_scaled: bool) -> Vec<f32> {
    let mut values = image();
    if is_scaled {
        // The graph's input is normalised for ImageNet; what is normalised twice is given back and normalised once.
        let (usual, own) = (Preprocess::imagenet(256, 224), model.preprocess().clone());
        for (channel, plane) in values.chunks_exact_mut(32 * 32).enumerate() {
            let normal = |value: f32| {
                let pixel = value * usual.std[channel] + usual.mean[channel];
                (pixel - own.mean[channel]) / own.std[channel]
            };
            plane.iter_mut().for_each(|value| *value = normal(*value));
        }
    }
    let image = Tensor::new(vec![3, 32, 32], values).unwrap();
    let classifier = Classifier::new(model, Options::new().threads(1)).unwrap();
    classifier.classify(image).unwrap().logits().to_vec()
}

#[test]
fn graphs_of_other_tools_answer_as_they_did() {
    let text = std::fs::read_to_string(fixtures().join("logits.json")).unwrap();
    let expected: BTreeMap<String, Vec<f32>> = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.len(), 18);
    for (name, expected) in expected {
        let path = fixtures().join(format!("{name}.onnx"));
        let model = match import(&path, &ImportOptions::default()) {
            Ok(imported) => imported.model,
            Err(error) => panic!("{error}"),
        };
        let found = logits(model, name == "mxnet_v2");
        let largest = expected.iter().fold(0f32, |largest, logit| largest.max(logit.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 1e-4 * largest, "{name}: {found}, {expected}");
        }
    }
}

#[test]
fn state_dicts_for_others_are_read_as_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let imported = import(fixtures().join("deep_torchscript_norms.onnx"), &ImportOptions::default()).unwrap();
    let model = imported.model;
    let at = |name: &str| folder.path().join(name);
    residual::weights::export::torch(&model, at("x.pth"), model.spec().naming).unwrap();
    residual::weights::export::safetensors(&model, at("x.safetensors"), model.spec().naming).unwrap();
    let wanted = model.to_state_dict(model.spec().naming).unwrap();
    for name in ["x.pth", "x.safetensors"] {
        assert!(residual::weights::read(at(name)).unwrap().iter().eq(wanted.iter()), "{name}");
    }
    let error = residual::weights::export::timm(&model, at("timm")).unwrap_err().to_string();
    assert!(error.contains("timm has no way to say") && error.contains("help: "), "{error}");
    let error = residual::weights::export::transformers(&model, at("hf")).unwrap_err().to_string();
    assert!(error.contains("transformers has no way to say"), "{error}");
}

#[test]
fn folders_for_timm_and_transformers_are_opened_as_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let spec = residual::arch::families::family("resnet18").unwrap().with_classes(3);
    let network = spec.check(spec.input).unwrap();
    let tensors = network.tensors().enumerate().map(|(at, (path, tensor))| {
        let count = tensor.shape.iter().product();
        (path, Tensor::new(tensor.shape, vec![1.0 / (at + 1) as f32; count]).unwrap())
    });
    let tensors = tensors.collect::<Vec<_>>();
    let names = ["cat", "dog", "newt"].map(str::to_owned);
    let model = Model::new(network, tensors).unwrap().with_classes(names.to_vec()).unwrap();
    let at = |name: &str| folder.path().join(name);
    assert_eq!(residual::weights::export::timm(&model, at("timm")).unwrap(), "resnet18");
    assert!(residual::weights::export::transformers(&model, at("hf")).unwrap());
    // transformers cuts at the floor of an odd margin, which its file does not say.
    let floor = model.preprocess().clone().with(|said| said.odd_margin = OddMargin::Floor);
    for (name, preprocess) in [("timm", model.preprocess()), ("hf", &floor)] {
        let read = Model::open(at(name)).unwrap();
        assert!(read.tensors().eq(model.tensors()), "{name}");
        assert_eq!((read.classes(), read.preprocess()), (model.classes(), preprocess), "{name}");
    }
    let path = at("x.onnx");
    export(&model, &path, &ExportOptions::default().with(|options| options.keep_norms = true)).unwrap();
    assert_eq!(import(&path, &ImportOptions::default()).unwrap().model, model);
}
