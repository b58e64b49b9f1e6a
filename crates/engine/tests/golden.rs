//! Networks and blocks against what PyTorch computes in float64.

mod common;

use std::path::{Path, PathBuf};

use residual_arch::{blocks, families};
use residual_engine::{Features, Options, Plan};
use residual_kernels::Isa;
use residual_testkit::compare::{Quantity, Tolerances};
use residual_testkit::formula;
use residual_testkit::golden::Golden;
use residual_testkit::networks;

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|end| end == "json")).collect()
}

/// The largest error; panics where it is over the tolerance.
fn hold(golden: &Golden, isa: Option<Isa>) -> f64 {
    let input = formula::input(&golden.input_shape);
    let [batch, _, height, width] = golden.input_shape;
    let options =
        Options { threads: 2, isa, max_batch: batch, size: Some([height, width]), ..Options::default() };
    let (shape, output) = if let Ok((block, channels)) = blocks::from_name(&golden.model) {
        let (spec, weights) = networks::around(&block, [channels, height, width]).unwrap();
        let plan = Plan::compile(&spec, &weights, &options).unwrap();
        let Features { shape, values } = plan.features(&input, "stage1", &mut plan.scratch()).unwrap();
        (shape.to_vec(), values)
    } else {
        let spec = families::family(&golden.model).unwrap();
        let plan = Plan::compile(&spec, &common::weights(&spec), &options).unwrap();
        let logits = plan.run(&input, &mut plan.scratch()).unwrap().to_vec();
        (vec![batch, plan.classes()], logits)
    };
    let tolerances = Tolerances::for_layers(3);
    let found = tolerances.error(Quantity::EvalOutput, &golden.eval_output, &shape, &output);
    let allowed = tolerances.of(Quantity::EvalOutput);
    assert!(found.error <= allowed, "{}: {found:?}, allowed {allowed:e}", golden.model);
    found.error
}

#[test]
fn the_small_files_hold_on_every_instruction_set() {
    let files = files(&folder("../testkit/golden"));
    assert!(files.len() >= 7, "{files:?}");
    for isa in Isa::available() {
        for file in &files {
            let golden = Golden::read(file).unwrap();
            println!("{isa}, {}: {:.1e}", golden.model, hold(&golden, Some(isa)));
        }
    }
}

#[test]
fn all_files_hold() {
    let folder = folder("../../../shared/parity");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    let files = files(&folder);
    assert!(files.len() >= 7, "{files:?}");
    for file in files {
        let golden = Golden::read(&file).unwrap();
        println!("{}: {:.1e}", golden.model, hold(&golden, None));
    }
}
