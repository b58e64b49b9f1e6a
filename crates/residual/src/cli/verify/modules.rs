//! What the modules that are trained make of a golden file's network or block.

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use residual::arch::shape::{block_flow, flow};
use residual::arch::{BlockSpec, NetSpec};
use residual::kernels::Cpu;
use residual::nn::fused::{FusedContext, Memory, Path};
use residual::nn::{BlockConfig, Compute, Mode, NamedTensor, ResNetConfig, cross_entropy};
use residual_testkit::report::{Computed, Results, Training};
use residual_testkit::{Kink, Moved, Names, Rounding, Subject, formula};

use crate::cli::failure::Outcome;

/// Operations and threads of the modules.
struct How {
    compute: Compute,
    context: FusedContext,
}

/// Builds the subject with the formula's weights, runs it on the formula's input, once in evaluation
/// and once in training, and goes back through it.
pub(super) fn results(
    subject: &Subject,
    input_shape: [usize; 4],
    path: Path,
    (rounding, threads): (&Rounding, usize),
) -> Outcome<Results> {
    let cpu = Cpu::new(threads)?;
    let context = FusedContext::with_cpu(if rounding.plain { cpu.with_plain_forward() } else { cpu });
    let how = How { compute: Compute { path, memory: Memory::Keep }, context };
    let data = TensorData::new(rounding.input(&input_shape), input_shape);
    let input = Tensor::from_data(data, &Device::flex().autodiff()).require_grad();
    let (names, moved) = (Names::of(subject), &rounding.moved[..]);
    match subject {
        Subject::Network(spec) => of_network(spec, (&names, moved), input, &how),
        Subject::Block { block, in_channels } => {
            of_block((block, *in_channels), (&names, moved), input, &how)
        }
    }
}

/// Values next to zero before the ReLUs of a network; of a block none is asked for.
pub(super) fn kinks(subject: &Subject, input_shape: [usize; 4]) -> Outcome<Vec<Kink>> {
    let Subject::Network(spec) = subject else { return Ok(Vec::new()) };
    let device = Device::flex();
    let network = ResNetConfig::new((**spec).clone()).init_with(filled(&Names::of(subject), &[]), &device)?;
    let input = Tensor::from_data(TensorData::new(formula::input(&input_shape), input_shape), &device);
    let kinks = network.kinks(input, Mode::train(0, 0), Kink::SHARES[1]).into_iter().map(|kink| {
        let bias = format!("{}.bias", kink.norm);
        Kink { bias, channel: kink.channel, value: kink.value, size: kink.size, places: kink.places }
    });
    Ok(kinks.collect())
}

fn of_network(
    spec: &NetSpec,
    (names, moved): (&Names, &[Moved]),
    x: Tensor<4>,
    how: &How,
) -> Outcome<Results> {
    let [batch, channels, height, width] = x.dims();
    let flow = flow(spec, [channels, height, width])?;
    let mut network = ResNetConfig::new(spec.clone()).init_with(filled(names, moved), &x.device())?;
    network.set_compute(how.compute);
    network.set_context(&how.context);
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
            grads: names.in_file(named(network.gradients(&gradients))),
            running: names.running(named(network.state())),
        }),
    })
}

fn of_block(
    (block, in_channels): (&BlockSpec, usize),
    (names, moved): (&Names, &[Moved]),
    x: Tensor<4>,
    how: &How,
) -> Outcome<Results> {
    let [_, channels, height, width] = x.dims();
    let row = block_flow(block, [channels, height, width])?;
    let device = x.device();
    let mut module = BlockConfig::new(*block, in_channels).init_with(filled(names, moved), &device)?;
    module.set_compute(how.compute);
    module.set_context(&how.context);

    let eval_output = module.forward(x.clone().inner(), Mode::Eval);
    let train_output = module.forward(x.clone(), Mode::train(0, 0));
    let shape = train_output.dims();
    let weights = formula::loss_weights(shape.iter().product());
    let factors = Tensor::<4>::from_data(TensorData::new(weights.clone(), shape), &device);
    let loss = (train_output.clone() * factors).sum();
    let gradients = loss.backward();
    let train_output = computed(train_output);
    Ok(Results {
        parameters: row.parameters,
        macs: row.macs,
        eval_output: computed(eval_output),
        training: Some(Training {
            loss: train_output.weighted_sum(&weights),
            output: train_output,
            grad_input: input_gradient(&x, &gradients),
            grads: names.in_file(named(module.gradients(&gradients))),
            running: names.running(named(module.state())),
        }),
    })
}

/// Tensors by path.
fn named(tensors: Vec<NamedTensor>) -> impl Iterator<Item = (String, Computed)> {
    tensors.into_iter().map(|NamedTensor { path, shape, values }| (path, Computed { shape, values }))
}

/// Tensors filled by the formula.
fn filled(names: &Names, moved: &[Moved]) -> impl Iterator<Item = NamedTensor> {
    names.fill(moved).map(|(path, Computed { shape, values })| NamedTensor { path, shape, values })
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
