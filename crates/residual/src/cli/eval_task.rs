//! Lines and JSON of an evaluation of several labels, or of numbers.

use residual::arch::{Task, TaskKind};
use residual::data::{Source, TaskEvaluation, TaskNumbers};
use residual::evaluation::Answers;
use residual_files::escaped;
use serde::Serialize;

use super::failure::Outcome;
use super::output::Output;
use super::table::{Align, Table, shorten};

/// Evaluation in JSON.
#[derive(Serialize)]
struct Whole<'a> {
    task: TaskKind,
    total: u64,
    loss: f64,
    #[serde(flatten)]
    numbers: Numbers<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbers<'a> {
    Labels {
        map: f64,
        f1: f64,
        precision: f64,
        recall: f64,
        threshold: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        best_threshold: Option<f64>,
        classes: Vec<Label<'a>>,
    },
    Targets {
        targets: Vec<Target<'a>>,
    },
}

#[derive(Serialize)]
struct Label<'a> {
    class: &'a str,
    images: u64,
    average_precision: f64,
    precision: f64,
    recall: f64,
    f1: f64,
}

#[derive(Serialize)]
struct Target<'a> {
    target: &'a str,
    mae: f64,
    rmse: f64,
    /// None for fewer than two images.
    r2: Option<f64>,
}

impl<'a> Whole<'a> {
    fn new(found: &TaskEvaluation, names: &'a [String]) -> Self {
        let names = names.iter().map(String::as_str);
        let (task, numbers) = match &found.numbers {
            TaskNumbers::MultiLabel { threshold, counts, best, each } => {
                let label = |(class, label): (&'a str, &residual::data::LabelNumbers)| Label {
                    class,
                    images: label.counts.support(),
                    average_precision: label.average_precision,
                    precision: label.counts.precision(),
                    recall: label.counts.recall(),
                    f1: label.counts.f1(),
                };
                let numbers = Numbers::Labels {
                    map: found.score().value,
                    f1: counts.f1(),
                    precision: counts.precision(),
                    recall: counts.recall(),
                    threshold: *threshold,
                    best_threshold: *best,
                    classes: names.zip(each).map(label).collect(),
                };
                (TaskKind::MultiLabel, numbers)
            }
            TaskNumbers::Regression { each, .. } => {
                let targets = names.zip(each).map(|(target, errors)| Target {
                    target,
                    mae: errors.mae,
                    rmse: errors.rmse,
                    r2: Some(errors.r2).filter(|r2| r2.is_finite()),
                });
                (TaskKind::Regression, Numbers::Targets { targets: targets.collect() })
            }
            _ => (TaskKind::SingleLabel, Numbers::Targets { targets: Vec::new() }),
        };
        Self { task, total: found.total, loss: found.loss, numbers }
    }
}

/// Evaluation of answers whose logits were kept.
pub(super) fn found(task: &Task, answers: &Answers, images: &dyn Source) -> TaskEvaluation {
    let targets: Vec<f64> = answers.list().iter().flat_map(|answer| images.targets(answer.index)).collect();
    TaskEvaluation::of(task, answers.logits().unwrap_or_default(), &targets, answers.classes().len())
}

/// Prints an evaluation as JSON.
pub(super) fn json(output: &mut Output, found: &TaskEvaluation, names: &[String]) -> Outcome {
    output.json(&Whole::new(found, names))
}

/// Prints an evaluation as lines.
pub(super) fn lines(output: &mut Output, found: &TaskEvaluation, names: &[String]) -> Outcome {
    let percent = |share: f64| format!("{:.1}%", 100.0 * share);
    let whole = Whole::new(found, names);
    let named = |name: &str| shorten(&escaped(name).to_string(), 32);
    let mut table = match &whole.numbers {
        Numbers::Labels { map, f1, precision, recall, threshold, best_threshold, .. } => {
            output.line(format_args!("mAP   {:>7}", percent(*map)))?;
            let (precision, recall) = (percent(*precision), percent(*recall));
            output.line(format_args!(
                "F1    {:>7}  at threshold {threshold:.3} (precision {precision}, recall {recall})",
                percent(*f1)
            ))?;
            if let Some(best) = best_threshold {
                output.line(format_args!("      the best threshold on these images is {best:.3}"))?;
            }
            Table::new(&[
                ("class", Align::Left),
                ("images", Align::Right),
                ("AP", Align::Right),
                ("precision", Align::Right),
                ("recall", Align::Right),
                ("F1", Align::Right),
            ])
        }
        Numbers::Targets { .. } => Table::new(&[
            ("target", Align::Left),
            ("MAE", Align::Right),
            ("RMSE", Align::Right),
            ("R²", Align::Right),
        ]),
    };
    output.line(format_args!("loss  {:7.4}", whole.loss))?;
    match &whole.numbers {
        Numbers::Labels { classes, .. } => {
            for label in classes {
                let shares = [label.average_precision, label.precision, label.recall, label.f1].map(percent);
                let [ap, precision, recall, f1] = shares;
                table.row([named(label.class), label.images.to_string(), ap, precision, recall, f1]);
            }
        }
        Numbers::Targets { targets } => {
            for Target { target, mae, rmse, r2 } in targets {
                let r2 = r2.map_or("-".to_owned(), |r2| format!("{r2:.4}"));
                table.row([named(target), format!("{mae:.4}"), format!("{rmse:.4}"), r2]);
            }
        }
    }
    table.lines().iter().try_for_each(|line| output.line(line))
}
