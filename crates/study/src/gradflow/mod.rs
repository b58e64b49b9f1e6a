//! The gradient at every block, by the path that it takes (He et al. 2016).

mod page;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use residual_arch::{NetSpec, families::family};
use residual_data::{Loader, LoaderOptions};
use residual_nn::probe::{NetworkProbe, Shares};
use residual_nn::{Mode, ResNet};
use residual_report::Page;
use residual_train::{Recipe, from_model};
use residual_weights::Model;
use serde::{Deserialize, Serialize};

use crate::fit::{Course, End, Fit, tensor};
use crate::kept::Kept;
use crate::subject::{Images, Meant, fresh, settled};
use crate::{Error, Folder, Kind, Outcome, Summary, Watch, twin};

/// Probes a network, its plain and its pre-activation twin, with one backward pass each over the first batch of
/// the training images in their order for the seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradientFlow {
    /// A family member; where there are weights, that of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A network written out, in place of `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetSpec>,
    /// Trained networks, probed as they are beside the untrained ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<PathBuf>,
    /// Probing of the networks without batch norms as well.
    #[serde(default)]
    pub no_norm: bool,
    /// Trains every network for so many steps and probes it again; 0 does not.
    #[serde(default)]
    pub steps: u64,
    /// Data, batch, rate, seed.
    pub recipe: Recipe,
}

/// A probed network: a line of `results.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Name of the network.
    pub network: String,
    /// Connection of its layers; `None` where its blocks differ.
    pub kind: Option<Kind>,
    /// True for a network with batch norms.
    pub norm: bool,
    /// `initial`, `after N steps`, or the file of weights.
    pub state: String,
    /// Mean cross-entropy of the batch; `None` where it is not finite.
    pub loss: Option<f64>,
    /// True where its training ended in a loss that is not finite; then there are no blocks.
    pub diverged: bool,
    /// Blocks, first to last.
    pub blocks: Vec<BlockRow>,
}

/// [`Shares`] of a block. Numbers that are not finite are missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockRow {
    /// `stage1.block0`.
    pub block: String,
    /// `|dL/dy|`.
    pub output: Option<f64>,
    /// `|dL/du|`, behind the activation's gate.
    pub sum: Option<f64>,
    /// The identity path's share.
    pub identity: Option<f64>,
    /// The branch's share.
    pub branch: Option<f64>,
    /// `|dL/dx|`.
    pub input: Option<f64>,
    /// Between the shares.
    pub cosine: Option<f64>,
    /// `|x|`.
    pub x: Option<f64>,
    /// `|F(x)|`.
    pub branch_output: Option<f64>,
    /// Standard deviation of `F(x)`.
    pub branch_deviation: Option<f64>,
}

/// Kind of a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Key {
    network: String,
    norm: bool,
    state: String,
}

impl Key {
    fn is_of(&self, flow: &Flow) -> bool {
        (&self.network, self.norm, &self.state) == (&flow.network, flow.norm, &flow.state)
    }
}

/// State of a network before its first step.
const INITIAL: &str = "initial";

/// Flag that stops a training, and the folder in which it is kept.
#[derive(Clone, Copy)]
struct Pause<'a> {
    folder: &'a Folder,
    stop: &'a AtomicBool,
}

/// Network that is probed.
struct Subject {
    spec: NetSpec,
    norm: bool,
    weights: Option<(PathBuf, Model)>,
}

impl GradientFlow {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.model.is_none() && self.network.is_none() && self.weights.is_empty() {
            return Err(Error::Nothing {
                field: "model",
                expected: "a family member, a SPEC.toml or weights",
            });
        }
        Ok(self.recipe.validate()?)
    }

    pub(crate) fn run(
        &self,
        folder: &mut Folder,
        watch: &mut dyn Watch,
        stop: &AtomicBool,
    ) -> Result<Outcome, Error> {
        let subjects = self.subjects()?;
        let images = Images::open(&self.recipe.data)?;
        let done: Vec<Flow> = folder.results()?;
        let all = subjects.len() as f64;
        for (index, subject) in subjects.iter().enumerate() {
            for state in self.states(subject) {
                let key = Key { network: subject.spec.name.clone(), norm: subject.norm, state };
                if done.iter().any(|flow| key.is_of(flow)) {
                    continue;
                }
                if stop.load(Ordering::Relaxed) {
                    return Ok(Outcome::Interrupted);
                }
                let name = page::name(&key.network, key.norm, &key.state);
                let mut share = |part: f64| watch.progress((index as f64 + part) / all, &name);
                let pause = Pause { folder: &*folder, stop };
                let Some(flow) = self.flow(subject, key, &images, &mut share, pause)? else {
                    return Ok(Outcome::Interrupted);
                };
                folder.append(&flow)?;
                Kept::new(folder).remove();
                watch.finished(&page::line(&flow));
            }
        }
        Ok(Outcome::Finished)
    }

    /// The network and its twins, without norms as well where asked for, and the trained ones.
    fn subjects(&self) -> Result<Vec<Subject>, Error> {
        let mut trained = Vec::new();
        for path in &self.weights {
            let model = Model::open(path)?;
            model.require_float32()?;
            let spec = model.spec().clone();
            trained.push(Subject { spec, norm: true, weights: Some((path.clone(), model)) });
        }
        let base = match (&self.network, &self.model, trained.first()) {
            (Some(spec), _, _) => spec.clone(),
            (None, Some(name), _) => family(name)?,
            (None, None, Some(first)) => first.spec.clone(),
            (None, None, None) => return Err(Error::Nothing { field: "model", expected: "a network" }),
        };
        let mut specs = vec![base.clone()];
        // A network with blocks of several kinds stands alone.
        if let Some(own) = Kind::of(&base) {
            for kind in Kind::ALL.into_iter().filter(|&kind| kind != own) {
                specs.push(twin(&base, kind)?);
            }
        }
        let norms: &[bool] = if self.no_norm { &[true, false] } else { &[true] };
        let fresh = norms.iter().flat_map(|&norm| {
            specs.iter().map(move |spec| Subject { spec: spec.clone(), norm, weights: None })
        });
        let mut subjects: Vec<_> = fresh.collect();
        subjects.append(&mut trained);
        Ok(subjects)
    }

    fn states(&self, subject: &Subject) -> Vec<String> {
        match &subject.weights {
            Some((path, _)) => vec![path.display().to_string()],
            None if self.steps == 0 => vec![INITIAL.to_owned()],
            None => vec![INITIAL.to_owned(), format!("after {} steps", self.steps)],
        }
    }

    /// Result of one probe; `None` where `stop` was raised.
    fn flow(
        &self,
        subject: &Subject,
        key: Key,
        images: &Images,
        share: &mut dyn FnMut(f64),
        pause: Pause<'_>,
    ) -> Result<Option<Flow>, Error> {
        let (recipe, spec) = settled(&self.recipe, Meant::Written(subject.spec.clone()), images)?;
        let mut net = match &subject.weights {
            Some((_, trained)) => {
                // Prepared for these images, with the same tensors.
                let trained = Model::new(spec.check(spec.input)?, trained.clone().into_tensors())?;
                from_model(trained, &burn::tensor::Device::flex().autodiff())?
            }
            None => fresh(&spec, recipe.seed)?,
        };
        if !key.norm {
            net.bypass_norms();
        }
        let mut end = End::Finished;
        if subject.weights.is_none() && key.state != INITIAL {
            let mut kept = Kept::new(pause.folder);
            let mut course = match kept.read::<_, ()>(&key, &spec, &recipe) {
                Some((mut course, ())) => {
                    if !key.norm {
                        course.network.bypass_norms();
                    }
                    course
                }
                None => Course::new(net, &recipe),
            };
            let fit = Fit { recipe: &recipe, images: &images.train, steps: self.steps };
            end = fit.run(&mut course, pause.stop, |course, step| {
                share(step.done as f64 / self.steps as f64);
                if kept.is_due() { kept.write(&key, course, &()) } else { Ok(()) }
            })?;
            if end == End::Stopped {
                kept.write(&key, &course, &())?;
                return Ok(None);
            }
            net = course.network;
        }
        let (kind, Key { network, norm, state }) = (Kind::of(&spec), key);
        let diverged = end == End::Diverged;
        if diverged {
            return Ok(Some(Flow { network, kind, norm, state, loss: None, diverged, blocks: Vec::new() }));
        }
        let probe = probe(&net, &recipe, images)?;
        let blocks =
            probe.blocks.iter().map(|(path, shares)| BlockRow::new(path.to_string(), shares)).collect();
        Ok(Some(Flow { network, kind, norm, state, loss: finite(probe.loss), diverged, blocks }))
    }

    pub(crate) fn summary(&self, flows: &[Flow]) -> Summary {
        page::summary(flows)
    }

    pub(crate) fn page(&self, flows: &[Flow]) -> Page {
        page::page(self, flows)
    }
}

/// Gradients of one backward pass over the first batch, with the batch's own statistics.
fn probe(network: &ResNet, recipe: &Recipe, images: &Images) -> Result<NetworkProbe, Error> {
    let options = LoaderOptions::evaluation(recipe.images_per_step(), network.spec().preprocess.clone())
        .with(|options| {
            options.shuffle = true;
            options.seed = recipe.seed;
            options.workers = recipe.workers();
            options.skip_bad = recipe.data.skip_bad;
        });
    let batch = Loader::new(Arc::new(images.train.clone()), options)?.next();
    let batch = batch.ok_or(residual_train::Error::NothingToTrainOn)??;
    let mode = Mode::train(recipe.seed, 0);
    network.check_input(batch.shape, mode)?;
    let (x, labels) = tensor(batch, network);
    Ok(network.probe(x, &labels, mode)?)
}

/// JSON has no infinity and no NaN.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

impl BlockRow {
    fn new(block: String, shares: &Shares) -> Self {
        Self {
            block,
            output: finite(shares.output),
            sum: finite(shares.sum),
            identity: shares.identity.and_then(finite),
            branch: finite(shares.branch),
            input: finite(shares.input),
            cosine: shares.cosine.and_then(finite),
            x: finite(shares.x),
            branch_output: finite(shares.branch_output),
            branch_deviation: finite(shares.branch_deviation),
        }
    }
}
