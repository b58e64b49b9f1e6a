//! Optimisers as recipes write them.

use serde::{Deserialize, Serialize};

use super::config::{OptimiserConfig, Rule};
use crate::Error;

/// The table `[optimiser]`: what it leaves out is the rule's default.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OptimiserFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nesterov: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    betas: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epsilon: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_decay: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decay_norm_and_bias: Option<bool>,
}

impl TryFrom<OptimiserFile> for OptimiserConfig {
    type Error = Error;

    fn try_from(mut file: OptimiserFile) -> Result<Self, Error> {
        let mut config = match file.kind.take() {
            Some(name) => name.parse()?,
            None => Self::sgd(),
        };
        let set = |field: &mut f64, given: Option<f64>| *field = given.unwrap_or(*field);
        set(&mut config.weight_decay, file.weight_decay.take());
        config.decay_norm_and_bias = file.decay_norm_and_bias.take().unwrap_or(false);
        match &mut config.rule {
            Rule::Sgd { momentum, nesterov } => {
                set(momentum, file.momentum.take());
                *nesterov = file.nesterov.take().unwrap_or(*nesterov);
            }
            Rule::AdamW { betas, epsilon } | Rule::Lamb { betas, epsilon } => {
                *betas = file.betas.take().unwrap_or(*betas);
                set(epsilon, file.epsilon.take());
            }
            Rule::Lars { momentum, eta, epsilon } => {
                set(momentum, file.momentum.take());
                set(eta, file.eta.take());
                set(epsilon, file.epsilon.take());
            }
            Rule::RmsProp { alpha, momentum, epsilon } => {
                set(alpha, file.alpha.take());
                set(momentum, file.momentum.take());
                set(epsilon, file.epsilon.take());
            }
            Rule::Lion { betas } => *betas = file.betas.take().unwrap_or(*betas),
        }
        match file.left() {
            Some(field) => Err(Error::OptimiserField { field, optimiser: config.name() }),
            None => Ok(config),
        }
    }
}

impl OptimiserFile {
    /// A field that the rule did not take.
    fn left(&self) -> Option<&'static str> {
        let fields = [
            ("momentum", self.momentum.is_some()),
            ("nesterov", self.nesterov.is_some()),
            ("alpha", self.alpha.is_some()),
            ("eta", self.eta.is_some()),
            ("betas", self.betas.is_some()),
            ("epsilon", self.epsilon.is_some()),
        ];
        fields.into_iter().find_map(|(name, given)| given.then_some(name))
    }
}

impl From<OptimiserConfig> for OptimiserFile {
    fn from(config: OptimiserConfig) -> Self {
        let file = Self {
            // Releases before there were others wrote none.
            kind: (config.name() != "sgd").then(|| config.name().to_owned()),
            weight_decay: Some(config.weight_decay),
            decay_norm_and_bias: Some(config.decay_norm_and_bias),
            ..Self::default()
        };
        match config.rule {
            Rule::Sgd { momentum, nesterov } => {
                Self { momentum: Some(momentum), nesterov: Some(nesterov), ..file }
            }
            Rule::AdamW { betas, epsilon } | Rule::Lamb { betas, epsilon } => {
                Self { betas: Some(betas), epsilon: Some(epsilon), ..file }
            }
            Rule::Lars { momentum, eta, epsilon } => {
                Self { momentum: Some(momentum), eta: Some(eta), epsilon: Some(epsilon), ..file }
            }
            Rule::RmsProp { alpha, momentum, epsilon } => {
                Self { alpha: Some(alpha), momentum: Some(momentum), epsilon: Some(epsilon), ..file }
            }
            Rule::Lion { betas } => Self { betas: Some(betas), ..file },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_comes_back_as_it_was_written() {
        for name in OptimiserConfig::NAMES {
            let config: OptimiserConfig = name.parse().unwrap();
            let config =
                config.with(|config| (config.weight_decay, config.decay_norm_and_bias) = (0.25, true));
            assert_eq!(config.name(), name);
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<OptimiserConfig>(&text).unwrap(), config, "{text}");
            assert_eq!(
                toml::from_str::<OptimiserConfig>(&format!("kind = \"{name}\"")).unwrap(),
                name.parse().unwrap()
            );
        }
    }

    #[test]
    fn a_table_without_a_kind_is_gradient_descent() {
        let config: OptimiserConfig = toml::from_str("momentum = 0.5\nnesterov = false").unwrap();
        assert_eq!(config.rule, Rule::Sgd { momentum: 0.5, nesterov: false });
        let text = toml::to_string(&OptimiserConfig::sgd()).unwrap();
        assert_eq!(
            text,
            "momentum = 0.9\nnesterov = true\nweight_decay = 0.0005\ndecay_norm_and_bias = false\n"
        );
    }

    #[test]
    fn what_a_rule_does_not_have_is_named() {
        let refused = |text: &str| toml::from_str::<OptimiserConfig>(text).unwrap_err().to_string();
        assert!(refused("kind = \"adamw\"\nmomentum = 0.9").contains("optimiser.momentum: adamw has none"));
        assert!(refused("betas = [0.9, 0.99]").contains("optimiser.betas: sgd has none"));
        assert!(refused("kind = \"adam\"").contains("sgd, adamw, lamb, lars, rms_prop, lion"));
        assert!(refused("rate = 3").contains("rate"));
    }
}
