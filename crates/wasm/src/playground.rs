//! Networks as text, checked while they are edited.

use residual_arch::families::family;
use residual_arch::shape::{Row, flow};
use residual_arch::{Error, NetSpec, Shortcut};
use residual_report::{Axis, LineChart, NetworkDiagram, Series};
use serde::Serialize;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::gradients::{Batch, gradient_norms, plain_twin};

/// Verdict about a text.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// A network that can be built.
    Network(Checked),
    /// A text that is no network, or none that can be built.
    Fault(Fault),
}

#[derive(Serialize)]
struct Checked {
    name: String,
    /// `[channels, height, width]`
    input: [usize; 3],
    parameters: u64,
    macs: u64,
    rows: Vec<Row>,
    /// Drawing, as SVG.
    drawing: String,
}

#[derive(Serialize)]
struct Fault {
    /// Line of the text, counted from 1.
    line: Option<usize>,
    /// Part of the network.
    place: Option<String>,
    found: String,
    help: Option<String>,
}

/// A network to begin with.
#[derive(Serialize)]
struct Preset {
    name: String,
    note: &'static str,
    text: String,
}

/// Verdict about the TOML of a network, as JSON: `{"network": {name, input, parameters, macs, rows, drawing}}`, or
/// `{"fault": {line, place, found, help}}`.
///
/// # Errors
/// None that is known.
#[wasm_bindgen(js_name = checkNetwork)]
pub fn check_network(toml: &str) -> Result<String, JsError> {
    let verdict = match checked(toml) {
        Ok(network) => Verdict::Network(network),
        Err(error) => Verdict::Fault(fault(&error, toml)),
    };
    Ok(serde_json::to_string(&verdict)?)
}

/// Networks to begin with, as JSON: `[{name, note, text}]`. The first are members of the families, the others have a mistake or
/// lack something.
///
/// # Errors
/// None that is known.
#[wasm_bindgen(js_name = networkPresets)]
pub fn network_presets() -> Result<String, JsError> {
    let families = [
        ("small", "three stages for images of 32x32 pixels: what the README trains first"),
        ("cifar_resnet20", "He et al. 2015, section 4.2: shortcuts without parameters"),
        ("cifar_preact20", "norms and ReLUs before the convolutions (He et al. 2016)"),
        ("resnet18", "basic blocks for ImageNet"),
        ("resnet50", "bottlenecks for ImageNet"),
    ];
    let mut presets = Vec::new();
    for (name, note) in families {
        presets.push(Preset { name: name.to_owned(), note, text: family(name)?.to_toml()? });
    }
    for (name, note, change) in MISTAKES {
        presets.push(Preset { name: name.to_owned(), note, text: change(family("small")?).to_toml()? });
    }
    Ok(serde_json::to_string(&presets)?)
}

/// A change of `small`.
type Change = fn(NetSpec) -> NetSpec;

/// Mistakes that are made first, and a network to compare with.
const MISTAKES: [(&str, &str, Change); 3] = [
    ("forgotten stride", "a block halves the map, its shortcut does not", |spec| {
        spec.with(|net| {
            // As many channels in as out: the stride alone is wrong.
            let channels = net.stages[0].blocks[0].channels;
            let block = &mut net.stages[1].blocks[0];
            block.channels = channels;
            block.shortcut = Shortcut::Identity;
        })
    }),
    ("channels that do not match", "a block widens the map, its shortcut does not", |spec| {
        spec.with(|net| {
            let block = &mut net.stages[1].blocks[0];
            block.stride = 1;
            block.shortcut = Shortcut::Identity;
        })
    }),
    (
        "plain twin",
        "the same layers without shortcuts: it can be built, and trains worse the deeper it is",
        |spec| {
            spec.with(|net| {
                net.name = "plain twin".to_owned();
                net.stages
                    .iter_mut()
                    .flat_map(|stage| &mut stage.blocks)
                    .for_each(|block| block.shortcut = Shortcut::None);
            })
        },
    ),
];

fn checked(toml: &str) -> Result<Checked, Error> {
    let spec = NetSpec::from_toml(toml)?;
    let network = spec.check(spec.input)?;
    let flow = flow(&spec, spec.input)?;
    let drawing = NetworkDiagram::new(&network).figure().svg();
    let (parameters, macs) = (flow.parameters, flow.macs);
    Ok(Checked { name: spec.name, input: spec.input, parameters, macs, rows: flow.rows, drawing })
}

fn fault(error: &Error, toml: &str) -> Fault {
    let line = error.line_in(toml);
    match error {
        Error::Shape(shape) => Fault {
            line,
            place: Some(shape.place().to_string()),
            found: shape.found(),
            help: Some(shape.help()),
        },
        Error::ReadToml(error) => Fault { line, place: None, found: error.message().to_owned(), help: None },
        error => Fault { line, place: None, found: error.to_string(), help: None },
    }
}

/// Gradient norms by block at initialisation, as SVG: of the network and of its twin without shortcuts, with and without
/// norms. `rgba` are the pixels of a canvas as large as the network's input; beside the picture the batch has its mirror
/// image, and both upside down.
///
/// # Errors
/// For a text that is no network, for one too large for a page, and for layers that have no backward pass here.
#[wasm_bindgen(js_name = blockGradients)]
pub fn block_gradients(toml: &str, rgba: &[u8]) -> Result<String, JsError> {
    let spec = NetSpec::from_toml(toml)?;
    let batch = batch(&spec, rgba);
    let twin = plain_twin(&spec);
    let is_plain = twin == spec;
    let mut chart = LineChart::new("Gradient norm by block", Axis::linear("block"), Axis::log("|dL/dy|"));
    for (network, name) in
        [(&spec, if is_plain { "plain" } else { "with shortcuts" }), (&twin, "without shortcuts")]
    {
        if is_plain && name == "without shortcuts" {
            continue;
        }
        for (with_norms, end) in [(true, ""), (false, ", without norms")] {
            let norms = gradient_norms(network, &batch, 0, with_norms)?.blocks.into_iter().enumerate();
            let finite = norms.filter(|(_, (_, norm))| norm.is_finite() && *norm > 0.0);
            let points: Vec<_> = finite.map(|(place, (_, norm))| ((place + 1) as f64, norm)).collect();
            // Where nothing is finite, the gradient is lost: the legend says so.
            let lost = if points.is_empty() { " (not finite)" } else { "" };
            chart = chart.with(Series::new(format!("{name}{end}{lost}"), points));
        }
    }
    Ok(chart.figure().svg())
}

/// The picture, its mirror image, and both upside down, normalised as the network's images are.
fn batch(spec: &NetSpec, rgba: &[u8]) -> Batch {
    let [channels, height, width] = spec.input;
    let value = |channel: usize, row: usize, column: usize| {
        let at = (row * width + column) * 4;
        let byte = rgba.get(at + channel.min(2)).copied().unwrap_or_default();
        let of = |values: &[f32], usual: f32| values.get(channel).copied().unwrap_or(usual);
        (f32::from(byte) / 255.0 - of(&spec.preprocess.mean, 0.5)) / of(&spec.preprocess.std, 0.25)
    };
    let mut values = Vec::with_capacity(4 * channels * height * width);
    for (mirrored, turned) in [(false, false), (true, false), (false, true), (true, true)] {
        for place in 0..channels * height * width {
            let (channel, row, column) = (place / (height * width), place / width % height, place % width);
            let row = if turned { height - 1 - row } else { row };
            let column = if mirrored { width - 1 - column } else { column };
            values.push(value(channel, row, column));
        }
    }
    Batch { values, classes: (0..4).map(|image| image % spec.head.classes.max(1)).collect() }
}
