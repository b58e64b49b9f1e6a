//! Whether an input fits, before it runs.

use residual_arch::shape::ShapePlace;
use residual_arch::{AveragePool, Layer, LayerOp, LayerPath, Norm};
use residual_kernels::pool::Pooling;
use residual_kernels::{ConvShape, Error as KernelError, Layout};

use crate::fused::{self, Path};
use crate::{Block, Error, Mode, ResNet};

impl ResNet {
    /// Check that [`forward`](Self::forward) can run an input of `[batch, channels, height, width]`.
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
        let network = self.spec().check([channels, height, width])?;
        check_kernels(network.layers(), batch)?;
        if self.compute().path == Path::Fused && fused::is_ours(&self.head.linear.weight.val()) {
            self.context().start().map_err(Error::Machine)?;
        }
        if batch > 1 || !mode.is_training() || self.statistics_are_frozen() {
            return Ok(());
        }
        let mut single = single_pixel_norms(network.layers()).filter_map(|path| path.place());
        match single.find(|&part| !self.is_frozen(part)) {
            Some(part) => Err(Error::SingleValue { layer: part.to_string(), batch, height: 1, width: 1 }),
            None => Ok(()),
        }
    }
}

impl Block {
    /// Check that [`forward`](Self::forward) can run an input of `[batch, channels, height, width]`.
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
        let block = self.spec().check([channels, height, width])?;
        check_kernels(block.layers(), batch)?;
        let training = mode.within(&self.training).is_training();
        if training && batch == 1 && single_pixel_norms(block.layers()).next().is_some() {
            return Err(Error::SingleValue { layer: "block".into(), batch, height: 1, width: 1 });
        }
        Ok(())
    }
}

/// Batch norms of maps of one pixel.
fn single_pixel_norms(layers: &[Layer]) -> impl Iterator<Item = LayerPath> {
    let norms = layers.iter().filter(|layer| matches!(layer.op(), LayerOp::Norm(Norm::Batch { .. })));
    norms.filter(|layer| layer.input()[1..] == [1, 1]).map(Layer::path)
}

/// Check that the kernels take the sizes of every layer for a batch of so many images.
fn check_kernels(layers: &[Layer], batch: usize) -> Result<(), Error> {
    for layer in layers {
        check_layer(layer, batch)
            .map_err(|cause| Error::Kernel { layer: ShapePlace::Layer(layer.path()).to_string(), cause })?;
    }
    Ok(())
}

fn check_layer(layer: &Layer, batch: usize) -> Result<(), KernelError> {
    let [_, height, width] = layer.input();
    let size = [height, width];
    match *layer.op() {
        LayerOp::Conv(conv) => {
            // The padding is the border of what it reads.
            check_map(layer.input(), batch, conv.padding)?;
            let shape = ConvShape {
                batch,
                in_channels: conv.in_channels,
                out_channels: conv.out_channels,
                size,
                kernel: [conv.kernel; 2],
                stride: [conv.stride; 2],
                padding: [conv.padding; 2],
                dilation: [1; 2],
                groups: conv.groups,
            };
            shape.output()?;
            check_map(layer.output(), batch, 0)
        }
        // The maps first: a pooling holds a window for each of their pixels.
        LayerOp::MaxPool(pool) => {
            check_map(layer.output(), batch, 0)?;
            Pooling::windows(size, [pool.kernel; 2], [pool.stride; 2], [pool.padding; 2]).map(|_| ())
        }
        LayerOp::BlurPool(_) => check_map(layer.output(), batch, 0),
        LayerOp::AveragePool(AveragePool { kernel, stride, overhang: true }) => {
            check_map(layer.output(), batch, 0)?;
            Pooling::overhanging(size, [kernel; 2], [stride; 2]).map(|_| ())
        }
        LayerOp::AveragePool(AveragePool { kernel, stride, overhang: false }) => {
            check_map(layer.output(), batch, 0)?;
            Pooling::windows(size, [kernel; 2], [stride; 2], [0; 2]).map(|_| ())
        }
        _ => Ok(()),
    }
}

/// Check that there are layouts for such maps.
fn check_map([channels, height, width]: [usize; 3], batch: usize, border: usize) -> Result<(), KernelError> {
    Layout::blocked(batch, channels, height, width)?.with_border(border).map(|_| ())
}
