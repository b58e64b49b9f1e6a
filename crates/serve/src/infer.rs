//! Answers to requests of the Open Inference Protocol, whichever way they come.

use std::sync::Arc;
use std::time::Instant;

use crate::Service;
use crate::model::Loaded;
use crate::protocol::{InferRequest, Output, Wanted, outputs};
use crate::queue::{Answer, Question};
use crate::rejection::Rejection;

impl Service {
    /// Asks the model what a request wants of it.
    pub(crate) async fn infer(
        &self,
        model: &Arc<Loaded>,
        request: InferRequest,
        deadline: Instant,
    ) -> Result<(InferRequest, Vec<Output>), Rejection> {
        let wanted = Wanted::of(model, &request.outputs, &request.parameters)?;
        let InferRequest { pictures, .. } = request;
        let request = InferRequest { pictures: Vec::new(), ..request };
        let (mut predictions, mut embeddings) = (Vec::new(), Vec::new());
        if wanted.predictions() {
            for (answer, _) in self.ask(model, &Question::Classify, pictures.clone(), deadline).await? {
                predictions.extend(if let Answer::Prediction(found) = answer { Some(found) } else { None });
            }
        }
        if wanted.embeddings() {
            for (answer, _) in self.ask(model, &Question::Embed, pictures, deadline).await? {
                embeddings.extend(if let Answer::Embedding(found) = answer { Some(found) } else { None });
            }
        }
        Ok((request, outputs(&wanted, &predictions, &embeddings)))
    }
}
