//! CIFAR-10: `data_batch_1` to `data_batch_5`, `test_batch` and `batches.meta`, the first with `.bin` in the binary
//! version.

use super::RAW;
use super::batch::{Batch, Form};
use super::names::NameFile;
use crate::listing::Listing;
use crate::path::InnerPath;
use crate::records::{RecordSet, RecordSplit};
use crate::{Error, Split};

const SET: &str = "CIFAR-10";
const FORM: Form = Form { set: SET, key: "labels", labels: 1, label: 0, classes: CLASSES.len() };
const TRAIN_BATCHES: usize = 5;
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Test for the name of a file of CIFAR-10's archives.
pub(crate) fn is_cifar_10(name: &[u8]) -> bool {
    is_batch(name) || is_names(name)
}

fn is_names(name: &[u8]) -> bool {
    matches!(name, b"batches.meta" | b"batches.meta.txt")
}

fn is_batch(name: &[u8]) -> bool {
    let stem = name.strip_suffix(b".bin").unwrap_or(name);
    let number = stem.strip_prefix(b"data_batch_").and_then(|number| std::str::from_utf8(number).ok());
    number.is_some_and(|number| number.parse::<u8>().is_ok()) || stem == b"test_batch"
}

/// Classes and records of CIFAR-10; `None` where a listing has no batch.
pub(super) fn find(listing: &mut Listing) -> Result<Option<RecordSet>, Error> {
    let batches = listing.records.iter().filter(|(path, _)| is_batch(path.last()));
    let batches: Vec<_> = batches.map(|(path, location)| (path.clone(), location.clone())).collect();
    let Some(folder) = batches.first().and_then(|(path, _)| path.parent()) else { return Ok(None) };
    let [mut train, mut test] =
        [Split::Train, Split::Test].map(|split| RecordSplit { split, raw: RAW, records: Vec::new() });
    let mut found = 0;
    for (path, location) in batches.iter().filter(|(path, _)| path.parent().as_ref() == Some(&folder)) {
        let name = String::from_utf8_lossy(path.last()).into_owned();
        let binary = name.ends_with(".bin");
        let stem = name.trim_end_matches(".bin");
        let file = format!("{}: {path}", listing.origin);
        let records = FORM.read(listing, &Batch { name: stem, file, binary, location })?;
        if stem == "test_batch" {
            test.records.extend(records);
        } else {
            found += 1;
            train.records.extend(records);
        }
    }
    if found != 0 && found != TRAIN_BATCHES {
        let detail = format!("{found} training batches, expected data_batch_1 to data_batch_{TRAIN_BATCHES}");
        return Err(Error::Cifar { path: listing.origin.clone(), set: SET, detail });
    }
    let classes = class_names(listing, &folder)?;
    let splits = [train, test].into_iter().filter(|split| !split.records.is_empty()).collect();
    Ok(Some(RecordSet { classes, splits, ..RecordSet::default() }))
}

/// The names in `batches.meta`, where there are ten; CIFAR-10's otherwise.
fn class_names(listing: &Listing, folder: &InnerPath) -> Result<Vec<String>, Error> {
    let beside = |path: &InnerPath| is_names(path.last()) && path.parent().as_ref() == Some(folder);
    let mut names = Vec::new();
    for (path, location) in listing.records.iter().filter(|(path, _)| beside(path)) {
        names =
            NameFile { path, location, set: SET, key: "label_names", count: CLASSES.len() }.read(listing)?;
    }
    Ok(if names.len() == CLASSES.len() { names } else { CLASSES.map(str::to_owned).to_vec() })
}
