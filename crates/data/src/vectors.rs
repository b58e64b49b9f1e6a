//! Loops over pixels, compiled for the instruction set of this machine.

use std::sync::LazyLock;

use residual_kernels::{Isa, Vectorise};

/// Instruction set that pixels are worked on with. Where `RESIDUAL_ISA` names none, whoever computes says so; here it is
/// the first that there is, and the bits are the same on all.
static ISA: LazyLock<Isa> = LazyLock::new(|| Isa::detect().unwrap_or_else(|_| Isa::available()[0]));

/// Does some work on the instruction set of this machine.
pub(crate) fn vectorised<W: Vectorise>(work: W) -> W::Output {
    ISA.vectorise(work)
}
