//! What training refuses beyond shapes, asked of training itself: a network that passes here passes there.

use residual_arch::NetSpec;
use residual_arch::shape::flow;
use residual_data::Preprocessor;
use residual_train::{Error, Recipe, require_memory_of_network};

use crate::{Finding, Kind};

/// The finding where training would not begin with this network, which shapes flow through.
pub(crate) fn check(spec: &NetSpec) -> Option<Finding> {
    // How many classes there are is for the data to say, and costs a name each.
    let classes = ["one", "two"].map(str::to_owned);
    let recipe = Recipe { network: Some(spec.clone().with_classes(classes.len())), ..Recipe::default() };
    let refusal = match recipe.settle(&classes, usize::MAX) {
        Ok((_, settled)) => Preprocessor::new(&settled.preprocess).err()?.to_string(),
        Err(error) => error.to_string(),
    };
    let (found, help) = refusal.split_once("; ").unwrap_or((&refusal, "another value"));
    let finding = Kind::Refused.at("network").found(found).expected("a network that training begins with");
    Some(finding.help(help))
}

/// The finding where there is too little memory to train the network.
pub(crate) fn memory(spec: &NetSpec) -> Option<Finding> {
    let Err(Error::Memory { cause, .. }) = require_memory_of_network(spec) else { return None };
    let parameters = flow(spec, spec.input).ok()?.parameters;
    let found = format!("{parameters} parameters: training {cause}");
    let finding = Kind::TooLarge.at("network").found(found).expected("a network that fits into memory");
    Some(finding.help("fewer channels, blocks or classes"))
}
