//! Splits of data by their purpose.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Split: a part of the data by its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Images to train on.
    Train,
    /// Images to choose a network by.
    Val,
    /// Images to judge the chosen network by.
    Test,
}

impl Split {
    /// Splits in order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        })
    }
}
