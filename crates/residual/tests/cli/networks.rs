//! Networks without images: `summary`, `models`, `convert`.

use residual::arch::families::family;
use residual::arch::{Naming, names::names};
use residual::weights::{Checkpoint, StateDict, Tensor, Weights, safetensors};

use crate::toy::Bench;

#[test]
fn a_summary_counts_as_published() {
    let bench = Bench::new();
    let summary = bench.run("summary resnet18 --json").json().remove(0);
    assert_eq!(summary["parameters"], 11_689_512);
    assert_eq!(summary["macs"], 1_814_073_344);
    let blocks = summary["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 8);
    assert_eq!(blocks[2]["name"], "stage2.block0");
    assert_eq!(blocks[2]["output"], serde_json::json!([128, 28, 28]));
    assert_eq!(blocks[2]["shortcut"], "projection /2");
    let parts = blocks.iter().chain([&summary["stem"], &summary["head"]]);
    assert_eq!(parts.map(|part| part["parameters"].as_u64().unwrap()).sum::<u64>(), 11_689_512);

    let table = bench.run("summary resnet18").ok();
    assert_eq!(table.lines().count(), 1 + 1 + 10 + 1, "{table}");
    assert!(table.contains("11,689,512") && table.contains("1.814 G"), "{table}");
}

#[test]
fn a_summary_is_of_any_input_specification_or_checkpoint() {
    let bench = Bench::new().trained();
    let macs = |call: &str| bench.run(call).json().remove(0)["macs"].as_u64().unwrap();
    assert!(macs("summary small --input 3x64x64 --json") > 3 * macs("summary small --json"));
    assert_eq!(macs("summary toy.toml --json"), macs("summary run/best.safetensors --json"));
}

#[test]
fn a_specification_that_cannot_be_says_why() {
    let bench = Bench::new();
    bench.run("summary resnet18 --input 3x0x224").refused(&["input", "at least one"]);
    bench.run("summary resnet18 --input 1x224x224").refused(&["1 channels where the network takes 3"]);
    let broken = crate::toy::NETWORK.replace("stride = 2", "stride = 2, shortcut = { kind = \"identity\" }");
    std::fs::write(bench.path("broken.toml"), broken).unwrap();
    bench.run("summary broken.toml").refused(&["stage2.block0: branch gives 8x4x4", "use a projection"]);
    std::fs::write(bench.path("misspelt.toml"), crate::toy::NETWORK.replace("kernel", "kernal")).unwrap();
    bench.run("summary misspelt.toml").refused(&["misspelt.toml", "kernal"]);
}

#[test]
fn an_unknown_model_suggests_the_nearest() {
    let bench = Bench::new();
    for call in ["summary resnet19", "train --data data --model resnet19"] {
        bench.run(call).refused(&["`resnet19`", "`resnet18`"]);
    }
}

#[test]
fn models_lists_every_member() {
    let bench = Bench::new();
    let models = bench.run("models --json").json();
    let parameters =
        |name: &str| models.iter().find(|model| model["model"] == name).unwrap()["parameters"].clone();
    assert_eq!(parameters("wrn_28_10"), 36_479_194);
    assert_eq!(parameters("small"), 696_618);
    let table = bench.run("models").ok();
    assert!(models.iter().all(|model| table.contains(model["model"].as_str().unwrap())), "{table}");
    assert!(table.contains("cifar_resnet{6n+2}"), "{table}");
}

fn weights(model: &str, naming: Naming) -> StateDict {
    let tensors = names(&family(model).unwrap(), naming).into_iter().enumerate().map(|(index, tensor)| {
        let count = tensor.shape.iter().product();
        (tensor.name, Tensor::new(tensor.shape, vec![index as f32; count]).unwrap())
    });
    StateDict::from_tensors(tensors).unwrap()
}

fn plain(path: std::path::PathBuf) -> StateDict {
    match Weights::read(path).unwrap() {
        Weights::Plain(state) => state,
        Weights::Trained(_) => panic!("a description came from nowhere"),
    }
}

#[test]
fn weights_are_converted_and_renamed() {
    let bench = Bench::new();
    let original = weights("resnetv2_50", Naming::Timm);
    safetensors::write(bench.path("timm.safetensors"), &original).unwrap();
    bench.run("convert timm.safetensors copy.safetensors").ok();
    assert_eq!(plain(bench.path("copy.safetensors")), original);
    bench.run("convert timm.safetensors tv.safetensors --names torchvision").ok();
    assert_eq!(plain(bench.path("tv.safetensors")), weights("resnetv2_50", Naming::Torchvision));
    bench.run("convert tv.safetensors back.safetensors --names timm").ok();
    assert_eq!(plain(bench.path("back.safetensors")), original);
}

#[test]
fn a_converted_checkpoint_still_predicts() {
    let bench = Bench::new().trained();
    bench.run("convert run/best.safetensors timm.safetensors --names timm").ok();
    let (before, after) = ("run/best.safetensors", "timm.safetensors");
    let names = |path: &str| Checkpoint::read(bench.path(path)).unwrap().tensors.len();
    assert_eq!(names(before), names(after));
    let predict = |path: &str| bench.run(&format!("predict --weights {path} data/test --json")).ok();
    assert_eq!(predict(before), predict(after));
}

#[test]
fn what_cannot_be_converted_is_refused() {
    let bench = Bench::new();
    safetensors::write(bench.path("small.safetensors"), &weights("small", Naming::Sequential)).unwrap();
    bench.run("convert small.safetensors out.pth").refused(&["out.pth", "out.safetensors"]);
    bench.run("convert toy.toml out.safetensors").refused(&["toy.toml", "not a file of weights"]);
    bench
        .run("convert small.safetensors out.safetensors --names timm --model resnet18")
        .refused(&["small.safetensors", "missing"]);
    let mut stranger = StateDict::new();
    stranger.insert("embedding", Tensor::new(vec![1], vec![0.0]).unwrap()).unwrap();
    safetensors::write(bench.path("stranger.safetensors"), &stranger).unwrap();
    bench.run("convert stranger.safetensors out.safetensors --names timm").refused(&["--model"]);
    assert!(!bench.path("out.safetensors").exists());
}
