//! Pages that a command writes and knows again, so that it replaces nothing else.

use std::io::Read;
use std::path::Path;

use residual::report::{GENERATOR, Page};
use residual::weights::write_atomically;
use residual_files::escaped;

use super::failure::{Failure, Outcome};

/// Bytes at a file's beginning among which the mark is.
const MARKED: u64 = 512;

/// Checks that `path` has the name of a page, and that nothing but an earlier page would be lost there.
///
/// # Errors
/// For another ending, and for a file that is none of our pages.
pub(crate) fn check_free(path: &Path) -> Outcome {
    let name = escaped(path);
    if !path
        .extension()
        .is_some_and(|ending| ["html", "htm"].iter().any(|html| ending.eq_ignore_ascii_case(html)))
    {
        return Err(Failure::new(format_args!(
            "{name}: the report is a page of HTML; help: give it a name that ends in .html"
        )));
    }
    match path.exists() && !is_one(path) {
        true => Err(Failure::new(format_args!(
            "{name}: exists, and is no report of an earlier call; help: remove it, or give the report another name"
        ))),
        false => Ok(()),
    }
}

/// Writes a page, which replaces one of ours only.
///
/// # Errors
/// Those of [`check_free`], and where the system refuses.
pub(crate) fn write(path: &Path, page: &Page) -> Outcome {
    check_free(path)?;
    Ok(write_atomically(path, |file| file.write_all(page.html().as_bytes()))?)
}

fn is_one(path: &Path) -> bool {
    let Ok(file) = residual_files::open(path) else { return false };
    let mut bytes = Vec::new();
    let read = file.take(MARKED).read_to_end(&mut bytes);
    read.is_ok() && bytes.windows(GENERATOR.len()).any(|found| found == GENERATOR.as_bytes())
}
