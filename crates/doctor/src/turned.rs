//! Photographs that a camera held on its side recorded so.

use residual_arch::OrientationPolicy;
use residual_data::Survey;

use crate::{Finding, Kind, Severity};

/// Counts the turned photographs among all images, and says what the network makes of them.
pub(crate) fn check(survey: &Survey, policy: OrientationPolicy) -> Option<Finding> {
    let turned = survey.turned();
    let applied = |by_decoder: bool| by_decoder || policy == OrientationPolicy::Apply;
    // Where some lie on their side, the first of those is named.
    let first = turned.iter().find(|image| !applied(image.by_decoder)).or(turned.first())?;
    let by_decoder = turned.iter().filter(|image| image.by_decoder).count();
    let mut found =
        format!("{} of {} images are turned or mirrored, as EXIF says", turned.len(), survey.images());
    if by_decoder > 0 && policy == OrientationPolicy::Ignore {
        found.push_str(&format!("; {by_decoder} of them are TIFF, which is always read upright"));
    }
    let finding = Kind::TurnedPhotographs.at(survey.name(first.place)).found(found);
    Some(match applied(first.by_decoder) {
        true => finding
            .severity(Severity::Note)
            .expected("upright photographs, or orientation = \"apply\"")
            .help("nothing is to be done: they are turned when they are read"),
        false => finding
            .expected("upright photographs, or orientation = \"apply\" in the preprocessing")
            .help("train with orientation = \"apply\", or turn the files; a published network ignores it by design"),
    })
}
