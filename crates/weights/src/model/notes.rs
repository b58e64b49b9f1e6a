//! What a user should know of a model that was opened: a line each.

use super::Model;
use crate::channels::RGB;

/// Names that a line shows.
const SHOWN: usize = 3;

impl Model {
    /// Lines about what the file did not say and what is left out of it; none for a checkpoint that says all.
    ///
    /// ```
    /// use residual_arch::families::family;
    /// use residual_weights::{Model, Tensor, safetensors};
    ///
    /// let network = family("cifar_resnet8")?.check([3, 32, 32])?;
    /// let zeros = |shape: Vec<usize>| Tensor::new(shape.clone(), vec![0.0; shape.iter().product()]);
    /// let tensors = network.tensors().map(|(path, tensor)| Ok((path, zeros(tensor.shape)?)));
    /// let tensors = tensors.collect::<Result<Vec<_>, residual_weights::Error>>()?;
    /// let model = Model::new(network, tensors)?;
    /// assert!(model.notes().is_empty());
    ///
    /// let bytes = safetensors::to_bytes(&model.to_state_dict(model.naming())?)?;
    /// assert!(Model::from_bytes(&bytes)?.notes()[0].starts_with("cifar_resnet8 by its tensors"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let found = self.recognised();
        if let Some(found) = found {
            if self.named_by().is_none() {
                notes.push(found.to_string());
            }
            if !found.alternatives.is_empty() {
                let same = listed(&found.alternatives);
                notes.push(format!("networks with the same tensors: {same}; --model chooses"));
            }
            if !found.left_out.is_empty() && found.others.is_empty() {
                notes.push(format!(
                    "{} tensors that are not the network's are left out",
                    found.left_out.len()
                ));
            }
        }
        let others: Vec<String> = self
            .origin()
            .others
            .iter()
            .chain(found.iter().flat_map(|found| &found.others))
            .cloned()
            .collect();
        if !others.is_empty() {
            notes.push(format!("the file has {} as well; --key chooses", listed(&others)));
        }
        if !self.has_head() {
            notes.push("a backbone without a head: it gives features, and no classes".to_owned());
        }
        notes.extend(self.class_list.clone());
        if let Some(channels) = self.adapted {
            let how = if channels == 1 { "summed" } else { "repeated and scaled" };
            notes.push(format!("the first convolution is for {RGB} channels: {how} for {channels}"));
        }
        notes
    }
}

/// `a, b, c, ...`
fn listed(names: &[String]) -> String {
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ") + more
}
