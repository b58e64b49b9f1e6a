//! The family member that tensors come nearest to which are no residual network's, and what keeps them from being its.

use residual_arch::families::family;
use residual_arch::names::{FileName, file_names};
use residual_arch::{HeadPart, LayerPath, Naming, NetSpec};
use residual_files::escaped;

use super::family::candidates;
use super::head::Misfit;
use super::place::{Place, SCHEMES};
use super::shapes::Shapes;

/// Share of a member's tensors from which on it is named.
const SHARE: f64 = 0.5;

/// A member whose tensors are there in part.
struct Near {
    share: f64,
    name: String,
    fault: String,
}

/// `resnet18, of which layer2.0.bn1.weight is missing`; `None` where the tensors are far from every member's.
pub(super) fn nearest(shapes: &Shapes<'_>) -> Option<String> {
    let places = Place::all(shapes).ok()?;
    let near = places.iter().flat_map(|place| {
        let members = candidates(place, shapes).into_iter().filter_map(|name| family(&name).ok());
        members.flat_map(move |spec| {
            let namings =
                SCHEMES.into_iter().filter(|&naming| place.is_of(&spec, naming)).collect::<Vec<_>>();
            namings.into_iter().filter_map(|naming| near(&spec, naming, place, shapes)).collect::<Vec<_>>()
        })
    });
    // Of equals the first, which is the commonest.
    let best = near.reduce(|best, other| if other.share > best.share { other } else { best })?;
    (best.share >= SHARE).then(|| format!("{}, {}", best.name, best.fault))
}

fn near(spec: &NetSpec, naming: Naming, place: &Place, shapes: &Shapes<'_>) -> Option<Near> {
    let (mut held, mut all, mut fault) = (0_usize, 0_usize, None);
    let is_head = |tensor: &FileName| tensor.path.layer == LayerPath::Head(HeadPart::Linear);
    for tensor in file_names(spec, naming).filter(|tensor| !is_head(tensor)) {
        all += 1;
        let name = place.in_file(&tensor.name)?;
        match shapes.get(&name) {
            Some(found) if found == tensor.shape => held += 1,
            Some(found) => {
                let wanted = &tensor.shape;
                fault = fault.or(Some(format!("whose {} is {wanted:?}, not {found:?}", escaped(&name))));
            }
            None => fault = fault.or(Some(format!("of which {} is missing", escaped(&name)))),
        }
    }
    let channels = spec.blocks().last().map_or(spec.stem.channels(), |(_, block)| block.channels);
    let misfit = || Misfit::find(channels, place, shapes).map(|misfit| misfit.to_string());
    let fault = fault.or_else(misfit);
    let others = || "beside which there are tensors that it has not".to_owned();
    // Of a network with fewer blocks all tensors may be there, and many more.
    let share = held as f64 / all.max(place.names(shapes).count()).max(1) as f64;
    Some(Near { share, name: spec.name.clone(), fault: fault.unwrap_or_else(others) })
}
