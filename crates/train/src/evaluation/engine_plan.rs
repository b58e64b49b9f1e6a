//! Plan of the engine for images of the size that came last.

use residual_engine::{Options, Plan, Scratch};
use residual_weights::Model;

use crate::Error;

/// Plan of a model for images of the size that came last: the weights are packed once for all images of one size.
#[derive(Debug)]
pub(crate) struct EnginePlan {
    threads: usize,
    batch_size: usize,
    compiled: Option<(Plan, Scratch)>,
}

impl EnginePlan {
    pub(crate) fn new(threads: usize, batch_size: usize) -> Self {
        Self { threads, batch_size, compiled: None }
    }

    /// The plan for images of `[channels, height, width]`, compiled from the model where they are others than the last
    /// ones.
    pub(crate) fn for_images(
        &mut self,
        image: [usize; 3],
        model: impl FnOnce() -> Result<Model, Error>,
    ) -> Result<(&Plan, &mut Scratch), Error> {
        if self.compiled.as_ref().is_none_or(|(plan, _)| plan.image() != image) {
            let options = Options::default().with(|options| {
                options.threads = Some(self.threads);
                options.max_batch = self.batch_size;
                options.size = Some([image[1], image[2]]);
                // Whoever asks says what is wrong where values are not finite.
                options.allow_not_finite = true;
            });
            let plan = Plan::compile(&model()?, &options)?;
            let scratch = plan.scratch();
            self.compiled = Some((plan, scratch));
        }
        match &mut self.compiled {
            Some((plan, scratch)) => Ok((plan, scratch)),
            None => Err(Error::NothingToEvaluate),
        }
    }
}
