//! Photographs that a camera held on its side recorded so.

use residual_arch::OrientationPolicy;
use residual_data::{Dataset, Orientation, recorded_orientation};

use crate::{Error, Finding, Kind, Severity};

/// Counts the turned photographs among all images, and says what the network makes of them.
pub(crate) fn check(data: &Dataset, policy: OrientationPolicy) -> Result<Option<Finding>, Error> {
    let (mut turned, mut all, mut first) = (0, 0, None);
    for split in data.splits() {
        let set = data.split(split)?;
        all += set.len();
        for index in 0..set.len() {
            // What cannot be read is left to the pixels' check.
            let Ok(bytes) = set.bytes(index) else { continue };
            if recorded_orientation(&bytes) != Orientation::Upright {
                turned += 1;
                first.get_or_insert_with(|| set.name(index).into_owned());
            }
        }
    }
    let Some(first) = first else { return Ok(None) };
    let finding = Kind::TurnedPhotographs.at(first);
    let finding = finding.found(format!("{turned} of {all} images are turned or mirrored, as EXIF says"));
    Ok(Some(match policy {
        OrientationPolicy::Apply => finding
            .severity(Severity::Note)
            .expected("upright photographs, or orientation = \"apply\"")
            .help("nothing is to be done: the network's preprocessing turns them"),
        OrientationPolicy::Ignore => finding
            .expected("upright photographs, or orientation = \"apply\" in the preprocessing")
            .help("train with orientation = \"apply\", or turn the files; a published network ignores it by design"),
    }))
}
