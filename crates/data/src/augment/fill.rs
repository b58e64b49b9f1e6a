//! Colours that augmentations put where there is no image, and values with a range around them.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Colour outside the image: one level for all channels, a level a channel, or `"mean"`, that of the preprocessing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fill {
    /// Level of all channels.
    Level(u8),
    /// Level of each channel.
    Levels(Vec<u8>),
    /// A colour that has a name.
    Named(NamedFill),
}

/// Colours that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NamedFill {
    /// Mean of the preprocessing, which is normalised to 0.
    Mean,
}

impl Default for Fill {
    fn default() -> Self {
        Self::Level(0)
    }
}

impl Fill {
    /// Checks the number of levels.
    pub(super) fn check_channels(&self, option: &'static str, channels: usize) -> Result<(), Error> {
        match self {
            Self::Levels(levels) if levels.len() != channels && levels.len() != 1 => {
                Err(Error::InvalidOption {
                    option,
                    found: format!("{levels:?}"),
                    expected: "one level, or a level for each channel of the network",
                })
            }
            _ => Ok(()),
        }
    }

    /// Level of each channel.
    pub(super) fn levels(&self, colours: &Colours) -> Vec<u8> {
        match self {
            Self::Level(level) => vec![*level],
            Self::Levels(levels) => levels.clone(),
            Self::Named(NamedFill::Mean) => {
                colours.mean.iter().map(|mean| (255.0 * mean).round_ties_even() as u8).collect()
            }
        }
    }
}

/// Mean and standard deviation of each channel, on the scale 0 to 1, by which images will be normalised.
#[derive(Clone, Debug)]
pub(super) struct Colours {
    pub(super) mean: Vec<f64>,
    pub(super) std: Vec<f64>,
}

/// Range from which a parameter is drawn evenly: a number for that much around the middle, or its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Spread {
    /// Distance from the middle, to both sides.
    Around(f64),
    /// Least and greatest value.
    Between([f64; 2]),
}

impl Spread {
    /// Least and greatest value about this middle.
    pub(super) fn about(self, middle: f64) -> [f64; 2] {
        match self {
            Self::Around(distance) => [middle - distance, middle + distance],
            Self::Between(ends) => ends,
        }
    }

    /// The ends of a factor: around 1, and not below 0.
    pub(super) fn of_factor(self) -> [f64; 2] {
        self.about(1.0).map(|end| if matches!(self, Self::Around(_)) { end.max(0.0) } else { end })
    }

    /// Checks that the ends are in order and within these.
    pub(super) fn check(
        self,
        option: &'static str,
        [low, high]: [f64; 2],
        expected: &'static str,
    ) -> Result<(), Error> {
        let fits = match self {
            Self::Around(distance) => distance >= 0.0 && distance.is_finite(),
            Self::Between(_) => true,
        };
        let [least, greatest] = self.about(0.0);
        let ordered =
            matches!(self, Self::Around(_)) || (low <= least && least <= greatest && greatest <= high);
        if fits && ordered {
            return Ok(());
        }
        Err(Error::InvalidOption { option, found: format!("{self:?}"), expected })
    }
}
