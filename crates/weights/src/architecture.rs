//! The network that bare weights are for, as a program or a user names it.

use std::path::Path;

use residual_arch::{NetSpec, families::family, tensors};

use crate::checkpoint::{Checkpoint, Weights};
use crate::error::Error;

/// The network that weights are for: a specification, or its name.
///
/// ```
/// use residual_weights::Architecture;
///
/// assert_eq!(Architecture::from("resnet18").specification()?.name, "resnet18");
/// let error = Architecture::from("resnet19").specification().unwrap_err();
/// assert!(error.to_string().contains("`resnet18`"), "{error}");
/// # Ok::<(), residual_weights::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Architecture {
    /// A family member ([`residual_arch::families::family`]), a specification's file (`.toml`, `.json`), or a trained
    /// checkpoint (`.safetensors`).
    Named(String),
    /// A specification.
    Written(Box<NetSpec>),
}

impl Architecture {
    /// The specification that is meant; files are read.
    ///
    /// # Errors
    /// [`Error::UnknownModel`] for a name that is no family member's; [`Error::Specification`] for a file that holds
    /// none; those of [`Weights::map`] for a checkpoint.
    pub fn specification(&self) -> Result<NetSpec, Error> {
        let name = match self {
            Self::Written(spec) => return Ok(NetSpec::clone(spec)),
            Self::Named(name) => name.as_str(),
        };
        if NetSpec::is_file_name(name) {
            return Ok(NetSpec::read(name)?);
        }
        let extension = Path::new(name).extension();
        if !extension.is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors")) {
            return Ok(family(name)?);
        }
        match Weights::map(name)? {
            Weights::Trained(trained) => Ok(trained.spec),
            Weights::Plain(state) => {
                let error = Checkpoint::from_state_dict(state).err();
                let unknown = Error::NoSpec { model: None, seems: None, nearest: None };
                Err(error.unwrap_or(unknown).in_file(name.as_ref()))
            }
        }
    }

    /// Holds a network that a file describes against this one, but for the number of classes.
    ///
    /// # Errors
    /// [`Error::OtherNetwork`] where they differ in a tensor; those of [`Architecture::specification`].
    pub(crate) fn require(&self, found: &NetSpec) -> Result<(), Error> {
        let asked = self.specification()?.with_classes(found.head.classes);
        if tensors(&asked) == tensors(found) {
            return Ok(());
        }
        let asked = match self {
            Self::Named(name) => name.clone(),
            Self::Written(spec) => spec.name.clone(),
        };
        Err(Error::OtherNetwork { found: found.name.clone(), asked })
    }
}

impl From<&str> for Architecture {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

impl From<String> for Architecture {
    fn from(name: String) -> Self {
        Self::Named(name)
    }
}

impl From<&String> for Architecture {
    fn from(name: &String) -> Self {
        Self::Named(name.clone())
    }
}

impl From<NetSpec> for Architecture {
    fn from(spec: NetSpec) -> Self {
        Self::Written(Box::new(spec))
    }
}

impl From<&NetSpec> for Architecture {
    fn from(spec: &NetSpec) -> Self {
        Self::Written(Box::new(spec.clone()))
    }
}
