//! Single blocks by name, as the golden files call them.
//!
//! | name | block |
//! | --- | --- |
//! | `basic_block_{C}` | [`BlockSpec::basic`] |
//! | `projection_block_{IN}_{OUT}_s{STRIDE}` | [`BlockSpec::projection`] |
//! | `bottleneck_{IN}_{MID}_{OUT}_s{STRIDE}` | [`BlockSpec::bottleneck`] |
//! | `preact_block_{C}` | [`BlockSpec::basic`] in pre-activation order |

use thiserror::Error;

use crate::BlockSpec;

/// A name that is no block's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "no block is called `{name}`; blocks are called basic_block_{{C}}, projection_block_{{IN}}_{{OUT}}_s{{STRIDE}}, \
     bottleneck_{{IN}}_{{MID}}_{{OUT}}_s{{STRIDE}} and preact_block_{{C}}"
)]
pub struct UnknownBlock {
    /// The name as given.
    pub name: String,
}

/// The block called `name`, and its number of input channels.
///
/// # Errors
/// [`UnknownBlock`] if the name follows none of the patterns. Numbers are not judged here:
/// [`crate::shape::block_flow`] does that.
///
/// ```
/// use residual_arch::{BlockSpec, blocks::from_name};
/// assert_eq!(from_name("projection_block_32_64_s2")?, (BlockSpec::projection(64, 2), 32));
/// # Ok::<(), residual_arch::blocks::UnknownBlock>(())
/// ```
pub fn from_name(name: &str) -> Result<(BlockSpec, usize), UnknownBlock> {
    parse(name).ok_or_else(|| UnknownBlock { name: name.into() })
}

fn parse(name: &str) -> Option<(BlockSpec, usize)> {
    if let Some(rest) = name.strip_prefix("basic_block_") {
        let [channels] = numbers(rest)?;
        return Some((BlockSpec::basic(channels), channels));
    }
    if let Some(rest) = name.strip_prefix("preact_block_") {
        let [channels] = numbers(rest)?;
        return Some((BlockSpec::basic(channels).preactivation(), channels));
    }
    if let Some(rest) = name.strip_prefix("projection_block_") {
        let (channels, [stride]) = with_stride(rest)?;
        let [input, output] = numbers(channels)?;
        return Some((BlockSpec::projection(output, stride), input));
    }
    let (channels, [stride]) = with_stride(name.strip_prefix("bottleneck_")?)?;
    let [input, width, output] = numbers(channels)?;
    Some((BlockSpec::bottleneck(input, width, output, stride), input))
}

fn with_stride(text: &str) -> Option<(&str, [usize; 1])> {
    let (channels, stride) = text.rsplit_once("_s")?;
    Some((channels, numbers(stride)?))
}

/// Exactly `N` numbers with `_` between them.
fn numbers<const N: usize>(text: &str) -> Option<[usize; N]> {
    let number = |digits: &str| match digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits.parse().ok(),
        false => None,
    };
    let numbers: Option<Vec<usize>> = text.split('_').map(number).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_numbers() {
        assert_eq!(from_name("basic_block_7").unwrap(), (BlockSpec::basic(7), 7));
        assert_eq!(from_name("preact_block_16").unwrap(), (BlockSpec::basic(16).preactivation(), 16));
        assert_eq!(from_name("bottleneck_8_4_8_s1").unwrap(), (BlockSpec::bottleneck(8, 4, 8, 1), 8));
    }

    #[test]
    fn refuses_other_names() {
        let wrong = [
            "",
            "basic_block_",
            "basic_block_3_4",
            "basic_block_+3",
            "basic_block_99999999999999999999999",
            "projection_block_3_4",
            "projection_block_3_s2",
            "projection_block_3_4_s",
            "bottleneck_1_2_s1",
            "bottleneck_1_2_3_4_s1",
            "preact_block_x",
            "block_3",
        ];
        for name in wrong {
            assert_eq!(from_name(name).unwrap_err().name, name);
        }
        assert!(
            from_name("block_3").unwrap_err().to_string().contains("bottleneck_{IN}_{MID}_{OUT}_s{STRIDE}")
        );
    }
}
