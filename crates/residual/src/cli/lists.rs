//! Flags for data that are a list of images, which several commands have.

use std::path::PathBuf;

use clap::Args;
use residual::data::{Columns, OpenOptions};

/// Columns of a list, and the folder of its paths.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ListArguments {
    /// Columns of a list or table, endings and fields of shards, arrays: path=NAME,label=NAME,split=NAME.
    /// [default: by their usual names]
    #[arg(long, value_name = "ROLE=NAME,...")]
    columns: Option<Columns>,
    /// Column of the labels of a list or table; several, of a task that has several: numbers, or a 0 or 1 a class.
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    label: Option<Vec<String>>,
    /// Folder that the paths of a list or table count from. [default: its own]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl ListArguments {
    /// Puts what was given into options.
    pub(crate) fn put(&self, options: &mut OpenOptions) {
        self.put_into(&mut options.columns, &mut options.root);
    }

    /// Puts what was given over columns and a root.
    pub(crate) fn put_into(&self, columns: &mut Columns, root: &mut Option<PathBuf>) {
        if let Some(given) = &self.columns {
            columns.clone_from(given);
        }
        if let Some(names) = &self.label {
            columns.set_labels(names);
        }
        if let Some(given) = &self.root {
            *root = Some(given.clone());
        }
    }
}
