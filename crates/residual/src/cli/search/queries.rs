//! What is searched for: images, which go through the network of the index, and rows of it.

use std::path::{Path, PathBuf};

use residual::predict::{Classifier, Model, Options};
use residual::search::{Facts, Index, WeightsFile};
use residual_files::escaped;

use super::Arguments;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::network;
use crate::cli::predict::{Relayed, failure, inputs, named};

/// Queries that are answered together.
const TOGETHER: usize = 256;

/// Query: a vector, and what it is called.
pub(super) struct Query {
    pub(super) name: String,
    pub(super) vector: Vec<f32>,
    /// Row that it is the vector of.
    pub(super) row: Option<u32>,
}

/// Queries in their order: images as they come, then rows.
pub(super) struct Queries<'a> {
    classifier: Option<Classifier>,
    index: &'a Index,
    images: std::iter::Peekable<Box<dyn Iterator<Item = Outcome<PathBuf>> + Send>>,
    rows: std::vec::IntoIter<u32>,
}

impl<'a> Queries<'a> {
    /// Opens the network where there are images, and finds the rows.
    pub(super) fn open(arguments: &Arguments, index: &'a Index) -> Outcome<Self> {
        let mut rows = Vec::new();
        for &row in &arguments.row {
            index.row(row)?;
            rows.push(row);
        }
        for path in &arguments.path {
            rows.push(index.find(path)?);
        }
        let classifier = match arguments.images.is_empty() {
            true => None,
            false => Some(classifier(arguments, index)?),
        };
        let images: Box<dyn Iterator<Item = Outcome<PathBuf>> + Send> =
            Box::new(inputs::files(arguments.images.clone()));
        Ok(Self { classifier, index, images: images.peekable(), rows: rows.into_iter() })
    }

    /// The next queries, and the failures among them; none of either at the end.
    pub(super) fn next(&mut self) -> Outcome<(Vec<Query>, Vec<Failure>)> {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        if let Some(classifier) = self.classifier.as_ref().filter(|_| self.images.peek().is_some()) {
            let files: Vec<Outcome<PathBuf>> = self.images.by_ref().take(TOGETHER).collect();
            let names: Vec<String> =
                files.iter().map(|file| file.as_deref().map(named).unwrap_or_default()).collect();
            let answers = classifier.embed_all(files.into_iter().map(|file| file.map_err(Relayed)));
            for (name, answer) in names.into_iter().zip(answers) {
                match answer {
                    Ok(vector) => found.push(Query { name, vector, row: None }),
                    Err(error) => failures.push(failure(error)),
                }
            }
            return Ok((found, failures));
        }
        for row in self.rows.by_ref().take(TOGETHER) {
            let name = self.index.row(row)?.path;
            found.push(Query { name, vector: self.index.vector(row)?, row: Some(row) });
        }
        Ok((found, failures))
    }
}

/// The network of the index, as it was when the index was made.
fn classifier(arguments: &Arguments, index: &Index) -> Outcome<Classifier> {
    let facts = index.facts();
    let model = opened(arguments, index)?;
    let model = match arguments.network.changes_preprocessing() {
        // What is asked for is compared, below.
        true => arguments.network.prepared(model)?,
        false => model.with_preprocess(facts.preprocess.clone())?,
    };
    if model.spec().preprocess != facts.preprocess {
        return Err(Failure::new(format_args!(
            "{}: its images were prepared in another way; help: leave the flags of the preprocessing out",
            index.name()
        )));
    }
    let classifier = Classifier::new(model, Options::new().threads(arguments.network.threads()).lazy())?;
    match classifier.embedding_length() == facts.length {
        true => Ok(classifier),
        false => Err(Failure::new(format_args!(
            "{}: embeddings of {} numbers, and this network has {}; help: name the network that it was made with, {} (--model)",
            index.name(),
            facts.length,
            classifier.embedding_length(),
            facts.network
        ))),
    }
}

/// Opens the weights that are given, or those that the index names; others than its own are refused before they are
/// opened.
fn opened(arguments: &Arguments, index: &Index) -> Outcome<Model> {
    let facts = index.facts();
    let own = |name: Option<&str>| name.map(str::to_owned);
    let [model, key] = arguments.network.named().map(own);
    let model = model.or_else(|| facts.weights.model.clone());
    let key = key.or_else(|| facts.weights.key.clone());
    let [model, key] = [model.as_deref(), key.as_deref()];
    let file = match arguments.network.has_weights() {
        true => network::weights_of(arguments.network.weights(), model)?,
        false => of_index(index.name(), facts)?,
    };
    facts.check_weights(index.name(), &WeightsFile::of(&file, model, key)?)?;
    network::open_file(&file, model, key)
}

fn of_index(name: &str, facts: &Facts) -> Outcome<PathBuf> {
    let file: &Path = &facts.weights.file;
    match file.is_file() {
        true => Ok(file.to_owned()),
        false => Err(Failure::new(format_args!(
            "{name}: made with the weights {}, which are no longer there; help: give them with --weights (SHA-256 {})",
            escaped(file),
            facts.weights.sha256
        ))),
    }
}
