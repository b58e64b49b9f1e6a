//! Agreement of the ranks before a training begins.

use residual_data::CacheLimit;
use residual_ranks::{Communicator, all_gather, barrier};
use serde::{Deserialize, Serialize};

use crate::train_loop::prepare::Prepared;
use crate::{Error, Recipe};

/// Facts in which ranks that train together are alike.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Facts {
    release: String,
    recipe: String,
    images: String,
}

impl Facts {
    fn of(prepared: &Prepared) -> Result<Self, Error> {
        // What changes no weight may differ, as hosts do.
        let recipe = prepared.recipe.clone().with(|recipe| {
            (recipe.threads, recipe.low_memory, recipe.data.path) = (None, false, "".into());
            (recipe.data.root, recipe.data.cache, recipe.init) = (None, CacheLimit::Auto, None);
        });
        let fingerprint = prepared.images.fingerprint(None);
        Ok(Self {
            release: env!("CARGO_PKG_VERSION").to_owned(),
            recipe: recipe.to_toml()?,
            images: format!("{} {} {}", fingerprint.train, fingerprint.evaluation, fingerprint.files),
        })
    }
}

/// Checks that the shards of a recipe suffice for the ranks, before images are opened.
///
/// # Errors
/// [`Error::Shards`].
pub(crate) fn check_shards(of: &dyn Communicator, recipe: &Recipe) -> Result<(), Error> {
    let (ranks, shards) = (of.ranks(), recipe.shards);
    if ranks == 1 || ranks <= shards {
        return Ok(());
    }
    let reason = match shards {
        1 => format!("{ranks} ranks cannot share a batch of one part"),
        _ => format!("{ranks} ranks are more than {shards} shards"),
    };
    let wanted = ranks.next_power_of_two().max(8);
    let help =
        format!("--shards {wanted} (shards = {wanted}): the weights depend on it, and not on the ranks");
    Err(Error::Shards { field: "shards", reason, help })
}

/// Checks that all ranks train the same.
///
/// # Errors
/// [`Error::RanksDiffer`]; [`Error::Ranks`].
pub(crate) fn agree(of: &dyn Communicator, prepared: &Prepared) -> Result<(), Error> {
    if of.ranks() == 1 {
        return Ok(());
    }
    let unreadable =
        |error: serde_json::Error| Error::io("compare", std::path::Path::new("recipe"))(error.into());
    let own = serde_json::to_vec(&Facts::of(prepared)?).map_err(unreadable)?;
    let mut all = Vec::new();
    for (rank, bytes) in all_gather(of, &own)?.into_iter().enumerate() {
        let other = |_| Error::RanksDiffer { rank, what: "release of the program" };
        all.push(serde_json::from_slice::<Facts>(&bytes).map_err(other)?);
    }
    let Some((first, others)) = all.split_first() else { return Ok(()) };
    for (number, other) in others.iter().enumerate() {
        let differs = |what| Err(Error::RanksDiffer { rank: number + 1, what });
        match () {
            () if other.release != first.release => return differs("release of the program"),
            () if other.recipe != first.recipe => return differs("recipe"),
            () if other.images != first.images => return differs("set of images"),
            () => {}
        }
    }
    Ok(())
}

/// Waits until all ranks have come here.
///
/// # Errors
/// [`Error::Ranks`].
pub(crate) fn meet(of: &dyn Communicator) -> Result<(), Error> {
    if of.ranks() == 1 { Ok(()) } else { Ok(barrier(of)?) }
}
