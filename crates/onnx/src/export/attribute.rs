//! Attributes of nodes.

use crate::proto::AttributeProto;

/// `AttributeProto.AttributeType` of `onnx.proto`.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const STRING: i32 = 3;
const INTS: i32 = 7;

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: FLOAT, f: Some(value), ..AttributeProto::default() }
}

pub(super) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: INT, i: Some(value as i64), ..AttributeProto::default() }
}

pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&value| value as i64).collect();
    AttributeProto { name: name.into(), r#type: INTS, ints, ..AttributeProto::default() }
}

pub(super) fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: STRING, s: Some(value.into()), ..AttributeProto::default() }
}
