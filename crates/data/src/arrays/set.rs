//! Classes and splits of arrays.

use std::path::Path;

use residual_arch::TaskKind;

use super::labels::{Labels, answers, labels};
use super::pairs::{Pair, Paired, paired};
use super::pixels::raw_images;
use super::{idx, numpy};
use crate::classes::{LabelUse, classes, sort_labels};
use crate::hold_out::{HoldOut, divided};
use crate::listing::Listing;
use crate::records::{RawImage, Record, RecordSet, RecordSplit};
use crate::store::Location;
use crate::{Error, Note, OpenOptions, Split};

/// Classes of Fashion-MNIST (its README, "Labels"), in the order of the labels.
const FASHION: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Bytes that are kept of a column of labels.
const PER_COLUMN: u64 = 100;
/// Bytes that are kept of an image, beside its name.
const PER_IMAGE: u64 = 150;

/// Images and labels of a listing that are arrays; `None` where it holds none, or image files.
///
/// # Errors
/// [`Error::Array`], [`Error::NoArrays`], [`Error::SeveralSets`], [`Error::UnknownClass`]; those of reading the files.
pub(crate) fn find_arrays(listing: &mut Listing, options: &OpenOptions) -> Result<Option<RecordSet>, Error> {
    let mut candidates = match listing.images.is_empty() {
        true => idx::candidates(listing),
        false => Vec::new(),
    };
    if candidates.is_empty() {
        candidates = numpy::candidates(listing, options)?;
    }
    if candidates.is_empty() {
        return Ok(None);
    }
    let Paired { pairs, class_names, left_out } = paired(candidates, listing)?;
    let names = match class_names {
        Some(candidate) => {
            let array = candidate.open(listing)?;
            let names = labels(&array, listing)?;
            Some(names.rows.iter().map(|&place| names.texts[place as usize].0.clone()).collect())
        }
        None => fashion(listing).then(|| FASHION.map(str::to_owned).to_vec()),
    };
    let is_single = options.task.is_single_label();
    let columns = match (is_single, pairs.first()) {
        (false, Some(pair)) => columns_of(pair, names.as_deref(), listing)?,
        _ => Vec::new(),
    };
    let parts = pairs.into_iter().map(|pair| Part::open(pair, listing, options.task, &columns));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let (classes, places) = match is_single {
        true => numbered(&parts, names, listing)?,
        false => texts_of(&parts),
    };
    let mut set = RecordSet { classes, columns, ..RecordSet::default() };
    set.notes.extend((!left_out.is_empty()).then_some(Note::OtherArrays { arrays: left_out }));
    for (part, places) in parts.iter().zip(&places) {
        part.add(places, listing, &mut set.splits)?;
    }
    if let [RecordSplit { split: Split::Train, raw, .. }] = set.splits[..] {
        let train = set.splits.pop().map(|all| all.records).unwrap_or_default();
        let hold_out = HoldOut::new(options.holdout, options.split_seed)?;
        // Sets of classes and numbers are too many to hold out a share of each.
        let (train, val) = divided(train, hold_out, |record| if is_single { record.label } else { 0 });
        let parts = [(Split::Train, train), (Split::Val, val)];
        let parts = parts.into_iter().filter(|(_, records)| !records.is_empty());
        set.splits = parts.map(|(split, records)| RecordSplit { split, raw, records }).collect();
        set.held_out = true;
    }
    if set.splits.is_empty() {
        return Err(Error::NoClasses { path: listing.origin.clone(), found: "arrays without images".into() });
    }
    Ok(Some(set))
}

/// Images of an array with their labels.
struct Part {
    split: Split,
    raw: RawImage,
    /// Array of the images.
    title: String,
    file: String,
    blob: usize,
    offset: u64,
    labels: Labels,
    labels_file: String,
}

impl Part {
    /// Opens the two; `columns` are those of the labels of a task other than single label.
    fn open(pair: Pair, listing: &mut Listing, task: TaskKind, columns: &[String]) -> Result<Self, Error> {
        let (mut images, labelled) = (pair.images.open(listing)?, pair.labels.open(listing)?);
        if images.rows() != labelled.rows() {
            let (count, file) = (labelled.rows(), &labelled.file);
            return Err(images.wrong(format!("{} images, where {file} has {count} labels", images.rows())));
        }
        let raw = raw_images(&mut images, listing)?;
        let labels = match task.is_single_label() {
            true => labels(&labelled, listing)?,
            false => answers(&labelled, listing, task, columns)?,
        };
        Ok(Self {
            split: pair.split.unwrap_or(Split::Train),
            raw,
            title: images.name,
            file: images.file,
            blob: images.blob,
            offset: images.offset,
            labels,
            labels_file: labelled.file,
        })
    }

    /// Adds the images to those of their split; `places` are the classes of the labels.
    fn add(
        &self,
        places: &[usize],
        listing: &mut Listing,
        splits: &mut Vec<RecordSplit>,
    ) -> Result<(), Error> {
        if self.labels.rows.is_empty() {
            return Ok(());
        }
        if splits.last().is_none_or(|last| last.split != self.split) {
            splits.push(RecordSplit { split: self.split, raw: self.raw, records: Vec::new() });
        }
        let Some(target) = splits.last_mut() else { return Ok(()) };
        if target.raw != self.raw {
            let detail = "images of another size than those of the same split before it".into();
            return Err(Error::Array { file: self.file.clone(), detail });
        }
        let (rows, length) = (self.labels.rows.len(), self.raw.bytes() as u64);
        listing.charge(rows as u64 * (PER_IMAGE + self.title.len() as u64))?;
        target.records.reserve_exact(rows);
        for (row, &place) in self.labels.rows.iter().enumerate() {
            target.records.push(Record {
                name: format!("{}[{row}]", self.title),
                label: places[place as usize],
                location: Location::Span {
                    blob: self.blob,
                    offset: self.offset + row as u64 * length,
                    length,
                },
            });
        }
        Ok(())
    }
}

/// Names of the columns of labels: those of the classes, where there are as many; a single one is `label`.
fn columns_of(pair: &Pair, names: Option<&[String]>, listing: &mut Listing) -> Result<Vec<String>, Error> {
    let count = pair.labels.open(listing)?.row_elements();
    listing.charge(count as u64 * PER_COLUMN)?;
    Ok(match (count, names) {
        (1, _) => vec!["label".to_owned()],
        (count, Some(names)) if names.len() == count => names.to_vec(),
        (count, _) => (0..count).map(|column| column.to_string()).collect(),
    })
}

/// The texts of all answers, and for each part the place of each of its own among them.
fn texts_of(parts: &[Part]) -> (Vec<String>, Vec<Vec<usize>>) {
    let mut texts: Vec<String> =
        parts.iter().flat_map(|part| part.labels.texts.iter().map(|(text, _)| text.clone())).collect();
    sort_labels(&mut texts);
    let found: std::collections::HashMap<&str, usize> =
        texts.iter().enumerate().map(|(place, text)| (text.as_str(), place)).collect();
    let of_part = |part: &Part| part.labels.texts.iter().map(|(text, _)| found[text.as_str()]).collect();
    let places = parts.iter().map(of_part).collect();
    (texts, places)
}

/// Classes, and for each part the class of each of its different labels.
fn numbered(
    parts: &[Part],
    names: Option<Vec<String>>,
    listing: &Listing,
) -> Result<(Vec<String>, Vec<Vec<usize>>), Error> {
    if let Some(names) = names {
        let number = |part: &Part, (label, row): &(String, usize)| {
            let number = label.parse::<usize>().ok().filter(|&number| number < names.len());
            number.or_else(|| names.iter().position(|name| name == label)).ok_or_else(|| Error::Array {
                file: format!("{}[{row}]", part.labels_file),
                detail: format!(
                    "the label {label} is beyond the {} classes; help: count labels from 0",
                    names.len()
                ),
            })
        };
        let of_part = |part: &Part| part.labels.texts.iter().map(|label| number(part, label)).collect();
        let places = parts.iter().map(of_part).collect::<Result<_, _>>()?;
        return Ok((names, places));
    }
    let mut uses: Vec<LabelUse<'_>> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        for (label, row) in &part.labels.texts {
            uses.push(LabelUse { label, split: part.split, first: *row as u64, part: at });
        }
    }
    if uses.is_empty() {
        return Err(Error::NoClasses { path: listing.origin.clone(), found: "arrays without images".into() });
    }
    let classes = classes(&uses, |first| format!("{}[{}]", parts[first.part].labels_file, first.first))?;
    let places: std::collections::HashMap<&str, usize> =
        classes.iter().enumerate().map(|(place, class)| (class.as_str(), place)).collect();
    let of_part = |part: &Part| part.labels.texts.iter().map(|(label, _)| places[label.as_str()]).collect();
    let places = parts.iter().map(of_part).collect();
    Ok((classes, places))
}

/// True where a folder or file on the way is called like Fashion-MNIST: its files do not say which classes they hold.
fn fashion(listing: &Listing) -> bool {
    let path = Path::new(&listing.origin);
    let real = path.canonicalize().unwrap_or_default();
    let outside = [path, &real].into_iter().flat_map(Path::components);
    let outside = outside.map(|part| part.as_os_str().to_string_lossy().into_owned());
    let inside = listing
        .records
        .keys()
        .flat_map(|path| path.parts().map(|part| String::from_utf8_lossy(part).into_owned()));
    let is_named = |name: String| {
        let letters: String =
            name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
        letters.contains("fashionmnist")
    };
    outside.chain(inside).any(is_named)
}
