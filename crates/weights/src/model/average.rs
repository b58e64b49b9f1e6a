//! Means of models.

use crate::{Error, Model};

/// Mean of the weights of models that are added one by one, in f64.
///
/// Networks that were trained from the same weights lie in one basin of the loss, and the mean of their weights often
/// classifies better than any of them, at the cost of one (model soups: Wortsman et al. 2022, section 2). Running
/// statistics are means too. Networks trained from different random weights have no such mean: it answers by chance.
///
/// ```
/// use residual_weights::{Mean, Model};
/// # use residual_arch::families::family;
/// # use residual_weights::Tensor;
/// # let network = family("cifar_resnet8")?.with_classes(2).check([3, 32, 32])?;
/// # let of = |value: f32| {
/// #     let filled = |shape: Vec<usize>| Tensor::new(shape.clone(), vec![value; shape.iter().product()]);
/// #     let tensors = network.tensors().map(|(path, tensor)| Ok((path, filled(tensor.shape)?)));
/// #     Model::new(network.clone(), tensors.collect::<Result<Vec<_>, residual_weights::Error>>()?)
/// # };
/// # let (first, second) = (of(1.0)?, of(2.0)?);
/// let mut mean = Mean::new(first);
/// mean.add(&second)?;
/// let model: Model = mean.model();
/// assert_eq!(model.tensor("head.linear.bias".parse()?).unwrap().data(), [1.5, 1.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mean {
    /// Network, names and preprocessing of the mean.
    first: Model,
    /// Sums of the tensors' values, in the network's order.
    sums: Vec<Vec<f64>>,
    count: u32,
}

impl Mean {
    /// Mean of one model.
    pub fn new(first: Model) -> Self {
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
        let sums = first.tensors().map(|(_, tensor)| wide(tensor.data())).collect();
        Self { first, sums, count: 1 }
    }

    /// Adds a model of the same network and classes.
    ///
    /// # Errors
    /// [`Error::NotOfOneKind`] and [`Error::InEightBits`], and the mean stays as it is.
    pub fn add(&mut self, model: &Model) -> Result<(), Error> {
        self.first.require_float32()?;
        model.require_float32()?;
        let other =
            |what, found: String, expected: String| Err(Error::NotOfOneKind { what, found, expected });
        // What is done to an image, and what only training knows, does not matter to the weights.
        let shapes = |model: &Model| {
            let named = |(path, tensor): (_, &crate::Tensor)| (path, tensor.shape().to_vec());
            model.tensors().map(named).collect::<Vec<_>>()
        };
        let layers =
            |model: &Model| model.network().layers().iter().map(|layer| *layer.op()).collect::<Vec<_>>();
        if shapes(model) != shapes(&self.first) || layers(model) != layers(&self.first) {
            return other("network", model.spec().name.clone(), self.first.spec().name.clone());
        }
        let named = |model: &Model| model.classes().map(<[String]>::to_vec);
        if let (Some(found), Some(expected)) = (named(model), named(&self.first))
            && found != expected
        {
            return other("classes", found.join(", "), expected.join(", "));
        }
        for (sums, (_, tensor)) in self.sums.iter_mut().zip(model.tensors()) {
            sums.iter_mut().zip(tensor.data()).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        self.count += 1;
        Ok(())
    }

    /// Number of models.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The mean as a model, with names and preprocessing of the first.
    pub fn model(self) -> Model {
        let Self { first: mut model, sums, count } = self;
        let paths: Vec<_> = model.tensors().map(|(path, _)| path).collect();
        for (path, sums) in paths.into_iter().zip(sums) {
            let values = model.tensor_mut(path).unwrap_or_default();
            values.iter_mut().zip(sums).for_each(|(value, sum)| *value = (sum / f64::from(count)) as f32);
        }
        // It was fitted to one of them.
        Model { temperature: None, ..model }
    }
}
