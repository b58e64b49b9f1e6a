//! Widths of timm's pruned networks (Aflalo et al. 2020, *Knapsack Pruning with Inner Distillation*).

/// Channels that pruning has left of a network of bottlenecks, stage by stage.
pub(super) type Widths = [Stage; 4];

/// Channels of a stage.
pub(super) struct Stage {
    /// Output channels of its blocks.
    pub(super) channels: usize,
    /// Channels behind the first and behind the second convolution of each block.
    pub(super) blocks: &'static [[usize; 2]],
}

/// `ecaresnet50d_pruned`: timm 1.0.31, `models/_pruned/ecaresnet50d_pruned.txt`.
pub(super) const ECA_50D: Widths = [
    Stage { channels: 19, blocks: &[[47, 18], [52, 22], [64, 35]] },
    Stage { channels: 171, blocks: &[[85, 37], [107, 80], [120, 85], [125, 87]] },
    Stage {
        channels: 818,
        blocks: &[[198, 126], [255, 232], [256, 233], [253, 235], [256, 225], [256, 239]],
    },
    Stage { channels: 2022, blocks: &[[492, 237], [512, 500], [512, 490]] },
];

/// `ecaresnet101d_pruned`: timm 1.0.31, `models/_pruned/ecaresnet101d_pruned.txt`.
pub(super) const ECA_101D: Widths = [
    Stage { channels: 26, blocks: &[[45, 25], [53, 20], [60, 27]] },
    Stage { channels: 142, blocks: &[[81, 24], [93, 49], [102, 54], [122, 78]] },
    Stage {
        channels: 278,
        blocks: &[
            [101, 25],
            [239, 160],
            [234, 156],
            [250, 176],
            [253, 191],
            [251, 175],
            [230, 128],
            [244, 154],
            [244, 159],
            [238, 97],
            [244, 149],
            [253, 181],
            [245, 119],
            [255, 216],
            [256, 201],
            [253, 149],
            [254, 141],
            [256, 190],
            [256, 217],
            [255, 156],
            [256, 155],
            [256, 232],
            [256, 214],
        ],
    },
    Stage { channels: 2042, blocks: &[[499, 289], [512, 512], [512, 502]] },
];
