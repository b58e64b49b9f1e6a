//! Where in a file a network may be: the prefix of its names.

use std::collections::BTreeSet;

use residual_arch::{BlockPath, BlockSpec, HeadSpec, Naming, NetSpec, NormKind, StageSpec, StemSpec, names};

use super::shapes::Shapes;
use crate::error::Error;

/// The schemes of names, the commonest first.
pub(crate) const SCHEMES: [Naming; 5] =
    [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential, Naming::Transformers];

/// The most places in a file at which a network is looked for.
const MAX_PLACES: usize = 16;

/// The first block, whose names say where a network is.
const FIRST: BlockPath = BlockPath { stage: 1, block: 0 };

/// Names that averaged weights have in front.
const AVERAGED: [&str; 5] = ["ema", "ema_model", "model_ema", "module_ema", "averaged_model"];

/// Part of a file's names that may be a network's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Prefix of the names, with its dot; may be empty.
    pub(super) prefix: String,
    /// Prefix of the scheme's names that the file's lack.
    pub(super) lacking: String,
    /// Name of the first block in the schemes that the names may be of.
    anchor: String,
    /// Longer prefixes of other places.
    nested: Vec<String>,
}

impl Place {
    /// The places at which there is a first block.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more than any file has.
    pub(super) fn all(shapes: &Shapes<'_>) -> Result<Vec<Self>, Error> {
        let anchors = anchors();
        let mut places = BTreeSet::new();
        for name in shapes.names() {
            for (anchor, lacking) in &anchors {
                let shown = &anchor[lacking.len()..];
                for (at, _) in name.match_indices(shown) {
                    let prefix = &name[..at];
                    let is_whole = prefix.is_empty() || prefix.ends_with('.');
                    let lacks_nothing = !lacking.is_empty() && prefix.ends_with(lacking.as_str());
                    if !is_whole || lacks_nothing {
                        continue;
                    }
                    places.insert(Self {
                        prefix: prefix.to_owned(),
                        lacking: lacking.clone(),
                        anchor: anchor.clone(),
                        nested: Vec::new(),
                    });
                    if places.len() > MAX_PLACES {
                        let what = "the number of networks in the file";
                        return Err(Error::TooLarge { what, limit: MAX_PLACES });
                    }
                }
            }
        }
        let prefixes: Vec<String> = places.iter().map(|place| place.prefix.clone()).collect();
        let nested = |prefix: &str| {
            let longer =
                prefixes.iter().filter(|other| other.len() > prefix.len() && other.starts_with(prefix));
            longer.cloned().collect()
        };
        Ok(places.into_iter().map(|place| Self { nested: nested(&place.prefix), ..place }).collect())
    }

    /// Names in the file that are of this place and of no other.
    pub(super) fn names<'a>(&self, shapes: &Shapes<'a>) -> impl Iterator<Item = &'a str> {
        let is_nested = |name: &str| self.nested.iter().any(|prefix| name.starts_with(prefix.as_str()));
        shapes.under(&self.prefix).map(|(name, _)| name).filter(move |name| !is_nested(name))
    }

    /// True where a scheme names the blocks of such a network as this place has them.
    pub(super) fn is_of(&self, spec: &NetSpec, naming: Naming) -> bool {
        names::block_prefix(spec, naming, FIRST) == self.anchor
    }

    /// Prefix in the file of the first block's names.
    pub(super) fn first_block(&self) -> String {
        format!("{}{}", self.prefix, &self.anchor[self.lacking.len()..])
    }

    /// Name in the file of a tensor that the scheme calls `name`.
    pub(super) fn in_file(&self, name: &str) -> Option<String> {
        Some(format!("{}{}", self.prefix, name.strip_prefix(self.lacking.as_str())?))
    }

    /// True for averaged weights, as `model_ema.`.
    pub(super) fn is_averaged(&self) -> bool {
        self.prefix.split('.').any(|part| AVERAGED.contains(&part))
    }

    /// Numbers of blocks of the stages.
    pub(super) fn depths(&self, spec: &NetSpec, naming: Naming, shapes: &Shapes<'_>) -> Vec<usize> {
        let has = |stage, block| {
            let prefix = names::block_prefix(spec, naming, BlockPath { stage, block });
            self.in_file(&prefix).is_some_and(|prefix| shapes.under(&prefix).next().is_some())
        };
        let stages = (1..).take_while(|&stage| has(stage, 0));
        stages.map(|stage| (1..).find(|&block| !has(stage, block)).unwrap_or(1)).collect()
    }
}

/// A network that stands for those of its order, post- or pre-activation, and of its norm.
pub(super) fn template(preactivation: bool, norm: NormKind) -> NetSpec {
    let block = BlockSpec::basic(1).with(|block| block.norm = norm);
    let block = if preactivation { block.preactivation() } else { block };
    let stem = StemSpec::cifar(1).with(|stem| (stem.bare, stem.norm) = (preactivation, norm));
    let head = HeadSpec::new(1).with(|head| (head.norm, head.norm_kind) = (preactivation, norm));
    NetSpec::new("template", [1, 1, 1], stem, vec![StageSpec::new(vec![block])], head)
}

/// Names of the first block in every scheme, and the part of them that files may lack.
fn anchors() -> BTreeSet<(String, String)> {
    let mut anchors = BTreeSet::new();
    for spec in [false, true].map(|order| template(order, NormKind::Batch)) {
        for naming in SCHEMES {
            let anchor = names::block_prefix(&spec, naming, FIRST);
            // The part that all names of the network have but its head's: the base model is saved without it.
            let root = root(&spec, naming);
            if !root.is_empty() && anchor.starts_with(&root) {
                anchors.insert((anchor.clone(), root));
            }
            anchors.insert((anchor, String::new()));
        }
    }
    anchors
}

/// First component that all names of a scheme have but the head's, with its dot; empty where there is none.
fn root(spec: &NetSpec, naming: Naming) -> String {
    let is_linear = |path: &str| path.starts_with("head.linear");
    let first = |name: &str| name.split_once('.').map(|(first, _)| format!("{first}."));
    let mut names = names::names(spec, naming).into_iter().filter(|tensor| !is_linear(&tensor.path));
    let Some(root) = names.next().and_then(|tensor| first(&tensor.name)) else { return String::new() };
    if names.all(|tensor| tensor.name.starts_with(&root)) { root } else { String::new() }
}
