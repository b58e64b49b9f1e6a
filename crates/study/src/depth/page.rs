//! The report: figures, a table, and what they show.

use residual_report::{Axis, LineChart, Page, Series, Table};

use super::{Cell, Depth, Point};
use crate::{Kind, subject::file_name};

/// A difference counts where it is over this many standard deviations of itself.
const DEVIATIONS: f64 = 2.0;
/// And over this: a percentage point.
const LEAST: f64 = 0.01;

/// A line about a finished cell.
pub(super) fn line(cell: &Cell) -> String {
    let Cell { kind, depth, seed, seconds, .. } = cell;
    let percent = |error: Option<f64>| error.map_or("-".to_owned(), |error| format!("{:.1}%", 100.0 * error));
    let ends = if cell.diverged { ", diverged" } else { "" };
    format!(
        "{kind} {depth}, seed {seed}: training error {}, test error {}, {seconds:.0} s{ends}",
        percent(train_error(cell)),
        percent(test_error(cell))
    )
}

/// Training error of the last point.
fn train_error(cell: &Cell) -> Option<f64> {
    cell.points.last().filter(|_| !cell.diverged).map(|point| point.train_error)
}

/// Test error of the last judgement.
fn test_error(cell: &Cell) -> Option<f64> {
    cell.points.last().filter(|_| !cell.diverged).and_then(|point| point.test_error)
}

/// Mean and sample standard deviation; the deviation is missing for a single value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) mean: f64,
    pub(super) deviation: Option<f64>,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = || values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let deviation = (values.len() > 1).then(|| (squares() / (n - 1.0)).sqrt());
        (!values.is_empty()).then_some(Self { mean, deviation })
    }

    fn text(self) -> String {
        let deviation = self.deviation.map_or(String::new(), |d| format!(" ± {:.2}", 100.0 * d));
        format!("{:.2}%{deviation}", 100.0 * self.mean)
    }
}

fn of(cells: &[Cell], kind: Kind, depth: usize, error: fn(&Cell) -> Option<f64>) -> Option<Spread> {
    let chosen = cells.iter().filter(|cell| cell.kind == kind && cell.depth == depth);
    Spread::of(&chosen.filter_map(error).collect::<Vec<_>>())
}

pub(super) fn page(study: &Depth, cells: &[Cell]) -> Page {
    let steps = cells.iter().filter_map(|cell| cell.points.last()).map(|point| point.step).max().unwrap_or(0);
    let wanted = study.depths.len() * study.kinds.len() * study.seeds as usize;
    let intro = format!(
        "{} of {wanted} trainings of at most {steps} steps of {} images each, on {}, all under one recipe. Training \
         error is that of the augmented images since the point before, each before its step; test error that of \
         all test images.",
        cells.len(),
        study.recipe.images_per_step(),
        file_name(&study.recipe.data.path),
    );
    Page::new("Error against depth")
        .text(&intro)
        .heading("What the data show at this budget")
        .list(&words(study, cells))
        .heading("Figures")
        .figure(
            "train-steps",
            by_step(study, cells, "Training error against steps", |p| Some(p.train_error)),
            "Mean over seeds; the band is a standard deviation.",
        )
        .figure(
            "test-steps",
            by_step(study, cells, "Test error against steps", |p| p.test_error),
            "Mean over seeds; the band is a standard deviation.",
        )
        .figure(
            "train-depth",
            by_depth(study, cells, "Training error against depth", train_error),
            "At the end of training.",
        )
        .figure(
            "test-depth",
            by_depth(study, cells, "Test error against depth", test_error),
            "At the end of training.",
        )
        .heading("Numbers")
        .table(&table(study, cells))
}

fn by_depth(
    study: &Depth,
    cells: &[Cell],
    title: &str,
    error: fn(&Cell) -> Option<f64>,
) -> residual_report::Figure {
    let y = Axis::linear("error, %").from_zero();
    study
        .kinds
        .iter()
        .enumerate()
        .fold(LineChart::new(title, Axis::linear("layers"), y), |chart, (index, &kind)| {
            let spreads =
                || study.depths.iter().filter_map(|&depth| Some((depth, of(cells, kind, depth, error)?)));
            let points: Vec<_> =
                spreads().map(|(depth, spread)| (depth as f64, 100.0 * spread.mean)).collect();
            let deviations = spreads().map(|(_, spread)| 100.0 * spread.deviation.unwrap_or(0.0));
            let series =
                Series::new(kind.to_string(), points).with_deviations(deviations.collect::<Vec<_>>());
            chart.with(series.with_style(index, index))
        })
        .figure()
}

fn by_step(
    study: &Depth,
    cells: &[Cell],
    title: &str,
    error: fn(&Point) -> Option<f64>,
) -> residual_report::Figure {
    let mut chart = LineChart::new(title, Axis::linear("steps"), Axis::linear("error, %").from_zero());
    for (hue, &kind) in study.kinds.iter().enumerate() {
        for (dash, &depth) in study.depths.iter().enumerate() {
            let chosen: Vec<_> =
                cells.iter().filter(|cell| cell.kind == kind && cell.depth == depth).collect();
            let Some(longest) = chosen.iter().map(|cell| &cell.points).max_by_key(|points| points.len())
            else {
                continue;
            };
            let spread = |index: usize| {
                let values: Vec<_> =
                    chosen.iter().filter_map(|cell| error(cell.points.get(index)?)).collect();
                Spread::of(&values)
            };
            let spreads: Vec<_> =
                longest.iter().enumerate().filter_map(|(i, point)| Some((point.step, spread(i)?))).collect();
            let points = spreads.iter().map(|(step, spread)| (*step as f64, 100.0 * spread.mean));
            let deviations = spreads.iter().map(|(_, spread)| 100.0 * spread.deviation.unwrap_or(0.0));
            let series = Series::new(format!("{kind} {depth}"), points).with_deviations(deviations);
            chart = chart.with(series.with_style(hue, dash));
        }
    }
    chart.figure()
}

/// Mean and deviation of every kind and depth.
pub(super) fn table(study: &Depth, cells: &[Cell]) -> Table {
    let mut table = Table::new(&["network", "seeds", "training error", "test error", "seconds"]);
    for &kind in &study.kinds {
        for &depth in &study.depths {
            let chosen: Vec<_> =
                cells.iter().filter(|cell| cell.kind == kind && cell.depth == depth).collect();
            if chosen.is_empty() {
                continue;
            }
            let diverged = chosen.iter().filter(|cell| cell.diverged).count();
            let seeds = match diverged {
                0 => chosen.len().to_string(),
                some => format!("{} ({some} diverged)", chosen.len()),
            };
            let text = |error| of(cells, kind, depth, error).map_or("-".to_owned(), Spread::text);
            let seconds = chosen.iter().map(|cell| cell.seconds).sum::<f64>() / chosen.len() as f64;
            let name = format!("{kind} {depth}");
            table.row([name, seeds, text(train_error), text(test_error), format!("{seconds:.0}")]);
        }
    }
    table
}

/// Statements that the data support.
pub(super) fn words(study: &Depth, cells: &[Cell]) -> Vec<String> {
    let mut words = vec![format!(
        "A difference of two means is called one where it exceeds {DEVIATIONS} times its standard deviation over \
         seeds and {} percentage point; of fewer than two seeds nothing is said.",
        100.0 * LEAST
    )];
    let (Some(&shallow), Some(&deep)) = (study.depths.iter().min(), study.depths.iter().max()) else {
        return words;
    };
    if shallow < deep {
        for &kind in &study.kinds {
            for (name, error) in [("training", train_error as fn(&Cell) -> _), ("test", test_error)] {
                let pair = [shallow, deep].map(|depth| of(cells, kind, depth, error));
                words.push(sentence(
                    &format!("{kind}: {name} error at depth {deep}"),
                    &format!("at depth {shallow}"),
                    pair,
                ));
            }
        }
    }
    for &kind in study.kinds.iter().filter(|&&kind| kind != Kind::Plain) {
        if study.kinds.contains(&Kind::Plain) {
            let pair = [Kind::Plain, kind].map(|kind| of(cells, kind, deep, train_error));
            words.push(sentence(&format!("depth {deep}: training error of {kind}"), "plain", pair));
        }
    }
    let diverged = cells
        .iter()
        .filter(|cell| cell.diverged)
        .map(|cell| format!("{} {} (seed {})", cell.kind, cell.depth, cell.seed));
    let diverged: Vec<_> = diverged.collect();
    if !diverged.is_empty() {
        words.push(format!("Diverged, and not in the means: {}.", diverged.join(", ")));
    }
    words
}

/// `first` against `second`: which is greater, if either.
fn sentence(first: &str, second: &str, [theirs, ours]: [Option<Spread>; 2]) -> String {
    let (Some(theirs), Some(ours)) = (theirs, ours) else {
        return format!("{first} against {second}: not measured.");
    };
    let figures = format!("{} against {}", ours.text(), theirs.text());
    let (Some(a), Some(b)) = (theirs.deviation, ours.deviation) else {
        return format!("{first} against {second}: {figures}; one seed, so nothing is claimed.");
    };
    let difference = ours.mean - theirs.mean;
    let noise = DEVIATIONS * a.hypot(b);
    let verdict = match () {
        () if difference.abs() <= noise || difference.abs() <= LEAST => "no difference can be told",
        () if difference > 0.0 => "greater",
        () => "smaller",
    };
    format!("{first} against {second}: {verdict} ({figures}).")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(kind: Kind, depth: usize, seed: u64, error: f64) -> Cell {
        let point =
            Point { step: 9, train_loss: 1.0, train_error: error, test_loss: None, test_error: Some(error) };
        Cell { kind, depth, seed, points: vec![point], diverged: false, seconds: 1.0 }
    }

    fn study() -> Depth {
        Depth {
            depths: vec![20, 110],
            kinds: vec![Kind::Plain, Kind::Residual],
            seeds: 2,
            steps: Some(9),
            evaluations: 1,
            recipe: residual_train::Recipe::default(),
        }
    }

    #[test]
    fn only_what_stands_out_of_the_noise_is_said() {
        let plain = |deep: [f64; 2]| {
            let cells = [cell(Kind::Plain, 20, 0, 0.30), cell(Kind::Plain, 20, 1, 0.32)];
            let deep = [cell(Kind::Plain, 110, 0, deep[0]), cell(Kind::Plain, 110, 1, deep[1])];
            words(&study(), &[cells, deep].concat())[1].clone()
        };
        assert!(plain([0.60, 0.62]).contains("greater"), "{}", plain([0.60, 0.62]));
        assert!(plain([0.10, 0.12]).contains("smaller"));
        assert!(plain([0.30, 0.62]).contains("no difference"));
        assert!(plain([0.311, 0.315]).contains("no difference"));
    }

    #[test]
    fn one_seed_and_missing_cells_claim_nothing() {
        let cells = [cell(Kind::Plain, 20, 0, 0.3), cell(Kind::Plain, 110, 0, 0.9)];
        let words = words(&study(), &cells);
        assert!(words[1].contains("one seed, so nothing is claimed"), "{words:?}");
        assert!(words[3].contains("not measured"), "{words:?}");
    }

    #[test]
    fn divergence_is_named_and_left_out_of_the_means() {
        let broken = Cell { diverged: true, ..cell(Kind::Plain, 110, 1, 0.9) };
        let cells = [cell(Kind::Plain, 110, 0, 0.5), broken];
        let table = table(&study(), &cells);
        assert_eq!(table.rows[0][1..3], ["2 (1 diverged)".to_owned(), "50.00%".to_owned()]);
        assert!(words(&study(), &cells).last().unwrap().contains("Diverged"));
    }
}
