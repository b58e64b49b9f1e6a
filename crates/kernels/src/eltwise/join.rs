//! Where the two paths of a block meet, with a scale of its own for every channel of every image.

use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout, MapsMut, MapsRef};

/// `y[n, c, p] = act(scale[n, c] x[n, c, p] + shift[n, c] + factor[c] r[n, c, p])`
///
/// The join of a residual block in one pass: a branch normalised, gated (squeeze-and-excitation) and kept or
/// dropped (stochastic depth) by `scale` and `shift`, a shortcut `r` normalised by `factor`.
#[derive(Clone, Copy, Debug)]
pub struct Join<'a> {
    /// Vector of every channel of every image, `[batch, channels]`.
    pub scale: &'a [f32],
    /// Vector of every channel of every image, `[batch, channels]`.
    pub shift: &'a [f32],
    /// Residual, the shortcut's side.
    pub residual: Option<ScaledResidual<'a>>,
    /// ReLU: negative results become 0.
    pub relu: bool,
}

/// Residual of a [`Join`]: maps that are added, each channel by a factor.
#[derive(Clone, Copy, Debug)]
pub struct ScaledResidual<'a> {
    /// The maps.
    pub maps: MapsRef<'a>,
    /// The factor of each channel, 1 where there are none.
    pub factor: Option<&'a [f32]>,
}

impl Join<'_> {
    /// Computes `y`, all of it: its border and the lanes past the last channel become 0.
    ///
    /// # Errors
    /// [`Error::Shape`] where the maps are not blocked or not the same, [`Error::Length`] where a
    /// slice is too short or too long.
    pub fn run(&self, cpu: &Cpu, x: MapsRef<'_>, y: MapsMut<'_>) -> Result<(), Error> {
        let MapsRef { values: x, layout: from } = x;
        let MapsMut { values: y, layout: to } = y;
        check(&from, x.len(), &to, y.len(), self.scale.len())?;
        check_length("the summands", to.batch() * to.channels(), self.shift.len())?;
        if let Some(ScaledResidual { maps, factor }) = self.residual {
            check(&maps.layout, maps.values.len(), &to, y.len(), self.scale.len())?;
            factor.map_or(Ok(()), |f| check_length("the residual's factors", to.channels(), f.len()))?;
        }
        let y = Parts::new(y);
        cpu.pool().for_each(to.batch() * to.blocks(), |plane, _| {
            let (n, block) = (plane / to.blocks(), plane % to.blocks());
            cpu.isa().run(Plane { of: self, x, from: &from, y, to: &to, n, block });
            // SAFETY: every plane is one task's.
            unsafe { to.clear_border(y, n, block, 0..to.height()) }
        });
        Ok(())
    }

    /// The residual's factors of channel block `block`.
    fn factors(&self, block: usize) -> [f32; BLOCK] {
        let mut lanes = [1.0; BLOCK];
        if let Some(ScaledResidual { factor: Some(factor), .. }) = self.residual {
            let factor = &factor[block * BLOCK..];
            lanes.iter_mut().zip(factor).for_each(|(lane, &factor)| *lane = factor);
        }
        lanes
    }
}

fn check(from: &Layout, x: usize, to: &Layout, y: usize, factors: usize) -> Result<(), Error> {
    if !from.same_maps(to) || [from, to].iter().any(|layout| layout.block() != BLOCK) {
        let reason = format!("{from:?} and {to:?} are not the same blocked maps");
        return Err(Error::Shape { what: "the join of a block".into(), reason });
    }
    from.check("the input", x)?;
    to.check("the output", y)?;
    check_length("the factors", to.batch() * to.channels(), factors)
}

/// The factors of a block, 0 past the last channel.
fn lanes(factors: &[f32], maps: &Layout, n: usize, block: usize) -> [f32; BLOCK] {
    let mut lanes = [0.0; BLOCK];
    let count = BLOCK.min(maps.channels() - block * BLOCK);
    lanes[..count].copy_from_slice(&factors[n * maps.channels() + block * BLOCK..][..count]);
    lanes
}

/// Plane of a [`Join`].
struct Plane<'a> {
    of: &'a Join<'a>,
    x: &'a [f32],
    from: &'a Layout,
    y: Parts<'a>,
    to: &'a Layout,
    n: usize,
    block: usize,
}

impl Kernel for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { of, to, n, block, .. } = self;
        let [scale, shift] = [of.scale, of.shift].map(|v| lanes(v, to, n, block));
        let (factors, len) = (of.factors(block), to.width() * BLOCK);
        for row in 0..to.height() {
            let x = &self.x[self.from.index(n, block, row, 0)..][..len];
            let r = of.residual.map(|ScaledResidual { maps, .. }| {
                &maps.values[maps.layout.index(n, block, row, 0)..][..len]
            });
            let at = to.index(n, block, row, 0);
            // SAFETY: every plane is one task's.
            let y = unsafe { self.y.part(at..at + len) };
            for lane in (0..BLOCK).step_by(S::LANES) {
                let [scale, shift, factor] = [&scale, &shift, &factors].map(|v| s.read(v, lane));
                for at in (lane..len).step_by(BLOCK) {
                    // SAFETY: a vector at a pixel's `lane` ends in the row, whose slices were just made.
                    unsafe {
                        // Rounded as a convolution's epilogue does.
                        let mut sum = s.add(s.mul(s.load(x.as_ptr().add(at)), scale), shift);
                        if let Some(r) = r {
                            sum = s.add(sum, s.mul(s.load(r.as_ptr().add(at)), factor));
                        }
                        s.store(y.as_mut_ptr().add(at), if of.relu { s.relu(sum) } else { sum });
                    }
                }
            }
        }
    }
}

/// `g = dy act'(y)`, the gradient behind the ReLU of a [`Join`], and its sums over the pixels of every channel
/// of every image, `[batch, channels]`: `sums = [sum of g x, sum of g]`, rows in float32, their sums in
/// float64. Without `y` there is no ReLU; where `g` is not asked for, it is not written. Its border becomes 0.
///
/// # Errors
/// As for [`Join::run`].
pub fn gated_sums(
    cpu: &Cpu,
    x: MapsRef<'_>,
    dy: MapsRef<'_>,
    y: Option<MapsRef<'_>>,
    g: Option<MapsMut<'_>>,
    sums: [&mut [f32]; 2],
) -> Result<(), Error> {
    let MapsRef { values: x, layout: maps } = x;
    let MapsRef { values: dy, layout: from } = dy;
    check(&maps, x.len(), &from, dy.len(), sums[0].len())?;
    check_length("the sums", sums[0].len(), sums[1].len())?;
    if let Some(y) = y {
        check(&y.layout, y.values.len(), &from, dy.len(), sums[0].len())?;
    }
    if let Some(g) = &g {
        check(&from, dy.len(), &g.layout, g.values.len(), sums[0].len())?;
    }
    let (g, sums) = (g.map(|g| (Parts::new(g.values), g.layout)), sums.map(Parts::new));
    cpu.pool().for_each(maps.batch() * maps.blocks(), |plane, _| {
        let place @ [n, block] = [plane / maps.blocks(), plane % maps.blocks()];
        let totals = cpu.isa().run(Gate { x, maps: &maps, dy, from: &from, y, g, place });
        if let Some((g, to)) = g {
            // SAFETY: every plane is one task's.
            unsafe { to.clear_border(g, n, block, 0..to.height()) };
        }
        let at = n * maps.channels() + block * BLOCK;
        let count = BLOCK.min(maps.channels() - block * BLOCK);
        for (sums, totals) in sums.iter().zip(totals) {
            // SAFETY: the channels of a plane are one task's.
            let sums = unsafe { sums.part(at..at + count) };
            sums.iter_mut().zip(totals).for_each(|(sum, total)| *sum = total as f32);
        }
    });
    Ok(())
}

/// Plane of [`gated_sums`].
struct Gate<'a> {
    x: &'a [f32],
    maps: &'a Layout,
    dy: &'a [f32],
    from: &'a Layout,
    y: Option<MapsRef<'a>>,
    g: Option<(Parts<'a>, Layout)>,
    place: [usize; 2],
}

impl Kernel for Gate<'_> {
    type Output = [[f64; BLOCK]; 2];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [[f64; BLOCK]; 2] {
        let ([n, block], width) = (self.place, self.maps.width());
        let mut totals = [[0.0; BLOCK]; 2];
        for row in 0..self.maps.height() {
            let len = width * BLOCK;
            let x = &self.x[self.maps.index(n, block, row, 0)..][..len];
            let dy = &self.dy[self.from.index(n, block, row, 0)..][..len];
            let y = self.y.map(|y| &y.values[y.layout.index(n, block, row, 0)..][..len]);
            let g = self.g.map(|(g, to)| {
                let at = to.index(n, block, row, 0);
                assert!(at + len <= g.len());
                g.pointer(at)
            });
            let mut sums = [[0.0; BLOCK]; 2];
            for lane in (0..BLOCK).step_by(S::LANES) {
                let (mut products, mut sum) = (s.zero(), s.zero());
                for at in (lane..len).step_by(BLOCK) {
                    // SAFETY: a vector at a pixel's `lane` ends in the row, whose slices were just made;
                    // the row of `g` was checked, and its plane is one task's.
                    unsafe {
                        let mut behind = s.load(dy.as_ptr().add(at));
                        if let Some(y) = y {
                            behind = s.gate(behind, s.load(y.as_ptr().add(at)));
                        }
                        products = s.fma(behind, s.load(x.as_ptr().add(at)), products);
                        sum = s.add(sum, behind);
                        if let Some(g) = g {
                            s.store(g.add(at), behind);
                        }
                    }
                }
                // SAFETY: a vector from `lane` on ends at the block's end or before.
                unsafe {
                    s.store(sums[0][lane..].as_mut_ptr(), products);
                    s.store(sums[1][lane..].as_mut_ptr(), sum);
                }
            }
            for (totals, sums) in totals.iter_mut().zip(sums) {
                totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += f64::from(sum));
            }
        }
        totals
    }
}
