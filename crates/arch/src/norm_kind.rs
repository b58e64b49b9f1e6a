//! Kinds of normalisation.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::network::Norm;

/// Kind of the normalisation of a stem, a block or a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NormKind {
    /// Batch normalisation (Ioffe and Szegedy 2015): by channel, over the images of a batch.
    #[default]
    Batch,
    /// Group normalisation (Wu and He 2018): by image, over the channels of a group.
    Group {
        /// Number of groups; divides the channels of every map that is normalised.
        groups: usize,
    },
}

impl NormKind {
    /// Group normalisation with so many groups.
    pub fn group(groups: usize) -> Self {
        Self::Group { groups }
    }

    /// True for batch normalisation.
    pub fn is_batch(&self) -> bool {
        *self == Self::Batch
    }

    /// The normalisation of maps of `channels`.
    pub(crate) fn of(self, channels: usize, zero_init: bool) -> Norm {
        match self {
            Self::Batch => Norm::Batch { channels, zero_init },
            Self::Group { groups } => Norm::Group { channels, groups, zero_init },
        }
    }

    /// Name of its field in a file, and the number there.
    pub(crate) fn field(self) -> (&'static str, usize) {
        match self {
            Self::Batch => ("group_norm", 1),
            Self::Group { groups } => ("group_norm", groups),
        }
    }

    /// Label for tables: `bn`, `gn`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Batch => "bn",
            Self::Group { .. } => "gn",
        }
    }
}

impl fmt::Display for NormKind {
    /// `BN`, `group norm 32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch => f.write_str("BN"),
            Self::Group { groups } => write!(f, "group norm {groups}"),
        }
    }
}

/// The number of groups: the written form of a normalisation that is not batch normalisation.
impl Serialize for NormKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Batch => serializer.serialize_none(),
            Self::Group { groups } => groups.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for NormKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        usize::deserialize(deserializer).map(Self::group)
    }
}
