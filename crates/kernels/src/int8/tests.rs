//! Convolutions of bytes against plain loops, for every way to multiply bytes and any sizes: the same bits.

use super::*;
use crate::{ConvShape, Cpu, Isa, Layout};

/// Numbers from a linear congruential generator.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() % 256) as u8).collect()
    }

    fn float(&mut self) -> f32 {
        (self.next() % 2000) as f32 / 1000.0 - 1.0
    }
}

/// A convolution of bytes with everything around it, elements in `[n][c][y][x]`.
struct Case {
    shape: ConvShape,
    x: Vec<u8>,
    zero: u8,
    weights: Vec<i8>,
    factor: Vec<f32>,
    bias: Vec<f32>,
    residual: Vec<u8>,
    relu: bool,
}

/// Scale and zero of a residual of bytes; of floats these numbers.
const ADDED: (f32, u8) = (0.037, 9);
/// Scale and zero of an output of bytes.
const OUT: (f32, u8) = (0.021, 77);

impl Case {
    fn new(shape: ConvShape, most: i64, relu: bool) -> Self {
        let mut numbers = Numbers((shape.in_channels * 131 + shape.out_channels) as u64);
        let [h, w] = shape.output().unwrap();
        let weight = |n: &mut Numbers| (n.next() as i64 % (2 * most + 1) - most) as i8;
        Self {
            x: numbers.bytes(shape.batch * shape.in_channels * shape.size[0] * shape.size[1]),
            zero: 13,
            weights: (0..shape.weights()).map(|_| weight(&mut numbers)).collect(),
            factor: (0..shape.out_channels).map(|_| numbers.float().abs() * 1e-4).collect(),
            bias: (0..shape.out_channels).map(|_| numbers.float()).collect(),
            residual: numbers.bytes(shape.batch * shape.out_channels * h * w),
            shape,
            relu,
        }
    }

    /// The exact sum of an output.
    fn sum(&self, n: usize, o: usize, [y, x]: [usize; 2]) -> i32 {
        let ConvShape { in_channels, size: [height, width], kernel: [kh, kw], stride, padding, .. } =
            self.shape;
        let mut sum = 0;
        for i in 0..in_channels {
            for u in 0..kh {
                for v in 0..kw {
                    let (row, column) = (y * stride[0] + u, x * stride[1] + v);
                    let (Some(row), Some(column)) =
                        (row.checked_sub(padding[0]), column.checked_sub(padding[1]))
                    else {
                        continue;
                    };
                    if row < height && column < width {
                        let q = self.x[((n * in_channels + i) * height + row) * width + column];
                        let w = self.weights[((o * in_channels + i) * kh + u) * kw + v];
                        sum += (i32::from(q) - i32::from(self.zero)) * i32::from(w);
                    }
                }
            }
        }
        sum
    }

    /// Outputs as numbers or, where `bytes`, as bytes; `[n][c][y][x]`, computed with the roundings of the epilogue.
    fn expected(&self, added: usize, bytes: bool) -> Vec<f32> {
        let [h, w] = self.shape.output().unwrap();
        let (outs, per_output) = (self.shape.out_channels, if bytes { 1.0 / OUT.0 } else { 1.0 });
        let zero = f32::from(OUT.1);
        let one = |index: usize| {
            let (n, o, y, x) = (index / (outs * h * w), index / (h * w) % outs, index / w % h, index % w);
            let sum = self.sum(n, o, [y, x]) as f32;
            let residual = self.residual[index];
            let (r, factor, shift) = match added {
                0 => (0.0, 0.0, 0.0),
                1 => {
                    let factor = ADDED.0 * per_output;
                    (f32::from(residual), factor, -f32::from(ADDED.1) * factor)
                }
                _ => (f32::from(residual) * 0.01, per_output, 0.0),
            };
            let bias = self.bias[o].mul_add(per_output, shift);
            let mut result = sum.mul_add(self.factor[o] * per_output, bias);
            if added > 0 {
                result = r.mul_add(factor, result);
            }
            if self.relu {
                result = result.max(0.0);
            }
            if bytes { result.clamp(-zero, 255.0 - zero).round_ties_even() + zero } else { result }
        };
        (0..self.residual.len()).map(one).collect()
    }
}

/// `[n][c][y][x]` into a layout, `fill` elsewhere.
fn laid_out<T: Copy>(values: &[T], channels: usize, layout: &Layout, fill: T) -> Vec<T> {
    let mut out = vec![fill; layout.len()];
    let (h, w) = (layout.height(), layout.width());
    for (index, &value) in values.iter().enumerate() {
        let (n, c, y, x) = (index / (channels * h * w), index / (h * w) % channels, index / w % h, index % w);
        out[layout.index(n, c / layout.block(), y, x) + c % layout.block()] = value;
    }
    out
}

/// Checks a case on every way to multiply bytes.
fn check(case: &Case, image: bool, added: usize, border: usize) {
    let ConvShape { batch, in_channels, out_channels, size, padding, .. } = case.shape;
    let input = match image {
        true => image_layout(batch, size, padding[0]).unwrap(),
        false => {
            let layout = Layout::blocked(batch, in_channels, size[0], size[1]).unwrap();
            layout.with_border(padding[0] + (border > 1) as usize).unwrap()
        }
    };
    let [h, w] = case.shape.output().unwrap();
    let output = Layout::blocked(batch, out_channels, h, w).unwrap().with_border(border).unwrap();
    let other = Layout::blocked(batch, out_channels, h, w).unwrap().with_border(2 - border.min(2)).unwrap();
    let x = laid_out(&case.x, in_channels, &input, case.zero);
    let added_bytes = laid_out(&case.residual, out_channels, &other, ADDED.1);
    let numbers: Vec<f32> = case.residual.iter().map(|&q| f32::from(q) * 0.01).collect();
    let added_floats = laid_out(&numbers, out_channels, &other, 0.0);
    let values = match added {
        0 => None,
        1 => Some(ResidualValues::Bytes(&added_bytes, ADDED.0, ADDED.1)),
        _ => Some(ResidualValues::Floats(&added_floats)),
    };
    let residual = values.map(|values| Residual { values, layout: other });
    let expected_bytes: Vec<u8> = case.expected(added, true).iter().map(|&q| q as u8).collect();
    let expected_bytes = laid_out(&expected_bytes, out_channels, &output, OUT.1);
    let expected = laid_out(&case.expected(added, false), out_channels, &output, 0.0);
    for threads in [1, 3] {
        let cpu = Cpu::with_isa(Isa::available()[0], threads).unwrap();
        for dot in DotProduct::available() {
            let narrow = is_narrow(&case.weights);
            let conv = Conv::with_dot(&cpu, case.shape, (input, output), narrow, dot).unwrap();
            let weights =
                Weights { values: &case.weights, factor: &case.factor, bias: &case.bias, zero: case.zero };
            let packed = conv.pack(&weights).unwrap();
            let operands = Operands { x: &x, weights: &packed, residual, relu: case.relu };
            let mut y = vec![0xee; output.len()];
            conv.forward(&cpu, &operands, Output::Bytes(&mut y, OUT.0, OUT.1)).unwrap();
            compare(&y, &expected_bytes, case, &output, &format!("{dot}, {threads} threads, bytes"));
            let mut y = vec![f32::NAN; output.len()];
            conv.forward(&cpu, &operands, Output::Floats(&mut y)).unwrap();
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            compare(&bits(&y), &bits(&expected), case, &output, &format!("{dot}, {threads} threads, floats"));
        }
    }
}

/// Compares all but the lanes past the last channel.
fn compare<T: PartialEq + std::fmt::Debug>(
    y: &[T],
    expected: &[T],
    case: &Case,
    layout: &Layout,
    what: &str,
) {
    assert_eq!(y.len(), expected.len());
    for (index, (y, expected)) in y.iter().zip(expected).enumerate() {
        let block = index % layout.image() / layout.plane();
        if block * 16 + index % 16 < layout.channels() {
            assert_eq!(y, expected, "{what}: element {index} of {:?} to {layout:?}", case.shape);
        }
    }
}

fn shape(batch: usize, channels: [usize; 2], size: [usize; 2], kernel: usize, stride: usize) -> ConvShape {
    ConvShape { size, ..ConvShape::square(batch, channels, 1, kernel, stride) }
}

#[test]
fn pointwise_convolutions_are_exact() {
    for (channels, size, stride) in [
        ([16, 16], [4, 4], 1),
        ([64, 96], [7, 7], 1),
        ([64, 32], [14, 14], 2),
        ([48, 40], [5, 9], 1),
        ([17, 33], [3, 31], 2),
        ([1, 1], [1, 1], 1),
        ([80, 130], [7, 7], 2),
    ] {
        for (most, added, border) in [(127, 0, 0), (63, 1, 1), (127, 2, 2), (127, 1, 0)] {
            let case = Case::new(shape(2, channels, size, 1, stride), most, added != 2);
            check(&case, false, added, border);
        }
    }
}

#[test]
fn kernels_of_several_taps_are_exact() {
    for (channels, size, kernel, stride) in [
        ([16, 32], [14, 14], 3, 1),
        ([64, 64], [7, 7], 3, 1),
        ([32, 48], [9, 15], 3, 2),
        ([20, 17], [8, 8], 3, 1),
        ([16, 16], [6, 6], 5, 2),
        ([33, 64], [1, 1], 3, 1),
        ([16, 16], [2, 40], 3, 1),
    ] {
        for (most, added, border) in [(127, 1, 1), (63, 0, 0), (63, 2, 1)] {
            check(&Case::new(shape(2, channels, size, kernel, stride), most, true), false, added, border);
        }
    }
}

#[test]
fn stems_of_three_channels_are_exact() {
    for (size, kernel, stride) in [([32, 32], 7, 2), ([17, 19], 3, 1), ([30, 22], 3, 2), ([9, 9], 7, 1)] {
        for channels in [[3, 64], [1, 20], [4, 16]] {
            check(&Case::new(shape(2, channels, size, kernel, stride), 127, true), true, 0, 1);
        }
    }
}

#[test]
fn extreme_bytes_do_not_saturate() {
    for most in [127_i8, 63, -128] {
        let shape = shape(1, [64, 32], [4, 4], 3, 1);
        let mut case = Case::new(shape, 63, false);
        case.x.fill(255);
        case.weights.fill(most);
        case.zero = 0;
        check(&case, false, 0, 0);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let cpu = Cpu::new(1).unwrap();
    let layout = |channels| Layout::blocked(1, channels, 8, 8).unwrap();
    let plain = ConvShape::square(1, [16, 32], 8, 1, 1);
    let refused =
        |shape: ConvShape, input| Conv::new(&cpu, shape, input, layout(32), true).unwrap_err().to_string();
    let text = refused(ConvShape { groups: 2, ..plain }, layout(16));
    assert!(text.contains("2 groups"), "{text}");
    let text = refused(ConvShape { stride: [3, 3], ..plain }, layout(16));
    assert!(text.contains("stride"), "{text}");
    let text = refused(ConvShape { kernel: [3, 3], padding: [1, 1], ..plain }, layout(16));
    assert!(text.contains("border"), "{text}");
    let text = refused(ConvShape { in_channels: 1 << 16, ..plain }, layout(1 << 16));
    assert!(text.contains("32768"), "{text}");
    assert!(refused(plain, layout(32)).contains("input"));
    let conv = Conv::new(&cpu, plain, layout(16), layout(32), true).unwrap();
    let (factor, bias) = (vec![1.0; 32], vec![0.0; 32]);
    let weights = |values| Weights { values, factor: &factor, bias: &bias, zero: 0 };
    assert!(conv.pack(&weights(&[1; 16 * 32 - 1])).is_err());
    assert!(conv.pack(&weights(&[64; 16 * 32])).unwrap_err().to_string().contains("63"));
    let packed = conv.pack(&weights(&[1; 16 * 32])).unwrap();
    let mut y = vec![0.0; layout(32).len()];
    let operands = Operands { x: &[0; 3], weights: &packed, residual: None, relu: false };
    assert!(conv.forward(&cpu, &operands, Output::Floats(&mut y)).is_err());
    let wider = ConvShape { out_channels: 48, ..plain };
    let other = Conv::new(&cpu, wider, layout(16), layout(48), true).unwrap();
    let operands = Operands { x: &vec![0; layout(16).len()], ..operands };
    assert!(other.forward(&cpu, &operands, Output::Floats(&mut y)).is_err());
    assert!(conv.forward(&cpu, &operands, Output::Floats(&mut y[1..])).is_err());
    conv.forward(&cpu, &operands, Output::Floats(&mut y)).unwrap();
}

#[test]
fn conversions_round_to_even_and_keep_borders() {
    for isa in Isa::available() {
        let cpu = Cpu::with_isa(isa, 2).unwrap();
        let affine = Affine { scale: 0.5, zero: 100 };
        let from = Layout::blocked(2, 20, 3, 5).unwrap().with_border(1).unwrap();
        let to = Layout::blocked(2, 20, 3, 5).unwrap().with_border(2).unwrap();
        let numbers: Vec<f32> = (0..2 * 20 * 15).map(|i| i as f32 * 0.25 - 60.0).collect();
        let expected = |x: &f32| ((x / 0.5).round_ties_even() + 100.0).clamp(0.0, 255.0) as u8;
        let bytes_of: Vec<u8> = numbers.iter().map(expected).collect();
        let x = laid_out(&numbers, 20, &from, 0.0);
        let mut y = vec![f32::NAN; to.len() / 4];
        quantise(&cpu, (&x, from), to, &mut y, affine).unwrap();
        assert_eq!(bytes(&y), laid_out(&bytes_of, 20, &to, 100), "{isa}");
        let mut back = vec![f32::NAN; from.len()];
        dequantise(&cpu, (bytes(&y), to), from, &mut back, affine).unwrap();
        let numbers: Vec<f32> = bytes_of.iter().map(|&q| (f32::from(q) - 100.0) * 0.5).collect();
        assert_eq!(back, laid_out(&numbers, 20, &from, 0.0), "{isa}");
        assert!(quantise(&cpu, (&x[1..], from), to, &mut y, affine).is_err());
        assert!(dequantise(&cpu, (bytes(&y), to), to.with_batch(3).unwrap(), &mut back, affine).is_err());

        let from = Layout::planar(2, 3, 4, 37).unwrap().with_border(1).unwrap();
        let to = image_layout(2, [4, 37], 3).unwrap();
        let numbers: Vec<f32> = (0..2 * 3 * 4 * 37).map(|i| i as f32 * 0.1 - 40.0).collect();
        let bytes_of: Vec<u8> = numbers.iter().map(expected).collect();
        let x = laid_out(&numbers, 3, &from, 0.0);
        let mut y = vec![f32::NAN; to.len() / 4];
        quantise_images(&cpu, (&x, from), to, &mut y, affine).unwrap();
        assert_eq!(bytes(&y), laid_out(&bytes_of, 3, &to, 100), "{isa}");

        let tables = [3_u8, 5, 7].map(|factor| std::array::from_fn(|x| (x as u8).wrapping_mul(factor)));
        let images = Numbers(8).bytes(2 * 4 * 37 * 3);
        let wanted = |index: usize| {
            let (n, c, pixel) = (index / (3 * 148), index / 148 % 3, index % 148);
            images[(n * 148 + pixel) * 3 + c].wrapping_mul([3, 5, 7][c])
        };
        let wanted: Vec<u8> = (0..2 * 3 * 148).map(wanted).collect();
        y.fill(f32::NAN);
        translate_images(&cpu, (&images, &tables), to, &mut y, 9).unwrap();
        assert_eq!(bytes(&y), laid_out(&wanted, 3, &to, 9), "{isa}");
        assert!(translate_images(&cpu, (&images[1..], &tables), to, &mut y, 9).is_err());
    }
}

#[test]
fn the_maximum_of_bytes_ignores_the_padding() {
    use crate::pool::Pooling;
    for isa in Isa::available() {
        let cpu = Cpu::with_isa(isa, 2).unwrap();
        let pooling = Pooling::windows([9, 7], [3; 2], [2; 2], [1; 2]).unwrap();
        let [h, w] = pooling.output();
        let from = Layout::blocked(2, 20, 9, 7).unwrap().with_border(1).unwrap();
        let to = Layout::blocked(2, 20, h, w).unwrap().with_border(1).unwrap();
        let values = Numbers(5).bytes(2 * 20 * 63);
        let expected: Vec<u8> = (0..2 * 20 * h * w)
            .map(|index| {
                let (plane, y, x) = (index / (h * w), index / w % h, index % w);
                let rows = (2 * y).saturating_sub(1)..(2 * y + 2).min(9);
                let near = |row| ((2 * x).saturating_sub(1)..(2 * x + 2).min(7)).map(move |c| row * 7 + c);
                rows.flat_map(near).map(|at| values[plane * 63 + at]).max().unwrap()
            })
            .collect();
        let x = laid_out(&values, 20, &from, 255);
        let mut y = vec![f32::NAN; to.len() / 4];
        maximum(&cpu, &pooling, (&x, from), (&mut y, to), 3).unwrap();
        let expected = laid_out(&expected, 20, &to, 3);
        for (index, (y, e)) in bytes(&y).iter().zip(&expected).enumerate() {
            let block = index % to.image() / to.plane();
            assert!(block * 16 + index % 16 >= 20 || y == e, "{isa}: {index}");
        }
    }
}
