//! L-BFGS: minimum of a smooth function from its gradients (Liu and Nocedal 1989).

use std::collections::VecDeque;

use crate::Error;

/// Number of steps that the curvature is told from.
const REMEMBERED: usize = 10;

/// Limit on the iterations.
const MOST: usize = 200;

/// Relative decrease in an iteration below which the minimum is taken to be reached.
const LEAST_DECREASE: f64 = 1e-7;

/// Norm of the gradient below which it is.
const FLAT: f64 = 1e-6;

/// Share of the decrease that the slope promises which a step must give (Armijo's rule).
const SUFFICIENT: f64 = 1e-4;

/// Limit on the halvings of a step: beyond, rounding decides.
const HALVINGS: usize = 20;

/// Function of many variables with its gradient.
pub(crate) trait Function {
    /// Value at a place; fills the gradient there.
    fn value(&mut self, at: &[f64], gradient: &mut [f64]) -> Result<f64, Error>;
}

/// Step that was taken, and what it did to the gradient.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// `1 / (step . change)`
    factor: f64,
}

/// Place of the minimum of a convex function, from a place to begin with.
pub(crate) fn minimise(function: &mut dyn Function, mut at: Vec<f64>) -> Result<Vec<f64>, Error> {
    let mut gradient = vec![0.0; at.len()];
    let mut value = function.value(&at, &mut gradient)?;
    let mut pairs: VecDeque<Pair> = VecDeque::new();
    for _ in 0..MOST {
        if dot(&gradient, &gradient).sqrt() < FLAT {
            break;
        }
        let direction = direction(&pairs, &gradient);
        let slope = dot(&direction, &gradient);
        let line = Line { direction: &direction, slope };
        let Some(next) = line_search(function, &at, value, &line)? else { break };
        let step: Vec<f64> = next.at.iter().zip(&at).map(|(new, old)| new - old).collect();
        let change: Vec<f64> = next.gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
        let curvature = dot(&step, &change);
        if curvature > 1e-12 * dot(&change, &change).sqrt() * dot(&step, &step).sqrt() {
            pairs.push_back(Pair { step, change, factor: 1.0 / curvature });
            if pairs.len() > REMEMBERED {
                pairs.pop_front();
            }
        }
        let decrease = value - next.value;
        (at, value, gradient) = (next.at, next.value, next.gradient);
        if decrease <= LEAST_DECREASE * value.abs() {
            break;
        }
    }
    Ok(at)
}

/// Direction of a search, and the slope of the function along it.
struct Line<'a> {
    direction: &'a [f64],
    slope: f64,
}

/// Place, value and gradient after a step.
struct Next {
    at: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// The longest of the steps 1, 1/2, 1/4, ... along a direction of that slope which decreases the function enough.
fn line_search(
    function: &mut dyn Function,
    at: &[f64],
    value: f64,
    line: &Line<'_>,
) -> Result<Option<Next>, Error> {
    let mut length = 1.0;
    for _ in 0..HALVINGS {
        let place: Vec<f64> = at.iter().zip(line.direction).map(|(at, d)| at + length * d).collect();
        let mut gradient = vec![0.0; at.len()];
        let found = function.value(&place, &mut gradient)?;
        if found <= value + SUFFICIENT * length * line.slope {
            return Ok(Some(Next { at: place, value: found, gradient }));
        }
        length /= 2.0;
    }
    Ok(None)
}

/// `-H g`, where `H` is the inverse of the curvature as far as the pairs tell it: the two loops of the method.
fn direction(pairs: &VecDeque<Pair>, gradient: &[f64]) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let share = pair.factor * dot(&pair.step, &q);
        q.iter_mut().zip(&pair.change).for_each(|(q, change)| *q -= share * change);
        shares.push(share);
    }
    if let Some(last) = pairs.back() {
        let scale = 1.0 / (last.factor * dot(&last.change, &last.change));
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (pair, share) in pairs.iter().zip(shares.into_iter().rev()) {
        let back = pair.factor * dot(&pair.change, &q);
        q.iter_mut().zip(&pair.step).for_each(|(q, step)| *q += (share - back) * step);
    }
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sum of c_i (x_i - i)^2` with curvatures from 1 to 10,000.
    struct Bowl;

    impl Function for Bowl {
        fn value(&mut self, at: &[f64], gradient: &mut [f64]) -> Result<f64, Error> {
            let mut value = 0.0;
            for (i, (x, g)) in at.iter().zip(gradient).enumerate() {
                let (curvature, away) = (10f64.powi(i as i32), x - i as f64);
                value += curvature * away * away;
                *g = 2.0 * curvature * away;
            }
            Ok(value)
        }
    }

    #[test]
    fn a_bowl_has_its_bottom_found() {
        let bottom = minimise(&mut Bowl, vec![9.0; 5]).unwrap();
        for (i, x) in bottom.iter().enumerate() {
            assert!((x - i as f64).abs() < 1e-4, "{bottom:?}");
        }
    }
}
