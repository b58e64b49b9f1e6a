//! Convolutions.

use residual_arch::{Convolution, Layer};

/// A row of products: `y[i] += w x[i stride]` of `count` places.
struct Row {
    weight: usize,
    x: usize,
    y: usize,
    count: usize,
}

/// Calls `visit` with every row of products of an image, of planes `[channels][height][width]`.
fn rows(layer: &Layer, conv: &Convolution, mut visit: impl FnMut(Row)) {
    let ([_, height, width], [_, rows, columns]) = (layer.input(), layer.output());
    let Convolution { kernel, stride, padding, .. } = *conv;
    let (ins, outs) = (conv.in_channels / conv.groups, conv.out_channels / conv.groups);
    // Places of the output whose tap `at` lies in the input's `side`.
    let range = |at: usize, side: usize, places: usize| {
        let first = padding.saturating_sub(at).div_ceil(stride);
        let last = (side + padding).saturating_sub(at).div_ceil(stride).min(places);
        first..last.max(first)
    };
    for out in 0..conv.out_channels {
        let group = out / outs;
        for k in 0..ins * kernel * kernel {
            let (input, down, across) = (k / (kernel * kernel), k / kernel % kernel, k % kernel);
            let inside = range(across, width, columns);
            for row in range(down, height, rows) {
                let plane = (group * ins + input) * height + row * stride + down - padding;
                visit(Row {
                    weight: out * ins * kernel * kernel + k,
                    x: plane * width + inside.start * stride + across
                        - padding.min(inside.start * stride + across),
                    y: (out * rows + row) * columns + inside.start,
                    count: inside.len(),
                });
            }
        }
    }
}

/// `y = W * x` of an image.
pub(super) fn forward(layer: &Layer, conv: &Convolution, weights: &[f32], x: &[f32], y: &mut [f32]) {
    rows(layer, conv, |Row { weight, x: from, y: to, count }| {
        let w = weights[weight];
        let x = x.get(from..).unwrap_or_default().iter().step_by(conv.stride);
        y[to..to + count].iter_mut().zip(x).for_each(|(y, x)| *y += w * x);
    });
}

/// `dx += W^T * dy` of an image.
pub(super) fn backward(layer: &Layer, conv: &Convolution, weights: &[f32], dy: &[f32], dx: &mut [f32]) {
    rows(layer, conv, |Row { weight, x: to, y: from, count }| {
        let w = weights[weight];
        let dx = dx.get_mut(to..).unwrap_or_default().iter_mut().step_by(conv.stride);
        dx.zip(&dy[from..from + count]).for_each(|(dx, dy)| *dx += w * dy);
    });
}
