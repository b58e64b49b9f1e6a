//! CIFAR-10 as it is downloaded: the binary and the python version, packed or unpacked.
//!
//! Binary: `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, records of one label and
//! 3 x 32 x 32 bytes. Python: the same names without `.bin`, each the pickle of a dictionary with
//! `labels` and `data`, a numpy array `[n, 3072]`. Both hold an image as planes, CHW.

use residual_pickle::{Pickled, budget, interpret};

use crate::listing::{Listing, Parts};
use crate::numpy::byte_array;
use crate::store::{Location, Store};
use crate::{Error, Image, Split};

const SIDE: usize = 32;
/// Bytes of one image.
const IMAGE: usize = 3 * SIDE * SIDE;
const TRAIN_BATCHES: usize = 5;
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Record of one image: its name, its label, and the location of its planes.
pub(crate) type Record = (String, usize, Location);

/// Classes, and the records of each split.
pub(crate) type Contents = (Vec<String>, Vec<(Split, Vec<Record>)>);

/// Image of the planes of a record. `None` for another number of bytes.
pub(crate) fn image_of_planes(planes: &[u8]) -> Option<Image> {
    let plane = SIDE * SIDE;
    if planes.len() != IMAGE {
        return None;
    }
    let pixels = (0..plane).flat_map(|i| [planes[i], planes[plane + i], planes[2 * plane + i]]).collect();
    Image::new(SIDE, SIDE, 3, pixels).ok()
}

/// Classes and records of a listing of batches: reads the labels and finds the images.
pub(crate) fn arrange(listing: &mut Listing) -> Result<Contents, Error> {
    let origin = listing.origin.clone();
    let batches: Vec<(Parts, Location)> = listing
        .cifar
        .iter()
        .filter(|(parts, _)| parts.last().is_some_and(|name| !name.starts_with("batches.meta")))
        .map(|(parts, location)| (parts.clone(), location.clone()))
        .collect();
    let folder = batches.first().map_or(&[][..], |(parts, _)| &parts[..parts.len() - 1]).to_vec();
    let mut train = Vec::new();
    let mut test = Vec::new();
    let mut found = 0;
    for (parts, location) in batches {
        let (above, name) = (&parts[..parts.len() - 1], &parts[parts.len() - 1]);
        if above != folder {
            continue;
        }
        let file = format!("{origin}: {}", parts.join("/"));
        let records = read_batch(&mut listing.store, &location, name, &file)?;
        if name.starts_with("test_batch") {
            test.extend(records);
        } else {
            found += 1;
            train.extend(records);
        }
    }
    if found != 0 && found != TRAIN_BATCHES {
        let detail = format!("{found} training batches, expected data_batch_1 to data_batch_{TRAIN_BATCHES}");
        return Err(Error::Cifar { path: origin, detail });
    }
    let classes = class_names(listing, &folder)?;
    let splits = [(Split::Train, train), (Split::Test, test)];
    Ok((classes, splits.into_iter().filter(|(_, records)| !records.is_empty()).collect()))
}

fn read_batch(store: &mut Store, location: &Location, name: &str, file: &str) -> Result<Vec<Record>, Error> {
    let wrong = |detail: String| Error::Cifar { path: file.into(), detail };
    let (blob, start, length) = store.pin(location, file)?;
    let bytes = store.read(&Location::Span { blob, offset: start, length }, file)?;
    let (labels, images): (Vec<i64>, Vec<usize>) = if name.ends_with(".bin") {
        let record = IMAGE + 1;
        if bytes.is_empty() || bytes.len() % record != 0 {
            let detail =
                format!("{} bytes are not a whole number of records of {record}; truncated?", bytes.len());
            return Err(wrong(detail));
        }
        let labels = bytes.iter().step_by(record).map(|&label| i64::from(label)).collect();
        (labels, (0..bytes.len() / record).map(|i| i * record + 1).collect())
    } else {
        let pickled = interpret(&bytes, &mut budget()).map_err(|error| wrong(error.to_string()))?;
        python_batch(&pickled).map_err(|detail| wrong(detail.into()))?
    };
    let mut records = Vec::with_capacity(labels.len());
    for (i, (label, offset)) in labels.into_iter().zip(images).enumerate() {
        let valid = usize::try_from(label).ok().filter(|&label| label < CLASSES.len());
        let label = valid.ok_or_else(|| wrong(format!("image {i} has the label {label}, beyond 9")))?;
        let location = Location::Span { blob, offset: start + offset as u64, length: IMAGE as u64 };
        records.push((format!("{}[{i}]", name.trim_end_matches(".bin")), label, location));
    }
    Ok(records)
}

/// Labels, and the first byte of each image.
fn python_batch(pickled: &Pickled<'_>) -> Result<(Vec<i64>, Vec<usize>), &'static str> {
    let heap = &pickled.heap;
    let labels =
        pickled.entry("labels").and_then(|id| heap.sequence(id)).ok_or("there is no list `labels`")?;
    let data = pickled.entry("data").and_then(|id| byte_array(pickled, id));
    let (shape, range) = data.ok_or("there is no numpy array `data` of uint8")?;
    // Checked first: there are no more labels than images.
    if shape != [labels.len(), IMAGE] {
        return Err("`data` is not [number of labels, 3072]");
    }
    let labels: Option<Vec<i64>> = labels.iter().map(|&id| heap.int(id)).collect();
    let labels = labels.ok_or("`labels` holds something other than numbers")?;
    let starts = (0..labels.len()).map(|i| range.start + i * IMAGE).collect();
    Ok((labels, starts))
}

/// The names in `batches.meta`, where there are ten; CIFAR-10's otherwise.
fn class_names(listing: &Listing, folder: &[String]) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for (parts, location) in &listing.cifar {
        let (Some(name), true) = (parts.last(), parts[..parts.len() - 1] == *folder) else { continue };
        if !name.starts_with("batches.meta") {
            continue;
        }
        let file = format!("{}: {}", listing.origin, parts.join("/"));
        let bytes = listing.store.read(location, &file)?;
        names = if name.ends_with(".txt") {
            let text = String::from_utf8_lossy(&bytes);
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            // One too many says as much as a million.
            lines.take(CLASSES.len() + 1).map(shortened).collect()
        } else {
            let wrong =
                |error: residual_pickle::Error| Error::Cifar { path: file, detail: error.to_string() };
            let pickled = interpret(&bytes, &mut budget()).map_err(wrong)?;
            let heap = &pickled.heap;
            let list = pickled.entry("label_names").and_then(|id| heap.sequence(id)).unwrap_or(&[]);
            let names = list.iter().take(CLASSES.len() + 1).filter_map(|&id| heap.bytes(id));
            names.map(|name| shortened(&String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]))).collect()
        };
    }
    Ok(if names.len() == CLASSES.len() { names } else { CLASSES.map(str::to_owned).to_vec() })
}

/// The longest name of a class, in bytes.
const MAX_NAME: usize = 256;

/// A name, cut where it is longer than any.
fn shortened(name: &str) -> String {
    name.char_indices().nth(MAX_NAME).map_or(name, |(end, _)| &name[..end]).to_owned()
}
