//! The size of the images that a network is shown for.

use clap::Args;
use residual::arch::NetSpec;

/// Flag of every command that shows a network: the input.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct InputArgument {
    /// Channels, height and width of the input. [default: the network's own]
    #[arg(long, value_name = "CxHxW", value_parser = parse)]
    input: Option<Input>,
}

/// `[channels, height, width]`; a type of its own, since clap takes an array for a list of values.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Input([usize; 3]);

impl InputArgument {
    /// The input that is asked for, or the network's own.
    pub(crate) fn of(self, spec: &NetSpec) -> [usize; 3] {
        self.input.map_or(spec.input, |Input(input)| input)
    }
}

fn parse(text: &str) -> Result<Input, String> {
    let sides: Option<Vec<usize>> =
        text.split(['x', 'X', ',']).map(|side| side.trim().parse().ok()).collect();
    match sides.as_deref() {
        Some(&[channels, height, width]) => Ok(Input([channels, height, width])),
        _ => Err("expected channels, height and width, as in 3x224x224".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_three_numbers() {
        assert_eq!(parse("3x224x160"), Ok(Input([3, 224, 160])));
        for wrong in ["", "224", "3x224", "3x-1x4", "3x4x5x6", "axbxc"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
