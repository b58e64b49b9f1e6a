//! CIFAR-100: `train`, `test` and `meta`, or `train.bin`, `test.bin` and the names in text files. Every image has a
//! fine label, of a hundred, and a coarse one, of twenty.

use super::RAW;
use super::batch::{Batch, Form};
use super::names::NameFile;
use crate::listing::Listing;
use crate::path::InnerPath;
use crate::records::{RecordSet, RecordSplit};
use crate::{Error, OpenOptions, Split};

const SET: &str = "CIFAR-100";

/// Labels of one kind.
struct Kind {
    form: Form,
    /// Key of the names in `meta`, and their file in the binary version.
    names: &'static str,
    text: &'static str,
}

const COARSE: Kind = Kind {
    form: Form { set: SET, key: "coarse_labels", labels: 2, label: 0, classes: 20 },
    names: "coarse_label_names",
    text: "coarse_label_names.txt",
};
const FINE: Kind = Kind {
    form: Form { set: SET, key: "fine_labels", labels: 2, label: 1, classes: 100 },
    names: "fine_label_names",
    text: "fine_label_names.txt",
};

/// Test for the name of a file of CIFAR-100's archives.
pub(crate) fn is_cifar_100(name: &[u8]) -> bool {
    matches!(
        name,
        b"train"
            | b"test"
            | b"meta"
            | b"train.bin"
            | b"test.bin"
            | b"fine_label_names.txt"
            | b"coarse_label_names.txt"
    )
}

/// Classes and records of CIFAR-100; `None` where a listing has no images with names of their classes beside.
pub(super) fn find(listing: &mut Listing, options: &OpenOptions) -> Result<Option<RecordSet>, Error> {
    let Some((folder, binary)) = place(listing) else { return Ok(None) };
    let kind = kind(options)?;
    let names = folder.clone().joined(if binary { kind.text.as_bytes() } else { b"meta" });
    let missing = || Error::Cifar {
        path: format!("{}: {names}", listing.origin),
        set: SET,
        detail: "there is no such file; help: unpack the archive again".into(),
    };
    let location = listing.records.get(&names).ok_or_else(missing)?;
    let count = kind.form.classes;
    let file = NameFile { path: &names, location, set: SET, key: kind.names, count };
    let classes = file.read(listing)?;
    if classes.len() != count {
        let detail = format!("names of {} classes or more, expected {count} ({})", classes.len(), kind.names);
        return Err(Error::Cifar { path: format!("{}: {names}", listing.origin), set: SET, detail });
    }
    let mut splits = Vec::new();
    for (split, name) in [(Split::Train, "train"), (Split::Test, "test")] {
        let file = if binary { format!("{name}.bin") } else { name.to_owned() };
        let path = folder.clone().joined(file.as_bytes());
        let Some(location) = listing.records.get(&path).cloned() else { continue };
        let file = format!("{}: {path}", listing.origin);
        let records = kind.form.read(listing, &Batch { name, file, binary, location: &location })?;
        if !records.is_empty() {
            splits.push(RecordSplit { split, raw: RAW, records });
        }
    }
    match splits.is_empty() {
        true => Ok(None),
        false => Ok(Some(RecordSet { classes, splits, ..RecordSet::default() })),
    }
}

/// The folder that holds the set, and whether it is the binary version.
fn place(listing: &Listing) -> Option<(InnerPath, bool)> {
    let beside = |path: &InnerPath, names: &[&str]| {
        let folder = path.parent().unwrap_or_default();
        names.iter().any(|name| listing.records.contains_key(&folder.clone().joined(name.as_bytes())))
    };
    listing.records.keys().find_map(|path| {
        let binary = match path.last() {
            b"meta" if beside(path, &["train", "test"]) => false,
            b"fine_label_names.txt" | b"coarse_label_names.txt"
                if beside(path, &["train.bin", "test.bin"]) =>
            {
                true
            }
            _ => return None,
        };
        Some((path.parent().unwrap_or_default(), binary))
    })
}

/// Labels that were asked for: fine ones, unless the column is called `coarse`.
fn kind(options: &OpenOptions) -> Result<Kind, Error> {
    match options.columns.label.as_deref() {
        None | Some("fine" | "fine_labels") => Ok(FINE),
        Some("coarse" | "coarse_labels") => Ok(COARSE),
        Some(other) => Err(Error::InvalidOption {
            option: "columns",
            found: format!("label={other}"),
            expected: "label=fine or label=coarse for CIFAR-100",
        }),
    }
}
