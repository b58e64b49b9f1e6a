//! Open files of a set of shards.

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::Error;
use crate::shared_file::SharedFile;

/// Files that stay open: many systems allow a process 1,024 by default.
const OPEN: usize = 256;

/// Files of a set: the first stay open once they are used, others are opened each time.
#[derive(Debug)]
pub(crate) struct FilePool {
    paths: Vec<PathBuf>,
    open: Vec<OnceLock<SharedFile>>,
}

impl FilePool {
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        let open = paths.iter().take(OPEN).map(|_| OnceLock::new()).collect();
        Self { paths, open }
    }

    /// File number `number`.
    ///
    /// # Errors
    /// Those of opening it.
    pub(crate) fn get(&self, number: usize) -> Result<SharedFile, Error> {
        let path = &self.paths[number];
        let Some(cell) = self.open.get(number) else { return SharedFile::open(path) };
        match cell.get() {
            Some(file) => Ok(file.clone()),
            None => {
                let file = SharedFile::open(path)?;
                Ok(cell.get_or_init(|| file).clone())
            }
        }
    }
}
