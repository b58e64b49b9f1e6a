//! Counts and times of the service, in Prometheus' text format.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::Loaded;

/// Upper bounds of times, in seconds.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Upper bounds of sizes of batches, in images.
const IMAGES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// A histogram of fixed bounds.
#[derive(Clone, Debug)]
struct Histogram {
    bounds: &'static [f64],
    /// Values up to each bound and above the one before; the last is of those above all.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    fn add(&mut self, value: f64) {
        self.counts[self.bounds.partition_point(|&bound| bound < value)] += 1;
        self.sum += value;
    }

    fn write(&self, text: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        for (place, count) in self.counts.iter().enumerate() {
            total += count;
            let bound = self.bounds.get(place).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            line(text, &format!("{name}_bucket"), &format!("{labels}{comma}le=\"{bound}\""), total);
        }
        line(text, &format!("{name}_sum"), labels, self.sum);
        line(text, &format!("{name}_count"), labels, total);
    }
}

#[derive(Debug)]
struct State {
    requests: BTreeMap<String, u64>,
    durations: BTreeMap<String, Histogram>,
    rejected: BTreeMap<String, u64>,
    images: BTreeMap<String, u64>,
    batches: BTreeMap<String, Histogram>,
    computing: BTreeMap<String, Histogram>,
    waiting: Histogram,
    reloads: BTreeMap<String, u64>,
    connections: u64,
    open: u64,
}

/// All of the service's counts and times.
#[derive(Debug)]
pub(crate) struct Metrics {
    state: Mutex<State>,
}

/// What happened to a request.
pub(crate) struct Handled<'a> {
    /// The pattern of its address, so that strangers cannot make up new ones.
    pub(crate) route: &'a str,
    pub(crate) method: &'a str,
    pub(crate) status: u16,
    pub(crate) reason: Option<&'static str>,
    pub(crate) duration: Duration,
}

/// Numbers of this moment.
pub(crate) struct Gauges {
    pub(crate) accepted: usize,
    pub(crate) waiting: usize,
    pub(crate) capacity: usize,
    pub(crate) models: usize,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                requests: BTreeMap::new(),
                durations: BTreeMap::new(),
                rejected: BTreeMap::new(),
                images: BTreeMap::new(),
                batches: BTreeMap::new(),
                computing: BTreeMap::new(),
                waiting: Histogram::new(&SECONDS),
                reloads: BTreeMap::new(),
                connections: 0,
                open: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn handled(&self, handled: &Handled<'_>) {
        let mut state = self.lock();
        let (route, method) = (escaped(handled.route), escaped(handled.method));
        let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{}\"", handled.status);
        *state.requests.entry(labels).or_default() += 1;
        let durations =
            state.durations.entry(format!("route=\"{route}\"")).or_insert(Histogram::new(&SECONDS));
        durations.add(handled.duration.as_secs_f64());
        if let Some(reason) = handled.reason {
            *state.rejected.entry(format!("reason=\"{reason}\"")).or_default() += 1;
        }
    }

    pub(crate) fn waited(&self, times: impl Iterator<Item = Duration>) {
        let mut state = self.lock();
        times.for_each(|time| state.waiting.add(time.as_secs_f64()));
    }

    pub(crate) fn computed(&self, model: &Loaded, images: usize, seconds: f64) {
        let mut state = self.lock();
        let labels = format!("model=\"{}\",version=\"{}\"", escaped(&model.name), model.version);
        *state.images.entry(labels.clone()).or_default() += images as u64;
        state.batches.entry(labels.clone()).or_insert(Histogram::new(&IMAGES)).add(images as f64);
        state.computing.entry(labels).or_insert(Histogram::new(&SECONDS)).add(seconds);
    }

    pub(crate) fn reloaded(&self, is_new: bool) {
        let result = if is_new { "result=\"loaded\"" } else { "result=\"kept\"" };
        *self.lock().reloads.entry(result.to_owned()).or_default() += 1;
    }

    pub(crate) fn connected(&self) {
        let mut state = self.lock();
        state.connections += 1;
        state.open += 1;
    }

    pub(crate) fn disconnected(&self) {
        let mut state = self.lock();
        state.open = state.open.saturating_sub(1);
    }

    /// All of them as text.
    pub(crate) fn text(&self, now: &Gauges) -> String {
        let state = self.lock();
        let mut text = String::new();
        let mut family = Families { text: &mut text };
        family.counters("residual_requests_total", "Requests, by address and status.", &state.requests);
        family.histograms(
            "residual_request_duration_seconds",
            "Time from a request's headers to its answer.",
            &state.durations,
        );
        family.counters("residual_rejected_total", "Requests without an answer, by reason.", &state.rejected);
        family.counters("residual_images_total", "Images that went through a network.", &state.images);
        family.histograms(
            "residual_batch_images",
            "Images that went through a network together.",
            &state.batches,
        );
        family.histograms(
            "residual_batch_duration_seconds",
            "Time of a batch in the network.",
            &state.computing,
        );
        let waiting = BTreeMap::from([(String::new(), state.waiting.clone())]);
        family.histograms(
            "residual_queue_duration_seconds",
            "Time of an image in the queue, decoded.",
            &waiting,
        );
        family.counters(
            "residual_reloads_total",
            "Models loaded again, or kept since they could not be.",
            &state.reloads,
        );
        family.gauge(
            "residual_accepted_images",
            "Images accepted and not yet answered.",
            now.accepted as u64,
        );
        family.gauge("residual_queue_images", "Images that wait for a network.", now.waiting as u64);
        family.gauge(
            "residual_queue_capacity_images",
            "Places for images that are accepted.",
            now.capacity as u64,
        );
        family.gauge("residual_models", "Models that are served.", now.models as u64);
        family.gauge("residual_connections_open", "Connections.", state.open);
        let connections = BTreeMap::from([(String::new(), state.connections)]);
        family.counters("residual_connections_total", "Connections since the start.", &connections);
        text
    }
}

/// Families of metrics as text.
struct Families<'t> {
    text: &'t mut String,
}

impl Families<'_> {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn counters(&mut self, name: &str, help: &str, counters: &BTreeMap<String, u64>) {
        self.head(name, help, "counter");
        counters.iter().for_each(|(labels, value)| line(self.text, name, labels, value));
    }

    fn histograms(&mut self, name: &str, help: &str, histograms: &BTreeMap<String, Histogram>) {
        self.head(name, help, "histogram");
        histograms.iter().for_each(|(labels, histogram)| histogram.write(self.text, name, labels));
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        line(self.text, name, "", value);
    }
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    // As above.
    let _ = match labels.is_empty() {
        true => writeln!(text, "{name} {value}"),
        false => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_bounds_belong_to_them() {
        let mut histogram = Histogram::new(&[1.0, 2.0]);
        [0.5, 1.0, 1.5, 9.0].into_iter().for_each(|value| histogram.add(value));
        let mut text = String::new();
        histogram.write(&mut text, "n", "a=\"b\"");
        let wanted = "n_bucket{a=\"b\",le=\"1\"} 2\nn_bucket{a=\"b\",le=\"2\"} 3\nn_bucket{a=\"b\",le=\"+Inf\"} 4\n\
                      n_sum{a=\"b\"} 12\nn_count{a=\"b\"} 4\n";
        assert_eq!(text, wanted);
    }
}
