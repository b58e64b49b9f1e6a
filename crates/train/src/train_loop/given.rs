//! Images and model that a program gives a training in memory.

use residual_weights::Model;

use crate::data::images::TrainingImages;

/// Images and model that a program has given a training in memory.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) images: Option<TrainingImages>,
    /// Model whose weights are begun with.
    pub(crate) model: Option<Model>,
}
