//! A network in 8 bits: observed, chosen, judged.

use std::collections::BTreeSet;
use std::sync::Arc;

use residual_weights::{Model, Quantised};

use crate::assemble::{Known, linear};
use crate::equalise::factors;
use crate::error::Error;
use crate::images::CalibrationImages;
use crate::layers::Layers;
use crate::observe::{channels, histograms};
use crate::options::{Options, RangeMethod, Settings};
use crate::report::{LayerReport, Report, Tried};
use crate::trial::{Change, Judge, compiled};

/// One in so many images decides, and is not observed.
const HELD_OUT: usize = 3;

/// Progress of a quantisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Trials that are done.
    pub done: usize,
    /// All trials.
    pub of: usize,
}

/// The model in 8 bits, and what was chosen. `watch` is told of every trial.
///
/// # Errors
/// [`Error::AlreadyQuantised`], [`Error::NoHead`], [`Error::NoImages`] and [`Error::NoConvolutions`] where there is nothing
/// to do, [`Error::NoAnswer`] where the logits say nothing; [`Error::Engine`] for a network that does not run.
pub fn quantise(
    model: &Model,
    images: &CalibrationImages,
    options: &Options,
    watch: &mut dyn FnMut(Progress),
) -> Result<(Model, Report), Error> {
    if model.quantised().is_some() {
        return Err(Error::AlreadyQuantised);
    }
    if !model.has_head() {
        return Err(Error::NoHead);
    }
    if images.is_empty() {
        return Err(Error::NoImages);
    }
    let decides = |number: usize| images.len() > 1 && number % HELD_OUT == HELD_OUT - 1;
    let few = images.len() < HELD_OUT;
    let observed = images.part(|number| few || !decides(number));
    let known = known(model, &observed, options)?;
    let judge = Judge::new(model, images.part(|number| few || decides(number)), options)?;
    if judge.is_blind() {
        return Err(Error::NoAnswer);
    }
    let of = RangeMethod::ALL.len() + 3 + known.layers.convs.len() + 1;
    let mut search = Search { model, known, judge, options, watch, progress: Progress { done: 0, of } };
    let (settings, tried) = search.settings()?;
    let (layers, chosen) = search.layers(settings)?;
    let quantised = search.assemble(settings, &chosen);
    let change = search.change(quantised.clone())?;
    let report = Report {
        images: observed.len(),
        held_out: search.judge.images(),
        weight_bits: options.weight_bits,
        settings,
        tried,
        layers,
        change,
    };
    Ok((model.clone().with_quantised(quantised)?, report))
}

/// Statistics of the observed images.
fn known(model: &Model, images: &CalibrationImages, options: &Options) -> Result<Known, Error> {
    let plan = compiled(model, images.size(), options)?;
    let layers = Layers::of(&plan, model)?;
    if layers.convs.is_empty() {
        return Err(Error::NoConvolutions);
    }
    let channels = channels(&plan, images, options)?;
    let factors = factors(&layers, &channels);
    let histograms = histograms(&plan, images, options, &channels, &factors)?;
    Ok(Known { layers, channels, histograms, factors, weight_bits: options.weight_bits })
}

struct Search<'a> {
    model: &'a Model,
    known: Known,
    judge: Judge<'a>,
    options: &'a Options,
    watch: &'a mut dyn FnMut(Progress),
    progress: Progress,
}

impl Search<'_> {
    /// The settings, of those that are tried, that change the logits least, choice by choice.
    fn settings(&mut self) -> Result<(Settings, Vec<Tried>), Error> {
        let plain = Settings {
            range: RangeMethod::MinMax,
            fitted_weights: false,
            corrected_biases: false,
            equalised: false,
        };
        let mut tried = Vec::new();
        for range in RangeMethod::ALL {
            self.attempt(Settings { range, ..plain }, &mut tried)?;
        }
        let changes: [fn(Settings) -> Settings; 3] = [
            |settings| Settings { fitted_weights: true, ..settings },
            |settings| Settings { equalised: true, ..settings },
            |settings| Settings { corrected_biases: true, ..settings },
        ];
        for change in changes {
            self.attempt(change(best(&tried, plain)), &mut tried)?;
        }
        Ok((best(&tried, plain), tried))
    }

    fn attempt(&mut self, settings: Settings, tried: &mut Vec<Tried>) -> Result<(), Error> {
        let all = (0..self.known.layers.convs.len()).collect();
        let quantised = self.assemble(settings, &all);
        let error = self.change(quantised)?.error;
        tried.push(Tried { settings, error });
        Ok(())
    }

    /// The convolutions, each judged alone, and the places of those that compute in 8 bits.
    fn layers(&mut self, settings: Settings) -> Result<(Vec<LayerReport>, BTreeSet<usize>), Error> {
        let judge = self.judge.with_first(self.options.sensitivity_images.max(1));
        let (mut reports, mut chosen) = (Vec::new(), BTreeSet::new());
        for place in 0..self.known.layers.convs.len() {
            let quantised = self.known.assemble(settings, &BTreeSet::from([place]));
            let Change { error, .. } = judge.change(quantised)?;
            self.step();
            let quantised = error <= self.options.most_error;
            if quantised {
                chosen.insert(place);
            }
            let [found, most] = [error, self.options.most_error].map(|share| 100.0 * share);
            let reason = format!("alone it changes the logits by {found:.3}%, over {most}%");
            let path = self.known.layers.convs[place].path.to_string();
            reports.push(LayerReport { path, quantised, error, reason: (!quantised).then_some(reason) });
        }
        Ok((reports, chosen))
    }

    /// Integers of the chosen convolutions and of the head.
    fn assemble(&self, settings: Settings, chosen: &BTreeSet<usize>) -> Quantised {
        let mut quantised = self.known.assemble(settings, chosen);
        quantised.convs.extend(linear(self.model).map(|(path, linear)| (path, Arc::new(linear))));
        quantised
    }

    fn change(&mut self, quantised: Quantised) -> Result<Change, Error> {
        let change = self.judge.change(quantised)?;
        self.step();
        Ok(change)
    }

    fn step(&mut self) {
        self.progress.done += 1;
        (self.watch)(self.progress);
    }
}

/// The settings with the least error.
fn best(tried: &[Tried], plain: Settings) -> Settings {
    let best = tried.iter().min_by(|a, b| a.error.total_cmp(&b.error));
    best.map_or(plain, |tried| tried.settings)
}
