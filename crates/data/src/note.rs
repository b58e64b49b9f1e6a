//! Things that were noticed while data were opened.

use std::fmt;

use crate::{Overlap, Split};

/// Note on data that are read all the same: something that whoever uses them should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The built-in sample was taken, though there is a file or folder of that name.
    SampleShadowed,
    /// Folders of training runs, which are not data.
    Runs {
        /// Number of them.
        count: usize,
        /// The first.
        first: String,
    },
    /// Folders beside the splits.
    Beside {
        /// Folders, and the number of images in each.
        folders: Vec<(String, usize)>,
    },
    /// Images that are in no class folder.
    Loose {
        /// Number of them.
        count: usize,
        /// The first.
        first: String,
    },
    /// Files in class folders whose names are not those of images.
    OtherFiles {
        /// Endings, such as `.heic`, and the number of files of each; the most frequent first.
        kinds: Vec<(String, usize)>,
        /// The first file by name.
        first: String,
    },
    /// Arrays that are neither images nor their labels.
    OtherArrays {
        /// Their names.
        arrays: Vec<String>,
    },
    /// Files of several pictures, frames or pages, of which the first is read.
    FirstOfSeveral {
        /// A file.
        first: String,
    },
    /// Training classes of one image, where others have more.
    SingleImages {
        /// The classes.
        classes: Vec<String>,
    },
    /// Classes whose images are all in folders of their own.
    Nested {
        /// Classes, and the number of folders that each is made of.
        classes: Vec<(String, usize)>,
    },
    /// Links to a folder that they are in.
    LinkLoops {
        /// Number of them.
        count: usize,
        /// The first.
        first: String,
    },
    /// Links to nothing, not named as images.
    DeadLinks {
        /// Number of them.
        count: usize,
        /// Error of the first.
        first: String,
    },
    /// Folders and files so deep that they are left out.
    TooDeep {
        /// Number of them.
        count: usize,
        /// The first.
        first: String,
    },
    /// Lists, tables or shards beside one of training images that are read as its other splits.
    ListsBeside {
        /// The lists.
        lists: Vec<String>,
    },
    /// Images of no class folders, whose names say their classes.
    ClassesInFileNames {
        /// Number of classes.
        classes: usize,
        /// An image.
        example: String,
    },
    /// A list beside images of a single class, which may say more.
    LabelsBeside {
        /// The list.
        list: String,
    },
    /// A list beside a list of training images that is named as another split and has no labels.
    UnlabelledList {
        /// The list.
        file: String,
    },
    /// Lines of a list that say again what an earlier one said.
    RepeatedRows {
        /// Number of them.
        count: usize,
    },
    /// Samples of shards, or rows of tables, that do not say an image and its label, left out as
    /// [`OpenOptions::skip_bad`](crate::OpenOptions) says.
    SamplesLeftOut {
        /// Number of them.
        count: usize,
        /// Error of the first.
        first: String,
    },
    /// Images of a split whose labels are not given.
    Unlabelled {
        /// The split.
        split: Split,
        /// Number of them.
        count: usize,
    },
    /// Shards or tables beside those of the splits, whose names say none.
    ShardsBeside {
        /// The files.
        files: Vec<String>,
    },
    /// A file beside shards that names the classes.
    ClassNames {
        /// The file.
        file: String,
    },
    /// Images to judge by that are trained on too, or that were too many to compare.
    Overlap(Overlap),
    /// Files and folders that cannot be read, left out as [`OpenOptions::skip_bad`](crate::OpenOptions) says.
    LeftOut {
        /// Number of them.
        count: usize,
        /// Error of the first.
        first: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleShadowed => f.write_str(
                "`sample` is the sample that is built in; what is called so in this folder is `./sample`",
            ),
            Self::Runs { count, first } => {
                write!(
                    f,
                    "left out {}: not data ({first})",
                    counted(*count, "folder of a training run", "folders of training runs")
                )
            }
            Self::Beside { folders } => {
                let folder = |(name, images): &(String, usize)| {
                    format!("{name} ({})", counted(*images, "image", "images"))
                };
                write!(
                    f,
                    "left out, beside the splits: {}",
                    listed(&folders.iter().map(folder).collect::<Vec<_>>())
                )
            }
            Self::Loose { count, first } => {
                write!(f, "left out {} in no class folder ({first})", counted(*count, "image", "images"))
            }
            Self::OtherFiles { kinds, first } => {
                let kind = |(kind, count): &(String, usize)| format!("{count} {kind}");
                let total: usize = kinds.iter().map(|(_, count)| count).sum();
                write!(
                    f,
                    "left out {} in class folders that {} not named as {}: {} ({first})",
                    counted(total, "file", "files"),
                    if total == 1 { "is" } else { "are" },
                    if total == 1 { "an image" } else { "images" },
                    listed(&kinds.iter().map(kind).collect::<Vec<_>>())
                )
            }
            Self::OtherArrays { arrays } => write!(
                f,
                "left out {} in no pair of images and labels: {}",
                counted(arrays.len(), "array", "arrays"),
                listed(arrays)
            ),
            Self::ListsBeside { lists } => write!(f, "read as the other splits: {}", listed(lists)),
            Self::ClassesInFileNames { classes, example } => write!(
                f,
                "no class folders: {classes} classes are what file names begin with, before a number ({example})"
            ),
            Self::LabelsBeside { list } => {
                write!(
                    f,
                    "all images are of one class; if the list in it, {list}, says their labels, give it as the data"
                )
            }
            Self::UnlabelledList { file } => write!(f, "left out {file}, which has no column of labels"),
            Self::RepeatedRows { count } => {
                write!(f, "left out {} of images listed before", counted(*count, "line", "lines"))
            }
            Self::SamplesLeftOut { count, first } => {
                write!(f, "left out {} at fault: {first}", counted(*count, "sample", "samples"))
            }
            Self::Unlabelled { split, count } => {
                write!(
                    f,
                    "left out {} without labels",
                    counted(*count, &format!("{split} image"), &format!("{split} images"))
                )
            }
            Self::ShardsBeside { files } => {
                write!(
                    f,
                    "left out, beside the training images, files whose names say no split: {}",
                    listed(files)
                )
            }
            Self::ClassNames { file } => write!(f, "the names of the classes are those of {file}"),
            Self::FirstOfSeveral { first } => {
                write!(
                    f,
                    "of animations and files of several pages the first picture is read ({first} is one)"
                )
            }
            Self::SingleImages { classes } => write!(
                f,
                "{} with a single image, of which nothing can be held out: {}",
                counted(classes.len(), "class", "classes"),
                listed(classes)
            ),
            Self::Nested { classes } => {
                let class = |(name, folders): &(String, usize)| format!("{name} ({folders} folders)");
                write!(
                    f,
                    "each of these is read as one class, though its images are in folders of their own: {}",
                    listed(&classes.iter().map(class).collect::<Vec<_>>())
                )
            }
            Self::LinkLoops { count, first } => {
                write!(f, "left out {} to a folder around it ({first})", counted(*count, "link", "links"))
            }
            Self::DeadLinks { count, first } => {
                write!(f, "left out {} to nothing: {first}", counted(*count, "link", "links"))
            }
            Self::TooDeep { count, first } => {
                write!(f, "left out {} deeper than any class ({first})", counted(*count, "path", "paths"))
            }
            Self::Overlap(overlap) => f.write_str(&overlapping(overlap)),
            Self::LeftOut { count, first } => {
                write!(
                    f,
                    "left out {} that cannot be read: {first}",
                    counted(*count, "file or folder", "files or folders")
                )
            }
        }
    }
}

fn overlapping(overlap: &Overlap) -> String {
    let Overlap { split, with, total, uncompared, first: [image, twin], .. } = overlap;
    let mut parts = Vec::new();
    let images = overlap.images();
    if images > 0 {
        let other_labels = match overlap.other_labels {
            0 => String::new(),
            count => format!(", {count} of them under another label"),
        };
        let are = if images == 1 { "is" } else { "are" };
        parts.push(format!(
            "{images} of {total} {split} images {are} also in {with} (the same bytes{other_labels}; {image} is {twin}): \
             accuracy on {split} will be too high; `residual data` lists them"
        ));
    }
    if *uncompared > 0 {
        parts.push(format!(
            "{uncompared} of {total} {split} images were not compared with those of {with}, which would have taken long; \
             `residual data` compares all"
        ));
    }
    parts.join("; ")
}

/// `1 image`, `2 images`.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The first ten, and how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    listed_up_to(10, names)
}

/// The first `most`, and how many more there are.
pub(crate) fn listed_up_to(most: usize, names: &[String]) -> String {
    let more = names.len().saturating_sub(most);
    let shown = names[..names.len() - more].join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Number of classes, and the names of the first ten: `3 classes: cat, cow, dog`.
///
/// ```
/// let classes: Vec<String> = (0..12).map(|number| number.to_string()).collect();
/// let text = residual_data::classes_summary(&classes);
/// assert_eq!(text, "12 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
/// ```
pub fn classes_summary(classes: &[String]) -> String {
    format!("{}: {}", counted(classes.len(), "class", "classes"), listed(classes))
}

/// Number of targets of a regression, and the names of the first ten: `2 targets: age, height`.
pub fn targets_summary(targets: &[String]) -> String {
    format!("{}: {}", counted(targets.len(), "target", "targets"), listed(targets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_count_and_name() {
        let note = Note::OtherFiles {
            kinds: vec![(".heic".into(), 3), (".txt".into(), 1)],
            first: "a/1.heic".into(),
        };
        let text =
            "left out 4 files in class folders that are not named as images: 3 .heic, 1 .txt (a/1.heic)";
        assert_eq!(note.to_string(), text);
        let note = Note::Beside { folders: vec![("extra".into(), 1), ("more".into(), 0)] };
        assert_eq!(note.to_string(), "left out, beside the splits: extra (1 image), more (0 images)");
        assert_eq!(classes_summary(&["a".into()]), "1 class: a");
        assert_eq!(targets_summary(&["a".into()]), "1 target: a");
        let ten: Vec<String> = (0..10).map(|i| i.to_string()).collect();
        assert!(classes_summary(&ten).ends_with("8, 9"));
    }
}
