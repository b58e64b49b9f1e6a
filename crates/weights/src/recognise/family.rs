//! Family members that have the tensors at a place.

use residual_arch::families::{all, family};
use residual_arch::{NetSpec, NormKind};

use super::fit::Fit;
use super::place::{Place, SCHEMES, template};
use super::shapes::Shapes;

/// The most blocks in the first stage of a CIFAR network that is recognised: ten times those of the deepest that was
/// ever published.
const DEEPEST: usize = 2000;

/// Fits of the family members whose tensors are those at a place, the commonest first.
pub(super) fn members(place: &Place, shapes: &Shapes<'_>) -> Vec<Fit> {
    let mut fits: Vec<Fit> = Vec::new();
    let depths = depths(place, shapes);
    for name in candidates(place, shapes) {
        let Ok(spec) = family(&name) else { continue };
        if depths.iter().any(|depths| has_depths(&spec, depths)) {
            fits.extend(Fit::of(&spec, place, shapes));
        }
    }
    fits
}

/// Names of the members that the tensors at a place may be of, the commonest first: those that are listed, and of the
/// CIFAR families those of the depth there.
pub(super) fn candidates(place: &Place, shapes: &Shapes<'_>) -> Vec<String> {
    let mut names: Vec<String> = all().into_iter().map(str::to_owned).collect();
    for depths in depths(place, shapes) {
        for name in of_any_depth(&depths, place, shapes) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Numbers of blocks of the stages, as the schemes that name the blocks so see them.
fn depths(place: &Place, shapes: &Shapes<'_>) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    for spec in [false, true].map(|order| template(order, NormKind::Batch)) {
        for naming in SCHEMES.into_iter().filter(|&naming| place.is_of(&spec, naming)) {
            let depths = place.depths(&spec, naming, shapes);
            if !found.contains(&depths) {
                found.push(depths);
            }
        }
    }
    found
}

/// Name of the first family member that has the tensors of a network, but for the number of classes.
pub(crate) fn namesake(spec: &NetSpec) -> Option<String> {
    let depths: Vec<usize> = spec.stages.iter().map(|stage| stage.blocks.len()).collect();
    let is_same = |member: &NetSpec| {
        let member = member.clone().with_classes(spec.head.classes);
        has_depths(&member, &depths) && member.tensors().eq(spec.tensors())
    };
    let mut members = all().into_iter().filter_map(|name| family(name).ok());
    members.find(is_same).map(|member| member.name)
}

pub(super) fn has_depths(spec: &NetSpec, depths: &[usize]) -> bool {
    spec.stages.iter().map(|stage| stage.blocks.len()).eq(depths.iter().copied())
}

/// The family member that a network is most like: in its stem, its stages and its blocks.
pub(super) fn nearest(spec: &NetSpec) -> Option<NetSpec> {
    let stem = |net: &NetSpec| net.stem.convs.iter().map(|conv| conv.kernel).collect::<Vec<_>>();
    let first = |net: &NetSpec| Some(*net.stages.first()?.blocks.first()?);
    let block = first(spec)?;
    let likeness = |net: &NetSpec| {
        let Some(other) = first(net) else { return 0 };
        let is_same = [
            (8, stem(net) == stem(spec)),
            (4, net.stages.len() == spec.stages.len()),
            (4, other.order == block.order),
            (2, other.kind == block.kind),
            (1, other.attention.is_some() == block.attention.is_some()),
            (1, (other.groups > 1) == (block.groups > 1)),
        ];
        is_same.iter().map(|&(weight, same)| if same { weight } else { 0 }).sum::<u32>()
    };
    let members = all().into_iter().rev().filter_map(|name| family(name).ok());
    // Of equals the last one is kept, which is the commonest.
    members.max_by_key(likeness)
}

/// The members of the CIFAR families with so many blocks.
fn of_any_depth(depths: &[usize], place: &Place, shapes: &Shapes<'_>) -> Vec<String> {
    let &[n, _, _] = depths else { return Vec::new() };
    if n > DEEPEST || depths.iter().any(|&depth| depth != n) {
        return Vec::new();
    }
    // Channels inside the first block.
    let first = place.first_block();
    let kernels = shapes.under(&first).filter(|(_, shape)| matches!(shape, [_, _, 3, 3]));
    let width = kernels.map(|(_, shape)| shape[0]).min();
    let factor = width.map_or(1, |width| width / 16);
    let (basic, bottleneck) = (6 * n + 2, 9 * n + 2);
    vec![
        format!("cifar_resnet{basic}"),
        format!("cifar_resnet{basic}_b"),
        format!("cifar_preact{basic}"),
        format!("cifar_preact{basic}_basic"),
        format!("cifar_preact{bottleneck}"),
        format!("cifar_preact{bottleneck}_bottleneck"),
        format!("wrn_{}_{factor}", basic + 2),
        format!("cifar_plain{basic}"),
    ]
}
