//! Networks for 32x32 images, of any depth: names with numbers in them.

use super::MAX_BLOCKS;
use crate::{
    Attention, BlockKind, BlockSpec, HeadSpec, Naming, NetSpec, Order, Preprocess, Shortcut, StageSpec,
    StemSpec, Task,
};

/// The deepest pre-activation network whose blocks are basic where bottlenecks fit its depth too.
const DEEPEST_BASIC: usize = 110;
/// The most blocks in each of the three stages.
const MOST: usize = MAX_BLOCKS / 3;
/// The widest that a wide residual network may be.
const WIDEST: usize = 10_000;

/// A name that follows a pattern with numbers that do not fit it.
pub(super) struct Misfit {
    pub(super) reason: String,
    pub(super) suggestions: Vec<String>,
}

/// The network called `name`; `None` if the name follows none of the patterns.
pub(super) fn network(name: &str) -> Option<Result<NetSpec, Misfit>> {
    if let Some(rest) = name.strip_prefix("cifar_resnet") {
        let (depth, wanted) = match rest.strip_suffix("_b") {
            Some(depth) => (depth, ShortcutKind::Projection),
            None => (rest, ShortcutKind::ZeroPad),
        };
        let suffix = &rest[depth.len()..];
        let build = |n| net(name, BlockKind::Basic, Order::PostActivation, wanted, n, 1);
        return Some(per_block(number(depth)?, 6, "cifar_resnet", suffix).map(build));
    }
    if let Some(depth) = name.strip_prefix("cifar_seresnet") {
        let shortcut = ShortcutKind::ZeroPad;
        let build = |n| squeezed(net(name, BlockKind::Basic, Order::PostActivation, shortcut, n, 1));
        return Some(per_block(number(depth)?, 6, "cifar_seresnet", "").map(build));
    }
    if let Some(depth) = name.strip_prefix("cifar_plain") {
        let build = |n| net(name, BlockKind::Basic, Order::PostActivation, ShortcutKind::None, n, 1);
        return Some(per_block(number(depth)?, 6, "cifar_plain", "").map(build));
    }
    if let Some(rest) = name.strip_prefix("cifar_preact") {
        return preactivation(name, rest);
    }
    if let Some(width) = name.strip_prefix("cifar_fast") {
        return Some(fast(name, number(width)?));
    }
    let (depth, factor) = name.strip_prefix("wrn_")?.split_once('_')?;
    Some(wide(name, number(depth)?, number(factor)?))
}

/// Decimal digits as a number: no sign, no leading zero, so that a network has one name. Numbers out of
/// range saturate, and are then out of the family's range.
fn number(digits: &str) -> Option<usize> {
    let plain = !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// `n` of a depth `per_block n + 2`.
fn per_block(depth: usize, per_block: usize, prefix: &str, suffix: &str) -> Result<usize, Misfit> {
    blocks_of(depth, per_block, 2, |depth| format!("{prefix}{depth}{suffix}"))
}

/// `n` of a depth `step n + rest` with `n` from 1 to what three stages may hold.
fn blocks_of(
    depth: usize,
    step: usize,
    rest: usize,
    name: impl Fn(usize) -> String,
) -> Result<usize, Misfit> {
    let n = depth.saturating_sub(rest) / step;
    if (1..=MOST).contains(&n) && n * step + rest == depth {
        return Ok(n);
    }
    let below = n.clamp(1, MOST);
    let above = (n + 1).clamp(1, MOST);
    let mut suggestions = vec![name(below * step + rest)];
    if above != below {
        suggestions.push(name(above * step + rest));
    }
    let reason = if n > MOST {
        format!("its depth is over {}", MOST * step + rest)
    } else {
        format!("its depth is not {step}n + {rest} with n at least 1")
    };
    Err(Misfit { reason, suggestions })
}

fn preactivation(name: &str, rest: &str) -> Option<Result<NetSpec, Misfit>> {
    let build = |kind| move |n| net(name, kind, Order::PreActivation, ShortcutKind::Projection, n, 1);
    if let Some(depth) = rest.strip_suffix("_basic") {
        let n = per_block(number(depth)?, 6, "cifar_preact", "_basic");
        return Some(n.map(build(BlockKind::Basic)));
    }
    if let Some(depth) = rest.strip_suffix("_bottleneck") {
        let n = per_block(number(depth)?, 9, "cifar_preact", "_bottleneck");
        return Some(n.map(build(BlockKind::Bottleneck)));
    }
    let depth = number(rest)?;
    let basic = per_block(depth, 6, "cifar_preact", "");
    let bottleneck = per_block(depth, 9, "cifar_preact", "");
    Some(match (basic, bottleneck) {
        (Ok(n), Err(_)) => Ok(build(BlockKind::Basic)(n)),
        (Err(_), Ok(n)) => Ok(build(BlockKind::Bottleneck)(n)),
        (Ok(n), Ok(_)) if depth <= DEEPEST_BASIC => Ok(build(BlockKind::Basic)(n)),
        (Ok(_), Ok(n)) => Ok(build(BlockKind::Bottleneck)(n)),
        (Err(basic), Err(mut bottleneck)) => {
            bottleneck.suggestions.extend(basic.suggestions);
            bottleneck.suggestions.sort_by_key(|name| (name.len(), name.clone()));
            bottleneck.suggestions.dedup();
            let reason = match depth > MOST * 9 + 2 {
                true => bottleneck.reason,
                false => "its depth is neither 6n + 2 nor 9n + 2 with n at least 1".into(),
            };
            Err(Misfit { reason, suggestions: bottleneck.suggestions })
        }
    })
}

fn wide(name: &str, depth: usize, factor: usize) -> Result<NetSpec, Misfit> {
    if factor > WIDEST {
        return Err(Misfit {
            reason: format!("its widening factor is over {WIDEST}"),
            suggestions: vec!["wrn_28_10".into()],
        });
    }
    let n = blocks_of(depth, 6, 4, |depth| format!("wrn_{depth}_{factor}"))?;
    Ok(net(name, BlockKind::Basic, Order::PreActivation, ShortcutKind::Projection, n, factor))
}

/// The widest that the first block of a short network may be.
const WIDEST_FAST: usize = 4096;

/// Three basic blocks of `width`, `2 width` and `4 width` channels behind a stem of 32, each of which halves the map and
/// has an average before the projection of its shortcut (He, Tong et al. 2018, section 4, ResNet-D): for few epochs.
fn fast(name: &str, width: usize) -> Result<NetSpec, Misfit> {
    if !(1..=WIDEST_FAST).contains(&width) {
        let reason = format!("its width is not from 1 to {WIDEST_FAST}");
        return Err(Misfit { reason, suggestions: vec!["cifar_fast48".into()] });
    }
    let block = |channels| BlockSpec {
        stride: 2,
        shortcut: Shortcut::Projection { channels, stride: 2, average_pool: true, kernel: 1 },
        ..BlockSpec::basic(channels)
    };
    Ok(NetSpec {
        naming: Naming::Sequential,
        stem: StemSpec::cifar(32),
        stages: [1, 2, 4].map(|factor| StageSpec { blocks: vec![block(factor * width)] }).into(),
        ..net(name, BlockKind::Basic, Order::PostActivation, ShortcutKind::Projection, 1, 1)
    })
}

/// The network with squeeze-and-excitation of a sixteenth of the channels in every block.
fn squeezed(mut spec: NetSpec) -> NetSpec {
    for block in spec.stages.iter_mut().flat_map(|stage| &mut stage.blocks) {
        block.attention = Some(Attention::squeeze_excite((block.channels / 16).max(1)));
    }
    spec
}

/// The shortcut of blocks that change the shape; the others have the identity, or none as well.
#[derive(Clone, Copy, PartialEq)]
enum ShortcutKind {
    None,
    ZeroPad,
    Projection,
}

/// A 3x3 stem of 16 channels and three stages of `n` blocks with 16, 32 and 64 channels times
/// `factor` inside them, and four times as many outside bottlenecks.
fn net(
    name: &str,
    kind: BlockKind,
    order: Order,
    shortcut: ShortcutKind,
    n: usize,
    factor: usize,
) -> NetSpec {
    let preactivation = order == Order::PreActivation;
    let mut in_channels = 16;
    let mut stages = Vec::with_capacity(3);
    for index in 0..3 {
        let width = (16 << index) * factor;
        let channels = if kind == BlockKind::Bottleneck { width * 4 } else { width };
        let stride = if index == 0 { 1 } else { 2 };
        let inner = BlockSpec { kind, order, width, ..BlockSpec::basic(channels) };
        let block = |in_channels, stride| BlockSpec {
            stride,
            shortcut: match shortcut {
                ShortcutKind::None => Shortcut::None,
                ShortcutKind::ZeroPad if (in_channels, stride) != (channels, 1) => {
                    Shortcut::ZeroPad { channels, stride }
                }
                _ => Shortcut::fitting(in_channels, channels, stride),
            },
            ..inner
        };
        let mut blocks = vec![block(in_channels, stride)];
        blocks.resize(n, block(channels, 1));
        in_channels = channels;
        stages.push(StageSpec { blocks });
    }
    NetSpec {
        name: name.into(),
        naming: Naming::Cifar,
        input: [3, 32, 32],
        stem: StemSpec { bare: preactivation, ..StemSpec::cifar(16) },
        stages,
        head: HeadSpec { norm: preactivation, ..HeadSpec::new(10) },
        stochastic_depth: 0.0,
        preprocess: Preprocess::normalise_only(),
        task: Task::SingleLabel,
    }
}
