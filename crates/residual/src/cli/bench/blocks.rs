//! Where the time of a training step goes.

use std::time::Duration;

use residual::nn::fused::Timed;
use serde::Serialize;

use crate::cli::failure::Outcome;
use crate::cli::output::Output;

/// A step and its parts.
pub(super) struct Step {
    pub(super) ms: f64,
    pub(super) optimiser_ms: f64,
    pub(super) operations: Vec<Timed>,
}

/// A part of a step, in the median of all steps.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Row {
    what: String,
    forward_ms: f64,
    backward_ms: f64,
}

pub(super) fn ms(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

/// The median of each operation, in the order of the forward pass; what Burn does between them; the optimiser.
pub(super) fn rows(steps: &[Step]) -> Vec<Row> {
    let count = steps.iter().map(|step| step.operations.len()).min().unwrap_or(0);
    let mut rows: Vec<Row> = (0..count)
        .map(|index| {
            let of = |time: fn(&Timed) -> Duration| {
                median(steps.iter().map(|step| ms(time(&step.operations[index]))).collect())
            };
            let what = steps[0].operations[index].what.clone();
            Row { what, forward_ms: of(|time| time.forward), backward_ms: of(|time| time.backward) }
        })
        .collect();
    let optimiser = median(steps.iter().map(|step| step.optimiser_ms).collect());
    let rest = |step: &Step| {
        let operations = step.operations.iter().map(|time| ms(time.forward + time.backward)).sum::<f64>();
        step.ms - step.optimiser_ms - operations
    };
    let rest = median(steps.iter().map(rest).collect());
    for (what, time) in [("between them", rest), ("optimiser", optimiser)] {
        rows.push(Row { what: what.into(), forward_ms: time, backward_ms: 0.0 });
    }
    rows
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Lines, one a row.
pub(super) fn print(output: &mut Output, rows: &[Row]) -> Outcome {
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    if !rows.is_empty() {
        output.line("")?;
        output.line(format_args!("{:width$}  {:>10}  {:>11}", "", "forward ms", "backward ms"))?;
    }
    for Row { what, forward_ms, backward_ms } in rows {
        output.line(format_args!("{what:width$}  {forward_ms:10.2}  {backward_ms:11.2}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_medians_and_what_is_left() {
        let step = |ms: f64, forward| Step {
            ms,
            optimiser_ms: 1.0,
            operations: vec![Timed {
                what: "block".into(),
                forward: Duration::from_millis(forward),
                backward: Duration::from_millis(4),
            }],
        };
        let found = rows(&[step(10.0, 3), step(30.0, 9), step(11.0, 2)]);
        let row = |what: &str, forward_ms, backward_ms| Row { what: what.into(), forward_ms, backward_ms };
        let wanted = [row("block", 3.0, 4.0), row("between them", 4.0, 0.0), row("optimiser", 1.0, 0.0)];
        assert_eq!(found, wanted);
        assert!(rows(&[]).iter().all(|row| row.forward_ms == 0.0));
    }
}
