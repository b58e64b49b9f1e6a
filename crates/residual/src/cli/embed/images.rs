//! Images without a task: those of a data set, of all splits, or loose pictures in a folder.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use residual::arch::TaskKind;
use residual::data::{DataSource, Dataset, Error, Image, ImageSet, OpenOptions, Source, Split, decode};
use residual::predict::Input;
use residual::search::Row;

use crate::cli::failure::Outcome;
use crate::cli::lists::ListArguments;
use crate::cli::predict::{inputs, named};
use crate::cli::progress::note;

/// Images in the order of the rows of an index.
#[derive(Clone)]
pub(in crate::cli) enum Images {
    /// Those of a data set, split by split.
    Labelled {
        /// The splits.
        sets: Vec<(Split, Arc<ImageSet>)>,
        /// All of it.
        #[cfg(feature = "train")]
        data: Box<Dataset>,
    },
    /// Files in a folder and those below it.
    Loose {
        /// The folder.
        root: PathBuf,
        /// The files, sorted.
        files: Vec<PathBuf>,
    },
}

impl Images {
    /// Opens the images of `path`: as labelled ones where there are labels, else as loose files.
    /// `holdout` of a class of data without splits are its validation images.
    pub(in crate::cli) fn open(
        path: &Path,
        list: &ListArguments,
        (skip_bad, holdout): (bool, f64),
    ) -> Outcome<Self> {
        let source = path.to_str().map_or_else(|| DataSource::from(path.to_owned()), DataSource::from);
        let options = OpenOptions::default().with(|options| {
            (options.holdout, options.skip_bad) = (holdout, skip_bad);
            list.put(options);
        });
        match Dataset::open(&source, &options) {
            Ok(data) => {
                data.notes().iter().for_each(|noticed| note(&noticed.to_string()));
                Self::of(&data)
            }
            Err(Error::NoClasses { .. } | Error::ListBeside { .. }) if path.is_dir() => Self::loose(path),
            Err(error) => Err(error.into()),
        }
    }

    /// Images of all splits of a data set.
    pub(in crate::cli) fn of(data: &Dataset) -> Outcome<Self> {
        let sets = data.splits().into_iter().map(|split| Ok((split, Arc::new(data.split(split)?))));
        let sets = sets.collect::<Result<Vec<_>, Error>>()?;
        Ok(Self::Labelled {
            sets,
            #[cfg(feature = "train")]
            data: Box::new(data.clone()),
        })
    }

    fn loose(root: &Path) -> Outcome<Self> {
        let files = inputs::files(vec![root.to_owned()]).collect::<Outcome<Vec<PathBuf>>>()?;
        Ok(Self::Loose { root: root.to_owned(), files })
    }

    /// Splits, and the numbers of their images; loose pictures are of none.
    pub(in crate::cli) fn ranges(&self) -> Vec<(Option<Split>, Range<usize>)> {
        let Self::Labelled { sets, .. } = self else { return vec![(None, 0..self.len())] };
        let mut start = 0;
        let range = |(split, set): &(Split, Arc<ImageSet>)| {
            start += set.len();
            (Some(*split), start - set.len()..start)
        };
        sets.iter().map(range).collect()
    }

    /// Label of an image of labelled ones.
    pub(in crate::cli) fn label(&self, number: usize) -> Option<usize> {
        let Self::Labelled { sets, .. } = self else { return None };
        Self::place(sets, number).map(|(_, set, index)| set.label(index))
    }

    /// Number of images.
    pub(in crate::cli) fn len(&self) -> usize {
        match self {
            Self::Labelled { sets, .. } => sets.iter().map(|(_, set)| set.len()).sum(),
            Self::Loose { files, .. } => files.len(),
        }
    }

    /// Split and place of an image of labelled ones.
    fn place(sets: &[(Split, Arc<ImageSet>)], mut number: usize) -> Option<(Split, &Arc<ImageSet>, usize)> {
        for (split, set) in sets {
            match number.checked_sub(set.len()) {
                None => return Some((*split, set, number)),
                Some(left) => number = left,
            }
        }
        None
    }

    /// Row of an image.
    pub(in crate::cli) fn row(&self, number: usize) -> Row {
        match self {
            Self::Loose { root, files } => {
                Row::new(named(files[number].strip_prefix(root).unwrap_or(&files[number])))
            }
            Self::Labelled { sets, .. } => {
                let Some((split, set, index)) = Self::place(sets, number) else { return Row::default() };
                Row::new(set.name(index)).with(|row| {
                    row.split = (sets.len() > 1).then(|| split.to_string());
                    // The names of a regression's targets are none of its images.
                    row.label = match set.task() {
                        TaskKind::Regression => None,
                        _ => Source::classes(&**set).get(set.label(index)).cloned(),
                    };
                })
            }
        }
    }

    /// Image as the network is asked about it.
    pub(in crate::cli) fn input(&self, number: usize) -> Input<'static> {
        match self {
            Self::Loose { files, .. } => files[number].clone().into(),
            Self::Labelled { sets, .. } => match Self::place(sets, number) {
                Some((_, set, index)) => (Arc::clone(set) as Arc<dyn Source>, index).into(),
                None => PathBuf::new().into(),
            },
        }
    }

    /// Image as it is stored.
    #[cfg(feature = "train")]
    pub(in crate::cli) fn bytes(&self, number: usize) -> Outcome<Vec<u8>> {
        match self {
            Self::Loose { files, .. } => {
                Ok(residual_files::read(&files[number], residual::data::MAX_FILE_BYTES)?)
            }
            Self::Labelled { sets, .. } => match Self::place(sets, number) {
                Some((_, set, index)) => Ok(set.bytes(index)?.into_owned()),
                None => Ok(Vec::new()),
            },
        }
    }

    /// Number of an image of labelled ones, by its place.
    #[cfg(feature = "train")]
    pub(in crate::cli) fn number(&self, wanted: Split, index: usize) -> Option<usize> {
        let Self::Labelled { sets, .. } = self else { return None };
        let before = sets.iter().take_while(|(split, _)| *split != wanted).map(|(_, set)| set.len());
        Some(before.sum::<usize>() + index)
    }

    /// Decoded image.
    pub(in crate::cli) fn read(&self, number: usize) -> Outcome<Image> {
        match self {
            Self::Loose { files, .. } => {
                let name = named(&files[number]);
                let bytes = residual_files::read(&files[number], residual::data::MAX_FILE_BYTES)?;
                Ok(decode(&bytes, &name)?)
            }
            Self::Labelled { sets, .. } => match Self::place(sets, number) {
                Some((_, set, index)) => Ok(set.read(index)?),
                None => Err(crate::cli::failure::Failure::new("no such image")),
            },
        }
    }
}
