//! A convolution alone: the last of a pre-activation network's stem.

use burn::backend::flex::FlexTensor;
use residual_kernels::{Conv, ConvBackwardData, ConvBackwardWeights, ConvShape, Epilogue, Layout};

use super::blocked::{Blocked, blocked, name, shape};
use super::buffers::{contiguous, values};
use super::context::FusedContext;
use super::graph::{Inputs, Saved};
use super::sound::sound;
use crate::Conv2d;

/// `y = W x`, padded by half the kernel.
pub(crate) fn conv(conv: &Conv2d, x: Blocked, border: usize) -> Blocked {
    let Blocked { tensor, layout: from, context } = x;
    let [out_channels, _, kernel, _] = conv.weight.dims();
    let conv_shape = ConvShape {
        batch: from.batch(),
        in_channels: from.channels(),
        out_channels,
        size: [from.height(), from.width()],
        kernel: [kernel; 2],
        stride: [conv.stride; 2],
        padding: [conv.padding; 2],
        dilation: [1; 2],
        groups: conv.groups,
    };
    let [height, width] = sound(conv_shape.output());
    let layout = blocked([from.batch(), out_channels, height, width], border);
    let mut inputs = Inputs::default();
    inputs.push(tensor);
    inputs.push(conv.weight.val());
    let cpu = context.cpu();
    let plan = sound(Conv::packed_anew(cpu, conv_shape, from, layout));
    let weights = sound(plan.pack_on(cpu, values(&inputs.values[1])));
    let mut y = context.maps().take(layout.len());
    context.with_workspace(plan.workspace(cpu), |workspace| {
        let (x, none) = (values(&inputs.values[0]), Epilogue::default());
        sound(plan.forward(cpu, x, &weights, &none, None, &mut y, workspace));
    });
    let saved = SavedConv {
        context: context.clone(),
        conv: conv_shape,
        from,
        to: layout,
        inputs: inputs.values.clone(),
    };
    Blocked { tensor: inputs.finish(y.into_tensor(shape(&layout)), Box::new(saved)), layout, context }
}

#[derive(Debug)]
struct SavedConv {
    context: FusedContext,
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
        let (context, dy) = (&self.context, contiguous(dy));
        let cpu = context.cpu();
        let [x, weights] = [0, 1].map(|i| values(&self.inputs[i]));
        let dx = wanted[0].then(|| {
            let plan = sound(ConvBackwardData::packed_anew(cpu, self.conv, self.to, self.from));
            let packed = sound(plan.pack(weights));
            let mut dx = context.maps().take(self.from.len());
            context.with_workspace(plan.workspace(cpu), |workspace| {
                sound(plan.run(cpu, values(&dy), &packed, &Epilogue::default(), &mut dx, workspace));
            });
            dx.into_tensor(shape(&self.from))
        });
        let dw = wanted[1].then(|| {
            let plan = sound(ConvBackwardWeights::new(cpu, self.conv, self.from, self.to));
            let mut dw = context.maps().take(weights.len());
            context.with_workspace(plan.workspace(cpu), |workspace| {
                sound(plan.run(cpu, x, values(&dy), &mut dw, workspace));
            });
            dw.into_tensor(self.inputs[1].layout().shape().to_vec())
        });
        context.maps().give(dy);
        vec![dx, dw]
    }
}
