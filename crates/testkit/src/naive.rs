//! Definitions, computed as they are written: plain loops in float64 on NCHW arrays.
//!
//! Every fast kernel is held against these. They are slow on purpose: nothing here is clever.

/// A two-dimensional convolution.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    /// Images.
    pub batch: usize,
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Rows and columns of the input.
    pub size: [usize; 2],
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Steps between output pixels.
    pub stride: [usize; 2],
    /// Rows and columns of zeros around the input.
    pub padding: [usize; 2],
    /// Steps between the kernel's taps.
    pub dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
}

impl Conv2d {
    /// Rows and columns of the output: `(size + 2 padding - dilation (kernel - 1) - 1) / stride + 1`.
    ///
    /// # Panics
    /// Where the kernel is larger than the padded input.
    pub fn output(&self) -> [usize; 2] {
        let reach = |i: usize| self.dilation[i] * (self.kernel[i] - 1) + 1;
        [0, 1].map(|i| (self.size[i] + 2 * self.padding[i] - reach(i)) / self.stride[i] + 1)
    }

    /// Calls `visit(x, w, y)` with the indices of every product `y += x w` that is not with padding.
    ///
    /// Input `[batch, in, h, w]`, weights `[out, in / groups, kh, kw]`, output `[batch, out, oh, ow]`.
    pub fn products(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ([oh, ow], [h, w], [kh, kw]) = (self.output(), self.size, self.kernel);
        let (ig, og) = (self.in_channels / self.groups, self.out_channels / self.groups);
        for n in 0..self.batch {
            for o in 0..self.out_channels {
                for (oy, ox) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
                    let y = ((n * self.out_channels + o) * oh + oy) * ow + ox;
                    for i in 0..ig {
                        for (ky, kx) in (0..kh).flat_map(|y| (0..kw).map(move |x| (y, x))) {
                            let iy =
                                (oy * self.stride[0] + ky * self.dilation[0]).checked_sub(self.padding[0]);
                            let ix =
                                (ox * self.stride[1] + kx * self.dilation[1]).checked_sub(self.padding[1]);
                            let (Some(iy), Some(ix)) = (iy, ix) else { continue };
                            if iy < h && ix < w {
                                let channel = n * self.in_channels + o / og * ig + i;
                                visit((channel * h + iy) * w + ix, ((o * ig + i) * kh + ky) * kw + kx, y);
                            }
                        }
                    }
                }
            }
        }
    }

    /// The convolution of `x` with `weights`.
    pub fn forward(&self, x: &[f32], weights: &[f32]) -> Vec<f64> {
        let [oh, ow] = self.output();
        let mut y = vec![0.0; self.batch * self.out_channels * oh * ow];
        self.products(|xi, wi, yi| y[yi] += f64::from(x[xi]) * f64::from(weights[wi]));
        y
    }

    /// The gradient by the input, from the gradient `dy` by the output.
    pub fn backward_data(&self, dy: &[f32], weights: &[f32]) -> Vec<f64> {
        let mut dx = vec![0.0; self.batch * self.in_channels * self.size[0] * self.size[1]];
        self.products(|xi, wi, yi| dx[xi] += f64::from(dy[yi]) * f64::from(weights[wi]));
        dx
    }

    /// The gradient by the weights, from the gradient `dy` by the output.
    pub fn backward_weights(&self, x: &[f32], dy: &[f32]) -> Vec<f64> {
        let taps = self.kernel[0] * self.kernel[1];
        let mut dw = vec![0.0; self.out_channels * (self.in_channels / self.groups) * taps];
        self.products(|xi, wi, yi| dw[wi] += f64::from(dy[yi]) * f64::from(x[xi]));
        dw
    }
}

/// `|found - wanted| / |wanted|` in the Euclidean norm; 0 where both are zero, infinite where either
/// holds a NaN or an infinity, or the lengths differ.
pub fn relative_error(found: &[f32], wanted: &[f64]) -> f64 {
    if found.len() != wanted.len() {
        return f64::INFINITY;
    }
    let pairs = found.iter().zip(wanted);
    let difference: f64 = pairs.map(|(&f, &w)| (f64::from(f) - w).powi(2)).sum();
    let norm: f64 = wanted.iter().map(|w| w * w).sum();
    let error = if difference == 0.0 { 0.0 } else { (difference / norm).sqrt() };
    if error.is_nan() { f64::INFINITY } else { error }
}

/// `len` numbers in [-1, 1), the same for the same `seed`.
pub fn noise(seed: u64, len: usize) -> Vec<f32> {
    // SplitMix64.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Conv2d = Conv2d {
        batch: 1,
        in_channels: 1,
        out_channels: 1,
        size: [3, 3],
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
        groups: 1,
    };

    #[test]
    fn a_convolution_by_hand() {
        let x: Vec<f32> = (1..=9).map(|v| v as f32).collect();
        let edge = [0., 0., 0., 1., 0., -1., 0., 0., 0.];
        assert_eq!(PLAIN.forward(&x, &edge), [-2., -2., 2., -5., -2., 5., -8., -2., 8.]);
        let strided = Conv2d { stride: [2, 2], ..PLAIN };
        assert_eq!(strided.forward(&x, &[1.0; 9]), [12., 16., 24., 28.]);
        let dilated = Conv2d { dilation: [2, 2], padding: [2, 2], ..PLAIN };
        assert_eq!(dilated.forward(&x, &[1.0; 9])[0], 1. + 3. + 7. + 9.);
    }

    #[test]
    fn groups_do_not_mix() {
        let grouped = Conv2d {
            in_channels: 2,
            out_channels: 2,
            groups: 2,
            kernel: [1, 1],
            padding: [0, 0],
            size: [1, 1],
            ..PLAIN
        };
        assert_eq!(grouped.forward(&[3., 5.], &[10., 100.]), [30., 500.]);
    }

    #[test]
    fn the_gradients_are_adjoint_to_the_convolution() {
        let conv = Conv2d {
            batch: 2,
            in_channels: 4,
            out_channels: 6,
            size: [5, 4],
            stride: [2, 1],
            padding: [1, 2],
            groups: 2,
            ..PLAIN
        };
        let [oh, ow] = conv.output();
        let (x, w, dy) = (noise(1, 2 * 4 * 20), noise(2, 6 * 2 * 9), noise(3, 2 * 6 * oh * ow));
        let dot = |a: &[f64], b: &[f32]| a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum::<f64>();
        let wanted = dot(&conv.forward(&x, &w), &dy);
        for found in [dot(&conv.backward_data(&dy, &w), &x), dot(&conv.backward_weights(&x, &dy), &w)] {
            assert!((found - wanted).abs() < 1e-12 * wanted.abs().max(1.0));
        }
    }

    #[test]
    fn relative_errors() {
        assert_eq!(relative_error(&[0.0], &[0.0]), 0.0);
        assert_eq!(relative_error(&[3.0, 4.5], &[3.0, 4.0]), 0.1);
        for (found, wanted) in [(f32::NAN, 1.0), (1.0, f64::NAN), (f32::INFINITY, 1.0), (1.0, 0.0)] {
            assert_eq!(relative_error(&[found], &[wanted]), f64::INFINITY, "{found} {wanted}");
        }
        assert_eq!(relative_error(&[1.0], &[]), f64::INFINITY);
    }
}
