//! Temperature of a calibrated network's logits.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::state_dict::StateDict;

/// Metadata key of the temperature. Readers that do not know it pass over it: the classes of their answers are the same,
/// and their probabilities those of the uncalibrated network.
pub(crate) const TEMPERATURE: &str = "residual.temperature";

/// Temperature in the metadata of a file; `None` where it has none.
///
/// # Errors
/// [`Error::Metadata`] for what is no number above 0.
pub(crate) fn temperature(tensors: &StateDict) -> Result<Option<f64>, Error> {
    let Some(text) = tensors.metadata.get(TEMPERATURE) else { return Ok(None) };
    match text.parse::<f64>() {
        Ok(value) if is_temperature(value) => Ok(Some(value)),
        _ => {
            let text: String = text.chars().take(40).collect();
            Err(Error::Metadata {
                key: TEMPERATURE,
                reason: format!("found {text:?}, expected a number above 0"),
            })
        }
    }
}

/// Puts a temperature into the metadata of a file, or takes it out.
///
/// # Errors
/// [`Error::Unwritable`] for what is no number above 0.
pub(crate) fn put_temperature(
    metadata: &mut BTreeMap<String, String>,
    temperature: Option<f64>,
) -> Result<(), Error> {
    match check_temperature(temperature)? {
        Some(value) => metadata.insert(TEMPERATURE.to_owned(), value.to_string()),
        None => metadata.remove(TEMPERATURE),
    };
    Ok(())
}

/// The temperature, where it is one.
///
/// # Errors
/// [`Error::Unwritable`].
pub(crate) fn check_temperature(temperature: Option<f64>) -> Result<Option<f64>, Error> {
    match temperature {
        Some(value) if !is_temperature(value) => {
            Err(Error::Unwritable { reason: format!("a temperature of {value}; expected a number above 0") })
        }
        other => Ok(other),
    }
}

/// True for a number that logits can be divided by.
fn is_temperature(value: f64) -> bool {
    value.is_finite() && value >= f64::from(f32::MIN_POSITIVE) && value <= f64::from(f32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temperature_is_a_number_above_0() {
        let of = |text: &str| {
            let mut state = StateDict::new();
            state.metadata.insert(TEMPERATURE.to_owned(), text.to_owned());
            temperature(&state)
        };
        assert_eq!(of("1.5").unwrap(), Some(1.5));
        assert_eq!(temperature(&StateDict::new()).unwrap(), None);
        for wrong in ["", "0", "-1", "NaN", "inf", "1e300", "warm"] {
            let error = of(wrong).unwrap_err();
            assert!(error.to_string().contains("residual.temperature"), "{wrong}: {error}");
        }
    }
}
