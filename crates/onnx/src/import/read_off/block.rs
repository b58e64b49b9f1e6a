//! Blocks: from an addition back to where branch and shortcut part.

use std::collections::HashSet;

use residual_arch::{
    AntiAlias, BlockKind, BlockPart, BlockPath, BlockSpec, Field, LayerPath, NormKind, Order, Shortcut,
    ShortcutPart,
};

use super::dense::Squeeze;
use super::norm::{NormTensors, norm};
use super::tensors::Tensors;
use super::token::{Token, tokens};
use crate::import::piece::{Conv, Op, Piece};

/// A block as it is found, in numbers of pieces.
pub(super) struct Found {
    order: Order,
    /// The branch in the order in which it runs; in pre-activation order from the first norm.
    branch: Vec<usize>,
    shortcut: Vec<usize>,
    /// The piece that the block reads.
    pub(super) input: usize,
    /// The addition.
    pub(super) add: usize,
}

/// The block that ends at a piece; `None` where none does.
pub(super) fn block_at(pieces: &[Piece], end: usize) -> Option<Result<Found, String>> {
    let before = pieces[end].reads.first().copied();
    match (&pieces[end].op, before) {
        (Op::Add, _) => Some(parted(pieces, Order::PreActivation, end)),
        (Op::Relu, Some(add)) if matches!(pieces[add].op, Op::Add) => {
            Some(parted(pieces, Order::PostActivation, add))
        }
        _ => None,
    }
}

/// Branch and shortcut of an addition.
fn parted(pieces: &[Piece], order: Order, add: usize) -> Result<Found, String> {
    let node = &pieces[add].node;
    let [one, other] = pieces[add].reads[..] else { return Err(format!("{node}: no sum of two")) };
    let (one, other) = (chain(pieces, one), chain(pieces, other));
    let others: HashSet<usize> = other.iter().copied().collect();
    let fork = one.iter().copied().find(|at| others.contains(at));
    let fork = fork.ok_or_else(|| format!("{node}: branch and shortcut do not begin at the same map"))?;
    let before_fork = |chain: &[usize]| -> Vec<usize> {
        let run = chain.iter().copied().take_while(|&at| at != fork);
        run.collect::<Vec<_>>().into_iter().rev().collect()
    };
    let (one, other) = (before_fork(&one), before_fork(&other));
    let convs = |run: &[usize]| run.iter().filter(|&&at| matches!(pieces[at].op, Op::Conv(_))).count();
    let (mut branch, shortcut) = if convs(&one) >= convs(&other) { (one, other) } else { (other, one) };
    let mut input = fork;
    if order == Order::PreActivation && !shortcut.is_empty() && matches!(pieces[fork].op, Op::Relu) {
        // A shortcut that changes the shape reads what the first norm and ReLU make of the input.
        let mut first = vec![fork];
        input = pieces[fork].reads[0];
        while let Op::Affine { .. } | Op::BatchNorm { .. } | Op::GroupNorm { .. } = pieces[input].op {
            first.insert(0, input);
            input = pieces[input].reads[0];
        }
        branch = [first, branch].concat();
    }
    Ok(Found { order, branch, shortcut, input, add })
}

/// The pieces from one back to the addition or the input that it is made of.
fn chain(pieces: &[Piece], mut at: usize) -> Vec<usize> {
    let mut chain = vec![at];
    while !matches!(pieces[at].op, Op::Add) {
        let Some(&before) = pieces[at].reads.first() else { break };
        chain.push(before);
        at = before;
    }
    chain
}

/// A convolution with the norm, the ReLU and the filter beside it.
struct Unit<'p> {
    conv: Conv,
    node: &'p str,
    norm: Option<Vec<&'p Piece>>,
    has_relu: bool,
    filter: Option<(AntiAlias, usize)>,
}

/// The layers of a branch.
struct Branch<'p> {
    units: Vec<Unit<'p>>,
    attention: Option<Squeeze>,
}

impl<'p> Branch<'p> {
    fn of(pieces: &'p [Piece], found: &Found) -> Result<Self, String> {
        let tokens = tokens(pieces, &found.branch)?;
        let mut branch = Self { units: Vec::new(), attention: None };
        let (mut norm, mut has_relu, mut filter) = (None, false, None);
        let is_pre = found.order == Order::PreActivation;
        for token in tokens {
            let label = token.label();
            let wrong = || format!("{label}: out of the order of a block");
            let last = branch.units.last_mut();
            match (token, last) {
                (Token::Attention(attention), Some(_)) if branch.attention.is_none() => {
                    branch.attention = Some(attention);
                }
                _ if branch.attention.is_some() => return Err(wrong()),
                (Token::Conv(conv, node), _) => branch.units.push(Unit {
                    conv,
                    node,
                    norm: norm.take(),
                    has_relu: std::mem::take(&mut has_relu),
                    filter: filter.take(),
                }),
                (Token::Norm(pieces), _) if is_pre && norm.is_none() && !has_relu => norm = Some(pieces),
                (Token::Relu, _) if is_pre && !has_relu => has_relu = true,
                (Token::Norm(pieces), Some(unit)) if !is_pre && unit.norm.is_none() && !unit.has_relu => {
                    unit.norm = Some(pieces);
                }
                (Token::Relu, Some(unit)) if !is_pre && !unit.has_relu => unit.has_relu = true,
                (token, last) => {
                    let found = anti_alias(&token).ok_or_else(wrong)?;
                    match last {
                        Some(unit) if !is_pre && unit.has_relu => unit.filter = Some(found),
                        Some(_) if is_pre && has_relu => filter = Some(found),
                        _ => return Err(wrong()),
                    }
                }
            }
        }
        match norm.is_none() && !has_relu && filter.is_none() {
            true => Ok(branch),
            false => Err(format!("{}: a branch that does not end in a convolution", pieces[found.add].node)),
        }
    }

    /// True where each convolution has the ReLU that its order has beside it.
    fn has_relus(&self, order: Order) -> bool {
        let last = self.units.len().saturating_sub(1);
        let wanted = |at: usize| order == Order::PreActivation || at != last;
        self.units.iter().enumerate().all(|(at, unit)| unit.has_relu == wanted(at))
    }

    /// Kind, channels, widths and groups of the block.
    fn shape(&self, order: Order, node: &str) -> Result<BlockSpec, String> {
        let kernels: Vec<usize> = self.units.iter().map(|unit| unit.conv.window.kernel).collect();
        let kind = match kernels[..] {
            [3, 3] => BlockKind::Basic,
            [1, 3, 1] => BlockKind::Bottleneck,
            _ => {
                return Err(format!(
                    "{node}: a branch of convolutions of {kernels:?}, where blocks have [3, 3] or [1, 3, 1]"
                ));
            }
        };
        if !self.has_relus(order) {
            return Err(format!("{node}: a branch whose ReLUs are not those of a block"));
        }
        self.units.iter().try_for_each(|unit| require_centred(&unit.conv, unit.node))?;
        let convs: Vec<&Conv> = self.units.iter().map(|unit| &unit.conv).collect();
        let (width, groups, first_width) = match kind {
            BlockKind::Basic => (convs[0].outputs, convs[0].groups, None),
            _ => (convs[1].outputs, convs[1].groups, Some(convs[0].outputs)),
        };
        let wanted = |at: usize| if kind == BlockKind::Basic || at == 1 { groups } else { 1 };
        if convs.iter().enumerate().any(|(at, conv)| conv.groups != wanted(at)) {
            return Err(format!("{node}: groups at other convolutions than a block has them"));
        }
        Ok(BlockSpec::basic(convs[convs.len() - 1].outputs).with(|block| {
            (block.kind, block.width, block.groups) = (kind, width, groups);
            block.first_width = first_width.filter(|&first| first != width);
        }))
    }

    /// The stride and the convolution that holds it, counted from 0, with the filter that has it in its place.
    fn stride(&self, order: Order) -> Result<(usize, Option<usize>, Option<AntiAlias>), String> {
        let mut found = (1, None, None);
        for (at, unit) in self.units.iter().enumerate() {
            if unit.conv.window.stride != 1 {
                if found.0 != 1 {
                    return Err(format!("{}: a second stride in a block", unit.node));
                }
                found = (unit.conv.window.stride, Some(at), None);
            }
            if let Some((filter, stride)) = unit.filter {
                if found.0 != 1 {
                    return Err(format!("{}: a second stride in a block", unit.node));
                }
                // In front of a convolution the filter is behind the one before it.
                let behind = if order == Order::PreActivation { at.checked_sub(1) } else { Some(at) };
                found = (stride, behind, Some(filter));
            }
        }
        Ok(found)
    }
}

/// A filter of anti-aliased downsampling, and its stride.
fn anti_alias(token: &Token<'_>) -> Option<(AntiAlias, usize)> {
    match token {
        Token::Blur { stride } => Some((AntiAlias::Blur, *stride)),
        Token::Mean(window, _) if window.kernel == window.stride && window.pads == [0; 4] && !window.ceil => {
            Some((AntiAlias::Average, window.stride))
        }
        _ => None,
    }
}

/// Offsets of every channel of the maps between pre-activation blocks, from biases of their last convolutions; the
/// next norm takes it off its mean.
pub(super) type Offset = Option<Vec<f64>>;

/// Specification of a block; its tensors are put down, and the offset of its output is left in `offset`.
pub(super) fn block(
    pieces: &[Piece],
    found: &Found,
    path: BlockPath,
    offset: &mut Offset,
    tensors: &mut Tensors,
) -> Result<BlockSpec, String> {
    let branch = Branch::of(pieces, found)?;
    let node = &pieces[found.add].node;
    let shape = branch.shape(found.order, node)?;
    let (stride, holder, anti_alias) = branch.stride(found.order)?;
    let usual = usize::from(shape.kind == BlockKind::Bottleneck);
    let stride_first = match holder {
        None => false,
        Some(at) if at == usual => false,
        Some(0) => true,
        Some(_) => return Err(format!("{node}: a stride at another convolution than a block has it")),
    };
    let spec = shape.with(|block| {
        (block.order, block.stride, block.stride_first) = (found.order, stride, stride_first);
        (block.anti_alias, block.attention) = (anti_alias, branch.attention.as_ref().map(Squeeze::spec));
    });
    let entry = offset.take();
    let put = Put { pieces, found, path, entry: entry.as_deref() };
    let (norm, added) = put.branch(&branch, tensors)?;
    let (shortcut, shortcut_added) = put.shortcut(norm, tensors)?;
    *offset = sum(added, shortcut_added);
    Ok(spec.with(|block| (block.norm, block.shortcut) = (norm, shortcut)))
}

/// Refuses a convolution of a block whose zeros are not half its kernel on every side.
fn require_centred(conv: &Conv, node: &str) -> Result<(), String> {
    let (window, half) = (&conv.window, conv.window.kernel / 2);
    match window.padding() == Some(half) {
        true => Ok(()),
        false => Err(format!("{node}: pads {:?}, where a block has {half} on every side", window.pads)),
    }
}

fn sum(one: Offset, other: Offset) -> Offset {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.iter().zip(&other).map(|(a, b)| a + b).collect()),
        (one, other) => one.or(other),
    }
}

fn bias(conv: &Conv) -> Offset {
    conv.bias.as_ref().map(|bias| bias.iter().map(|&bias| f64::from(bias)).collect())
}

/// Puts the tensors of a block down.
struct Put<'a> {
    pieces: &'a [Piece],
    found: &'a Found,
    path: BlockPath,
    /// Offset of the block's input.
    entry: Option<&'a [f64]>,
}

impl Put<'_> {
    fn at(&self, part: BlockPart) -> LayerPath {
        LayerPath::Block(self.path, part)
    }

    /// Puts the branch down: the kind of its norms, and what its last convolution adds.
    fn branch(&self, branch: &Branch<'_>, tensors: &mut Tensors) -> Result<(NormKind, Offset), String> {
        let node = &self.pieces[self.found.add].node;
        let is_pre = self.found.order == Order::PreActivation;
        if !is_pre && self.entry.is_some() {
            return Err(format!("{node}: a block behind a convolution with a bias and without a norm"));
        }
        let (mut kind, mut before) = (None, self.entry.map(<[f64]>::to_vec));
        for (at, Unit { conv, norm: pieces, .. }) in branch.units.iter().enumerate() {
            let (pieces, number) = (pieces.as_deref().unwrap_or_default(), at + 1);
            let found: NormTensors = match is_pre {
                true => norm(pieces, before.as_deref(), conv.inputs)?,
                false => norm(pieces, bias(conv).as_deref(), conv.outputs)?,
            };
            if *kind.get_or_insert(found.kind) != found.kind {
                return Err(format!("{node}: norms of several kinds in a block"));
            }
            tensors.put_norm(self.at(BlockPart::Norm(number)), &found)?;
            tensors.put_conv(self.at(BlockPart::Conv(number)), conv)?;
            before = if is_pre { bias(conv) } else { None };
        }
        match &branch.attention {
            Some(_) if before.is_some() => {
                return Err(format!("{node}: a channel attention behind a convolution with a bias"));
            }
            Some(Squeeze::Efficient { weight }) => {
                let layer = self.at(BlockPart::EfficientAttention);
                tensors.put(layer, Field::Weight, &[1, 1, weight.len()], weight)?;
            }
            Some(Squeeze::Excite { reduce, expand }) => {
                let layer = self.at(BlockPart::SqueezeExcite);
                tensors.put(
                    layer,
                    Field::ReduceWeight,
                    &[reduce.outputs, reduce.inputs, 1, 1],
                    &reduce.weight,
                )?;
                tensors.put(layer, Field::ReduceBias, &[reduce.outputs], &reduce.bias)?;
                tensors.put(
                    layer,
                    Field::ExpandWeight,
                    &[expand.outputs, expand.inputs, 1, 1],
                    &expand.weight,
                )?;
                tensors.put(layer, Field::ExpandBias, &[expand.outputs], &expand.bias)?;
            }
            None => {}
        }
        Ok((kind.unwrap_or_default(), before))
    }

    /// Puts the shortcut down, and says what it adds.
    fn shortcut(&self, kind: NormKind, tensors: &mut Tensors) -> Result<(Shortcut, Offset), String> {
        let tokens = tokens(self.pieces, &self.found.shortcut)?;
        let is_pre = self.found.order == Order::PreActivation;
        let node = &self.pieces[self.found.add].node;
        let (pool, rest) = match &tokens[..] {
            [Token::Mean(window, node), rest @ ..] => (Some((window, *node)), rest),
            rest => (None, rest),
        };
        let channels = self.pieces[self.found.add].shape[0];
        let (conv, norm_pieces) = match rest {
            [] if pool.is_none() => return Ok((Shortcut::Identity, self.entry.map(<[f64]>::to_vec))),
            [Token::Conv(conv, node)] => ((conv, *node), &[][..]),
            [Token::Conv(conv, node), Token::Norm(pieces)] if !is_pre => ((conv, *node), &pieces[..]),
            [Token::Sample { stride }] => return Ok((Shortcut::ZeroPad { channels, stride: *stride }, None)),
            [Token::Sample { stride }, Token::PadChannels { before, after }] => {
                return self.zero_pad(*stride, [*before, *after]);
            }
            [Token::PadChannels { before, after }] => return self.zero_pad(1, [*before, *after]),
            [token, ..] => return Err(format!("{}: in a shortcut of another form", token.label())),
            [] => return Err(format!("{node}: a shortcut that pools alone")),
        };
        let (conv, node) = conv;
        require_centred(conv, node)?;
        if conv.groups != 1 {
            return Err(format!("{node}: groups in a shortcut"));
        }
        let stride = match pool {
            None => conv.window.stride,
            Some((window, pool)) => {
                let is_overhanging = window.kernel == 2 && window.pads == [0; 4] && conv.window.stride == 1;
                if !is_overhanging || window.counts_pads && window.ceil {
                    return Err(format!("{pool}: a pool of another form than a shortcut has"));
                }
                window.stride
            }
        };
        tensors.put_conv(self.at(BlockPart::Shortcut(ShortcutPart::Conv)), conv)?;
        let added = match is_pre {
            true => bias(conv),
            false => {
                let found = norm(norm_pieces, bias(conv).as_deref(), conv.outputs)?;
                if found.kind != kind {
                    return Err(format!("{node}: norms of several kinds in a block"));
                }
                tensors.put_norm(self.at(BlockPart::Shortcut(ShortcutPart::Norm)), &found)?;
                None
            }
        };
        let (channels, kernel) = (conv.outputs, conv.window.kernel);
        Ok((Shortcut::Projection { channels, stride, average_pool: pool.is_some(), kernel }, added))
    }

    fn zero_pad(&self, stride: usize, [before, after]: [usize; 2]) -> Result<(Shortcut, Offset), String> {
        let piece = &self.pieces[self.found.add];
        match before == (before + after) / 2 {
            true => Ok((Shortcut::ZeroPad { channels: piece.shape[0], stride }, None)),
            false => {
                Err(format!("{}: channels of zeros that are not half before and half behind", piece.node))
            }
        }
    }
}
