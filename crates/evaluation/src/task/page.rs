//! Sections of a page about several labels or numbers.

use residual_report::{Fact, Page, Table, number, percent};

use super::figures::{numbers, thresholds};
use super::{LabelMeasured, TargetMeasured, TaskAnswers, TaskMeasured, TaskMeasures};
use crate::Shown;
use crate::page::{FEW, MOST_CONFUSED, grouped, or_dash, reliability};

/// Targets that have figures of their own, at the most.
const DRAWN: usize = 8;

/// Sections of a page about answers of a network of several labels or of a regression: figures with their intervals,
/// curves by the threshold and reliability, or predicted against true numbers; every class or target; the worst and the
/// best images.
pub fn task_sections(answers: &TaskAnswers, measured: &TaskMeasured, shown: Shown) -> Page {
    let page = Page::new("Evaluation");
    let (page, seen) = match &measured.measures {
        TaskMeasures::Labels { classes, .. } => (labels(page, answers, measured, classes), SEEN_LABEL),
        TaskMeasures::Numbers { targets } => (targets_of(page, answers, measured, targets), SEEN_NUMBER),
    };
    shown.sections(page, seen)
}

const SEEN_LABEL: &str = "The greatest loss first: what is said, then what it is. On the right, where the label with the \
                          greatest loss is seen.";

const SEEN_NUMBER: &str = "The greatest loss first: what is said, then what it is. On the right, what raises the number \
                           that is farthest off.";

const INTERVALS: &str =
    "Intervals hold the true value in 95 of 100 such evaluations: the percentile bootstrap over the images.";

fn labels(page: Page, answers: &TaskAnswers, measured: &TaskMeasured, classes: &[LabelMeasured]) -> Page {
    let TaskMeasures::Labels { threshold, best_threshold, ece, .. } = measured.measures else { return page };
    let words = format!(
        "A bar a bin of probability, of all labels of all images; pale where it has few. On the dashed line probabilities \
         can be taken at their word. On average they are {} off. The command residual calibrate mends that by a temperature.",
        percent(ece)
    );
    let page = page
        .facts(&label_facts(measured))
        .text(INTERVALS)
        .heading("Threshold and calibration")
        .grid([
            thresholds(answers, threshold, best_threshold),
            ("reliability", reliability(&answers.calibration(), "How often labels are there"), words),
        ])
        .heading("Classes");
    if classes.len() <= FEW {
        return page.table(&label_table(classes.iter()));
    }
    let mut least: Vec<&LabelMeasured> = classes.iter().filter(|class| class.images > 0).collect();
    least.sort_by(|a, b| a.average_precision.total_cmp(&b.average_precision));
    least.truncate(MOST_CONFUSED);
    page.text(&format!("The {} with the least average precision:", least.len()))
        .table(&label_table(least.into_iter()))
        .folded(&format!("All {}", classes.len()), Page::new("").table(&label_table(classes.iter())))
}

fn label_facts(measured: &TaskMeasured) -> Vec<Fact> {
    let TaskMeasures::Labels {
        map,
        map_interval,
        f1,
        f1_interval,
        macro_f1,
        precision,
        recall,
        exact,
        ece,
        threshold,
        ..
    } = &measured.measures
    else {
        return Vec::new();
    };
    let interval = |ends: &Option<[f64; 2]>| match ends {
        Some([low, high]) => format!("95%: {} to {}; ", percent(*low), percent(*high)),
        None => String::new(),
    };
    vec![
        Fact::new("Mean average precision", percent(*map)).remark(format!(
            "{}{} images",
            interval(map_interval),
            grouped(measured.total)
        )),
        Fact::new("F1 of all labels", percent(*f1)).remark(format!(
            "{}at the threshold {}",
            interval(f1_interval),
            number(*threshold, 3)
        )),
        Fact::new("Precision", percent(*precision)).remark("right of what is said"),
        Fact::new("Recall", percent(*recall)).remark("found of what is there"),
        Fact::new("F1, mean of the classes", percent(*macro_f1)),
        Fact::new("All labels right", percent(*exact)).remark("of the images"),
        Fact::new("Loss", number(measured.loss, 3)).remark("binary cross-entropy of a label"),
        Fact::new("Calibration error (ECE)", percent(*ece)),
    ]
}

fn label_table<'a>(classes: impl Iterator<Item = &'a LabelMeasured>) -> Table {
    let mut table =
        Table::new(&["class", "images", "answers", "average precision", "precision", "recall", "F1"]);
    for class in classes {
        table.row([
            class.class.clone(),
            grouped(class.images),
            grouped(class.answered),
            or_dash(percent(class.average_precision), class.images),
            or_dash(percent(class.precision), class.answered),
            or_dash(percent(class.recall), class.images),
            or_dash(percent(class.f1), class.images + class.answered),
        ]);
    }
    table
}

fn targets_of(
    page: Page,
    answers: &TaskAnswers,
    measured: &TaskMeasured,
    targets: &[TargetMeasured],
) -> Page {
    let mut facts = Vec::new();
    if let [only] = targets {
        facts.push(Fact::new("Mean absolute error", number(only.mae, 4)).remark(interval_words(only)));
        facts.push(Fact::new("Root mean squared error", number(only.rmse, 4)));
        facts.push(Fact::new("R²", r2(only)).remark("1 is perfect, 0 as good as the mean"));
    }
    facts.push(Fact::new("Images", grouped(measured.total)));
    facts.push(Fact::new("Loss", number(measured.loss, 3)).remark("squared error in standard deviations"));
    let mut table = Table::new(&["target", "MAE", "95%", "RMSE", "R²", "mean of predicted - true"]);
    for target in targets {
        let interval = target.mae_interval.map_or("-".to_owned(), ends_words);
        table.row([
            target.target.clone(),
            number(target.mae, 4),
            interval,
            number(target.rmse, 4),
            r2(target),
            number(target.bias, 3),
        ]);
    }
    let mut page = page.facts(&facts).text(INTERVALS).heading("Targets").table(&table);
    for (place, target) in targets.iter().enumerate().take(DRAWN) {
        page = page.grid(numbers(answers, place, target));
    }
    match targets.len() > DRAWN {
        true => page.text(&format!("Figures of the first {DRAWN} targets.")),
        false => page,
    }
}

fn interval_words(target: &TargetMeasured) -> String {
    target.mae_interval.map_or(String::new(), |ends| format!("95%: {}", ends_words(ends)))
}

fn ends_words([low, high]: [f64; 2]) -> String {
    format!("{} to {}", number(low, 3), number(high, 3))
}

fn r2(target: &TargetMeasured) -> String {
    target.r2.map_or("-".to_owned(), |r2| number(r2, 3))
}
