//! Shards of a batch, in a recipe.

use serde::{Deserialize, Serialize};

use crate::{Error, Recipe};

/// Images that a batch norm takes its statistics of, where a step's batch is divided into shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BatchNormOver {
    /// Those of a shard ("ghost batch norm"; Hoffer, Hubara and Soudry 2017, section 4.2). The running statistics follow
    /// the mean over the shards.
    #[default]
    Shard,
    /// All of the batch ("synchronised batch norm"). Of several shards, refused as yet.
    Global,
}

impl BatchNormOver {
    /// True for the usual one.
    pub fn is_shard(&self) -> bool {
        *self == Self::Shard
    }
}

impl std::str::FromStr for BatchNormOver {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "shard" => Ok(Self::Shard),
            "global" => Ok(Self::Global),
            _ => Err(format!("`{name}` is none of shard, global")),
        }
    }
}

impl Recipe {
    /// Limit on the number of shards.
    pub const MOST_SHARDS: usize = 1 << 16;

    /// Checks what is said of shards.
    pub(super) fn validate_shards(&self) -> Result<(), Error> {
        let refused = |field, reason: String, help: &str| {
            let help = help.to_owned();
            Err(Error::Shards { field, reason, help })
        };
        if !(1..=Self::MOST_SHARDS).contains(&self.shards) {
            let reason = format!("{} shards are not between 1 and {}", self.shards, Self::MOST_SHARDS);
            return refused("shards", reason, "give 8, or another number that the ranks divide");
        }
        if self.shards > 1 && self.accumulate > 1 {
            let reason =
                format!("a batch of {} shards goes through the network in parts already", self.shards);
            let help = "leave it out, and give batch_size the images of a whole step and shards their parts";
            return refused("accumulate", reason, help);
        }
        if self.shards > 1 && self.batch_norm == BatchNormOver::Global {
            let reason =
                "statistics over all shards are not there, since a block is one operation on one shard";
            let help = "batch_norm = \"shard\" with a batch_size of 16 images or more a shard, or a network with group norms";
            return refused("batch_norm", reason.to_owned(), help);
        }
        Ok(())
    }

    /// Checks that every shard of a whole batch has an image.
    pub(super) fn check_shards(&self, images: usize) -> Result<(), Error> {
        if images >= self.shards {
            return Ok(());
        }
        let reason = format!("{images} images in a step are fewer than {} shards", self.shards);
        let help = format!("batch_size = {}, or fewer shards", 16 * self.shards);
        Err(Error::Shards { field: "shards", reason, help })
    }
}
