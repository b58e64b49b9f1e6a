//! The same layers connected otherwise.

use std::fmt;

use residual_arch::{BlockSpec, NetSpec, Order, Shortcut, shape};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Connection of the layers of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Layers without shortcuts.
    Plain,
    /// `y = relu(F(x) + S(x))` (He et al. 2015).
    Residual,
    /// `y = F(x) + S(x)`, BN and ReLU inside the branch (He et al. 2016).
    Preact,
}

impl Kind {
    /// Kinds of connections.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Residual, Self::Preact];

    /// The kind of a network; `None` for one without blocks or with blocks of several kinds.
    pub fn of(spec: &NetSpec) -> Option<Self> {
        let kind = |block: &BlockSpec| match (block.is_plain(), block.order) {
            (true, Order::PostActivation) => Some(Self::Plain),
            (false, Order::PostActivation) => Some(Self::Residual),
            (false, Order::PreActivation) => Some(Self::Preact),
            _ => None,
        };
        let mut kinds = spec.blocks().map(|(_, block)| kind(block));
        let first = kinds.next()??;
        kinds.all(|kind| kind == Some(first)).then_some(first)
    }

    /// The CIFAR network of this kind and depth, by name.
    pub fn cifar(self, depth: usize) -> String {
        match self {
            Self::Plain => format!("cifar_plain{depth}"),
            Self::Residual => format!("cifar_resnet{depth}"),
            Self::Preact => format!("cifar_preact{depth}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Residual => "residual",
            Self::Preact => "preact",
        })
    }
}

/// The network with its convolutions connected as `kind` says: the network itself where it is of that kind.
///
/// Shortcuts that change the shape become parameter-free ones (option A) in a residual twin of a plain
/// network, and projections in a pre-activation twin, as the CIFAR families have them.
///
/// # Errors
/// [`Error::Unfit`] for a network with blocks of several kinds; [`Error::Shape`] where the twin cannot be.
pub fn twin(spec: &NetSpec, kind: Kind) -> Result<NetSpec, Error> {
    let own = Kind::of(spec).ok_or_else(|| Error::Unfit {
        model: spec.name.clone(),
        reason: "its blocks are not all plain, all residual or all pre-activation: it has no twin".into(),
    })?;
    if own == kind {
        return Ok(spec.clone());
    }
    let mut twin = spec.clone();
    let preact = kind == Kind::Preact;
    twin.name = format!("{} ({kind} twin)", spec.name);
    (twin.stem.bare, twin.head.norm) = (preact, preact);
    let mut channels = spec.stem.channels();
    for block in twin.stages.iter_mut().flat_map(|stage| &mut stage.blocks) {
        block.order = if preact { Order::PreActivation } else { Order::PostActivation };
        block.shortcut = shortcut(block, channels, kind);
        channels = block.channels;
    }
    shape::flow(&twin, twin.input)?;
    Ok(twin)
}

fn shortcut(block: &BlockSpec, in_channels: usize, kind: Kind) -> Shortcut {
    let (channels, stride) = (block.channels, block.stride);
    match kind {
        Kind::Plain => Shortcut::None,
        Kind::Preact => Shortcut::fitting(in_channels, channels, stride),
        Kind::Residual if !block.is_plain() && block.shortcut != Shortcut::Identity => block.shortcut,
        Kind::Residual if (in_channels, stride) == (channels, 1) => Shortcut::Identity,
        Kind::Residual if in_channels <= channels => Shortcut::ZeroPad { channels, stride },
        Kind::Residual => Shortcut::projection(channels, stride),
    }
}

#[cfg(test)]
mod tests {
    use residual_arch::families::family;

    use super::*;

    /// Derived, the twins of a CIFAR network are the members of the other families, layer by layer.
    #[test]
    fn twins_of_families_are_families() {
        for depth in [20, 56] {
            for (from, to) in Kind::ALL.into_iter().flat_map(|from| Kind::ALL.map(|to| (from, to))) {
                let [spec, wanted] = [from, to].map(|kind| family(&kind.cifar(depth)).unwrap());
                let found = twin(&spec, to).unwrap();
                if (from, to) == (Kind::Preact, Kind::Residual) {
                    // Its projections stay.
                    assert_eq!(Kind::of(&found), Some(Kind::Residual));
                    continue;
                }
                assert_eq!((found.stem, found.stages, found.head), (wanted.stem, wanted.stages, wanted.head));
            }
        }
    }

    #[test]
    fn every_family_member_has_its_twins() {
        for name in residual_arch::families::all() {
            let spec = family(name).unwrap();
            for kind in Kind::ALL {
                let found = twin(&spec, kind).unwrap_or_else(|error| panic!("{name}, {kind}: {error}"));
                assert_eq!(Kind::of(&found), Some(kind), "{name}");
            }
        }
    }
}
