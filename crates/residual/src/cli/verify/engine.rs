//! What the engine makes of a golden file's network or block.

use residual::arch::shape::{block_flow, flow};
use residual::engine::{Features, Images, Options, Plan};
use residual_testkit::report::{Computed, Results};
use residual_testkit::{Subject, formula, networks};

use crate::cli::failure::Outcome;

/// Compiles the subject with the formula's weights and runs it on the formula's input. A plan does not train.
pub(super) fn results(subject: &Subject, input_shape: [usize; 4], threads: usize) -> Outcome<Results> {
    let [batch, channels, height, width] = input_shape;
    let image = [channels, height, width];
    let options = Options::default().with(|options| {
        options.threads = Some(threads);
        options.max_batch = batch;
        options.size = Some([height, width]);
    });
    let (parameters, macs, eval_output) = match subject {
        Subject::Network(spec) => {
            let flow = flow(spec, image)?;
            let plan = Plan::compile(&networks::model(spec, 1.0)?, &options)?;
            let input = formula::input(&input_shape);
            let logits = plan.run(Images::Planar(&input), &mut plan.scratch())?.to_vec();
            let shape = vec![batch, plan.classes()];
            (flow.parameters, flow.macs, Computed { shape, values: logits })
        }
        Subject::Block { block, in_channels } => {
            let flow = block_flow(block, image)?;
            let model = networks::around(block, [*in_channels, height, width])?;
            let plan = Plan::compile(&model, &options)?;
            let input = formula::input(&input_shape);
            let Features { shape, values, .. } =
                plan.features(Images::Planar(&input), "stage1", &mut plan.scratch())?;
            (flow.parameters, flow.macs, Computed { shape: shape.to_vec(), values })
        }
    };
    Ok(Results { parameters, macs, eval_output, training: None })
}
