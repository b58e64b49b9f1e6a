//! Parts of a network that hold layers.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::path::numbered;
use super::{BlockPath, LayerPath, UnknownPath};
use crate::NetSpec;

/// Part of a network that holds layers: what can be frozen, and what features are taken behind. Displays as
/// `stem`, `stage2`, `stage2.block0` or `head`, and reads back from exactly that text.
///
/// ```
/// use residual_arch::{LayerPath, Place};
/// let stage: Place = "stage2".parse()?;
/// let layer: LayerPath = "stage2.block0.conv1".parse()?;
/// assert!(stage.contains(layer) && stage.includes("stage2.block1".parse()?));
/// # Ok::<(), residual_arch::UnknownPath>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The stem.
    Stem,
    /// A stage, counted from 1.
    Stage(usize),
    /// A block.
    Block(BlockPath),
    /// The head.
    Head,
}

impl Place {
    /// True where the layer at `path` stands in it.
    pub fn contains(self, path: LayerPath) -> bool {
        path.place().is_some_and(|place| self.includes(place))
    }

    /// The stem, the stage or the head that holds it: of a block its stage, else the part itself.
    pub fn outermost(self) -> Self {
        match self {
            Self::Block(BlockPath { stage, .. }) => Self::Stage(stage),
            place => place,
        }
    }

    /// True where it is `place`, or the stage of the block that `place` is.
    pub fn includes(self, place: Self) -> bool {
        self == place || matches!((self, place), (Self::Stage(stage), Self::Block(at)) if at.stage == stage)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stem => f.write_str("stem"),
            Self::Stage(stage) => write!(f, "stage{stage}"),
            Self::Block(path) => path.fmt(f),
            Self::Head => f.write_str("head"),
        }
    }
}

impl FromStr for Place {
    type Err = UnknownPath;

    fn from_str(text: &str) -> Result<Self, UnknownPath> {
        let parsed = match text {
            "stem" => Some(Self::Stem),
            "head" => Some(Self::Head),
            _ => numbered(text, "stage", 1).map(Self::Stage).or_else(|| text.parse().map(Self::Block).ok()),
        };
        parsed.ok_or_else(|| UnknownPath {
            path: text.into(),
            of: "a part of a network",
            expected: "stem, stage2, stage2.block0, head",
        })
    }
}

/// Name that is no part of a network ([`NetSpec::places`]).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the network has no layer `{name}`; help: name one of {}", known.join(", "))]
#[non_exhaustive]
pub struct UnknownPlace {
    /// Name as given.
    pub name: String,
    /// Names of the network's parts.
    pub known: Vec<String>,
}

impl NetSpec {
    /// Parts of the network with these names, in the order of the names.
    ///
    /// # Errors
    /// [`UnknownPlace`] for the first name that is none of [`NetSpec::places`].
    pub fn named_places(&self, names: &[impl AsRef<str>]) -> Result<Vec<Place>, UnknownPlace> {
        let places = self.places();
        let place = |name: &str| name.parse::<Place>().ok().filter(|place| places.contains(place));
        let unknown = |name: &str| UnknownPlace {
            name: name.to_owned(),
            known: places.iter().map(Place::to_string).collect(),
        };
        names.iter().map(AsRef::as_ref).map(|name| place(name).ok_or_else(|| unknown(name))).collect()
    }

    /// Parts of the network in order: the stem, each stage and behind it its blocks, the head.
    pub fn places(&self) -> Vec<Place> {
        let mut places = vec![Place::Stem];
        for (index, stage) in self.stages.iter().enumerate() {
            let number = index + 1;
            places.push(Place::Stage(number));
            let blocks = 0..stage.blocks.len();
            places.extend(blocks.map(|block| Place::Block(BlockPath { stage: number, block })));
        }
        places.push(Place::Head);
        places
    }
}
