//! Requests and answers as JSON objects.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::values::Values;

/// Parameters of a request, an input or an output.
pub(crate) type Parameters = Map<String, Value>;

/// A request as it is written.
#[derive(Debug, Deserialize)]
pub(crate) struct RequestBody {
    #[serde(default)]
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) parameters: Parameters,
    pub(crate) inputs: Vec<InputBody>,
    #[serde(default)]
    pub(crate) outputs: Vec<RequestedOutput>,
}

/// An input as it is written; one in the binary part has no data here.
#[derive(Debug, Deserialize)]
pub(crate) struct InputBody {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) datatype: String,
    #[serde(default)]
    pub(crate) parameters: Parameters,
    #[serde(default)]
    pub(crate) data: Option<Values>,
}

/// An output that is asked for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RequestedOutput {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) parameters: Parameters,
}

/// An answer as it is written.
#[derive(Debug, Serialize)]
pub(crate) struct ResponseBody<'a> {
    pub(crate) model_name: &'a str,
    pub(crate) model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'a str>,
    pub(crate) outputs: Vec<OutputBody<'a>>,
}

/// An output as it is written; one in the binary part has no data here.
#[derive(Debug, Serialize)]
pub(crate) struct OutputBody<'a> {
    pub(crate) name: &'a str,
    pub(crate) datatype: &'static str,
    pub(crate) shape: &'a [usize],
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) parameters: Parameters,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<DataBody<'a>>,
}

/// Values of an output.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum DataBody<'a> {
    Numbers(&'a [f32]),
    Texts(&'a [String]),
}
