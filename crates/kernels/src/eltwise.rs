//! Element by element: the gate of squeeze-and-excitation (Hu et al. 2018), which scales every channel of
//! every image, and the shortcut without parameters, which moves elements and computes nothing.

use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, KernelError, Layout};

/// `y[n, c, p] = x[n, c, p] s[n, c]`, with `s` `[batch, channels]`. The border and the lanes past the last
/// channel become 0. With `dy` for `x` it is the gradient by `x`.
///
/// # Errors
/// [`KernelError::Shape`] where the maps are not blocked or not the same, [`KernelError::Length`] where a
/// slice is too short or too long.
pub fn scale_channels(
    cpu: &Cpu,
    (x, from): (&[f32], Layout),
    factors: &[f32],
    (y, to): (&mut [f32], Layout),
) -> Result<(), KernelError> {
    check(&from, x.len(), &to, y.len(), factors.len())?;
    let y = Parts::new(y);
    cpu.pool().for_each(to.batch() * to.blocks(), |plane, _| {
        let (n, block) = (plane / to.blocks(), plane % to.blocks());
        let factors = lanes(factors, &to, n, block);
        for row in 0..to.height() {
            let (from, at) = (from.index(n, block, row, 0), to.index(n, block, row, 0));
            let len = to.width() * BLOCK;
            // SAFETY: every plane is one task's.
            let y = unsafe { y.part(at..at + len) };
            cpu.isa().run(Scale { x: &x[from..from + len], factors: &factors, y });
        }
        // SAFETY: as above.
        unsafe { to.clear_border(y, n, block, 0..to.height()) }
    });
    Ok(())
}

/// The gradient of [`scale_channels`] by the factors: `ds[n, c] = sum over p of dy[n, c, p] x[n, c, p]`,
/// rows in float32, their sums in float64.
///
/// # Errors
/// As for [`scale_channels`].
pub fn scale_channels_backward(
    cpu: &Cpu,
    (x, maps): (&[f32], Layout),
    (dy, gradients): (&[f32], Layout),
    ds: &mut [f32],
) -> Result<(), KernelError> {
    check(&maps, x.len(), &gradients, dy.len(), ds.len())?;
    let (channels, ds) = (maps.channels(), Parts::new(ds));
    cpu.pool().for_each(maps.batch() * maps.blocks(), |plane, _| {
        let (n, block) = (plane / maps.blocks(), plane % maps.blocks());
        let mut totals = [0.0_f64; BLOCK];
        let len = maps.width() * BLOCK;
        for row in 0..maps.height() {
            let x = &x[maps.index(n, block, row, 0)..][..len];
            let dy = &dy[gradients.index(n, block, row, 0)..][..len];
            let sums = cpu.isa().run(Products { x, dy });
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += f64::from(sum));
        }
        let count = BLOCK.min(channels - block * BLOCK);
        let at = n * channels + block * BLOCK;
        // SAFETY: the channels of a plane are one task's.
        let ds = unsafe { ds.part(at..at + count) };
        ds.iter_mut().zip(totals).for_each(|(ds, total)| *ds = total as f32);
    });
    Ok(())
}

/// The shortcut without parameters (option A of He et al. 2015, section 3.3): every `stride`-th row and
/// column, and channels of zeros around the input's, the first `before` of the output's among them:
///
/// `y[n, before + c, p, q] = x[n, c, p stride, q stride]`, all else 0
///
/// # Errors
/// [`KernelError::Shape`] where the maps are not blocked, the stride is zero or does not lead from the one
/// size to the other (rounded up), or the output has too few channels; [`KernelError::Length`] where a slice
/// is too short or too long.
pub fn zero_pad(
    cpu: &Cpu,
    (x, from): (&[f32], Layout),
    stride: usize,
    before: usize,
    (y, to): (&mut [f32], Layout),
) -> Result<(), KernelError> {
    check_zero_pad(&from, stride, before, &to)?;
    from.check("the input", x.len())?;
    to.check("the output", y.len())?;
    let y = Parts::new(y);
    cpu.pool().for_each(to.batch() * to.blocks(), |plane, _| {
        let (n, block) = (plane / to.blocks(), plane % to.blocks());
        let start = n * to.image() + block * to.plane();
        // SAFETY: every plane is one task's.
        let plane = unsafe { y.part(start..start + to.plane()) };
        plane.fill(0.0);
        // The channels of a block come from one block, or from two that follow each other.
        let mut lane = before.saturating_sub(block * BLOCK);
        while lane < BLOCK && block * BLOCK + lane - before < from.channels() {
            let channel = block * BLOCK + lane - before;
            let lanes = (BLOCK - lane).min(BLOCK - channel % BLOCK).min(from.channels() - channel);
            for row in 0..to.height() {
                let source = from.index(n, channel / BLOCK, row * stride, 0) + channel % BLOCK;
                let target = to.index(0, 0, row, 0) + lane;
                for pixel in 0..to.width() {
                    let x = &x[source + pixel * stride * BLOCK..][..lanes];
                    plane[target + pixel * BLOCK..][..lanes].copy_from_slice(x);
                }
            }
            lane += lanes;
        }
    });
    Ok(())
}

/// The gradient of [`zero_pad`] by its input: what the pixels that were taken receive, 0 for all others.
///
/// `dx[n, c, h, w] = dy[n, before + c, h / stride, w / stride]` where `stride` divides both, else 0
///
/// # Errors
/// As for [`zero_pad`].
pub fn zero_pad_backward(
    cpu: &Cpu,
    (dy, from): (&[f32], Layout),
    stride: usize,
    before: usize,
    (dx, to): (&mut [f32], Layout),
) -> Result<(), KernelError> {
    check_zero_pad(&to, stride, before, &from)?;
    from.check("the gradient by the output", dy.len())?;
    to.check("the gradient by the input", dx.len())?;
    let dx = Parts::new(dx);
    cpu.pool().for_each(to.batch() * to.blocks(), |plane, _| {
        let (n, block) = (plane / to.blocks(), plane % to.blocks());
        let start = n * to.image() + block * to.plane();
        // SAFETY: every plane is one task's.
        let plane = unsafe { dx.part(start..start + to.plane()) };
        plane.fill(0.0);
        let (mut lane, end) = (0, BLOCK.min(to.channels() - block * BLOCK));
        while lane < end {
            let channel = before + block * BLOCK + lane;
            let lanes = (end - lane).min(BLOCK - channel % BLOCK);
            for row in 0..from.height() {
                let source = from.index(n, channel / BLOCK, row, 0) + channel % BLOCK;
                let target = to.index(0, 0, row * stride, 0) + lane;
                for pixel in 0..from.width() {
                    let dy = &dy[source + pixel * BLOCK..][..lanes];
                    plane[target + pixel * stride * BLOCK..][..lanes].copy_from_slice(dy);
                }
            }
            lane += lanes;
        }
    });
    Ok(())
}

/// Whether every `stride`-th pixel of `from`, after `before` channels, gives `to`.
fn check_zero_pad(from: &Layout, stride: usize, before: usize, to: &Layout) -> Result<(), KernelError> {
    let size = |l: &Layout| [l.height(), l.width()];
    let fits = from.batch() == to.batch()
        && stride > 0
        && size(to) == size(from).map(|side| side.div_ceil(stride))
        && before.checked_add(from.channels()).is_some_and(|channels| channels <= to.channels());
    if fits && [from, to].iter().all(|layout| layout.block() == BLOCK) {
        return Ok(());
    }
    let reason = format!("{from:?} at stride {stride}, after {before} channels, does not give {to:?}");
    Err(KernelError::Shape { what: "the zero-padded shortcut".into(), reason })
}

fn check(from: &Layout, x: usize, to: &Layout, y: usize, factors: usize) -> Result<(), KernelError> {
    if !from.same_maps(to) || [from, to].iter().any(|layout| layout.block() != BLOCK) {
        let reason = format!("{from:?} and {to:?} are not the same blocked maps");
        return Err(KernelError::Shape { what: "the scaling of channels".into(), reason });
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

/// One row.
struct Scale<'a> {
    x: &'a [f32],
    factors: &'a [f32; BLOCK],
    y: &'a mut [f32],
}

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (x, y) in self.x.chunks_exact(BLOCK).zip(self.y.chunks_exact_mut(BLOCK)) {
            for lane in (0..BLOCK).step_by(S::LANES) {
                let product = s.mul(s.read(x, lane), s.read(self.factors, lane));
                // SAFETY: a vector from `lane` on ends at the block's end or before.
                unsafe { s.store(y[lane..].as_mut_ptr(), product) }
            }
        }
    }
}

/// The sums of one row's products.
struct Products<'a> {
    x: &'a [f32],
    dy: &'a [f32],
}

impl Kernel for Products<'_> {
    type Output = [f32; BLOCK];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; BLOCK] {
        let mut sums = [0.0; BLOCK];
        for lane in (0..BLOCK).step_by(S::LANES) {
            let mut sum = s.zero();
            for (x, dy) in self.x.chunks_exact(BLOCK).zip(self.dy.chunks_exact(BLOCK)) {
                sum = s.fma(s.read(x, lane), s.read(dy, lane), sum);
            }
            // SAFETY: as in `Scale`.
            unsafe { s.store(sums[lane..].as_mut_ptr(), sum) }
        }
        sums
    }
}
