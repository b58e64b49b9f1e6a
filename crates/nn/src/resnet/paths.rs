//! Canonical paths of tensors from the paths of module fields.

/// `stages.0.blocks.1.residual.branch.convs.0.weight` to `stage1.block1.conv1.weight`.
///
/// Stages and the layers of a branch count from 1, blocks and the layers of a stem from 0
/// ([`residual_arch::tensors`]).
pub(crate) fn canonical(field_path: &str) -> String {
    let mut parts = field_path.split('.').peekable();
    let mut path: Vec<String> = vec![];
    let mut first_layer = 0;
    while let Some(part) = parts.next() {
        let first = match part {
            "stages" => 1,
            "blocks" => 0,
            "convs" | "norms" => first_layer,
            "residual" => continue,
            "branch" => {
                first_layer = 1;
                continue;
            }
            _ => {
                path.push(part.to_owned());
                continue;
            }
        };
        let singular = part.trim_end_matches('s');
        match parts.next().and_then(|index| index.parse::<usize>().ok()) {
            Some(index) => path.push(format!("{singular}{}", index + first)),
            None => path.push(part.to_owned()),
        }
    }
    path.join(".")
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn fields_become_layers() {
        let cases = [
            ("stem.convs.0.weight", "stem.conv0.weight"),
            ("stages.0.blocks.1.residual.branch.convs.0.weight", "stage1.block1.conv1.weight"),
            ("stages.2.blocks.0.residual.branch.norms.1.running_var", "stage3.block0.norm2.running_var"),
            ("stages.0.blocks.0.residual.branch.se.reduce.bias", "stage1.block0.se.reduce.bias"),
            ("stages.0.blocks.0.residual.shortcut.norm.weight", "stage1.block0.shortcut.norm.weight"),
            ("residual.branch.convs.2.weight", "conv3.weight"),
            ("head.linear.bias", "head.linear.bias"),
        ];
        for (field, wanted) in cases {
            assert_eq!(canonical(field), wanted);
        }
    }
}
