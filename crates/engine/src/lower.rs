//! From a specification to a graph: which layers become one operation.

use residual_arch::{BlockPath, BlockSpec, Convolution, NetSpec, Order, Shortcut};

use crate::graph::{Dense, Graph, INPUT, Join, Map, MapId, Node, Op};
use crate::parameters::Parameters;

/// The graph of a checked specification on images of `size`.
pub(crate) fn lower(spec: &NetSpec, size: [usize; 2], parameters: &Parameters<'_>) -> Graph {
    let images = Map { channels: spec.input[0], size };
    let mut build = Build { parameters, maps: vec![images], nodes: Vec::new(), named: Vec::new() };
    let (mut x, mut entered) = build.stem(spec);
    for (path, block) in spec.blocks() {
        x = build.block(path, block, x, std::mem::take(&mut entered));
        build.named.push((path.to_string(), x));
    }
    if spec.head.norm {
        x = build.normalise("head.norm", x);
    }
    let channels = build.maps[x].channels;
    let head = build.dense("head.linear", channels, spec.head.classes);
    Graph { maps: build.maps, nodes: build.nodes, named: build.named, last: x, head }
}

struct Build<'a> {
    parameters: &'a Parameters<'a>,
    maps: Vec<Map>,
    nodes: Vec<Node>,
    named: Vec<(String, MapId)>,
}

impl Build<'_> {
    /// The stem, and whether its result has already gone through the first block's BN and ReLU.
    ///
    /// The last convolution of a bare stem is followed by the first block's norm. Where that is the only
    /// reader it is folded like any other; where the block's shortcut reads the map too, or a max pool
    /// stands between (which a negative scale would turn into a minimum), it is not.
    fn stem(&mut self, spec: &NetSpec) -> (MapId, bool) {
        let first = spec.blocks().next().map(|(_, block)| block);
        let only_reader = first
            .is_some_and(|block| block.order == Order::PreActivation && block.shortcut != Shortcut::Identity);
        let (mut x, mut entered) = (INPUT, false);
        for (index, conv) in spec.stem.convs.iter().enumerate() {
            let conv = Convolution {
                in_channels: self.maps[x].channels,
                out_channels: conv.channels,
                kernel: conv.kernel,
                stride: conv.stride,
                padding: conv.padding,
                groups: 1,
            };
            let norm = if spec.stem.has_norm(index) {
                Some(format!("stem.norm{index}"))
            } else {
                entered = only_reader && spec.stem.pool.is_none();
                entered.then(|| format!("{}.norm1", BlockPath { stage: 1, block: 0 }))
            };
            let join = Join { residual: None, relu: norm.is_some() };
            x = self.conv(format!("stem.conv{index}"), conv, norm, join, x);
        }
        if let Some(pool) = spec.stem.pool {
            let Map { channels, size } = self.maps[x];
            let size = size.map(|side| pool.output_side(side).unwrap_or(0));
            x = self.push("stem.pool".into(), Op::MaxPool(pool), x, Map { channels, size });
        }
        if !entered {
            self.named.push(("stem".into(), x));
        }
        (x, entered)
    }

    /// `y = act(F(x) + S(x))`. `entered` says that `x` has gone through the first BN and ReLU.
    fn block(&mut self, path: BlockPath, block: &BlockSpec, x: MapId, entered: bool) -> MapId {
        let preactivation = block.order == Order::PreActivation;
        let h = if preactivation && !entered { self.normalise(&format!("{path}.norm1"), x) } else { x };
        let residual = self.shortcut(path, block, x, h);
        let join = Join { residual, relu: !preactivation };
        let convs = block.convolutions(self.maps[x].channels);
        let mut y = h;
        for (index, conv) in convs.iter().enumerate() {
            let last = index + 1 == convs.len();
            // The norm behind a convolution: its own in post-activation order, else the next one's.
            let norm = match (preactivation, last) {
                (false, _) => Some(format!("{path}.norm{}", index + 1)),
                (true, false) => Some(format!("{path}.norm{}", index + 2)),
                (true, true) => None,
            };
            let join = match (last, block.squeeze_excite) {
                (false, _) => Join { residual: None, relu: true },
                (true, Some(_)) => Join::default(),
                (true, None) => join,
            };
            y = self.conv(format!("{path}.conv{}", index + 1), *conv, norm, join, y);
        }
        match block.squeeze_excite {
            Some(reduced) => {
                let reduce = self.dense(&format!("{path}.se.reduce"), block.channels, reduced);
                let expand = self.dense(&format!("{path}.se.expand"), reduced, block.channels);
                let map = self.maps[y];
                self.push(format!("{path}.se"), Op::Excite { reduce, expand, join }, y, map)
            }
            None => y,
        }
    }

    /// `S(x)`; `h` is what a shortcut that changes the shape reads: `x`, or in pre-activation order what the
    /// first BN and ReLU make of it.
    fn shortcut(&mut self, path: BlockPath, block: &BlockSpec, x: MapId, h: MapId) -> Option<MapId> {
        match block.shortcut {
            Shortcut::None => None,
            Shortcut::Identity => Some(x),
            Shortcut::Projection { channels, stride, average_pool } => {
                let (from, stride) = match average_pool && stride > 1 {
                    true => (self.average_pool(format!("{path}.shortcut.pool"), stride, h), 1),
                    false => (h, if average_pool { 1 } else { stride }),
                };
                let conv = Convolution {
                    in_channels: self.maps[h].channels,
                    out_channels: channels,
                    kernel: 1,
                    stride,
                    padding: 0,
                    groups: 1,
                };
                let post = block.order == Order::PostActivation;
                let norm = post.then(|| format!("{path}.shortcut.norm"));
                Some(self.conv(format!("{path}.shortcut.conv"), conv, norm, Join::default(), from))
            }
            Shortcut::ZeroPad { channels, stride } => {
                let from = self.maps[h];
                // The odd channel of zeros comes last.
                let before = channels.saturating_sub(from.channels) / 2;
                let map = Map { channels, size: from.size.map(|side| side.div_ceil(stride)) };
                Some(self.push(format!("{path}.shortcut.pad"), Op::ZeroPad { stride, before }, h, map))
            }
        }
    }

    fn average_pool(&mut self, name: String, stride: usize, x: MapId) -> MapId {
        let Map { channels, size } = self.maps[x];
        let size = size.map(|side| side.div_ceil(stride));
        self.push(name, Op::AveragePool { stride }, x, Map { channels, size })
    }

    fn normalise(&mut self, norm: &str, x: MapId) -> MapId {
        let affine = self.parameters.norm(norm);
        let map = self.maps[x];
        self.push(norm.to_owned(), Op::Normalise(affine), x, map)
    }

    fn conv(&mut self, name: String, conv: Convolution, norm: Option<String>, join: Join, x: MapId) -> MapId {
        let size = self.maps[x].size.map(|side| conv.output_side(side).unwrap_or(0));
        let map = Map { channels: conv.out_channels, size };
        self.push(name, Op::Conv { conv, norm, join }, x, map)
    }

    fn dense(&self, path: &str, ins: usize, outs: usize) -> Dense {
        let of = |field| self.parameters.get(&format!("{path}.{field}")).to_vec();
        Dense { ins, outs, weights: of("weight"), bias: of("bias") }
    }

    fn push(&mut self, name: String, op: Op, input: MapId, map: Map) -> MapId {
        let output = self.maps.len();
        self.maps.push(map);
        self.nodes.push(Node { name, op, input, output });
        output
    }
}
