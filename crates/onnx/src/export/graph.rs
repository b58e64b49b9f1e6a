//! A graph as it is written.

use prost::bytes::Bytes;

use super::attribute;
use crate::element::{FLOAT, INT8, INT32, INT64, UINT8};
use crate::proto::{AttributeProto, NodeProto, TensorProto};

/// The nodes and constants of a graph as it is written. A node is named after the value that it gives.
#[derive(Default)]
pub(super) struct GraphBuilder {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) constants: Vec<TensorProto>,
}

impl GraphBuilder {
    /// Adds a node; gives the name of its value.
    pub(super) fn node(
        &mut self,
        op: &str,
        name: impl Into<String>,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let name = name.into();
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op.to_owned(),
            attribute: attributes,
            domain: String::new(),
        });
        name
    }

    /// Adds a constant of f32; gives its name.
    pub(super) fn floats(&mut self, name: impl Into<String>, shape: &[usize], values: &[f32]) -> String {
        let bytes: Vec<u8> = match cfg!(target_endian = "little") {
            true => bytemuck::cast_slice(values).to_vec(),
            false => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        self.constant(name.into(), FLOAT, shape, bytes)
    }

    /// Adds a vector of whole numbers; gives its name.
    pub(super) fn integers(&mut self, name: impl Into<String>, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name.into(), INT64, &[values.len()], bytes)
    }

    /// Adds a byte; gives its name.
    pub(super) fn bytes(&mut self, name: String, value: u8) -> String {
        self.constant(name, UINT8, &[], vec![value])
    }

    /// Adds a constant of int8; gives its name.
    pub(super) fn int8(&mut self, name: String, shape: &[usize], values: &[i8]) -> String {
        self.constant(name, INT8, shape, bytemuck::cast_slice(values).to_vec())
    }

    /// Adds a vector of int32; gives its name.
    pub(super) fn int32(&mut self, name: String, values: &[i32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, INT32, &[values.len()], bytes)
    }

    fn constant(&mut self, name: String, data_type: i32, shape: &[usize], bytes: Vec<u8>) -> String {
        self.constants.push(TensorProto {
            dims: shape.iter().map(|&extent| extent as i64).collect(),
            data_type,
            name: name.clone(),
            raw_data: Bytes::from(bytes),
            ..TensorProto::default()
        });
        name
    }

    /// Gives the last node's value another name: that of the graph's output.
    pub(super) fn rename_last(&mut self, name: &str) {
        if let Some(node) = self.nodes.last_mut() {
            node.output = vec![name.to_owned()];
        }
    }

    /// `op` of a value and axes that are a constant: `Squeeze`, `Unsqueeze`.
    pub(super) fn with_axes(&mut self, op: &str, name: String, input: &str, axes: &[i64]) -> String {
        let axes = self.integers(format!("{name}.axes"), axes);
        self.node(op, name, &[input, &axes], vec![])
    }

    /// Part of a vector, `from` to `to`, along its only axis.
    pub(super) fn part_of(&mut self, name: &str, vector: &str, part: [i64; 2]) -> String {
        let [from, to] = [("from", part[0]), ("to", part[1])]
            .map(|(end, at)| self.integers(format!("{name}.{end}"), &[at]));
        self.node("Slice", name, &[vector, &from, &to], vec![])
    }

    /// Vectors one behind the other.
    pub(super) fn concatenated(&mut self, name: &str, vectors: &[&str]) -> String {
        self.node("Concat", name, vectors, vec![attribute::int("axis", 0)])
    }
}
