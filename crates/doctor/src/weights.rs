//! The tensors of a file, held against the network that they are for.

use std::collections::HashMap;

use residual_arch::names::{TensorName, names};
use residual_arch::{Activation, Field, Layer, LayerOp, NetSpec, Role, TensorSpec, tensors};
use residual_report::number;
use residual_weights::{Error, Mismatch, StateDict, match_tensors, scheme};

use crate::{Finding, Kind, Severity};

/// A convolution of normalised maps has outputs of variance about 1; published ImageNet networks have running
/// variances up to some hundreds. A million is a training that has diverged.
const GREATEST_VARIANCE: f32 = 1e6;

/// A normalised input is above five deviations once in 3.5 million values: `bias + 5 |weight| <= 0` is a
/// channel that the ReLU after it never lets through.
const DEVIATIONS: f32 = 5.0;

/// The fraction of a layer's channels that may be dead. Weight decay prunes channels in healthy networks too.
pub(crate) const DEAD_FRACTION: f64 = 0.5;

/// Checks of tensors, and the tensors without what does not belong there.
pub(crate) fn check(spec: &NetSpec, mut state: StateDict) -> (Vec<Finding>, StateDict) {
    let expected = names(spec, scheme(spec, &state));
    let mut findings = biases(spec, &expected, &mut state);
    let in_file: Vec<_> = expected.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
    if let Err(Error::Mismatch(mismatch)) = match_tensors(&in_file, &state) {
        findings.extend(mismatches(&mismatch));
    }
    let values: HashMap<&str, &[f32]> = expected
        .iter()
        .filter_map(|tensor| Some((tensor.path.as_str(), state.get(&tensor.name)?.data())))
        .collect();
    let specs = tensors(spec);
    findings
        .extend(specs.iter().filter_map(|tensor| check_tensor(tensor, values.get(tensor.path.as_str())?)));
    findings.extend(untouched_statistics(&specs, &values));
    findings.extend(dead_norms(spec, &values));
    (findings, state)
}

/// Biases of convolutions that a batch norm follows, taken out of the tensors. The norm takes the mean away, and
/// the bias with it; a group norm does not, and there a bias is a tensor too many.
fn biases(spec: &NetSpec, expected: &[TensorName], state: &mut StateDict) -> Vec<Finding> {
    let mut findings = vec![];
    if !spec.tensors().any(|(_, tensor)| tensor.role == Role::RunningMean) {
        return findings;
    }
    let convs = spec.tensors().zip(expected).filter(|((_, tensor), _)| tensor.role == Role::ConvWeight);
    for ((path, _), TensorName { name, .. }) in convs {
        let Some(name) = name.strip_suffix(".weight") else { continue };
        let bias = format!("{name}.bias");
        if expected.iter().any(|tensor| tensor.name == bias) || state.remove(&bias).is_none() {
            continue;
        }
        let finding = Kind::ConvBias.at(path.layer.to_string()).found(format!("a tensor `{bias}`"));
        let help = format!(
            "train with `bias=False`; for these weights subtract `{bias}` from the norm's running mean"
        );
        findings.push(finding.expected("no bias: the norm has one").help(help));
    }
    findings
}

fn mismatches(mismatch: &Mismatch) -> Vec<Finding> {
    let list = |names: &[String]| match names {
        [first] => first.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        [] => String::new(),
    };
    let mut findings = vec![];
    let help = match &mismatch.looks_like {
        Some(model) => format!("these look like the weights of {model}: name that network"),
        None => "name the network that the weights were made with".to_owned(),
    };
    if let Some(first) = mismatch.missing.first() {
        let found = format!("not in the file: {}", list(&mismatch.missing));
        findings
            .push(Kind::Tensors.at(first).found(found).expected("every tensor of the network").help(&help));
    }
    if let Some(first) = mismatch.unexpected.first() {
        let found = format!("in the file and not in the network: {}", list(&mismatch.unexpected));
        findings
            .push(Kind::Tensors.at(first).found(found).expected("the network's tensors alone").help(&help));
    }
    findings.extend(mismatch.misshapen.iter().map(|tensor| {
        let finding = Kind::Tensors.at(&tensor.name).found(format!("shape {:?}", tensor.found));
        finding.expected(format!("shape {:?}", tensor.expected)).help(&help)
    }));
    findings
}

fn check_tensor(tensor: &TensorSpec, values: &[f32]) -> Option<Finding> {
    let bad = values.iter().filter(|value| !value.is_finite()).count();
    if bad > 0 {
        let finding = Kind::NotFinite.at(&tensor.path).found(format!("{bad} of {} values", values.len()));
        return Some(finding.expected("finite numbers").help(
            "go back to a checkpoint from before the divergence, and resume with a smaller learning rate",
        ));
    }
    match tensor.role {
        Role::ConvWeight => constant(tensor, values),
        Role::RunningVar => variance(tensor, values),
        _ => None,
    }
}

/// Filters that begin alike get the same gradient and stay alike.
fn constant(tensor: &TensorSpec, values: &[f32]) -> Option<Finding> {
    let filters = *tensor.shape.first()?;
    let first = values.get(..values.len().checked_div(filters)?)?;
    if filters < 2 || first.is_empty() || values.chunks(first.len()).any(|filter| filter != first) {
        return None;
    }
    let finding = Kind::ConstantWeights.at(&tensor.path).found(format!("{filters} equal filters"));
    Some(
        finding
            .expected("filters drawn at random")
            .help("initialise by He et al. 2015 (Delving Deep), as Residual does"),
    )
}

fn variance(tensor: &TensorSpec, values: &[f32]) -> Option<Finding> {
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let greatest = values.iter().copied().fold(0.0, f32::max);
    let zeros = values.iter().filter(|&&value| value == 0.0).count();
    let finding = Kind::RunningVariance.at(&tensor.path);
    if least < 0.0 {
        let finding = finding.found(format!("a variance of {least}")).expected("none below 0");
        return Some(finding.help("the file is damaged or misnamed: make it again"));
    }
    if zeros * 2 > values.len() {
        let found = format!("{zeros} of {} variances are 0", values.len());
        let finding = finding.severity(Severity::Warning).found(found).expected("channels that vary");
        return Some(finding.help(
            "run some training batches to take the statistics anew; the layer before gives constants",
        ));
    }
    if greatest <= GREATEST_VARIANCE {
        return None;
    }
    let finding = finding
        .severity(Severity::Warning)
        .found(format!("a variance of {}", number(f64::from(greatest), 4)));
    let finding = finding.expected(format!("{} at the most", number(f64::from(GREATEST_VARIANCE), 4)));
    Some(finding.help("look for a divergence, or for images that are not normalised"))
}

/// Scales that have moved beside statistics that are still 0 and 1: trained with frozen statistics, or with
/// the statistics left out of the file.
fn untouched_statistics(specs: &[TensorSpec], values: &HashMap<&str, &[f32]>) -> Option<Finding> {
    let all = |role: Role, value: f32| {
        let mut found = specs.iter().filter(|tensor| tensor.role == role);
        found.all(|tensor| values.get(tensor.path.as_str()).is_none_or(|v| v.iter().all(|&v| v == value)))
    };
    let norms = specs.iter().any(|tensor| tensor.role == Role::RunningMean);
    if !norms || !all(Role::RunningMean, 0.0) || !all(Role::RunningVar, 1.0) || all(Role::NormBias, 0.0) {
        return None;
    }
    let finding = Kind::UntouchedStatistics.at("batch norms").found("every mean is 0 and every variance 1");
    let finding = finding.expected("statistics of the training images");
    Some(finding.help("run training batches through it in training mode, and save buffers beside parameters"))
}

/// Norms before a ReLU, most of whose channels the ReLU never lets through.
fn dead_norms(spec: &NetSpec, values: &HashMap<&str, &[f32]>) -> Vec<Finding> {
    let Ok(network) = spec.check(spec.input) else { return Vec::new() };
    let before_relu = network.layers().windows(2).filter(|pair| is_norm(&pair[0]) && is_relu(&pair[1]));
    before_relu
        .filter_map(|pair| {
            let norm = pair[0].path();
            let of = |field| values.get(norm.tensor(field).to_string().as_str());
            let (scale, shift) = (of(Field::Weight)?, of(Field::Bias)?);
            let dead = |(scale, shift): (&f32, &f32)| shift + DEVIATIONS * scale.abs() <= 0.0;
            let dead = scale.iter().zip(*shift).filter(|&pair| dead(pair)).count();
            dead_finding(&norm.to_string(), dead, scale.len())
        })
        .collect()
}

fn is_norm(layer: &Layer) -> bool {
    matches!(layer.op(), LayerOp::Norm(_))
}

fn is_relu(layer: &Layer) -> bool {
    *layer.op() == LayerOp::Activation(Activation::Relu)
}

/// A finding where too many channels of a layer are dead.
pub(crate) fn dead_finding(place: &str, dead: usize, channels: usize) -> Option<Finding> {
    if (dead as f64) < DEAD_FRACTION * channels as f64 || dead == 0 {
        return None;
    }
    let finding =
        Kind::DeadChannels.at(place).found(format!("{dead} of {channels} channels are always zero"));
    let finding = finding.expected(format!("fewer than {:.0}%", 100.0 * DEAD_FRACTION));
    Some(finding.help("a smaller learning rate or a warm-up, and begin again: dead channels get no gradient"))
}
