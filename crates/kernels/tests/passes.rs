//! Pooling, the linear layer, the loss and the scaling of channels, each against its
//! definition in float64, on every instruction set that the machine has.

use residual_kernels::eltwise::{Join, ScaledResidual, gated_sums, zero_pad};
use residual_kernels::linear::{Linear, LinearBackward, LinearGradients};
use residual_kernels::loss::{Targets, cross_entropy};
use residual_kernels::pool::{self, Pooling};
use residual_kernels::{Cpu, Error, Isa, Layout, MapsMut, MapsRef, convert};
use residual_testkit::naive::{noise, relative_error};

/// Bound of the relative error, in the Euclidean norm.
const BOUND: f64 = 1e-6;

fn planar(layout: &Layout) -> Layout {
    Layout::planar(layout.batch(), layout.channels(), layout.height(), layout.width()).unwrap()
}

fn laid(values: &[f32], to: Layout) -> Vec<f32> {
    let mut laid = vec![f32::NAN; to.len()];
    convert(&Cpu::new(1).unwrap(), values, planar(&to), &mut laid, to).unwrap();
    laid
}

fn plain(values: &[f32], from: Layout) -> Vec<f32> {
    let mut plain = vec![f32::NAN; planar(&from).len()];
    convert(&Cpu::new(1).unwrap(), values, from, &mut plain, planar(&from)).unwrap();
    let sum = |values: &[f32]| values.iter().map(|&v| f64::from(v).abs()).sum::<f64>();
    assert!((sum(values) - sum(&plain)).abs() <= 1e-9 * sum(&plain), "border and spare lanes are zero");
    plain
}

fn cpus() -> impl Iterator<Item = Cpu> {
    Isa::available().into_iter().flat_map(|isa| [1, 3].map(|threads| Cpu::with_isa(isa, threads).unwrap()))
}

/// A pooling as PyTorch defines it: a kernel, stride and padding, or bins.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Windows { kernel: usize, stride: usize, padding: usize, count_padding: bool },
    Adaptive { output: usize },
}

impl Kind {
    fn pooling(self, size: [usize; 2]) -> Result<Pooling, Error> {
        match self {
            Self::Windows { kernel, stride, padding, count_padding } => {
                let windows = Pooling::windows(size, [kernel; 2], [stride; 2], [padding; 2])?;
                Ok(if count_padding { windows } else { windows.without_padding() })
            }
            Self::Adaptive { output } => Pooling::adaptive(size, [output; 2]),
        }
    }

    /// The pixels of output pixel `i`, some of which may be outside, on an axis.
    fn pixels(self, size: usize, i: usize) -> Vec<isize> {
        match self {
            Self::Windows { kernel, stride, padding, .. } => {
                (0..kernel).map(|k| (i * stride + k) as isize - padding as isize).collect()
            }
            Self::Adaptive { output } => {
                let (from, to) =
                    (i as f64 * size as f64 / output as f64, (i + 1) as f64 * size as f64 / output as f64);
                (from.floor() as isize..to.ceil() as isize).collect()
            }
        }
    }

    /// For each output pixel of a map: the input pixels inside, and the divisor.
    fn windows(self, [h, w]: [usize; 2], [oh, ow]: [usize; 2]) -> Vec<(Vec<usize>, f64)> {
        let mut all = Vec::new();
        for (oy, ox) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
            let (ys, xs) = (self.pixels(h, oy), self.pixels(w, ox));
            let inside = |p: isize, size: usize| (0..size as isize).contains(&p);
            let mut pixels = Vec::new();
            for &y in ys.iter().filter(|&&y| inside(y, h)) {
                pixels.extend(xs.iter().filter(|&&x| inside(x, w)).map(|&x| y as usize * w + x as usize));
            }
            let counted = !matches!(self, Self::Windows { count_padding: false, .. });
            let divisor = if counted { ys.len() * xs.len() } else { pixels.len() };
            all.push((pixels, divisor as f64));
        }
        all
    }
}

const KINDS: [Kind; 7] = [
    Kind::Windows { kernel: 3, stride: 2, padding: 1, count_padding: true },
    Kind::Windows { kernel: 2, stride: 2, padding: 0, count_padding: true },
    Kind::Windows { kernel: 3, stride: 1, padding: 1, count_padding: false },
    Kind::Windows { kernel: 1, stride: 3, padding: 0, count_padding: true },
    Kind::Adaptive { output: 1 },
    Kind::Adaptive { output: 3 },
    Kind::Adaptive { output: 7 },
];

#[test]
fn pooling_forward_and_backward() {
    for (kind, channels, size) in KINDS.into_iter().flat_map(|kind| {
        [(1, [2, 3]), (3, [7, 5]), (17, [4, 9]), (33, [6, 6]), (2, [3, 140])].map(|(c, s)| (kind, c, s))
    }) {
        let Ok(pooling) = kind.pooling(size) else { continue };
        let [oh, ow] = pooling.output();
        let input = Layout::blocked(2, channels, size[0], size[1]).unwrap().with_border(1).unwrap();
        let output = Layout::blocked(2, channels, oh, ow).unwrap().with_border(2).unwrap();
        // Few values, so that maxima are often tied.
        let x: Vec<f32> = noise(1, planar(&input).len()).iter().map(|x| (2.0 * x).round()).collect();
        let dy = noise(2, planar(&output).len());
        let windows = kind.windows(size, [oh, ow]);
        let (mut max, mut mean) = (Vec::new(), Vec::new());
        let (mut by_max, mut by_mean) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        for (map, x) in x.chunks(size[0] * size[1]).enumerate() {
            for (i, (pixels, divisor)) in windows.iter().enumerate() {
                let first =
                    pixels.iter().copied().reduce(|best, p| if x[p] > x[best] { p } else { best }).unwrap();
                max.push(f64::from(x[first]));
                mean.push(pixels.iter().map(|&p| f64::from(x[p])).sum::<f64>() / divisor);
                let gradient = f64::from(dy[map * windows.len() + i]);
                by_max[map * x.len() + first] += gradient;
                pixels.iter().for_each(|&p| by_mean[map * x.len() + p] += gradient / divisor);
            }
        }
        for cpu in cpus() {
            let (x, dy) = (laid(&x, input), laid(&dy, output));
            let (mut y, mut dx) = (vec![f32::NAN; output.len()], vec![f32::NAN; input.len()]);
            let hold = |what: &str, found: &[f32], layout, wanted: &[f64]| {
                let error = relative_error(&plain(found, layout), wanted);
                assert!(error <= BOUND, "{what} {} {kind:?} {size:?}: {error:e}", cpu.isa());
            };
            pool::maximum(&cpu, &pooling, MapsRef::new(&x, input), MapsMut::new(&mut y, output)).unwrap();
            hold("maximum", &y, output, &max);
            pool::average(&cpu, &pooling, MapsRef::new(&x, input), MapsMut::new(&mut y, output)).unwrap();
            hold("average", &y, output, &mean);
            let (mut by_x, mut workspace) =
                (x.clone(), vec![f32::NAN; pool::maximum_backward_workspace(&cpu, &input)]);
            let mut backward = |workspace: &mut [f32]| {
                pool::maximum_backward(
                    &cpu,
                    &pooling,
                    MapsRef::new(&dy, output),
                    MapsMut::new(&mut by_x, input),
                    workspace,
                )
            };
            assert!(backward(&mut []).is_err());
            backward(&mut workspace).unwrap();
            hold("maximum backward", &by_x, input, &by_max);
            pool::average_backward(&cpu, &pooling, MapsRef::new(&dy, output), MapsMut::new(&mut dx, input))
                .unwrap();
            hold("average backward", &dx, input, &by_mean);
        }
    }
}

#[test]
fn a_nan_comes_through_the_maximum_and_gets_its_gradient() {
    let maps = Layout::blocked(1, 1, 2, 2).unwrap();
    let one = Layout::blocked(1, 1, 1, 1).unwrap();
    let pooling = Pooling::adaptive([2, 2], [1, 1]).unwrap();
    for cpu in cpus() {
        let x = laid(&[5.0, f32::NAN, 7.0, 1.0], maps);
        let (mut y, mut dx) = (vec![0.0; one.len()], x.clone());
        pool::maximum(&cpu, &pooling, MapsRef::new(&x, maps), MapsMut::new(&mut y, one)).unwrap();
        assert!(y[0].is_nan());
        let mut workspace = vec![0.0; pool::maximum_backward_workspace(&cpu, &maps)];
        let dy = laid(&[2.0], one);
        pool::maximum_backward(
            &cpu,
            &pooling,
            MapsRef::new(&dy, one),
            MapsMut::new(&mut dx, maps),
            &mut workspace,
        )
        .unwrap();
        assert_eq!(plain(&dx, maps), [0.0, 2.0, 0.0, 0.0]);
    }
}

#[test]
fn global_average_of_every_channel() {
    for (channels, size) in [(1, [1, 1]), (17, [7, 7]), (33, [3, 5])] {
        let maps = Layout::blocked(3, channels, size[0], size[1]).unwrap().with_border(1).unwrap();
        let x = noise(1, planar(&maps).len());
        let pixels = size[0] * size[1];
        let mean = |map: &[f32]| map.iter().map(|&x| f64::from(x)).sum::<f64>() / pixels as f64;
        let wanted: Vec<f64> = x.chunks(pixels).map(mean).collect();
        let dy = noise(2, wanted.len());
        let by: Vec<f64> = dy.iter().flat_map(|&dy| vec![f64::from(dy) / pixels as f64; pixels]).collect();
        for cpu in cpus() {
            let (mut y, mut dx) = (vec![f32::NAN; wanted.len()], vec![f32::NAN; maps.len()]);
            pool::global_average(&cpu, MapsRef::new(&laid(&x, maps), maps), &mut y).unwrap();
            assert!(relative_error(&y, &wanted) <= BOUND);
            pool::global_average_backward(&cpu, &dy, MapsMut::new(&mut dx, maps)).unwrap();
            assert!(relative_error(&plain(&dx, maps), &by) <= BOUND);
        }
    }
}

#[test]
fn blur_is_the_binomial_filter_of_the_reflected_map() {
    for (channels, size, stride) in [(1, [2, 2], 1), (17, [5, 8], 2), (16, [6, 3], 2), (40, [9, 7], 3)] {
        let [height, width] = size;
        let maps = Layout::blocked(2, channels, height, width).unwrap();
        let out = Layout::blocked(2, channels, height.div_ceil(stride), width.div_ceil(stride)).unwrap();
        let x = noise(7, planar(&maps).len());
        let reflected = |at: isize, side: usize| {
            let last = side as isize - 1;
            (last - (last - at.abs()).abs()) as usize
        };
        let pixel = |map: &[f32], row: usize, column: usize| {
            let tap = |u: isize, v: isize| {
                let (y, x) = (reflected(row as isize + u, height), reflected(column as isize + v, width));
                ((2 - u.abs()) * (2 - v.abs())) as f64 / 16.0 * f64::from(map[y * width + x])
            };
            (-1..=1).flat_map(|u| (-1..=1).map(move |v| (u, v))).map(|(u, v)| tap(u, v)).sum::<f64>()
        };
        let mut wanted = Vec::new();
        for map in x.chunks(height * width) {
            for row in (0..height).step_by(stride) {
                wanted.extend((0..width).step_by(stride).map(|column| pixel(map, row, column)));
            }
        }
        for cpu in cpus() {
            for [border, padding] in [[0, 1], [1, 0]] {
                let from = maps.with_border(border).unwrap();
                let to = out.with_border(padding).unwrap();
                let mut y = vec![f32::NAN; to.len()];
                pool::blur(&cpu, stride, MapsRef::new(&laid(&x, from), from), MapsMut::new(&mut y, to))
                    .unwrap();
                let error = relative_error(&plain(&y, to), &wanted);
                assert!(error < BOUND, "{size:?} by {stride}, {:?}: {error:e}", cpu.isa());
            }
        }
    }
    let line = Layout::blocked(1, 1, 1, 4).unwrap();
    let half = Layout::blocked(1, 1, 1, 2).unwrap();
    let (x, mut y) = (vec![0.0; line.len()], vec![0.0; half.len()]);
    let cpu = Cpu::new(1).unwrap();
    let refused = pool::blur(&cpu, 2, MapsRef::new(&x, line), MapsMut::new(&mut y, half));
    assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
}

#[test]
fn impossible_poolings_are_errors() {
    for (kernel, stride, padding) in [(0, 1, 0), (3, 0, 1), (3, 1, 2), (9, 1, 0)] {
        assert!(Pooling::windows([4, 4], [kernel; 2], [stride; 2], [padding; 2]).is_err());
    }
    assert!(Pooling::adaptive([4, 4], [0, 1]).is_err());
    let cpu = Cpu::new(1).unwrap();
    let most = usize::MAX;
    assert!(Pooling::windows([4, 4], [most; 2], [1; 2], [most / 2; 2]).is_err());
    assert_eq!(Pooling::windows([4, 4], [most / 4; 2], [1; 2], [most / 8; 2]).unwrap().output(), [4, 4]);
    let pooling = Pooling::windows([4, 4], [2; 2], [2; 2], [0; 2]).unwrap();
    let (x, y) = (Layout::blocked(1, 1, 4, 4).unwrap(), Layout::blocked(1, 1, 2, 2).unwrap());
    let (a, mut b) = (vec![0.0; x.len()], vec![0.0; y.len()]);
    assert!(pool::maximum(&cpu, &pooling, MapsRef::new(&a, x), MapsMut::new(&mut b, y)).is_ok());
    assert!(pool::maximum(&cpu, &pooling, MapsRef::new(&a[1..], x), MapsMut::new(&mut b, y)).is_err());
    assert!(pool::maximum(&cpu, &pooling, MapsRef::new(&a, x), MapsMut::new(&mut b, x)).is_err());
    assert!(pool::global_average(&cpu, MapsRef::new(&a, x), &mut [0.0; 2]).is_err());
}

#[test]
fn linear_forward_and_backward() {
    for (batch, ins, outs) in [(1, 1, 1), (3, 17, 5), (2, 64, 10), (5, 33, 31), (16, 128, 100)] {
        let layer = Linear { batch, ins, outs };
        let (x, w) = (noise(1, batch * ins), noise(2, outs * ins));
        let (b, dy) = (noise(3, outs), noise(4, batch * outs));
        let f = |v: f32| f64::from(v);
        let sum = |count: usize, of: &dyn Fn(usize) -> f64| (0..count).map(of).sum::<f64>();
        let at = |rows: usize, columns: usize, of: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            (0..rows * columns).map(|i| of(i / columns, i % columns)).collect()
        };
        let y = at(batch, outs, &|n, o| f(b[o]) + sum(ins, &|i| f(x[n * ins + i]) * f(w[o * ins + i])));
        let by_x = at(batch, ins, &|n, i| sum(outs, &|o| f(dy[n * outs + o]) * f(w[o * ins + i])));
        let by_w = at(outs, ins, &|o, i| sum(batch, &|n| f(dy[n * outs + o]) * f(x[n * ins + i])));
        let by_b = at(outs, 1, &|o, _| sum(batch, &|n| f(dy[n * outs + o])));
        for cpu in cpus() {
            let of = |wanted: &[f64]| vec![f32::NAN; wanted.len()];
            let (mut found, mut dx, mut dw, mut db) = (of(&y), of(&by_x), of(&by_w), of(&by_b));
            layer.forward(&cpu, &x, &w, &b, &mut found).unwrap();
            let read = LinearBackward { x: &x, weights: &w, dy: &dy };
            let gradients = LinearGradients { dx: Some(&mut dx), dw: &mut dw, db: &mut db };
            layer.backward(&cpu, read, gradients).unwrap();
            for (found, wanted) in [(&found, &y), (&dx, &by_x), (&dw, &by_w), (&db, &by_b)] {
                assert!(relative_error(found, wanted) <= BOUND, "{} {layer:?}", cpu.isa());
            }
            assert!(layer.forward(&cpu, &x[1..], &w, &b, &mut found).is_err());
            let short = LinearGradients { dx: None, dw: &mut dw[1..], db: &mut db };
            assert!(layer.backward(&cpu, read, short).is_err());
        }
    }
}

#[test]
fn cross_entropy_and_its_gradient() {
    let (batch, classes) = (4, 7);
    let logits: Vec<f32> = noise(1, batch * classes).iter().map(|z| 30.0 * z).collect();
    let wanted_classes = [0, 6, 3, 3];
    let soft: Vec<f32> = noise(2, batch * classes).iter().map(|t| t.abs()).collect();
    for cpu in cpus() {
        for (smoothing, probabilities) in [(0.0, false), (0.1, false), (0.0, true)] {
            let target = |row: usize, k: usize| {
                if probabilities {
                    return f64::from(soft[row * classes + k]);
                }
                let smoothing = f64::from(smoothing);
                smoothing / classes as f64 + if wanted_classes[row] == k { 1.0 - smoothing } else { 0.0 }
            };
            let (mut loss, mut wanted) = (0.0, Vec::new());
            for row in 0..batch {
                let z = |k: usize| f64::from(logits[row * classes + k]);
                let sum: f64 = (0..classes).map(|k| z(k).exp()).sum();
                let weight: f64 = (0..classes).map(|k| target(row, k)).sum();
                loss -= (0..classes).map(|k| target(row, k) * (z(k) - sum.ln())).sum::<f64>() / batch as f64;
                wanted.extend(
                    (0..classes).map(|k| (z(k).exp() / sum * weight - target(row, k)) / batch as f64),
                );
            }
            let targets = if probabilities {
                Targets::Probabilities(&soft)
            } else {
                Targets::Classes { classes: &wanted_classes, smoothing }
            };
            let (mut rows, mut gradient) = (vec![0.0; batch], vec![f32::NAN; batch * classes]);
            let found = cross_entropy(&cpu, &logits, classes, targets, &mut rows, &mut gradient).unwrap();
            assert!((f64::from(found) - loss).abs() <= BOUND * loss.abs(), "{found} {loss}");
            assert!(relative_error(&gradient, &wanted) <= BOUND);
        }
        let run = |z: &[f32], classes: &[usize], smoothing| {
            cross_entropy(&cpu, z, 2, Targets::Classes { classes, smoothing }, &mut [0.0], &mut [0.0; 2])
        };
        assert!(run(&[f32::NAN, 0.0], &[0], 0.0).unwrap().is_nan());
        assert!(run(&[1e30, -1e30], &[0], 0.0).unwrap() == 0.0);
        assert!(run(&[0.0, 0.0], &[2], 0.0).unwrap_err().to_string().contains("class 2"));
        assert!(run(&[0.0, 0.0], &[0], 1.5).is_err());
        assert!(run(&[0.0, 0.0], &[], 0.0).is_err());
        assert!(run(&[0.0; 3], &[0], 0.0).is_err());
    }
}

#[test]
fn paths_are_joined_and_give_their_gradients() {
    for channels in [1, 17, 48] {
        let from = Layout::blocked(2, channels, 5, 3).unwrap();
        let to = from.with_border(1).unwrap();
        let [x, r, dy] = [1, 3, 4].map(|seed| noise(seed, 2 * channels * 15));
        let [s, b] = [2, 5].map(|seed| noise(seed, 2 * channels));
        let factor = noise(6, channels);
        let f = |v: f32| f64::from(v);
        let affine = |i: usize| f(x[i]) * f(s[i / 15]) + f(b[i / 15]);
        let sum = |i: usize| affine(i) + f(r[i]) * f(factor[i / 15 % channels]);
        let wanted: Vec<f64> = (0..x.len()).map(|i| sum(i).max(0.0)).collect();
        let g: Vec<f64> = (0..x.len()).map(|i| if wanted[i] > 0.0 { f(dy[i]) } else { 0.0 }).collect();
        let total = |each: &dyn Fn(usize) -> f64| -> Vec<f64> {
            (0..2 * channels).map(|plane| (plane * 15..plane * 15 + 15).map(each).sum()).collect()
        };
        let (products, sums) = (total(&|i| g[i] * f(x[i])), total(&|i| g[i]));
        for cpu in cpus() {
            let (laid_x, laid_r) = (laid(&x, from), laid(&r, to));
            let (mut y, mut behind) = (vec![f32::NAN; to.len()], vec![f32::NAN; from.len()]);
            let residual =
                Some(ScaledResidual { maps: MapsRef::new(&laid_r, to), factor: Some(&factor[..]) });
            let join = Join { scale: &s, shift: &b, residual, relu: true };
            join.run(&cpu, MapsRef::new(&laid_x, from), MapsMut::new(&mut y, to)).unwrap();
            assert!(relative_error(&plain(&y, to), &wanted) <= BOUND);
            let [mut by, mut ones] = [vec![f32::NAN; s.len()], vec![f32::NAN; s.len()]];
            let (laid_dy, into) = (laid(&dy, to), Some(MapsMut::new(&mut behind, from)));
            let (x, dy, gate) =
                (MapsRef::new(&laid_x, from), MapsRef::new(&laid_dy, to), MapsRef::new(&y, to));
            gated_sums(&cpu, x, dy, Some(gate), into, [&mut by, &mut ones]).unwrap();
            assert!(relative_error(&plain(&behind, from), &g) <= BOUND);
            assert!(relative_error(&by, &products) <= BOUND && relative_error(&ones, &sums) <= BOUND);
            let short = Join { scale: &s[1..], ..join };
            assert!(short.run(&cpu, MapsRef::new(&laid_x, from), MapsMut::new(&mut y, to)).is_err());
        }
    }
}

#[test]
fn the_shortcut_without_parameters_moves_pixels_and_channels() {
    let (n, h, w) = (2, 5, 4);
    for cpu in cpus() {
        for (ins, outs, before, stride) in
            [(16, 32, 8, 2), (1, 3, 1, 1), (33, 64, 15, 2), (3, 40, 37, 3), (16, 16, 0, 1)]
        {
            let x = noise(5, n * ins * h * w);
            let from = Layout::blocked(n, ins, h, w).unwrap().with_border(1).unwrap();
            let (rows, columns) = (h.div_ceil(stride), w.div_ceil(stride));
            for border in [0, 2] {
                let to = Layout::blocked(n, outs, rows, columns).unwrap().with_border(border).unwrap();
                let mut y = vec![f32::NAN; to.len()];
                zero_pad(&cpu, MapsRef::new(&laid(&x, from), from), stride, before, MapsMut::new(&mut y, to))
                    .unwrap();
                let y = plain(&y, to);
                for (i, &found) in y.iter().enumerate() {
                    let (image, channel) = (i / (outs * rows * columns), i / (rows * columns) % outs);
                    let (row, column) = (i / columns % rows * stride, i % columns * stride);
                    let wanted = match channel.checked_sub(before) {
                        Some(c) if c < ins => x[((image * ins + c) * h + row) * w + column],
                        _ => 0.0,
                    };
                    assert_eq!(found, wanted, "{ins} to {outs}, stride {stride}, element {i}");
                }
                let wrong = |stride, before| {
                    let y = &mut vec![0.0; to.len()];
                    zero_pad(&cpu, MapsRef::new(&laid(&x, from), from), stride, before, MapsMut::new(y, to))
                        .is_err()
                };
                assert!(wrong(0, before) && wrong(stride + 3, before) && wrong(stride, usize::MAX));
            }
        }
    }
}

#[test]
fn an_overhanging_window_averages_what_is_there() {
    let cpu = Cpu::new(1).unwrap();
    for (size, output) in [(7, 4), (8, 4), (1, 1), (2, 1), (3, 2)] {
        let pooling = Pooling::overhanging([size; 2], [2; 2], [2; 2]).unwrap();
        assert_eq!(pooling.output(), [output; 2]);
        let x = noise(3, 17 * size * size);
        let from = Layout::blocked(1, 17, size, size).unwrap();
        let to = Layout::blocked(1, 17, output, output).unwrap();
        let mut y = vec![f32::NAN; to.len()];
        pool::average(&cpu, &pooling, MapsRef::new(&laid(&x, from), from), MapsMut::new(&mut y, to)).unwrap();
        let wanted: Vec<f64> = (0..17 * output * output)
            .map(|i| {
                let (c, p, q) = (i / (output * output), i / output % output * 2, i % output * 2);
                let inside = |start: usize| start..(start + 2).min(size);
                let pixels = inside(p).flat_map(|p| inside(q).map(move |q| (p, q)));
                let values: Vec<f64> = pixels.map(|(p, q)| f64::from(x[(c * size + p) * size + q])).collect();
                values.iter().sum::<f64>() / values.len() as f64
            })
            .collect();
        assert!(relative_error(&plain(&y, to), &wanted) <= BOUND);
    }
    assert_eq!(Pooling::overhanging([5; 2], [2; 2], [3; 2]).unwrap().output(), [2; 2]);
    assert_eq!(Pooling::overhanging([3; 2], [2; 2], [3; 2]).unwrap().output(), [1; 2]);
    assert!(Pooling::overhanging([3, 0], [2; 2], [2; 2]).is_err());
}
