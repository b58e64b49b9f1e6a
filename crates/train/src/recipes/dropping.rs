//! What a training drops at random: branches, features and squares of maps.

use residual_arch::NetSpec;

use crate::{Error, Recipe, Trainer};

impl Recipe {
    /// Sets what the recipe says of the network's stochastic depth and dropout.
    pub(crate) fn set_dropping(&self, spec: &mut NetSpec) {
        spec.stochastic_depth = self.drop_path.unwrap_or(spec.stochastic_depth);
        spec.head.dropout = self.dropout.unwrap_or(spec.head.dropout);
    }

    /// Checks the probabilities.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub(crate) fn validate_dropping(&self) -> Result<(), Error> {
        let given =
            [("drop_path", self.drop_path), ("dropout", self.dropout), ("drop_block", self.drop_block)];
        let wrong = |&(_, probability): &(_, f64)| !(0.0..1.0).contains(&probability);
        let given = given.into_iter().filter_map(|(field, probability)| Some((field, probability?)));
        match given.into_iter().find(wrong) {
            Some((field, found)) => {
                Err(Error::OutOfRange { field, found, expected: "0 or more and below 1" })
            }
            None => Ok(()),
        }
    }
}

impl Trainer<'_> {
    /// Sets DropBlock to the probability of the next step, which rises linearly over the training from 0 (Ghiasi et al.
    /// 2018, section 3.2).
    pub(crate) fn set_drop_block(&mut self) {
        if let Some(probability) = self.recipe.drop_block {
            let last = self.rate.total_steps().saturating_sub(1).max(1);
            let share = self.progress.step as f64 / last as f64;
            self.network.set_drop_block(probability * share.min(1.0));
        }
    }
}
