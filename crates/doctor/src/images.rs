//! All images, as a survey counts them.

use std::thread::available_parallelism;

use residual_arch::Preprocess;
use residual_data::{Dataset, Survey, SurveyOptions};

use crate::{Error, Finding, Kind, labels, overlap, turned};

/// Findings about images alone: empty and rare classes, images in two splits or classes, broken ones, and how those that
/// are left fit this preprocessing. What takes decoding is found where the survey [decoded](Survey::is_decoded).
///
/// ```
/// use residual_arch::Preprocess;
/// use residual_data::{Dataset, Survey, SurveyOptions};
/// use residual_doctor::examine_images;
///
/// let survey = Survey::take(&Dataset::sample()?, &SurveyOptions::new(2), |_| ())?;
/// assert_eq!(examine_images(&survey, &Preprocess::normalise_only()), []);
/// # Ok::<(), residual_data::Error>(())
/// ```
pub fn examine_images(survey: &Survey, preprocess: &Preprocess) -> Vec<Finding> {
    let mut findings = labels::counts(survey);
    findings.extend(overlap::check(survey));
    findings.extend(broken(survey));
    findings.extend(mixed_sizes(survey, preprocess));
    findings.extend(turned::check(survey, preprocess.orientation));
    findings
}

/// Survey of the files of images: each is read, and none decoded.
pub(crate) fn survey(data: &Dataset) -> Result<Survey, Error> {
    let threads = available_parallelism().map_or(1, Into::into);
    let options = SurveyOptions::new(threads).with(|options| options.decode = false);
    Ok(Survey::take(data, &options, |_| ())?)
}

/// Images that were to be decoded and cannot be.
fn broken(survey: &Survey) -> Option<Finding> {
    let first = survey.broken().first().filter(|_| survey.is_decoded())?;
    let more = match survey.broken().len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let finding = Kind::BadImage.at(survey.file(first.place)).found(format!("{}{more}", first.found));
    Some(finding.expected("a whole image").help(BAD_IMAGE_HELP))
}

/// Help for an image that cannot be read.
pub(crate) const BAD_IMAGE_HELP: &str = "copy or export the image again, or leave it out with --skip-bad";

/// Images that no resize and no crop makes one size.
fn mixed_sizes(survey: &Survey, preprocess: &Preprocess) -> Option<Finding> {
    let [first, other, ..] = survey.handling(preprocess).sizes[..] else { return None };
    let finding = Kind::MixedSizes.at("preprocess").found(format!("{other} pixels beside {first}"));
    Some(finding.expected("one size for a batch").help(MIXED_SIZES_HELP))
}

/// Help for images of several sizes.
pub(crate) const MIXED_SIZES_HELP: &str = "give the preprocessing a resize and a crop";
