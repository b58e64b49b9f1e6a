//! The network that tensors belong to.

use std::collections::HashMap;
use std::fmt;

use residual_arch::{Naming, NetSpec, names};

use super::family::members;
use super::fit::Fit;
use super::nearest::nearest;
use super::numbered::Numbered;
use super::place::Place;
use super::read_off::read_off;
use super::seems::seems;
use super::shapes::Shapes;
use crate::error::Error;
use crate::matching::is_batch_counter;
use crate::state_dict::StateDict;

/// The network that tensors belong to, as [`recognise`] tells it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recognised {
    /// The network, with the classes and input channels of the tensors. Its name is the family member's, or one made of
    /// its blocks where it is none.
    pub spec: NetSpec,
    /// The family member's name, as [`residual_arch::families::family`] takes it; `None` for a specification that was
    /// read off the tensors.
    pub family: Option<String>,
    /// The family member that strides, padding and preprocessing are taken from.
    pub like: String,
    /// Family members that differ in no tensor: in strides, filters or shortcuts without parameters.
    pub alternatives: Vec<String>,
    /// The scheme of the tensors' names.
    pub naming: Naming,
    /// Prefix of the names in the file, with its dot.
    pub prefix: String,
    /// Name of the linear layer in the file; `None` for a backbone without one.
    pub head: Option<String>,
    /// Names of the file's tensors that are not the network's.
    pub left_out: Vec<String>,
    /// Prefixes of other networks in the file.
    pub others: Vec<String>,
    /// Names in the scheme by those in the file.
    renames: HashMap<String, String>,
}

/// The network that tensors belong to: a family member or one that is read off them, under any prefix and with its head
/// under any of the usual names.
///
/// What tensors do not tell (strides, padding, preprocessing) is the family's. Members that differ in no tensor, as a
/// plain CIFAR network and the residual one with parameter-free shortcuts, cannot be told apart: the commonest is
/// taken, and the others are [`alternatives`](Recognised::alternatives).
///
/// ```
/// use residual_arch::{Naming, families::family, names::names};
/// use residual_weights::{StateDict, Tensor, recognise};
///
/// let tensors = names(&family("cifar_resnet20")?, Naming::Cifar).into_iter().map(|tensor| {
///     let count = tensor.shape.iter().product();
///     Ok((format!("module.{}", tensor.name), Tensor::new(tensor.shape, vec![0.0; count])?))
/// });
/// let state = StateDict::from_tensors(tensors.collect::<Result<Vec<_>, residual_weights::Error>>()?)?;
/// let found = recognise(&state)?;
/// assert_eq!((found.family.as_deref(), found.naming), (Some("cifar_resnet20"), Naming::Cifar));
/// assert_eq!((found.prefix.as_str(), found.spec.head.classes), ("module.", 10));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::NoSpec`] where the tensors are no residual network's; [`Error::SeveralWeights`] where several sets of them
/// are.
pub fn recognise(state: &StateDict) -> Result<Recognised, Error> {
    let shapes = Shapes::of(state);
    by_either(&shapes, told).map_err(|error| with_kind(error, state, &shapes))
}

/// Network that `tell` finds by the names of a file, or else by those that its numbered parts have.
fn by_either(
    shapes: &Shapes<'_>,
    tell: impl Fn(&Shapes<'_>) -> Result<Recognised, Error>,
) -> Result<Recognised, Error> {
    tell(shapes).or_else(|error| match (error, Numbered::of(shapes)) {
        (error @ Error::NoSpec { .. }, Some(numbered)) => {
            let found = tell(&numbered.shapes(shapes)).map(|found| found.in_file(&numbered));
            found.map_err(|_| error)
        }
        (error, _) => Err(error),
    })
}

/// The network that names and shapes are those of.
fn told(shapes: &Shapes<'_>) -> Result<Recognised, Error> {
    choose(shapes, |place| {
        let fits = members(place, shapes);
        match fits.is_empty() {
            true => {
                let (fit, like) = read_off(place, shapes)?;
                Some(Recognised { like, ..Recognised::own(fit) })
            }
            false => Recognised::member(fits),
        }
    })
}

/// An error with the residual network that the tensors are nearest to, or the kind that they seem to be of.
fn with_kind(error: Error, state: &StateDict, shapes: &Shapes<'_>) -> Error {
    match error {
        Error::NoSpec { model, .. } => {
            let nearest = nearest(shapes);
            let seems = if nearest.is_some() { None } else { seems(state) };
            Error::NoSpec { model, seems, nearest }
        }
        other => other,
    }
}

/// The place in a file at which the tensors are those of a network that is known, but for the number of classes and of
/// input channels.
///
/// # Errors
/// As for [`recognise`].
pub fn recognise_as(state: &StateDict, spec: &NetSpec) -> Result<Recognised, Error> {
    let shapes = Shapes::of(state);
    let found = by_either(&shapes, |shapes| {
        choose(shapes, |place| Fit::of(spec, place, shapes).map(Recognised::own))
    });
    found.map_err(|error| with_kind(error, state, &shapes))
}

/// The one network of a file: where there are several, that of the plain weights.
fn choose(shapes: &Shapes<'_>, fits_at: impl Fn(&Place) -> Option<Recognised>) -> Result<Recognised, Error> {
    let places = Place::all(shapes)?;
    let mut found: Vec<(&Place, Recognised)> =
        places.iter().filter_map(|place| Some((place, fits_at(place)?))).collect();
    let plain = found.iter().filter(|(place, _)| !place.is_averaged()).count();
    let chosen = match (found.len(), plain) {
        (0, _) => return Err(Error::NoSpec { model: None, seems: None, nearest: None }),
        (1, _) => 0,
        (_, 1) => found.iter().position(|(place, _)| !place.is_averaged()).unwrap_or(0),
        _ => {
            let name = |(place, _): &(&Place, Recognised)| match place.prefix.trim_end_matches('.') {
                "" => "(names without a prefix)".to_owned(),
                prefix => prefix.to_owned(),
            };
            // One that --key can name comes first.
            let mut found: Vec<String> = found.iter().map(name).collect();
            found.sort_by_key(|name| name.starts_with('('));
            return Err(Error::SeveralWeights { found });
        }
    };
    let (_, recognised) = found.swap_remove(chosen);
    let others = found.into_iter().map(|(place, _)| place.prefix.trim_end_matches('.').to_owned()).collect();
    Ok(Recognised { others, ..recognised })
}

impl Recognised {
    fn member(fits: Vec<Fit>) -> Option<Self> {
        let mut fits = fits.into_iter();
        let first = fits.next()?;
        let alternatives = fits.map(|fit| fit.spec.name).collect();
        Some(Self { family: Some(first.spec.name.clone()), alternatives, ..Self::own(first) })
    }

    fn own(fit: Fit) -> Self {
        let mut renames: HashMap<String, String> =
            fit.names.into_iter().map(|(scheme, file)| (file, scheme)).collect();
        if let Some(head) = &fit.head {
            let fields = ["weight", "bias"].into_iter().take(1 + usize::from(head.has_bias));
            renames.extend(
                fields.map(|field| (format!("{}.{field}", head.name), format!("{}.{field}", fit.linear))),
            );
        }
        Self {
            like: fit.spec.name.clone(),
            spec: fit.spec,
            family: None,
            alternatives: Vec::new(),
            naming: fit.naming,
            prefix: fit.place.prefix,
            head: fit.head.map(|head| head.name),
            left_out: fit.left_out,
            others: Vec::new(),
            renames,
        }
    }

    /// This network with the names that numbered parts have in the file.
    fn in_file(mut self, numbered: &Numbered) -> Self {
        self.renames =
            self.renames.into_iter().map(|(file, scheme)| (numbered.tensor(&file), scheme)).collect();
        self.left_out.iter_mut().for_each(|name| *name = numbered.tensor(name));
        self.head = self.head.map(|head| numbered.layer(&head));
        self
    }

    /// Number of classes; `None` for a backbone without a head.
    pub fn classes(&self) -> Option<usize> {
        self.head.as_ref().map(|_| self.spec.head.classes)
    }

    /// The network's tensors under the names that the scheme has for them, without the prefix; counters of batches stay
    /// with their norms, and what is not the network's is left out. Nothing is copied.
    ///
    /// # Errors
    /// [`Error::Duplicate`] where a counter would take a tensor's name.
    pub fn rename(&self, state: StateDict) -> Result<StateDict, Error> {
        let mut named = StateDict::new();
        named.metadata.clone_from(&state.metadata);
        named.origin.clone_from(&state.origin);
        let shapes: HashMap<String, Vec<usize>> = names::names(&self.spec, self.naming)
            .into_iter()
            .map(|tensor| (tensor.name, tensor.shape))
            .collect();
        let mut counters = Vec::new();
        for (name, tensor) in state.into_tensors() {
            match self.renames.get(&name) {
                // A linear layer may be a 1x1 convolution in the file: the same values.
                Some(scheme) => match shapes.get(scheme) {
                    Some(shape) if tensor.shape() != shape => {
                        named.insert(scheme, tensor.reshaped(shape.clone())?)?;
                    }
                    _ => named.insert(scheme, tensor)?,
                },
                None if is_batch_counter(&name) => counters.push((name, tensor)),
                None => {}
            }
        }
        for (name, tensor) in counters {
            let Some(layer) = name.strip_suffix("num_batches_tracked") else { continue };
            let Some(neighbour) = self.renames.get(&format!("{layer}running_mean")) else { continue };
            if let Some(layer) = neighbour.strip_suffix("running_mean") {
                named.insert(format!("{layer}num_batches_tracked"), tensor)?;
            }
        }
        Ok(named)
    }
}

impl fmt::Display for Recognised {
    /// `resnet50 by its tensors; strides and preprocessing are resnet50's`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.family {
            Some(family) => write!(f, "{family} by its tensors; strides and preprocessing are the family's"),
            None => write!(
                f,
                "{}, read off its tensors; strides and preprocessing are {}'s",
                self.spec.name, self.like
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use residual_arch::families::{all, family};

    use super::*;

    #[test]
    fn every_family_member_is_told_or_among_the_equals() {
        for model in all() {
            let spec = family(model).unwrap().with_classes(7);
            let names = names::names(&spec, spec.naming);
            let found = told(&Shapes::of_names(&names)).unwrap_or_else(|error| panic!("{model}: {error}"));
            let equals: Vec<String> = found.family.iter().chain(&found.alternatives).cloned().collect();
            assert!(equals.contains(&model.to_owned()), "{model}: {equals:?}");
            assert_eq!((found.classes(), found.left_out.len()), (Some(7), 0), "{model}");
        }
    }

    #[test]
    fn the_commonest_of_equals_is_taken() {
        for (model, taken) in
            [("resnetaa50", "resnet50"), ("resnetblur50", "resnet50"), ("cifar_plain56", "cifar_resnet56")]
        {
            let spec = family(model).unwrap();
            let names = names::names(&spec, spec.naming);
            assert_eq!(told(&Shapes::of_names(&names)).unwrap().family.as_deref(), Some(taken));
        }
    }

    #[test]
    fn every_family_member_can_be_read_off_its_tensors() {
        let mut same = 0;
        for model in all() {
            let spec = family(model).unwrap();
            let names = names::names(&spec, spec.naming);
            let shapes = Shapes::of_names(&names);
            let places = Place::all(&shapes).unwrap();
            let Some((fit, _)) = places.iter().find_map(|place| read_off(place, &shapes)) else { continue };
            assert_eq!(names::names(&fit.spec, fit.naming), names, "{model}");
            same += 1;
        }
        assert!(same > 40, "{same}");
    }
}
