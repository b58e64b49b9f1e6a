//! A specification held against the tensors at a place.

use std::collections::BTreeSet;

use residual_arch::names::file_names;
use residual_arch::{Field, HeadPart, LayerPath, Naming, NetSpec, StemPart, TensorPath};

use super::head::{Head, Misfit, Wanted};
use super::place::{Place, SCHEMES};
use super::shapes::Shapes;

/// Weight of the first convolution, whose input channels are the file's.
const FIRST: TensorPath = TensorPath { layer: LayerPath::Stem(StemPart::Conv(0)), field: Field::Weight };

/// A network that the tensors at a place are those of.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    /// The network, with the classes and input channels of the file.
    pub(super) spec: NetSpec,
    pub(super) naming: Naming,
    pub(super) place: Place,
    /// Names in the scheme and in the file, in the network's order, the head's left out.
    pub(super) names: Vec<(String, String)>,
    /// Name of the head in the scheme.
    pub(super) linear: String,
    pub(super) head: Option<Head>,
    /// Tensors of the file that are not the network's.
    pub(super) left_out: Vec<String>,
}

impl Fit {
    /// The first scheme by which the tensors at a place are those of a network; one that calls the head as the file
    /// does comes before the others.
    pub(super) fn of(spec: &NetSpec, place: &Place, shapes: &Shapes<'_>) -> Option<Self> {
        let others = SCHEMES.into_iter().filter(|&naming| naming != spec.naming);
        let mut first = None;
        for naming in [spec.naming].into_iter().chain(others).filter(|&naming| place.is_of(spec, naming)) {
            let Some(fit) = Self::named(spec, naming, place, shapes) else { continue };
            if fit.has_own_head() {
                return Some(fit);
            }
            first = first.or(Some(fit));
        }
        first
    }

    fn has_own_head(&self) -> bool {
        let own = self.place.in_file(&self.linear);
        self.head.as_ref().is_some_and(|head| Some(&head.name) == own.as_ref())
    }

    fn named(spec: &NetSpec, naming: Naming, place: &Place, shapes: &Shapes<'_>) -> Option<Self> {
        let trunk = Trunk::of(spec, naming, place, shapes)?;
        let known: BTreeSet<&str> = trunk.names.iter().map(|(_, file)| file.as_str()).collect();
        let free: Vec<&str> = place.names(shapes).filter(|name| !known.contains(name)).collect();
        let own = place.in_file(&trunk.linear).unwrap_or_else(|| format!("{}{}", place.prefix, trunk.linear));
        // Tensors in a part of the network that has no place for them: another network.
        let part = |name: &str| name[place.prefix.len()..].split('.').next().unwrap_or_default().to_owned();
        let parts: BTreeSet<String> = known.iter().map(|name| part(name)).collect();
        let is_own = |name: &str| name.strip_prefix(own.as_str()).is_some_and(|rest| rest.starts_with('.'));
        if free.iter().any(|name| !is_own(name) && parts.contains(&part(name))) {
            return None;
        }
        let channels = spec.blocks().last().map_or(spec.stem.channels(), |(_, block)| block.channels);
        let head = Head::find(&Wanted { own, channels, free: &free }, place, shapes);
        // A network that is damaged, or another one.
        if head.is_none() && Misfit::find(channels, place, shapes).is_some() {
            return None;
        }
        let is_head = |name: &str| {
            let layer = name.strip_suffix(".weight").or_else(|| name.strip_suffix(".bias"));
            head.as_ref().is_some_and(|head| layer == Some(head.name.as_str()))
        };
        if !may_leave_out(free.iter().filter(|name| !is_head(name)), head.is_some(), &place.prefix) {
            return None;
        }
        let left_out = shapes.names().filter(|name| !known.contains(name) && !is_head(name));
        let left_out = left_out.map(str::to_owned).collect();
        let classes = head.as_ref().map_or(1, |head| head.classes);
        let is_same = trunk.channels == spec.input[0];
        let fitted = if is_same { spec.clone() } else { of_channels(spec, trunk.channels) };
        Some(Self {
            spec: fitted.with_classes(classes),
            naming,
            place: place.clone(),
            names: trunk.names,
            linear: trunk.linear,
            head,
            left_out,
        })
    }
}

/// The tensors of a network but for its head, all of them there with the right shapes.
struct Trunk {
    /// Names in the scheme and in the file.
    names: Vec<(String, String)>,
    /// Name of the head in the scheme.
    linear: String,
    /// Input channels in the file.
    channels: usize,
}

impl Trunk {
    fn of(spec: &NetSpec, naming: Naming, place: &Place, shapes: &Shapes<'_>) -> Option<Self> {
        let mut trunk = Self { names: Vec::new(), linear: String::new(), channels: spec.input[0] };
        for tensor in file_names(spec, naming) {
            if tensor.path.layer == LayerPath::Head(HeadPart::Linear) {
                if let Some(layer) = tensor.name.strip_suffix(".weight") {
                    layer.clone_into(&mut trunk.linear);
                }
                continue;
            }
            let file = place.in_file(&tensor.name)?;
            let found = shapes.get(&file)?;
            match (found, &tensor.shape[..]) {
                (found, expected) if found == expected => {}
                (&[o, i, h, w], &[out, _, height, width])
                    if tensor.path == FIRST && [o, h, w] == [out, height, width] && i > 0 =>
                {
                    trunk.channels = i;
                }
                _ => return None,
            }
            trunk.names.push((tensor.name, file));
        }
        Some(trunk)
    }
}

/// True where tensors beside a network at its place may be left out: a network with a head has none, and what stands
/// behind a backbone without one is its own business, but for a norm, which belongs to the backbone.
fn may_leave_out<'n>(free: impl Iterator<Item = &'n &'n str>, has_head: bool, prefix: &str) -> bool {
    let is_norm = |name: &str| {
        name[prefix.len()..].strip_suffix(".running_mean").is_some_and(|layer| !layer.contains('.'))
    };
    let mut free = free.peekable();
    if has_head { free.peek().is_none() } else { !free.any(|name| is_norm(name)) }
}

/// The network for images of other channels; where their normalisation is not known, it is the mean of what is.
pub(super) fn of_channels(spec: &NetSpec, channels: usize) -> NetSpec {
    let [_, height, width] = spec.input;
    spec.clone().with_input([channels, height, width]).with(|net| {
        for values in [&mut net.preprocess.mean, &mut net.preprocess.std] {
            if values.len() != channels {
                let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
                *values = vec![mean; channels];
            }
        }
    })
}
