//! Inputs and outputs of a graph.

use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{TensorShapeProto, TypeProto, ValueInfoProto, type_proto};

/// Value of a graph under a name, with the type of its elements and its extents.
pub(crate) fn value(name: &str, elem_type: i32, extents: Vec<dimension::Value>) -> ValueInfoProto {
    let dim = extents.into_iter().map(|value| Dimension { value: Some(value) }).collect();
    let tensor = type_proto::Tensor { elem_type, shape: Some(TensorShapeProto { dim }) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(r#type) }
}

/// Extent of so many.
pub(crate) fn fixed(extent: usize) -> dimension::Value {
    dimension::Value::DimValue(extent as i64)
}

/// Extent that is free, under a name.
pub(crate) fn named(name: &str) -> dimension::Value {
    dimension::Value::DimParam(name.to_owned())
}
