//! `report.html`: what a person looks at while a training goes on, and after it.

use std::error::Error as StdError;

use residual_arch::Network;
use residual_evaluation::{
    Options, answer, answer_task, machine, pictures, sections, task_pictures, task_sections,
};
use residual_predict::Classifier;
use residual_report::{Fact, NetworkDiagram, Page, duration, number};
use residual_weights::{Model, write_atomically};

use crate::Trainer;
use crate::reports::curves::curves;

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
        let network = spec.check(spec.input)?;
        facts.extend([
            Fact::new("Network", spec.name.clone())
                .remark(format!("{} parameters", count(network.parameters() as usize))),
            Fact::new("Images", count(self.images.train.len())).remark(format!(
                "{} more to evaluate on, {} classes",
                count(self.images.evaluation.len()),
                self.classes().len()
            )),
            Fact::new("Time", duration(progress.seconds))
                .remark(format!("{} steps", count(progress.step as usize))),
        ]);
        Ok(Page::new(format!("Training {name}"))
            .facts(&facts)
            .heading("Curves")
            .grid(curves(&progress.history))
            .folded("The network", drawing(&network)))
    }

    /// Recipe, command and machine, by which the training is repeated.
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
        let mut watched = self.session.watching(images.len());
        if self.loss.task.is_single_label() {
            let answers = answer(&classifier, images.clone(), &options, &mut watched)?;
            return Ok(answers.map(|answers| {
                let shown = pictures(&classifier, &*images, &answers);
                sections(&answers, &answers.measure(), shown)
            }));
        }
        let answers = answer_task(&classifier, images.clone(), &options, &mut watched)?;
        Ok(answers.map(|answers| {
            let shown = task_pictures(&classifier, &*images, &answers);
            task_sections(&answers, &answers.measure(), shown)
        }))
    }

    /// Number of images that are evaluated at a time.
    pub(crate) fn evaluation_batch(&self) -> usize {
        let batch = self.recipe.eval_batch_size.unwrap_or(self.recipe.images_at_a_time());
        batch.min(self.images.evaluation.len()).max(1)
    }
}

/// Drawing of the network.
fn drawing(network: &Network) -> Page {
    let words =
        "The branch of a block on the left, its shortcut on the right. Equal blocks in a row are drawn once.";
    Page::new("").figure("network", NetworkDiagram::new(network).figure(), words)
}

/// Word as a shell takes it.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
