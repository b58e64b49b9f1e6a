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
        let question = match (wanted.predictions(), wanted.embeddings()) {
            (true, true) => Question::ClassifyAndEmbed,
            (false, true) => Question::Embed,
            _ => Question::Classify,
        };
        let (mut predictions, mut embeddings) = (Vec::new(), Vec::new());
        for (answer, _) in self.ask(model, &question, pictures, deadline).await? {
            match answer {
                Answer::Prediction(found) => predictions.push(found),
                Answer::Embedding(vector) => embeddings.push(vector),
                Answer::PredictionAndEmbedding(found, vector) => {
                    predictions.push(found);
                    embeddings.push(vector);
                }
                _ => {}
            }
        }
        Ok((request, outputs(&wanted, &predictions, &embeddings)))
    }
}
