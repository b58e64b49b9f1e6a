//! The engine against the modules that are trained, on every kind of network; and a build without them.

use std::process::Command;

use residual::arch::families::family;
use residual::burn::tensor::{Device, Tensor, TensorData};
use residual::engine::{Images, Options, Plan};
use residual::nn::{Mode, NamedTensor};
use residual::train::from_model;
use residual_testkit::naive::relative_error;
use residual_testkit::{formula, networks};

const KINDS: [&str; 19] = [
    "small",
    "resnet18",
    "resnet50",
    "wide_resnet50_2",
    "resnext50_32x4d",
    "resnet26d",
    "resnet50d",
    "seresnet50",
    "ecaresnet26t",
    "resnetblur18",
    "resnetaa34d",
    "resnetv2_50",
    "timm_resnet18",
    "cifar_resnet8",
    "cifar_resnet8_b",
    "cifar_plain8",
    "cifar_preact8",
    "cifar_preact11",
    "wrn_10_2",
];

#[test]
fn every_kind_gives_the_same_logits() {
    let (batch, device) = (3, Device::flex());
    for name in KINDS {
        let spec = family(name).unwrap();
        // Odd sizes: whatever is left over at an edge is in it.
        let side = match name {
            // Means of windows round down where a projection rounds up.
            _ if name.contains("aa") => [64, 32],
            _ if spec.input[1] > 32 => [41, 35],
            _ => [19, 22],
        };
        let spec = spec.with_input([3, side[0], side[1]]);
        let model = networks::model(&spec, 0.7).unwrap();
        let shape = [batch, 3, side[0], side[1]];
        let input = formula::input(&shape);

        let plan =
            Plan::compile(&model, &Options::default().with(|options| options.max_batch = batch)).unwrap();
        let found = plan.run(Images::Planar(&input), &mut plan.scratch()).unwrap().to_vec();

        let embeddings = plan.embed(Images::Planar(&input), &mut plan.scratch()).unwrap();

        let network = from_model(model, &device).unwrap();
        let x = Tensor::from_data(TensorData::new(input, shape), &device);
        // What the head's linear layer reads, its norm applied.
        let pooled =
            NamedTensor::read("pooled", network.forward_features(x.clone(), Mode::Eval).pooled).values;
        let pooled: Vec<f64> = pooled.iter().map(|&value| f64::from(value)).collect();
        assert!(relative_error(&embeddings, &pooled) < 2e-4, "{name}");
        let logits = network.forward(x, Mode::Eval);
        let wanted: Vec<f64> =
            NamedTensor::read("logits", logits).values.iter().map(|&v| f64::from(v)).collect();
        let error = relative_error(&found, &wanted);
        assert!(wanted.iter().any(|value| value.abs() > 1e-4), "{name}: {wanted:?}");
        assert!(error < 2e-4, "{name}: {error:e}");
    }
}

#[test]
fn there_is_no_framework_in_an_inference_build() {
    let tree = |features: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--package",
                "residual",
                "--edges",
                "normal,build",
                "--prefix",
                "none",
            ])
            .args(features)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("residual-engine"), "{text}");
        text.to_lowercase()
    };
    let inference = tree(&["--no-default-features", "--features", "cli"]);
    for framework in ["burn", "residual-nn", "residual-train"] {
        assert!(!inference.contains(framework), "{inference}");
        assert!(tree(&[]).contains(framework));
    }
    // A program that uses the library has nothing of the command line's.
    let library = tree(&["--no-default-features", "--features", "image"]);
    let of_the_tool = ["clap", "terminal_size", "strsim", "signal-hook", "residual-testkit"];
    for dependency in of_the_tool {
        assert!(!library.contains(dependency), "{library}");
        assert!(inference.contains(dependency), "{dependency}");
    }
}
