//! Error against depth: the degradation problem (He et al. 2015, figures 1 and 6).

mod page;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use residual_arch::{families::family, shape::flow};
use residual_data::steps_per_epoch;
use residual_report::Page;
use residual_train::{Recipe, evaluate, to_model};
use serde::{Deserialize, Serialize};

use crate::fit::{Course, End, Fit};
use crate::kept::Kept;
use crate::subject::{Images, Meant, evaluation, fresh, settled};
use crate::{Error, Folder, Kind, Outcome, Summary, Watch};

/// Trains a grid of CIFAR networks under one recipe: every kind at every depth with every seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Depth {
    /// Layers with weights, `6n + 2`.
    pub depths: Vec<usize>,
    /// Connections of the networks' layers.
    pub kinds: Vec<Kind>,
    /// Seeds 0, 1, ... of weights, order and augmentation.
    pub seeds: u64,
    /// Steps of each training; in place of `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Number of judgements of the test images in each training, evenly spread, the last time at its end.
    pub evaluations: u64,
    /// Rest of the training: `epochs`, data, batch, rate, schedule, augmentation.
    pub recipe: Recipe,
}

/// A finished training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Connection of its layers.
    pub kind: Kind,
    /// Layers.
    pub depth: usize,
    /// Seed of its training.
    pub seed: u64,
    /// Curve of its training.
    pub points: Vec<Point>,
    /// True where the loss ceased to be finite, which ended the training.
    pub diverged: bool,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: u64,
    /// Mean loss of the training images since the last point, each before its step, as augmented.
    pub train_loss: f64,
    /// Fraction of them told wrong.
    pub train_error: f64,
    /// Mean loss of the test images, where they were judged.
    pub test_loss: Option<f64>,
    /// Fraction of them told wrong.
    pub test_error: Option<f64>,
}

/// Points of a curve.
const POINTS: u64 = 20;

impl Depth {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let nothing = |field, expected| Err(Error::Nothing { field, expected });
        if self.depths.is_empty() {
            return nothing("depths", "one or more, such as 20,56,110");
        }
        if self.kinds.is_empty() {
            return nothing("kinds", "plain, residual, preact or several of them");
        }
        let range = |field, found: u64, expected| {
            Err(Error::OutOfRange { field, found: found.to_string(), expected })
        };
        if self.seeds == 0 {
            return range("seeds", 0, "1 or more");
        }
        if self.steps == Some(0) {
            return range("steps", 0, "1 or more");
        }
        if self.evaluations == 0 {
            return range("evaluations", 0, "1 or more");
        }
        self.recipe.validate()?;
        for (_, depth, kind) in self.cells() {
            family(&kind.cifar(depth))?;
        }
        Ok(())
    }

    /// Cells of the study: seed, depth, kind. All of one seed first, so that an interrupted study compares.
    fn cells(&self) -> Vec<(u64, usize, Kind)> {
        let pairs =
            || self.depths.iter().flat_map(|&depth| self.kinds.iter().map(move |&kind| (depth, kind)));
        (0..self.seeds).flat_map(|seed| pairs().map(move |(depth, kind)| (seed, depth, kind))).collect()
    }

    pub(crate) fn run(
        &self,
        folder: &mut Folder,
        watch: &mut dyn Watch,
        stop: &AtomicBool,
    ) -> Result<Outcome, Error> {
        let images = Images::open(&self.recipe.data)?;
        let done: Vec<Cell> = folder.results()?;
        let is_done = |&(seed, depth, kind): &(u64, usize, Kind)| {
            done.iter().any(|cell| (cell.seed, cell.depth, cell.kind) == (seed, depth, kind))
        };
        let left: Vec<_> = self.cells().into_iter().filter(|cell| !is_done(cell)).collect();
        let costs = left.iter().map(|&(_, depth, kind)| cost(depth, kind)).collect::<Result<Vec<_>, _>>()?;
        let all: f64 = costs.iter().sum();
        let mut before = 0.0;
        for (&(seed, depth, kind), &cost) in left.iter().zip(&costs) {
            let mut share = |part: f64, doing: &str| watch.progress((before + part * cost) / all, doing);
            let Some(cell) = self.cell(&images, folder, (seed, depth, kind), &mut share, stop)? else {
                return Ok(Outcome::Interrupted);
            };
            folder.append(&cell)?;
            Kept::new(folder).remove();
            watch.finished(&page::line(&cell));
            before += cost;
        }
        Ok(Outcome::Finished)
    }

    /// Trains one cell, from where it was interrupted; `None` where `stop` was raised, with everything kept.
    fn cell(
        &self,
        images: &Images,
        folder: &Folder,
        (seed, depth, kind): (u64, usize, Kind),
        share: &mut dyn FnMut(f64, &str),
        stop: &AtomicBool,
    ) -> Result<Option<Cell>, Error> {
        let recipe = self.recipe.clone().with(|recipe| recipe.seed = seed);
        let (recipe, spec) = settled(&recipe, Meant::Member(kind.cifar(depth)), images)?;
        let drop_last = recipe.drop_last == Some(true);
        let epoch = steps_per_epoch(images.train.len(), recipe.images_per_step(), drop_last);
        let steps = self.steps.unwrap_or((epoch * recipe.epochs) as u64);
        let begin = Instant::now();
        let (which, mut kept) = ((kind, depth, seed), Kept::new(folder));
        let (mut course, mut curve) = match kept.read::<_, Curve>(&which, &spec, &recipe) {
            Some(found) => found,
            None => (Course::new(fresh(&spec, seed)?, &recipe), Curve::new(steps, self.evaluations)),
        };
        let before = curve.seconds;
        let name = format!("{kind} {depth}, seed {seed}");
        let fit = Fit { recipe: &recipe, images: &images.train, steps };
        let end = fit.run(&mut course, stop, |course, step| {
            let (now, error) = (step.done, step.wrong as f64 / step.images as f64);
            let judge = curve.add(step);
            share(
                now as f64 / steps as f64,
                &format!("{name}: step {now}/{steps}, {:.0}% wrong", 100.0 * error),
            );
            if judge {
                let found = evaluate(&course.network, Arc::new(images.test.clone()), &evaluation(&recipe))?;
                curve.judged(found.loss, 1.0 - found.top1());
            }
            curve.seconds = before + begin.elapsed().as_secs_f64();
            if kept.is_due() { kept.write(&which, course, &curve) } else { Ok(()) }
        })?;
        if end == End::Stopped || stop.load(Ordering::Relaxed) && end != End::Finished {
            if end == End::Stopped {
                kept.write(&which, &course, &curve)?;
            }
            return Ok(None);
        }
        if end == End::Finished {
            let path = folder.path().join("networks").join(format!("{kind}-{depth}-{seed}.safetensors"));
            save(&course.network, &images.classes, &path)?;
        }
        let (diverged, seconds) = (end == End::Diverged, before + begin.elapsed().as_secs_f64());
        Ok(Some(Cell { kind, depth, seed, points: curve.points, diverged, seconds }))
    }

    pub(crate) fn summary(&self, cells: &[Cell]) -> Summary {
        let tables = vec![("at the end of training, mean over seeds".to_owned(), page::table(self, cells))];
        Summary { tables, words: page::words(self, cells) }
    }

    pub(crate) fn page(&self, cells: &[Cell]) -> Page {
        page::page(self, cells)
    }
}

/// Multiply-accumulates for one image: what time is shared out by.
fn cost(depth: usize, kind: Kind) -> Result<f64, Error> {
    let spec = family(&kind.cifar(depth))?;
    Ok(flow(&spec, spec.input)?.macs as f64)
}

fn save(network: &residual_nn::ResNet, classes: &[String], path: &std::path::Path) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    }
    Ok(to_model(network)?.with_classes(classes.to_vec())?.save(path)?)
}

/// A curve that is being drawn.
#[derive(Serialize, Deserialize)]
struct Curve {
    steps: u64,
    evaluations: u64,
    loss: f64,
    wrong: usize,
    images: usize,
    points: Vec<Point>,
    /// Seconds of training.
    seconds: f64,
}

impl Curve {
    fn new(steps: u64, evaluations: u64) -> Self {
        Self { steps, evaluations, loss: 0.0, wrong: 0, images: 0, points: Vec::new(), seconds: 0.0 }
    }

    /// Adds a step; true where the test images are to be judged.
    fn add(&mut self, step: crate::fit::Step) -> bool {
        self.loss += step.loss;
        self.wrong += step.wrong;
        self.images += step.images;
        let due = |times: u64| step.done * times / self.steps > (step.done - 1) * times / self.steps;
        let judge = due(self.evaluations);
        if due(POINTS) || judge {
            let images = self.images as f64;
            self.points.push(Point {
                step: step.done,
                train_loss: self.loss / images,
                train_error: self.wrong as f64 / images,
                test_loss: None,
                test_error: None,
            });
            (self.loss, self.wrong, self.images) = (0.0, 0, 0);
        }
        judge
    }

    fn judged(&mut self, loss: f64, error: f64) {
        if let Some(point) = self.points.last_mut() {
            // JSON has no infinity.
            (point.test_loss, point.test_error) = (loss.is_finite().then_some(loss), Some(error));
        }
    }
}
