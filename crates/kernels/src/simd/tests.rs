//! Every operation of every instruction set, lane by lane, against scalar arithmetic.

use super::{BLOCK, Isa, Kernel, Simd};

/// Writes the vector that starts at `y[at]`.
#[inline(always)]
pub(crate) fn write<S: Simd>(s: S, y: &mut [f32], at: usize, v: S::V) {
    assert!(at + S::LANES <= y.len());
    // SAFETY: the lanes were just checked to lie in `y`.
    unsafe { s.store(y.as_mut_ptr().add(at), v) }
}

/// The operation under test, on vectors read from slices.
#[derive(Clone, Copy, Debug)]
enum Op {
    Add,
    Sub,
    Mul,
    Fma,
    Fnma,
    Relu,
    Max,
    Gate,
    WhereEqual,
    WhereAbove,
}

struct Apply<'a> {
    op: Op,
    a: &'a [f32],
    b: &'a [f32],
    c: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for at in (0..self.y.len()).step_by(S::LANES) {
            let (a, b, c) = (s.read(self.a, at), s.read(self.b, at), s.read(self.c, at));
            let v = match self.op {
                Op::Add => s.add(a, b),
                Op::Sub => s.sub(a, b),
                Op::Mul => s.mul(a, b),
                Op::Fma => s.fma(a, b, c),
                Op::Fnma => s.fnma(a, b, c),
                Op::Relu => s.relu(a),
                Op::Max => s.max(a, b),
                Op::Gate => s.gate(b, a),
                Op::WhereEqual => s.where_equal(c, a, b),
                Op::WhereAbove => s.where_above(c, b, a, b),
            };
            write(s, self.y, at, v);
        }
    }
}

fn expected(op: Op, a: f32, b: f32, c: f32) -> f32 {
    let (a, b, c) = (f64::from(a), f64::from(b), f64::from(c));
    let value = match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Fma => a * b + c,
        Op::Fnma => c - a * b,
        Op::Relu if a < 0.0 => 0.0,
        Op::Relu => a,
        Op::Max if a.is_nan() || b.is_nan() => f64::NAN,
        Op::Max => a.max(b),
        Op::Gate if a <= 0.0 => 0.0,
        Op::Gate => b,
        Op::WhereEqual if a == b => c,
        Op::WhereEqual => 0.0,
        Op::WhereAbove if a > b || a.is_nan() => c,
        Op::WhereAbove => b,
    };
    value as f32
}

#[test]
fn operations_are_scalar_arithmetic_in_every_lane() {
    let values = [0.0, -0.5, 1.25, -3.0, 1e20, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let of = |shift: usize| (0..64).map(|i| values[(i * shift + i / 8) % 8]).collect::<Vec<f32>>();
    let (a, b, c) = (of(1), of(3), of(5));
    for isa in Isa::available() {
        let operations = [
            Op::Add,
            Op::Sub,
            Op::Mul,
            Op::Fma,
            Op::Fnma,
            Op::Relu,
            Op::Max,
            Op::Gate,
            Op::WhereEqual,
            Op::WhereAbove,
        ];
        for op in operations {
            let mut y = vec![7.0; 64];
            isa.run(Apply { op, a: &a, b: &b, c: &c, y: &mut y });
            for i in 0..64 {
                let wanted = expected(op, a[i], b[i], c[i]);
                let same = y[i] == wanted || (y[i].is_nan() && wanted.is_nan());
                assert!(same, "{isa} {op:?} lane {i}: {} {} {} gave {}", a[i], b[i], c[i], y[i]);
            }
        }
    }
}

/// Transposes rows of `x` that start `stride` floats apart into columns of `y` that do.
struct Transpose<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    stride: usize,
    columns: usize,
}

impl Kernel for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rows = std::array::from_fn(|row| self.x[row * self.stride..][..BLOCK].as_ptr());
        let columns = self.y.chunks_mut(self.stride).take(self.columns);
        let columns: Vec<_> = columns.map(|column| column[..BLOCK].as_mut_ptr()).collect();
        // SAFETY: rows and columns were just sliced, and the chunks of `y` do not overlap.
        unsafe { s.transpose(&rows, &columns) }
    }
}

#[test]
fn a_transpose_moves_every_float_to_its_place_and_writes_nothing_else() {
    for isa in Isa::available() {
        for (stride, columns) in [16, 21].into_iter().flat_map(|s| (0..=BLOCK).map(move |c| (s, c))) {
            let x: Vec<f32> = (0..BLOCK * stride).map(|i| i as f32).collect();
            let mut y = vec![-1.0; BLOCK * stride];
            isa.run(Transpose { x: &x, y: &mut y, stride, columns });
            for (at, &found) in y.iter().enumerate() {
                let (column, row) = (at / stride, at % stride);
                let wanted = if column < columns && row < BLOCK { x[row * stride + column] } else { -1.0 };
                assert_eq!(found, wanted, "{isa}, {columns} columns: float {row} of column {column}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "LANES")]
fn a_read_past_the_end_is_refused() {
    struct Past;
    impl Kernel for Past {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            s.read(&vec![0.0; S::LANES], 1);
        }
    }
    Isa::available()[0].run(Past);
}

#[test]
fn an_unknown_name_lists_what_there_is() {
    let error = Isa::named("mmx").unwrap_err().to_string();
    assert!(error.contains("mmx") && error.contains("portable"), "{error}");
}

#[test]
fn every_name_finds_its_own() {
    for isa in Isa::available() {
        assert_eq!(Isa::named(isa.name()).unwrap(), isa);
    }
}

#[test]
fn woven_vectors_lie_lane_by_lane() {
    struct Weave<'a>(&'a [f32], &'a mut [f32]);
    impl Kernel for Weave<'_> {
        type Output = usize;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> usize {
            let mut v = [s.zero(); 9];
            for (k, v) in v.iter_mut().enumerate() {
                *v = s.read(self.0, k * S::LANES);
            }
            assert!(9 * S::LANES < self.1.len());
            // SAFETY: just checked.
            unsafe { s.weave(self.1.as_mut_ptr(), v) };
            S::LANES
        }
    }
    let values: Vec<f32> = (1..=9 * BLOCK).map(|value| value as f32).collect();
    for isa in Isa::available() {
        let mut woven = vec![0.0; 9 * BLOCK + 1];
        let lanes = isa.run(Weave(&values, &mut woven));
        for (at, &found) in woven.iter().enumerate() {
            let wanted = if at < 9 * lanes { values[at % 9 * lanes + at / 9] } else { 0.0 };
            assert_eq!(found, wanted, "{isa} {at}");
        }
    }
}
