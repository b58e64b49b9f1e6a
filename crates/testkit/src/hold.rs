//! The one rule by which a network is held against a golden file.

use crate::compare::Tolerances;
use crate::golden::Golden;
use crate::report::{Report, Results};
use crate::rounding::Rounding;
use crate::subject::Subject;

/// Convolutions of an implementation: whether they can be computed in another way than they usually are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convolutions {
    /// Plain ones only.
    Plain,
    /// Winograd's, or plain ones where [`Rounding::plain`] asks for them.
    Chosen,
}

/// Golden file against `compute`, which gives what an implementation makes of the network at a rounding.
///
/// Everything is held to [`Tolerances::of`] the file. A ReLU's derivative jumps at zero, and so do a network's
/// gradients where rounding decides over a value next to it: where gradients alone are beyond their tolerance, and
/// their norms within 5e-2, they are computed again with other roundings, and hold where one of these has the
/// reference's side of every ReLU. The report then says so ([`Report::flipped`]).
///
/// # Errors
/// Those of `compute`.
pub fn hold<E>(
    golden: &Golden,
    subject: &Subject,
    convolutions: Convolutions,
    mut compute: impl FnMut(Rounding) -> Result<Results, E>,
) -> Result<Report, E> {
    let tolerances = Tolerances::of(golden, subject.layers());
    let found = compute(Rounding::USUAL)?;
    let report = Report::new(golden, &found, &tolerances);
    if report.ok || !Report::new(golden, &found, &tolerances.clone().with_flips()).ok {
        return Ok(report);
    }
    for rounding in Rounding::others(convolutions == Convolutions::Plain) {
        let other = Report::new(golden, &compute(rounding)?, &tolerances);
        if other.ok {
            return Ok(Report { flipped: Some(report.worst), ..other });
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;
    use crate::report::Training;
    use crate::report::tests::{golden, results};

    /// What `compute` was asked for, and the report on what `change` made of the right results.
    fn held(change: impl Fn(Rounding, &mut Training)) -> (Vec<Rounding>, Report) {
        let subject = Subject::from_name("small").unwrap();
        let mut asked = Vec::new();
        let report = hold(&golden(), &subject, Convolutions::Chosen, |rounding| {
            asked.push(rounding);
            let mut results = results();
            results.training.iter_mut().for_each(|training| change(rounding, training));
            Ok::<_, Infallible>(results)
        });
        (asked, report.unwrap())
    }

    /// Elements that changed places: another sum of nothing, the same norm.
    fn flip(training: &mut Training) {
        training.grad_input.values.swap(0, 1);
    }

    #[test]
    fn what_holds_is_computed_once() {
        let (asked, report) = held(|_, _| {});
        assert!(report.ok && report.flipped.is_none());
        assert_eq!(asked, [Rounding::USUAL]);
    }

    #[test]
    fn gradients_alone_are_computed_again_until_one_rounding_holds() {
        let (asked, report) = held(|rounding, training| {
            if rounding.nudge < 2 {
                flip(training);
            }
        });
        assert!(report.ok, "{report:?}");
        assert_eq!(report.flipped.unwrap().tensor, "grad_input");
        let plain = |nudge| Rounding { plain: true, nudge };
        assert_eq!(asked, [Rounding::USUAL, plain(0), plain(1), plain(2)]);
    }

    #[test]
    fn gradients_that_no_rounding_mends_do_not_hold() {
        let (asked, report) = held(|_, training| flip(training));
        assert!(!report.ok && report.flipped.is_none() && report.worst.tensor == "grad_input");
        assert_eq!(asked.len(), 34);
    }

    #[test]
    fn other_numbers_and_other_norms_are_not_excused() {
        type Change = fn(&mut Training);
        let changes: [Change; 3] = [
            |training| training.output.values[0] += 0.01,
            |training| training.grad_input.values[0] *= 1.5,
            |training| training.grads = BTreeMap::new(),
        ];
        for change in changes {
            let (asked, report) = held(|_, training| change(training));
            assert!(!report.ok && asked == [Rounding::USUAL], "{report:?}");
        }
    }
}
