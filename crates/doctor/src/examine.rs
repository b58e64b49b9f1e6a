//! An examination from beginning to end.

use burn::tensor::Device;
use residual_arch::NetSpec;
use residual_data::{Batch, Dataset, Preprocessor, Split};
use residual_nn::{Init, ResNet, ResNetConfig};
use residual_train::{Recipe, from_model};
use residual_weights::{Model, StateDict};
use serde::Serialize;

use crate::{
    Error, Finding, Kind, Severity, Training, examine_images, images, labels, network, pixels, preprocess,
    shape, structure, trainable, training, weights,
};

/// Patient: all that there is to look at.
#[derive(Clone, Debug)]
pub struct Patient {
    /// The network; it need not be sound.
    pub spec: NetSpec,
    /// The tensors of a file, named in any scheme.
    pub weights: Option<StateDict>,
    /// The names of the outputs, where the network has them.
    pub classes: Option<Vec<String>>,
    /// The images.
    pub data: Option<Dataset>,
    /// Training of the network.
    pub training: Option<Training>,
}

impl Patient {
    /// A specification alone.
    pub fn new(spec: NetSpec) -> Self {
        Self { spec, weights: None, classes: None, data: None, training: None }
    }
}

/// Report of an examination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Findings in the order of the examination.
    pub findings: Vec<Finding>,
    /// Findings set aside, because the blocks are those of a family member as its paper trained it: the
    /// deep plain networks are there to show what shortcuts are for.
    pub passed: Vec<Finding>,
    /// Names of what was looked at.
    pub checked: Vec<&'static str>,
    /// Names of what could not be looked at, and why.
    pub not_checked: Vec<String>,
}

impl Report {
    /// Number of findings that are this bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    fn add(&mut self, what: &'static str, findings: impl IntoIterator<Item = Finding>) {
        self.checked.push(what);
        self.findings.extend(findings);
    }

    /// Sets aside what the paper of a family member chose; `kinds` are those that its blocks alone decide.
    fn pass(&mut self, spec: &NetSpec, kinds: &[Kind]) {
        if self.has(kinds) && structure::is_published(spec) {
            self.passed.extend(self.findings.extract_if(.., |finding| kinds.contains(&finding.kind)));
        }
    }

    fn has(&self, kinds: &[Kind]) -> bool {
        self.findings.iter().any(|finding| kinds.contains(&finding.kind))
    }
}

/// Looks at all that there is, and goes on after a fault with what can still be looked at.
///
/// # Errors
/// Where images cannot be reached. What is wrong with the patient is a finding.
pub fn examine(patient: &Patient) -> Result<Report, Error> {
    let mut report = Report::default();
    let sound = specification(patient, &mut report);
    if let Some(training) = &patient.training {
        report.add("training", training::check(&patient.spec, training));
    }
    let tensors = tensors(patient, sound, &mut report);
    let spec = as_trained(patient, sound);
    if patient.data.is_some() && Preprocessor::new(&spec.preprocess).is_err() {
        report.not_checked.push("the images: the network's preprocessing cannot make any".into());
        return Ok(report);
    }
    let batch = images(patient, &spec, &mut report)?;
    let Some(batch) = batch else { return Ok(report) };
    if !sound {
        report.not_checked.push("a batch through the network: it cannot be built".into());
        return Ok(report);
    }
    if !spec.task.is_single_label() {
        let kind = spec.task.kind();
        report
            .not_checked
            .push(format!("a batch through the network: its task is {kind}, and not single label"));
        return Ok(report);
    }
    run(patient, &spec, tensors, &batch, &mut report)?;
    Ok(report)
}

/// The specification alone; whether a network can be built from it.
fn specification(patient: &Patient, report: &mut Report) -> bool {
    let (findings, mended) = shape::check(&patient.spec);
    let sound = findings.is_empty();
    report.add("specification", findings);
    if sound {
        report.findings.extend(trainable::check(&patient.spec));
    }
    if sound && patient.weights.is_none() {
        report.findings.extend(trainable::memory(&patient.spec));
    }
    match mended {
        Some(mended) => {
            report.findings.extend(structure::check(&mended));
            report
                .pass(&mended, &[Kind::ZeroInit, Kind::DeepPlain, Kind::MissingShortcut, Kind::MissingNorm]);
        }
        None => report.not_checked.push("the structure: shapes do not flow through the network".into()),
    }
    report.findings.extend(preprocess::check(&patient.spec));
    sound
}

/// The tensors, checked; `None` where there are none, or none that the network can be built with.
fn tensors(patient: &Patient, sound: bool, report: &mut Report) -> Option<StateDict> {
    let state = patient.weights.clone()?;
    if !sound {
        report.not_checked.push("the weights: the network cannot be built".into());
        return None;
    }
    let (findings, state) = weights::check(&patient.spec, state);
    report.add("weights", findings);
    Some(state)
}

/// The network as training would take it: images brought to its size where it does not say how.
fn as_trained(patient: &Patient, sound: bool) -> NetSpec {
    let spec = patient.spec.clone();
    let Some(data) = patient.data.as_ref().filter(|_| sound && patient.weights.is_none()) else {
        return spec;
    };
    let recipe =
        Recipe::default().with(|recipe| (recipe.network, recipe.batch_size) = (Some(spec.clone()), Some(1)));
    recipe.settle(&data.classes, usize::MAX).map_or(spec, |(_, settled)| settled)
}

/// The images; a batch of them, with labels that the network has outputs for.
fn images(patient: &Patient, spec: &NetSpec, report: &mut Report) -> Result<Option<Batch>, Error> {
    let Some(data) = &patient.data else { return Ok(None) };
    report.add("labels", labels::range(&data.classes, spec.head.classes, patient.classes.as_deref()));
    report.add("duplicates", examine_images(&images::survey(data)?, &spec.preprocess));
    let foreign = report.has(&[Kind::LabelRange]);
    let data = match &patient.classes {
        Some(classes) if !foreign => data.clone().with_classes(classes)?,
        _ => data.clone(),
    };
    let split = data.splits().first().copied().unwrap_or(Split::Train);
    let (findings, batch) = pixels::check(&data.split(split)?, &spec.preprocess)?;
    report.add("pixels", findings);
    if let Some(batch) = &batch {
        let [_, channels, height, width] = batch.shape;
        if [height, width] != spec.input[1..] {
            report.findings.extend(structure::last_map(spec, [channels, height, width]));
        }
    }
    if foreign {
        report.not_checked.push("a batch through the network: it has no outputs for these labels".into());
        return Ok(None);
    }
    if batch.is_none() {
        report.not_checked.push("a batch through the network: the images make none".into());
    }
    Ok(batch)
}

/// A batch through the network, forward and backward.
fn run(
    patient: &Patient,
    spec: &NetSpec,
    tensors: Option<StateDict>,
    batch: &Batch,
    report: &mut Report,
) -> Result<(), Error> {
    let trained = patient.weights.is_some();
    if report.has(&[Kind::Tensors, Kind::NotFinite]) || (trained && tensors.is_none()) {
        report.not_checked.push("a batch through the network: its weights are not usable".into());
        return Ok(());
    }
    if report.has(&[Kind::TooLarge, Kind::Refused]) {
        report.not_checked.push("a batch through the network: it cannot be built here".into());
        return Ok(());
    }
    let device = Device::flex().autodiff();
    let network: ResNet = match tensors {
        Some(state) => {
            from_model(Model::from_state_dict(spec, state).map_err(residual_train::Error::from)?, &device)?
        }
        None => ResNetConfig::new(spec.clone()).init(Init::new(0, &device))?,
    };
    match network::check(&network, batch, trained) {
        Ok(findings) => report.add("a batch through the network", findings),
        Err(Error::Nn(error)) => report.not_checked.push(format!("a batch through the network: {error}")),
        Err(error) => return Err(error),
    }
    if !trained {
        report.pass(spec, &[Kind::ExplodingGradient]);
    }
    Ok(())
}
