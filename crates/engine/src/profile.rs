//! Where the time of a run goes.

use crate::error::Error;
use crate::images::Images;
use crate::plan::Plan;
use crate::scratch::Scratch;

/// The time of every layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// Images in the run.
    pub images: usize,
    /// Layers in the order in which they run.
    pub layers: Vec<LayerProfile>,
}

/// The time of one layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayerProfile {
    /// Path of the layer; `input` is the conversion of the images, `head` the average pool and the linear
    /// layer.
    pub name: String,
    /// Kernel that computes it, with what follows in the same pass.
    pub kernel: String,
    /// Median over the runs, in milliseconds, of the whole batch.
    pub ms: f64,
    /// Multiplications and additions of the direct computation over time, in 10^9 a second; 0 where none are
    /// counted (all but convolutions and the linear layer). Winograd's exceeds what the machine can compute.
    pub gflops: f64,
}

impl Plan {
    /// Runs a batch `runs` times, at least once, and measures every layer. The reading of the clock is all
    /// that differs from [`Plan::run`].
    ///
    /// # Errors
    /// Those of [`Plan::run`].
    pub fn profile(&self, images: Images<'_>, runs: usize, scratch: &mut Scratch) -> Result<Profile, Error> {
        let count = self.count(&images, scratch)?;
        let parts = self.network.graph.nodes.len() + 2;
        let mut seconds = vec![Vec::with_capacity(runs.max(1)); parts];
        for _ in 0..runs.max(1) {
            let mut clock = vec![0.0; parts];
            self.run_timed(images, count, scratch, Some(&mut clock))?;
            seconds.iter_mut().zip(clock).for_each(|(all, one)| all.push(one));
        }
        let layers = seconds.iter_mut().enumerate().map(|(index, all)| self.layer(index, count, median(all)));
        Ok(Profile { images: count, layers: layers.collect() })
    }

    /// The layer of a clock's entry.
    fn layer(&self, index: usize, count: usize, seconds: f64) -> LayerProfile {
        let network = &self.network;
        let program = &self.programs[0];
        let (name, kernel, operations) = match index.checked_sub(1) {
            None => ("input".into(), "conversion".into(), 0.0),
            Some(node) if node < network.graph.nodes.len() => {
                let operation = &program.operations[node];
                let path = network.graph.nodes[node].path.to_string();
                (path, operation.kernel(), operation.operations())
            }
            Some(_) => {
                let head = &network.graph.head;
                ("head".into(), "average pool and linear".into(), 2.0 * (head.ins * head.outs) as f64)
            }
        };
        let gflops = if seconds > 0.0 { operations * count as f64 / seconds / 1e9 } else { 0.0 };
        LayerProfile { name, kernel, ms: seconds * 1e3, gflops }
    }
}

/// The middle value, of an even number the upper one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
