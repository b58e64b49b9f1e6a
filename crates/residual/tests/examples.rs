//! Every example runs, on a small network and a few images, and says what it should.

use std::fs;
use std::path::Path;
use std::process::Command;

use residual::arch::families::family;
use residual::data::{Dataset, Source, Split};
use residual::nn::ResNetConfig;
use residual::train::to_model;
use residual::weights::{Model, safetensors};

/// Runs an example; gives its standard output.
fn run(folder: &Path, example: &str, arguments: &[&str]) -> String {
    // `cargo test` builds the examples beside the folder of the tests.
    let tests = std::env::current_exe().unwrap();
    let binary = tests.parent().and_then(Path::parent).unwrap().join("examples").join(example);
    let output = Command::new(&binary).current_dir(folder).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo test` without `--test` builds the examples", binary.display())
    });
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{example}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Sixty images of the sample as PNG files, `photos/CLASS/NUMBER.png`.
fn photos(folder: &Path) {
    let images = Dataset::sample().unwrap().split(Split::Train).unwrap();
    for index in (0..images.len()).step_by(images.len() / 60) {
        let class = folder.join("photos").join(&images.classes()[images.label(index)]);
        fs::create_dir_all(&class).unwrap();
        let image = images.image(index).unwrap();
        let (width, height) = (image.width() as u32, image.height() as u32);
        let file = image::RgbImage::from_raw(width, height, image.into_pixels()).unwrap();
        file.save(class.join(format!("{index}.png"))).unwrap();
    }
}

/// A network with random weights.
fn model(name: &str, classes: usize) -> Model {
    let spec = family(name).unwrap().with_classes(classes);
    to_model(&ResNetConfig::new(spec).init(&residual::burn::tensor::Device::flex()).unwrap()).unwrap()
}

#[test]
fn a_network_is_trained_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    photos(folder);
    let text = run(folder, "train", &["photos", "run"]);
    assert!(text.contains("epoch 1 train: ") && text.contains("10 classes: airplane, "), "{text}");

    let class = fs::read_dir(folder.join("photos/cat")).unwrap().next().unwrap().unwrap().path();
    let photo = class.to_str().unwrap();
    let text = run(folder, "predict", &["run", photo]);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("%)"), "{text}");

    let text = run(folder, "predict_batch", &["run", "photos/dog"]);
    let files = fs::read_dir(folder.join("photos/dog")).unwrap().count();
    assert_eq!(text.lines().count(), files, "{text}");

    let text = run(folder, "features", &["run", photo, "photos/cat"]);
    let nearest = text.lines().nth(1).unwrap();
    assert!(
        nearest.starts_with("1.000\t") && nearest.ends_with(class.file_name().unwrap().to_str().unwrap()),
        "{text}"
    );
}

#[test]
fn a_network_is_fine_tuned_for_other_classes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    photos(folder);
    let weights = model("cifar_resnet8", 7).into_state_dict(residual::arch::Naming::Cifar).unwrap();
    safetensors::write(folder.join("seven.safetensors"), &weights).unwrap();
    let text = run(folder, "fine_tune", &["cifar_resnet8", "seven.safetensors", "photos", "run"]);
    assert!(text.contains("10 classes in place of 7") && text.contains("best: "), "{text}");
}

#[test]
fn weights_are_converted_between_schemes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let weights = model("resnet18", 3).into_state_dict(residual::arch::Naming::Torchvision).unwrap();
    safetensors::write(folder.join("bare.safetensors"), &weights).unwrap();
    run(folder, "convert", &["bare.safetensors", "resnet18", "trained.safetensors", "timm.safetensors"]);
    let timm = Model::open_as(folder.join("timm.safetensors"), "resnet18").unwrap();
    assert_eq!(timm, Model::open(folder.join("trained.safetensors")).unwrap());
}

#[test]
fn programs_with_a_loop_or_a_block_of_their_own_learn() {
    let folder = tempfile::tempdir().unwrap();
    for (example, arguments) in [("own_loop", &["own.safetensors"][..]), ("own_block", &[])] {
        let text = run(folder.path(), example, arguments);
        let losses: Vec<f64> =
            text.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        assert!(mean(&losses[losses.len() - 5..]) < mean(&losses[..5]), "{example}: {text}");
    }
    assert!(Model::open(folder.path().join("own.safetensors")).unwrap().classes().is_some());
}
