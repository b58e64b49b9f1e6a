//! What `arch` refuses, several at once: each error is mended on a copy, and the copy checked again.

use residual_arch::shape::{Disagreement, ShapeError, flow};
use residual_arch::{BlockPath, BlockSpec, NetSpec, Place, Shortcut};

use crate::{Finding, Kind};

/// The most errors that are looked for, each on a copy of the network: a file may hold 100,000 blocks, all wrong.
const MOST: usize = 100;

/// Errors of shape, and the network with all of them mended; `None` where one has no help.
pub(crate) fn check(spec: &NetSpec) -> (Vec<Finding>, Option<NetSpec>) {
    let (mut findings, mut spec) = (Vec::new(), spec.clone());
    let mut last = None;
    loop {
        let error = match flow(&spec, spec.input) {
            Ok(_) => return (findings, Some(spec)),
            Err(error) => error,
        };
        // A help that did not help must not be tried for ever.
        if last.as_ref() == Some(&error) {
            return (findings, None);
        }
        findings.push(finding(&error));
        if findings.len() == MOST {
            return (findings, None);
        }
        match mended(&spec, &error) {
            Some(mended) => spec = mended,
            None => return (findings, None),
        }
        last = Some(error);
    }
}

/// The error as a finding.
fn finding(error: &ShapeError) -> Finding {
    let (kind, expected) = match error {
        ShapeError::ForgottenStride(at) => (Kind::ForgottenStride, branch_shape(at)),
        ShapeError::Channels(at) | ShapeError::Size(at) => (Kind::ShapesDiffer, branch_shape(at)),
        ShapeError::ZeroPadShrinks { .. } => (Kind::ShapesDiffer, "at least as many channels".into()),
        _ => (Kind::Impossible, "a network that shapes flow through".into()),
    };
    kind.at(error.place().to_string()).found(error.found()).expected(expected).help(error.help())
}

fn branch_shape(at: &Disagreement) -> String {
    let [channels, height, width] = at.branch;
    format!("a shortcut that gives {channels}x{height}x{width}")
}

/// The network with this error mended as its message says.
fn mended(spec: &NetSpec, error: &ShapeError) -> Option<NetSpec> {
    let mut spec = spec.clone();
    match error {
        ShapeError::ForgottenStride(at) | ShapeError::Channels(at) | ShapeError::Size(at) => {
            block(&mut spec, at.block?)?.shortcut = fitting(at);
        }
        ShapeError::ZeroPadShrinks { block: path, to, .. } => {
            let block = block(&mut spec, (*path)?)?;
            block.shortcut = Shortcut::projection(*to, block.stride);
        }
        ShapeError::Groups { layer, .. } => {
            let Some(Place::Block(path)) = layer.place() else { return None };
            block(&mut spec, path)?.groups = 1;
        }
        ShapeError::NoClasses => spec.head.classes = 1,
        ShapeError::Probability { what, .. } => match *what {
            "dropout" => spec.head.dropout = 0.0,
            _ => spec.stochastic_depth = 0.0,
        },
        ShapeError::Normalisation { channels, .. } => {
            (spec.preprocess.mean, spec.preprocess.std) = (vec![0.5; *channels], vec![0.25; *channels]);
        }
        ShapeError::NormalisationValue { .. } => {
            spec.preprocess.mean.iter_mut().filter(|mean| !mean.is_finite()).for_each(|mean| *mean = 0.5);
            let usable = |std: &f32| std.is_finite() && *std > 0.0;
            spec.preprocess.std.iter_mut().filter(|std| !usable(std)).for_each(|std| *std = 0.25);
        }
        ShapeError::ImageSize { field, .. } => match *field {
            "crop" => spec.preprocess.crop = None,
            _ => spec.preprocess.resize = None,
        },
        _ => return None,
    }
    Some(spec)
}

/// The shortcut that the branch asks for, of the same kind where that can be.
fn fitting(at: &Disagreement) -> Shortcut {
    let (channels, stride) = (at.branch[0], at.stride);
    match at.shortcut {
        Shortcut::Projection { average_pool, kernel, .. } => {
            Shortcut::Projection { channels, stride, average_pool, kernel }
        }
        Shortcut::ZeroPad { .. } => Shortcut::ZeroPad { channels, stride },
        _ => Shortcut::projection(channels, stride),
    }
}

fn block(spec: &mut NetSpec, path: BlockPath) -> Option<&mut BlockSpec> {
    spec.stages.get_mut(path.stage.checked_sub(1)?)?.blocks.get_mut(path.block)
}
