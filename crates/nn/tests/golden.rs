//! Networks and blocks against what PyTorch computes in float64.
//!
//! `RESIDUAL_GOLDEN=DIR` holds the files of that folder as well, those of networks that are not known left out; in a
//! release build networks for ImageNet take a second each. `RESIDUAL_ISA` chooses the instruction set.

use std::path::PathBuf;

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use residual_arch::shape::{block_flow, flow};
use residual_kernels::Cpu;
use residual_nn::fused::{FusedContext, Path};
use residual_nn::{Block, BlockConfig, Compute, Mode, NamedTensor, ResNet, ResNetConfig, cross_entropy};
use residual_testkit::golden::Golden;
use residual_testkit::report::{Computed, Results, Training};
use residual_testkit::{Convolutions, Kink, Names, Rounding, Subject, formula, hold};

#[test]
fn golden_files_hold() {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testkit/golden");
    let more = std::env::var_os("RESIDUAL_GOLDEN").map(PathBuf::from);
    let mut held = vec![];
    for folder in [own].into_iter().chain(more) {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|end| end == "json")) {
            let golden = Golden::read(&file).unwrap();
            let Ok(subject) = Subject::from_name(&golden.model) else {
                println!("{}: not known, left out", golden.model);
                continue;
            };
            for (path, convolutions) in
                [(Path::Fused, Convolutions::Chosen), (Path::Stock, Convolutions::Plain)]
            {
                let compute = |rounding: &Rounding| results(&subject, golden.input_shape, path, rounding);
                let kinks = || kinks(&subject, golden.input_shape);
                let report = hold(&golden, &subject, convolutions, compute, kinks).unwrap();
                let flipped = report.flipped.as_ref().map_or(String::new(), |at| format!(", flipped {at}"));
                println!("{}, {path:?}: worst {}{flipped}", golden.model, report.worst);
                assert!(report.ok, "{}, {path:?}: {report:#?}", golden.model);
            }
            held.push(golden.model);
        }
    }
    assert!(held.len() >= 7 && held.contains(&"small_resnet".to_owned()), "{held:?}");
}

/// Model that is held to the reference.
enum Model {
    Block(Box<Block>),
    Net(Box<ResNet>),
}

/// Builds the subject with the formula's weights, runs it on the formula's input, once in evaluation and once in
/// training, and goes back through it.
fn results(
    subject: &Subject,
    shape: [usize; 4],
    path: Path,
    rounding: &Rounding,
) -> Result<Results, residual_nn::Error> {
    let cpu = Cpu::new(2).unwrap();
    let context = FusedContext::with_cpu(if rounding.plain { cpu.with_plain_forward() } else { cpu });
    let device = Device::flex().autodiff();
    let x = Tensor::<4>::from_data(TensorData::new(rounding.input(&shape), shape), &device).require_grad();
    let names = Names::of(subject);
    let (mut model, parameters, macs) = Model::build(subject, names.fill(&rounding.moved), shape, path)?;
    match &mut model {
        Model::Block(block) => block.set_context(&context),
        Model::Net(net) => net.set_context(&context),
    }

    let (eval_output, _, _) = model.forward(x.clone().inner(), Mode::Eval)?;
    let (output, of_output, loss) = model.forward(x.clone(), Mode::train(0, 0))?;
    let gradients = loss.backward();
    let training = Training {
        output,
        loss: of_output,
        grad_input: computed(x.grad(&gradients).unwrap()),
        grads: names.in_file(model.gradients(&gradients).into_iter().map(by_path)),
        running: names.running(model.state().into_iter().map(by_path)),
    };
    Ok(Results { parameters, macs, eval_output, training: Some(training) })
}

/// Values next to zero before the ReLUs of a network.
fn kinks(subject: &Subject, shape: [usize; 4]) -> Result<Vec<Kink>, residual_nn::Error> {
    let names = Names::of(subject);
    let (model, ..) = Model::build(subject, names.fill(&[]), shape, Path::Stock)?;
    let Model::Net(net) = model else { return Ok(vec![]) };
    let x = Tensor::<4>::from_data(TensorData::new(formula::input(&shape), shape), &Device::flex());
    let kinks = net.kinks(x, Mode::train(0, 0), Kink::SHARES[1]).into_iter().map(|kink| {
        let bias = format!("{}.bias", kink.norm);
        Kink { bias, channel: kink.channel, value: kink.value, size: kink.size, places: kink.places }
    });
    Ok(kinks.collect())
}

impl Model {
    /// With its numbers of parameters and of multiply-accumulates.
    fn build(
        subject: &Subject,
        filled: impl Iterator<Item = (String, Computed)>,
        [_, channels, height, width]: [usize; 4],
        path: Path,
    ) -> Result<(Self, u64, u64), residual_nn::Error> {
        let (device, compute) = (Device::flex().autodiff(), Compute { path, ..Compute::default() });
        let image = [channels, height, width];
        let filled = filled.map(|(path, Computed { shape, values })| NamedTensor { path, shape, values });
        Ok(match subject {
            Subject::Block { block: spec, in_channels } => {
                let mut block = BlockConfig::new(*spec, *in_channels).init_with(filled, &device)?;
                block.set_compute(compute);
                let row = block_flow(spec, image)?;
                (Self::Block(Box::new(block)), row.parameters, row.macs)
            }
            Subject::Network(spec) => {
                let mut net = ResNetConfig::new((**spec).clone()).init_with(filled, &device)?;
                net.set_compute(compute);
                let flow = flow(spec, image)?;
                (Self::Net(Box::new(net)), flow.parameters, flow.macs)
            }
        })
    }

    /// Output, its loss, and the loss to go back from.
    fn forward(&self, x: Tensor<4>, mode: Mode) -> Result<(Computed, f64, Tensor<1>), residual_nn::Error> {
        match self {
            Self::Block(block) => {
                let y = block.forward(x, mode);
                let shape = y.dims();
                let weights = formula::loss_weights(shape.iter().product());
                let factors = Tensor::from_data(TensorData::new(weights.clone(), shape), &y.device());
                let loss = (y.clone() * factors).sum();
                let y = computed(y);
                Ok((y.clone(), y.weighted_sum(&weights), loss))
            }
            Self::Net(net) => {
                let logits = net.forward(x, mode);
                let [batch, classes] = logits.dims();
                let loss = cross_entropy(logits.clone(), &formula::labels(batch, classes), 0.0)?;
                let value = computed(loss.clone()).values[0];
                Ok((computed(logits), f64::from(value), loss))
            }
        }
    }

    fn gradients(&self, gradients: &Gradients) -> Vec<NamedTensor> {
        match self {
            Self::Block(block) => block.gradients(gradients),
            Self::Net(net) => net.gradients(gradients),
        }
    }

    fn state(&self) -> Vec<NamedTensor> {
        match self {
            Self::Block(block) => block.state(),
            Self::Net(net) => net.state(),
        }
    }
}

fn computed<const D: usize>(tensor: Tensor<D>) -> Computed {
    by_path(NamedTensor::read("", tensor)).1
}

fn by_path(NamedTensor { path, shape, values }: NamedTensor) -> (String, Computed) {
    (path, Computed { shape, values })
}
