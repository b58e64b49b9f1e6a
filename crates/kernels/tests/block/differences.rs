//! The float64 reference itself, against finite differences: with the tests beside it, every gradient of the
//! fused block is held against differences of its definition.

use residual_kernels::block::{BlockShape, Bottleneck, Order, Shortcut};

use crate::case::Case;
use crate::naive::{Maps, Naive};

/// The step of a difference: its square and the roundings over it are both below 1e-8.
const STEP: f64 = 1e-5;

/// `(L(v + h) - L(v - h)) / 2h` with `L = sum of dy y`, where `at` moves a number `v`.
fn difference(case: &Case, running: &[[Vec<f32>; 2]], at: impl Fn(&mut Naive, &mut Maps, f64)) -> f64 {
    let loss = |step: f64| {
        let (mut naive, mut x, dy) = case.naive(running);
        at(&mut naive, &mut x, step);
        let (y, _) = naive.run(&x, &dy);
        y.values.iter().zip(&dy.values).map(|(y, dy)| y * dy).sum::<f64>()
    };
    (loss(STEP) - loss(-STEP)) / (2.0 * STEP)
}

/// Some of `len` indices.
fn some(len: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by((len / 5).max(1))
}

/// With the batch's statistics, and with constants in their place.
fn check(case: &Case) {
    check_with(case, &[]);
    check_with(case, &case.running());
}

fn check_with(case: &Case, running: &[[Vec<f32>; 2]]) {
    let (mut naive, x, dy) = case.naive(running);
    let (_, dx) = naive.run(&x, &dy);
    let size = |by: &[f64]| (by.iter().map(|v| v * v).sum::<f64>() / by.len() as f64).sqrt();
    let hold = |what: &str, by: &[f64], at: &dyn Fn(&mut Naive, &mut Maps, usize, f64)| {
        for index in some(by.len()) {
            let found = difference(case, running, |naive, x, step| at(naive, x, index, step));
            let (error, size) = ((found - by[index]).abs(), size(by));
            assert!(error <= 1e-5 * size, "{:?} {what} {index}: {found} of {}", case.shape, by[index]);
        }
    };
    hold("x", &dx.values, &|_, x, i, step| x.values[i] += step);
    for (link, unit) in naive.links.iter().enumerate() {
        hold("weights", &unit.by[0], &|naive, _, i, step| naive.links[link].weights[i] += step);
        hold("gamma", &unit.by[1], &|naive, _, i, step| naive.links[link].gamma[i] += step);
        hold("beta", &unit.by[2], &|naive, _, i, step| naive.links[link].beta[i] += step);
    }
    if let Some(unit) = &naive.projection {
        hold("projection", &unit.by[0], &|naive, _, i, step| {
            naive.projection.iter_mut().for_each(|unit| unit.weights[i] += step);
        });
    }
    for (part, by) in naive.gate.by.iter().enumerate().filter(|(_, by)| !by.is_empty()) {
        hold("squeeze", by, &|naive, _, i, step| {
            if let Some(layers) = &mut naive.gate.layers {
                layers[part][i] += step;
            }
        });
    }
}

#[test]
fn the_reference_has_the_gradients_that_differences_give() {
    for order in [Order::PostActivation, Order::PreActivation] {
        let of = |outs, stride, shortcut| BlockShape::basic(outs, stride, shortcut, order);
        check(&Case::new(of(4, 1, Shortcut::Identity), [2, 4, 5, 4]));
        check(&Case::new(of(5, 1, Shortcut::None), [2, 4, 5, 4]).dropping());
        check(&Case::new(of(6, 2, Shortcut::ZeroPad { stride: 2 }), [2, 4, 5, 4]));
        check(&Case::new(of(6, 2, Shortcut::Projection { stride: 2 }).with_squeeze(3), [3, 4, 5, 4]));
        let pooled = Shortcut::PooledProjection { stride: 2 };
        check(
            &Case::new(
                BlockShape::bottleneck(
                    Bottleneck { width: 4, groups: 2, out_channels: 6, stride: 2 },
                    pooled,
                    order,
                ),
                [3, 4, 5, 4],
            )
            .dropping(),
        );
        let squeezed = BlockShape::bottleneck(
            Bottleneck { width: 4, groups: 1, out_channels: 5, stride: 1 },
            Shortcut::Identity,
            order,
        )
        .with_squeeze(2);
        check(&Case::new(squeezed, [3, 5, 4, 4]).dropping());
    }
}
