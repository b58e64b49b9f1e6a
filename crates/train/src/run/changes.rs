//! Changes of a recipe between the parts of a run.

use std::path::{Path, PathBuf};

use toml::Value;

use crate::run::progress::Progress;
use crate::{Error, Recipe, Schedule};

/// Changes to a run with which it is resumed ([`Training::changes`](crate::Training::changes)). They are
/// written into its `recipe.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Path at which the images are now: the same ones, as far as sizes, times and hashes tell.
    pub data: Option<PathBuf>,
    /// Number of epochs of the whole run.
    pub epochs: Option<usize>,
}

/// Fields that may change: those that change no weight, and the epochs.
const MAY_CHANGE: [&str; 10] = [
    "threads",
    "low_memory",
    "checkpoint_every_steps",
    "eval_batch_size",
    "data.path",
    "data.root",
    "data.skip_bad",
    "data.cache",
    "early_stop",
    "epochs",
];

/// Text of [`MAY_CHANGE`], for errors.
const ALLOWED: &str = "threads, low_memory, checkpoint_every_steps, eval_batch_size, data.path, data.root, data.skip_bad, \
                       data.cache, early_stop, and epochs where the schedule is constant, exponential, a plateau, has \
                       restarts or milestones";

impl Changes {
    /// True where there is none.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn apply(&self, recipe: &mut Recipe) {
        if let Some(path) = &self.data {
            recipe.data.path.clone_from(path);
        }
        recipe.epochs = self.epochs.unwrap_or(recipe.epochs);
    }
}

/// Changes of a settled recipe, a line each, against the one that a run began with.
///
/// # Errors
/// [`Error::RecipeChanged`] for the first that would make it another training.
pub(crate) fn compare(path: &Path, now: &Recipe, progress: &Progress) -> Result<Vec<String>, Error> {
    let Some(then) = &progress.recipe else { return Ok(Vec::new()) };
    let differing = differences(&as_value(now)?, &as_value(then)?);
    let mut lines = Vec::new();
    for Difference { field, found, expected } in differing {
        let may = MAY_CHANGE
            .contains(&field.split('.').next().filter(|&table| table != "data").unwrap_or(&field))
            && (field != "epochs" || (is_independent_of_epochs(&then.schedule) && reaches(now, progress)));
        if !may {
            let path = path.to_owned();
            return Err(Error::RecipeChanged { path, field, found, expected, allowed: ALLOWED });
        }
        lines.push(format!("{field} is {found} from now on; it was {expected}"));
    }
    Ok(lines)
}

/// Test for a schedule whose rates are the same however many epochs follow.
fn is_independent_of_epochs(schedule: &Schedule) -> bool {
    match schedule {
        Schedule::Constant {}
        | Schedule::CosineRestarts { .. }
        | Schedule::Exponential { .. }
        | Schedule::Plateau { .. } => true,
        Schedule::Step { milestones, .. } => !milestones.is_empty(),
        Schedule::Cosine { .. } | Schedule::Polynomial { .. } | Schedule::OneCycle { .. } => false,
    }
}

/// True where the run is not longer yet than the recipe says.
fn reaches(now: &Recipe, progress: &Progress) -> bool {
    now.epochs >= progress.epoch + usize::from(progress.batch > 0)
}

fn as_value(recipe: &Recipe) -> Result<Value, Error> {
    Ok(Value::try_from(recipe)?)
}

/// A field with two values.
struct Difference {
    field: String,
    found: String,
    expected: String,
}

/// Fields in which two tables differ, by their paths; a list counts as one value.
fn differences(now: &Value, then: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    collect(String::new(), Some(now), Some(then), &mut found);
    found
}

fn collect(field: String, now: Option<&Value>, then: Option<&Value>, found: &mut Vec<Difference>) {
    if now == then {
        return;
    }
    if let (Some(Value::Table(a)), Some(Value::Table(b))) = (now, then) {
        let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for name in names {
            let field = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
            collect(field, a.get(name), b.get(name), found);
        }
        return;
    }
    found.push(Difference { field, found: shown(now), expected: shown(then) });
}

/// Limit on the characters of a value that are shown.
const SHOWN: usize = 60;

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "not set".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rule;
    use crate::run::progress::Fingerprint;

    fn progress(recipe: &Recipe, epoch: usize) -> Progress {
        let data = Fingerprint { train: 1, evaluation: 1, files: String::new(), inventory: None };
        Progress { epoch, ..Progress::new(data, recipe.clone()) }
    }

    fn changed(then: &Recipe, change: impl FnOnce(&mut Recipe)) -> Result<Vec<String>, Error> {
        let mut now = then.clone();
        change(&mut now);
        compare(Path::new("run/recipe.toml"), &now, &progress(then, 2))
    }

    #[test]
    fn what_changes_no_weight_may_change_and_is_said() {
        let then = Recipe { batch_size: Some(8), ..Recipe::default() };
        assert_eq!(changed(&then, |_| ()).unwrap(), [""; 0]);
        let lines = changed(&then, |now| {
            now.threads = Some(3);
            now.low_memory = true;
            now.checkpoint_every_steps = Some(5);
            now.eval_batch_size = Some(7);
            now.data.path = "moved".into();
            now.data.skip_bad = true;
            now.data.cache = residual_data::CacheLimit::Bytes(2_000_000);
            now.early_stop = Some(crate::EarlyStop::new(3));
        })
        .unwrap();
        assert_eq!(lines.len(), 8, "{lines:?}");
        assert_eq!(lines[1], "data.cache is \"2MB\" from now on; it was not set");
        assert_eq!(lines[2], "data.path is \"moved\" from now on; it was \"sample\"");
        assert_eq!(lines[7], "threads is 3 from now on; it was not set");
    }

    #[test]
    fn what_makes_another_training_is_refused_by_name() {
        let then = Recipe {
            batch_size: Some(8),
            network: Some(residual_arch::families::family("small").unwrap()),
            ..Recipe::default()
        };
        type Change = fn(&mut Recipe);
        let cases: [(Change, &str); 9] = [
            (|r| r.batch_size = Some(30), "batch_size"),
            (|r| r.lr = Some(0.1), "lr"),
            (|r| r.seed = 5, "seed"),
            (|r| r.schedule = Schedule::cosine(), "schedule"),
            (|r| r.optimiser.rule = Rule::Sgd { momentum: 0.5, nesterov: true }, "optimiser.momentum"),
            (|r| r.data.validation = 0.5, "data.validation"),
            (|r| r.freeze = vec!["stem".into()], "freeze"),
            (|r| r.augment = Some(vec![]), "augment"),
            (|r| r.network.as_mut().unwrap().head.dropout = 0.5, "network.head.dropout"),
        ];
        for (change, name) in cases {
            let error = changed(&then, change).unwrap_err();
            assert!(
                matches!(&error, Error::RecipeChanged { field, .. } if field.starts_with(name)),
                "{name}: {error}"
            );
            assert!(
                error.to_string().contains("run/recipe.toml") && error.to_string().contains("threads"),
                "{error}"
            );
        }
    }

    #[test]
    fn epochs_change_where_the_rates_that_were_stay() {
        let with = |schedule| Recipe { schedule, ..Recipe::default() };
        for schedule in [Schedule::Constant {}, Schedule::Step { milestones: vec![3], gamma: 0.1 }] {
            let lines = changed(&with(schedule.clone()), |now| now.epochs = 99).unwrap();
            assert_eq!(lines, ["epochs is 99 from now on; it was 20"]);
            // Two are done.
            assert!(changed(&with(schedule.clone()), |now| now.epochs = 2).is_ok());
            assert!(changed(&with(schedule), |now| now.epochs = 1).is_err());
        }
        for schedule in [Schedule::one_cycle(), Schedule::cosine(), Schedule::step()] {
            let error = changed(&with(schedule), |now| now.epochs = 99).unwrap_err();
            assert!(matches!(&error, Error::RecipeChanged { field, .. } if field == "epochs"), "{error}");
        }
    }
}
