//! `report.html`: what a person looks at while a training goes on, and after it.

use std::error::Error as StdError;

use residual_evaluation::{Options, Watch, answer, machine, pictures, sections};
use residual_predict::Classifier;
use residual_report::{Fact, Page, number};
use residual_weights::{Model, write_atomically};

use crate::Trainer;
use crate::curves::curves;
use crate::session::Session;

/// Reason for which there is no report; a training goes on without one.
type Reason = Box<dyn StdError>;

impl Trainer<'_> {
    /// Writes the report of the epochs so far.
    pub(crate) fn report_epoch(&mut self) {
        let written = self.page().and_then(|page| self.write_page(page));
        self.remark_on(written);
    }

    /// Writes the report of a training at its end, with the answers of the best network about the images that it was
    /// evaluated on.
    pub(crate) fn report_end(&mut self) {
        let written = self.page().and_then(|page| {
            let answers = self.answers()?;
            let page = match answers {
                Some(answers) => page.heading("The best network").with(answers),
                None => page,
            };
            self.write_page(page)
        });
        self.remark_on(written);
    }

    fn remark_on(&mut self, written: Result<(), Reason>) {
        if let Err(reason) = written {
            self.session.remark(&format!("{}: {reason}", self.folder.report().display()));
        }
    }

    fn write_page(&self, page: Page) -> Result<(), Reason> {
        let page = self.with_recipe(page)?;
        Ok(write_atomically(self.folder.report(), |file| file.write_all(page.html().as_bytes()))?)
    }

    /// Head of the page, and the curves.
    fn page(&self) -> Result<Page, Reason> {
        let (recipe, progress) = (&self.recipe, &self.progress);
        let name = self.folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let state = match self.is_over() {
            true => "finished".to_owned(),
            false => format!("{} of {} epochs", progress.epoch, recipe.epochs),
        };
        let mut facts = vec![Fact::new("State", state)];
        if let Some(best) = progress.best {
            let remark = format!("after epoch {}, on the {} split", best.epoch, self.images.split);
            facts.push(
                match best.score {
                    Some(score) => Fact::new("Best score", score.to_string()),
                    None => Fact::new("Best accuracy", format!("{}%", number(100.0 * best.top1, 3))),
                }
                .remark(remark),
            );
        }
        let count = |count: usize| number(count as f64, 12);
        let spec = self.network.spec();
        let parameters = spec.check(spec.input).map_or(0, |network| network.parameters());
        facts.extend([
            Fact::new("Network", spec.name.clone())
                .remark(format!("{} parameters", count(parameters as usize))),
            Fact::new("Images", count(self.images.train.len())).remark(format!(
                "{} more to evaluate on, {} classes",
                count(self.images.evaluation.len()),
                self.classes().len()
            )),
            Fact::new("Time", time(progress.seconds))
                .remark(format!("{} steps", count(progress.step as usize))),
        ]);
        Ok(Page::new(format!("Training {name}"))
            .facts(&facts)
            .heading("Curves")
            .grid(curves(&progress.history)))
    }

    /// How the training is repeated: recipe, command, machine.
    fn with_recipe(&self, page: Page) -> Result<Page, Reason> {
        let recipe = self.folder.path().join("recipe.toml");
        let command =
            format!("residual train --recipe {} --out ANOTHER_FOLDER", word(&recipe.display().to_string()));
        Ok(page
            .heading("To repeat it")
            .verbatim(&command)
            .text(&machine(self.recipe.workers()))
            .folded("The recipe", Page::new("").verbatim(&self.recipe.to_toml()?)))
    }

    /// Sections about the answers of the best network; `None` where it was stopped.
    fn answers(&mut self) -> Result<Option<Page>, Reason> {
        if !self.loss.task.is_single_label() {
            return Ok(None);
        }
        let model = Model::open(self.folder.best())?;
        let batch = self.evaluation_batch();
        let options = Options::default().with(|options| {
            options.images.batch_size = batch;
            options.images.workers = self.recipe.workers();
            options.images.skip_bad = self.recipe.data.skip_bad;
            options.images.cache = self.cache.caches[1].clone();
        });
        let compiled = residual_predict::Options::new().threads(self.recipe.workers()).batch(batch).lazy();
        let classifier = Classifier::new(model, compiled)?;
        let images = self.images.evaluation.clone();
        let mut watched = Watched { session: &mut self.session, total: images.len() };
        let Some(answers) = answer(&classifier, images.clone(), &options, &mut watched)? else {
            return Ok(None);
        };
        let shown = pictures(&classifier, &*images, &answers);
        Ok(Some(sections(&answers, &answers.measure(), shown)))
    }

    /// Number of images that are evaluated at a time.
    pub(crate) fn evaluation_batch(&self) -> usize {
        let batch = self.recipe.eval_batch_size.unwrap_or(self.recipe.images_at_a_time());
        batch.min(self.images.evaluation.len()).max(1)
    }
}

/// Evaluation that the session is told of.
struct Watched<'a, 's> {
    session: &'a mut Session<'s>,
    total: usize,
}

impl Watch for Watched<'_, '_> {
    fn stopped(&mut self) -> bool {
        self.session.stops()
    }

    fn progress(&mut self, done: usize) {
        self.session.evaluating(done, self.total);
    }

    fn skipped(&mut self, reason: &str) {
        self.session.skipped(reason);
    }
}

/// Time in words: `45 s`, `12 min`, `3 h 20 min`.
fn time(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round();
    match seconds {
        0.0..100.0 => format!("{} s", number(seconds, 2)),
        100.0..6000.0 => format!("{minutes} min"),
        _ => format!("{} h {} min", (minutes / 60.0).floor(), minutes % 60.0),
    }
}

/// Word as a shell takes it.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_words() {
        let texts = [0.0, 44.6, 725.0, 12_010.0].map(time);
        assert_eq!(texts, ["0 s", "45 s", "12 min", "3 h 20 min"]);
    }
}
