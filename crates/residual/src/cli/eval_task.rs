//! Lines of an evaluation of several labels, or of numbers.

use residual::evaluation::{LabelMeasured, TargetMeasured, TaskMeasured, TaskMeasures};
use residual_files::escaped;

use super::table::{Align, Table, shorten};

/// Lines of an evaluation.
pub(super) fn lines(measured: &TaskMeasured) -> Vec<String> {
    let loss = format!("loss  {:7.4}", measured.loss);
    match &measured.measures {
        TaskMeasures::Labels { classes, .. } => {
            let mut lines = label_lines(&measured.measures);
            lines.push(loss);
            lines.extend(label_table(classes).lines());
            lines
        }
        TaskMeasures::Numbers { targets } => {
            std::iter::once(loss).chain(target_table(targets).lines()).collect()
        }
        _ => vec![loss],
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

fn interval(ends: Option<[f64; 2]>) -> String {
    ends.map_or(String::new(), |[low, high]| format!("  (95%: {} to {})", percent(low), percent(high)))
}

fn label_lines(measures: &TaskMeasures) -> Vec<String> {
    let TaskMeasures::Labels {
        map,
        map_interval,
        f1,
        f1_interval,
        precision,
        recall,
        ece,
        threshold,
        best_threshold,
        ..
    } = measures
    else {
        return Vec::new();
    };
    let mut lines = vec![
        format!("mAP   {:>7}{}", percent(*map), interval(*map_interval)),
        format!("F1    {:>7}{}", percent(*f1), interval(*f1_interval)),
        format!(
            "      at threshold {threshold:.3}: precision {}, recall {}",
            percent(*precision),
            percent(*recall)
        ),
    ];
    if let Some(best) = best_threshold {
        lines.push(format!("      the best threshold on these images is {best:.3}"));
    }
    lines.push(format!("ECE   {:>7}  calibration error of all labels", percent(*ece)));
    lines
}

fn named(name: &str) -> String {
    shorten(&escaped(name).to_string(), 32)
}

fn label_table(classes: &[LabelMeasured]) -> Table {
    let mut table = Table::new(&[
        ("class", Align::Left),
        ("images", Align::Right),
        ("AP", Align::Right),
        ("precision", Align::Right),
        ("recall", Align::Right),
        ("F1", Align::Right),
    ]);
    for label in classes {
        let shares = [label.average_precision, label.precision, label.recall, label.f1].map(percent);
        let [ap, precision, recall, f1] = shares;
        table.row([named(&label.class), label.images.to_string(), ap, precision, recall, f1]);
    }
    table
}

fn target_table(targets: &[TargetMeasured]) -> Table {
    let mut table = Table::new(&[
        ("target", Align::Left),
        ("MAE", Align::Right),
        ("95%", Align::Right),
        ("RMSE", Align::Right),
        ("R²", Align::Right),
    ]);
    for TargetMeasured { target, mae, mae_interval, rmse, r2, .. } in targets {
        let r2 = r2.map_or("-".to_owned(), |r2| format!("{r2:.4}"));
        let ends = mae_interval.map_or("-".to_owned(), |[low, high]| format!("{low:.4} to {high:.4}"));
        table.row([named(target), format!("{mae:.4}"), ends, format!("{rmse:.4}"), r2]);
    }
    table
}
