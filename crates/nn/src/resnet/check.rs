//! Whether an input fits, before it runs.

use residual_arch::shape::{Flow, block_flow, flow};
use residual_arch::{BlockSpec, Convolution, MaxPool, Shortcut};
use residual_kernels::pool::Pooling;
use residual_kernels::{ConvShape, KernelError, Layout};

use crate::fused::{self, Path};
use crate::{Block, Error, Mode, ResNet};

impl ResNet {
    /// Whether [`forward`](Self::forward) can run an input of `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// If the batch is empty, the input does not fit the network or is larger than the kernels take, or in training
    /// a batch norm would see one value per channel: an image of a batch of one that has shrunk to 1x1. Also where
    /// the machine has not what the fused path computes on.
    pub fn check_input(&self, input: [usize; 4], mode: Mode) -> Result<(), Error> {
        let [batch, channels, height, width] = input;
        if batch == 0 {
            return Err(Error::EmptyBatch);
        }
        let flow = flow(self.spec(), [channels, height, width])?;
        self.check_kernels(input)?;
        if self.compute().path == Path::Fused && fused::is_ours(&self.head.linear.weight.val()) {
            fused::ready().map_err(Error::Machine)?;
        }
        if batch > 1 || !mode.is_training() {
            return Ok(());
        }
        match self.single_value(&flow) {
            Some(layer) => Err(Error::SingleValue { layer, batch, height: 1, width: 1 }),
            None => Ok(()),
        }
    }

    /// Whether the kernels take the sizes of every layer.
    fn check_kernels(&self, [batch, channels, height, width]: [usize; 4]) -> Result<(), Error> {
        let (spec, mut map) = (self.spec(), Map { batch, channels, size: [height, width] });
        for (index, conv) in spec.stem.convs.iter().enumerate() {
            let conv = Convolution {
                in_channels: map.channels,
                out_channels: conv.channels,
                kernel: conv.kernel,
                stride: conv.stride,
                padding: conv.padding,
                groups: 1,
            };
            map = map.through(&conv).map_err(|cause| in_layer(&format!("stem.conv{index}"), cause))?;
        }
        if let Some(pool) = spec.stem.pool {
            map = map.through_pool(pool).map_err(|cause| in_layer("stem.pool", cause))?;
        }
        for (path, block) in spec.blocks() {
            map = map.through_block(&path.to_string(), block)?;
        }
        Ok(())
    }

    /// The first layer that is not frozen and has a batch norm on a 1x1 map. A block's smallest norm
    /// stands on the size of its output; a stem's before the pool; a head's on the last map.
    fn single_value(&self, flow: &Flow) -> Option<String> {
        let spec = self.spec();
        let last = flow.rows.len().checked_sub(2)?;
        let norms = flow.rows.iter().enumerate().filter_map(|(index, row)| match row.path.as_str() {
            "stem" => (spec.stem.pool.is_none() && !self.stem.norms.is_empty()).then_some((row, row)),
            "head" => spec.head.norm.then_some((row, &flow.rows[last])),
            _ => Some((row, &flow.rows[index])),
        });
        let mut single =
            norms.filter(|(layer, map)| map.output[1..] == [1, 1] && !self.is_frozen(&layer.path));
        single.next().map(|(layer, _)| layer.path.clone())
    }
}

impl Block {
    /// Whether [`forward`](Self::forward) can run an input of `[batch, channels, height, width]`.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use residual_nn::{BasicBlockConfig, Mode};
    /// let block = BasicBlockConfig::new(16).init(&Device::flex())?;
    /// assert!(block.check_input([2, 16, 8, 8], Mode::Eval).is_ok());
    /// assert!(block.check_input([2, 3, 8, 8], Mode::Eval).is_err());
    /// # Ok::<(), residual_nn::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`ResNet::check_input`].
    pub fn check_input(&self, input: [usize; 4], mode: Mode) -> Result<(), Error> {
        let [batch, channels, height, width] = input;
        if batch == 0 {
            return Err(Error::EmptyBatch);
        }
        if channels != self.in_channels() {
            let layer = "block".to_owned();
            return Err(Error::Channels { layer, expected: self.in_channels(), found: channels });
        }
        let row = block_flow(self.spec(), [channels, height, width])?;
        Map { batch, channels, size: [height, width] }.through_block("block", self.spec())?;
        let [_, height, width] = row.output;
        if mode.within(&self.training).is_training() && batch * height * width == 1 {
            return Err(Error::SingleValue { layer: row.path, batch, height, width });
        }
        Ok(())
    }
}

fn in_layer(layer: &str, cause: KernelError) -> Error {
    Error::Kernel { layer: layer.to_owned(), cause }
}

/// Maps on their way through a network.
#[derive(Clone, Copy)]
struct Map {
    batch: usize,
    channels: usize,
    size: [usize; 2],
}

impl Map {
    fn layout(&self, border: usize) -> Result<Layout, KernelError> {
        Layout::blocked(self.batch, self.channels, self.size[0], self.size[1])?.with_border(border)
    }

    /// Behind a convolution, whose padding is the border of what it reads.
    fn through(&self, conv: &Convolution) -> Result<Self, KernelError> {
        self.layout(conv.padding)?;
        let shape = ConvShape {
            batch: self.batch,
            in_channels: conv.in_channels,
            out_channels: conv.out_channels,
            size: self.size,
            kernel: [conv.kernel; 2],
            stride: [conv.stride; 2],
            padding: [conv.padding; 2],
            dilation: [1; 2],
            groups: conv.groups,
        };
        let behind = Self { channels: conv.out_channels, size: shape.output()?, ..*self };
        behind.layout(0)?;
        Ok(behind)
    }

    fn through_pool(&self, pool: MaxPool) -> Result<Self, KernelError> {
        let behind = Self { size: self.size.map(|side| pool.output_side(side).unwrap_or(0)), ..*self };
        behind.layout(0)?;
        Pooling::windows(self.size, [pool.kernel; 2], [pool.stride; 2], [pool.padding; 2])?;
        Ok(behind)
    }

    fn through_block(&self, path: &str, block: &BlockSpec) -> Result<Self, Error> {
        let mut map = *self;
        for (index, conv) in block.convolutions(self.channels).iter().enumerate() {
            let layer = || format!("{path}.conv{}", index + 1);
            map = map.through(conv).map_err(|cause| in_layer(&layer(), cause))?;
        }
        if let Shortcut::Projection { channels, stride, .. } = block.shortcut {
            let conv = crate::conv::projection(self.channels, channels, stride);
            self.through(&conv).map_err(|cause| in_layer(&format!("{path}.shortcut"), cause))?;
        }
        Ok(map)
    }
}
