//! Learning rates of the parts of a network.

use std::collections::BTreeMap;

use residual_arch::{NetSpec, Place};

use crate::{Error, Recipe};

/// Learning rate multipliers of a network's parts: factors of the schedule's rate for the stem, each block and the
/// head.
///
/// With layer-wise decay `d` (BEiT: Bao et al. 2021, appendix; timm's `layer_decay`) the factor of part `i` of `n` is
/// `d^(n - 1 - i)`, where the stem is part 0, each block is one, and the head is the last and has 1.
///
/// ```
/// use residual_arch::Place;
/// use residual_train::{PlaceRates, Recipe};
/// let spec = residual_arch::families::family("resnet18")?;
/// let recipe = Recipe::default().with(|recipe| {
///     recipe.layer_decay = Some(0.5);
///     recipe.rates.insert("stem".into(), 0.25);
/// });
/// let rates = PlaceRates::new(&recipe, &spec)?;
/// assert_eq!(rates.factor("stage4.block1".parse()?), 0.5);
/// assert_eq!([rates.factor(Place::Stem), rates.factor(Place::Head)], [0.25, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlaceRates {
    /// Factors that are not 1, of the stem, blocks and the head.
    factors: BTreeMap<Place, f64>,
}

impl PlaceRates {
    /// Factors of a recipe's [`layer_decay`](Recipe::layer_decay) and [`rates`](Recipe::rates) for a network.
    ///
    /// # Errors
    /// [`Error::UnknownRate`] for a part that the network does not have.
    pub fn new(recipe: &Recipe, spec: &NetSpec) -> Result<Self, Error> {
        let names: Vec<&String> = recipe.rates.keys().collect();
        let named = spec.named_places(&names).map_err(Error::UnknownRate)?;
        let named: BTreeMap<Place, f64> = named.into_iter().zip(recipe.rates.values().copied()).collect();
        let mut parts = spec.places();
        parts.retain(|place| !matches!(place, Place::Stage(_)));
        let decay = recipe.layer_decay.unwrap_or(1.0);
        let last = parts.len() - 1;
        let factor = |(number, place): (usize, Place)| {
            // A block's own factor goes before its stage's.
            let given = named.get(&place).or_else(|| named.get(&place.outermost()));
            (place, given.copied().unwrap_or_else(|| decay.powi((last - number) as i32)))
        };
        let factors = parts.into_iter().enumerate().map(factor).filter(|&(_, factor)| factor != 1.0);
        Ok(Self { factors: factors.collect() })
    }

    /// Factor of the stem, of a block or of the head.
    pub fn factor(&self, place: Place) -> f64 {
        self.factors.get(&place).copied().unwrap_or(1.0)
    }

    /// Checks the constants of a recipe.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub(crate) fn validate(recipe: &Recipe) -> Result<(), Error> {
        let out = |field, found, expected| Err(Error::OutOfRange { field, found, expected });
        if let Some(found) = recipe.layer_decay.filter(|decay| !(*decay > 0.0 && *decay <= 1.0)) {
            return out("layer_decay", found, "above 0 and at most 1");
        }
        match recipe.rates.values().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
            Some(&found) => out("rates", found, "above zero (freeze holds layers still)"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use residual_arch::families::family;

    use super::*;

    fn factors(name: &str, change: impl FnOnce(&mut Recipe)) -> Vec<f64> {
        let mut recipe = Recipe::default();
        change(&mut recipe);
        let spec = family(name).unwrap();
        let rates = PlaceRates::new(&recipe, &spec).unwrap();
        let parts = spec.places().into_iter().filter(|place| !matches!(place, Place::Stage(_)));
        parts.map(|place| rates.factor(place)).collect()
    }

    #[test]
    fn the_decay_is_timms() {
        // timm 1.0.31: param_groups_layer_decay(create_model("resnet18"), layer_decay=0.75), the groups' lr_scale.
        let timm = [
            0.07508468627929688,
            0.1001129150390625,
            0.13348388671875,
            0.177978515625,
            0.2373046875,
            0.31640625,
            0.421875,
            0.5625,
            0.75,
            1.0,
        ];
        assert_eq!(factors("resnet18", |recipe| recipe.layer_decay = Some(0.75)), timm);
        assert_eq!(factors("resnet18", |_| ()), [1.0; 10]);
    }

    #[test]
    fn a_block_goes_before_its_stage_and_both_before_the_decay() {
        let found = factors("small", |recipe| {
            recipe.layer_decay = Some(0.5);
            let rates = [("stage2", 0.3), ("stage2.block1", 0.4), ("head", 2.0)];
            recipe.rates = rates.map(|(place, factor)| (place.to_owned(), factor)).into();
        });
        assert_eq!(found, [0.0078125, 0.015625, 0.03125, 0.3, 0.4, 0.25, 0.5, 2.0]);
    }

    #[test]
    fn wrong_factors_and_places_are_refused() {
        for change in [
            (|recipe: &mut Recipe| recipe.layer_decay = Some(0.0)) as fn(&mut Recipe),
            |recipe| recipe.layer_decay = Some(1.5),
            |recipe| recipe.layer_decay = Some(f64::NAN),
            |recipe| recipe.rates = [("stem".to_owned(), 0.0)].into(),
            |recipe| recipe.rates = [("stem".to_owned(), f64::INFINITY)].into(),
        ] {
            let error = Recipe::default().with(change).validate().unwrap_err();
            assert!(matches!(error, Error::OutOfRange { field: "layer_decay" | "rates", .. }), "{error}");
        }
        let recipe = Recipe::default().with(|recipe| recipe.rates = [("layer1".to_owned(), 0.5)].into());
        let error = PlaceRates::new(&recipe, &family("small").unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("rates: the network has no layer `layer1`"), "{error}");
    }
}
