//! Canonical paths of tensors from the paths of module fields.

use residual_arch::{BlockPath, Place, TensorPath};

/// `stages.0.blocks.1.residual.branch.conv1.Conv.weight` to `stage1.block1.conv1.weight`; `None` for a field that
/// holds no tensor of the specification.
///
/// [`Layers`](crate::Layers) calls its fields as the specification calls the layers: what is left to do is to
/// count stages from 1, and to leave out the fields that hold layers and the variants of
/// [`LayerModule`](crate::LayerModule). Fields of a block that stands alone begin at the block.
pub(crate) fn canonical(field_path: &str) -> Option<TensorPath> {
    let parts: Vec<&str> = field_path.split('.').collect();
    let (place, layers) = match parts[..] {
        ["stem", "layers", ref rest @ ..] => (Some(Place::Stem), rest),
        ["head", "layers", ref rest @ ..] | ["head", ref rest @ ..] => (Some(Place::Head), rest),
        ["stages", stage, "blocks", block, ref rest @ ..] => {
            let stage = stage.parse::<usize>().ok()?.checked_add(1)?;
            (Some(Place::Block(BlockPath { stage, block: block.parse().ok()? })), in_block(rest)?)
        }
        ref rest => (None, in_block(rest)?),
    };
    let place = place.map(|place| place.to_string());
    let is_field = |part: &&str| !part.starts_with(|first: char| first.is_ascii_uppercase());
    let path: Vec<&str> =
        place.as_deref().into_iter().chain(layers.iter().copied().filter(is_field)).collect();
    path.join(".").parse().ok()
}

/// The layer of a block and its tensor.
fn in_block<'a, 'p>(fields: &'a [&'p str]) -> Option<&'a [&'p str]> {
    match fields {
        ["residual", "branch", rest @ ..] | ["residual", "shortcut", "layers", rest @ ..] => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn fields_become_layers() {
        let cases = [
            ("stem.layers.conv0.Conv.weight", "stem.conv0.weight"),
            ("stem.layers.norm2.Norm.running_mean", "stem.norm2.running_mean"),
            ("stages.0.blocks.1.residual.branch.conv1.Conv.weight", "stage1.block1.conv1.weight"),
            ("stages.2.blocks.0.residual.branch.norm2.Norm.running_var", "stage3.block0.norm2.running_var"),
            (
                "stages.0.blocks.0.residual.branch.se.SqueezeExcite.reduce.bias",
                "stage1.block0.se.reduce.bias",
            ),
            (
                "stages.0.blocks.0.residual.shortcut.layers.shortcut.conv.Conv.weight",
                "stage1.block0.shortcut.conv.weight",
            ),
            ("residual.branch.conv3.Conv.weight", "conv3.weight"),
            ("head.layers.norm.Norm.bias", "head.norm.bias"),
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
