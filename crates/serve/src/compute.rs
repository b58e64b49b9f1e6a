//! The threads that compute: a batch each while there are several, and one batch on all of the service's threads while
//! there is one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use residual_kernels::alone;
use residual_predict::{Classifier, Error as PredictError, PreparedImage};

use crate::metrics::Metrics;
use crate::queue::{Answer, Batch, Question, Queue, Work};
use crate::rejection::Rejection;

/// Tools of a thread that computes.
#[derive(Clone)]
pub(crate) struct Computer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) batch: usize,
    pub(crate) delay: Duration,
}

impl Computer {
    /// Answers until the queue is closed and empty.
    pub(crate) fn run(&self) {
        while let Some(batch) = self.queue.next(self.batch, self.delay) {
            self.answer(batch);
        }
    }

    fn answer(&self, batch: Batch) {
        let Batch { work, wide } = batch;
        let Some(Work { model, question, .. }) = work.first() else { return };
        let (model, question, count, begin) = (model.clone(), question.clone(), work.len(), Instant::now());
        let waited = work.iter().map(|work| begin - work.arrived);
        self.metrics.waited(waited);
        let (images, replies): (Vec<_>, Vec<_>) =
            work.into_iter().map(|work| (work.image, (work.reply, work.seat))).unzip();
        // A panic is a fault of ours, which the thread outlives.
        let ask = || ask(&model.classifier, &question, images);
        let answers = catch_unwind(AssertUnwindSafe(|| if wide { ask() } else { alone(ask) }));
        let seconds = begin.elapsed().as_secs_f64();
        self.queue.computed(count, seconds, wide);
        self.metrics.computed(&model, count, seconds);
        let mut answers = answers.unwrap_or_default().into_iter();
        for (reply, seat) in replies {
            let missing = || Err(Rejection::Internal("the network gave no answer".to_owned()));
            let answer = answers.next().map_or_else(missing, |answer| answer.map_err(Rejection::from));
            drop(seat);
            // The client may have gone.
            let _ = reply.send(answer);
        }
    }
}

fn ask(
    classifier: &Classifier,
    question: &Question,
    images: Vec<PreparedImage>,
) -> Vec<Result<Answer, PredictError>> {
    fn each<T>(
        answers: Vec<Result<T, PredictError>>,
        wrap: fn(T) -> Answer,
    ) -> Vec<Result<Answer, PredictError>> {
        answers.into_iter().map(|answer| answer.map(wrap)).collect()
    }
    match question {
        Question::Classify => each(classifier.classify_prepared(images), Answer::Prediction),
        Question::Embed => each(classifier.embed_prepared(images), Answer::Embedding),
        Question::ClassifyAndEmbed => {
            let both = |(prediction, vector)| Answer::PredictionAndEmbedding(prediction, vector);
            each(classifier.classify_and_embed_prepared(images), both)
        }
        Question::Explain => {
            each(classifier.explain_prepared(images), |found| Answer::Explanation(Box::new(found)))
        }
        Question::ClassMap(class) => {
            let map = |image| classifier.heat_map(image, *class).map(Answer::ClassMap);
            images.into_iter().map(map).collect()
        }
        Question::Features(layer) => {
            let maps = |image| classifier.features(image, layer).map(Answer::Features);
            images.into_iter().map(maps).collect()
        }
    }
}
