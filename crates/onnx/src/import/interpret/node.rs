//! A node with its attributes, and why it is not understood.

use crate::error::Error;
use crate::proto::{AttributeProto, NodeProto, TensorProto};

/// Why a node is not followed.
pub(super) enum Fault {
    /// Reason why the node is not understood.
    NotUnderstood(String),
    /// The file is damaged.
    Damaged(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Damaged(error)
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::NotUnderstood(reason)
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        Self::NotUnderstood(reason.to_owned())
    }
}

/// A node's name for messages: its operation, and its own name or that of its value.
pub(super) fn label(node: &NodeProto) -> String {
    let name = [&node.name].into_iter().chain(&node.output).find(|name| !name.is_empty());
    format!("{} `{}`", node.op_type, name.map_or("", String::as_str))
}

/// Attributes of a node.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(pub(super) &'a NodeProto);

impl<'a> Attributes<'a> {
    fn find(self, name: &str) -> Option<&'a AttributeProto> {
        self.0.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn int(self, name: &str) -> Option<i64> {
        self.find(name)?.i
    }

    pub(super) fn float(self, name: &str) -> Option<f32> {
        self.find(name)?.f
    }

    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.find(name)?.s.as_deref()?).ok()
    }

    pub(super) fn tensor(self, name: &str) -> Option<&'a TensorProto> {
        self.find(name)?.t.as_ref()
    }

    pub(super) fn ints(self, name: &str) -> Option<&'a [i64]> {
        self.find(name).map(|attribute| attribute.ints.as_slice())
    }

    pub(super) fn floats(self, name: &str) -> Option<&'a [f32]> {
        self.find(name).map(|attribute| attribute.floats.as_slice())
    }

    /// True for a flag that is left out or has its usual value.
    pub(super) fn is_usual(self, name: &str, usual: i64) -> bool {
        self.int(name).is_none_or(|found| found == usual)
    }
}
