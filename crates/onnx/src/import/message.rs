//! A file's message, within a budget.

use std::mem::size_of;
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;
use residual_files::{Budget, require_memory};

use crate::error::Error;
use crate::proto;
use crate::proto::ModelProto;

/// The longest message that protobuf knows.
const MAX_FILE: u64 = 2 << 30;

/// Memory that decoding may take beside the bytes of a file, at least; a large file may take a multiple of its size.
const LEAST_BUDGET: u64 = 128 << 20;

/// Reads a file's message.
pub(super) fn read(path: &Path) -> Result<ModelProto, Error> {
    let bytes = residual_files::read(path, MAX_FILE)?;
    require_memory(bytes.len() as u64)?;
    decode(Bytes::from(bytes))
}

/// Decodes a message. Elements are not copied.
pub(super) fn decode(bytes: Bytes) -> Result<ModelProto, Error> {
    let mut budget = Budget::new(LEAST_BUDGET.max(4 * bytes.len() as u64));
    charge(&bytes, Kind::Model, &mut budget)?;
    ModelProto::decode(bytes).map_err(|error| Error::NotOnnx { reason: error.to_string() })
}

/// Messages that contain others. None contains itself, so that the depth is bounded.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
    Dimension,
    Entry,
    Text,
    Elements,
    Numbers,
}

impl Kind {
    /// Kind of message in a field of bytes; `None` for those that are skipped.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 8 | 14) | (Self::Tensor, 13) => Self::Entry,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11 | 12) => Self::Value,
            (Self::Node, 5) => Self::Attribute,
            (Self::Value, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Shape, 1) => Self::Dimension,
            (Self::Tensor, 9) => Self::Elements,
            (Self::Tensor, 1 | 4 | 5 | 7 | 10) | (Self::Attribute, 7 | 8) => Self::Numbers,
            (Self::Model, 2 | 3)
            | (Self::Graph, 2)
            | (Self::Node, 1 | 2 | 3 | 4 | 7)
            | (Self::Attribute, 1 | 4)
            | (Self::Tensor, 8)
            | (Self::Value, 1)
            | (Self::Dimension, 2)
            | (Self::Entry, 1 | 2) => Self::Text,
            _ => return None,
        })
    }

    /// Memory of such a field of `length` bytes, a vector's spare room included.
    fn memory(self, length: u64) -> u64 {
        let message = match self {
            Self::Model | Self::Elements => 0,
            Self::Graph => size_of::<proto::GraphProto>(),
            Self::Node => size_of::<proto::NodeProto>(),
            Self::Attribute => size_of::<proto::AttributeProto>(),
            Self::Tensor => size_of::<proto::TensorProto>(),
            Self::Value | Self::Type | Self::TensorType | Self::Shape => size_of::<proto::ValueInfoProto>(),
            Self::Dimension => size_of::<proto::tensor_shape_proto::Dimension>(),
            Self::Entry => size_of::<proto::StringStringEntryProto>(),
            Self::Text => return length + 2 * size_of::<String>() as u64,
            // A byte may stand for a number of eight.
            Self::Numbers => return 16 * length,
        };
        2 * message as u64
    }

    fn is_message(self) -> bool {
        !matches!(self, Self::Text | Self::Elements | Self::Numbers)
    }
}

/// Charges what decoding a message takes.
fn charge(mut bytes: &[u8], kind: Kind, budget: &mut Budget) -> Result<(), Error> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => {
                varint(&mut bytes)?;
                budget.charge(16)?;
            }
            1 => skip(&mut bytes, 8, budget)?,
            2 => {
                let length = varint(&mut bytes)?;
                let content = take(&mut bytes, length)?;
                let Some(inner) = kind.field(key >> 3) else { continue };
                budget.charge(inner.memory(length))?;
                if inner.is_message() {
                    charge(content, inner, budget)?;
                }
            }
            5 => skip(&mut bytes, 4, budget)?,
            _ => return Err(broken("a field of an unknown type")),
        }
    }
    Ok(())
}

fn skip(bytes: &mut &[u8], length: u64, budget: &mut Budget) -> Result<(), Error> {
    take(bytes, length)?;
    Ok(budget.charge(16)?)
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], Error> {
    let length = usize::try_from(length).ok().filter(|&length| length <= bytes.len());
    let (taken, rest) = bytes.split_at(length.ok_or_else(|| broken("the file ends within a field"))?);
    *bytes = rest;
    Ok(taken)
}

/// A number in groups of seven bits, the lowest first.
fn varint(bytes: &mut &[u8]) -> Result<u64, Error> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or_else(|| broken("the file ends within a number"))?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(broken("a number of more than 64 bits"))
}

fn broken(reason: &str) -> Error {
    Error::NotOnnx { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_messages_are_charged_before_they_are_made() {
        // A graph of fifty million empty nodes, two bytes each.
        let nodes = [0x0a, 0].repeat(50_000_000);
        let mut bytes = vec![0x3a];
        prost::encoding::encode_varint(nodes.len() as u64, &mut bytes);
        bytes.extend(nodes);
        let error = decode(bytes.into()).unwrap_err();
        assert!(matches!(error, Error::File(residual_files::Error::OverBudget { .. })), "{error}");
    }

    #[test]
    fn what_is_no_message_is_said() {
        for bytes in
            [&b"\x89PNG\r\n\x1a\n"[..], b"PK\x03\x04", &[0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f], &[0xff; 20]]
        {
            let error = decode(bytes.into()).unwrap_err();
            assert!(error.to_string().starts_with("not an ONNX file: "), "{error}");
        }
    }
}
