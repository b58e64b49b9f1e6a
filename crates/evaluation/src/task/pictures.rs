//! Worst and best images of a network of several labels or of a regression.

use residual_arch::Task;
use residual_data::{Source, sigmoid};
use residual_predict::Classifier;
use residual_report::{Picture, number, percent};

use super::TaskAnswers;
use crate::Shown;
use crate::pictures::{beside, last_two};

/// Labels or numbers that stand under a picture, at the most.
const NAMED: usize = 4;

/// Pictures of the eight worst and the eight best images: each as the network saw it, and the heat map of the label or the
/// number with its greatest loss. Images that cannot be drawn are left out.
pub fn task_pictures(classifier: &Classifier, images: &dyn Source, answers: &TaskAnswers) -> Shown {
    let worst = answers.by_loss();
    let best: Vec<usize> = worst.iter().rev().copied().collect();
    Shown::of(&worst, &best, |&image| picture(classifier, images, answers, image))
}

fn picture(
    classifier: &Classifier,
    images: &dyn Source,
    answers: &TaskAnswers,
    image: usize,
) -> Option<Picture> {
    let index = *answers.outputs().indices.get(image)?;
    let losses = answers.losses(image);
    let output = (0..losses.len()).max_by(|&a, &b| losses[a].total_cmp(&losses[b]))?;
    let seen = classifier.explain(images.image(index).ok()?).ok()?.image?;
    let map = classifier.heat_map(images.image(index).ok()?, output).ok()?.over(&seen)?;
    let mut lines = words(answers, image);
    let file = images.file(index);
    lines.push(last_two(&file));
    let description =
        format!("{file}, {}; beside it {}", lines[..lines.len() - 1].join(", "), answers.classes()[output]);
    Some(Picture { png: beside([seen, map])?, description, lines })
}

/// Answer of the network on an image and its truth, in words.
fn words(answers: &TaskAnswers, image: usize) -> Vec<String> {
    let (outputs, targets) = answers.row(image);
    let names = answers.classes();
    let described = answers.task().targets();
    if !described.is_empty() {
        let pairs = names.iter().zip(described).zip(outputs.iter().zip(targets)).take(NAMED);
        return pairs
            .map(|((name, described), (&output, &target))| {
                let value = described.value(f64::from(output));
                format!("{name}: {}, is {}", number(value, 3), number(target, 3))
            })
            .collect();
    }
    let threshold = match answers.task() {
        Task::MultiLabel { threshold } => *threshold,
        _ => 0.5,
    };
    let mut said: Vec<(usize, f64)> =
        outputs.iter().map(|&logit| sigmoid(f64::from(logit))).enumerate().collect();
    said.sort_by(|a, b| b.1.total_cmp(&a.1));
    let said = said.into_iter().filter(|&(_, p)| p >= threshold);
    let said = said.map(|(class, p)| format!("{} {}", names[class], percent(p)));
    let is = (0..names.len()).filter(|&class| targets[class] > 0.5).map(|class| names[class].clone());
    vec![format!("says {}", listed(said)), format!("is {}", listed(is))]
}

/// The first of some words; `nothing` of none.
fn listed(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    let more = words.len().saturating_sub(NAMED);
    let shown = words[..words.len() - more].join(", ");
    match (shown.is_empty(), more) {
        (true, _) => "nothing".to_owned(),
        (_, 0) => shown,
        _ => format!("{shown} and {more} more"),
    }
}
