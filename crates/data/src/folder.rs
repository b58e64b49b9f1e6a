//! A folder on disk, walked to its depths.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::listing::{Listing, Parts, is_hidden};
use crate::store::Location;

/// Folders deeper than this hold no class: it keeps links that lead in circles from going on.
const MAX_DEPTH: usize = 12;

pub(crate) fn list_folder(root: &Path) -> Result<Listing, Error> {
    let mut listing = Listing::new(root.display().to_string());
    let mut pending = vec![(root.to_path_buf(), PathBuf::new(), 0)];
    while let Some((folder, above, depth)) = pending.pop() {
        let failed = |source| Error::io(&folder, source);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let inside = above.join(entry.file_name());
            if is_hidden(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let parts: Parts = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            let path = entry.path();
            let mut kind = entry.file_type().map_err(|source| Error::io(&path, source))?;
            if kind.is_symlink() {
                // A link to nowhere is left out.
                let Ok(target) = fs::metadata(&path) else { continue };
                kind = target.file_type();
            }
            if kind.is_file() {
                listing.add_file(parts, Location::File(path));
            } else if kind.is_dir() && depth < MAX_DEPTH && !leads_back(&path) {
                listing.add_folder(&parts);
                pending.push((path, inside, depth + 1));
            }
        }
    }
    Ok(listing)
}

/// Whether a folder's real place is among the folders on the way to it.
fn leads_back(path: &Path) -> bool {
    let (Ok(real), Some(parent)) = (path.canonicalize(), path.parent()) else { return true };
    parent.canonicalize().is_ok_and(|parent| parent.starts_with(&real))
}
