//! Pages and drawings that a command writes and knows again, so that it replaces nothing else.

use std::io::Read;
use std::path::Path;

use residual::report::{GENERATOR, SVG_START};
use residual::weights::write_atomically;
use residual_files::escaped;

use super::failure::{Failure, Outcome};

/// Kind of text files: a mark at their beginning says that a command wrote them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnText {
    /// Name of such a file, and what it is a file of.
    name: &'static str,
    of: &'static str,
    /// Endings of its name, the usual one first.
    endings: &'static [&'static str],
    mark: &'static str,
}

/// Pages of HTML.
pub(crate) const PAGE: OwnText =
    OwnText { name: "report", of: "a page of HTML", endings: &["html", "htm"], mark: GENERATOR };

/// Drawings as SVG.
pub(crate) const DRAWING: OwnText =
    OwnText { name: "drawing", of: "an SVG image", endings: &["svg"], mark: SVG_START };

/// Bytes at a file's beginning among which the mark is.
const MARKED: u64 = 512;

impl OwnText {
    /// Checks that `path` has the name of such a file, and that nothing but an earlier one would be lost there.
    ///
    /// # Errors
    /// For another ending, and for a file that is none of ours.
    pub(crate) fn check_free(self, path: &Path) -> Outcome {
        let (file, Self { name, of, endings, .. }) = (escaped(path), self);
        let named = |ending: &std::ffi::OsStr| endings.iter().any(|known| ending.eq_ignore_ascii_case(known));
        if !path.extension().is_some_and(named) {
            return Err(Failure::new(format_args!(
                "{file}: the {name} is {of}; help: give it a name that ends in .{}",
                endings[0]
            )));
        }
        match path.exists() && !self.is_one(path) {
            true => Err(Failure::new(format_args!(
                "{file}: exists, and is no {name} of an earlier call; help: remove it, or give the {name} another name"
            ))),
            false => Ok(()),
        }
    }

    /// Writes a text, which replaces one of this kind only.
    ///
    /// # Errors
    /// Those of [`check_free`](Self::check_free), and where the system refuses.
    pub(crate) fn write(self, path: &Path, text: &str) -> Outcome {
        self.check_free(path)?;
        Ok(write_atomically(path, |file| file.write_all(text.as_bytes()))?)
    }

    fn is_one(self, path: &Path) -> bool {
        let Ok(file) = residual_files::open(path) else { return false };
        let mut bytes = Vec::new();
        let read = file.take(MARKED).read_to_end(&mut bytes);
        read.is_ok() && bytes.windows(self.mark.len()).any(|found| found == self.mark.as_bytes())
    }
}
