//! Optimisers against PyTorch's and timm's in float64 (`bench/peers/optimisers.py`), and their sums against any split of
//! the work, on every instruction set that the machine has.

use residual_kernels::optim::{AdamW, Lamb, Lars, Lion, RmsProp, Sgd, sum_of_squares};
use residual_kernels::{Cpu, Isa};
use residual_testkit::formula::uniform;
use residual_testkit::naive::noise;

/// Steps of the script.
const STEPS: u64 = 5;

fn cpus() -> impl Iterator<Item = Cpu> {
    Isa::available().into_iter().flat_map(|isa| [1, 3].map(|threads| Cpu::with_isa(isa, threads).unwrap()))
}

fn values(name: &str, len: usize) -> Vec<f32> {
    uniform(name, len).map(|value| value as f32).collect()
}

/// An optimiser's step on parameter and gradient, with the two vectors of its state.
type Step = Box<dyn Fn(&Cpu, u64, &mut [f32], &[f32], [&mut [f32]; 2])>;

/// The optimiser called `name` in the script, and what its state begins with.
fn optimiser(name: &str) -> (Step, [f32; 2]) {
    let (betas, eps) = ([0.9, 0.99], 1e-6);
    let sgd = |nesterov| Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.05, nesterov };
    let adamw = AdamW { lr: 0.01, betas, eps, weight_decay: 0.05 };
    let lamb = |weight_decay| Lamb { lr: 0.01, betas, eps, weight_decay };
    let lars = |weight_decay| Lars { lr: 0.5, momentum: 0.9, eta: 0.02, eps: 1e-8, weight_decay };
    let lion = Lion { lr: 0.01, betas, weight_decay: 0.5 };
    let rms_prop = RmsProp { lr: 0.01, alpha: 0.9, momentum: 0.9, eps: 1e-3, weight_decay: 0.05 };
    let step: Step = match name {
        "sgd" | "nesterov" => {
            let sgd = sgd(name == "nesterov");
            Box::new(move |cpu, _, p, g, [v, _]| sgd.step(cpu, p, g, v).unwrap())
        }
        "adamw" => Box::new(move |cpu, step, p, g, state| adamw.step(cpu, step, p, g, state).unwrap()),
        "lamb" | "lamb_without_decay" => {
            let lamb = lamb(if name == "lamb" { 0.05 } else { 0.0 });
            Box::new(move |cpu, step, p, g, state| lamb.step(cpu, step, p, g, state).unwrap())
        }
        "lars" | "lars_without_decay" => {
            let lars = lars(if name == "lars" { 0.05 } else { 0.0 });
            Box::new(move |cpu, _, p, g, [v, _]| lars.step(cpu, p, g, v).unwrap())
        }
        "lion" => Box::new(move |cpu, _, p, g, [m, _]| lion.step(cpu, p, g, m).unwrap()),
        "rms_prop" => Box::new(move |cpu, _, p, g, state| rms_prop.step(cpu, p, g, state).unwrap()),
        other => panic!("{other}"),
    };
    (step, if name == "rms_prop" { [1.0, 0.0] } else { [0.0; 2] })
}

/// Parameter after `steps` steps, and its state.
fn run(name: &str, cpu: &Cpu, len: usize, steps: u64) -> [Vec<f32>; 3] {
    let (step, start) = optimiser(name);
    let [mut first, mut second] = start.map(|value| vec![value; len]);
    let mut parameter = values("parameter", len);
    for number in 0..steps {
        let gradient = values(&format!("gradient {number}"), len);
        step(cpu, number + 1, &mut parameter, &gradient, [&mut first, &mut second]);
    }
    [parameter, first, second]
}

fn expected() -> Vec<(&'static str, Vec<f32>)> {
    let of_line = |line: &'static str| {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        (name, words.map(|word| word.parse().unwrap()).collect())
    };
    include_str!("expected/optimisers.txt").lines().map(of_line).collect()
}

#[test]
fn parameters_are_those_of_pytorch_and_timm() {
    let expected = expected();
    assert_eq!(expected.len(), 9);
    for cpu in cpus() {
        for (name, wanted) in &expected {
            let [found, ..] = run(name, &cpu, wanted.len(), STEPS);
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() <= 2e-6, "{name} on {}: {found} and {wanted}", cpu.isa());
            }
        }
    }
}

#[test]
fn no_number_of_threads_and_no_instruction_set_changes_a_bit() {
    let len = 70_001;
    for (name, _) in expected() {
        let bits =
            |cpu: &Cpu| run(name, cpu, len, 3).map(|values| values.into_iter().map(f32::to_bits).collect());
        let all: Vec<[Vec<u32>; 3]> = cpus().map(|cpu| bits(&cpu)).collect();
        assert!(all.iter().all(|one| *one == all[0]), "{name}");
    }
}

#[test]
fn the_sum_of_squares_is_that_of_a_long_sum() {
    for len in [0, 1, 7, 8, 16 << 10, 100_003] {
        let values = noise(3, len);
        let wanted: f64 = values.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let found: Vec<f64> = cpus().map(|cpu| sum_of_squares(&cpu, &values)).collect();
        assert!(found.iter().all(|sum| sum.to_bits() == found[0].to_bits()), "{len}");
        assert!((found[0] - wanted).abs() <= 1e-12 * wanted, "{len}: {} and {wanted}", found[0]);
    }
}

#[test]
fn what_has_no_size_is_not_scaled_by_it() {
    let cpu = Cpu::new(1).unwrap();
    let lamb = Lamb { lr: 0.5, betas: [0.9, 0.99], eps: 0.0, weight_decay: 0.1 };
    // The first direction is the gradient's sign.
    let mut zero = [0.0];
    lamb.step(&cpu, 1, &mut zero, &[0.3], [&mut [0.0], &mut [0.0]]).unwrap();
    assert!((zero[0] + 0.5).abs() < 1e-6, "{}", zero[0]);
    let lars = Lars { lr: 0.5, momentum: 0.9, eta: 0.001, eps: 0.0, weight_decay: 0.1 };
    for (mut p, g, wanted) in [([0.0], [0.3], -0.15), ([2.0], [0.0], 2.0 - 0.5 * 0.2)] {
        lars.step(&cpu, &mut p, &g, &mut [0.0]).unwrap();
        assert!((p[0] - wanted).abs() < 1e-6, "{} and {wanted}", p[0]);
    }
}

#[test]
fn lengths_and_steps_that_cannot_be_are_refused() {
    let cpu = Cpu::new(1).unwrap();
    let (mut p, mut one, mut two) = ([1.0; 2], [0.0; 1], [0.0; 2]);
    let adamw = AdamW { lr: 0.1, betas: [0.9, 0.99], eps: 1e-8, weight_decay: 0.0 };
    assert!(adamw.step(&cpu, 0, &mut p, &[0.0; 2], [&mut [0.0; 2], &mut two]).is_err());
    assert!(adamw.step(&cpu, 1, &mut p, &[0.0; 2], [&mut one, &mut two]).is_err());
    let lamb = Lamb { lr: 0.1, betas: [0.9, 0.99], eps: 1e-8, weight_decay: 0.0 };
    assert!(lamb.step(&cpu, 0, &mut p, &[0.0; 2], [&mut [0.0; 2], &mut two]).is_err());
    let sgd = Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.0, nesterov: false };
    assert!(sgd.step(&cpu, &mut p, &[0.0], &mut two).is_err());
    // A velocity that is kept must be there; one that is not need not be.
    assert!(sgd.step(&cpu, &mut p, &[0.0; 2], &mut []).is_err());
    assert!(Sgd { momentum: 0.0, ..sgd }.step(&cpu, &mut p, &[0.0; 2], &mut []).is_ok());
    let lars = Lars { lr: 0.1, momentum: 0.9, eta: 0.001, eps: 0.0, weight_decay: 0.0 };
    assert!(lars.step(&cpu, &mut p, &[0.0], &mut two).is_err());
    assert!(lars.step(&cpu, &mut p, &[0.0; 2], &mut one).is_err());
    let lion = Lion { lr: 0.1, betas: [0.9, 0.99], weight_decay: 0.0 };
    assert!(lion.step(&cpu, &mut p, &[0.0; 2], &mut one).is_err());
    let rms_prop = RmsProp { lr: 0.1, alpha: 0.9, momentum: 0.0, eps: 1e-3, weight_decay: 0.0 };
    assert!(rms_prop.step(&cpu, &mut p, &[0.0; 2], [&mut two, &mut one]).is_err());
}
