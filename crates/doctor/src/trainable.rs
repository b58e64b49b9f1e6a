//! What training refuses beyond shapes, asked of training itself: a network that passes here passes there.

use residual_arch::NetSpec;
use residual_arch::shape::flow;
use residual_data::{Error as DataError, Preprocessor};
use residual_train::{Error, Recipe, require_memory_of_network};

use crate::{Finding, Kind};

/// The finding where training would not begin with this network, which shapes flow through.
pub(crate) fn check(spec: &NetSpec) -> Option<Finding> {
    // How many classes there are is for the data to say, and costs a name each.
    let classes = ["one", "two"].map(str::to_owned);
    let recipe =
        Recipe::default().with(|recipe| recipe.network = Some(spec.clone().with_classes(classes.len())));
    let (found, help) = match recipe.settle(&classes, usize::MAX) {
        Ok((_, settled)) => match Preprocessor::new(&settled.preprocess).err()? {
            DataError::InvalidOption { option, found, expected } => {
                (format!("{option}: {found} is not possible"), format!("give {expected}"))
            }
            error => (error.to_string(), "change the preprocessing".into()),
        },
        Err(Error::Network(error)) => (format!("{}: {}", error.place(), error.found()), error.help()),
        Err(Error::Channels { found, expected }) => (
            format!("preprocess: gives {found} channels, the network takes {expected}"),
            "give one mean and std a channel".into(),
        ),
        Err(error) => (error.to_string(), "change the network or its preprocessing".into()),
    };
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
