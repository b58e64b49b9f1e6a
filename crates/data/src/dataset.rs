//! Data sets of labelled images, opened and read image by image.

mod answered;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use residual_arch::TaskKind;
use residual_arch::published::{imagenet, imagenet_synsets};
use residual_files::escaped;

use crate::answers::Answers;
use crate::hold_out::HoldOut;
use crate::listing::Listing;
use crate::lists::{ListedAt, ListedImage, is_list, open_list};
use crate::note::classes_summary;
use crate::open::list;
use crate::records::{RawImage, Record, RecordSplit, find_records};
use crate::remarks::Remarks;
use crate::shards::{self, Found, Samples, ShardKind};
use crate::source::{one_hot, shuffled};
use crate::store::{Location, Store};
use crate::{
    ChoosePart, DataSource, Error, Image, Note, OpenOptions, Source, Split, Stamp, decode_part, layout,
    sample, table, webdataset,
};

/// Labelled images, in splits.
///
/// What is understood, told apart by content:
///
/// - a folder with `train/CLASS/IMAGE` and `val` or `test` beside it, in the common spellings (`Training`,
///   `validation`, `dev`, `testing`, ...), also with other words that all of them share: `seg_train` and
///   `seg_test`, `train2017` and `val2017`;
/// - a folder with `CLASS/IMAGE`: a seeded part of each class is held out as `val`;
/// - either of these in a `.tar` or `.zip`, which is read in place, or in a `.tar.gz`, whose image
///   files are held in memory as they are;
/// - a list of paths and labels: CSV, TSV or JSON Lines, or `PATH LABEL` lines in a `.txt`. Columns are found by their
///   usual names ([`Columns`](crate::Columns) names others), paths count from the list's folder
///   ([`OpenOptions::root`]); splits are a column, or lists beside (`val.csv` of `train.csv`), else a part is held out;
/// - Parquet tables as Hugging Face's `datasets`, pandas or polars write them: a file, a folder of
///   `train-00000-of-00005.parquet` and `test-...`, or a repository as downloaded. Images are a column of structures of
///   `bytes` and `path`, of bytes or of paths, labels one of numbers, with the names that `datasets` keeps, or of names;
/// - shards of WebDataset, tar archives of `0001.jpg` and `0001.cls` or `0001.json`: one, a folder of them, or a name
///   with braces, `train-{000..010}.tar`, `{train,val}-0.tar`;
/// - CIFAR-10 and CIFAR-100 as downloaded, binary or python, packed or unpacked; of CIFAR-100 the fine labels, or the
///   coarse ones with a [`Columns::label`](crate::Columns::label) of `coarse`;
/// - MNIST and other pairs of IDX files, gzipped or not: a folder of them, or one of the files;
/// - arrays of NumPy, an `.npz` or a folder of `.npy`: `x_train` and `y_train`, `val_images` and `val_labels`, or named
///   by [`Columns`](crate::Columns).
///
/// Tables and shards are read in place: of tables, the parts that are asked for are held in memory, 512 MiB at most,
/// and an epoch is shuffled across parts and within those that are held ([`Source::order`]).
///
/// All of it may be inside one more folder. Images may be in folders below their class. Classes are
/// the folders' names, sorted; images are sorted by path: a data set is the same everywhere. Names are
/// bytes; where they are not plain text they are shown escaped, so that no two are the same.
///
/// Links are followed, in archives too as long as they lead to a member. Hidden files, what programs
/// make for themselves (`__pycache__`, `@eaDir`), and the folders of training runs are left out, and
/// so are files whose names are not those of images: [`notes`](Self::notes) say what would be missed.
///
/// ```
/// use residual_data::{Dataset, Split};
/// let dataset = Dataset::sample()?;
/// assert_eq!(dataset.classes.len(), 10);
/// let train = dataset.split(Split::Train)?;
/// assert_eq!(train.len(), 5000);
/// assert_eq!((&*train.name(0), train.label(0)), ("train/airplane/0000.jpg", 0));
/// assert_eq!(train.read(0)?.width(), 32);
/// # Ok::<(), residual_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Names of the classes, in which a label is a place; or of the targets of a regression.
    pub classes: Vec<String>,
    origin: String,
    splits: Vec<(Split, ImageSet)>,
    notes: Vec<Note>,
    /// True for a folder of classes, of which a part could be held out.
    held_out: bool,
}

impl Dataset {
    /// Opens data: lists them and reads the labels. Images are decoded when they are read.
    ///
    /// # Errors
    /// Any that concerns the whole: the path, the archive, the classes ([`Error`] has a variant for
    /// each), [`Error::InvalidOption`] for a `holdout` outside 0 to 1.
    pub fn open(source: &DataSource, options: &OpenOptions) -> Result<Self, Error> {
        HoldOut::new(options.holdout, options.split_seed)?;
        match source {
            DataSource::Sample => {
                let mut sample = Self::sample()?;
                let shadowed = std::path::Path::new("sample").exists();
                sample.notes.extend(shadowed.then_some(Note::SampleShadowed));
                sample.of_names(options.task)
            }
            DataSource::Path(path) if is_list(path) && path.is_file() => Self::of_list(path, options),
            DataSource::Path(path) => match shards::find(path)? {
                Some(found) => Self::of_shards(found, options),
                None => Self::of_listing(list(path, options)?, options),
            },
        }
    }

    /// Embedded sample: ten classes of CIFAR-10 (Krizhevsky 2009) as JPEG files, 500 training
    /// and 100 test images each.
    ///
    /// # Errors
    /// [`Error::NoSample`] for a build without the feature `sample`.
    pub fn sample() -> Result<Self, Error> {
        Self::of_listing(sample::list()?, &OpenOptions::default())
    }

    fn of_list(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let listed = open_list(path, options)?;
        let origin = escaped(path).to_string();
        let shared = Arc::new(Shared {
            origin: origin.clone(),
            store: Store::default(),
            remarks: Remarks::default(),
            lists: listed.lists,
        });
        let classes: Arc<[String]> = listed.classes.clone().into();
        let entry = |ListedImage { name, file, label, at }| Entry {
            name,
            label,
            listed: Some(at),
            location: Location::File(file),
        };
        let set = |(split, images): (Split, Vec<ListedImage>)| {
            let entries = images.into_iter().map(entry).collect();
            let items = Items::Listed(entries);
            (
                split,
                ImageSet {
                    shared: shared.clone(),
                    classes: classes.clone(),
                    answers: None,
                    items,
                    raw: None,
                },
            )
        };
        let splits = listed.splits.into_iter().map(set).collect();
        let data =
            Self { classes: listed.classes, origin, splits, notes: listed.notes, held_out: listed.held_out };
        data.answered(options.task, &listed.columns)
    }

    fn of_shards(found: Found, options: &OpenOptions) -> Result<Self, Error> {
        let content = match found.kind {
            ShardKind::Tar => webdataset::open(found, options)?,
            ShardKind::Parquet => table::open(found, options)?,
        };
        let shards::Arranged { origin, classes, columns, splits, notes, held_out } =
            shards::arrange(content, options)?;
        let shared = Shared::new(origin.clone(), Store::default());
        let names: Arc<[String]> = classes.clone().into();
        let set = |(split, samples)| {
            let items = Items::Stored(samples);
            (
                split,
                ImageSet { shared: shared.clone(), classes: names.clone(), answers: None, items, raw: None },
            )
        };
        let splits = splits.into_iter().map(set).collect();
        Self { classes, origin, splits, notes, held_out }.answered(options.task, &columns)
    }

    fn of_listing(mut listing: Listing, options: &OpenOptions) -> Result<Self, Error> {
        let origin = listing.origin.clone();
        let mut notes = std::mem::take(&mut listing.notes);
        if let Some(found) = find_records(&mut listing, options)? {
            notes.extend(found.notes);
            let store = std::mem::take(&mut listing.store);
            let shared = Shared::new(origin.clone(), store);
            let names: Arc<[String]> = found.classes.clone().into();
            let set = |RecordSplit { split, raw, records }| {
                let entry = |Record { name, label, location }| Entry { name, label, listed: None, location };
                let items = Items::Listed(records.into_iter().map(entry).collect());
                (
                    split,
                    ImageSet {
                        shared: shared.clone(),
                        classes: names.clone(),
                        answers: None,
                        items,
                        raw: Some(raw),
                    },
                )
            };
            let (splits, held_out) = (found.splits.into_iter().map(set).collect(), found.held_out);
            let data = Self { classes: found.classes, origin, splits, notes, held_out };
            return match found.columns.as_slice() {
                [] => data.of_names(options.task),
                columns => data.answered(options.task, columns),
            };
        }
        listing.count_records_as_others()?;
        let arranged = layout::arrange(&listing, options)?;
        notes.extend(arranged.notes);
        let mut located = Vec::new();
        for (split, images) in arranged.splits {
            // Every path comes from the listing, and is in one split only.
            let entry = |(path, label)| {
                let location = listing.images.remove(&path)?;
                Some(Entry { name: path.text(), label, listed: None, location })
            };
            located.push((split, images.into_iter().filter_map(entry).collect()));
        }
        let shared = Shared::new(origin.clone(), listing.store);
        let names: Arc<[String]> = arranged.classes.clone().into();
        let set = |(split, entries)| {
            let items = Items::Listed(entries);
            (
                split,
                ImageSet { shared: shared.clone(), classes: names.clone(), answers: None, items, raw: None },
            )
        };
        let splits = located.into_iter().map(set).collect();
        let data = Self { classes: arranged.classes, origin, splits, notes, held_out: arranged.held_out };
        data.of_names(options.task)
    }

    /// Notes of what was noticed while the data were opened, for whoever uses them.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Number of classes, and the names of the first ten: `3 classes: cat, cow, dog`.
    pub fn classes_summary(&self) -> String {
        classes_summary(&self.classes)
    }

    /// Splits that there are, in order.
    pub fn splits(&self) -> Vec<Split> {
        self.splits.iter().map(|(split, _)| *split).collect()
    }

    /// Split that answers for `wanted`: itself, or `test` for `val` and `val` for `test`, since
    /// many data sets have only one of the two.
    ///
    /// # Errors
    /// [`Error::MissingSplit`], which lists the splits there are.
    pub fn resolve(&self, wanted: Split) -> Result<Split, Error> {
        let other = match wanted {
            Split::Train => Split::Train,
            Split::Val => Split::Test,
            Split::Test => Split::Val,
        };
        let present = self.splits();
        let found = [wanted, other].into_iter().find(|split| present.contains(split));
        let missing = || Error::MissingSplit {
            path: self.origin.clone(),
            wanted,
            present: present.clone(),
            held_out: self.held_out,
        };
        found.ok_or_else(missing)
    }

    /// Images of a split, or of the one that answers for it ([`resolve`](Self::resolve)).
    ///
    /// # Errors
    /// As `resolve`.
    pub fn split(&self, wanted: Split) -> Result<ImageSet, Error> {
        let resolved = self.resolve(wanted)?;
        let found = self.splits.iter().find(|(split, _)| *split == resolved);
        found.map(|(_, set)| set.clone()).ok_or_else(|| Error::MissingSplit {
            path: self.origin.clone(),
            wanted,
            present: self.splits(),
            held_out: self.held_out,
        })
    }

    /// Checks that a classifier can be trained on these data.
    ///
    /// # Errors
    /// [`Error::OneClass`]; [`Error::MissingSplit`] without training images.
    pub fn check_trainable(&self) -> Result<(), Error> {
        self.resolve(Split::Train)?;
        match self.classes.as_slice() {
            [class] if self.task().is_single_label() => {
                Err(Error::OneClass { path: self.origin.clone(), class: class.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Data with labels that count in another list of classes: that of a network which
    /// has them in another order, or more of them. For ImageNet's names, classes may be called by WordNet's identifiers
    /// (`n01440764`), as the folders of its images are.
    ///
    /// # Errors
    /// [`Error::UnknownClass`] for a class that is not in the list.
    pub fn with_classes(mut self, classes: &[String]) -> Result<Self, Error> {
        let places: HashMap<&str, usize> =
            classes.iter().enumerate().rev().map(|(place, class)| (class.as_str(), place)).collect();
        let synsets: HashMap<&str, usize> = match classes.iter().eq(imagenet()) {
            true => imagenet_synsets().iter().enumerate().map(|(place, &synset)| (synset, place)).collect(),
            false => HashMap::new(),
        };
        let place =
            |class: &String| places.get(class.as_str()).or_else(|| synsets.get(class.as_str())).copied();
        let unknown: Vec<String> =
            self.classes.iter().filter(|class| place(class).is_none()).cloned().collect();
        if !unknown.is_empty() {
            return Err(Error::UnknownClass { path: self.origin, unknown, known: classes.to_vec() });
        }
        let labels: Vec<usize> = self.classes.iter().filter_map(place).collect();
        let lacks_targets = self.task() == TaskKind::Regression && labels.len() != classes.len();
        if lacks_targets {
            let reason = format!("{} targets, and the network has {}", labels.len(), classes.join(", "));
            return Err(Error::Answer { path: self.origin, reason });
        }
        let relabel = |entry: &Entry| Entry { label: labels[entry.label], ..entry.clone() };
        let names: Arc<[String]> = classes.into();
        let splits = std::mem::take(&mut self.splits).into_iter().map(|(split, set)| {
            if let Some(answers) = &set.answers {
                let answers = Some(Arc::new(answers.moved(&labels, classes.len())));
                return (split, ImageSet { classes: names.clone(), answers, ..set });
            }
            let items = match set.items {
                Items::Listed(entries) => Items::Listed(entries.iter().map(relabel).collect()),
                Items::Stored(samples) => Items::Stored(samples.relabelled(&labels)),
            };
            (split, ImageSet { classes: names.clone(), items, ..set })
        });
        Ok(Self { classes: classes.to_vec(), splits: splits.collect(), ..self })
    }
}

#[derive(Debug)]
struct Shared {
    origin: String,
    store: Store,
    remarks: Remarks,
    /// Lists that name the images, as errors name them.
    lists: Vec<String>,
}

impl Shared {
    fn new(origin: String, store: Store) -> Arc<Self> {
        Arc::new(Self { origin, store, remarks: Remarks::default(), lists: Vec::new() })
    }
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    label: usize,
    /// Place in the lists, where there are any.
    listed: Option<ListedAt>,
    location: Location,
}

/// Images of one split of a [`Dataset`]. A clone shares everything.
#[derive(Clone, Debug)]
pub struct ImageSet {
    shared: Arc<Shared>,
    classes: Arc<[String]>,
    /// Answers about the images, where they are more than a class.
    answers: Option<Arc<Answers>>,
    items: Items,
    /// Form of the images where they are bare pixels, not image files.
    raw: Option<RawImage>,
}

#[derive(Clone, Debug)]
enum Items {
    /// Files, members of an archive, records of bare pixels.
    Listed(Arc<[Entry]>),
    /// Images of shards and tables.
    Stored(Samples),
}

impl Items {
    fn label(&self, index: usize) -> usize {
        match self {
            Self::Listed(entries) => entries[index].label,
            Self::Stored(samples) => samples.label(index),
        }
    }
}

impl ImageSet {
    /// Number of images; never 0 in a split of a [`Dataset`].
    pub fn len(&self) -> usize {
        match &self.items {
            Items::Listed(entries) => entries.len(),
            Items::Stored(samples) => samples.len(),
        }
    }

    /// True where there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Label of image `index`; of several the first, and 0 where there is none.
    ///
    /// # Panics
    /// Where `index` is not below [`len`](Self::len).
    pub fn label(&self, index: usize) -> usize {
        let label = self.items.label(index);
        self.answers.as_ref().map_or(label, |answers| answers.first(label))
    }

    /// Task that the images are labelled for.
    pub fn task(&self) -> TaskKind {
        self.answers.as_ref().map_or(TaskKind::SingleLabel, |answers| answers.kind)
    }

    /// Path of image `index` inside the folder or archive, such as `train/cat/0001.jpg`;
    /// `data_batch_1[17]` in CIFAR-10's own archives, `x_train[17]` in arrays; the shard and the member, or the table and
    /// the row, in shards.
    ///
    /// # Panics
    /// Where `index` is not below [`len`](Self::len).
    pub fn name(&self, index: usize) -> Cow<'_, str> {
        match &self.items {
            Items::Listed(entries) => entries[index].name.as_str().into(),
            Items::Stored(samples) => samples.name(index).into(),
        }
    }

    /// Place of image `index` as errors name it: its path on disk, or the archive and its name there.
    ///
    /// # Panics
    /// Where `index` is not below [`len`](Self::len).
    pub fn file(&self, index: usize) -> String {
        let entry = match &self.items {
            Items::Listed(entries) => &entries[index],
            Items::Stored(samples) => return samples.file(index),
        };
        match (&entry.location, entry.listed) {
            (Location::File(path), Some(ListedAt { list, line })) => {
                format!("{}, line {line}: {}", self.shared.lists[list as usize], escaped(path))
            }
            (Location::File(path), None) => escaped(path).to_string(),
            _ => format!("{}: {}", self.shared.origin, self.name(index)),
        }
    }

    fn check_index(&self, index: usize) -> Result<(), Error> {
        match self.len() {
            len if index < len => Ok(()),
            len => Err(Error::NoSuchImage { path: self.shared.origin.clone(), index, len }),
        }
    }

    /// Error of a file that is not there or cannot be read, with the line of the list that names it.
    fn in_list(&self, index: usize, entry: &Entry, error: Error) -> Error {
        let found = match &error {
            Error::NotFound { .. } => "no such file".to_owned(),
            Error::Unreadable { source, .. } => format!("cannot be read: {source}"),
            Error::NotRegular { kind, .. } => format!("{kind}, not a regular file"),
            _ => return error,
        };
        match entry.listed {
            Some(_) => Error::ListedImage { file: self.file(index), found },
            None => error,
        }
    }

    /// Reads image `index` as it is stored: an image file, or bare pixels.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::FileTooLarge`]; [`Error::NoSuchImage`].
    pub fn bytes(&self, index: usize) -> Result<Cow<'_, [u8]>, Error> {
        self.check_index(index)?;
        let entry = match &self.items {
            Items::Listed(entries) => &entries[index],
            Items::Stored(samples) => return samples.bytes(index),
        };
        self.shared
            .store
            .read(&entry.location, &self.file(index))
            .map_err(|error| self.in_list(index, entry, error))
    }

    /// Notes of what was noticed in the images that were read so far.
    pub fn notes(&self) -> Vec<Note> {
        self.shared.remarks.notes()
    }

    /// Size, time and checksum of image `index`, without reading it: whether it is the one that it was.
    ///
    /// # Errors
    /// [`Error::Unreadable`]; [`Error::NoSuchImage`].
    pub fn stamp(&self, index: usize) -> Result<Stamp, Error> {
        self.check_index(index)?;
        let entry = match &self.items {
            Items::Listed(entries) => &entries[index],
            Items::Stored(samples) => return samples.stamp(index),
        };
        self.shared
            .store
            .stamp(&entry.location, &self.file(index))
            .map_err(|error| self.in_list(index, entry, error))
    }

    /// Reads and decodes image `index`.
    ///
    /// # Errors
    /// Those of [`decode`](crate::decode()), [`Error::Unreadable`], [`Error::FileTooLarge`]; [`Error::NoSuchImage`].
    pub fn read(&self, index: usize) -> Result<Image, Error> {
        self.image_of(index, &self.bytes(index)?)
    }

    /// Decodes the [`bytes`](Self::bytes) of image `index`.
    pub(crate) fn image_of(&self, index: usize, bytes: &[u8]) -> Result<Image, Error> {
        self.part_of(index, bytes, &|_, _| None)
    }

    fn part_of(&self, index: usize, bytes: &[u8], choose: &ChoosePart<'_>) -> Result<Image, Error> {
        let file = self.file(index);
        if let Some(raw) = self.raw {
            return raw.image(bytes).ok_or(Error::TruncatedImage { file });
        }
        let image = decode_part(bytes, &file, choose)?;
        self.shared.remarks.look_at(&image, &file);
        Ok(image)
    }

    /// True where the bytes of an image are those of an image file; false where they are pixels.
    pub(crate) fn holds_files(&self) -> bool {
        self.raw.is_none()
    }
}

impl Source for ImageSet {
    fn len(&self) -> usize {
        self.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> usize {
        self.label(index)
    }

    fn task(&self) -> TaskKind {
        self.task()
    }

    fn targets(&self, index: usize) -> Vec<f64> {
        match &self.answers {
            Some(answers) => answers.targets(self.items.label(index)),
            None => one_hot(self.label(index), self.classes.len()),
        }
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        self.read(index)
    }

    fn image_part(&self, index: usize, choose: &ChoosePart<'_>) -> Result<Image, Error> {
        self.part_of(index, &self.bytes(index)?, choose)
    }

    fn name(&self, index: usize) -> Cow<'_, str> {
        self.name(index)
    }

    fn file(&self, index: usize) -> String {
        self.file(index)
    }

    fn notes(&self) -> Vec<Note> {
        self.notes()
    }

    fn stamp(&self, index: usize) -> Result<Option<Stamp>, Error> {
        self.stamp(index).map(Some)
    }

    fn order(&self, seed: u64, epoch: u64) -> Vec<usize> {
        match &self.items {
            Items::Listed(entries) => shuffled(entries.len(), seed, epoch),
            Items::Stored(samples) => samples.order(seed, epoch),
        }
    }

    fn bytes(&self, index: usize) -> Result<Cow<'_, [u8]>, Error> {
        self.bytes(index)
    }
}
