//! Finding of repeated and nearly repeated images.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use residual::data::{Pipeline, PipelineOptions, Survey, SurveyOptions};
use residual::kernels::Cpu;
use residual::predict::{Classifier, Model, Options};
use residual::search::{Groups, Hash64, Row, Vectors, near_hashes, near_pairs, near_pairs_approximately};
use residual_files::require_memory;
use serde::Serialize;

use crate::cli::embed::images::Images;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::progress::{Bar, note};

/// The most images of which all pairs are compared by embedding: 5,000 million pairs of 512 numbers take a minute on two
/// cores.
const ALL_PAIRS: usize = 100_000;

/// Way of finding near duplicates.
pub(super) enum Near {
    Hash { distance: u32 },
    Embedding { model: Box<Model>, similarity: f32 },
}

/// Way in which near duplicates were found, as it is said.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub(super) enum By {
    Hash { distance: u32 },
    Embedding { similarity: f32 },
}

/// Relation of an image to the first of its group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Relation {
    First,
    /// Copy with the same bytes.
    Bytes,
    /// Other bytes that decode to the same pixels.
    Pixels,
    /// Bits in which the hashes differ.
    Distance(u32),
    /// Cosine similarity of the embeddings.
    Similarity(f32),
    /// Linked by other images of the group.
    Linked,
}

/// Image of a group.
pub(super) struct Member {
    pub(super) number: usize,
    pub(super) row: Row,
    pub(super) relation: Relation,
}

/// Group of images that are repeated, or nearly so.
pub(super) struct Group(pub(super) Vec<Member>);

impl Group {
    /// True where images of several splits are in it.
    pub(super) fn is_across(&self) -> bool {
        self.0.iter().any(|member| member.row.split != self.0[0].row.split)
    }

    /// True where images of several classes are in it.
    pub(super) fn has_other_labels(&self) -> bool {
        self.0.iter().any(|member| member.row.label != self.0[0].row.label)
    }
}

/// What was found.
pub(super) struct Found {
    pub(super) images: Images,
    pub(super) by: By,
    pub(super) groups: Vec<Group>,
    /// Images that cannot be decoded.
    pub(super) broken: usize,
}

/// Measures of pairs, by their numbers.
type Measures = HashMap<(u32, u32), Relation>;

impl Found {
    pub(super) fn of(images: Images, near: Near, threads: usize) -> Outcome<Self> {
        if u32::try_from(images.len()).is_err() {
            return Err(Failure::new(format_args!("{} images are more than are compared", images.len())));
        }
        let mut groups = Groups::new(images.len());
        exact(&images, threads, &mut groups)?;
        let (by, measures, broken) = match near {
            Near::Hash { distance } => {
                let (measures, broken) = by_hash(&images, distance, threads)?;
                (By::Hash { distance }, measures, broken)
            }
            Near::Embedding { model, similarity } => {
                let (measures, broken) = by_embedding(&images, *model, similarity, threads)?;
                (By::Embedding { similarity }, measures, broken)
            }
        };
        measures.keys().for_each(|&(first, second)| groups.join(first, second));
        let groups = groups.several().into_iter().map(|group| related(&images, &group, &measures)).collect();
        Ok(Self { images, by, groups, broken })
    }
}

/// Joins images with the same bytes: those of which nothing else can be told, such as a single colour, are among them.
fn exact(images: &Images, threads: usize, groups: &mut Groups) -> Outcome {
    let Images::Labelled { data, .. } = images else { return Ok(()) };
    let bar = Bar::new(images.len());
    let options = SurveyOptions::new(threads).with(|options| options.decode = false);
    let survey = Survey::take(data, &options, |done| bar.set(done))?;
    for group in survey.duplicates().groups {
        let number = |place: &residual::data::Place| images.number(place.split, place.index);
        let numbers: Vec<u32> = group.places.iter().filter_map(number).map(|number| number as u32).collect();
        numbers.windows(2).for_each(|pair| groups.join(pair[0], pair[1]));
    }
    Ok(())
}

fn by_hash(images: &Images, distance: u32, threads: usize) -> Outcome<(Measures, usize)> {
    let (shared, count) = (Arc::new(images.clone()), images.len());
    let options = PipelineOptions::new(threads, 64 * threads.max(1));
    let hashes = Pipeline::start(0..count, options, move |number: usize, _: &AtomicBool| {
        shared.read(number).map(|image| Hash64::of(&image.upright())).map_err(|failure| failure.report(false))
    })?;
    let (bar, mut broken) = (Bar::new(count), 0);
    let mut found = Vec::with_capacity(count);
    for hash in hashes {
        found.push(hash?.unwrap_or_else(|reason| {
            left_out(&reason.unwrap_or_default());
            broken += 1;
            None
        }));
        bar.set(found.len());
    }
    drop(bar);
    let pairs = near_hashes(&found, distance)?;
    Ok((
        pairs.into_iter().map(|(one, other, bits)| ((one, other), Relation::Distance(bits))).collect(),
        broken,
    ))
}

fn left_out(reason: &str) {
    note(&format!("left out: {}", reason.trim_start_matches("error: ").trim_end()));
}

fn by_embedding(
    images: &Images,
    model: Model,
    similarity: f32,
    threads: usize,
) -> Outcome<(Measures, usize)> {
    let classifier = Classifier::new(model, Options::new().threads(threads).lazy())?;
    let (shared, count, length) = (images.clone(), images.len(), classifier.embedding_length());
    require_memory((count as u64).saturating_mul(4 * length as u64))?;
    let (bar, mut broken) = (Bar::new(count), 0);
    let (mut values, mut numbers) = (Vec::new(), Vec::new());
    for (number, answer) in
        classifier.embed_all((0..count).map(move |number| shared.input(number))).enumerate()
    {
        use residual::predict::Error;
        match answer {
            Ok(vector) => {
                values.extend(vector);
                numbers.push(number as u32);
            }
            Err(error @ (Error::Image(_) | Error::Read { .. })) => {
                left_out(&error.to_string());
                broken += 1;
            }
            Err(error) => return Err(error.into()),
        }
        bar.set(number + 1);
    }
    drop(bar);
    let (vectors, cpu) = (Vectors::new(values, length.max(1))?, Cpu::new(threads)?);
    let bar = Bar::new(vectors.len());
    let going = |done| {
        bar.set(done);
        true
    };
    let pairs = match vectors.len() <= ALL_PAIRS {
        true => near_pairs(&cpu, &vectors, similarity, going)?,
        false => near_pairs_approximately(&cpu, &vectors, similarity, going)?,
    };
    let number = |row: u32| numbers[row as usize];
    let measured = pairs
        .iter()
        .map(|pair| ((number(pair.first), number(pair.second)), Relation::Similarity(pair.score)));
    Ok((measured.collect(), broken))
}

/// A group, each image with its relation to the first.
fn related(images: &Images, numbers: &[u32], measures: &Measures) -> Group {
    let first = numbers[0];
    let own = images.bytes(first as usize).ok();
    let pixels = images.read(first as usize).ok();
    let relation = |number: u32| {
        if number == first {
            return Relation::First;
        }
        if own.is_some() && images.bytes(number as usize).ok() == own {
            return Relation::Bytes;
        }
        let same = pixels.as_ref().zip(images.read(number as usize).ok()).is_some_and(|(one, other)| {
            let size = |image: &residual::data::Image| [image.width(), image.height(), image.channels()];
            size(one) == size(&other) && one.pixels() == other.pixels() && one.values() == other.values()
        });
        match same {
            true => Relation::Pixels,
            false => measures.get(&(first, number)).copied().unwrap_or(Relation::Linked),
        }
    };
    let member = |&number: &u32| Member {
        number: number as usize,
        row: images.row(number as usize),
        relation: relation(number),
    };
    Group(numbers.iter().map(member).collect())
}
