//! What keeps an examination from being made. A fault of the patient is a finding, not an error.

use thiserror::Error;

/// Any error of this crate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The network could not be built or run.
    #[error(transparent)]
    Nn(#[from] residual_nn::Error),
    /// The images could not be reached.
    #[error(transparent)]
    Data(#[from] residual_data::Error),
    /// The tensors could not be put into the network.
    #[error(transparent)]
    Train(#[from] residual_train::Error),
}
