//! Parts of a network in a few words, for tables.

use residual::arch::{BlockKind, BlockSpec, HeadSpec, Order, Shortcut, StemSpec};

/// `basic`, `preact bottleneck`, `bottleneck g32 se`.
pub(crate) fn block(block: &BlockSpec) -> String {
    let mut words = Vec::new();
    if block.order == Order::PreActivation {
        words.push("preact".to_owned());
    }
    if block.is_plain() {
        words.push("plain".to_owned());
    }
    let kind = match block.kind {
        BlockKind::Basic => "basic",
        BlockKind::Bottleneck => "bottleneck",
    };
    words.push(kind.to_owned());
    if block.groups > 1 {
        words.push(format!("g{}", block.groups));
    }
    if block.squeeze_excite.is_some() {
        words.push("se".to_owned());
    }
    words.join(" ")
}

/// `identity`, `projection /2`, `pool+proj /2`, `zero-pad /2`, `none`.
pub(crate) fn shortcut(shortcut: &Shortcut) -> String {
    let name = match shortcut {
        Shortcut::None => "none",
        Shortcut::Identity => "identity",
        Shortcut::Projection { average_pool: false, .. } => "projection",
        Shortcut::Projection { average_pool: true, .. } => "pool+proj",
        Shortcut::ZeroPad { .. } => "zero-pad",
    };
    with_stride(name, shortcut.stride().unwrap_or(1))
}

/// `conv7 /2, pool`, `3 convs, pool`.
pub(crate) fn stem(stem: &StemSpec) -> String {
    let convolutions = match &stem.convs[..] {
        [conv] => with_stride(&format!("conv{}", conv.kernel), conv.stride),
        convs => format!("{} convs", convs.len()),
    };
    if stem.pool.is_some() { convolutions + ", pool" } else { convolutions }
}

/// `pool, linear`.
pub(crate) fn head(head: &HeadSpec) -> String {
    if head.norm { "norm, pool, linear".to_owned() } else { "pool, linear".to_owned() }
}

/// `64x56x56`.
pub(crate) fn shape(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

fn with_stride(name: &str, stride: usize) -> String {
    if stride == 1 { name.to_owned() } else { format!("{name} /{stride}") }
}

#[cfg(test)]
mod tests {
    use residual::arch::families::family;

    use super::*;

    #[test]
    fn words_of_known_blocks() {
        let words = |name: &str| {
            let spec = family(name).unwrap().stages[1].blocks[0];
            format!("{}: {}", block(&spec), shortcut(&spec.shortcut))
        };
        assert_eq!(words("resnet18"), "basic: projection /2");
        assert_eq!(words("resnext50_32x4d"), "bottleneck g32: projection /2");
        assert_eq!(words("resnet50d"), "bottleneck: pool+proj /2");
        assert_eq!(words("seresnet50"), "bottleneck se: projection /2");
        assert_eq!(words("resnetv2_50"), "preact bottleneck: projection /2");
        assert_eq!(words("cifar_resnet20"), "basic: zero-pad /2");
        assert_eq!(words("cifar_plain20"), "plain basic: none");
    }

    #[test]
    fn words_of_stem_and_head() {
        let words = |name: &str| {
            let spec = family(name).unwrap();
            format!("{}; {}", stem(&spec.stem), head(&spec.head))
        };
        assert_eq!(words("resnet18"), "conv7 /2, pool; pool, linear");
        assert_eq!(words("resnet50d"), "3 convs, pool; pool, linear");
        assert_eq!(words("resnetv2_50"), "conv7 /2, pool; norm, pool, linear");
        assert_eq!(words("small"), "conv3; pool, linear");
        assert_eq!(shape(&[64, 56, 56]), "64x56x56");
    }
}
