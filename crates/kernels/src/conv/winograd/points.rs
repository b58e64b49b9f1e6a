//! The one-dimensional transforms; two-dimensional ones apply them to columns, then to rows.

use std::fmt::Debug;
use std::marker::PhantomData;

use crate::simd::Simd;

/// Taps of a kernel.
pub(super) const TAPS: usize = 9;

/// A choice of n points for m outputs of a kernel of three taps, from n inputs: n = m + 2 at stride 1.
pub(super) trait Points<const M: usize, const N: usize>: Debug + Send + Sync + 'static {
    /// Inputs from an output to the next.
    const STRIDE: usize = 1;

    /// `G`, which takes a kernel's three weights to the points. In float64: it is applied once, when
    /// weights are packed.
    const G: [[f64; 3]; N];

    /// `G g`, for weights that are taken to the points while they are used.
    #[inline(always)]
    fn kernel<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; N] {
        Self::G.map(|row| {
            let [a, b, c] = row.map(|weight| s.splat(weight as f32));
            s.fma(a, g[0], s.fma(b, g[1], s.mul(c, g[2])))
        })
    }

    /// `B^T d`
    fn input<S: Simd>(s: S, d: [S::V; N]) -> [S::V; N];

    /// `A^T m`
    fn output<S: Simd>(s: S, m: [S::V; N]) -> [S::V; M];

    /// `A y`, which takes gradients with respect to the outputs to the points.
    fn gradient<S: Simd>(s: S, y: [S::V; M]) -> [S::V; N];
}

/// F(2x2, 3x3) at the points 0, 1, -1 and infinity.
#[derive(Debug)]
pub(super) struct F2;

impl Points<2, 4> for F2 {
    const G: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

    #[inline(always)]
    fn kernel<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; 4] {
        let half = s.splat(0.5);
        let even = s.mul(half, s.add(g[0], g[2]));
        [g[0], s.fma(half, g[1], even), s.fnma(half, g[1], even), g[2]]
    }

    #[inline(always)]
    fn input<S: Simd>(s: S, d: [S::V; 4]) -> [S::V; 4] {
        [s.sub(d[0], d[2]), s.add(d[1], d[2]), s.sub(d[2], d[1]), s.sub(d[3], d[1])]
    }

    #[inline(always)]
    fn output<S: Simd>(s: S, m: [S::V; 4]) -> [S::V; 2] {
        [s.add(m[0], s.add(m[1], m[2])), s.add(m[3], s.sub(m[1], m[2]))]
    }

    #[inline(always)]
    fn gradient<S: Simd>(s: S, y: [S::V; 2]) -> [S::V; 4] {
        [y[0], s.add(y[0], y[1]), s.sub(y[0], y[1]), y[1]]
    }
}

/// F(4x4, 3x3) at the points 0, ±a, ±b and infinity, a = √½ and b = √2.
///
/// These points keep the matrices' entries near 1 (the usual 0, ±1, ±2 reach 8), which makes the error
/// about twice that of the direct computation instead of ten times.
#[derive(Debug)]
pub(super) struct F4;

const A: f64 = std::f64::consts::FRAC_1_SQRT_2;
const B: f64 = std::f64::consts::SQRT_2;
/// `a^2`
const AA: f64 = 0.5;
/// `b^2`
const BB: f64 = 2.0;

impl Points<4, 6> for F4 {
    // The row of a point p holds 1, p, p^2 over the product of its distances to the other points.
    const G: [[f64; 3]; 6] = {
        let a = 1.0 / (2.0 * AA * (AA - BB));
        let b = 1.0 / (2.0 * BB * (BB - AA));
        [
            [1.0 / (AA * BB), 0.0, 0.0],
            [a, a * A, a * AA],
            [a, -a * A, a * AA],
            [b, b * B, b * BB],
            [b, -b * B, b * BB],
            [0.0, 0.0, 1.0],
        ]
    };

    // Even and odd parts are shared by a and -a, and by b and -b.
    #[inline(always)]
    fn kernel<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; 6] {
        let entry = |row: usize, tap: usize| s.splat(Self::G[row][tap] as f32);
        let even = |row| s.fma(entry(row, 2), g[2], s.mul(entry(row, 0), g[0]));
        let (a, even_a, b, even_b) = (entry(1, 1), even(1), entry(3, 1), even(3));
        [
            g[0],
            s.fma(a, g[1], even_a),
            s.fnma(a, g[1], even_a),
            s.fma(b, g[1], even_b),
            s.fnma(b, g[1], even_b),
            g[2],
        ]
    }

    // The row of a point p holds the coefficients of the product of x - q over the other points q, e.g.
    // x (x + a) (x^2 - b^2) for a: even and odd parts are shared by a and -a.
    #[inline(always)]
    fn input<S: Simd>(s: S, d: [S::V; 6]) -> [S::V; 6] {
        let (a, b) = (s.splat(A as f32), s.splat(B as f32));
        let (aa, bb, sum) = (s.splat(AA as f32), s.splat(BB as f32), s.splat((AA + BB) as f32));
        let (even_a, odd_a) = (s.fnma(bb, d[2], d[4]), s.fnma(bb, d[1], d[3]));
        let (even_b, odd_b) = (s.fnma(aa, d[2], d[4]), s.fnma(aa, d[1], d[3]));
        [
            s.fnma(sum, d[2], s.add(d[0], d[4])),
            s.fma(a, odd_a, even_a),
            s.fnma(a, odd_a, even_a),
            s.fma(b, odd_b, even_b),
            s.fnma(b, odd_b, even_b),
            s.fnma(sum, d[3], s.add(d[1], d[5])),
        ]
    }

    // Row i holds p^i of each point p.
    #[inline(always)]
    fn output<S: Simd>(s: S, m: [S::V; 6]) -> [S::V; 4] {
        let (a, b) = (s.splat(A as f32), s.splat(B as f32));
        let (aa, bb) = (s.splat(AA as f32), s.splat(BB as f32));
        let (even_a, odd_a) = (s.add(m[1], m[2]), s.mul(a, s.sub(m[1], m[2])));
        let (even_b, odd_b) = (s.add(m[3], m[4]), s.mul(b, s.sub(m[3], m[4])));
        [
            s.add(m[0], s.add(even_a, even_b)),
            s.add(odd_a, odd_b),
            s.fma(aa, even_a, s.mul(bb, even_b)),
            s.fma(aa, odd_a, s.fma(bb, odd_b, m[5])),
        ]
    }

    #[inline(always)]
    fn gradient<S: Simd>(s: S, y: [S::V; 4]) -> [S::V; 6] {
        let (a, b) = (s.splat(A as f32), s.splat(B as f32));
        let (aa, bb) = (s.splat(AA as f32), s.splat(BB as f32));
        let (even_a, odd_a) = (s.fma(aa, y[2], y[0]), s.fma(aa, y[3], y[1]));
        let (even_b, odd_b) = (s.fma(bb, y[2], y[0]), s.fma(bb, y[3], y[1]));
        [
            y[0],
            s.fma(a, odd_a, even_a),
            s.fnma(a, odd_a, even_a),
            s.fma(b, odd_b, even_b),
            s.fnma(b, odd_b, even_b),
            y[3],
        ]
    }
}

/// Points at stride 2: the same outputs, from n = 2 m + 1 inputs: `y[k] = sum of d[2 k + u] g[u]`.
///
/// The even inputs meet two taps, `g[0]` and `g[2]`, the odd ones `g[1]`. The first is F(m, 2) at the
/// points of `P` without infinity, m + 1 products; the second has m products of its own.
#[derive(Debug)]
pub(super) struct Strided<P>(PhantomData<P>);

macro_rules! strided {
    ($m:literal, $n:literal, $strided:literal) => {
        impl<P: Points<$m, $n>> Points<$m, $strided> for Strided<P> {
            const STRIDE: usize = 2;

            const G: [[f64; 3]; $strided] = {
                let mut g = [[0.0, 1.0, 0.0]; $strided];
                let mut point = 0;
                while point <= $m {
                    g[point] = [P::G[point][0], 0.0, P::G[point][1]];
                    point += 1;
                }
                g
            };

            #[inline(always)]
            fn input<S: Simd>(s: S, d: [S::V; $strided]) -> [S::V; $strided] {
                let even = std::array::from_fn(|i| if i <= $m { d[2 * i] } else { s.zero() });
                let even = P::input(s, even);
                std::array::from_fn(|i| if i <= $m { even[i] } else { d[2 * (i - $m) - 1] })
            }

            #[inline(always)]
            fn output<S: Simd>(s: S, m: [S::V; $strided]) -> [S::V; $m] {
                let even = std::array::from_fn(|i| if i <= $m { m[i] } else { s.zero() });
                let even = P::output(s, even);
                std::array::from_fn(|i| s.add(even[i], m[$m + 1 + i]))
            }

            #[inline(always)]
            fn gradient<S: Simd>(s: S, y: [S::V; $m]) -> [S::V; $strided] {
                let even = P::gradient(s, y);
                std::array::from_fn(|i| if i <= $m { even[i] } else { y[i - $m - 1] })
            }
        }
    };
}
strided!(2, 4, 5);
strided!(4, 6, 9);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Isa, Kernel, write};

    /// Filters one tile in every lane, `y[k] = sum of d[k stride + u] g[u]`, the one-dimensional algorithm.
    struct Filter<'a, const M: usize, const N: usize> {
        d: &'a [f32; N],
        g: [f64; N],
    }

    macro_rules! filter {
        ($points:ty, $m:literal, $n:literal) => {
            impl Kernel for Filter<'_, $m, $n> {
                type Output = Vec<f32>;

                #[inline(always)]
                fn run<S: Simd>(self, s: S) -> Vec<f32> {
                    let d = <$points>::input(s, self.d.map(|d| s.splat(d)));
                    let products = std::array::from_fn(|i| s.mul(d[i], s.splat(self.g[i] as f32)));
                    let mut y = vec![0.0; $m * S::LANES];
                    for (i, v) in <$points>::output(s, products).into_iter().enumerate() {
                        write(s, &mut y, i * S::LANES, v);
                    }
                    y.chunks(S::LANES).map(|lanes| lanes[S::LANES - 1]).collect()
                }
            }
        };
    }
    filter!(F2, 2, 4);
    filter!(F4, 4, 6);
    filter!(Strided<F2>, 2, 5);
    filter!(Strided<F4>, 4, 9);

    fn check<P: Points<M, N>, const M: usize, const N: usize>()
    where
        for<'a> Filter<'a, M, N>: Kernel<Output = Vec<f32>>,
    {
        let d: [f32; N] = std::array::from_fn(|i| (i as f32 * 1.7).sin());
        let g = [0.3, -0.8, 0.5];
        let transformed = P::G.map(|row| row[0] * g[0] + row[1] * g[1] + row[2] * g[2]);
        for isa in Isa::available() {
            let y = isa.run(Filter::<M, N> { d: &d, g: transformed });
            for (k, &found) in y.iter().enumerate() {
                let wanted: f64 = (0..3).map(|u| f64::from(d[k * P::STRIDE + u]) * g[u]).sum();
                assert!((f64::from(found) - wanted).abs() < 1e-6, "{isa} output {k}: {found}, not {wanted}");
            }
        }
    }

    #[test]
    fn two_outputs_are_the_filter() {
        check::<F2, 2, 4>();
    }

    #[test]
    fn four_outputs_are_the_filter() {
        check::<F4, 4, 6>();
    }

    #[test]
    fn outputs_at_stride_two_are_the_filter() {
        check::<Strided<F2>, 2, 5>();
        check::<Strided<F4>, 4, 9>();
    }
}
