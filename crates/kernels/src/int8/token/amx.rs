//! AMX: tiles of 16 rows of 64 bytes, multiplied by `tdpbusd`.
//!
//! The intrinsics are not stable, so the instructions are in assembly. A row of a tile is a run of a pixel's inputs: the
//! pixels under a row of the kernel, 16 channels each, so that 3x3 kernels fill three quarters of it and kernels of one tap
//! a quarter. Weights lie as they do for `vpdpbusd`.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::sync::OnceLock;

/// Proof that the machine has AMX for bytes beside AVX-512 VNNI, and that the system lets this process use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::int8) struct Amx(());

/// Configuration of the tiles, as `ldtilecfg` reads it.
#[repr(C, align(64))]
struct Configuration([u8; 64]);

/// Sums of two groups of pixels by two blocks of output channels.
pub(in crate::int8) struct Groups<'a> {
    /// First inputs of the first pixel of each group.
    pub(in crate::int8) x: [*const u8; 2],
    /// Bytes from a pixel's inputs to those of the next of its group.
    pub(in crate::int8) step: usize,
    /// Offsets of the runs of a pixel's inputs.
    pub(in crate::int8) runs: &'a [usize],
    /// Bytes of a run.
    pub(in crate::int8) run: usize,
    pub(in crate::int8) weights: *const i8,
    /// First values of the sums of the 32 channels.
    pub(in crate::int8) start: *const i32,
    /// `[group][pixel][channel]`
    pub(in crate::int8) sums: *mut i32,
    /// Bytes of the sums of a group.
    pub(in crate::int8) group: usize,
}

impl Amx {
    /// Most pixels of a group.
    pub(in crate::int8) const ROWS: usize = 16;
    /// Most bytes of a run.
    pub(in crate::int8) const BYTES: usize = 64;

    pub(super) fn detect() -> Option<Self> {
        static FOUND: OnceLock<bool> = OnceLock::new();
        FOUND.get_or_init(|| has_instructions() && is_permitted()).then_some(Self(()))
    }

    /// Makes tiles of `rows` pixels and runs of `run` bytes ready on this thread, until [`Amx::release`].
    pub(in crate::int8) fn configure(self, rows: usize, run: usize) {
        assert!(
            (1..=Self::ROWS).contains(&rows) && (4..=Self::BYTES).contains(&run) && run.is_multiple_of(4)
        );
        let mut configuration = Configuration([0; 64]);
        configuration.0[0] = 1;
        // 0 to 3 are sums, 4 and 5 inputs, 6 and 7 weights.
        for tile in 0..8 {
            let (height, width) = match tile {
                0..4 => (rows, 64),
                4..6 => (rows, run),
                _ => (run / 4, 64),
            };
            configuration.0[16 + 2 * tile] = width as u8;
            configuration.0[48 + tile] = height as u8;
        }
        // SAFETY: the token proves that the machine has the instruction; the configuration is a valid one.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly)) }
    }

    /// Gives the tiles back.
    pub(in crate::int8) fn release(self) {
        // SAFETY: the token proves that the machine has the instruction.
        unsafe { asm!("tilerelease", options(nostack, nomem)) }
    }

    /// Computes the sums of two groups of pixels.
    ///
    /// # Safety
    /// The tiles are configured, for pixels and runs that lie in the inputs; weights and starts are those of 32 channels,
    /// and the sums are valid for writing two groups.
    #[inline(always)]
    pub(in crate::int8) unsafe fn multiply(self, groups: &Groups<'_>) {
        let runs = groups.runs.as_ptr_range();
        // SAFETY: the token proves that the machine has the instructions; the caller vouches for the memory.
        unsafe {
            asm!(
                "xor {at:e}, {at:e}",
                "tileloadd tmm0, [{start} + {at}]",
                "tileloadd tmm1, [{start} + {at} + 64]",
                "tileloadd tmm2, [{start} + {at}]",
                "tileloadd tmm3, [{start} + {at} + 64]",
                "2:",
                "mov {at}, [{runs}]",
                "tileloadd tmm6, [{weights} + {line}]",
                "lea {start}, [{first} + {at}]",
                "tileloadd tmm4, [{start} + {step}]",
                "tdpbusd tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{weights} + {line} + 64]",
                "tdpbusd tmm1, tmm4, tmm7",
                "lea {start}, [{second} + {at}]",
                "tileloadd tmm5, [{start} + {step}]",
                "tdpbusd tmm2, tmm5, tmm6",
                "tdpbusd tmm3, tmm5, tmm7",
                "add {weights}, {each}",
                "add {runs}, 8",
                "cmp {runs}, {end}",
                "jne 2b",
                "tilestored [{sums} + {line}], tmm0",
                "tilestored [{sums} + {line} + 64], tmm1",
                "add {sums}, {group}",
                "tilestored [{sums} + {line}], tmm2",
                "tilestored [{sums} + {line} + 64], tmm3",
                at = out(reg) _,
                start = inout(reg) groups.start => _,
                runs = inout(reg) runs.start => _,
                end = in(reg) runs.end,
                weights = inout(reg) groups.weights => _,
                first = in(reg) groups.x[0],
                second = in(reg) groups.x[1],
                step = in(reg) groups.step,
                line = in(reg) 128_usize,
                each = in(reg) groups.run * 32,
                sums = inout(reg) groups.sums => _,
                group = in(reg) groups.group,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

/// Presence of the instructions, and of the system's support for their registers.
fn has_instructions() -> bool {
    /// AMX-TILE and AMX-INT8 in EDX of leaf 7.
    const AMX: u32 = 1 << 24 | 1 << 25;
    /// OSXSAVE in ECX of leaf 1.
    const OSXSAVE: u32 = 1 << 27;
    /// The configuration and the data of tiles in XCR0.
    const STATES: u64 = 1 << 17 | 1 << 18;
    #[target_feature(enable = "xsave")]
    fn states() -> u64 {
        // SAFETY: OSXSAVE says that the system lets programs read register 0.
        unsafe { _xgetbv(0) }
    }
    let saves = __cpuid(1).ecx & OSXSAVE != 0 && is_x86_feature_detected!("xsave");
    // SAFETY: the machine has XSAVE.
    saves
        && __cpuid(0).eax >= 7
        && __cpuid_count(7, 0).edx & AMX == AMX
        && unsafe { states() } & STATES == STATES
}

/// Asks the system to save the tiles of this process's threads.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: isize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let result: isize;
    // SAFETY: the call reads and writes no memory of the program.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}
