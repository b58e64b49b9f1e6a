//! The linear layer at the end, whatever it is called.

use std::fmt;

use residual_files::escaped;

use super::place::Place;
use super::shapes::Shapes;

/// Names of the linear layer in files, beside the scheme's own.
const NAMES: [&str; 13] = [
    "fc",
    "fc.0",
    "fc.1",
    "classifier",
    "classifier.0",
    "classifier.1",
    "classifier.fc",
    "head.fc",
    "head",
    "head.1",
    "last_linear",
    "linear",
    "logits",
];

/// The linear layer of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Name in the file, as `backbone.fc`.
    pub(super) name: String,
    pub(super) classes: usize,
    pub(super) has_bias: bool,
}

/// Properties of a head that are known before it is looked for.
pub(super) struct Wanted<'a> {
    /// Name in the file where the scheme's own name is used.
    pub(super) own: String,
    /// Channels of the last map.
    pub(super) channels: usize,
    /// Names at the place that belong to nothing else.
    pub(super) free: &'a [&'a str],
}

impl Head {
    /// The head at a place, or beside it: that of the scheme's own name, or else the only matrix that takes as many
    /// channels as the last map has.
    pub(super) fn find(wanted: &Wanted<'_>, place: &Place, shapes: &Shapes<'_>) -> Option<Self> {
        let at = |name: &str| Self::of(name, wanted.channels, shapes);
        let own = at(&wanted.own);
        if own.is_some() {
            return own;
        }
        let weights = wanted.free.iter().filter_map(|name| name.strip_suffix(".weight"));
        let mut inside = weights.filter_map(at);
        match (inside.next(), inside.next()) {
            // A stack of matrices is no head that a residual network has: `fc.0`, `fc.3`.
            (Some(head), None) if is_stacked(&head.name, wanted.free, shapes) => return None,
            (Some(head), None) => return Some(head),
            (Some(_), Some(_)) => return None,
            (None, _) => {}
        }
        // Beside a backbone: `model.fc` where the network is `model.backbone.`
        let parents = place.prefix.rmatch_indices('.').skip(1).map(|(at, _)| &place.prefix[..=at]);
        let beside = parents.chain([""]).flat_map(|parent| NAMES.map(|name| format!("{parent}{name}")));
        beside.into_iter().find_map(|name| at(&name))
    }

    fn of(name: &str, channels: usize, shapes: &Shapes<'_>) -> Option<Self> {
        let classes = match *shapes.get(&format!("{name}.weight"))? {
            [classes, inputs] | [classes, inputs, 1, 1] if inputs == channels && classes > 0 => classes,
            _ => return None,
        };
        let bias = shapes.get(&format!("{name}.bias"));
        if bias.is_some_and(|shape| *shape != [classes]) {
            return None;
        }
        Some(Self { name: name.to_owned(), classes, has_bias: bias.is_some() })
    }
}

/// True for a layer of a module that has other matrices as well.
fn is_stacked(name: &str, free: &[&str], shapes: &Shapes<'_>) -> bool {
    let Some((module, _)) = name.rsplit_once('.') else { return false };
    let is_matrix = |other: &str| matches!(shapes.get(other), Some([_, _]));
    let is_of_module = |other: &str| other.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
    let mut weights = free.iter().filter(|other| is_of_module(other) && is_matrix(other));
    weights.any(|other| other.strip_suffix(".weight") != Some(name))
}

/// Matrix that has a head's name and cannot be one of the network.
pub(super) struct Misfit {
    /// Name in the file.
    name: String,
    fault: String,
}

impl Misfit {
    /// The misfit at a place for a last map of so many channels. What has a number in its name is a part of a stack.
    pub(super) fn find(channels: usize, place: &Place, shapes: &Shapes<'_>) -> Option<Self> {
        let is_part = |name: &str| name.ends_with(|last: char| last.is_ascii_digit());
        let names = NAMES.into_iter().filter(|name| !is_part(name));
        names.map(|name| format!("{}{name}", place.prefix)).find_map(|name| {
            let &[outputs, inputs] = shapes.get(&format!("{name}.weight"))? else { return None };
            if Head::of(&name, channels, shapes).is_some() {
                return None;
            }
            let fault = match inputs == channels {
                true => format!("has a bias that is not for its {outputs} outputs"),
                false => format!("takes {inputs} channels, not {channels}"),
            };
            Some(Self { name, fault })
        })
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "whose {} {}", escaped(&self.name), self.fault)
    }
}
