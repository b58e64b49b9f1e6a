//! Scales of a network in 8 bits as the metadata of its file.

use std::collections::BTreeMap;

use residual_arch::LayerPath;
use residual_files::Budget;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::quantised::{MapScale, Quantised};
use crate::safetensors::{JSON_MEMORY, charge_json};

/// Metadata key of the scales. A file that has it is in 8 bits.
pub(crate) const QUANTISED: &str = "residual.quantised";

/// Scales of the maps, and the norms that are folded into convolutions: what the tensors of the file do not say.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Scale>,
    maps: BTreeMap<String, Scale>,
    norms: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    scale: f32,
    zero: u8,
}

impl From<MapScale> for Scale {
    fn from(MapScale { scale, zero }: MapScale) -> Self {
        Self { scale, zero }
    }
}

impl From<Scale> for MapScale {
    fn from(Scale { scale, zero }: Scale) -> Self {
        Self { scale, zero }
    }
}

impl Description {
    pub(crate) fn of(quantised: &Quantised) -> Self {
        let norm =
            |(path, norm): (&LayerPath, Option<LayerPath>)| Some((path.to_string(), norm?.to_string()));
        let norms = quantised.convs.iter().map(|(path, conv)| (path, conv.norm)).filter_map(norm);
        Self {
            input: quantised.input.map(Scale::from),
            maps: quantised.maps.iter().map(|(path, &map)| (path.to_string(), map.into())).collect(),
            norms: norms.collect(),
        }
    }

    /// # Errors
    /// [`Error::Metadata`].
    pub(crate) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| damaged(error.to_string()))
    }

    /// # Errors
    /// [`Error::Metadata`] for another text; [`Error::TooLarge`].
    pub(crate) fn from_json(text: &str) -> Result<Self, Error> {
        charge_json(&mut Budget::new(JSON_MEMORY), "the memory for the metadata", text.as_bytes())?;
        serde_json::from_str(text).map_err(|error| damaged(error.to_string()))
    }

    /// Scales of the maps, without convolutions.
    ///
    /// # Errors
    /// [`Error::Metadata`] for paths that are none.
    pub(crate) fn maps(&self) -> Result<Quantised, Error> {
        let map = |(text, &scale): (&String, &Scale)| Ok((path(text)?, scale.into()));
        let maps = self.maps.iter().map(map).collect::<Result<_, Error>>()?;
        Ok(Quantised { input: self.input.map(MapScale::from), maps, ..Quantised::default() })
    }

    /// Norm that is folded into each convolution.
    ///
    /// # Errors
    /// [`Error::Metadata`] for paths that are none.
    pub(crate) fn norms(&self) -> Result<BTreeMap<LayerPath, LayerPath>, Error> {
        self.norms.iter().map(|(conv, norm)| Ok((path(conv)?, path(norm)?))).collect()
    }
}

fn path(text: &str) -> Result<LayerPath, Error> {
    text.parse().map_err(|error| damaged(format!("{error}")))
}

fn damaged(reason: String) -> Error {
    Error::Metadata { key: QUANTISED, reason }
}
