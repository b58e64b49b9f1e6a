//! The service: models, the queue before them, and the threads behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use residual_data::Image;
use residual_kernels::Pool;
use residual_predict::{Options as ClassifierOptions, PreparedImage};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout_at;

use crate::budget::Budget;
use crate::compute::Computer;
use crate::log::Log;
use crate::metrics::{Gauges, Metrics};
use crate::model::{Loaded, ModelSource, Registry, Reloaded};
use crate::picture::Picture;
use crate::queue::{Answer, Question, Queue, Seat, Work};
use crate::rejection::Rejection;
use crate::{Error, Options};

/// A service of several models, which share one number of threads: the images of all requests go through the networks a
/// batch at a time. Cloning gives another handle of the same service.
#[derive(Clone)]
pub struct Service {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) models: Registry,
    pub(crate) queue: Arc<Queue>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) log: Log,
    pub(crate) threads: usize,
    /// Digests of the bearer tokens.
    pub(crate) tokens: Vec<[u8; 32]>,
    decoders: Arc<Semaphore>,
    closing: AtomicBool,
    requests: AtomicU64,
    /// Tells this process's requests from those of another.
    start: u64,
}

/// An answer, and the image that the network saw.
pub(crate) type Seen = (Answer, Option<Image>);

impl Service {
    /// Loads the models, and starts the threads that compute.
    ///
    /// # Errors
    /// [`Error::Option`], those of the models, [`Error::Threads`].
    pub fn start(models: Vec<ModelSource>, options: Options) -> Result<Self, Error> {
        check(&options)?;
        let threads = Pool::helpful_threads(options.threads.unwrap_or(usize::MAX));
        let classifier = ClassifierOptions::new().threads(threads).batch(options.batch);
        let models = Registry::load(models, classifier)?;
        let queue = Arc::new(Queue::new(options.queue));
        let metrics = Arc::new(Metrics::new());
        let computer = Computer {
            queue: queue.clone(),
            metrics: metrics.clone(),
            batch: options.batch,
            delay: options.max_delay,
        };
        for number in 0..threads {
            let (thread, computer) = (std::thread::Builder::new(), computer.clone());
            let thread = thread.name(format!("compute-{number}"));
            if let Err(error) = thread.spawn(move || computer.run()) {
                // Ends those that have started.
                queue.close();
                return Err(Error::Threads(error));
            }
        }
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let shared = Shared {
            models,
            queue,
            metrics,
            budget: Arc::new(Budget::new(options.buffered.max(options.body_limit))),
            log: Log::new(options.log),
            threads,
            tokens: options.tokens.iter().map(|token| crate::http::digest(token.as_bytes())).collect(),
            // Decoding is the lesser part of the work.
            decoders: Arc::new(Semaphore::new(threads.div_ceil(2))),
            closing: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            start,
            options,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Names and versions of the models.
    pub fn models(&self) -> Vec<(String, u32)> {
        self.shared.models.all().iter().map(|model| (model.name.clone(), model.version)).collect()
    }

    /// Number of threads that compute.
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Loads all models again, and replaces those that can be loaded: requests that are under way keep the model that
    /// they began with. What keeps an old one in its place is said of it, and in the log. It takes as long as loading
    /// them takes, and memory for one more.
    pub fn reload(&self) -> Vec<Reloaded> {
        let outcomes = self.shared.models.reload();
        for Reloaded { name, version, result } in &outcomes {
            self.shared.metrics.reloaded(result.is_ok());
            let mut facts: Vec<(&str, Value)> =
                vec![("model", name.as_str().into()), ("version", (*version).into())];
            if let Err(error) = result {
                facts.push(("error", error.to_string().into()));
            }
            self.shared.log.event(if result.is_ok() { "reloaded" } else { "kept" }, &facts);
        }
        outcomes
    }

    /// Says that no more requests are wanted: the service is no longer ready, and answers what it accepted.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.shared.closing.load(Ordering::Acquire)
    }

    pub(crate) fn metrics_text(&self) -> String {
        let Shared { queue, options, models, metrics, .. } = &*self.shared;
        let (accepted, waiting) = queue.lengths();
        metrics.text(&Gauges { accepted, waiting, capacity: options.queue, models: models.all().len() })
    }

    /// An identifier that no other request has.
    pub(crate) fn next_id(&self) -> String {
        let number = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        format!("{:012x}-{number:x}", self.shared.start & 0xffff_ffff_ffff)
    }

    /// Runs `work` on a thread for such, one of a few.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Rejection> {
        let permit = timeout_at(deadline.into(), self.shared.decoders.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| self.late())?.map_err(|_| Rejection::Closing)?;
        let done = spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| Rejection::Internal("a fault while the request was read".to_owned()))
    }

    /// When the answer to a request that begins now is to be there.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.shared.options.deadline
    }

    fn late(&self) -> Rejection {
        Rejection::Late { milliseconds: self.shared.options.deadline.as_millis() }
    }

    /// Asks a model about pictures. They are answered by `deadline`, or not at all.
    pub(crate) async fn ask(
        &self,
        model: &Arc<Loaded>,
        question: &Question,
        pictures: Vec<Picture>,
        deadline: Instant,
    ) -> Result<Vec<Seen>, Rejection> {
        let count = pictures.len();
        let left = deadline.saturating_duration_since(Instant::now());
        let seats = self.shared.queue.accept(count, left)?;
        let mut running = JoinSet::new();
        for (index, (picture, seat)) in pictures.into_iter().zip(seats).enumerate() {
            let (service, model, question) = (self.clone(), model.clone(), question.clone());
            running.spawn(async move {
                let asked = Asked { model, question, picture, seat, deadline };
                (index, service.ask_one(asked).await)
            });
        }
        let mut answers: Vec<Option<Seen>> = (0..count).map(|_| None).collect();
        // The first rejection drops the rest.
        while let Some(done) = running.join_next().await {
            let (index, answer) =
                done.map_err(|_| Rejection::Internal("a fault while the request was answered".to_owned()))?;
            answers[index] = Some(answer.map_err(|rejection| rejection.of_image(index, count))?);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    async fn ask_one(&self, asked: Asked) -> Result<Seen, Rejection> {
        let Asked { model, question, picture, seat, deadline } = asked;
        let of = model.clone();
        let image = self.aside(deadline, move || picture.prepare(&of.classifier)).await??;
        let seen = match question {
            Question::ClassMap(_) | Question::Features(_) => image.image().cloned(),
            _ => None,
        };
        let answer = self.compute(model, question, image, (seat, deadline)).await?;
        Ok((answer, seen))
    }

    async fn compute(
        &self,
        model: Arc<Loaded>,
        question: Question,
        image: PreparedImage,
        (seat, deadline): (Seat, Instant),
    ) -> Result<Answer, Rejection> {
        let (reply, answer) = oneshot::channel();
        let arrived = Instant::now();
        self.shared.queue.push(Work { model, question, image, arrived, deadline, reply, seat });
        match timeout_at(deadline.into(), answer).await {
            // The queue's own word on a late one counts from where it began to wait.
            Ok(Ok(Err(Rejection::Late { .. }))) | Err(_) => Err(self.late()),
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Rejection::Closing),
        }
    }
}

/// A picture that is asked about.
struct Asked {
    model: Arc<Loaded>,
    question: Question,
    picture: Picture,
    seat: Seat,
    deadline: Instant,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("models", &self.models()).finish_non_exhaustive()
    }
}

fn check(options: &Options) -> Result<(), Error> {
    let most = |option, found: usize, most: usize, expected| match (1..=most).contains(&found) {
        true => Ok(()),
        false => Err(Error::Option { option, found: found.to_string(), expected }),
    };
    most("batch", options.batch, 1024, "1 to 1024 images")?;
    most("queue", options.queue, 1 << 20, "1 to 1048576 images")?;
    most("connections", options.connections, 1 << 20, "1 to 1048576 connections")?;
    most("body limit", options.body_limit, 1 << 30, "1 byte to 1 GiB")?;
    let times = [
        ("deadline", options.deadline),
        ("header timeout", options.header_timeout),
        ("body timeout", options.body_timeout),
    ];
    for (option, time) in times {
        if time.is_zero() || time > Duration::from_secs(3600) {
            let (found, expected) = (format!("{time:?}"), "more than nothing, and an hour at the most");
            return Err(Error::Option { option, found, expected });
        }
    }
    if options.max_delay > Duration::from_secs(10) {
        let found = format!("{:?}", options.max_delay);
        return Err(Error::Option { option: "max delay", found, expected: "10 seconds at the most" });
    }
    if options.tokens.iter().any(String::is_empty) {
        let (found, expected) = ("an empty one".to_owned(), "tokens of one character or more");
        return Err(Error::Option { option: "tokens", found, expected });
    }
    Ok(())
}
