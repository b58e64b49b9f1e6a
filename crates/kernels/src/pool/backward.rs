//! The gradients of the maximum and of the mean of every window.

use super::windows::{Bin, Pooling};
use crate::layout::workspace as floats;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout, MapsMut, MapsRef};

/// The gradient of [`maximum`](super::maximum): all of a window's goes to its first maximum, as in PyTorch, and to the
/// last NaN where there is one. `x` is what was pooled, and becomes the gradient with respect to it.
///
/// The workspace holds at least [`maximum_backward_workspace`] floats.
///
/// # Errors
/// [`Error::Shape`] and [`Error::Length`] where the maps are not this pooling's, or the workspace is too
/// short.
pub fn maximum_backward(
    cpu: &Cpu,
    pooling: &Pooling,
    dy: MapsRef<'_>,
    x: MapsMut<'_>,
    workspace: &mut [f32],
) -> Result<(), Error> {
    let MapsRef { values: dy, layout: from } = dy;
    let MapsMut { values: x, layout: maps } = x;
    pooling.check([(&maps, x.len()), (&from, dy.len())])?;
    let workspace = floats(maximum_backward_workspace(cpu, &maps), workspace)?;
    let (planes, copies) = (Parts::new(x), Parts::new(workspace));
    cpu.pool().for_each(maps.batch() * maps.blocks(), |plane, worker| {
        // SAFETY: every plane is one task's.
        let target = unsafe { planes.part(plane * maps.plane()..(plane + 1) * maps.plane()) };
        // SAFETY: no two tasks that run at the same time have the same worker.
        let x = unsafe { copies.part(worker * maps.plane()..(worker + 1) * maps.plane()) };
        x.copy_from_slice(target);
        target.fill(0.0);
        let dy = &dy[plane * from.plane()..(plane + 1) * from.plane()];
        let spread = Maximum { x, maps: &maps };
        cpu.isa().run(Plane { pooling, spread, dy, from: &from, target, to: &maps });
    });
    Ok(())
}

/// Floats of workspace that [`maximum_backward`] needs for `maps` on `cpu`: a plane for each thread.
pub fn maximum_backward_workspace(cpu: &Cpu, maps: &Layout) -> usize {
    cpu.pool().threads() * maps.plane()
}

/// The gradient of [`average`](super::average).
///
/// # Errors
/// [`Error::Shape`] and [`Error::Length`] where the maps are not this pooling's.
pub fn average_backward(cpu: &Cpu, pooling: &Pooling, dy: MapsRef<'_>, dx: MapsMut<'_>) -> Result<(), Error> {
    let MapsRef { values: dy, layout: from } = dy;
    let MapsMut { values: dx, layout: to } = dx;
    pooling.check([(&to, dx.len()), (&from, dy.len())])?;
    let dx = Parts::new(dx);
    cpu.pool().for_each(to.batch() * to.blocks(), |plane, _| {
        // SAFETY: every plane is one task's.
        let target = unsafe { dx.part(plane * to.plane()..(plane + 1) * to.plane()) };
        target.fill(0.0);
        let dy = &dy[plane * from.plane()..(plane + 1) * from.plane()];
        cpu.isa().run(Plane { pooling, spread: Average, dy, from: &from, target, to: &to });
    });
    Ok(())
}

/// Distribution of a window's gradient over its pixels.
///
/// Kernels with `R` and `C` are for windows of `R` rows and `C` columns, 0 standing for any: with constants the
/// loops disappear.
trait Spread: Copy + Sync {
    /// Vectors of a window, two, from `lane` on.
    fn window<S: Simd, const R: usize, const C: usize>(&self, s: S, at: &At<'_>, dy: S::V) -> [S::V; 2];

    /// Gradient of pixel number `tap` of a window.
    fn share<S: Simd>(s: S, window: [S::V; 2], tap: usize) -> S::V;
}

/// A window of a plane.
struct At<'a> {
    rows: &'a Bin,
    columns: &'a Bin,
    lane: usize,
}

impl At<'_> {
    /// The displacement of the first of its floats in a plane of maps of layout `maps`.
    ///
    /// # Panics
    /// If the window does not lie in `len` floats.
    #[inline(always)]
    fn within(&self, maps: &Layout, len: usize) -> usize {
        let (rows, columns) = (&self.rows.range, &self.columns.range);
        assert!(maps.index(0, 0, rows.end - 1, columns.end - 1) + BLOCK <= len);
        maps.index(0, 0, rows.start, columns.start) + self.lane
    }

    #[inline(always)]
    fn size<const R: usize, const C: usize>(&self) -> [usize; 2] {
        let or = |constant: usize, any: usize| if constant == 0 { any } else { constant };
        [or(R, self.rows.range.len()), or(C, self.columns.range.len())]
    }
}

/// The first maximum of a plane `x` receives everything.
#[derive(Clone, Copy)]
struct Maximum<'a> {
    x: &'a [f32],
    maps: &'a Layout,
}

impl Spread for Maximum<'_> {
    /// The gradient, and which pixel is the first that has the maximum.
    #[inline(always)]
    fn window<S: Simd, const R: usize, const C: usize>(&self, s: S, at: &At<'_>, dy: S::V) -> [S::V; 2] {
        let start = at.within(self.maps, self.x.len());
        let [rows, columns] = at.size::<R, C>();
        let (mut best, mut first) = (s.splat(f32::NEG_INFINITY), s.zero());
        for row in 0..rows {
            for column in 0..columns {
                // SAFETY: the window was just checked to lie in `x`.
                let x =
                    unsafe { s.load(self.x.as_ptr().add(start + row * self.maps.row() + column * BLOCK)) };
                first = s.where_above(s.splat((row * columns + column) as f32), first, x, best);
                best = s.where_above(x, best, x, best);
            }
        }
        [dy, first]
    }

    #[inline(always)]
    fn share<S: Simd>(s: S, [dy, first]: [S::V; 2], tap: usize) -> S::V {
        s.where_equal(dy, first, s.splat(tap as f32))
    }
}

/// Mean: all pixels receive the same.
#[derive(Clone, Copy)]
struct Average;

impl Spread for Average {
    #[inline(always)]
    fn window<S: Simd, const R: usize, const C: usize>(&self, s: S, at: &At<'_>, dy: S::V) -> [S::V; 2] {
        let divisor = (at.rows.count * at.columns.count) as f32;
        [s.mul(dy, s.splat(1.0 / divisor)), s.zero()]
    }

    #[inline(always)]
    fn share<S: Simd>(_: S, [share, _]: [S::V; 2], _: usize) -> S::V {
        share
    }
}

/// Plane of zeros, to which the windows add.
struct Plane<'a, G> {
    pooling: &'a Pooling,
    spread: G,
    dy: &'a [f32],
    from: &'a Layout,
    target: &'a mut [f32],
    to: &'a Layout,
}

impl<G: Spread> Kernel for Plane<'_, G> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let [down, across] = &self.pooling.bins;
        for (y, rows) in down.iter().enumerate() {
            for (x, columns) in across.iter().enumerate() {
                for lane in (0..BLOCK).step_by(S::LANES) {
                    let at = At { rows, columns, lane };
                    let dy = s.read(self.dy, self.from.index(0, 0, y, x) + lane);
                    match at.size::<0, 0>() {
                        [3, 3] => self.add::<S, 3, 3>(s, &at, dy),
                        [2, 2] => self.add::<S, 2, 2>(s, &at, dy),
                        _ => self.add::<S, 0, 0>(s, &at, dy),
                    }
                }
            }
        }
    }
}

impl<G: Spread> Plane<'_, G> {
    /// Adds the shares of a window's pixels.
    #[inline(always)]
    fn add<S: Simd, const R: usize, const C: usize>(&mut self, s: S, at: &At<'_>, dy: S::V) {
        let window = self.spread.window::<S, R, C>(s, at, dy);
        let start = at.within(self.to, self.target.len());
        let [rows, columns] = at.size::<R, C>();
        for row in 0..rows {
            for column in 0..columns {
                let share = G::share(s, window, row * columns + column);
                // SAFETY: the window was just checked to lie in the target.
                unsafe {
                    let pixel = self.target.as_mut_ptr().add(start + row * self.to.row() + column * BLOCK);
                    s.store(pixel, s.add(s.load(pixel), share));
                }
            }
        }
    }
}
