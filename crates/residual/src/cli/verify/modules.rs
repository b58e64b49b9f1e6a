//! What the modules that are trained make of a golden file's network or block.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{Gradients, Tensor, TensorData};
use residual::arch::names::{TensorName, block_names, names};
use residual::arch::shape::{block_flow, flow};
use residual::arch::{BlockSpec, NetSpec, TensorSpec, block_tensors, tensors};
use residual::nn::{BlockConfig, Compute, Mode, NamedTensor, ResNetConfig, cross_entropy};
use residual_testkit::formula;

use super::report::{Computed, Results, Training};
use super::rounding::Rounding;
use super::subject::Subject;
use crate::cli::compute::{Memory, Path};
use crate::cli::failure::Outcome;

/// Builds the subject with the formula's weights, runs it on the formula's input, once in evaluation
/// and once in training, and goes back through it.
pub(super) fn results(
    subject: &Subject,
    input_shape: [usize; 4],
    path: Path,
    rounding: Rounding,
) -> Outcome<Results> {
    let compute = path.with(Memory::Keep);
    rounding.set_up()?;
    let input = rounding.input(input_shape);
    match subject {
        Subject::Network(spec) => of_network(spec, input, compute),
        Subject::Block { block, in_channels } => of_block(block, *in_channels, input, compute),
    }
}

fn of_network(spec: &NetSpec, x: Tensor<4>, compute: Compute) -> Outcome<Results> {
    let [batch, channels, height, width] = x.dims();
    let flow = flow(spec, [channels, height, width])?;
    let names = Names::new(tensors(spec), names(spec, spec.naming));
    let device = x.device();
    let mut network = ResNetConfig::new(spec.clone()).init_with(names.fill(), &device)?;
    network.set_compute(compute);
    network.check_input(x.dims(), Mode::train(0, 0))?;

    let eval_output = network.forward(x.clone().inner(), Mode::Eval);
    let train_output = network.forward(x.clone(), Mode::train(0, 0));
    let labels = formula::labels(batch, spec.head.classes);
    let loss = cross_entropy(train_output.clone(), &labels, 0.0)?;
    let gradients = loss.backward();
    Ok(Results {
        parameters: flow.parameters,
        macs: flow.macs,
        eval_output: computed(eval_output),
        training: Some(Training {
            output: computed(train_output),
            loss: scalar(loss),
            grad_input: input_gradient(&x, &gradients),
            grads: names.in_file(network.gradients(&gradients)),
            running: names.running(network.state()),
        }),
    })
}

fn of_block(block: &BlockSpec, in_channels: usize, x: Tensor<4>, compute: Compute) -> Outcome<Results> {
    let [_, channels, height, width] = x.dims();
    let row = block_flow(block, [channels, height, width])?;
    let names = Names::new(block_tensors(block, in_channels), block_names(block, in_channels));
    let device = x.device();
    let mut module = BlockConfig::new(*block, in_channels).init_with(names.fill(), &device)?;
    module.set_compute(compute);

    let eval_output = module.forward(x.clone().inner(), Mode::Eval);
    let train_output = module.forward(x.clone(), Mode::train(0, 0));
    let shape = train_output.dims();
    let weights = formula::loss_weights(shape.iter().product());
    let weights = Tensor::<4>::from_data(TensorData::new(weights, shape), &device);
    let loss = (train_output.clone() * weights.clone()).sum();
    let gradients = loss.backward();
    let train_output = computed(train_output);
    Ok(Results {
        parameters: row.parameters,
        macs: row.macs,
        eval_output: computed(eval_output),
        training: Some(Training {
            loss: weighted_sum(&train_output, &computed(weights)),
            output: train_output,
            grad_input: input_gradient(&x, &gradients),
            grads: names.in_file(module.gradients(&gradients)),
            running: names.running(module.state()),
        }),
    })
}

/// The names that the tensors of a network or block have in its golden file.
struct Names {
    /// By canonical path, the shape of the module's tensor and the name and shape in the file.
    tensors: HashMap<String, (Vec<usize>, TensorName)>,
}

impl Names {
    fn new(tensors: Vec<TensorSpec>, names: Vec<TensorName>) -> Self {
        let mut by_path: HashMap<String, TensorName> =
            names.into_iter().map(|name| (name.path.clone(), name)).collect();
        let named = tensors.into_iter().filter_map(|tensor| {
            let name = by_path.remove(&tensor.path)?;
            Some((tensor.path, (tensor.shape, name)))
        });
        Self { tensors: named.collect() }
    }

    /// Every tensor, filled by the formula under its name and shape in the file.
    fn fill(&self) -> Vec<NamedTensor> {
        let fill = |(path, (shape, name)): (&String, &(Vec<usize>, TensorName))| NamedTensor {
            path: path.clone(),
            shape: shape.clone(),
            values: formula::tensor(&name.name, &name.shape),
        };
        self.tensors.iter().map(fill).collect()
    }

    /// The tensors under their names and shapes in the file.
    fn in_file(&self, tensors: Vec<NamedTensor>) -> BTreeMap<String, Computed> {
        let rename = |tensor: NamedTensor| match self.tensors.get(&tensor.path) {
            Some((shape, name)) if *shape == tensor.shape => {
                (name.name.clone(), Computed { shape: name.shape.clone(), values: tensor.values })
            }
            // Left as it is, it shows in the report as unexpected.
            _ => (tensor.path, Computed { shape: tensor.shape, values: tensor.values }),
        };
        tensors.into_iter().map(rename).collect()
    }

    fn running(&self, mut state: Vec<NamedTensor>) -> BTreeMap<String, Computed> {
        state.retain(|tensor| tensor.path.contains(".running_"));
        self.in_file(state)
    }
}

fn input_gradient(x: &Tensor<4>, gradients: &Gradients) -> Computed {
    match x.grad(gradients) {
        Some(gradient) => computed(gradient),
        None => Computed { shape: Vec::new(), values: Vec::new() },
    }
}

fn computed<const D: usize>(tensor: Tensor<D>) -> Computed {
    let NamedTensor { shape, values, .. } = NamedTensor::read("", tensor);
    Computed { shape, values }
}

fn scalar(tensor: Tensor<1>) -> f64 {
    computed(tensor).values.first().map_or(f64::NAN, |&value| f64::from(value))
}

/// `sum(output * weights)`, added in f64: the reference is, and the sum of many terms of either sign is
/// close to zero.
fn weighted_sum(output: &Computed, weights: &Computed) -> f64 {
    output.values.iter().zip(&weights.values).map(|(&y, &w)| f64::from(y) * f64::from(w)).sum()
}
