//! Batch normalisation against its definition in float64, on every instruction set that the machine has.

use residual_kernels::norm::{Backward, BatchStatistics, Mask, apply, apply_workspace, statistics};
use residual_kernels::{Cpu, Epilogue, Error, Isa, Layout, MapsMut, MapsRef, Sums, convert};
use residual_testkit::naive::{noise, relative_error};

const EPS: f32 = 1e-5;

/// Bound of the relative error, in the Euclidean norm: sums of up to 1,024 numbers in float32.
const BOUND: f64 = 2e-6;

const SIZES: [[usize; 4]; 8] = [
    [1, 1, 1, 2],
    [2, 3, 4, 5],
    [3, 16, 7, 7],
    [2, 17, 1, 3],
    [1, 31, 9, 1],
    [2, 33, 40, 41],
    [5, 64, 2, 2],
    [11, 17, 3, 2],
];

fn laid(values: &[f32], to: Layout) -> Vec<f32> {
    let plain = Layout::planar(to.batch(), to.channels(), to.height(), to.width()).unwrap();
    let mut laid = vec![f32::NAN; to.len()];
    convert(&Cpu::new(1).unwrap(), values, plain, &mut laid, to).unwrap();
    laid
}

fn plain(values: &[f32], from: Layout) -> Vec<f32> {
    let to = Layout::planar(from.batch(), from.channels(), from.height(), from.width()).unwrap();
    let mut plain = vec![f32::NAN; to.len()];
    convert(&Cpu::new(1).unwrap(), values, from, &mut plain, to).unwrap();
    let sum = |values: &[f32]| values.iter().map(|&v| f64::from(v).abs()).sum::<f64>();
    assert!((sum(values) - sum(&plain)).abs() <= 1e-9 * sum(&plain), "border and spare lanes are zero");
    plain
}

/// A normalisation, its operands as NCHW arrays.
struct Case {
    size: [usize; 4],
    relu: bool,
    x: Vec<f32>,
    residual: Option<Vec<f32>>,
    dy: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

/// What it gives, in float64.
struct Wanted {
    mean: Vec<f64>,
    variance: Vec<f64>,
    y: Vec<f64>,
    g: Vec<f64>,
    dx: Vec<f64>,
    dgamma: Vec<f64>,
    dbeta: Vec<f64>,
}

impl Case {
    fn new(size: [usize; 4], relu: bool, residual: bool) -> Self {
        let len = size.iter().product();
        let x = noise(1, len).iter().map(|x| 3.0 * x + 0.7).collect();
        let gamma = noise(4, size[1]).iter().map(|g| 1.0 + 0.5 * g).collect();
        Self {
            size,
            relu,
            x,
            residual: residual.then(|| noise(2, len)),
            dy: noise(3, len),
            gamma,
            beta: noise(5, size[1]),
        }
    }

    fn layout(&self, border: usize) -> Layout {
        let [n, c, h, w] = self.size;
        Layout::blocked(n, c, h, w).unwrap().with_border(border).unwrap()
    }

    fn wanted(&self) -> Wanted {
        let [n, channels, h, w] = self.size;
        let count = (n * h * w) as f64;
        let zeros = || vec![0.0; self.x.len()];
        let (mut y, mut g, mut dx) = (zeros(), zeros(), zeros());
        let by_channel = || vec![0.0; channels];
        let (mut mean, mut variance, mut dgamma, mut dbeta) =
            (by_channel(), by_channel(), by_channel(), by_channel());
        for c in 0..channels {
            let of: Vec<usize> =
                (0..n).flat_map(|i| (i * channels + c) * h * w..(i * channels + c + 1) * h * w).collect();
            let x = |i: usize| f64::from(self.x[i]);
            mean[c] = of.iter().map(|&i| x(i)).sum::<f64>() / count;
            variance[c] = of.iter().map(|&i| (x(i) - mean[c]).powi(2)).sum::<f64>() / count;
            let deviation = (variance[c] + f64::from(EPS)).sqrt();
            let hat = |i: usize| (x(i) - mean[c]) / deviation;
            let gamma = f64::from(self.gamma[c]);
            for &i in &of {
                let residual = self.residual.as_ref().map_or(0.0, |residual| f64::from(residual[i]));
                let sum = gamma * hat(i) + f64::from(self.beta[c]) + residual;
                let through = !self.relu || sum > 0.0;
                y[i] = if through { sum } else { 0.0 };
                g[i] = if through { f64::from(self.dy[i]) } else { 0.0 };
            }
            dbeta[c] = of.iter().map(|&i| g[i]).sum();
            dgamma[c] = of.iter().map(|&i| g[i] * hat(i)).sum();
            for &i in &of {
                dx[i] = gamma / deviation * (g[i] - dbeta[c] / count - hat(i) * dgamma[c] / count);
            }
        }
        Wanted { mean, variance, y, g, dx, dgamma, dbeta }
    }

    /// Runs all of it and holds it against `wanted`; returns all results.
    fn check(&self, isa: Isa, threads: usize, borders: [usize; 3], recompute: bool) -> Vec<Vec<f32>> {
        let wanted = self.wanted();
        let cpu = Cpu::with_isa(isa, threads).unwrap();
        let [from, to, back] = borders.map(|border| self.layout(border));
        let x = laid(&self.x, from);
        let mut batch = BatchStatistics::zeroed(&from);
        // Exactly what each asks for.
        let mut workspace = vec![f32::NAN; BatchStatistics::workspace(&from)];
        statistics(&cpu, &x, from, &mut batch, &mut workspace).unwrap();
        let vector = || vec![f32::NAN; self.size[1]];
        let (mut scale, mut shift) = (vector(), vector());
        batch.fold([&self.gamma, &self.beta], EPS, [&mut scale, &mut shift]).unwrap();
        let residual = self.residual.as_ref().map(|residual| laid(residual, back));
        let epilogue = Epilogue {
            scale: Some(&scale),
            shift: Some(&shift),
            residual: residual.as_deref().map(|residual| MapsRef::new(residual, back)),
            relu: self.relu,
        };
        let mut y = vec![f32::NAN; to.len()];
        let mut vectors = vec![f32::NAN; apply_workspace(&to)];
        apply(&cpu, MapsRef::new(&x, from), &epilogue, MapsMut::new(&mut y, to), &mut vectors).unwrap();
        let dy = laid(&self.dy, to);
        let mask = match (self.relu, recompute) {
            (false, _) => Mask::None,
            (true, true) => Mask::Recompute { scale: &scale, shift: &shift },
            (true, false) => Mask::Output(MapsRef::new(&y, to)),
        };
        let backward = Backward {
            x: MapsRef::new(&x, from),
            dy: MapsRef::new(&dy, to),
            mask,
            statistics: &batch,
            gamma: &self.gamma,
            eps: EPS,
        };
        let (mut dgamma, mut dbeta) = (vector(), vector());
        let (mut dx, mut g) = (vec![f32::NAN; back.len()], vec![f32::NAN; back.len()]);
        let mut workspace = vec![f32::NAN; Backward::workspace(&back)];
        backward
            .run(&cpu, [&mut dgamma, &mut dbeta], MapsMut::new(&mut dx, back), Some(&mut g), &mut workspace)
            .unwrap();
        let found = vec![
            batch.mean.clone(),
            batch.variance.clone(),
            plain(&y, to),
            plain(&g, back),
            plain(&dx, back),
            dgamma.clone(),
            dbeta.clone(),
        ];
        let wanted =
            [&wanted.mean, &wanted.variance, &wanted.y, &wanted.g, &wanted.dx, &wanted.dgamma, &wanted.dbeta];
        let names = ["mean", "variance", "y", "g", "dx", "dgamma", "dbeta"];
        for ((name, found), wanted) in names.iter().zip(&found).zip(wanted) {
            let error = relative_error(found, wanted);
            // Sums that cancel are held to the size of their terms.
            let size = wanted.iter().map(|w| w * w).sum::<f64>().sqrt();
            let terms = ((self.x.len() as f64).sqrt()).max(1.0);
            assert!(
                error <= BOUND || error * size <= BOUND * terms,
                "{name} {isa} {:?}: {error:e}",
                self.size
            );
        }
        found
    }
}

#[test]
fn every_kind_and_edge_size() {
    for isa in Isa::available() {
        for size in SIZES {
            for (relu, residual) in [(false, false), (true, false), (false, true), (true, true)] {
                let case = Case::new(size, relu, residual);
                case.check(isa, 2, [0, 0, 0], relu && !residual);
                case.check(isa, 2, [0, 1, 0], false);
                case.check(isa, 2, [1, 0, 2], false);
                if relu && !residual {
                    case.check(isa, 2, [0, 1, 1], true);
                }
            }
        }
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let case = Case::new([3, 40, 50, 30], true, true);
    for isa in Isa::available() {
        let one = case.check(isa, 1, [0, 1, 0], false);
        for threads in [2, 3, 5] {
            assert!(case.check(isa, threads, [0, 1, 0], false) == one, "{isa} {threads}");
        }
    }
}

#[test]
fn a_mean_far_from_zero_costs_no_digits() {
    let mut case = Case::new([4, 16, 30, 30], false, false);
    case.x.iter_mut().for_each(|x| *x = 10_000.0 + x.round());
    let wanted = case.wanted();
    for isa in Isa::available() {
        let cpu = Cpu::with_isa(isa, 2).unwrap();
        let maps = case.layout(0);
        let mut batch = BatchStatistics::zeroed(&maps);
        let mut workspace = vec![0.0; BatchStatistics::workspace(&maps)];
        statistics(&cpu, &laid(&case.x, maps), maps, &mut batch, &mut workspace).unwrap();
        assert!(relative_error(&batch.variance, &wanted.variance) < 1e-6, "{isa}");
    }
}

#[test]
fn statistics_from_sums_and_running_values() {
    let maps = Layout::blocked(2, 2, 1, 2).unwrap();
    let mut batch = BatchStatistics::zeroed(&maps);
    // Channel 0: 1, 2, 3, 4; channel 1: 5, 5, 5, 5.
    let (mut sum, mut squares) = ([10.0, 20.0], [30.0, 100.0]);
    batch.set_from_sums(&Sums { sum: &mut sum, squares: &mut squares }).unwrap();
    assert_eq!((&batch.mean[..], &batch.variance[..]), (&[2.5, 5.0][..], &[1.25, 0.0][..]));
    let (mut mean, mut variance) = ([0.0, 1.0], [1.0, 1.0]);
    batch.update(0.1, [&mut mean, &mut variance]).unwrap();
    let close = |a: [f32; 2], b: [f32; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(
        close(mean, [0.25, 1.4]) && close(variance, [0.9 + 0.1 * 5.0 / 3.0, 0.9]),
        "{mean:?} {variance:?}"
    );
    let wrong = batch.set_from_sums(&Sums { sum: &mut [0.0], squares: &mut [0.0] });
    assert!(matches!(wrong, Err(Error::Length { .. })));
}

#[test]
fn not_a_number_reaches_all_of_its_channel() {
    for isa in Isa::available() {
        let cpu = Cpu::with_isa(isa, 2).unwrap();
        let maps = Layout::blocked(1, 20, 4, 4).unwrap();
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = noise(1, 20 * 16);
            x[3 * 16 + 5] = bad;
            let x = laid(&x, maps);
            let mut batch = BatchStatistics::zeroed(&maps);
            let mut workspace = vec![0.0; BatchStatistics::workspace(&maps)];
            statistics(&cpu, &x, maps, &mut batch, &mut workspace).unwrap();
            for channel in 0..20 {
                let finite = batch.mean[channel].is_finite() && batch.variance[channel].is_finite();
                assert_eq!(finite, channel != 3, "{isa} {bad} {channel}");
            }
        }
    }
}

#[test]
fn both_sides_of_a_relu_round_alike() {
    // `scale x` rounds to `-shift`: with one rounding for both operations the sum would be above zero.
    let (value, maps) = (1.0 + 0.5_f32.powi(12), Layout::blocked(1, 16, 2, 2).unwrap());
    let (scale, shift) = (vec![value; 16], vec![-(1.0 + 0.5_f32.powi(11)); 16]);
    assert!(value.mul_add(value, shift[0]) > 0.0);
    let (x, dy) = (vec![value; 64], vec![1.0; 64]);
    for isa in Isa::available() {
        let cpu = Cpu::with_isa(isa, 1).unwrap();
        let mut workspace = vec![f32::NAN; Backward::workspace(&maps).max(apply_workspace(&maps))];
        let (mut y, mut g) = (vec![f32::NAN; 64], vec![f32::NAN; 64]);
        let relu = Epilogue { scale: Some(&scale), shift: Some(&shift), residual: None, relu: true };
        apply(&cpu, MapsRef::new(&x, maps), &relu, MapsMut::new(&mut y, maps), &mut workspace).unwrap();
        let mask = Mask::Recompute { scale: &scale, shift: &shift };
        let batch = BatchStatistics::zeroed(&maps);
        let backward = Backward {
            x: MapsRef::new(&x, maps),
            dy: MapsRef::new(&dy, maps),
            mask,
            statistics: &batch,
            gamma: &scale,
            eps: EPS,
        };
        let [mut a, mut b] = [0, 1].map(|_| vec![0.0; 16]);
        let by = [&mut a[..], &mut b[..]];
        backward.run(&cpu, by, MapsMut::new(&mut vec![0.0; 64], maps), Some(&mut g), &mut workspace).unwrap();
        assert_eq!((y, g), (vec![0.0; 64], vec![0.0; 64]), "{isa}");
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let cpu = Cpu::new(1).unwrap();
    let (maps, other) = (Layout::blocked(1, 16, 2, 2).unwrap(), Layout::blocked(1, 16, 2, 3).unwrap());
    let planar = Layout::planar(1, 16, 2, 2).unwrap();
    let (x, mut y) = (vec![0.0; 64], vec![0.0; 64]);
    let mut workspace = vec![0.0; 4096];
    let none = Epilogue::default();
    assert!(apply(&cpu, MapsRef::new(&x, maps), &none, MapsMut::new(&mut y, maps), &mut workspace).is_ok());
    assert!(
        apply(&cpu, MapsRef::new(&x, maps), &none, MapsMut::new(&mut y, maps), &mut workspace[..3]).is_err()
    );
    assert!(apply(&cpu, MapsRef::new(&x, maps), &none, MapsMut::new(&mut y, other), &mut workspace).is_err());
    assert!(
        apply(&cpu, MapsRef::new(&x, planar), &none, MapsMut::new(&mut y, planar), &mut workspace).is_err()
    );
    assert!(
        apply(&cpu, MapsRef::new(&x[1..], maps), &none, MapsMut::new(&mut y, maps), &mut workspace).is_err()
    );
    let mut batch = BatchStatistics::zeroed(&maps);
    assert!(statistics(&cpu, &x, maps, &mut batch, &mut workspace[..3]).is_err());
    assert!(statistics(&cpu, &x, planar, &mut batch, &mut workspace).is_err());
    let gamma = vec![1.0; 16];
    let backward = |mask| Backward {
        x: MapsRef::new(&x, maps),
        dy: MapsRef::new(&x, maps),
        mask,
        statistics: &batch,
        gamma: &gamma,
        eps: EPS,
    };
    let mut run = |mask, channels: usize, len: usize| {
        let (mut a, mut b, mut dx) = (vec![0.0; channels], vec![0.0; 16], vec![0.0; len]);
        backward(mask).run(&cpu, [&mut a, &mut b], MapsMut::new(&mut dx, maps), None, &mut workspace)
    };
    assert!(run(Mask::None, 16, 64).is_ok());
    assert!(run(Mask::None, 15, 64).is_err());
    assert!(run(Mask::None, 16, 63).is_err());
    assert!(run(Mask::Output(MapsRef::new(&x, other)), 16, 64).is_err());
    assert!(run(Mask::Recompute { scale: &gamma[1..], shift: &gamma }, 16, 64).is_err());
}
