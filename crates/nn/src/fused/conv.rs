//! A convolution alone: the last of a pre-activation network's stem.

use burn::backend::flex::FlexTensor;
use residual_kernels::{Conv, ConvBackwardData, ConvBackwardWeights, ConvShape, Epilogue, Layout};

use super::blocked::{Blocked, blocked, name, shape};
use super::buffers::{contiguous, values};
use super::graph::{Inputs, Saved};
use super::runtime::runtime;
use super::sound;
use crate::Conv2d;

/// `y = W x`, padded by half the kernel.
pub(crate) fn conv(conv: &Conv2d, x: Blocked, border: usize) -> Blocked {
    let runtime = runtime();
    let [out_channels, _, kernel, _] = conv.weight.dims();
    let conv_shape = ConvShape {
        batch: x.layout.batch(),
        in_channels: x.layout.channels(),
        out_channels,
        size: [x.layout.height(), x.layout.width()],
        kernel: [kernel; 2],
        stride: [conv.stride; 2],
        padding: [conv.padding; 2],
        dilation: [1; 2],
        groups: conv.groups,
    };
    let [height, width] = sound(conv_shape.output());
    let layout = blocked([x.layout.batch(), out_channels, height, width], border);
    let mut inputs = Inputs::default();
    let from = x.layout;
    inputs.push(x.tensor);
    inputs.push(conv.weight.val());
    let plan = sound(Conv::packed_anew(&runtime.cpu, conv_shape, from, layout));
    let weights = sound(plan.pack_on(&runtime.cpu, values(&inputs.values[1])));
    let mut y = runtime.maps.take(layout.len());
    runtime.with_workspace(plan.workspace(&runtime.cpu), |workspace| {
        let (x, none) = (values(&inputs.values[0]), Epilogue::default());
        sound(plan.forward(&runtime.cpu, x, &weights, &none, None, &mut y, workspace));
    });
    let saved = SavedConv { conv: conv_shape, from, to: layout, inputs: inputs.values.clone() };
    Blocked { tensor: inputs.finish(y.into_tensor(shape(&layout)), Box::new(saved)), layout }
}

#[derive(Debug)]
struct SavedConv {
    conv: ConvShape,
    from: Layout,
    to: Layout,
    /// The input and the weights.
    inputs: Vec<FlexTensor>,
}

impl Saved for SavedConv {
    fn what(&self) -> String {
        format!("convolution {} to {}", name(&self.from), name(&self.to))
    }

    fn backward(self: Box<Self>, dy: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (runtime, dy) = (runtime(), contiguous(dy));
        let cpu = &runtime.cpu;
        let [x, weights] = [0, 1].map(|i| values(&self.inputs[i]));
        let dx = wanted[0].then(|| {
            let plan = sound(ConvBackwardData::packed_anew(cpu, self.conv, self.to, self.from));
            let packed = sound(plan.pack(weights));
            let mut dx = runtime.maps.take(self.from.len());
            runtime.with_workspace(plan.workspace(cpu), |workspace| {
                sound(plan.run(cpu, values(&dy), &packed, &Epilogue::default(), &mut dx, workspace));
            });
            dx.into_tensor(shape(&self.from))
        });
        let dw = wanted[1].then(|| {
            let plan = sound(ConvBackwardWeights::new(cpu, self.conv, self.from, self.to));
            let mut dw = runtime.maps.take(weights.len());
            runtime.with_workspace(plan.workspace(cpu), |workspace| {
                sound(plan.run(cpu, x, values(&dy), &mut dw, workspace));
            });
            dw.into_tensor(self.inputs[1].layout().shape().to_vec())
        });
        runtime.maps.give(dy);
        vec![dx, dw]
    }
}
