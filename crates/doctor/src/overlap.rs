//! The same image twice: in training and evaluation, or in two classes.

use residual_data::{Overlap, Repeats, Split, Survey};

use crate::{Finding, Kind, Severity};

/// From one image in a hundred on, the overlap moves the accuracy by as much as one point.
const FAULT_FRACTION: f64 = 0.01;

/// Checks for images in several splits, and under several labels.
pub(crate) fn check(survey: &Survey) -> Vec<Finding> {
    let duplicates = survey.duplicates();
    let train = duplicates.within.iter().filter(|repeats| repeats.split == Split::Train);
    let trained_on = duplicates.across.iter().filter(|overlap| overlap.with == Split::Train);
    train.filter_map(two_labels).chain(trained_on.map(shared)).collect()
}

fn two_labels(repeats: &Repeats) -> Option<Finding> {
    let [image, other] = repeats.first_other_label.as_ref()?;
    let finding = Kind::TwoLabels.at(other);
    let finding = finding.found(format!("the same as {image}; {} such images", repeats.other_labels));
    Some(finding.expected("one class an image").help("remove it from the class where it does not belong"))
}

fn shared(overlap: &Overlap) -> Finding {
    let fraction = overlap.images() as f64 / overlap.total.max(1) as f64;
    let severity = if fraction >= FAULT_FRACTION { Severity::Fault } else { Severity::Warning };
    let [image, twin] = &overlap.first;
    let mut found =
        format!("the same as {twin}; {} of {} {} images", overlap.images(), overlap.total, overlap.split);
    if overlap.same_pixels > 0 {
        found.push_str(&format!(", {} of them by their pixels, in other files", overlap.same_pixels));
    }
    if overlap.other_labels > 0 {
        found.push_str(&format!(", {} of them under another label", overlap.other_labels));
    }
    let finding = Kind::Overlap.at(image).severity(severity).found(found);
    finding.expected("images that were not trained on").help("remove them from the training images")
}
