//! The linear layer: `y = x W^T + b`, forward and backward, on row-major matrices.

use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{Kernel, Simd};
use crate::{Cpu, Error};

/// Rows and vectors of a tile of results.
const ROWS: usize = 4;

/// The sizes of a linear layer.
///
/// ```
/// use residual_kernels::{Cpu, linear::Linear};
///
/// let layer = Linear { batch: 1, ins: 2, outs: 3 };
/// let mut y = [0.0; 3];
/// layer.forward(&Cpu::new(1)?, &[1., 2.], &[1., 0., 0., 1., 1., 1.], &[0., 0., 0.5], &mut y)?;
/// assert_eq!(y, [1., 2., 3.5]);
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Rows of `x` and `y`.
    pub batch: usize,
    /// Columns of `x`.
    pub ins: usize,
    /// Columns of `y`.
    pub outs: usize,
}

/// Operands of [`Linear::backward`].
#[derive(Clone, Copy, Debug)]
pub struct LinearBackward<'a> {
    /// Input of the forward pass, `[batch, ins]`.
    pub x: &'a [f32],
    /// Weights, `[outs, ins]`.
    pub weights: &'a [f32],
    /// Gradient with respect to the output, `[batch, outs]`.
    pub dy: &'a [f32],
}

/// Gradients that [`Linear::backward`] computes.
#[derive(Debug)]
pub struct LinearGradients<'a> {
    /// Gradient with respect to the input, `[batch, ins]`, where it is asked for.
    pub dx: Option<&'a mut [f32]>,
    /// Gradient with respect to the weights, `[outs, ins]`.
    pub dw: &'a mut [f32],
    /// Gradient with respect to the bias, `[outs]`.
    pub db: &'a mut [f32],
}

impl Linear {
    /// `y[n, o] = b[o] + sum over i of x[n, i] w[o, i]`
    ///
    /// # Shapes
    /// `x` is `[batch, ins]`, `weights` `[outs, ins]`, `bias` `[outs]`, `y` `[batch, outs]`.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is not that long.
    pub fn forward(
        &self,
        cpu: &Cpu,
        x: &[f32],
        weights: &[f32],
        bias: &[f32],
        y: &mut [f32],
    ) -> Result<(), Error> {
        self.check([
            ("the input", self.batch * self.ins, x.len()),
            ("the output", self.batch * self.outs, y.len()),
        ])?;
        self.check([
            ("the weights", self.outs * self.ins, weights.len()),
            ("the bias", self.outs, bias.len()),
        ])?;
        let (layer, y) = (*self, Parts::new(y));
        cpu.pool().for_each(self.outs.div_ceil(ROWS), |tile, _| {
            let outs = tile * ROWS..((tile + 1) * ROWS).min(layer.outs);
            cpu.isa().run(Dots { layer, x, weights, bias, outs, y });
        });
        Ok(())
    }

    /// Gradients of the layer: `dx = dy W`, `dW = dy^T x`, `db = sum over n of dy`.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is not as long as the shapes of [`Linear::forward`] say.
    pub fn backward(
        &self,
        cpu: &Cpu,
        read: LinearBackward<'_>,
        gradients: LinearGradients<'_>,
    ) -> Result<(), Error> {
        let LinearBackward { x, weights, dy } = read;
        let LinearGradients { dx, dw, db } = gradients;
        let Self { batch, ins, outs } = *self;
        self.check([
            ("the input", batch * ins, x.len()),
            ("the gradient with respect to the output", batch * outs, dy.len()),
        ])?;
        self.check([
            ("the weights", outs * ins, weights.len()),
            ("the weights' gradient", outs * ins, dw.len()),
        ])?;
        check_length("the bias' gradient", outs, db.len())?;
        if let Some(dx) = dx {
            check_length("the input's gradient", batch * ins, dx.len())?;
            product(cpu, [batch, ins, outs], Strided { values: dy, row: outs, column: 1 }, weights, dx);
        }
        product(cpu, [outs, ins, batch], Strided { values: dy, row: 1, column: outs }, x, dw);
        for (out, db) in db.iter_mut().enumerate() {
            *db = (0..batch).map(|n| f64::from(dy[n * outs + out])).sum::<f64>() as f32;
        }
        Ok(())
    }

    fn check(&self, lengths: [(&'static str, usize, usize); 2]) -> Result<(), Error> {
        lengths.into_iter().try_for_each(|(what, expected, found)| check_length(what, expected, found))
    }
}

/// `ROWS` outputs of all rows of `x`.
struct Dots<'a> {
    layer: Linear,
    x: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    outs: std::ops::Range<usize>,
    y: Parts<'a>,
}

impl Kernel for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Linear { batch, ins, outs } = self.layer;
        let whole = ins / S::LANES * S::LANES;
        for n in 0..batch {
            let x = &self.x[n * ins..][..ins];
            // A row that does not exist repeats the last.
            let rows: [&[f32]; ROWS] = std::array::from_fn(|i| {
                &self.weights[(self.outs.start + i).min(self.outs.end - 1) * ins..][..ins]
            });
            let mut sums = [[s.zero(); 2]; ROWS];
            for (at, part) in (0..whole).step_by(S::LANES).zip((0..2).cycle()) {
                let x = s.read(x, at);
                for (sum, row) in sums.iter_mut().zip(rows) {
                    sum[part] = s.fma(x, s.read(row, at), sum[part]);
                }
            }
            for (i, out) in self.outs.clone().enumerate() {
                let mut lanes = [0.0; 16];
                // SAFETY: a vector has at most 16 lanes.
                unsafe { s.store(lanes.as_mut_ptr(), s.add(sums[i][0], sums[i][1])) };
                let rest: f32 = (whole..ins).map(|at| x[at] * rows[i][at]).sum();
                // SAFETY: the columns of a tile are one task's.
                let y = unsafe { self.y.part(n * outs + out..n * outs + out + 1) };
                y[0] = lanes.iter().sum::<f32>() + rest + self.bias[out];
            }
        }
    }
}

/// A matrix by the strides of its rows and columns.
#[derive(Clone, Copy)]
struct Strided<'a> {
    values: &'a [f32],
    row: usize,
    column: usize,
}

/// `c[r][j] = sum over k of a[r a_row + k a_column] b[k][j]` with `[rows, columns, depth]`.
fn product(cpu: &Cpu, [rows, columns, depth]: [usize; 3], a: Strided<'_>, b: &[f32], c: &mut [f32]) {
    let c = Parts::new(c);
    cpu.pool().for_each(rows.div_ceil(ROWS), |tile, _| {
        let rows = tile * ROWS..((tile + 1) * ROWS).min(rows);
        // SAFETY: the rows of a tile are one task's.
        let c = unsafe { c.part(rows.start * columns..rows.end * columns) };
        cpu.isa().run(Rank { rows, columns, depth, a, b, c });
    });
}

/// Rows of a product, at most `ROWS`.
struct Rank<'a> {
    rows: std::ops::Range<usize>,
    columns: usize,
    depth: usize,
    a: Strided<'a>,
    b: &'a [f32],
    c: &'a mut [f32],
}

impl Kernel for Rank<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (Strided { values: a, row, column }, columns) = (self.a, self.columns);
        // A row that does not exist repeats the last.
        let at = |i: usize, k: usize| (self.rows.start + i).min(self.rows.end - 1) * row + k * column;
        let whole = columns / S::LANES * S::LANES;
        for j in (0..whole).step_by(S::LANES) {
            let mut sums = [s.zero(); ROWS];
            for k in 0..self.depth {
                let b = s.read(self.b, k * columns + j);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = s.fma(s.splat(a[at(i, k)]), b, *sum);
                }
            }
            for (c, sum) in self.c.chunks_exact_mut(columns).zip(sums) {
                let c = &mut c[j..j + S::LANES];
                // SAFETY: just sliced to a vector's length.
                unsafe { s.store(c.as_mut_ptr(), sum) }
            }
        }
        for (i, c) in self.c.chunks_exact_mut(columns).enumerate() {
            for (j, c) in c.iter_mut().enumerate().skip(whole) {
                *c = (0..self.depth).map(|k| a[at(i, k)] * self.b[k * columns + j]).sum();
            }
        }
    }
}
