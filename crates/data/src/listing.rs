//! Listing of a folder or an archive by name, whatever its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use residual_files::{Budget, escaped, escaped_bytes};

use crate::path::{InnerPath, MAX_DEPTH, extension, is_hidden, is_image, is_record_file};
use crate::store::{Location, Store};
use crate::{Error, Note, OpenOptions};

/// Bytes that are kept of an image beside its name, counted generously.
const PER_IMAGE: u64 = 400;
/// Bytes that are kept of any other file or folder beside its name.
const PER_FOLDER: u64 = 150;

/// The files that matter, sorted by path, so that the order is the same everywhere.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Name of the whole in errors.
    pub(crate) origin: String,
    /// Files whose name is that of an image.
    pub(crate) images: BTreeMap<InnerPath, Location>,
    /// Files that may hold many images or their labels.
    pub(crate) records: BTreeMap<InnerPath, Location>,
    /// Folders, with or without images.
    pub(crate) folders: BTreeSet<InnerPath>,
    /// Files of no kind that is read, counted by folder and ending.
    pub(crate) others: BTreeMap<(InnerPath, String), Others>,
    /// Folders of training runs, which were taken out.
    pub(crate) runs: Vec<InnerPath>,
    /// Notes of what was noticed.
    pub(crate) notes: Vec<Note>,
    /// Store that the locations refer to.
    pub(crate) store: Store,
    /// Memory that the listing may still take.
    pub(crate) budget: Budget,
    /// Folders with files that a run has: a bit for its recipe, another for the rest.
    run_files: BTreeMap<InnerPath, u8>,
    skip_bad: bool,
    left_out: Counted,
    dead_links: Counted,
    link_loops: Counted,
    too_deep: Counted,
}

/// Files of one folder and ending that are not read.
#[derive(Clone, Debug)]
pub(crate) struct Others {
    pub(crate) count: usize,
    /// The first by name.
    pub(crate) first: String,
}

/// Count, and the first.
#[derive(Debug, Default)]
struct Counted {
    count: usize,
    first: String,
}

impl Counted {
    fn add(&mut self, text: impl ToString) {
        if self.count == 0 {
            self.first = text.to_string();
        }
        self.count += 1;
    }

    fn note(&self, note: impl FnOnce(usize, String) -> Note) -> Option<Note> {
        (self.count > 0).then(|| note(self.count, self.first.clone()))
    }
}

impl Listing {
    pub(crate) fn new(origin: String, options: &OpenOptions) -> Self {
        Self {
            origin,
            images: BTreeMap::new(),
            records: BTreeMap::new(),
            folders: BTreeSet::new(),
            others: BTreeMap::new(),
            runs: Vec::new(),
            notes: Vec::new(),
            store: Store::default(),
            budget: Budget::new(options.memory_limit),
            run_files: BTreeMap::new(),
            skip_bad: options.skip_bad,
            left_out: Counted::default(),
            dead_links: Counted::default(),
            link_loops: Counted::default(),
            too_deep: Counted::default(),
        }
    }

    /// Takes memory off the budget.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<(), Error> {
        let charged = self.budget.charge(bytes);
        charged.map_err(|_| Error::OverMemory { path: self.origin.clone(), limit: self.budget.limit() })
    }

    /// Notes a file. Of two files of one name the later counts, as when an archive is unpacked.
    pub(crate) fn add_file(&mut self, path: InnerPath, location: Location) -> Result<(), Error> {
        self.look_for_run(&path)?;
        if path.depth() == 0 || path.is_hidden() || self.is_too_deep(&path) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or_default();
        if is_image(path.last()) {
            self.charge(PER_IMAGE + 3 * path.bytes() as u64 + location.bytes())?;
            self.images.insert(path, location);
        } else if is_record_file(path.last()) {
            self.charge(PER_IMAGE + 3 * path.bytes() as u64 + location.bytes())?;
            self.records.insert(path, location);
        } else {
            self.add_other(&path)?;
        }
        self.add_folder(folder)
    }

    /// Counts a file of no kind that is read.
    fn add_other(&mut self, path: &InnerPath) -> Result<(), Error> {
        let key = (path.parent().unwrap_or_default(), ending(path.last()));
        if !self.others.contains_key(&key) {
            self.charge(PER_FOLDER + 2 * path.bytes() as u64)?;
        }
        let first = || path.text();
        let other = self.others.entry(key).or_insert_with(|| Others { count: 0, first: first() });
        other.count += 1;
        // Folders are read in any order.
        if other.first > first() {
            other.first = first();
        }
        Ok(())
    }

    /// Counts the files that may hold many images, and do not, with the others.
    pub(crate) fn count_records_as_others(&mut self) -> Result<(), Error> {
        let records = std::mem::take(&mut self.records);
        records.keys().try_for_each(|path| self.add_other(path))
    }

    /// Notes a folder and those above it.
    pub(crate) fn add_folder(&mut self, path: InnerPath) -> Result<(), Error> {
        if path.is_hidden() || self.is_too_deep(&path) {
            return Ok(());
        }
        let mut next = Some(path);
        while let Some(folder) = next.filter(|folder| folder.depth() > 0 && !self.folders.contains(folder)) {
            self.charge(PER_FOLDER + folder.bytes() as u64)?;
            next = folder.parent();
            self.folders.insert(folder);
        }
        Ok(())
    }

    fn is_too_deep(&mut self, path: &InnerPath) -> bool {
        let deep = path.depth() > MAX_DEPTH;
        if deep {
            self.too_deep.add(path.up_to(MAX_DEPTH));
        }
        deep
    }

    /// Something that keeps one file or folder from being read: an error, unless such are left out.
    pub(crate) fn fault(&mut self, error: Error) -> Result<(), Error> {
        if !self.skip_bad {
            return Err(error);
        }
        self.left_out.add(error);
        Ok(())
    }

    /// Notes a link that cannot be followed: a fault where it may be an image or a folder of them.
    pub(crate) fn dead_link(&mut self, path: &InnerPath, error: Error) -> Result<(), Error> {
        let name = path.last();
        if path.is_hidden() {
            return Ok(());
        }
        if is_image(name) || extension(name).is_empty() {
            return self.fault(error);
        }
        self.dead_links.add(error);
        Ok(())
    }

    /// Notes a link to a folder that it is in.
    pub(crate) fn link_loop(&mut self, path: &InnerPath) {
        self.link_loops.add(path);
    }

    /// Remembers files that tell the folder of a run.
    fn look_for_run(&mut self, path: &InnerPath) -> Result<(), Error> {
        let bit = match path.last() {
            b"recipe.toml" | b"study.toml" => 1,
            b"metrics.jsonl" | b"last.safetensors" | b"best.safetensors" | b".lock" | b"results.jsonl" => 2,
            _ => return Ok(()),
        };
        self.charge(PER_FOLDER + path.bytes() as u64)?;
        *self.run_files.entry(path.parent().unwrap_or_default()).or_default() |= bit;
        Ok(())
    }

    /// Takes out the folders of training runs, with those that hold nothing else, and collects the notes. What was
    /// named as the data is never taken for a run.
    pub(crate) fn finish(mut self) -> Self {
        let found = std::mem::take(&mut self.run_files).into_iter();
        self.runs =
            found.filter(|(path, bits)| *bits == 3 && path.depth() > 0).map(|(path, _)| path).collect();
        for run in self.runs.clone() {
            self.remove(&run);
            let mut above = run.parent();
            while let Some(folder) = above.filter(|folder| folder.depth() > 0 && !self.has_images(folder)) {
                self.remove(&folder);
                above = folder.parent();
            }
        }
        let notes = [
            self.runs.first().map(|first| Note::Runs { count: self.runs.len(), first: first.to_string() }),
            self.link_loops.note(|count, first| Note::LinkLoops { count, first }),
            self.dead_links.note(|count, first| Note::DeadLinks { count, first }),
            self.too_deep.note(|count, first| Note::TooDeep { count, first }),
            self.left_out.note(|count, first| Note::LeftOut { count, first }),
        ];
        self.notes.extend(notes.into_iter().flatten());
        self
    }

    fn has_images(&self, folder: &InnerPath) -> bool {
        self.images.range(folder..).next().is_some_and(|(path, _)| path.is_within(folder))
    }

    /// Takes out all that is in a folder, and itself.
    fn remove(&mut self, folder: &InnerPath) {
        self.records.retain(|path, _| !path.is_within(folder));
        self.others.retain(|(path, _), _| !path.is_within(folder));
        let images = self.images.range(folder..).map(|(path, _)| path);
        let images: Vec<_> = images.take_while(|path| path.is_within(folder)).cloned().collect();
        images.iter().for_each(|path| drop(self.images.remove(path)));
        self.folders.retain(|path| !path.is_within(folder));
    }
}

/// A name's ending as notes give it: `.heic`; `without an ending` where there is none that says a kind.
fn ending(name: &[u8]) -> String {
    const LONGEST: usize = 12;
    match extension(name) {
        kind if kind.is_empty() || kind.len() > LONGEST => "without an ending".to_owned(),
        kind => format!(".{}", escaped_bytes(&kind.to_ascii_lowercase())),
    }
}

/// Name of a path for errors and origins.
pub(crate) fn shown(path: &Path) -> String {
    escaped(path).to_string()
}

/// Test for the name of a file or folder that is left out of data and of `predict FOLDER` without a word: hidden, or
/// made by a program for itself.
pub fn is_hidden_name(name: &std::ffi::OsStr) -> bool {
    is_hidden(name.as_encoded_bytes())
}

/// Test for the name of an image file: `.jpg`, `.jpeg`, `.jpe`, `.jfif`, `.png`, `.apng`, `.webp`, `.bmp`, `.dib`, `.gif`,
/// `.tif`, `.tiff` or `.npy`, in small or capital letters.
pub fn is_image_name(name: &std::ffi::OsStr) -> bool {
    is_image(name.as_encoded_bytes())
}
