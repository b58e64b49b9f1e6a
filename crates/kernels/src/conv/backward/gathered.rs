//! The products of maps whose pixels do not lie one after the other: gathered first.
//!
//! At stride 2 every second pixel of a row is read, which uses half the sets of the level 1 cache; rows of
//! small images are short loops. Gathered, the pixels of a chunk are one long run.

use super::chunks::Chunk;
use super::direct::Share;
use super::outer::{Operand, Outer, Rows, run_outer};
use crate::simd::{BLOCK, Kernel, Simd};

/// The same as a [`Share`], with room for the pixels of a panel at a tap and of the task's output blocks.
pub(super) struct Gathered<'a> {
    pub(super) share: Share<'a>,
    pub(super) gathered: &'a mut [f32],
}

impl Kernel for Gathered<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { share, gathered } = self;
        let (chunks, task, taps) = (&share.plan.chunks, share.task, share.plan.shape.taps());
        let block = share.plan.gathered * BLOCK;
        let (inputs, gradients) = gathered.split_at_mut(task.width * block);
        for index in share.chunks.clone() {
            let chunk = chunks.get(index);
            let (first, last) = (index == share.chunks.start, index + 1 == share.chunks.end);
            let next = (!last).then(|| chunks.get(index + 1));
            let next = next.as_ref().unwrap_or(&chunk);
            for (out, to) in task.outs.clone().zip(gradients.chunks_exact_mut(block)) {
                let of = |chunk: &Chunk| chunks.gradient(share.dy, chunk, out);
                gather(s, &chunk, [of(&chunk), of(next)], to);
            }
            for panel in 0..task.panels() {
                let blocks = task.panel(panel);
                for tap in 0..taps {
                    for (input, to) in blocks.clone().zip(inputs.chunks_exact_mut(block)) {
                        let of = |chunk: &Chunk| chunks.input(share.x, chunk, input, tap);
                        gather(s, &chunk, [of(&chunk), of(next)], to);
                    }
                    for out in task.outs.clone() {
                        let kept = share.kept(panel, out, tap);
                        let run = |values, at| Operand { values, at, line: 0, step: BLOCK };
                        let outer = Outer {
                            left: run(gradients, (out - task.outs.start) * block),
                            rows: Rows::Block(share.target.bands.rows(out)),
                            right: run(inputs, 0),
                            right_block: block,
                            blocks: blocks.len(),
                            lines: 1,
                            pixels: chunk.lines * chunk.pixels,
                            from: (!first).then_some(kept),
                            to: if last && taps == 1 { share.weights(panel, out) } else { kept },
                            ahead: [None; 2],
                        };
                        // SAFETY: a task's sums and weights are its own.
                        unsafe { run_outer(s, &outer) }
                    }
                }
                if last && taps > 1 {
                    share.finish(s, panel);
                }
            }
        }
    }
}

/// Puts the pixels of a chunk, which lie as `from` says, one after the other, and asks for those of `next`.
#[inline(always)]
fn gather<S: Simd>(s: S, chunk: &Chunk, [from, next]: [Operand<'_>; 2], to: &mut [f32]) {
    let mut pixels = to.chunks_exact_mut(BLOCK);
    for line in 0..chunk.lines {
        let values = &from.values[from.at + line * from.line..];
        let values = &values[..(chunk.pixels - 1) * from.step + BLOCK];
        let ahead = next.values.as_ptr().wrapping_add(next.at + line * next.line);
        for (pixel, to) in (&mut pixels).take(chunk.pixels).enumerate() {
            s.prefetch(ahead.wrapping_add(pixel * next.step));
            for lane in (0..BLOCK).step_by(S::LANES) {
                let value = s.read(values, pixel * from.step + lane);
                // SAFETY: the piece has a block of floats, and a vector is no longer.
                unsafe { s.store(to[lane..].as_mut_ptr(), value) };
            }
        }
    }
}
