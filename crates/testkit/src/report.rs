//! Holding what was computed against a golden file.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::compare::{Deviation, Group, NOTHING, Tolerances, relative};
use crate::golden::{Golden, Reference};

/// A tensor that was computed: its shape and elements, row-major.
#[derive(Clone, Debug)]
pub struct Computed {
    /// Shape.
    pub shape: Vec<usize>,
    /// Elements.
    pub values: Vec<f32>,
}

impl Computed {
    /// `sum(self * weights)`, added in f64: the reference is, and the sum of many terms of either sign is close to
    /// zero.
    pub fn weighted_sum(&self, weights: &[f32]) -> f64 {
        self.values.iter().zip(weights).map(|(&y, &w)| f64::from(y) * f64::from(w)).sum()
    }
}

/// Results: what was computed of that which a golden file has a reference for.
#[derive(Clone, Debug)]
pub struct Results {
    /// Number of parameters.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Output with running statistics.
    pub eval_output: Computed,
    /// Only of what can be trained.
    pub training: Option<Training>,
}

/// A step of training; tensors by their names in the file.
#[derive(Clone, Debug)]
pub struct Training {
    /// Output with batch statistics.
    pub output: Computed,
    /// Loss of that output.
    pub loss: f64,
    /// Gradient of the loss with respect to the input.
    pub grad_input: Computed,
    /// Gradient of the loss with respect to every parameter.
    pub grads: BTreeMap<String, Computed>,
    /// Running statistics after the step.
    pub running: BTreeMap<String, Computed>,
}

/// Report on how one file was met.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The network or block.
    pub model: String,
    /// True where everything holds.
    pub ok: bool,
    /// The tensor that comes closest to its tolerance, or exceeds it most.
    pub worst: Worst,
    /// The gradient that was beyond its tolerance at first, where that is due to ReLUs next to zero.
    pub flipped: Option<Worst>,
    /// Faults beyond tolerances: counts that differ, tensors missing or unexpected.
    pub problems: Vec<String>,
}

/// The largest error in units of its tolerance.
#[derive(Clone, Debug, Serialize)]
pub struct Worst {
    /// `eval_output`, `train_output`, `train_loss`, `grad_input`, `grads.NAME` or `running.NAME`.
    pub tensor: String,
    /// `shape`, `l2`, `sum`, `head` or `values`.
    pub part: &'static str,
    /// Relative error; infinite (`null` in JSON) for a wrong shape or a NaN.
    pub error: f64,
    /// Largest relative error allowed.
    pub tolerance: f64,
}

impl Worst {
    fn ratio(&self) -> f64 {
        self.error / self.tolerance
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:.1e} of {:.0e}", self.tensor, self.part, self.error, self.tolerance)
    }
}

impl Report {
    /// Compares everything with its reference.
    pub fn new(golden: &Golden, found: &Results, tolerances: &Tolerances) -> Self {
        let mut check = Check { tolerances, worst: None, problems: Vec::new() };
        check.count("parameters", found.parameters, golden.parameters);
        check.count("MACs per image", found.macs, golden.macs_per_image);
        check.tensor("eval_output", Group::EvalOutput, &golden.eval_output, &found.eval_output);
        if let Some(training) = &found.training {
            check.training(golden, training);
        }
        let Check { worst, problems, .. } = check;
        // The outputs were compared, so that there is a worst one.
        let worst = worst.unwrap_or_else(|| Worst::of("eval_output", NOTHING));
        let ok = problems.is_empty() && worst.error <= worst.tolerance;
        Self { model: golden.model.clone(), ok, worst, flipped: None, problems }
    }
}

impl Worst {
    fn of(tensor: impl Into<String>, Deviation { part, error, allowed }: Deviation) -> Self {
        Self { tensor: tensor.into(), part, error, tolerance: allowed }
    }
}

struct Check<'a> {
    tolerances: &'a Tolerances,
    worst: Option<Worst>,
    problems: Vec<String>,
}

impl Check<'_> {
    fn count(&mut self, what: &str, found: u64, expected: u64) {
        if found != expected {
            self.problems.push(format!("{what}: {found} instead of {expected}"));
        }
    }

    fn tensor(&mut self, name: &str, group: Group, reference: &Reference, found: &Computed) {
        self.note(Worst::of(name, self.tolerances.worst(group, reference, &found.shape, &found.values)));
    }

    fn training(&mut self, golden: &Golden, found: &Training) {
        self.tensor("train_output", Group::TrainOutput, &golden.train_output, &found.output);
        self.loss(golden, found.loss);
        self.tensor("grad_input", Group::GradInput, &golden.grad_input, &found.grad_input);
        self.tensors(Group::Grads, &golden.grads, &found.grads);
        self.tensors(Group::Running, &golden.running, &found.running);
    }

    /// The loss is a sum over the outputs, so that its error is relative to their size where it is itself
    /// close to zero: `sum(output * u)` of `n` outputs to their norm, a cross-entropy to 1.
    fn loss(&mut self, golden: &Golden, found: f64) {
        let of_block = golden.train_output.shape.len() != 2;
        let size = if of_block { golden.train_output.l2 } else { 1.0 };
        let error = relative(found, golden.train_loss, golden.train_loss.abs().max(size));
        let allowed = self.tolerances.allowed_in_loss();
        self.note(Worst::of("train_loss", Deviation { part: "value", error, allowed }));
    }

    fn tensors(
        &mut self,
        group: Group,
        references: &BTreeMap<String, Reference>,
        found: &BTreeMap<String, Computed>,
    ) {
        let field = group.name();
        for (name, reference) in references {
            match found.get(name) {
                Some(found) => self.tensor(&format!("{field}.{name}"), group, reference, found),
                None => self.problems.push(format!("{field}.{name}: the network has no such tensor")),
            }
        }
        for name in found.keys().filter(|name| !references.contains_key(*name)) {
            self.problems.push(format!("{field}.{name}: the file has no such tensor"));
        }
    }

    fn note(&mut self, candidate: Worst) {
        if self.worst.as_ref().is_none_or(|worst| candidate.ratio() > worst.ratio()) {
            self.worst = Some(candidate);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn reference(values: &[f64]) -> Reference {
        Reference {
            shape: vec![1, values.len()],
            l2: values.iter().map(|v| v * v).sum::<f64>().sqrt(),
            sum: values.iter().sum(),
            head: values.to_vec(),
            values: vec![],
        }
    }

    fn computed(values: &[f32]) -> Computed {
        Computed { shape: vec![1, values.len()], values: values.to_vec() }
    }

    pub(crate) fn golden() -> Golden {
        let tensor = reference(&[1.0, -2.0]);
        Golden {
            model: "made_up".into(),
            input_shape: [1, 1, 1, 2],
            parameters: 2,
            macs_per_image: 2,
            eval_output: tensor.clone(),
            train_output: tensor.clone(),
            train_loss: 0.5,
            grad_input: tensor.clone(),
            grads: BTreeMap::from([("fc.weight".to_owned(), tensor.clone())]),
            running: BTreeMap::from([("bn.running_mean".to_owned(), tensor)]),
            float32: BTreeMap::new(),
        }
    }

    pub(crate) fn results() -> Results {
        let tensor = computed(&[1.0, -2.0]);
        Results {
            parameters: 2,
            macs: 2,
            eval_output: tensor.clone(),
            training: Some(Training {
                output: tensor.clone(),
                loss: 0.5,
                grad_input: tensor.clone(),
                grads: BTreeMap::from([("fc.weight".to_owned(), tensor.clone())]),
                running: BTreeMap::from([("bn.running_mean".to_owned(), tensor)]),
            }),
        }
    }

    #[test]
    fn what_agrees_is_ok() {
        let report = Report::new(&golden(), &results(), &Tolerances::of(&golden(), 2));
        assert!(report.ok, "{report:?}");
        assert!(report.worst.error < 1e-9);
    }

    #[test]
    fn every_quantity_is_held_to_its_tolerance() {
        type Break = fn(&mut Training);
        let breaks: [(&str, Break); 5] = [
            ("train_output", |r| r.output.values[1] = f32::NAN),
            ("train_loss", |r| r.loss = f64::NAN),
            ("grad_input", |r| r.grad_input.shape = vec![2, 1]),
            ("grads.fc.weight", |r| r.grads.values_mut().for_each(|t| t.values[0] += 0.01)),
            ("running.bn.running_mean", |r| r.running.values_mut().for_each(|t| t.values.clear())),
        ];
        for (tensor, break_it) in breaks {
            let mut found = results();
            found.training.as_mut().map(break_it);
            let report = Report::new(&golden(), &found, &Tolerances::of(&golden(), 2));
            assert!(!report.ok && report.worst.tensor == tensor, "{tensor}: {report:?}");
        }
        let mut found = Results { training: None, ..results() };
        assert!(Report::new(&golden(), &found, &Tolerances::of(&golden(), 2)).ok);
        found.eval_output.values[0] += 1e-3;
        assert_eq!(Report::new(&golden(), &found, &Tolerances::of(&golden(), 2)).worst.tensor, "eval_output");
    }

    #[test]
    fn counts_and_names_must_be_equal() {
        let mut found = results();
        found.macs += 1;
        let training = found.training.as_mut().unwrap();
        training.grads.insert("extra".into(), computed(&[0.0, 0.0]));
        training.running.clear();
        let report = Report::new(&golden(), &found, &Tolerances::of(&golden(), 2));
        assert!(!report.ok);
        let problems = report.problems.join("\n");
        for part in [
            "MACs per image: 3 instead of 2",
            "grads.extra: the file",
            "running.bn.running_mean: the network",
        ] {
            assert!(problems.contains(part), "{problems}");
        }
    }
}
