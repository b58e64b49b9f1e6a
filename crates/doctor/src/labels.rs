//! Classes and labels.

use residual_data::{Split, Survey};

use crate::{Finding, Kind, Severity};

/// From ten to one on accuracy falls measurably, and oversampling helps (Buda et al. 2018).
const IMBALANCE: usize = 10;

/// Checks of the numbers of images.
pub(crate) fn counts(survey: &Survey) -> Vec<Finding> {
    let counts: Vec<_> = survey.splits().map(|split| (split, survey.counts(split))).collect();
    let empty = counts.iter().flat_map(|(split, counts)| empty(*split, counts, survey.classes()));
    let rare = counts.iter().filter_map(|(split, counts)| imbalance(*split, counts, survey.classes()));
    empty.chain(rare).collect()
}

/// Classes against outputs: by name where the network has names, else by number.
pub(crate) fn range(classes: &[String], outputs: usize, names: Option<&[String]>) -> Vec<Finding> {
    let unknown = names.and_then(|names| classes.iter().find(|class| !names.contains(class)));
    if let Some((class, names)) = unknown.zip(names) {
        let finding = Kind::LabelRange.at(format!("class {class}")).found("no output of that name");
        let finding = finding.expected(format!("one of: {}", names.join(", ")));
        return vec![finding.help("rename the class folder, or train a new head on these classes (--init)")];
    }
    let found = format!("{} classes in the data", classes.len());
    let help = format!("set `classes = {}` in `head`", classes.len());
    if classes.len() > outputs {
        let finding = Kind::LabelRange.at("head").found(found);
        return vec![finding.expected(format!("{outputs} at the most, one an output")).help(help)];
    }
    if classes.len() < outputs && names.is_none() {
        let finding = Kind::UnusedOutputs.at("head").found(found);
        return vec![finding.expected(format!("{outputs}, one an output")).help(help)];
    }
    vec![]
}

fn empty(split: Split, counts: &[usize], classes: &[String]) -> Vec<Finding> {
    let severity = if split == Split::Train { Severity::Fault } else { Severity::Warning };
    let empty = counts.iter().zip(classes).filter(|&(&count, _)| count == 0);
    let finding = |(_, class): (&usize, &String)| {
        let finding = Kind::EmptyClass.at(format!("{split}/{class}")).found("no images").severity(severity);
        finding.expected("at least one").help("add images, or leave the class out of every split")
    };
    empty.map(finding).collect()
}

fn imbalance(split: Split, counts: &[usize], classes: &[String]) -> Option<Finding> {
    if split != Split::Train {
        return None;
    }
    let present = || counts.iter().zip(classes).filter(|&(&count, _)| count > 0);
    let (most, common) = present().max_by_key(|&(&count, _)| count)?;
    let (least, rare) = present().min_by_key(|&(&count, _)| count)?;
    if *most < least * IMBALANCE {
        return None;
    }
    let found = format!("{most} images of {common}, {least} of {rare}");
    let finding = Kind::Imbalance.at(format!("{split}/{rare}")).found(found);
    let finding = finding.expected(format!("less than {IMBALANCE} to 1"));
    Some(finding.help("gather more, or repeat images of rare classes; judge by accuracy per class"))
}
