//! Arrays of NumPy: the members of an `.npz` (a zip of `.npy` files, stored or deflated), and `.npy` files in a folder.

use std::collections::BTreeSet;
use std::io::Read;

use super::array::Array;
use super::element::Element;
use super::fortran::to_rows;
use super::name::{array_name, without_split};
use super::pairs::{Candidate, Format};
use crate::listing::Listing;
use crate::npy_header::NpyHeader;
use crate::path::{InnerPath, extension};
use crate::store::Location;
use crate::zipped::list_zip;
use crate::{Error, OpenOptions};

/// Bytes of the longest head of an array that is read, more than NumPy itself does.
const MOST_HEAD: u64 = 1 << 16;

/// Arrays of a listing. Those of `.npz` files there get their place in the listing's store.
pub(super) fn candidates(listing: &mut Listing, options: &OpenOptions) -> Result<Vec<Candidate>, Error> {
    if listing.images.is_empty() {
        return of_npz_files(listing, options);
    }
    let folders: BTreeSet<Option<InnerPath>> = listing.images.keys().map(InnerPath::parent).collect();
    let all = listing.images.keys().all(|path| extension(path.last()).eq_ignore_ascii_case(b"npy"));
    let [folder] = Vec::from_iter(&folders)[..] else { return Ok(Vec::new()) };
    if !all {
        return Ok(Vec::new());
    }
    let set = Set { set: String::new(), group: String::new(), split: None };
    let origin = &listing.origin;
    let file = |stem: &str| format!("{origin}: {stem}");
    let found: Vec<Candidate> = listing
        .images
        .iter()
        .map(|(path, location)| candidate(path, location, &set, file(&stem_text(path)), options))
        .collect();
    // A folder of images that are arrays is a class; arrays at the top are in none.
    let is_top = folder.as_ref().is_none_or(|folder| folder.depth() == 0);
    let named = found.iter().any(|array| array.name.role.is_some());
    Ok(if is_top || named { found } else { Vec::new() })
}

/// Names that the arrays of one file share.
struct Set {
    set: String,
    group: String,
    split: Option<crate::Split>,
}

fn stem_text(path: &InnerPath) -> String {
    let text = path.text();
    text.strip_suffix(".npy").map(str::to_owned).unwrap_or(text)
}

fn candidate(
    path: &InnerPath,
    location: &Location,
    set: &Set,
    file: String,
    options: &OpenOptions,
) -> Candidate {
    let stem = path.last();
    let stem = &stem[..stem.len() - 1 - extension(stem).len().min(stem.len() - 1)];
    let mut name = array_name(stem, &options.columns);
    name.split = name.split.or(set.split);
    let title = match set.group.as_str() {
        "" => stem_text(path),
        group => format!("{group}: {}", stem_text(path)),
    };
    Candidate {
        set: set.set.clone(),
        group: set.group.clone(),
        title,
        file,
        name,
        location: location.clone(),
        format: Format::Numpy,
    }
}

/// Arrays in the `.npz` files of a folder.
fn of_npz_files(listing: &mut Listing, options: &OpenOptions) -> Result<Vec<Candidate>, Error> {
    let is_npz = |path: &InnerPath| extension(path.last()).eq_ignore_ascii_case(b"npz");
    let files: Vec<(InnerPath, Location)> = listing
        .records
        .iter()
        .filter(|(path, _)| is_npz(path))
        .map(|(path, location)| (path.clone(), location.clone()))
        .collect();
    let mut found = Vec::new();
    for (path, location) in files {
        let Location::File(file) = location else {
            let file = format!("{}: {path}", listing.origin);
            let detail =
                "an .npz inside an archive is not read; help: unpack the archive, and give the folder";
            return Err(Error::Array { file, detail: detail.into() });
        };
        let mut inside = list_zip(&file, options)?;
        let blob = listing.store.absorb(std::mem::take(&mut inside.store));
        let stem = &path.last()[..path.last().len() - b".npz".len()];
        let (split, mut words) = without_split(stem);
        // Parts of one set: `train_data_batch_1`, `train_data_batch_2`, `val_data`.
        if split.is_some() {
            words.retain(|word| !matches!(word.as_str(), "data" | "batch") && word.parse::<u32>().is_err());
        }
        let folder = path.parent().unwrap_or_default();
        let set = Set { set: format!("{folder}/{}", words.join("-")), group: path.text(), split };
        for (member, location) in &inside.images {
            let location = location.clone().shifted(blob);
            let shown = format!("{}: {path}: {}", listing.origin, stem_text(member));
            listing.charge(400 + shown.len() as u64)?;
            found.push(candidate(member, &location, &set, shown, options));
        }
    }
    Ok(found)
}

/// Reads the head of an array.
pub(super) fn open(candidate: &Candidate, listing: &mut Listing) -> Result<Array, Error> {
    let file = &candidate.file;
    let pinned = listing.store.pin(&candidate.location, file, &mut listing.budget)?;
    let mut array = Array {
        name: candidate.title.clone(),
        file: file.clone(),
        element: Element::U8,
        shape: Vec::new(),
        blob: pinned.blob,
        offset: pinned.offset,
    };
    let mut head = Vec::new();
    let most = pinned.length.min(MOST_HEAD);
    listing
        .store
        .reader(pinned.blob, pinned.offset, most)
        .and_then(|mut reader| reader.read_to_end(&mut head))
        .map_err(|source| Error::io(file, source))?;
    let header = NpyHeader::parse(&head).map_err(|fault| array.wrong(fault.to_string()))?;
    array.element = Element::of_numpy(header.element).ok_or_else(|| array.wrong(refusal(header.element)))?;
    array.shape = header.shape;
    array.offset += header.length as u64;
    array.check_length(pinned.length - header.length as u64)?;
    if header.fortran && array.shape.iter().filter(|&&side| side > 1).count() > 1 {
        to_rows(&mut array, listing)?;
    }
    Ok(array)
}

/// Sentence about elements that are not read.
fn refusal(element: &str) -> String {
    let shown: String = element.chars().take(40).collect();
    if shown.contains('O') {
        return "Python objects, which only running a pickle would make: refused; help: save labels as integers or \
                as text (dtype=str), images of one size as one array"
            .into();
    }
    format!(
        "elements of the kind `{shown}`, which is not read; help: save images as uint8, labels as integers or text"
    )
}
