//! The one rule by which a network is held against a golden file.

use crate::compare::Tolerances;
use crate::golden::Golden;
use crate::kink::{self, Kink};
use crate::report::{Report, Results};
use crate::rounding::{Moved, Rounding};
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
/// gradients where rounding decides over a value next to it. Where gradients alone are beyond their tolerance, and
/// their norms within 5e-2, they are computed again with the smaller errors of plain convolutions, then with each of
/// the values that `kinks` gives moved away from zero, to the side that the reference is on ([`Kink`]), and last with
/// noise on the input that puts them there by chance: within the same tolerances. The report then says so
/// ([`Report::flipped`]).
///
/// # Errors
/// Those of `compute` and `kinks`.
pub fn hold<E>(
    golden: &Golden,
    subject: &Subject,
    convolutions: Convolutions,
    mut compute: impl FnMut(&Rounding) -> Result<Results, E>,
    kinks: impl FnOnce() -> Result<Vec<Kink>, E>,
) -> Result<Report, E> {
    let tolerances = Tolerances::of(golden, subject.layers());
    let found = compute(&Rounding::default())?;
    let report = Report::new(golden, &found, &tolerances);
    if report.ok || !Report::new(golden, &found, &tolerances.clone().with_flips()).ok {
        return Ok(report);
    }
    let plain = convolutions == Convolutions::Chosen;
    let usual = Rounding { plain, ..Rounding::default() };
    let report_on = |found: Results| Report::new(golden, &found, &tolerances);
    let flipped = |other| Report { flipped: Some(report.worst.clone()), ..other };
    if plain {
        let other = report_on(compute(&usual)?);
        if other.ok {
            return Ok(flipped(other));
        }
    }
    let kinks = kinks()?;
    for share in Kink::SHARES {
        let near = Kink::most_decisive(&kinks, share);
        let moved = beside(golden, (&near, share), |moved| compute(&Rounding { moved, ..usual.clone() }))?;
        let other = report_on(compute(&Rounding { moved, ..usual.clone() })?);
        if other.ok {
            return Ok(flipped(other));
        }
    }
    for nudge in 1..=NUDGES {
        let other = report_on(compute(&Rounding { nudge, ..usual.clone() })?);
        if other.ok {
            return Ok(flipped(other));
        }
    }
    Ok(report)
}

/// Number of noises.
const NUDGES: u32 = 32;

/// The biases that move every kink to the side of the reference, so far that it is at a share of its map's size.
fn beside<E>(
    golden: &Golden,
    (kinks, share): (&[Kink], f32),
    mut compute: impl FnMut(Vec<Moved>) -> Result<Results, E>,
) -> Result<Vec<Moved>, E> {
    let moved = |above: &dyn Fn(usize) -> bool| -> Vec<Moved> {
        kinks.iter().enumerate().map(|(at, kink)| kink.moved(above(at), share)).collect()
    };
    let mut gradients = |moved: Vec<Moved>| Ok(kink::compared(golden, &compute(moved)?));
    let below = gradients(moved(&|_| false))?;
    let mut contributions = Vec::new();
    for this in 0..kinks.len() {
        let above = gradients(moved(&|at| at == this))?;
        contributions.push(above.iter().zip(&below).map(|(above, below)| above - below).collect());
    }
    let sides = kink::sides(&kink::wanted(golden), &below, &contributions);
    Ok(moved(&|at| sides[at]))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;
    use crate::report::Training;
    use crate::report::tests::{golden, results};

    /// Requests to `compute`, and the report on what `change` made of the right results; with these kinks.
    fn held(kinks: Vec<Kink>, change: impl Fn(&Rounding, &mut Training)) -> (Vec<Rounding>, Report) {
        let subject = Subject::from_name("small").unwrap();
        let asked = RefCell::new(Vec::new());
        let compute = |rounding: &Rounding| {
            asked.borrow_mut().push(rounding.clone());
            let mut results = results();
            results.training.iter_mut().for_each(|training| change(rounding, training));
            Ok::<_, Infallible>(results)
        };
        let report = hold(&golden(), &subject, Convolutions::Chosen, compute, || Ok(kinks)).unwrap();
        (asked.into_inner(), report)
    }

    /// Elements that changed places: another sum of nothing, the same norm.
    fn flip(training: &mut Training) {
        training.grad_input.values.swap(0, 1);
    }

    /// Two values next to zero.
    fn two() -> Vec<Kink> {
        let kink = |channel| Kink { bias: "b".to_owned(), channel, value: 0.0, size: 1.0, places: 1 };
        vec![kink(0), kink(1)]
    }

    #[test]
    fn what_holds_is_computed_once() {
        let (asked, report) = held(two(), |_, _| {});
        assert!(report.ok && report.flipped.is_none());
        assert_eq!(asked, [Rounding::default()]);
    }

    #[test]
    fn plain_convolutions_are_tried_first() {
        let (asked, report) = held(two(), |rounding, training| {
            if !rounding.plain {
                flip(training);
            }
        });
        assert!(report.ok, "{report:?}");
        assert_eq!(report.flipped.unwrap().tensor, "grad_input");
        assert_eq!(asked, [Rounding::default(), Rounding { plain: true, ..Rounding::default() }]);
    }

    #[test]
    fn gradients_hold_with_values_on_the_side_of_the_reference() {
        // The reference is above zero in the second; the computation is there in none unless it is moved.
        let (asked, report) = held(two(), |rounding, training| {
            let above =
                |channel| rounding.moved.iter().any(|moved| moved.channel == channel && moved.by > 0.0);
            let values = &mut training.grad_input.values;
            if above(0) {
                values[1] += 0.04;
            }
            if !above(1) {
                values[0] -= 0.03;
            }
        });
        assert!(report.ok && report.flipped.is_some(), "{report:?}");
        let signs: Vec<f32> = asked.last().unwrap().moved.iter().map(|moved| moved.by.signum()).collect();
        // The computation, with plain convolutions, both below, each above, and the last.
        assert_eq!((asked.len(), &signs[..]), (6, &[-1.0, 1.0][..]));
    }

    #[test]
    fn a_fault_beside_a_flip_does_not_hold() {
        let (asked, report) = held(two(), |rounding, training| {
            let above = rounding.moved.iter().any(|moved| moved.channel == 1 && moved.by > 0.0);
            training.grad_input.values[0] -= if above { 0.01 } else { 0.03 };
        });
        assert!(!report.ok && report.flipped.is_none() && asked.len() == 10 + 32, "{report:?}");
    }

    #[test]
    fn noise_may_put_values_on_the_side_of_the_reference() {
        let (asked, report) = held(vec![], |rounding, training| {
            if rounding.nudge < 3 {
                flip(training);
            }
        });
        assert!(report.ok && report.flipped.is_some() && asked.last().unwrap().nudge == 3, "{report:?}");
    }

    #[test]
    fn gradients_that_no_side_mends_do_not_hold() {
        for kinks in [vec![], two()] {
            let (asked, report) = held(kinks.clone(), |_, training| flip(training));
            assert!(!report.ok && report.flipped.is_none() && report.worst.tensor == "grad_input");
            // The computation, with plain convolutions, at two distances from the kinks, and with noises.
            assert_eq!(asked.len(), 2 + 2 * (2 + kinks.len()) + 32);
        }
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
            let (asked, report) = held(two(), |_, training| change(training));
            assert!(!report.ok && asked == [Rounding::default()], "{report:?}");
        }
    }
}
