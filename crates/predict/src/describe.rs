//! Descriptions of networks for people.

use residual_arch::shape::{Row, flow};
use serde::Serialize;

use crate::Classifier;

/// Description of a network for people: what a page shows of it.
#[derive(Debug, Serialize)]
pub struct Description {
    /// Name of the network.
    pub network: String,
    /// `[channels, height, width]` of most images.
    pub input: [usize; 3],
    /// Names of the classes, or of the targets of a regression.
    pub classes: Vec<String>,
    /// Task in words.
    pub task: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Multiply-accumulates an image.
    pub macs: u64,
    /// Lines of the network's table.
    pub rows: Vec<Row>,
    /// Parts whose maps can be looked at ([`Classifier::places`]).
    pub layers: Vec<String>,
    /// Number of threads that work on one answer.
    pub threads: usize,
}

impl Classifier {
    /// Description of the network for people.
    pub fn description(&self) -> Description {
        let spec = self.model().spec();
        // The network was checked when it was opened.
        let flow = flow(spec, self.input()).ok();
        let (parameters, macs) = flow.as_ref().map_or((0, 0), |flow| (flow.parameters, flow.macs));
        Description {
            network: spec.name.clone(),
            input: self.input(),
            classes: self.classes().to_vec(),
            task: spec.task.to_string(),
            parameters,
            macs,
            rows: flow.map_or_else(Vec::new, |flow| flow.rows),
            layers: self.places(),
            threads: self.threads(),
        }
    }
}
