//! Specifications as people write them, and beside those of checkpoints.

use residual_arch::{NetSpec, Preprocess, tensors};
use toml::{Table, Value};

use crate::{Finding, Kind};

/// Reads a specification from TOML. A `bias` on a convolution or a block, which the format does not have
/// since a batch norm follows, is left out; one that is not `false` becomes a finding.
///
/// # Errors
/// Those of [`NetSpec::from_toml`].
pub fn read_toml(text: &str) -> Result<(NetSpec, Vec<Finding>), residual_arch::Error> {
    let Ok(mut table) = text.parse::<Table>() else { return Ok((NetSpec::from_toml(text)?, vec![])) };
    let written = table.clone();
    let findings = take_biases(&mut table);
    // The text as it is written, where nothing was taken out: errors then name its lines.
    let spec = match table == written {
        true => NetSpec::from_toml(text),
        false => NetSpec::from_toml(&table.to_string()),
    };
    Ok((spec?, findings))
}

fn take_biases(table: &mut Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut take = |place: String, part: &mut Value| {
        let bias = part.as_table_mut().and_then(|part| part.remove("bias"));
        if bias.is_some_and(|bias| bias.as_bool() != Some(false)) {
            let finding =
                Kind::ConvBias.at(place).found("`bias = true`").expected("no bias: the norm has one");
            findings.push(finding.help("leave `bias` out"));
        }
    };
    let stem = table.get_mut("stem").and_then(|stem| stem.get_mut("convs")).and_then(Value::as_array_mut);
    for (index, conv) in stem.into_iter().flatten().enumerate() {
        take(format!("stem.conv{index}"), conv);
    }
    let stages = table.get_mut("stages").and_then(Value::as_array_mut);
    for (index, stage) in stages.into_iter().flatten().enumerate() {
        let blocks = stage.get_mut("blocks").and_then(Value::as_array_mut);
        let mut first = 0;
        for block in blocks.into_iter().flatten() {
            take(format!("stage{}.block{first}", index + 1), block);
            let repeat = block.get("repeat").and_then(Value::as_integer).unwrap_or(1);
            first = usize::saturating_add(first, usize::try_from(repeat).unwrap_or(1));
        }
    }
    findings
}

/// Differences of a written specification from that of the checkpoint beside it.
pub fn differences(written: &NetSpec, trained: &NetSpec) -> Vec<Finding> {
    let mut findings = vec![];
    let (ours, theirs) = (tensors(written), tensors(trained));
    if ours != theirs {
        let differing = ours.iter().find(|tensor| !theirs.contains(tensor));
        let place = differing.or_else(|| theirs.iter().find(|tensor| !ours.contains(tensor)));
        let finding = Kind::NetworkDiffers.at(place.map_or("network", |tensor| &tensor.path));
        let found = format!("the checkpoint holds `{}` of {} tensors", trained.name, theirs.len());
        let finding = finding.found(found).expected(format!("`{}` of {}", written.name, ours.len()));
        findings.push(finding.help("leave the specification out: the checkpoint has its own"));
    }
    // A specification need not say what its training has settled.
    let settled = written.preprocess.clone().with_orientation(trained.preprocess.orientation);
    if settled != trained.preprocess {
        let finding = Kind::PreprocessDiffers.at("preprocess").found(describe(&written.preprocess));
        let finding = finding.expected(format!("{}, as in training", describe(&trained.preprocess)));
        findings.push(finding.help("copy the checkpoint's preprocessing into the specification"));
    }
    findings
}

fn describe(preprocess: &Preprocess) -> String {
    let Preprocess { orientation, alpha, resize, interpolation, crop, fill, mean, std, .. } = preprocess;
    let resize = resize.map_or(String::new(), |resize| format!("resize {resize:?} ({interpolation:?}), "));
    let crop = crop.map_or(String::new(), |[height, width]| format!("crop {height}x{width} (on {fill:?}), "));
    format!("orientation {orientation:?}, alpha {alpha:?}, {resize}{crop}mean {mean:?}, std {std:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = r#"
name = "toy"
input = [3, 8, 8]
[stem]
convs = [{ channels = 4, kernel = 3, bias = true }]
[[stages]]
blocks = [{ kind = "basic", channels = 4, repeat = 2 }, { kind = "basic", channels = 4, bias = true }]
[head]
classes = 2
"#;

    #[test]
    fn biases_are_found_and_left_out() {
        let (spec, findings) = read_toml(SPEC).unwrap();
        assert_eq!(spec.depth_in_blocks(), 3);
        let places: Vec<_> = findings.iter().map(|finding| finding.place.as_str()).collect();
        assert_eq!(places, ["stem.conv0", "stage1.block2"]);
        assert!(findings.iter().all(|finding| finding.kind == Kind::ConvBias));
    }

    #[test]
    fn other_errors_are_errors_still() {
        assert!(read_toml("name = ").is_err());
        for repeat in ["9223372036854775807", "-9223372036854775808"] {
            let text = SPEC.replace("repeat = 2", &format!("repeat = {repeat}"));
            let blocks =
                text.replace("channels = 4, bias", &format!("channels = 4, repeat = {repeat}, bias"));
            assert!(
                read_toml(&blocks.replace("]\n[head]", ", { kind = \"basic\", channels = 4 }]\n[head]"))
                    .is_err()
            );
        }
        assert!(read_toml(&SPEC.replace("kernel", "kernal")).unwrap_err().to_string().contains("kernal"));
        assert!(read_toml(&SPEC.replace("bias = true", "bias = false")).unwrap().1.is_empty());
    }
}
