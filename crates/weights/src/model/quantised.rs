//! Models in 8 bits, and their files.
//!
//! A file in 8 bits has three tensors for a convolution in the place of one and of the norm behind it: its weights as
//! int8, and beside `NAME.weight` the float32 vectors `NAME.weight_scale` and `NAME.bias`. The head's linear layer has the
//! first two beside its bias. All other tensors are those of the float32 file.

use std::collections::BTreeMap;
use std::sync::Arc;

use residual_arch::names::FileName;
use residual_arch::{Field, LayerPath, NetSpec, Network};

use super::{Entry, Model};
use crate::error::Error;
use crate::matching::match_tensors;
use crate::quantised::{QuantConv, Quantised, identity_norm};
use crate::quantised_description::Description;
use crate::state_dict::StateDict;
use crate::tensor::Tensor;

impl Model {
    /// Integers and scales of a network in 8 bits; `None` for a network in float32.
    pub fn quantised(&self) -> Option<&Quantised> {
        self.quantised.as_deref()
    }

    /// The model in 8 bits. The weights of its integer convolutions become the floats that the integers stand for, made
    /// when somebody asks for them, and the batch norms that are folded into those change nothing but for the bias.
    ///
    /// # Errors
    /// [`Error::Quantised`] for integers and scales that do not fit the network.
    pub fn with_quantised(mut self, quantised: Quantised) -> Result<Self, Error> {
        quantised.check(&self.network).map_err(|reason| Error::Quantised { reason })?;
        for (&path, conv) in &quantised.convs {
            for entry in &mut self.tensors {
                let shape = || entry.tensor.shape().to_vec();
                if let Some(tensor) = left_of(entry.path, shape, path, conv)? {
                    entry.tensor = tensor;
                }
            }
        }
        self.quantised = Some(Arc::new(quantised));
        Ok(self)
    }

    /// Takes a network in 8 bits out of the tensors of its file.
    ///
    /// # Errors
    /// [`Error::Shape`] for a network that cannot be built; [`Error::Quantised`] and [`Error::Metadata`] for integers and
    /// scales that are damaged; [`Error::Mismatch`] for other tensors.
    pub(crate) fn of_quantised(spec: &NetSpec, mut state: StateDict, text: &str) -> Result<Self, Error> {
        let network = spec.check(spec.input)?;
        let description = Description::from_json(text)?;
        let (mut quantised, norms) = (description.maps()?, description.norms()?);
        let names = network.file_names(spec.naming);
        for file in names.iter().filter(|file| file.path.field == Field::Weight) {
            let is_int8 = state.get(&file.name).is_some_and(|tensor| tensor.integers().is_some());
            if is_int8 || state.get(&scale_name(file)).is_some() {
                let norm = norms.get(&file.path.layer).copied();
                let conv = QuantConv { norm, ..taken(&network, file, &names, &mut state)? };
                quantised.convs.insert(file.path.layer, Arc::new(conv));
            }
        }
        quantised.check(&network).map_err(|reason| Error::Quantised { reason })?;
        Self::of_parts(network, names, state, quantised)
    }

    /// The model of convolutions in 8 bits and of all other tensors.
    fn of_parts(
        network: Network,
        names: Vec<FileName>,
        mut state: StateDict,
        quantised: Quantised,
    ) -> Result<Self, Error> {
        let origin = state.origin().clone();
        let (naming, folded) = (network.spec().naming, Folded::of(&quantised));
        let others = names.iter().filter(|file| !folded.has(file));
        match_tensors(
            &others.map(|file| (file.name.clone(), file.shape.clone())).collect::<Vec<_>>(),
            &state,
        )?;
        let shapes: Vec<_> = network.tensors().map(|(_, tensor)| tensor.shape).collect();
        let mut tensors = Vec::with_capacity(names.len());
        for (file, shape) in names.into_iter().zip(shapes) {
            let tensor = match (state.remove(&file.name), folded.conv(file.path.layer)) {
                (Some(tensor), _) => tensor.reshaped(shape)?,
                (None, Some((path, conv))) => left_of(file.path, || shape.clone(), path, conv)?
                    .unwrap_or(Tensor::new(vec![0], Vec::new())?),
                // All others are there.
                (None, None) => return Err(Error::NoSuchTensor { name: file.name }),
            };
            tensors.push(Entry { path: file.path, name: file.name, tensor });
        }
        let model = Self::of_entries(network, tensors, naming, origin);
        Ok(Self { quantised: Some(Arc::new(quantised)), ..model })
    }

    /// Tensors of the file of a network in 8 bits, and its description.
    ///
    /// # Errors
    /// [`Error::Metadata`], which no network gives.
    pub(super) fn quantised_tensors(&self, quantised: &Quantised) -> Result<(StateDict, String), Error> {
        let (mut state, folded) = (StateDict::new(), Folded::of(quantised));
        for (file, entry) in self.network.file_names(self.spec().naming).into_iter().zip(&self.tensors) {
            match quantised.conv(file.path.layer).filter(|_| file.path.field == Field::Weight) {
                Some(conv) => {
                    let [outs, bias] = [conv.scale.len(), conv.bias.len()];
                    state.insert(scale_name(&file), Tensor::new(vec![outs], conv.scale.clone())?)?;
                    if conv.is_conv(&self.network, file.path.layer) {
                        state.insert(bias_name(&file), Tensor::new(vec![bias], conv.bias.clone())?)?;
                    }
                    state.insert(file.name, Tensor::int8(file.shape, conv.weights.clone())?)?;
                }
                None if folded.has(&file) => {}
                None => state.insert(file.name, entry.tensor.clone().reshaped(file.shape)?)?,
            }
        }
        Ok((state, Description::of(quantised).to_json()?))
    }

    /// Refuses a network in 8 bits.
    ///
    /// # Errors
    /// [`Error::InEightBits`].
    pub fn require_float32(&self) -> Result<(), Error> {
        if self.quantised.is_some() { Err(Error::InEightBits) } else { Ok(()) }
    }
}

/// Tensors that a file in 8 bits does without, or has otherwise.
struct Folded<'a> {
    quantised: &'a Quantised,
    norms: BTreeMap<LayerPath, LayerPath>,
}

impl<'a> Folded<'a> {
    fn of(quantised: &'a Quantised) -> Self {
        let norms = quantised.convs.iter().filter_map(|(path, conv)| Some((conv.norm?, *path)));
        Self { quantised, norms: norms.collect() }
    }

    fn has(&self, file: &FileName) -> bool {
        let is_weight = file.path.field == Field::Weight && self.quantised.conv(file.path.layer).is_some();
        is_weight || self.norms.contains_key(&file.path.layer)
    }

    /// The convolution that is at `layer`, or that the norm at `layer` is folded into.
    fn conv(&self, layer: LayerPath) -> Option<(LayerPath, &'a Arc<QuantConv>)> {
        let path = self.norms.get(&layer).copied().unwrap_or(layer);
        Some((path, self.quantised.conv(path)?))
    }
}

/// Rest of the tensor at `tensor` where it is the weight of the convolution at `path`, or belongs to the norm that
/// is folded into it.
fn left_of(
    tensor: residual_arch::TensorPath,
    shape: impl Fn() -> Vec<usize>,
    path: LayerPath,
    conv: &Arc<QuantConv>,
) -> Result<Option<Tensor>, Error> {
    if tensor.layer == path && tensor.field == Field::Weight {
        return Tensor::dequantised(shape(), conv.clone()).map(Some);
    }
    if conv.norm != Some(tensor.layer) {
        return Ok(None);
    }
    identity_norm(tensor.field, &conv.bias).map(|values| Tensor::new(shape(), values)).transpose()
}

/// Takes the tensors of a convolution or linear layer in 8 bits out of those of a file.
fn taken(
    network: &Network,
    file: &FileName,
    names: &[FileName],
    state: &mut StateDict,
) -> Result<QuantConv, Error> {
    let outs = file.shape.first().copied().unwrap_or(0);
    let mut vector = |name: String, keep: bool| {
        let found = if keep { state.get(&name).cloned() } else { state.remove(&name) };
        match found {
            None => refused(format!("{} has no {name}", file.name)),
            Some(tensor) if tensor.shape() != [outs] => {
                refused(format!("{name} is of shape {:?}; expected [{outs}]", tensor.shape()))
            }
            Some(tensor) if tensor.integers().is_some() => {
                refused(format!("{name} is of integers; expected float32"))
            }
            Some(tensor) => Ok(tensor.into_parts().1),
        }
    };
    let scale = vector(scale_name(file), false)?;
    // A linear layer has a bias of its own, which stays where it is.
    let bias = bias_name(file);
    let is_own = names.iter().any(|file| file.name == bias);
    let bias = vector(bias, is_own)?;
    let Some(tensor) = state.remove(&file.name) else {
        return refused(format!("{} is missing beside its scales", file.name));
    };
    let elements =
        network.tensors().find(|(path, _)| *path == file.path).map(|(_, t)| t.shape.iter().product());
    if tensor.shape() != file.shape || Some(tensor.elements()) != elements {
        return refused(format!("{} is of shape {:?}; expected {:?}", file.name, tensor.shape(), file.shape));
    }
    match tensor.into_int8() {
        Some(weights) => Ok(QuantConv { weights, scale, bias, norm: None }),
        None => refused(format!("{} has scales, and is not int8", file.name)),
    }
}

fn refused<T>(reason: String) -> Result<T, Error> {
    Err(Error::Quantised { reason })
}

/// `layer1.0.conv1.weight_scale`
fn scale_name(file: &FileName) -> String {
    format!("{}_scale", file.name)
}

/// `layer1.0.conv1.bias`
fn bias_name(file: &FileName) -> String {
    format!("{}bias", file.name.strip_suffix("weight").unwrap_or(&file.name))
}
