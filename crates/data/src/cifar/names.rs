//! Names of classes in the files beside the batches.

use residual_pickle::{budget, interpret};

use crate::Error;
use crate::listing::Listing;
use crate::path::InnerPath;
use crate::store::Location;

/// The longest name of a class, in bytes.
const MAX_NAME: usize = 256;

/// File with names of classes.
pub(super) struct NameFile<'a> {
    pub(super) path: &'a InnerPath,
    pub(super) location: &'a Location,
    /// Name of the set, for errors.
    pub(super) set: &'static str,
    /// Key of the names in a pickle.
    pub(super) key: &'static str,
    /// Number of names that there are to be. One too many says as much as a million.
    pub(super) count: usize,
}

impl NameFile<'_> {
    /// The names, one more than [`count`](Self::count) at most.
    pub(super) fn read(&self, listing: &Listing) -> Result<Vec<String>, Error> {
        let file = format!("{}: {}", listing.origin, self.path);
        let bytes = listing.store.read(self.location, &file)?;
        if self.path.last().ends_with(b".txt") {
            let text = String::from_utf8_lossy(&bytes);
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            return Ok(lines.take(self.count + 1).map(shortened).collect());
        }
        let wrong = |error: residual_pickle::Error| Error::Cifar {
            path: file.clone(),
            set: self.set,
            detail: error.to_string(),
        };
        let pickled = interpret(&bytes, &mut budget()).map_err(wrong)?;
        let heap = &pickled.heap;
        let list = pickled.entry(self.key).and_then(|id| heap.sequence(id)).unwrap_or(&[]);
        let names = list.iter().take(self.count + 1).filter_map(|&id| heap.bytes(id));
        let name = |name: &[u8]| shortened(&String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]));
        Ok(names.map(name).collect())
    }
}

/// A name, cut where it is longer than any.
fn shortened(name: &str) -> String {
    name.char_indices().nth(MAX_NAME).map_or(name, |(end, _)| &name[..end]).to_owned()
}
