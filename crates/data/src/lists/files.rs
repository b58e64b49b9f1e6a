//! Files that the paths of a list mean.

use std::path::{Path, PathBuf};

use crate::Error;

/// Endings that a path of a list may lack: identifiers, as competitions give them.
const ENDINGS: [&str; 7] = ["", ".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"];

/// Folder that the paths of a list count from, and the ending that they lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    folder: PathBuf,
    ending: &'static str,
}

impl Base {
    /// Finds the base by the first path of a list: `root` where it is given; else the list's folder, the folder there
    /// that is called as the list (`train` for `train.csv`), or `images`.
    ///
    /// # Errors
    /// [`Error::List`] where the path leads to no file from any of these.
    pub(super) fn find(list: &Path, root: Option<&Path>, first: &str, line: u32) -> Result<Self, Error> {
        let beside = list.parent().unwrap_or(Path::new(""));
        let folders = match root {
            Some(root) => vec![root.to_owned()],
            None => {
                let named = list.file_stem().map(|stem| beside.join(stem));
                [Some(beside.to_owned()), named, Some(beside.join("images"))].into_iter().flatten().collect()
            }
        };
        let bases = folders
            .iter()
            .flat_map(|folder| ENDINGS.map(|ending| Self { folder: folder.clone(), ending }))
            .find(|base| base.file(first).is_file());
        bases.ok_or_else(|| {
            let found = residual_files::escaped(&folders[0].join(first)).to_string();
            let reason =
                format!("there is no file {found}; help: give the folder that paths count from (--root)");
            Error::List { file: list.into(), line: line.into(), reason }
        })
    }

    /// File of a path.
    pub(super) fn file(&self, path: &str) -> PathBuf {
        // Lists written on Windows.
        let path = if cfg!(unix) && path.contains('\\') && !path.contains('/') {
            path.replace('\\', "/")
        } else {
            path.into()
        };
        self.folder.join(path + self.ending)
    }
}
