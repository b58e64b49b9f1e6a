//! Losses against PyTorch, torchvision and timm in float64 (`bench/peers/losses.py`), and at the ends of the numbers.

use residual_kernels::loss::{Loss, Objective};
use residual_testkit::formula::uniform;

const CLASSES: usize = 5;
const IMAGES: usize = 6;
const LABELS: [usize; IMAGES] = [0, 3, 3, 1, 4, 0];
const WEIGHTS: [f64; CLASSES] = [0.5, 2.0, 1.0, 0.25, 3.0];
const POSITIVE: [f64; CLASSES] = [3.0, 0.25, 1.0, 2.0, 0.5];

fn numbers(name: &str, change: impl Fn(f64) -> f64) -> Vec<f32> {
    uniform(name, IMAGES * CLASSES).map(|value| change(value) as f32).collect()
}

/// Labels with a part of each spread over all classes.
fn one_hot(smoothing: f64) -> Vec<f32> {
    let target = |label: usize, class: usize| {
        smoothing / CLASSES as f64 + if label == class { 1.0 - smoothing } else { 0.0 }
    };
    LABELS.iter().flat_map(|&label| (0..CLASSES).map(move |class| target(label, class) as f32)).collect()
}

fn of_weights() -> f64 {
    LABELS.iter().map(|&label| WEIGHTS[label]).sum()
}

/// The case called `name` in the script: the loss and its targets.
fn case(name: &str) -> (Objective<'static>, Vec<f32>) {
    let soft = || numbers("soft", |value| 0.5 + 0.5 * value);
    let hard = |on: f64, off: f64| numbers("hard", |value| if value > 0.2 { on } else { off });
    let softmax = |gamma, divisor| Objective::new(Loss::Softmax { gamma, divisor });
    let weighted = |gamma| softmax(gamma, of_weights()).weighted(&WEIGHTS);
    let binary = Objective::new(Loss::Binary { sum_classes: false });
    let focal = |gamma, alpha| Objective::new(Loss::BinaryFocal { gamma, alpha });
    let asymmetric = |gamma_negative, gamma_positive, clip| {
        Objective::new(Loss::Asymmetric { gamma_negative, gamma_positive, clip })
    };
    let images = IMAGES as f64;
    let regression = |loss| (Objective::new(loss), numbers("numbers", |value| 4.0 * value));
    match name {
        "cross_entropy_weighted" => (weighted(0.0), one_hot(0.0)),
        "cross_entropy_weighted_smooth" => (weighted(0.0), one_hot(0.1)),
        "cross_entropy_soft_weighted" => {
            let rows = soft();
            let shares = rows.chunks(CLASSES).flat_map(|row| {
                let sum: f64 = row.iter().map(|&value| f64::from(value)).sum();
                row.iter().map(move |&value| (f64::from(value) / sum) as f32)
            });
            (softmax(0.0, images).weighted(&WEIGHTS), shares.collect())
        }
        "focal" => (softmax(2.0, images), one_hot(0.0)),
        "focal_half" => (softmax(0.5, images), one_hot(0.0)),
        "focal_weighted" => (weighted(2.0), one_hot(0.0)),
        "binary" => (binary, hard(1.0, 0.0)),
        "binary_soft" => (binary, soft()),
        "binary_weighted" => (binary.weighted(&WEIGHTS).with_positive(&POSITIVE), hard(1.0, 0.0)),
        "binary_sum" => (Objective::new(Loss::Binary { sum_classes: true }), soft()),
        "binary_labels_smooth" => (binary, one_hot(0.1)),
        "binary_threshold" => {
            let targets = soft().into_iter().map(|value| f32::from(value > 0.4));
            (binary, targets.collect())
        }
        "binary_smooth_dense" => (binary, hard(0.95, 0.05)),
        "binary_focal" => (focal(2.0, Some(0.25)), hard(1.0, 0.0)),
        "binary_focal_soft" => (focal(1.5, None), soft()),
        "asymmetric" => (asymmetric(4.0, 1.0, 0.05), hard(1.0, 0.0)),
        "asymmetric_soft" => (asymmetric(2.0, 0.5, 0.1), soft()),
        "asymmetric_plain" => (asymmetric(0.0, 0.0, 0.0), hard(1.0, 0.0)),
        "distillation" => {
            let teacher = numbers("teacher", |value| 6.0 * value);
            let shares = teacher.chunks(CLASSES).flat_map(|row| {
                let powers: Vec<f64> = row.iter().map(|&value| (f64::from(value) / 3.0).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.into_iter().map(move |power| (power / sum) as f32)
            });
            (Objective::new(Loss::Distillation { temperature: 3.0 }), shares.collect())
        }
        "mse" => regression(Loss::Squared),
        "l1" => regression(Loss::Absolute),
        "huber" => regression(Loss::Huber { delta: 1.5 }),
        "smooth_l1" => regression(Loss::SmoothL1 { beta: 1.5 }),
        other => panic!("{other}"),
    }
}

#[test]
fn losses_and_gradients_are_the_references() {
    let logits = numbers("logits", |value| 6.0 * value);
    let mut count = 0;
    for line in include_str!("expected/losses.txt").lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let wanted: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
        let (objective, targets) = case(name);
        let mut gradient = vec![0.0; logits.len()];
        let loss = objective.of(&logits, &targets, CLASSES, &mut gradient).unwrap();
        let found = std::iter::once(loss).chain(gradient.iter().map(|&value| f64::from(value)));
        assert_eq!(wanted.len(), gradient.len() + 1);
        for (place, (found, wanted)) in found.zip(&wanted).enumerate() {
            // Targets are rounded to f32.
            assert!(
                (found - wanted).abs() <= 2e-7 * (1.0 + wanted.abs()),
                "{name} {place}: {found} of {wanted}"
            );
        }
        count += 1;
    }
    assert_eq!(count, 23);
}

#[test]
fn large_logits_do_not_overflow_and_what_is_not_finite_stays() {
    for name in ["focal_half", "binary", "binary_focal", "binary_focal_soft", "asymmetric", "huber"] {
        let (objective, targets) = case(name);
        let run = |logits: &[f32]| {
            let mut gradient = vec![0.0; logits.len()];
            let loss = objective.of(logits, &targets, CLASSES, &mut gradient).unwrap();
            (loss, gradient)
        };
        let signs = numbers("logits", f64::signum);
        let large: Vec<f32> = signs.iter().map(|sign| sign * 1e4).collect();
        let (loss, gradient) = run(&large);
        assert!(loss.is_finite() && gradient.iter().all(|value| value.is_finite()), "{name}: {loss}");
        let mut broken = signs;
        broken[7] = f32::NAN;
        assert!(run(&broken).0.is_nan(), "{name}");
    }
}

#[test]
fn lengths_are_checked() {
    let objective = Objective::new(Loss::Squared);
    assert!(objective.of(&[], &[], 2, &mut []).is_err());
    assert!(objective.of(&[0.0; 3], &[0.0; 3], 2, &mut [0.0; 3]).is_err());
    assert!(objective.of(&[0.0; 4], &[0.0; 3], 2, &mut [0.0; 4]).is_err());
    assert!(objective.weighted(&[1.0]).of(&[0.0; 4], &[0.0; 4], 2, &mut [0.0; 4]).is_err());
}
