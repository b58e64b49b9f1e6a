//! Files of a set of shards, and the splits that their names say.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::pattern::expand;
use crate::listing::{is_hidden_name, is_image_name, shown};
use crate::lists::split_siblings;
use crate::split_name::split_name;
use crate::{Error, Note, Split, webdataset};

/// Folders below this many others are not looked at: `CONFIGURATION/data/train`.
const DEPTH: usize = 3;

/// Folders of pictures about the data, beside tables and shards.
const ABOUT: [&str; 4] = ["assets", "docs", "figures", "images"];

/// Kind of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShardKind {
    /// Tar archives as WebDataset writes them.
    Tar,
    /// Parquet tables.
    Parquet,
}

/// File of a set of shards.
#[derive(Clone, Debug)]
pub(crate) struct ShardFile {
    pub(crate) path: PathBuf,
    /// Path from the folder of the data.
    pub(crate) name: String,
    pub(crate) split: Split,
}

/// Set of shards, in the order of its images.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) kind: ShardKind,
    pub(crate) origin: String,
    pub(crate) files: Vec<ShardFile>,
    pub(crate) notes: Vec<Note>,
    /// True where no name says a split.
    pub(crate) is_one_split: bool,
}

/// Finds the shards that a path stands for: one file, a name with braces, or a folder of them. `None` where it is
/// something else.
///
/// # Errors
/// [`Error::NotFound`] for one that is missing; [`Error::CompressedShards`], [`Error::SeveralSets`].
pub(crate) fn find(path: &Path) -> Result<Option<Found>, Error> {
    let found = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => in_folder(path)?,
        Ok(metadata) if metadata.is_file() => of_file(path)?,
        Ok(_) => None,
        Err(_) => expand(path)?.map(|files| of_pattern(path, files)).transpose()?,
    };
    found.map(|(kind, files)| with_splits(path, kind, files)).transpose()
}

type Files = (ShardKind, Vec<(PathBuf, String)>);

fn of_file(path: &Path) -> Result<Option<Files>, Error> {
    let mut start = Vec::new();
    let file = residual_files::open(path).map_err(|error| Error::file(path, error))?;
    file.take(512).read_to_end(&mut start).map_err(|source| Error::io(path, source))?;
    let kind = if start.starts_with(b"PAR1") || start.starts_with(b"PARE") {
        ShardKind::Parquet
    } else if webdataset::is_shard(path)? {
        ShardKind::Tar
    } else {
        return Ok(None);
    };
    let files = [path.to_owned()].into_iter().chain(split_siblings(path));
    Ok(Some((kind, files.map(|file| (file.clone(), name_of(&file))).collect())))
}

fn of_pattern(path: &Path, files: Vec<PathBuf>) -> Result<Files, Error> {
    if let Some(missing) = files.iter().find(|file| !file.exists()) {
        return Err(Error::NotFound { path: missing.clone() });
    }
    let kinds: BTreeSet<Option<Ending>> = files.iter().map(|file| Ending::of(file)).collect();
    let kind = match Vec::from_iter(kinds).as_slice() {
        [Some(Ending::Tar)] => ShardKind::Tar,
        [Some(Ending::Parquet)] => ShardKind::Parquet,
        kinds if kinds.contains(&Some(Ending::Compressed)) => {
            return Err(Error::CompressedShards { path: shown(path) });
        }
        _ => {
            let found = "a name with braces that stands for neither .tar nor .parquet files".into();
            return Err(Error::UnknownFormat { path: path.into(), found });
        }
    };
    Ok((kind, files.into_iter().map(|file| (file.clone(), name_of(&file))).collect()))
}

/// Kind of a file by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Tar,
    Parquet,
    /// A tar that is compressed as a whole.
    Compressed,
}

impl Ending {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let compressed = [".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".tar.lz4"];
        match &name {
            name if name.ends_with(".tar") => Some(Self::Tar),
            name if name.ends_with(".parquet") => Some(Self::Parquet),
            name if compressed.iter().any(|ending| name.ends_with(ending)) => Some(Self::Compressed),
            _ => None,
        }
    }
}

/// Files found in a folder.
#[derive(Default)]
struct Scan {
    tars: Vec<PathBuf>,
    tables: Vec<PathBuf>,
    compressed: Vec<PathBuf>,
    /// True where images lie in a folder below.
    images: bool,
}

impl Scan {
    /// Looks through a folder; one with images in it is left at the first, unless it is the top. What cannot be read is
    /// passed by: whoever lists it as a folder of images says so.
    fn folder(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut folders = Vec::new();
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            if is_hidden_name(&name) || ABOUT.iter().any(|about| name == *about) {
                continue;
            }
            match Ending::of(&path) {
                Some(Ending::Tar) => self.tars.push(path),
                Some(Ending::Parquet) => self.tables.push(path),
                Some(Ending::Compressed) => self.compressed.push(path),
                None if depth > 0 && is_image_name(&name) => {
                    self.images = true;
                    return;
                }
                None if depth < DEPTH && entry.file_type().is_ok_and(|kind| !kind.is_file()) => {
                    folders.push(path)
                }
                None => {}
            }
        }
        folders.sort();
        for inner in folders.into_iter().filter(|inner| inner.is_dir()) {
            // A folder of classes, whose first tells.
            if self.images {
                return;
            }
            self.folder(&inner, depth + 1);
        }
    }
}

fn in_folder(folder: &Path) -> Result<Option<Files>, Error> {
    let mut scan = Scan::default();
    scan.folder(folder, 0);
    let (kind, mut files) = match scan {
        Scan { images: true, .. } => return Ok(None),
        Scan { tables, .. } if !tables.is_empty() => (ShardKind::Parquet, tables),
        Scan { mut tars, .. } if !tars.is_empty() => {
            tars.sort();
            match webdataset::is_shard(&tars[0])? {
                true => (ShardKind::Tar, tars),
                false => return Ok(None),
            }
        }
        Scan { compressed, .. } if compressed.len() > 1 => {
            return Err(Error::CompressedShards { path: shown(folder) });
        }
        _ => return Ok(None),
    };
    files.sort();
    let inside = |file: &Path| file.strip_prefix(folder).unwrap_or(file).to_owned();
    check_one_set(folder, &files)?;
    Ok(Some((kind, files.into_iter().map(|file| (file.clone(), shown(&inside(&file)))).collect())))
}

/// Checks that the files are not of several sets side by side: folders that are called neither as splits nor `data`.
fn check_one_set(top: &Path, files: &[PathBuf]) -> Result<(), Error> {
    let set = |file: &PathBuf| {
        let folder = file.strip_prefix(top).ok()?.parent()?;
        let parts =
            folder.iter().filter(|part| *part != "data" && split_name(part.as_encoded_bytes()).is_none());
        Some(shown(&parts.collect::<PathBuf>()))
    };
    let sets: BTreeSet<String> = files.iter().filter_map(set).collect();
    match sets.len() {
        0 | 1 => Ok(()),
        _ => {
            let name = |set: String| if set.is_empty() { ".".to_owned() } else { set };
            Err(Error::SeveralSets { path: shown(top), sets: sets.into_iter().map(name).collect() })
        }
    }
}

/// Split that a file's name says, or the innermost of the folders from that of the data.
fn split_of(path: &Path, name: &str) -> Option<Split> {
    let stem = split_name(path.file_stem()?.as_encoded_bytes()).map(|name| name.split);
    let folders =
        || Path::new(name).parent()?.iter().rev().find_map(|part| split_name(part.as_encoded_bytes()));
    stem.or_else(|| folders().map(|name| name.split))
}

/// Puts the files into splits. Where some names say one and others do not, the others are the training images if there
/// are none, or are left out.
fn with_splits(origin: &Path, kind: ShardKind, files: Vec<(PathBuf, String)>) -> Result<Found, Error> {
    let splits: Vec<Option<Split>> = files.iter().map(|(path, name)| split_of(path, name)).collect();
    let has_train = splits.contains(&Some(Split::Train));
    let mut found =
        Found { kind, origin: shown(origin), files: Vec::new(), notes: Vec::new(), is_one_split: false };
    let named: BTreeSet<Split> = splits.iter().flatten().copied().collect();
    found.is_one_split = named.iter().all(|split| *split == Split::Train);
    let mut beside = Vec::new();
    for ((path, name), split) in files.into_iter().zip(splits) {
        match split {
            None if has_train => beside.push(name),
            split => found.files.push(ShardFile { path, name, split: split.unwrap_or(Split::Train) }),
        }
    }
    if origin.is_file() && found.files.len() > 1 {
        let lists = found.files[1..].iter().map(|file| shown(&file.path)).collect();
        found.notes.push(Note::ListsBeside { lists });
    }
    found.notes.extend((!beside.is_empty()).then_some(Note::ShardsBeside { files: beside }));
    Ok(found)
}

fn name_of(path: &Path) -> String {
    shown(Path::new(path.file_name().unwrap_or_default()))
}
