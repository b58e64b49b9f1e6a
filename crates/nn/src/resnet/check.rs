//! Whether an input fits, before it runs.

use residual_arch::shape::{Flow, flow};

use crate::{Error, Mode, ResNet};

impl ResNet {
    /// Whether [`forward`](Self::forward) can run an input of `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// If the batch is empty, the input does not fit the network, or in training a batch norm would see
    /// one value per channel: an image of a batch of one that has shrunk to 1x1.
    pub fn check_input(&self, input: [usize; 4], mode: Mode) -> Result<(), Error> {
        let [batch, channels, height, width] = input;
        if batch == 0 {
            return Err(Error::EmptyBatch);
        }
        let flow = flow(self.spec(), [channels, height, width])?;
        if batch > 1 || !mode.is_training() {
            return Ok(());
        }
        match self.single_value(&flow) {
            Some(layer) => Err(Error::SingleValue { layer, batch, height: 1, width: 1 }),
            None => Ok(()),
        }
    }

    /// The first layer that is not frozen and has a batch norm on a 1x1 map. A block's smallest norm
    /// stands on the size of its output; a stem's before the pool; a head's on the last map.
    fn single_value(&self, flow: &Flow) -> Option<String> {
        let spec = self.spec();
        let last = flow.rows.len().checked_sub(2)?;
        let norms = flow.rows.iter().enumerate().filter_map(|(index, row)| match row.path.as_str() {
            "stem" => (spec.stem.pool.is_none() && !self.stem.norms.is_empty()).then_some((row, row)),
            "head" => spec.head.norm.then_some((row, &flow.rows[last])),
            _ => Some((row, &flow.rows[index])),
        });
        let mut single =
            norms.filter(|(layer, map)| map.output[1..] == [1, 1] && !self.is_frozen(&layer.path));
        single.next().map(|(layer, _)| layer.path.clone())
    }
}
