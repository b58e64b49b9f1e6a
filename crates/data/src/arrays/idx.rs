//! IDX files, as MNIST, Fashion-MNIST and EMNIST come in (LeCun, Cortes and Burges, "The MNIST database", "File formats
//! for the MNIST database"): two zeros, the kind of the elements, the number of sizes, the sizes (4 bytes each,
//! big-endian), the elements. Gzipped or not.

use std::io::Read;
use std::path::Path;

use super::array::Array;
use super::element::Element;
use super::name::{ArrayName, array_name};
use super::pairs::{Candidate, Format};
use crate::listing::Listing;
use crate::path::InnerPath;
use crate::store::Location;
use crate::{Columns, Error};

/// Test for the name of an IDX file of images or labels: `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz`.
pub(crate) fn is_idx_name(name: &[u8]) -> bool {
    idx_name(name).is_some()
}

/// Test for the names of files of one set: `emnist-letters-train-images-idx3-ubyte` and
/// `emnist-letters-test-labels-idx1-ubyte.gz`.
fn same_idx_set(one: &[u8], other: &[u8]) -> bool {
    match (idx_name(one), idx_name(other)) {
        (Some(one), Some(other)) => one.rest == other.rest,
        _ => false,
    }
}

fn idx_name(name: &[u8]) -> Option<ArrayName> {
    let stem = unzipped(name);
    let lower = stem.to_ascii_lowercase();
    let at = lower.windows(3).rposition(|part| part == b"idx")?;
    let mut found = array_name(&stem[..at], &Columns::default());
    // What stands behind is the number of sizes and the kind of the elements.
    let rest_is_kind =
        lower[at + 3..].iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    found.rest.retain(|word| !word.is_empty());
    (rest_is_kind && found.role.is_some()).then_some(found)
}

/// The name without `.gz`.
fn unzipped(name: &[u8]) -> &[u8] {
    match name.len().checked_sub(3) {
        Some(end) if name[end..].eq_ignore_ascii_case(b".gz") => &name[..end],
        _ => name,
    }
}

/// IDX files of a listing.
pub(super) fn candidates(listing: &Listing) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for (path, location) in &listing.records {
        let Some(name) = idx_name(path.last()) else { continue };
        let folder = path.parent().unwrap_or_default();
        let stem = folder.clone().joined(unzipped(path.last()));
        let candidate = Candidate {
            set: format!("{folder}/{}", name.rest.join("-")),
            group: folder.text(),
            title: stem.text(),
            file: format!("{}: {path}", listing.origin),
            name,
            location: location.clone(),
            format: Format::Idx,
        };
        // Unpacked beside the packed one, as torchvision leaves them: paths are sorted, so that it comes first.
        if found.iter().all(|other| other.title != candidate.title) {
            found.push(candidate);
        }
    }
    found
}

/// Lists the files of one set in the folder of the one at `path`.
pub(crate) fn list_idx_set(path: &Path, mut listing: Listing) -> Result<Listing, Error> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| Error::io(folder, source))?;
        let other = entry.file_name();
        if same_idx_set(name, other.as_encoded_bytes()) && entry.path().is_file() {
            let inside = InnerPath::default().joined(other.as_encoded_bytes());
            listing.add_file(inside, Location::File(entry.path()))?;
        }
    }
    Ok(listing)
}

/// Reads the head of an IDX file.
pub(super) fn open(candidate: &Candidate, listing: &mut Listing) -> Result<Array, Error> {
    let file = &candidate.file;
    let pinned = listing.store.pin_unzipped(&candidate.location, file, &mut listing.budget)?;
    let mut array = Array {
        name: candidate.title.clone(),
        file: file.clone(),
        element: Element::U8,
        shape: Vec::new(),
        blob: pinned.blob,
        offset: pinned.offset,
    };
    let mut head = Vec::new();
    listing
        .store
        .reader(pinned.blob, pinned.offset, pinned.length.min(4 + 4 * MOST_SIZES as u64))
        .and_then(|reader| reader.take(4 + 4 * MOST_SIZES as u64).read_to_end(&mut head))
        .map_err(|source| Error::io(file, source))?;
    let (Some(&[first, second, code, sizes]), Some(rest)) = (head.first_chunk::<4>(), head.get(4..)) else {
        return Err(array.wrong("truncated: an IDX file has a head of 4 bytes at least"));
    };
    let element = Element::of_idx(code);
    let (0, 0, Some(element), 1..=MOST_SIZES) = (first, second, element, usize::from(sizes)) else {
        return Err(array.wrong(format!(
            "not an IDX file (it begins with {first:02x} {second:02x} {code:02x} {sizes:02x})"
        )));
    };
    let sizes = usize::from(sizes);
    let (sides, _) = rest.as_chunks::<4>();
    let Some(sides) = sides.get(..sizes) else {
        return Err(array.wrong(format!("truncated: its head has {sizes} sizes")));
    };
    array.element = element;
    array.shape = sides.iter().map(|&side| u32::from_be_bytes(side) as usize).collect();
    let head = 4 + 4 * sizes as u64;
    array.offset += head;
    array.check_length(pinned.length - head)?;
    Ok(array)
}

/// The most sizes of an array of images: number, height, width, channels.
const MOST_SIZES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Split;
    use crate::arrays::name::Role;

    #[test]
    fn names_of_idx_files() {
        for (name, split, role, rest) in [
            ("train-images-idx3-ubyte", Some(Split::Train), Role::Images, ""),
            ("t10k-labels-idx1-ubyte.gz", Some(Split::Test), Role::Labels, ""),
            ("train-images.idx3-ubyte", Some(Split::Train), Role::Images, ""),
            ("T10K-LABELS.IDX1-UBYTE.GZ", Some(Split::Test), Role::Labels, ""),
            ("emnist-letters-train-images-idx3-ubyte.gz", Some(Split::Train), Role::Images, "emnist letters"),
            ("images.idx", None, Role::Images, ""),
        ] {
            let found = idx_name(name.as_bytes()).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(
                (found.split, found.role, found.rest.join(" ").as_str()),
                (split, Some(role), rest),
                "{name}"
            );
        }
        for name in ["train.csv", "idx", "readme-idx", "train-images-idx3-ubyte.png (1)", "images.tar.gz"] {
            assert!(!is_idx_name(name.as_bytes()), "{name}");
        }
        assert!(same_idx_set(b"emnist-a-train-images-idx3-ubyte.gz", b"emnist-a-test-labels-idx1-ubyte"));
        assert!(!same_idx_set(b"emnist-a-train-images-idx3-ubyte.gz", b"emnist-b-test-labels-idx1-ubyte"));
    }
}
