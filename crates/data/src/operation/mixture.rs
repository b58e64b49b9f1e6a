//! Mixture of an image with changes of it.

use super::kind::Operation;
use crate::{Error, Image};

/// Operations after one another on a copy of the image, and the copy's share in a mixture.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Weight of the result.
    pub share: f32,
    /// Operations in order, none of which changes the size.
    pub operations: Vec<Operation>,
}

/// The image by its own share and the results of all chains by theirs, cut to levels as torchvision's AugMix cuts them.
pub(super) fn mixture(mut image: Image, own: f32, chains: &[Chain], file: &str) -> Result<Image, Error> {
    let mut sums: Vec<f32> = image.pixels().iter().map(|&level| own * f32::from(level)).collect();
    for chain in chains {
        let mut changed = image.clone();
        for operation in &chain.operations {
            changed = operation.apply(changed, file)?;
        }
        let levels = changed.pixels();
        sums.iter_mut().zip(levels).for_each(|(sum, &level)| *sum += chain.share * f32::from(level));
    }
    image.pixels_mut().iter_mut().zip(sums).for_each(|(level, sum)| *level = sum as u8);
    Ok(image)
}
