//! Networks and blocks against what PyTorch computes in float64.

use std::path::{Path, PathBuf};

use residual_arch::shape::{block_flow, flow};
use residual_engine::{Error, Features, Images, Options, Plan};
use residual_kernels::Isa;
use residual_testkit::golden::Golden;
use residual_testkit::report::{Computed, Results};
use residual_testkit::{Convolutions, Subject, formula, hold, networks};

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|end| end == "json")).collect()
}

/// The worst error as a report; panics where it is over the tolerance. `None` for a network that is not known.
fn held(golden: &Golden, isa: Option<Isa>) -> Option<String> {
    let subject = Subject::from_name(&golden.model).ok()?;
    // A plan has no gradients, so that nothing is computed again.
    let compute = |_: &_| results(&subject, golden, isa);
    let report = hold(golden, &subject, Convolutions::Plain, compute, || Ok(vec![])).unwrap();
    assert!(report.ok, "{}: {report:#?}", golden.model);
    Some(report.worst.to_string())
}

fn results(subject: &Subject, golden: &Golden, isa: Option<Isa>) -> Result<Results, Error> {
    let input = formula::input(&golden.input_shape);
    let [batch, channels, height, width] = golden.input_shape;
    let image = [channels, height, width];
    let options = Options::default().with(|options| {
        options.threads = Some(2);
        options.isa = isa;
        options.max_batch = batch;
        options.size = Some([height, width]);
    });
    let (parameters, macs, shape, values) = match subject {
        Subject::Block { block, .. } => {
            let plan = Plan::compile(&networks::around(block, image)?, &options)?;
            let Features { shape, values, .. } =
                plan.features(Images::Planar(&input), "stage1", &mut plan.scratch())?;
            let row = block_flow(block, image)?;
            (row.parameters, row.macs, shape.to_vec(), values)
        }
        Subject::Network(spec) => {
            let plan = Plan::compile(&networks::model(spec, 1.0)?, &options)?;
            let logits = plan.run(Images::Planar(&input), &mut plan.scratch())?.to_vec();
            let flow = flow(spec, image)?;
            (flow.parameters, flow.macs, vec![batch, plan.classes()], logits)
        }
    };
    Ok(Results { parameters, macs, eval_output: Computed { shape, values }, training: None })
}

#[test]
fn the_small_files_hold_on_every_instruction_set() {
    let files = files(&folder("../testkit/golden"));
    assert!(files.len() >= 7, "{files:?}");
    for isa in Isa::available() {
        for file in &files {
            let golden = Golden::read(file).unwrap();
            println!("{isa}, {}: {}", golden.model, held(&golden, Some(isa)).unwrap());
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
        println!("{}: {}", golden.model, held(&golden, None).unwrap_or("not known, left out".into()));
    }
}
