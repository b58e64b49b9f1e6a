//! What a golden file is about: a network or a single block, rebuilt from its name alone.

use residual_arch::families::{UnknownModel, family};
use residual_arch::{BlockPart, BlockSpec, LayerTensor, NetSpec, Role, TensorPath, blocks};

/// A network, or a block and its number of input channels.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A network.
    Network(Box<NetSpec>),
    /// A block.
    Block {
        /// Specification.
        block: BlockSpec,
        /// Channels of its input.
        in_channels: usize,
    },
}

impl Subject {
    /// The network or block called `name`.
    ///
    /// Blocks are those of [`blocks`], networks those of [`families`](residual_arch::families).
    ///
    /// # Errors
    /// If neither has one of that name.
    pub fn from_name(name: &str) -> Result<Self, UnknownModel> {
        match blocks::from_name(name) {
            Ok((block, in_channels)) => Ok(Self::Block { block, in_channels }),
            Err(_) => Ok(Self::Network(Box::new(family(name)?))),
        }
    }

    /// Weighted layers on the longest path: the convolutions of the stem and of every branch, which no
    /// shortcut outnumbers, and the linear one.
    pub fn layers(&self) -> usize {
        let count = |tensors: &mut dyn Iterator<Item = (TensorPath, LayerTensor)>| {
            let on_path = |(path, tensor): &(TensorPath, LayerTensor)| {
                matches!(tensor.role, Role::ConvWeight | Role::LinearWeight)
                    && !matches!(path.layer.block_part(), Some(BlockPart::Shortcut(_)))
            };
            tensors.filter(on_path).count()
        };
        match self {
            Self::Block { block, in_channels } => count(&mut block.tensors(*in_channels)),
            Self::Network(spec) => count(&mut spec.tensors()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_blocks_or_a_networks() {
        let block = Subject::Block { block: BlockSpec::projection(48, 3), in_channels: 16 };
        assert_eq!(Subject::from_name("projection_block_16_48_s3").unwrap(), block);
        assert!(matches!(Subject::from_name("small_resnet"), Ok(Subject::Network(_))));
        let failure = Subject::from_name("resnet19").unwrap_err();
        assert!(failure.to_string().contains("resnet18"));
    }

    #[test]
    fn layers_are_those_of_the_name() {
        let layers = |name: &str| Subject::from_name(name).unwrap().layers();
        let found = ["basic_block_8", "bottleneck_8_2_8_s1", "resnet18", "timm_resnet50d", "cifar_resnet20"];
        assert_eq!(found.map(layers), [2, 3, 18, 52, 20]);
    }
}
