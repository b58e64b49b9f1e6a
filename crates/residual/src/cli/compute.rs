//! Choice of operations and memory of a network in training: flags that several commands have.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use residual::nn::fused::{Memory, Path};

/// Parser of the operations that a network trains through, [`Path`].
pub(crate) fn path() -> impl TypedValueParser<Value = Path> {
    let values = [
        PossibleValue::new("fused").help("One operation a block, in the kernels"),
        PossibleValue::new("stock").help("The tensor framework's, layer by layer"),
    ];
    PossibleValuesParser::new(values).map(|text| if text == "stock" { Path::Stock } else { Path::Fused })
}

/// Parser of the maps that are kept between the forward and the backward pass, [`Memory`].
pub(crate) fn memory() -> impl TypedValueParser<Value = Memory> {
    let values = [
        PossibleValue::new("keep").help("What the backward pass reads"),
        PossibleValue::new("low").help("The inputs of the blocks"),
    ];
    PossibleValuesParser::new(values).map(|text| if text == "low" { Memory::Low } else { Memory::Keep })
}
