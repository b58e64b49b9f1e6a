//! The shortcut without parameters.

use crate::memory::Parts;
use crate::simd::BLOCK;
use crate::{Cpu, Error, Layout, MapsMut, MapsRef};

/// The shortcut without parameters (option A of He et al. 2015, section 3.3): every `stride`-th row and
/// column, and channels of zeros around the input's, the first `before` of the output's among them:
///
/// `y[n, before + c, p, q] = x[n, c, p stride, q stride]`, all else 0
///
/// # Errors
/// [`Error::Shape`] where the maps are not blocked, the stride is zero or does not lead from the one
/// size to the other (rounded up), or the output has too few channels; [`Error::Length`] where a slice
/// is too short or too long.
pub fn zero_pad(
    cpu: &Cpu,
    x: MapsRef<'_>,
    stride: usize,
    before: usize,
    y: MapsMut<'_>,
) -> Result<(), Error> {
    let MapsRef { values: x, layout: from } = x;
    let MapsMut { values: y, layout: to } = y;
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
    dy: MapsRef<'_>,
    stride: usize,
    before: usize,
    dx: MapsMut<'_>,
) -> Result<(), Error> {
    let MapsRef { values: dy, layout: from } = dy;
    let MapsMut { values: dx, layout: to } = dx;
    check_zero_pad(&to, stride, before, &from)?;
    from.check("the gradient with respect to the output", dy.len())?;
    to.check("the gradient with respect to the input", dx.len())?;
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

/// Check that every `stride`-th pixel of `from`, after `before` channels, gives `to`.
fn check_zero_pad(from: &Layout, stride: usize, before: usize, to: &Layout) -> Result<(), Error> {
    let size = |l: &Layout| [l.height(), l.width()];
    let fits = from.batch() == to.batch()
        && stride > 0
        && size(to) == size(from).map(|side| side.div_ceil(stride))
        && before.checked_add(from.channels()).is_some_and(|channels| channels <= to.channels());
    if fits && [from, to].iter().all(|layout| layout.block() == BLOCK) {
        return Ok(());
    }
    let reason = format!("{from:?} at stride {stride}, after {before} channels, does not give {to:?}");
    Err(Error::Shape { what: "the zero-padded shortcut".into(), reason })
}
