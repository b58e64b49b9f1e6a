//! Networks and blocks against what PyTorch computes in float64.
//!
//! `RESIDUAL_GOLDEN=DIR` holds the files of that folder as well; in a release build networks for ImageNet
//! take a second each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use residual_arch::names::{TensorName, block_names, names};
use residual_arch::{TensorSpec, block_tensors, blocks, families, tensors};
use residual_nn::fused::Path;
use residual_nn::{Block, BlockConfig, Compute, Mode, NamedTensor, ResNet, ResNetConfig, cross_entropy};
use residual_testkit::compare::{Quantity, Tolerances};
use residual_testkit::formula;
use residual_testkit::golden::{Golden, Reference};

#[test]
fn golden_files_hold() {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testkit/golden");
    let more = std::env::var_os("RESIDUAL_GOLDEN").map(PathBuf::from);
    let mut held = vec![];
    for folder in [own].into_iter().chain(more) {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|end| end == "json")) {
            let golden = Golden::read(&file).unwrap();
            for path in [Path::Fused, Path::Stock] {
                let worst = Subject::build(&golden.model, path).hold(&golden);
                println!("{}, {path:?}: {worst}", golden.model);
            }
            held.push(golden.model);
        }
    }
    assert!(held.len() >= 7 && held.contains(&"small_resnet".to_owned()), "{held:?}");
}

/// What a golden file is about, with its tensors' names in the file.
struct Subject {
    model: Model,
    names: BTreeMap<String, TensorName>,
    tolerances: Tolerances,
}

enum Model {
    Block(Block),
    Net(ResNet),
}

impl Subject {
    fn build(name: &str, path: Path) -> Self {
        let device = Device::flex().autodiff();
        let compute = Compute { path, ..Compute::default() };
        if let Ok((spec, in_channels)) = blocks::from_name(name) {
            let (tensors, names) =
                filled(&block_tensors(&spec, in_channels), block_names(&spec, in_channels));
            let mut block = BlockConfig::new(spec, in_channels).init_with(tensors, &device).unwrap();
            block.set_compute(compute);
            return Self { model: Model::Block(block), names, tolerances: Tolerances::for_layers(3) };
        }
        let spec = families::family(name).unwrap();
        let layers: usize = 2 + spec.blocks().map(|(_, b)| b.convolutions(1).len()).sum::<usize>();
        let (tensors, names) = filled(&tensors(&spec), names(&spec, spec.naming));
        let mut net = ResNetConfig::new(spec).init_with(tensors, &device).unwrap();
        net.set_compute(compute);
        // One of the million values before a ReLU is closer to zero here than float32 knows: F(4x4) puts it
        // on the other side, and the gradients before it move, as they do in deep networks.
        let flips = name == "small_resnet" && path == Path::Fused;
        let tolerances = Tolerances::for_layers(if flips { 50 } else { layers });
        Self { model: Model::Net(net), names, tolerances }
    }

    /// Panics at the first number out of tolerance; gives the worst error otherwise.
    fn hold(&self, golden: &Golden) -> String {
        let device = Device::flex().autodiff();
        let data = TensorData::new(formula::input(&golden.input_shape), golden.input_shape);
        let x = Tensor::<4>::from_data(data, &device).require_grad();
        let mut worst = Worst { tolerances: self.tolerances, share: 0.0, text: String::new() };

        let (eval, _) = self.forward(x.clone().detach(), Mode::Eval);
        worst.hold(Quantity::EvalOutput, "eval output", &golden.eval_output, &eval);
        let (output, loss) = self.forward(x.clone(), Mode::train(0, 0));
        worst.hold(Quantity::Training, "train output", &golden.train_output, &output);
        let loss_value = f64::from(loss.clone().into_scalar::<f32>());
        let tolerance = self.tolerances.of(Quantity::Training) * golden.train_loss.abs().max(1.0);
        assert!(
            (loss_value - golden.train_loss).abs() <= tolerance,
            "loss {loss_value}, {}",
            golden.train_loss
        );

        let gradients = loss.backward();
        let grad_input = NamedTensor::read("input", x.grad(&gradients).unwrap());
        worst.hold(Quantity::Gradient, "input gradient", &golden.grad_input, &grad_input);
        let found = self.by_name(self.gradients(&gradients));
        assert!(found.keys().eq(golden.grads.keys()), "other parameters");
        for (name, reference) in &golden.grads {
            worst.hold(Quantity::Gradient, name, reference, &found[name]);
        }
        let state = self.by_name(self.state());
        for (name, reference) in &golden.running {
            worst.hold(Quantity::Training, name, reference, &state[name]);
        }
        assert_eq!(golden.parameters, found.values().map(|t| t.values.len() as u64).sum::<u64>());
        worst.text
    }

    /// Output and loss.
    fn forward(&self, x: Tensor<4>, mode: Mode) -> (NamedTensor, Tensor<1>) {
        match &self.model {
            Model::Block(block) => {
                let y = block.forward(x, mode);
                let shape = y.dims();
                let n = shape.iter().product();
                let weights = TensorData::new(formula::loss_weights(n), shape);
                let loss = (y.clone() * Tensor::from_data(weights, &y.device())).sum();
                (NamedTensor::read("output", y), loss)
            }
            Model::Net(net) => {
                let logits = net.forward(x, mode);
                let [batch, classes] = logits.dims();
                let loss = cross_entropy(logits.clone(), &formula::labels(batch, classes), 0.0).unwrap();
                (NamedTensor::read("output", logits), loss)
            }
        }
    }

    fn gradients(&self, gradients: &Gradients) -> Vec<NamedTensor> {
        match &self.model {
            Model::Block(block) => block.gradients(gradients),
            Model::Net(net) => net.gradients(gradients),
        }
    }

    fn state(&self) -> Vec<NamedTensor> {
        match &self.model {
            Model::Block(block) => block.state(),
            Model::Net(net) => net.state(),
        }
    }

    /// By name in the file instead of by canonical path, and in the shape that it has there.
    fn by_name(&self, tensors: Vec<NamedTensor>) -> BTreeMap<String, NamedTensor> {
        let in_file = |tensor: NamedTensor| {
            let TensorName { name, shape, .. } = self.names[&tensor.path].clone();
            (name, NamedTensor { shape, ..tensor })
        };
        tensors.into_iter().map(in_file).collect()
    }
}

/// Tensors by the formula, and their names in the file by canonical path.
fn filled(specs: &[TensorSpec], names: Vec<TensorName>) -> (Vec<NamedTensor>, BTreeMap<String, TensorName>) {
    let names: BTreeMap<_, _> = names.into_iter().map(|name| (name.path.clone(), name)).collect();
    let fill = |spec: &TensorSpec| NamedTensor {
        path: spec.path.clone(),
        shape: spec.shape.clone(),
        values: formula::tensor(&names[&spec.path].name, &names[&spec.path].shape),
    };
    (specs.iter().map(fill).collect(), names)
}

/// The largest error as a share of what is allowed.
struct Worst {
    tolerances: Tolerances,
    share: f64,
    text: String,
}

impl Worst {
    fn hold(&mut self, quantity: Quantity, name: &str, reference: &Reference, found: &NamedTensor) {
        let deviation = self.tolerances.error(quantity, reference, &found.shape, &found.values);
        let tolerance = self.tolerances.of(quantity);
        assert!(deviation.error <= tolerance, "{name}: {deviation:?}, allowed {tolerance:e}");
        if deviation.error / tolerance > self.share {
            self.share = deviation.error / tolerance;
            self.text =
                format!("worst {name}, {} {:.1e} of {tolerance:.0e}", deviation.part, deviation.error);
        }
    }
}
