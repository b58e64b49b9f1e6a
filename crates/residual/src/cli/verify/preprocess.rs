//! `residual verify --preprocess`: what the network sees of images, against what another program made of them.

use std::path::{Path, PathBuf};

use residual::arch::Preprocess;
use residual::arch::published::{self, View};
use residual::data::{Preprocessor, decode, is_image_name};
use residual::weights::{self, Tensor};
use residual_files::{MAX_TEXT, escaped, read, read_text};
use serde::{Deserialize, Serialize};

use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::Output;
use crate::cli::table::shorten;

/// Says which preprocessing the tensors of a folder were made with.
const DESCRIPTION: &str = "preprocess.json";

/// The most bytes of an image's file.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The largest share of values that may be more than one grey level off.
const BEYOND: f64 = 1e-3;

/// A folder's `preprocess.json`: a published checkpoint, or the preprocessing itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    model: Option<String>,
    /// True for the checkpoint's test size.
    #[serde(default)]
    test_size: bool,
    preprocess: Option<Preprocess>,
}

/// Comparison of an image with the tensor that was expected.
#[derive(Debug, Serialize)]
struct Compared {
    file: String,
    ok: bool,
    /// `[channels, height, width]`
    shape: Vec<usize>,
    /// Largest difference, in grey levels of 255.
    largest: f64,
    /// Share of values that are more than one level off.
    beyond_one_level: f64,
    /// True where every value has the same bits.
    equal: bool,
}

/// Compares every image of a folder, and of the folders in it, with the tensor beside it.
pub(super) fn run(folder: &Path, json: bool) -> Outcome {
    let mut output = Output::new();
    let (mut held, mut images) = (0, 0);
    for folder in folders(folder)? {
        let preprocess = described(&folder)?;
        let preprocessor = Preprocessor::new(&preprocess)?;
        for image in self::images(&folder)? {
            let compared = compare(&image, &preprocess, &preprocessor)?;
            (images, held) = (images + 1, held + usize::from(compared.ok));
            print(&mut output, &compared, json)?;
        }
    }
    if images == 0 {
        return Err(Failure::new(format_args!("{}: no images with a tensor there", escaped(folder))));
    }
    if !json {
        output.line(format_args!("{held} of {images} hold"))?;
    }
    if held == images { Ok(()) } else { Err(Failure::Check) }
}

/// The folder, or those in it, with a description.
fn folders(folder: &Path) -> Outcome<Vec<PathBuf>> {
    if folder.join(DESCRIPTION).is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut found = entries(folder)?;
    found.retain(|path| path.join(DESCRIPTION).is_file());
    match found.is_empty() {
        true => Err(Failure::new(format_args!(
            "{}: no {DESCRIPTION} there; help: it names the network, as in {{\"model\": \"resnet50.a1_in1k\"}}",
            escaped(folder)
        ))),
        false => Ok(found),
    }
}

/// The images of a folder that have a tensor beside them, sorted.
fn images(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = entries(folder)?;
    found.retain(|path| path.file_name().is_some_and(is_image_name) && tensor_of(path).is_file());
    Ok(found)
}

fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let within =
        |error: std::io::Error| Failure::from(error).within(format!("{}: cannot read", escaped(folder)));
    let entries = std::fs::read_dir(folder).map_err(within)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.map_err(within)?;
    paths.sort();
    Ok(paths)
}

fn tensor_of(image: &Path) -> PathBuf {
    image.with_extension("safetensors")
}

fn described(folder: &Path) -> Outcome<Preprocess> {
    let path = folder.join(DESCRIPTION);
    let within = |failure: Failure| failure.within(escaped(&path));
    let text = read_text(&path, MAX_TEXT).map_err(|error| within(error.into()))?;
    let description: Description = serde_json::from_str(&text).map_err(|error| within(error.into()))?;
    let view = if description.test_size { View::Test } else { View::Usual };
    match (description.preprocess, description.model) {
        (Some(preprocess), None) => Ok(preprocess),
        (None, Some(model)) => {
            Ok(published::find(&model).map_err(|error| within(error.into()))?.preprocess(view))
        }
        _ => Err(within(Failure::new("expected `model` or `preprocess`, one of them"))),
    }
}

fn compare(image: &Path, preprocess: &Preprocess, preprocessor: &Preprocessor) -> Outcome<Compared> {
    let file = escaped(image).to_string();
    let bytes = read(image, MAX_FILE_BYTES).map_err(|error| Failure::from(error).within(&file))?;
    let (values, shape) = preprocessor.apply(decode(&bytes, &file)?, &file)?;
    let expected = expected(&tensor_of(image))?;
    if expected.shape() != shape {
        let found = format!("{:?}, expected {shape:?} of {file}", expected.shape());
        return Err(Failure::new(found).within(escaped(&tensor_of(image))));
    }
    let pixels = shape[1] * shape[2];
    let (mut largest, mut beyond) = (0f64, 0usize);
    for (at, (&found, &expected)) in values.iter().zip(expected.data()).enumerate() {
        // A difference that is no number is as large as any.
        let levels =
            (f64::from(found) - f64::from(expected)).abs() * f64::from(preprocess.std[at / pixels]) * 255.0;
        let levels = if levels.is_nan() { f64::INFINITY } else { levels };
        largest = largest.max(levels);
        // A value of exactly one level less may be computed as a little more.
        beyond += usize::from(levels > 1.001);
    }
    let beyond_one_level = beyond as f64 / values.len().max(1) as f64;
    let equal =
        values.iter().map(|value| value.to_bits()).eq(expected.data().iter().map(|value| value.to_bits()));
    Ok(Compared {
        file,
        ok: beyond_one_level <= BEYOND,
        shape: shape.to_vec(),
        largest,
        beyond_one_level,
        equal,
    })
}

/// The only tensor of a file.
fn expected(path: &Path) -> Outcome<Tensor> {
    let mut tensors: Vec<Tensor> = weights::read(path)?.into_tensors().map(|(_, tensor)| tensor).collect();
    match (tensors.len(), tensors.pop()) {
        (1, Some(tensor)) => Ok(tensor),
        (count, _) => Err(Failure::new(format_args!("{count} tensors, expected one")).within(escaped(path))),
    }
}

fn print(output: &mut Output, compared: &Compared, json: bool) -> Outcome {
    if json {
        return output.json(compared);
    }
    let verdict = if compared.ok { "ok    " } else { "FAILED" };
    let result = match compared.equal {
        true => "equal to the bit".to_owned(),
        false => {
            format!("largest {:.2}, {:.3}% beyond 1", compared.largest, 100.0 * compared.beyond_one_level)
        }
    };
    output.line(format_args!("{verdict}  {:<40}  {result}", shorten(&compared.file, 40)))
}
