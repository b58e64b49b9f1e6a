//! The blur pool: a binomial filter with a stride.

use super::windows::wrong;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout, MapsMut, MapsRef};

/// Blur pool (Zhang 2019): `y = [1, 2, 1]^T [1, 2, 1] / 16` on `x` by channel, every `stride`-th row and column, padded
/// by one row and column of reflection. Down the columns first, then across them.
///
/// # Shapes
/// Blocked maps of two rows and columns or more to `ceil(height / stride)` rows and `ceil(width / stride)` columns.
///
/// # Errors
/// [`Error::Shape`] and [`Error::Length`] where the maps are not this pooling's.
pub fn blur(cpu: &Cpu, stride: usize, x: MapsRef<'_>, y: MapsMut<'_>) -> Result<(), Error> {
    check(stride, &x, &y)?;
    let MapsRef { values: x, layout: from } = x;
    let MapsMut { values: y, layout: to } = y;
    let y = Parts::new(y);
    cpu.pool().for_each(to.batch() * to.blocks(), |plane, _| {
        let (n, block) = (plane / to.blocks(), plane % to.blocks());
        // SAFETY: every plane is one task's, and so is its border.
        let target = unsafe {
            to.clear_border(y, n, block, 0..to.height());
            y.part(plane * to.plane()..(plane + 1) * to.plane())
        };
        let x = &x[plane * from.plane()..(plane + 1) * from.plane()];
        cpu.isa().run(Plane { stride, x, from: &from, target, to: &to });
    });
    Ok(())
}

fn check(stride: usize, x: &MapsRef<'_>, y: &MapsMut<'_>) -> Result<(), Error> {
    let (from, to) = (&x.layout, &y.layout);
    let sides = [from.height(), from.width()];
    let fits = stride > 0
        && sides.iter().all(|&side| side > 1)
        && sides.map(|side| side.div_ceil(stride)) == [to.height(), to.width()]
        && (from.batch(), from.channels()) == (to.batch(), to.channels());
    if !fits || [from, to].iter().any(|layout| layout.block() != BLOCK) {
        return Err(wrong(format!("{from:?} to {to:?} is not a blur at stride {stride} of blocked maps")));
    }
    from.check("the input's side", x.values.len())?;
    to.check("the output's side", y.values.len())
}

/// The pixel that is read for the one before, at and after `at`, on an axis of `side` pixels.
fn taps(at: usize, side: usize) -> [usize; 3] {
    let before = if at == 0 { 1 } else { at - 1 };
    let after = if at + 1 == side { side - 2 } else { at + 1 };
    [before, at, after]
}

/// One plane.
struct Plane<'a> {
    stride: usize,
    x: &'a [f32],
    from: &'a Layout,
    target: &'a mut [f32],
    to: &'a Layout,
}

impl Kernel for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { stride, x, from, target, to } = self;
        for row in 0..to.height() {
            let rows = taps(row * stride, from.height()).map(|row| from.index(0, 0, row, 0));
            for column in 0..to.width() {
                let columns = taps(column * stride, from.width()).map(|column| column * BLOCK);
                let at = to.index(0, 0, row, column);
                let target = &mut target[at..at + BLOCK];
                for lane in (0..BLOCK).step_by(S::LANES) {
                    let down = columns.map(|at| binomial(s, rows.map(|row| s.read(x, row + at + lane))));
                    // SAFETY: a vector from `lane` on ends at the block's end or before.
                    unsafe { s.store(target[lane..].as_mut_ptr(), binomial(s, down)) }
                }
            }
        }
    }
}

/// `(a + 2 b + c) / 4`
#[inline(always)]
fn binomial<S: Simd>(s: S, [a, b, c]: [S::V; 3]) -> S::V {
    s.mul(s.add(s.add(a, s.add(b, b)), c), s.splat(0.25))
}
