//! How the blocks are put together.

use residual_arch::shape::flow;
use residual_arch::{BlockPart, Layer, LayerOp, NetSpec, Network, Norm, Place, families};

use crate::{Finding, Kind, Severity};

/// The deepest published networks without zero initialisation that need no warm-up have 50 blocks
/// (ResNet-152); with 54 (CIFAR, 110 layers) He et al. 2015, section 4.2, begin at a tenth of the rate.
pub(crate) const DEEP_BLOCKS: usize = 50;

/// Of plain networks on CIFAR, 20 layers (9 blocks) train better than 32 (15 blocks): He et al. 2015, figure 6.
const DEEP_PLAIN_BLOCKS: usize = 15;

/// On a map of 3x3, 49 of the 81 taps of a padded 3x3 convolution read the map; on 2x2, 16 of 36.
const SMALLEST_MAP: usize = 3;

/// Checks of how blocks are put together, on a network that shapes flow through.
pub(crate) fn check(spec: &NetSpec) -> Vec<Finding> {
    let Ok(network) = spec.check(spec.input) else { return vec![] };
    [zero_init(&network), shortcuts(&network), norms(&network), last_map(spec, spec.input)].concat()
}

/// The norm that the branch of a residual block ends in; `None` in a plain block, and where a convolution is the last.
pub(crate) fn last_norm(block: &[Layer]) -> Option<Norm> {
    if is_plain(block) {
        return None;
    }
    let is_branch =
        |layer: &&Layer| !matches!(layer.path().block_part(), Some(BlockPart::Shortcut(_) | BlockPart::Add));
    let weighted = block.iter().take_while(is_branch).filter_map(|layer| match *layer.op() {
        LayerOp::Conv(_) => Some(None),
        LayerOp::Norm(norm) => Some(Some(norm)),
        _ => None,
    });
    weighted.last().flatten()
}

/// True for a block without a shortcut.
fn is_plain(block: &[Layer]) -> bool {
    !block.iter().any(|layer| *layer.op() == LayerOp::Add)
}

/// True where the blocks are exactly those of a family member.
pub(crate) fn is_published(spec: &NetSpec) -> bool {
    let same = |known: NetSpec| known.stem == spec.stem && known.stages == spec.stages;
    families::all().into_iter().any(|name| families::family(name).is_ok_and(same))
}

/// Last norms that begin at one: in some blocks only, or in all of a deep network.
fn zero_init(network: &Network) -> Vec<Finding> {
    let residual: Vec<_> =
        network.blocks().filter_map(|(path, _, layers)| Some((path, last_norm(layers)?))).collect();
    let without: Vec<_> = residual.iter().filter(|(_, norm)| !norm.is_zero_init()).collect();
    let Some((first, _)) = without.first() else { return vec![] };
    let (all, missing) = (residual.len(), without.len());
    let finding = Kind::ZeroInit.at(first.to_string()).help("set `zero_init = true` in every block");
    if missing < all {
        let found = format!("{missing} of {all} blocks without zero initialisation, this the first");
        return vec![finding.found(found).expected("all blocks alike")];
    }
    if all <= DEEP_BLOCKS {
        return vec![];
    }
    let found = format!("{all} blocks, each adding its branch at full scale from the first step");
    vec![finding.found(found).expected("blocks that begin as their shortcut, or a warm-up")]
}

/// Plain blocks among residual ones, and deep networks of plain blocks.
fn shortcuts(network: &Network) -> Vec<Finding> {
    let blocks = network.blocks().count();
    let plain = network.blocks().filter(|(_, _, layers)| is_plain(layers));
    let plain: Vec<_> = plain.map(|(path, _, _)| path).collect();
    if plain.len() == blocks {
        if blocks < DEEP_PLAIN_BLOCKS {
            return vec![];
        }
        let found = format!("{blocks} blocks, none with a shortcut");
        let finding = Kind::DeepPlain.at("network").found(found).expected("shortcuts at this depth");
        return vec![finding.help("leave `shortcut` out of the blocks: the fitting one is taken")];
    }
    let finding = |path: &residual_arch::BlockPath| {
        let finding = Kind::MissingShortcut.at(path.to_string());
        let finding = finding.found("no shortcut").expected("one, as the other blocks have");
        finding.help("leave `shortcut` out of the block: the fitting one is taken")
    };
    plain.iter().map(finding).collect()
}

/// Pre-activation blocks want a norm in the head, post-activation blocks one in the stem.
fn norms(network: &Network) -> Vec<Finding> {
    let begins_with_norm =
        |layers: &[Layer]| layers.first().is_some_and(|layer| matches!(layer.op(), LayerOp::Norm(_)));
    let mut findings = vec![];
    let last = network.blocks().last().and_then(|(_, _, layers)| layers.last());
    let ends_in_sum = last.is_some_and(|layer| *layer.op() == LayerOp::Add);
    if ends_in_sum && !begins_with_norm(network.layers_of(Place::Head)) {
        let finding = Kind::MissingNorm.at("head").found("pre-activation blocks and no norm after them");
        findings.push(
            finding.expected("BN and ReLU before the average pool").help("set `norm = true` in `head`"),
        );
    }
    let stem = network.layers_of(Place::Stem).iter().rev().find(|layer| !layer.op().is_pool());
    let bare = stem.is_some_and(|layer| matches!(layer.op(), LayerOp::Conv(_)));
    if bare && network.blocks().next().is_some_and(|(_, _, layers)| !begins_with_norm(layers)) {
        let finding = Kind::MissingNorm.at("stem").found("a bare stem before post-activation blocks");
        findings
            .push(finding.expected("BN and ReLU after its convolution").help("set `bare = false` in `stem`"));
    }
    findings
}

/// The map after the last block, for images of this size.
pub(crate) fn last_map(spec: &NetSpec, input: [usize; 3]) -> Vec<Finding> {
    let Ok(flow) = flow(spec, input) else { return vec![] };
    let Some(row) = flow.rows.iter().rev().nth(1) else { return vec![] };
    let [_, height, width] = row.output;
    if height.min(width) >= SMALLEST_MAP || spec.depth_in_blocks() == 0 {
        return vec![];
    }
    let (stride, [_, h, w]) = (input[1].div_ceil(height), input);
    let found = format!("images of {h}x{w} through a stride of {stride} end as {height}x{width}");
    let finding = Kind::SmallMap.at(row.path.clone()).found(found);
    let severity = if height.min(width) == 1 { Severity::Warning } else { Severity::Note };
    let help =
        "take a network for small images (cifar_*, small), a smaller stride in the stem, or larger images";
    vec![finding.severity(severity).expected(format!("{SMALLEST_MAP}x{SMALLEST_MAP} or more")).help(help)]
}
