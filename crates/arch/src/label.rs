//! Labels: parts of a network in a few words, for tables. Their `Display` says all that they are made of.

use crate::{AntiAlias, BlockKind, BlockSpec, HeadSpec, Order, Shortcut, StemSpec};

impl BlockSpec {
    /// Label of the block: `basic`, `preact bottleneck`, `bottleneck g32 se`, `preact bottleneck gn ws`, `bottleneck v1` where the first
    /// 1x1 convolution holds the stride.
    pub fn label(&self) -> String {
        let mut words = Vec::new();
        if self.order == Order::PreActivation {
            words.push("preact".to_owned());
        }
        if self.is_plain() {
            words.push("plain".to_owned());
        }
        let kind = match self.kind {
            BlockKind::Basic => "basic",
            BlockKind::Bottleneck => "bottleneck",
        };
        words.push(kind.to_owned());
        if self.groups > 1 {
            words.push(format!("g{}", self.groups));
        }
        words.extend(self.holds_stride_first().then(|| "v1".to_owned()));
        words.extend(self.anti_aliased().map(|(_, filter)| filter.label().to_owned()));
        words.extend(self.attention.map(|attention| attention.label().to_owned()));
        words.extend((!self.norm.is_batch()).then(|| self.norm.label().to_owned()));
        words.extend((!self.conv.is_plain()).then(|| "ws".to_owned()));
        words.join(" ")
    }
}

impl Shortcut {
    /// Label of the shortcut: `identity`, `projection /2`, `pool+proj /2`, `zero-pad /2`, `none`.
    pub fn label(&self) -> String {
        let name = match self {
            Self::None => "none",
            Self::Identity => "identity",
            Self::Projection { kernel: 2.., .. } => "wide proj",
            Self::Projection { average_pool: false, .. } => "projection",
            Self::Projection { average_pool: true, .. } => "pool+proj",
            Self::ZeroPad { .. } => "zero-pad",
        };
        with_stride(name, self.stride().unwrap_or(1))
    }
}

impl StemSpec {
    /// Label of the stem: `conv7 /2, pool`, `conv7 /2, pool, blur`, `3 convs, pool`.
    pub fn label(&self) -> String {
        let convolutions = match &self.convs[..] {
            [conv] => with_stride(&format!("conv{}", conv.kernel), conv.stride),
            convs => format!("{} convs", convs.len()),
        };
        let pool = match (self.pool, self.anti_alias) {
            (None, _) => return convolutions,
            (Some(_), None) => "pool",
            (Some(_), Some(AntiAlias::Blur)) => "pool, blur",
            (Some(_), Some(AntiAlias::Average)) => "average pool",
        };
        format!("{convolutions}, {pool}")
    }
}

impl HeadSpec {
    /// Label of the head: `pool, linear`, `norm, pool, linear`.
    pub fn label(&self) -> String {
        if self.norm { "norm, pool, linear".to_owned() } else { "pool, linear".to_owned() }
    }
}

fn with_stride(name: &str, stride: usize) -> String {
    if stride == 1 { name.to_owned() } else { format!("{name} /{stride}") }
}

#[cfg(test)]
mod tests {
    use crate::families::family;

    #[test]
    fn labels_of_known_blocks() {
        let label = |name: &str| {
            let spec = family(name).unwrap().stages[1].blocks[0];
            format!("{}: {}", spec.label(), spec.shortcut.label())
        };
        assert_eq!(label("resnet18"), "basic: projection /2");
        assert_eq!(label("resnext50_32x4d"), "bottleneck g32: projection /2");
        assert_eq!(label("resnet50d"), "bottleneck: pool+proj /2");
        assert_eq!(label("seresnet50"), "bottleneck se: projection /2");
        assert_eq!(label("resnetv2_50"), "preact bottleneck: projection /2");
        assert_eq!(label("cifar_resnet20"), "basic: zero-pad /2");
        assert_eq!(label("cifar_plain20"), "plain basic: none");
    }

    #[test]
    fn labels_of_stem_and_head() {
        let label = |name: &str| {
            let spec = family(name).unwrap();
            format!("{}; {}", spec.stem.label(), spec.head.label())
        };
        assert_eq!(label("resnet18"), "conv7 /2, pool; pool, linear");
        assert_eq!(label("resnet50d"), "3 convs, pool; pool, linear");
        assert_eq!(label("resnetv2_50"), "conv7 /2, pool; norm, pool, linear");
        assert_eq!(label("small"), "conv3; pool, linear");
    }
}
