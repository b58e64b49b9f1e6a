//! Sections of a page about answers.

use residual_measure::{Calibration, Confusion};
use residual_report::{
    Fact, Figure, MatrixChart, Page, ReliabilityBar, ReliabilityChart, Table, number, percent,
};

use crate::{Answers, ClassMeasured, Measured, Share, Shown};

/// Classes up to this number are shown in full.
pub(crate) const FEW: usize = 30;

/// Classes in the matrix of the most confused ones.
pub(crate) const MOST_CONFUSED: usize = 20;

/// Sections of a page about answers: accuracy with its interval, the confusion matrix, calibration, precision and recall
/// of every class, the worst and the best images.
pub fn sections(answers: &Answers, measured: &Measured, shown: Shown) -> Page {
    let page = Page::new("Evaluation").facts(&facts(measured)).text(
        "Intervals hold the true value in 95 of 100 such evaluations: Wilson's for fractions of images, the percentile \
         bootstrap for the rest.",
    );
    let confusion = answers.confusion();
    let page = page.heading("Confusion and calibration").grid([
        ("confusion", matrix(answers, &confusion), caption(&confusion)),
        (
            "reliability",
            reliability(&answers.calibration(), "How often answers are right"),
            reliability_words(measured),
        ),
    ]);
    let page = confused(page, measured);
    shown.sections(
        classes(page, measured),
        "The greatest loss first: the answer, then what it is. On the right, where the answer is seen.",
    )
}

fn facts(measured: &Measured) -> Vec<Fact> {
    let evaluation = &measured.evaluation;
    let counted = |share: &Share, correct: u64| {
        format!("95%: {}; {} of {}", range(share, percent), grouped(correct), grouped(evaluation.total))
    };
    let mut facts = vec![
        Fact::new("Accuracy", percent(measured.top1.value))
            .remark(counted(&measured.top1, evaluation.top1_correct)),
    ];
    // Of fewer than six classes every answer is among the first five.
    if measured.classes.len() > 5 {
        facts.push(
            Fact::new("Among the first five", percent(measured.top5.value))
                .remark(counted(&measured.top5, evaluation.top5_correct)),
        );
    }
    let three = |value: f64| number(value, 3);
    let [low, high] = measured.ece_interval;
    let ece = Share { value: measured.ece, low, high };
    facts.extend([
        Fact::new("Loss", three(measured.cross_entropy.value))
            .remark(format!("95%: {}", range(&measured.cross_entropy, three))),
        Fact::new("F1, mean of the classes", percent(measured.macro_f1.value))
            .remark(format!("95%: {}", range(&measured.macro_f1, percent))),
        Fact::new("Balanced accuracy", percent(measured.balanced_accuracy))
            .remark("mean recall of the classes"),
        Fact::new("Calibration error (ECE)", percent(measured.ece))
            .remark(format!("95%: {}", range(&ece, percent))),
        Fact::new("Brier score", three(measured.brier)).remark("0 is perfect, 2 the worst"),
    ]);
    facts
}

fn range(share: &Share, text: impl Fn(f64) -> String) -> String {
    format!("{} to {}", text(share.low), text(share.high))
}

pub(crate) fn grouped(count: u64) -> String {
    number(count as f64, 12)
}

/// Classes that are in the matrix: all where they are few, else those that are confused most often.
fn chosen(confusion: &Confusion) -> Vec<usize> {
    if confusion.classes() <= FEW {
        return (0..confusion.classes()).collect();
    }
    let mut chosen = Vec::new();
    for pair in confusion.most_confused(usize::MAX) {
        for class in [pair.label, pair.answer] {
            if chosen.len() < MOST_CONFUSED && !chosen.contains(&class) {
                chosen.push(class);
            }
        }
    }
    chosen.sort_unstable();
    chosen
}

fn matrix(answers: &Answers, confusion: &Confusion) -> Figure {
    let chosen = chosen(confusion);
    let names = || chosen.iter().map(|&class| answers.classes()[class].clone());
    let mut chart = MatrixChart::new("What is taken for what", names(), names()).axes("class", "answer");
    for (row, &label) in chosen.iter().enumerate() {
        chart = chart.row(row, chosen.iter().map(|&answer| Some(confusion.count(label, answer) as f64)));
    }
    chart.figure()
}

fn caption(confusion: &Confusion) -> String {
    match confusion.classes() <= FEW {
        true => "Images of each class by the answer; the diagonal is right.".to_owned(),
        false => format!(
            "The {MOST_CONFUSED} classes of {} that are confused most often; the diagonal is right.",
            confusion.classes()
        ),
    }
}

pub(crate) fn reliability(calibration: &Calibration, title: &str) -> Figure {
    let bars = calibration.bins().iter().map(|bin| ReliabilityBar {
        low: bin.low,
        high: bin.high,
        count: bin.count,
        confidence: bin.confidence,
        accuracy: bin.accuracy,
    });
    ReliabilityChart::new(title, bars).figure()
}

fn reliability_words(measured: &Measured) -> String {
    let sure = measured.evaluation.total > 0;
    let gap = if sure { percent(measured.ece) } else { "-".to_owned() };
    format!(
        "A bar a bin of confidence, pale where it has few answers; on the dashed line probabilities can be taken at \
         their word. On average they are {gap} off. The command residual calibrate mends that by a temperature."
    )
}

fn confused(page: Page, measured: &Measured) -> Page {
    if measured.confused.is_empty() {
        return page.text("No image was taken for one of another class.");
    }
    let mut table = Table::new(&["class", "taken for", "images", "of its class"]);
    for pair in &measured.confused {
        table.row([pair.label.clone(), pair.answer.clone(), grouped(pair.count), percent(pair.share)]);
    }
    let mut short = table.clone();
    short.rows.truncate(10);
    let rest = table.rows.len() > short.rows.len();
    let page = page.heading("Most confused").table(&short);
    if rest { page.folded("The first 20", Page::new("").table(&table)) } else { page }
}

fn classes(page: Page, measured: &Measured) -> Page {
    let mut sorted: Vec<&ClassMeasured> = measured.classes.iter().collect();
    let page = page.heading("Classes");
    if sorted.len() <= FEW {
        return page.table(&class_table(&sorted));
    }
    let all = class_table(&sorted);
    sorted.retain(|class| class.images > 0);
    sorted.sort_by(|a, b| a.f1.total_cmp(&b.f1));
    sorted.truncate(MOST_CONFUSED);
    page.text(&format!("The {} with the least F1 score:", sorted.len()))
        .table(&class_table(&sorted))
        .folded(&format!("All {}", measured.classes.len()), Page::new("").table(&all))
}

/// Text of a share, and a dash for a share of nothing.
pub(crate) fn or_dash(text: String, of: u64) -> String {
    if of == 0 { "-".to_owned() } else { text }
}

fn class_table(classes: &[&ClassMeasured]) -> Table {
    let mut table = Table::new(&["class", "images", "answers", "precision", "recall", "95%", "F1"]);
    for class in classes {
        table.row([
            class.class.clone(),
            grouped(class.images),
            grouped(class.answered),
            or_dash(percent(class.precision), class.answered),
            or_dash(percent(class.recall.value), class.images),
            or_dash(range(&class.recall, percent), class.images),
            or_dash(percent(class.f1), class.images + class.answered),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of a network with so many classes, of which every third is taken for the next one.
    fn answers(classes: usize) -> Answers {
        let names: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
        let mut answers = Answers::new(names.into(), false);
        for label in 0..classes {
            let answer = if label % 3 == 0 { (label + 1) % classes } else { label };
            let logits: Vec<f32> =
                (0..classes).map(|class| if class == answer { 9.0 } else { 0.0 }).collect();
            answers.add(&[label], &[label], &logits);
        }
        answers.evaluation.total = classes as u64;
        answers
    }

    fn html(classes: usize) -> String {
        let answers = answers(classes);
        sections(&answers, &answers.measure(), Shown::default()).html()
    }

    #[test]
    fn few_classes_are_shown_in_full() {
        let page = html(10);
        assert!(page.contains("class 9, class 0: 1") && page.contains("Among the first five"), "{page}");
        assert!(!page.contains("<details") && !page.contains("Worst images"));
        assert!(!html(5).contains("Among the first five"));
    }

    #[test]
    fn of_a_thousand_classes_those_that_are_confused_are_shown() {
        let page = html(1000);
        assert!(page.contains("20 classes of 1000") && page.contains("All 1000"));
        assert!(page.contains("class 0, class 1: 1") && !page.contains("class 600, class 601"));
        // A cell of the matrix is 200 bytes: a million of them would be no page.
        assert!(page.len() < 600_000, "{}", page.len());
    }

    #[test]
    fn a_page_of_no_images_has_no_nan() {
        let answers = Answers::new(["a".to_owned()].into(), false);
        let page = sections(&answers, &answers.measure(), Shown::default()).html();
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }
}
