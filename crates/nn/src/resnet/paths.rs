//! Canonical paths of tensors from the paths of module fields.

use residual_arch::{BlockPart, BlockPath, Field, HeadPart, LayerPath, ShortcutPart, StemPart, TensorPath};

/// `stages.0.blocks.1.residual.branch.convs.0.weight` to `stage1.block1.conv1.weight`; `None` for a field that
/// holds no tensor of the specification.
///
/// Stages and the layers of a branch count from 1, blocks and the layers of a stem from 0
/// ([`residual_arch::tensors`]). Fields of a block that stands alone begin at the block.
pub(crate) fn canonical(field_path: &str) -> Option<TensorPath> {
    let parts: Vec<&str> = field_path.split('.').collect();
    let (layer, field) = match parts[..] {
        ["stem", "convs", index, field] => (LayerPath::Stem(StemPart::Conv(index.parse().ok()?)), field),
        ["stem", "norms", index, field] => (LayerPath::Stem(StemPart::Norm(index.parse().ok()?)), field),
        ["head", "norm", field] => (LayerPath::Head(HeadPart::Norm), field),
        ["head", "linear", field] => (LayerPath::Head(HeadPart::Linear), field),
        ["stages", stage, "blocks", block, ref rest @ ..] => {
            let path = BlockPath { stage: number(stage)?, block: block.parse().ok()? };
            let (part, field) = in_block(rest)?;
            return Some(LayerPath::Block(path, part).tensor(field));
        }
        ref rest => {
            let (part, field) = in_block(rest)?;
            return Some(LayerPath::Alone(part).tensor(field));
        }
    };
    Some(layer.tensor(field.parse().ok()?))
}

/// The layer of a block and its tensor.
fn in_block(fields: &[&str]) -> Option<(BlockPart, Field)> {
    let (part, field) = match *fields {
        ["residual", "branch", "convs", index, field] => (BlockPart::Conv(number(index)?), field),
        ["residual", "branch", "norms", index, field] => (BlockPart::Norm(number(index)?), field),
        ["residual", "shortcut", "conv", field] => (BlockPart::Shortcut(ShortcutPart::Conv), field),
        ["residual", "shortcut", "norm", field] => (BlockPart::Shortcut(ShortcutPart::Norm), field),
        ["residual", "branch", "se", ref field @ ..] => {
            return Some((BlockPart::SqueezeExcite, field.join(".").parse().ok()?));
        }
        _ => return None,
    };
    Some((part, field.parse().ok()?))
}

/// An index counted from 0 as a number counted from 1.
fn number(index: &str) -> Option<usize> {
    index.parse::<usize>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn fields_become_layers() {
        let cases = [
            ("stem.convs.0.weight", "stem.conv0.weight"),
            ("stem.norms.2.running_mean", "stem.norm2.running_mean"),
            ("stages.0.blocks.1.residual.branch.convs.0.weight", "stage1.block1.conv1.weight"),
            ("stages.2.blocks.0.residual.branch.norms.1.running_var", "stage3.block0.norm2.running_var"),
            ("stages.0.blocks.0.residual.branch.se.reduce.bias", "stage1.block0.se.reduce.bias"),
            ("stages.0.blocks.0.residual.shortcut.conv.weight", "stage1.block0.shortcut.conv.weight"),
            ("stages.0.blocks.0.residual.shortcut.norm.weight", "stage1.block0.shortcut.norm.weight"),
            ("residual.branch.convs.2.weight", "conv3.weight"),
            ("head.norm.bias", "head.norm.bias"),
            ("head.linear.bias", "head.linear.bias"),
        ];
        for (field, wanted) in cases {
            assert_eq!(canonical(field).map(|path| path.to_string()).as_deref(), Some(wanted));
        }
        for other in
            ["", "weight", "stem.training", "stages.0.blocks.0.training", "residual.branch.up.weight"]
        {
            assert_eq!(canonical(other), None, "{other}");
        }
    }
}
