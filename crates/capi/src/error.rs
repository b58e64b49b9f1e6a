//! Failures as codes and messages.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use residual_engine::Error as EngineError;
use residual_predict::Error;
use residual_weights::Error as WeightsError;

/// Outcome of a call: `residual_status` of `residual.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum Status {
    /// Success.
    Ok = 0,
    /// A null pointer, text that is not UTF-8, a length that does not fit.
    InvalidArgument = 1,
    /// The file cannot be read, or holds no weights.
    File = 2,
    /// The weights are of another network, or the network cannot be run.
    Network = 3,
    /// The image cannot be brought to the network's size.
    Image = 4,
    /// A defect of this library.
    Internal = 5,
}

/// A code and its message.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl Display) -> Self {
        Self { status, message: message.to_string() }
    }

    pub(crate) fn argument(message: impl Display) -> Self {
        Self::new(Status::InvalidArgument, message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let error = match error {
            Error::Source(source) => match source.downcast::<Failure>() {
                Ok(failure) => return *failure,
                Err(source) => Error::Source(source),
            },
            error => error,
        };
        Self::new(status(&error), error)
    }
}

fn status(error: &Error) -> Status {
    match error {
        Error::Model(error) => of_model(error.cause()),
        Error::Engine(_) => Status::Network,
        Error::Unanswered { cause, .. } => match &**cause {
            EngineError::Shape(_) => Status::Image,
            EngineError::NoFeatures { .. } | EngineError::NoLayer { .. } | EngineError::Class { .. } => {
                Status::InvalidArgument
            }
            _ => Status::Network,
        },
        Error::Image(_) | Error::Read { .. } | Error::TensorShape { .. } => Status::Image,
        _ => Status::Internal,
    }
}

fn of_model(error: &WeightsError) -> Status {
    match error {
        WeightsError::UnknownModel(_) | WeightsError::Specification(_) => Status::InvalidArgument,
        WeightsError::Mismatch(_)
        | WeightsError::Integers { .. }
        | WeightsError::Shape(_)
        | WeightsError::Values { .. }
        | WeightsError::OtherNetwork { .. } => Status::Network,
        _ => Status::File,
    }
}

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

/// The message of this thread's last failure; see `residual_message` in `residual.h`.
#[unsafe(no_mangle)]
pub extern "C" fn residual_message() -> *const c_char {
    MESSAGE.with_borrow(|message| message.as_ptr())
}

/// Runs `body`, keeps the message of a failure, and turns a panic into one.
pub(crate) fn report(body: impl FnOnce() -> Result<(), Failure>) -> Status {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return Status::Ok,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(Status::Internal, "a defect of the library; its report is on standard error"),
    };
    // C's text ends at the first zero byte: there may be one in a path that a message quotes.
    let message = CString::new(failure.message.replace('\0', "?")).unwrap_or_default();
    MESSAGE.set(message);
    failure.status
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn message() -> String {
        // SAFETY: the text lives until this thread's next failure.
        unsafe { CStr::from_ptr(residual_message()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn failures_and_panics_become_codes_and_messages() {
        assert_eq!((report(|| Ok(())), message().as_str()), (Status::Ok, ""));
        assert_eq!(report(|| Err(Failure::argument("a\0b"))), Status::InvalidArgument);
        assert_eq!(message(), "a?b");
        assert_eq!(report(|| panic!("on purpose")), Status::Internal);
        assert!(message().contains("defect"));
    }
}
