//! Models that are served: by name and version, replaced while requests go on.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use residual_predict::{Classifier, Model, Options as ClassifierOptions};

use crate::Error;
use crate::error::BoxError;
use crate::rejection::Rejection;

/// The longest name of a model.
const LONGEST_NAME: usize = 100;

type Loader = Box<dyn Fn() -> Result<Model, BoxError> + Send + Sync>;

/// A model to serve: its name, its version, and how it is loaded, now and whenever the service is told to reload.
pub struct ModelSource {
    name: String,
    version: Option<u32>,
    load: Loader,
}

impl ModelSource {
    /// A model that `load` gives.
    pub fn new<E>(
        name: impl Into<String>,
        load: impl Fn() -> Result<Model, E> + Send + Sync + 'static,
    ) -> Self
    where
        E: Into<BoxError>,
    {
        Self { name: name.into(), version: None, load: Box::new(move || load().map_err(Into::into)) }
    }

    /// A trained network, a checkpoint or the folder of a run.
    pub fn file(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(name, move || Model::open(&path))
    }

    /// Sets the version; without it, models of one name are versions 1, 2, 3 in their order.
    pub fn version(self, version: u32) -> Self {
        Self { version: Some(version), ..self }
    }
}

impl fmt::Debug for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, .. } = self;
        f.debug_struct("ModelSource").field("name", name).field("version", version).finish_non_exhaustive()
    }
}

/// A model that answers. A request keeps the one that it began with.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) classifier: Classifier,
}

impl Loaded {
    /// `[channels, height, width]` of a tensor for the network.
    pub(crate) fn input(&self) -> [usize; 3] {
        self.classifier.input()
    }

    /// Number of outputs of the head.
    pub(crate) fn outputs(&self) -> usize {
        self.classifier.model().spec().head.classes
    }

    /// True where the outputs are probabilities of classes, and not numbers.
    pub(crate) fn has_probabilities(&self) -> bool {
        self.classifier.model().spec().task.targets().is_empty()
    }
}

/// Outcome of loading a model again.
#[derive(Debug)]
pub struct Reloaded {
    /// The model's name.
    pub name: String,
    /// The model's version.
    pub version: u32,
    /// What keeps the old model in its place, where something does.
    pub result: Result<(), Error>,
}

#[derive(Debug)]
struct Served {
    source: ModelSource,
    version: u32,
    current: RwLock<Arc<Loaded>>,
}

/// All models, in the order in which they were given.
#[derive(Debug)]
pub(crate) struct Registry {
    models: Vec<Served>,
    options: ClassifierOptions,
}

impl Registry {
    pub(crate) fn load(sources: Vec<ModelSource>, options: ClassifierOptions) -> Result<Self, Error> {
        if sources.is_empty() {
            return Err(Error::NoModels);
        }
        let mut models: Vec<Served> = Vec::with_capacity(sources.len());
        for source in sources {
            check_name(&source.name)?;
            let same = models.iter().filter(|served| served.source.name == source.name);
            let latest = same.map(|served| served.version).max();
            let version = source.version.unwrap_or(latest.map_or(1, |latest| latest.saturating_add(1)));
            let name = &source.name;
            if models.iter().any(|served| served.source.name == *name && served.version == version) {
                return Err(Error::SameModel { name: name.clone(), version });
            }
            let current = RwLock::new(Arc::new(load(&source, version, &options)?));
            models.push(Served { source, version, current });
        }
        Ok(Self { models, options })
    }

    /// The model of that name: the version that is asked for, or the latest.
    pub(crate) fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Loaded>, Rejection> {
        let versions = || self.models.iter().filter(|served| served.source.name == name);
        let Some(latest) = versions().max_by_key(|served| served.version) else {
            return Err(Rejection::NoModel { name: name.to_owned(), available: self.names().join(", ") });
        };
        let found = match version.filter(|version| !version.is_empty()) {
            None => latest,
            Some(version) => {
                let wanted = |served: &&Served| served.version.to_string() == version;
                versions().find(wanted).ok_or_else(|| Rejection::NoVersion {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    available: self.versions(name).join(", "),
                })?
            }
        };
        Ok(found.current())
    }

    /// The first model, which answers where none is named.
    pub(crate) fn first(&self) -> Arc<Loaded> {
        self.models[0].current()
    }

    /// All models as they are now.
    pub(crate) fn all(&self) -> Vec<Arc<Loaded>> {
        self.models.iter().map(Served::current).collect()
    }

    /// Names, each once.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for served in &self.models {
            names.extend((!names.contains(&served.source.name.as_str())).then_some(&*served.source.name));
        }
        names
    }

    /// Versions of a model.
    pub(crate) fn versions(&self, name: &str) -> Vec<String> {
        let versions = self.models.iter().filter(|served| served.source.name == name);
        versions.map(|served| served.version.to_string()).collect()
    }

    /// Loads all models again, one after the other. One that cannot be loaded leaves the old one where it is.
    pub(crate) fn reload(&self) -> Vec<Reloaded> {
        let reload = |served: &Served| {
            let result = load(&served.source, served.version, &self.options).map(|loaded| {
                *served.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
            });
            Reloaded { name: served.source.name.clone(), version: served.version, result }
        };
        self.models.iter().map(reload).collect()
    }
}

impl Served {
    fn current(&self) -> Arc<Loaded> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let dots = name.chars().all(|letter| letter == '.');
    match (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(plain) && !dots {
        true => Ok(()),
        false => Err(Error::ModelName { name: name.to_owned() }),
    }
}

fn load(source: &ModelSource, version: u32, options: &ClassifierOptions) -> Result<Loaded, Error> {
    let name = source.name.clone();
    let failed = |cause: BoxError| Error::Load { name: name.clone(), version, cause };
    let model = (source.load)().map_err(failed)?;
    let classifier = Classifier::new(model, options.clone()).map_err(|error| failed(error.into()))?;
    Ok(Loaded { name, version, classifier })
}
