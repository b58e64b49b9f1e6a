//! Holding what was computed against a golden file.

use std::collections::BTreeMap;
use std::fmt;

use residual_testkit::compare::{Deviation, Quantity, Tolerances, relative};
use residual_testkit::golden::{Golden, Reference};
use serde::Serialize;

/// A tensor that was computed: its shape and elements, row-major.
#[derive(Clone, Debug)]
pub(crate) struct Computed {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// What was computed of that which a golden file has a reference for.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    pub(crate) parameters: u64,
    pub(crate) macs: u64,
    pub(crate) eval_output: Computed,
    /// Only of what can be trained.
    pub(crate) training: Option<Training>,
}

/// A step of training; tensors by their names in the file.
#[derive(Clone, Debug)]
pub(crate) struct Training {
    pub(crate) output: Computed,
    pub(crate) loss: f64,
    pub(crate) grad_input: Computed,
    pub(crate) grads: BTreeMap<String, Computed>,
    pub(crate) running: BTreeMap<String, Computed>,
}

/// How one file was met.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) model: String,
    pub(crate) ok: bool,
    /// The tensor that comes closest to its tolerance, or exceeds it most.
    pub(crate) worst: Worst,
    /// The gradient that was beyond its tolerance at first, where that is due to a ReLU next to zero.
    pub(crate) flipped: Option<Worst>,
    /// What is wrong beyond tolerances: counts that differ, tensors missing or unexpected.
    pub(crate) problems: Vec<String>,
}

/// The largest error in units of its tolerance.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Worst {
    /// `eval_output`, `train_output`, `train_loss`, `grad_input`, `grads.NAME` or `running.NAME`.
    pub(crate) tensor: String,
    /// `shape`, `l2`, `sum`, `head` or `values`.
    pub(crate) part: &'static str,
    /// Relative error; infinite (`null` in JSON) for a wrong shape or a NaN.
    pub(crate) error: f64,
    pub(crate) tolerance: f64,
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
    /// Compares everything.
    pub(crate) fn new(golden: &Golden, found: &Results, tolerances: Tolerances) -> Self {
        let mut check = Check { tolerances, worst: None, problems: Vec::new() };
        check.count("parameters", found.parameters, golden.parameters);
        check.count("MACs per image", found.macs, golden.macs_per_image);
        check.tensor("eval_output", Quantity::EvalOutput, &golden.eval_output, &found.eval_output);
        if let Some(training) = &found.training {
            check.training(golden, training);
        }
        let Check { worst, problems, .. } = check;
        // The outputs were compared, so that there is a worst one.
        let worst = worst.unwrap_or_else(|| Worst::of("eval_output", NOTHING, f64::MIN_POSITIVE));
        let ok = problems.is_empty() && worst.error <= worst.tolerance;
        Self { model: golden.model.clone(), ok, worst, flipped: None, problems }
    }
}

const NOTHING: Deviation = Deviation { part: "shape", error: f64::INFINITY };

impl Worst {
    fn of(tensor: impl Into<String>, Deviation { part, error }: Deviation, tolerance: f64) -> Self {
        Self { tensor: tensor.into(), part, error, tolerance }
    }
}

struct Check {
    tolerances: Tolerances,
    worst: Option<Worst>,
    problems: Vec<String>,
}

impl Check {
    fn count(&mut self, what: &str, found: u64, expected: u64) {
        if found != expected {
            self.problems.push(format!("{what}: {found} instead of {expected}"));
        }
    }

    fn tensor(&mut self, name: &str, quantity: Quantity, reference: &Reference, found: &Computed) {
        let deviation = self.tolerances.error(quantity, reference, &found.shape, &found.values);
        self.note(Worst::of(name, deviation, self.tolerances.of(quantity)));
    }

    fn training(&mut self, golden: &Golden, found: &Training) {
        self.tensor("train_output", Quantity::Training, &golden.train_output, &found.output);
        self.loss(golden, found.loss);
        self.tensor("grad_input", Quantity::Gradient, &golden.grad_input, &found.grad_input);
        self.tensors("grads", Quantity::Gradient, &golden.grads, &found.grads);
        self.tensors("running", Quantity::Training, &golden.running, &found.running);
    }

    /// The loss is a sum over the outputs, so that its error is relative to their size where it is itself
    /// close to zero: `sum(output * u)` of `n` outputs to their norm, a cross-entropy to 1.
    fn loss(&mut self, golden: &Golden, found: f64) {
        let of_block = golden.train_output.shape.len() != 2;
        let size = if of_block { golden.train_output.l2 } else { 1.0 };
        let error = relative(found, golden.train_loss, golden.train_loss.abs().max(size));
        let tolerance = self.tolerances.of(Quantity::Training);
        self.note(Worst::of("train_loss", Deviation { part: "value", error }, tolerance));
    }

    fn tensors(
        &mut self,
        group: &str,
        quantity: Quantity,
        references: &BTreeMap<String, Reference>,
        found: &BTreeMap<String, Computed>,
    ) {
        for (name, reference) in references {
            match found.get(name) {
                Some(found) => self.tensor(&format!("{group}.{name}"), quantity, reference, found),
                None => self.problems.push(format!("{group}.{name}: the network has no such tensor")),
            }
        }
        for name in found.keys().filter(|name| !references.contains_key(*name)) {
            self.problems.push(format!("{group}.{name}: the file has no such tensor"));
        }
    }

    fn note(&mut self, candidate: Worst) {
        if self.worst.as_ref().is_none_or(|worst| candidate.ratio() > worst.ratio()) {
            self.worst = Some(candidate);
        }
    }
}

#[cfg(test)]
mod tests {
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

    fn golden() -> Golden {
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
        }
    }

    fn results() -> Results {
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
        let report = Report::new(&golden(), &results(), Tolerances::for_layers(2));
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
            let report = Report::new(&golden(), &found, Tolerances::for_layers(2));
            assert!(!report.ok && report.worst.tensor == tensor, "{tensor}: {report:?}");
        }
        let mut found = Results { training: None, ..results() };
        assert!(Report::new(&golden(), &found, Tolerances::for_layers(2)).ok);
        found.eval_output.values[0] += 1e-3;
        assert_eq!(Report::new(&golden(), &found, Tolerances::for_layers(2)).worst.tensor, "eval_output");
    }

    #[test]
    fn counts_and_names_must_be_equal() {
        let mut found = results();
        found.macs += 1;
        let training = found.training.as_mut().unwrap();
        training.grads.insert("extra".into(), computed(&[0.0, 0.0]));
        training.running.clear();
        let report = Report::new(&golden(), &found, Tolerances::for_layers(2));
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
