//! Limits and times of a service.

use std::time::Duration;

/// Limits and times of a service.
///
/// ```
/// use std::time::Duration;
/// use residual_serve::Options;
///
/// let options = Options::default().with(|options| {
///     options.batch = 16;
///     options.deadline = Duration::from_millis(500);
/// });
/// assert_eq!(options.queue, 64);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Number of threads that compute, for all models together; `None` for as many as the machine runs at once.
    pub threads: Option<usize>,
    /// The most images that go through a network together.
    pub batch: usize,
    /// The longest that an image waits for others to go through the network with. None waits while nobody else is on
    /// the way.
    pub max_delay: Duration,
    /// The most images that are accepted and not yet answered; more are answered with 503.
    pub queue: usize,
    /// The longest that a request is worth: what is not answered by then is answered with 504.
    pub deadline: Duration,
    /// The most bytes of a request's body.
    pub body_limit: usize,
    /// The most bytes of all bodies that are held at a time.
    pub buffered: usize,
    /// The longest that a client takes for a request's headers, and keeps an idle connection open.
    pub header_timeout: Duration,
    /// The longest that a client takes for a request's body.
    pub body_timeout: Duration,
    /// The most connections at a time; more wait to be accepted.
    pub connections: usize,
    /// Bearer tokens, one of which a request must bring; none for a service that is open.
    pub tokens: Vec<String>,
    /// Form of the log.
    pub log: LogFormat,
}

/// Form of the log, which goes to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object a line.
    Json,
    /// A line of words.
    Text,
    /// No log.
    #[default]
    Off,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: None,
            batch: 8,
            max_delay: Duration::from_millis(2),
            queue: 64,
            deadline: Duration::from_secs(2),
            body_limit: 16 << 20,
            buffered: 256 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            connections: 1024,
            tokens: Vec::new(),
            log: LogFormat::Off,
        }
    }
}

impl Options {
    /// Changes what `change` says.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
