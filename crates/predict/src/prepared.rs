//! Images that are decoded at one time, and asked about at another.

use residual_data::Image;

use crate::classifier::{
    Classifier, Embedding, Task, embeddings, explanations, predictions, predictions_and_embeddings, the_image,
};
use crate::input::{Pixels, Ready};
use crate::{Error, Explanation, Input, Prediction};

/// An image as a classifier's network takes it: decoded, resized and cropped. Made by [`Classifier::prepare_image`], for a
/// program that decodes on threads of its own and forms its own batches, such as a service.
#[derive(Debug)]
pub struct PreparedImage(Ready);

impl PreparedImage {
    /// `[height, width]` that the network sees.
    pub fn size(&self) -> [usize; 2] {
        self.0.size()
    }

    /// The image as the network sees it; `None` where a tensor was given.
    pub fn image(&self) -> Option<&Image> {
        match &self.0.pixels {
            Pixels::Image(image) => Some(image),
            Pixels::Tensor(_, image) => image.as_ref(),
        }
    }

    pub(crate) fn into_ready(self) -> Ready {
        self.0
    }
}

impl Classifier {
    /// Decodes an image and brings it to what the network takes, without asking the network.
    ///
    /// # Errors
    /// As for [`Classifier::classify`], but for those of the network.
    pub fn prepare_image<'i>(&self, image: impl Into<Input<'i>>) -> Result<PreparedImage, Error> {
        self.ready(image.into(), &the_image).map(PreparedImage)
    }

    /// Classifies prepared images together: an answer or an error for each, in their order.
    ///
    /// Neighbours of one size go through the network together, as many as [`Options::batch`](crate::Options::batch)
    /// says.
    pub fn classify_prepared(&self, images: Vec<PreparedImage>) -> Vec<Result<Prediction, Error>> {
        self.prepared(predictions, images)
    }

    /// Embeds prepared images together: a vector or an error for each, in their order.
    pub fn embed_prepared(&self, images: Vec<PreparedImage>) -> Vec<Result<Embedding, Error>> {
        self.prepared(embeddings, images)
    }

    /// Classifies and embeds prepared images together, at one go: both answers or an error for each, in their order.
    pub fn classify_and_embed_prepared(
        &self,
        images: Vec<PreparedImage>,
    ) -> Vec<Result<(Prediction, Embedding), Error>> {
        self.prepared(predictions_and_embeddings, images)
    }

    /// Explains the answers about prepared images together: an explanation or an error for each, in their order.
    pub fn explain_prepared(&self, images: Vec<PreparedImage>) -> Vec<Result<Explanation, Error>> {
        self.prepared(explanations, images)
    }

    fn prepared<T>(&self, task: Task<T>, images: Vec<PreparedImage>) -> Vec<Result<T, Error>> {
        let batch = self.options.many(self.model().spec());
        let images: Vec<Ready> = images.into_iter().map(PreparedImage::into_ready).collect();
        let alike = images.chunk_by(|a, b| a.is_like(b));
        alike
            .flat_map(|alike| alike.chunks(batch))
            .flat_map(|part| self.ask_each(task, part, batch))
            .collect()
    }
}
