//! The engine against the modules that are trained, on every kind of network; and a build without them.

use std::process::Command;

use residual::arch::{NetSpec, families::family};
use residual::burn::tensor::{Device, Tensor, TensorData};
use residual::engine::{Images, Options, Plan};
use residual::nn::{Mode, NamedTensor};
use residual::train::from_model;
use residual_testkit::naive::relative_error;
use residual_testkit::{formula, networks};

const KINDS: [&str; 25] = [
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
    "resnetrs50",
    "resnet50_gn",
    "ecaresnet50d_pruned",
    "test_resnet",
    "resnetv2_50",
    "resnetv2_50x1_bit",
    "timm_resnet18",
    "cifar_resnet8",
    "cifar_resnet8_b",
    "cifar_seresnet8",
    "cifar_plain8",
    "cifar_preact8",
    "cifar_preact11",
    "wrn_10_2",
];

/// What no family has: standardised weights before a batch norm, group norms with an attention, a filter and a wide
/// projection, a stem of two convolutions whose pool is padded with zeros.
const MIXED: &str = r#"
name = "mixed"
naming = "sequential"
input = [3, 41, 35]

[stem]
convs = [{ channels = 12, kernel = 3, stride = 2 }, { channels = 20, kernel = 3 }]
bare = true
group_norm = 4
convolution = "standardised"
pool = { kernel = 3, stride = 2, padding = 1, zeros = true }

[[stages]]
blocks = [
    { kind = "basic", channels = 20, convolution = "standardised" },
    { kind = "bottleneck", channels = 24, width = 12, first_width = 18, group_norm = 6, squeeze_excite = 4 },
]

[[stages]]

[[stages.blocks]]
kind = "bottleneck"
channels = 36
width = 9
groups = 3
stride = 2
group_norm = 3
anti_alias = "blur"
shortcut = { kind = "projection", kernel = 3 }

[[stages.blocks]]
kind = "basic"
channels = 36
group_norm = 12
convolution = "standardised"
preactivation = true

[head]
classes = 7
norm = true
group_norm = 9
"#;

#[test]
fn kinds_that_no_family_has_give_the_same_logits() {
    same_logits("mixed", &NetSpec::from_toml(MIXED).unwrap());
}

#[test]
fn every_kind_gives_the_same_logits() {
    for name in KINDS {
        let spec = family(name).unwrap();
        // Odd sizes: whatever is left over at an edge is in it.
        let side = match name {
            // Means of windows round down where a projection rounds up.
            _ if name.contains("aa") => [64, 32],
            _ if spec.input[1] > 32 => [41, 35],
            _ => [19, 22],
        };
        same_logits(name, &spec.with_input([3, side[0], side[1]]));
    }
}

fn same_logits(name: &str, spec: &NetSpec) {
    let (batch, device) = (3, Device::flex());
    let shape = [batch, spec.input[0], spec.input[1], spec.input[2]];
    let model = networks::model(spec, 0.7).unwrap();
    let input = formula::input(&shape);

    let plan = Plan::compile(&model, &Options::default().with(|options| options.max_batch = batch)).unwrap();
    let found = plan.run(Images::Planar(&input), &mut plan.scratch()).unwrap().to_vec();

    let embeddings = plan.embed(Images::Planar(&input), &mut plan.scratch()).unwrap();

    let network = from_model(model, &device).unwrap();
    let x = Tensor::from_data(TensorData::new(input, shape), &device);
    // What the head's linear layer reads, its norm applied.
    let pooled = NamedTensor::read("pooled", network.forward_features(x.clone(), Mode::Eval).pooled).values;
    let pooled: Vec<f64> = pooled.iter().map(|&value| f64::from(value)).collect();
    assert!(relative_error(&embeddings, &pooled) < 2e-4, "{name}");
    let logits = network.forward(x, Mode::Eval);
    let wanted: Vec<f64> = NamedTensor::read("logits", logits).values.iter().map(|&v| f64::from(v)).collect();
    let error = relative_error(&found, &wanted);
    assert!(wanted.iter().any(|value| value.abs() > 1e-4), "{name}: {wanted:?}");
    assert!(error < 2e-4, "{name}: {error:e}");
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
