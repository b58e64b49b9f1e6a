//! What is known of a file of weights, for people and as JSON.

use std::collections::BTreeSet;
use std::path::Path;

use residual::arch::{LayerOp, NetSpec, Order, Preprocess, Resize, Task};
use residual::report::number;
use residual::weights::{Error, Model, Origin, StateDict, Tensor};
use residual_files::{HumanBytes, escaped};
use serde::Serialize;

use crate::cli::describe;
use crate::cli::table::{WIDTH, shorten, thousands};

/// Facts about the file of a residual network.
#[derive(Serialize)]
pub(super) struct Facts {
    file: String,
    /// `checkpoint`, `described`, `family` or `own specification`.
    kind: &'static str,
    model: String,
    family: Option<String>,
    alternatives: Vec<String>,
    like: Option<String>,
    stem: String,
    blocks: String,
    depths: Vec<usize>,
    channels: Vec<usize>,
    width: usize,
    groups: usize,
    classes: Option<usize>,
    class_names: bool,
    #[serde(skip_serializing_if = "Task::is_single_label")]
    task: Task,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantised: Option<InEightBits>,
    input: [usize; 3],
    naming: String,
    prefix: String,
    head: Option<String>,
    wrapper: Vec<String>,
    module: Option<String>,
    others: Vec<String>,
    left_out: usize,
    format: String,
    files: usize,
    number_formats: Vec<&'static str>,
    tensors: usize,
    parameters: u64,
    bytes: u64,
    preprocess: String,
    preprocess_from: String,
}

/// Facts about a network in 8 bits.
#[derive(Serialize)]
struct InEightBits {
    /// Convolutions that compute in 8 bits, and all of them.
    convolutions: [usize; 2],
    weight_bits: u32,
    /// Maps of bytes.
    maps: usize,
}

impl InEightBits {
    fn of(model: &Model) -> Option<Self> {
        let quantised = model.quantised()?;
        let convs = model.network().layers().iter().filter(|layer| matches!(layer.op(), LayerOp::Conv(_)));
        let all: Vec<bool> = convs.map(|layer| quantised.conv(layer.path()).is_some()).collect();
        let in_8_bits = all.iter().filter(|found| **found).count();
        let maps = quantised.maps.len() + usize::from(quantised.input.is_some());
        Some(Self { convolutions: [in_8_bits, all.len()], weight_bits: quantised.weight_bits(), maps })
    }

    fn text(&self) -> String {
        let [in_8_bits, all] = self.convolutions;
        format!(
            "{in_8_bits} of {all} convolutions, weights of {} bits; {} maps of bytes",
            self.weight_bits, self.maps
        )
    }
}

impl Facts {
    pub(super) fn of(model: &Model) -> Self {
        let spec = model.spec();
        let found = model.recognised();
        let origin: &Origin = model.origin();
        let file = model.file().map(|path| escaped(path).to_string()).unwrap_or_default();
        let tensors: Vec<&Tensor> = model.tensors().map(|(_, tensor)| tensor).collect();
        let first = spec.blocks().next().map(|(_, block)| *block);
        let mut others = origin.others.clone();
        others.extend(found.iter().flat_map(|found| found.others.clone()));
        Self {
            kind: match found {
                None => "checkpoint",
                Some(_) if model.named_by().is_some() => "described",
                Some(found) if found.family.is_some() => "family",
                Some(_) => "own specification",
            },
            model: spec.name.clone(),
            family: found.and_then(|found| found.family.clone()),
            alternatives: found.map(|found| found.alternatives.clone()).unwrap_or_default(),
            like: found.filter(|_| model.named_by().is_none()).map(|found| found.like.clone()),
            stem: spec.stem.to_string(),
            blocks: blocks(spec),
            depths: spec.stages.iter().map(|stage| stage.blocks.len()).collect(),
            channels: spec.stages.iter().filter_map(|stage| Some(stage.blocks.last()?.channels)).collect(),
            width: first.map_or(0, |block| block.width),
            groups: first.map_or(1, |block| block.groups),
            classes: model.has_head().then_some(spec.head.classes),
            class_names: model.classes().is_some(),
            task: spec.task.clone(),
            temperature: model.temperature(),
            quantised: InEightBits::of(model),
            input: spec.input,
            naming: model.naming().to_string(),
            prefix: found.map(|found| found.prefix.clone()).unwrap_or_default(),
            head: found.and_then(|found| found.head.clone()),
            wrapper: origin.wrapper.clone(),
            module: origin.module.clone(),
            others,
            left_out: found.map_or(0, |found| found.left_out.len()),
            format: origin.format.to_string(),
            files: origin.files,
            number_formats: number_formats(tensors.iter().copied()),
            tensors: tensors.len(),
            parameters: residual::arch::tensors(spec)
                .iter()
                .filter(|tensor| tensor.role.is_parameter())
                .map(|tensor| tensor.elements())
                .sum(),
            bytes: size(model.file()),
            preprocess: preprocess(&spec.preprocess),
            preprocess_from: model.preprocess_source().to_owned(),
            file,
        }
    }

    /// Lines of a name and a value, at most 80 columns wide.
    pub(super) fn lines(&self) -> Vec<String> {
        let what = match self.kind {
            "checkpoint" => format!("{}, a checkpoint that says so", self.model),
            "described" => format!("{}, as config.json says", self.model),
            "family" => format!("{}, by its tensors", self.model),
            _ => format!("{}, an own specification read off its tensors", self.model),
        };
        let mut lines = Lines::new();
        lines.text("file", &self.file);
        lines.text("network", &what);
        if !self.alternatives.is_empty() {
            lines.text("the same as", &format!("{} (differ in no tensor)", self.alternatives.join(", ")));
        }
        lines.text("stem", &self.stem);
        lines.text("blocks", &self.blocks);
        let numbers = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        lines.text(
            "stages",
            &format!("of {} blocks; {} channels", numbers(&self.depths), numbers(&self.channels)),
        );
        lines.text("width", &format!("{}, groups {}", self.width, self.groups));
        let named = if self.class_names { ", with names" } else { "" };
        lines.text(
            "classes",
            &self.classes.map_or("none: a backbone without a head".to_owned(), |classes| {
                format!("{}{named}", thousands(classes as u64))
            }),
        );
        if !self.task.is_single_label() {
            lines.text("task", &self.task.to_string());
        }
        if let Some(temperature) = self.temperature {
            lines.text("temperature", &format!("{}, which logits are divided by", number(temperature, 4)));
        }
        if let Some(quantised) = &self.quantised {
            lines.text("in 8 bits", &quantised.text());
        }
        lines.text("input", &describe::shape(&self.input));
        let (parameters, tensors) = (thousands(self.parameters), self.tensors);
        lines.text(
            "tensors",
            &format!("{tensors}, {parameters} parameters, {}", self.number_formats.join(" and ")),
        );
        lines.text("names", &self.names());
        lines.text("container", &self.container());
        if !self.others.is_empty() {
            let key = self.others.first().map_or("", String::as_str);
            lines.text("also holds", &format!("{} (--key {key})", self.others.join(", ")));
        }
        if self.left_out > 0 {
            lines.text(
                "left out",
                &format!("{} that are not the network's", counted(self.left_out, "tensor")),
            );
        }
        lines.text("preprocess", &self.preprocess);
        lines.text("", &format!("from {}", self.preprocess_from));
        if let Some(like) = &self.like {
            lines.text("not told", &format!("strides and padding, taken from {like}"));
        }
        lines.0
    }

    fn names(&self) -> String {
        let mut names = self.naming.clone();
        if !self.prefix.is_empty() {
            names += &format!(", prefix `{}`", self.prefix);
        }
        if let Some(head) = &self.head {
            names += &format!(", head `{head}`");
        }
        names
    }

    fn container(&self) -> String {
        let mut container = self.format.clone();
        if self.files > 1 {
            container += &format!(", {} files", self.files);
        }
        container += &format!(", {}", HumanBytes(self.bytes));
        if !self.wrapper.is_empty() {
            container += &format!(", under `{}`", self.wrapper.join("."));
        }
        if let Some(class) = &self.module {
            container += &format!(", a pickled {class}");
        }
        container
    }
}

/// Facts about weights that are no residual network's.
#[derive(Serialize)]
pub(super) struct Stranger {
    file: String,
    kind: &'static str,
    seems: Option<&'static str>,
    nearest: Option<String>,
    format: String,
    wrapper: Vec<String>,
    number_formats: Vec<&'static str>,
    tensors: usize,
    elements: u64,
    examples: Vec<String>,
}

/// Names that are shown of a stranger.
const SHOWN: usize = 4;

impl Stranger {
    /// Facts of the tensors that this error is about.
    pub(super) fn of(path: &Path, state: &StateDict, error: &Error) -> Self {
        let (seems, nearest) = match error.cause() {
            Error::NoSpec { seems, nearest, .. } => (*seems, nearest.clone()),
            _ => (None, None),
        };
        Self {
            file: escaped(path).to_string(),
            kind: "other",
            seems,
            nearest,
            format: state.origin().format.to_string(),
            wrapper: state.origin().wrapper.clone(),
            number_formats: number_formats(state.iter().map(|(_, tensor)| tensor)),
            tensors: state.len(),
            elements: state.iter().map(|(_, tensor)| tensor.data().len() as u64).sum(),
            examples: state.names().take(SHOWN).map(str::to_owned).collect(),
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Lines::new();
        lines.text("file", &self.file);
        lines.text("network", "no residual network");
        match &self.nearest {
            Some(nearest) => lines.text("nearest to", nearest),
            None => lines.text("seems to be", self.seems.unwrap_or("something that is not known here")),
        }
        let (tensors, elements) = (self.tensors, thousands(self.elements));
        lines.text(
            "tensors",
            &format!("{tensors}, {elements} elements, {}", self.number_formats.join(" and ")),
        );
        let wrapper = self.wrapper.join(".");
        let under = if wrapper.is_empty() { String::new() } else { format!(", under `{wrapper}`") };
        lines.text("container", &format!("{}{under}", self.format));
        for (index, name) in self.examples.iter().enumerate() {
            lines.text(if index == 0 { "such as" } else { "" }, name);
        }
        lines.0
    }
}

/// Lines of a name and a value.
struct Lines(Vec<String>);

impl Lines {
    /// Columns of the names.
    const NAMES: usize = 12;

    fn new() -> Self {
        Self(Vec::new())
    }

    /// A value, over several lines where it is long.
    fn text(&mut self, name: &str, value: &str) {
        let room = WIDTH - Self::NAMES;
        let (mut rows, mut row) = (Vec::new(), String::new());
        for word in value.split(' ') {
            if !row.is_empty() && row.chars().count() + 1 + word.chars().count() > room {
                rows.push(std::mem::take(&mut row));
            }
            if !row.is_empty() {
                row.push(' ');
            }
            row += &shorten(word, room);
        }
        rows.push(row);
        for (index, row) in rows.iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            self.0.push(format!("{name:<width$}{row}", width = Self::NAMES).trim_end().to_owned());
        }
    }
}

/// `1 tensor`, `2 tensors`
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The kind of the blocks, and what is out of the ordinary.
fn blocks(spec: &NetSpec) -> String {
    let kinds: Vec<String> =
        spec.stages.iter().filter_map(|stage| Some(stage.blocks.last()?.to_string())).collect();
    let order = spec.blocks().next().map(|(_, block)| block.order);
    let order = if order == Some(Order::PreActivation) { "pre-activation" } else { "post-activation" };
    format!("{order}; {}", kinds.join(" | "))
}

fn number_formats<'t>(tensors: impl Iterator<Item = &'t Tensor>) -> Vec<&'static str> {
    tensors.filter_map(Tensor::number_format).collect::<BTreeSet<_>>().into_iter().collect()
}

fn size(file: Option<&Path>) -> u64 {
    file.and_then(|path| std::fs::metadata(path).ok()).map_or(0, |found| found.len())
}

/// Preprocessing in a line.
fn preprocess(preprocess: &Preprocess) -> String {
    let pair = |[height, width]: [usize; 2]| format!("{height}x{width}");
    let mut parts = Vec::new();
    if let Some(resize) = preprocess.resize {
        let to = match resize {
            Resize::ShorterSide(side) => format!("shorter side {side}"),
            Resize::Exact(size) => format!("exactly {}", pair(size)),
            Resize::Cover(size) => format!("to cover {}", pair(size)),
            Resize::Within(size) => format!("within {}", pair(size)),
            _ => "resize".to_owned(),
        };
        parts.push(format!("{to} ({})", format!("{:?}", preprocess.interpolation).to_lowercase()));
    }
    if let Some(crop) = preprocess.crop {
        parts.push(format!("crop {}", pair(crop)));
    }
    let numbers = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(" ");
    parts.push(format!("mean {}", numbers(&preprocess.mean)));
    parts.push(format!("deviation {}", numbers(&preprocess.std)));
    parts.join(", ")
}
