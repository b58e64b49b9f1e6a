//! Files that torch, transformers and Lightning wrote (`bench/peers/wrappers.py`), opened without a name and held against
//! what PyTorch answers.

use std::path::{Path, PathBuf};

use residual_engine::Images;
use residual_predict::{Classifier, Options};
use residual_weights::{Error, Model, OpenOptions};

/// Largest difference of a logit from PyTorch's, as a share of the largest logit.
const TOLERANCE: f32 = 1e-4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrapped")
}

/// Answer of PyTorch: the input's shape and the logits.
fn expected(name: &str) -> ([usize; 3], Vec<f32>) {
    let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
    let input: Vec<usize> =
        value["input"].as_array().unwrap().iter().map(|side| side.as_u64().unwrap() as usize).collect();
    let logits = value["logits"].as_array().unwrap().iter().map(number).collect();
    (input.try_into().unwrap(), logits)
}

/// The image of the script.
fn pixels(count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 7 % 256) as f32 - 128.0) / 64.0).collect()
}

fn hold(name: &str, model: Model) {
    let ([channels, height, width], wanted) = expected(name);
    let classifier = Classifier::new(model, Options::new().threads(1)).unwrap();
    let image = pixels(channels * height * width);
    let found = classifier.logits(Images::Planar(&image), [height, width]).unwrap();
    let scale = wanted.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
    assert_eq!(found.len(), wanted.len(), "{name}");
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!((found - wanted).abs() <= TOLERANCE * scale, "{name}: {found} and {wanted}");
    }
}

#[test]
fn every_file_answers_as_pytorch_does() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".json") {
            continue;
        }
        let model = Model::open(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(model.has_head(), "{name}");
        hold(&name, model);
        seen += 1;
    }
    assert!(seen >= 16, "{seen}");
}

#[test]
fn what_wraps_them_is_told() {
    let open = |name: &str| Model::open(folder().join(name)).unwrap();
    let prefix = |name: &str| open(name).recognised().unwrap().prefix.clone();
    assert_eq!(prefix("parallel.pth"), "module.");
    assert_eq!(prefix("compiled.pth"), "_orig_mod.");
    assert_eq!(prefix("lightning.ckpt"), "model.");
    assert_eq!(prefix("backbone.pth"), "backbone.");
    assert_eq!(open("backbone.pth").recognised().unwrap().head.as_deref(), Some("fc.1"));
    assert_eq!(open("module.pth").origin().module.as_deref(), Some("torchvision.models.resnet.ResNet"));
    assert_eq!(
        open("module_legacy.pth").origin().module.as_deref(),
        Some("torchvision.models.resnet.ResNet")
    );
    assert_eq!(open("training.pth.tar").origin().wrapper, ["state_dict"]);
    assert_eq!(open("lightning.ckpt").recognised().unwrap().left_out, ["criterion.weight"]);
    let both = open("ema.pt");
    assert_eq!(
        (both.origin().wrapper.as_slice(), both.origin().others.as_slice()),
        (&["model".to_owned()][..], &["model_ema".to_owned()][..])
    );
    assert!(both.notes().iter().any(|note| note.contains("--key")), "{:?}", both.notes());
    let options = OpenOptions::default().with(|options| options.key = Some("model_ema".to_owned()));
    let averaged = Model::open_with(folder().join("ema.pt"), &options).unwrap();
    assert_eq!(averaged.recognised().unwrap().prefix, "module.");
}

#[test]
fn a_folder_of_transformers_says_classes_and_preprocessing() {
    use residual_arch::{Interpolation, Naming, Resize};
    for name in [
        "transformers_basic",
        "transformers_bottleneck",
        "transformers_bottleneck_v1",
        "transformers_basic_sharded",
    ] {
        let model = Model::open(folder().join(name)).unwrap();
        assert_eq!(model.classes().unwrap(), ["ant", "bee", "cat"]);
        assert_eq!((model.naming(), model.named_by()), (Naming::Transformers, Some("config.json")));
    }
    let model = Model::open(folder().join("transformers_basic")).unwrap();
    let preprocess = model.preprocess();
    assert_eq!((preprocess.resize, preprocess.crop), (Some(Resize::ShorterSide(128)), Some([64, 64])));
    assert_eq!((preprocess.interpolation, &preprocess.mean[..]), (Interpolation::Bicubic, &[0.5; 3][..]));
    assert_eq!((model.spec().input, model.preprocess_source()), ([3, 64, 64], "preprocessor_config.json"));
    assert_eq!(Model::open(folder().join("transformers_basic_sharded")).unwrap().origin().files, 5);
}

/// A copy of a folder whose file is changed.
fn changed(name: &str, file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder().join(name)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = copy.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
    copy
}

#[test]
fn descriptions_that_are_broken_or_ask_for_more_are_refused() {
    let index = "model.safetensors.index.json";
    let cases = [
        ("transformers_basic", "config.json", "\"relu\"", "\"gelu\"", "`hidden_act` is \"gelu\""),
        ("transformers_basic", "config.json", "\"depths\"", "\"deaths\"", "`depths` is missing"),
        ("transformers_basic", "config.json", "{", "", "not JSON"),
        (
            "transformers_basic",
            "preprocessor_config.json",
            "\"resample\": 3",
            "\"resample\": 9",
            "`resample`",
        ),
        (
            "transformers_basic_sharded",
            index,
            "model-00001",
            "../model-00001",
            "not in a file of the same folder",
        ),
        ("transformers_basic_sharded", index, "model-00001", "model-00002", "where the index has it"),
        (
            "transformers_basic",
            "config.json",
            "\"2\": \"cat\"",
            "\"2\": \"cat\", \"3\": \"dog\"",
            "config.json names 4 classes, and the head has 3 outputs",
        ),
        ("transformers_basic_sharded", index, "weight_map", "other", "no `weight_map`"),
    ];
    for (name, file, from, to, says) in cases {
        let copy = changed(name, file, from, to);
        let error = Model::open(copy.path()).unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    let other =
        changed("transformers_basic", "config.json", "\"depths\": [\n    2,", "\"depths\": [\n    3,");
    let error = Model::open(other.path()).unwrap_err();
    assert!(matches!(error.cause(), Error::Mismatch(_)), "{error}");
}

#[test]
fn a_backbone_gives_features_and_no_classes() {
    let mut state = residual_weights::read(folder().join("backbone.pth")).unwrap();
    state.split_prefix("fc.").unwrap();
    let bytes = residual_weights::safetensors::to_bytes(&state).unwrap();
    let classifier = Classifier::new(Model::from_bytes(&bytes).unwrap(), Options::new().threads(1)).unwrap();
    let image = residual_data::Image::new(64, 64, 3, vec![100; 64 * 64 * 3]).unwrap();
    assert_eq!(classifier.embed(&image).unwrap().len(), 16);
    assert_eq!(classifier.features(&image, "stage1").unwrap().shape[0], 8);
    for error in [classifier.classify(&image).unwrap_err(), classifier.heat_map(&image, 0).unwrap_err()] {
        assert!(error.to_string().contains("no head"), "{error}");
    }
    assert!(classifier.classify_all([residual_data::Image::clone(&image)]).all(|answer| answer.is_err()));
}
