//! Bias corrections of moments that start as zeros.

use crate::Error;

/// `1 - beta^t` of each moment at step `t`, counted from 1 (Kingma and Ba 2015, section 3).
pub(super) fn bias_corrections(betas: [f32; 2], step: u64) -> Result<[f64; 2], Error> {
    if step == 0 {
        return Err(Error::Shape { what: "optimiser".into(), reason: "steps are counted from 1".into() });
    }
    Ok(betas.map(|beta| 1.0 - f64::from(beta).powf(step as f64)))
}
