//! How much more arithmetic than float32's a core does in int8, bfloat16 and float16.
//!
//! `cargo bench -p residual-kernels --bench low_precision`; `RESIDUAL_THREADS` sets the threads (2). All
//! rates are of registers alone, in turns with float32's, and count a multiplication and an addition as
//! two operations: what a kernel cannot exceed. `docs/decisions/011-low-precision.md` says what follows.

#[cfg(target_arch = "x86_64")]
fn main() -> Result<(), residual_kernels::Error> {
    avx512::main()
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("skipped: only the instructions of x86-64 are measured");
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::asm;
    use std::time::Instant;

    use residual_kernels::{Cpu, Error};

    /// Accumulators: enough to hide the latency of two instructions a cycle.
    const ACCUMULATORS: usize = 16;
    /// Instructions of one accumulator in a sample: some milliseconds.
    const ROUNDS: usize = 500_000;
    /// Samples of each instruction; the median counts.
    const SAMPLES: usize = 41;

    /// An instruction that multiplies two vectors and adds the products to a third.
    struct Instruction {
        name: &'static str,
        what: &'static str,
        /// Whether the machine has it.
        found: bool,
        /// Multiplications and additions that it does.
        operations: usize,
        /// Runs it `ACCUMULATORS * rounds` times.
        ///
        /// # Safety
        /// Only where `found`.
        run: unsafe fn(usize),
    }

    /// A loop of `$instruction` on [`ACCUMULATORS`] registers. Written in assembly because the rate of a
    /// loop that a compiler is free to change is that of the change; and neither intrinsics nor types of
    /// float16 are needed. `$operand` holds small numbers in every element, so that nothing overflows to
    /// infinity or vanishes.
    macro_rules! flat_out {
        ($name:ident, $instruction:literal, $operand:literal) => {
            /// # Safety
            /// Only where the machine has the instruction.
            #[target_feature(enable = "avx512f")]
            unsafe fn $name(rounds: usize) {
                // SAFETY: the registers that are written are declared, memory is not touched; the caller
                // vouches for the instruction.
                unsafe {
                    asm!(
                        "vpbroadcastd zmm16, {operand:e}",
                        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
                        "vpxord zmm\\i, zmm\\i, zmm\\i",
                        ".endr",
                        "2:",
                        ".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
                        concat!($instruction, " zmm\\i, zmm16, zmm16"),
                        ".endr",
                        "dec {rounds}",
                        "jnz 2b",
                        operand = in(reg) $operand,
                        rounds = inout(reg) rounds => _,
                        out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _,
                        out("zmm4") _, out("zmm5") _, out("zmm6") _, out("zmm7") _,
                        out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                        out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _,
                        out("zmm16") _,
                        options(nomem, nostack),
                    );
                }
            }
        };
    }

    flat_out!(float32, "vfmadd231ps", 0x3d80_0000_u32);
    flat_out!(int8, "vpdpbusd", 0x0101_0101_u32);
    flat_out!(bfloat16, "vdpbf16ps", 0x3d80_3d80_u32);
    flat_out!(float16, "vfmadd231ph", 0x2c00_2c00_u32);

    fn instructions() -> [Instruction; 4] {
        let found = [
            is_x86_feature_detected!("avx512f"),
            is_x86_feature_detected!("avx512vnni"),
            is_x86_feature_detected!("avx512bf16"),
            is_x86_feature_detected!("avx512fp16"),
        ];
        let of = |i: usize, name, what, products: usize, run| Instruction {
            name,
            what,
            found: found[0] && found[i],
            operations: 2 * products,
            run,
        };
        [
            of(0, "vfmadd231ps", "float32", 16, float32 as unsafe fn(usize)),
            of(1, "vpdpbusd", "int8, summed in int32", 64, int8),
            of(2, "vdpbf16ps", "bfloat16, summed in float32", 32, bfloat16),
            of(3, "vfmadd231ph", "float16, summed in float16", 32, float16),
        ]
    }

    fn median(samples: &mut [f64]) -> f64 {
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 2]
    }

    pub(super) fn main() -> Result<(), Error> {
        let threads = std::env::var("RESIDUAL_THREADS").ok().and_then(|t| t.parse().ok()).unwrap_or(2);
        let cpu = Cpu::new(threads)?;
        let (found, missing): (Vec<_>, Vec<_>) = instructions().into_iter().partition(|i| i.found);
        for instruction in missing {
            println!("{:12} {:28} skipped: this machine lacks it", instruction.name, instruction.what);
        }
        // Seconds of each sample, by instruction; the first is float32's.
        let mut seconds = vec![Vec::new(); found.len()];
        for _ in 0..SAMPLES {
            for (instruction, seconds) in found.iter().zip(&mut seconds) {
                let start = Instant::now();
                // SAFETY: the machine has this instruction.
                cpu.pool().for_each(threads, |_, _| unsafe { (instruction.run)(ROUNDS) });
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
        let mut float32 = None;
        for (instruction, seconds) in found.iter().zip(&mut seconds) {
            let operations = (threads * ROUNDS * ACCUMULATORS * instruction.operations) as f64;
            let rate = operations / median(seconds) / 1e9;
            let ratio = rate / *float32.get_or_insert(rate);
            let (name, what) = (instruction.name, instruction.what);
            println!("{name:12} {what:28} {rate:8.1} GOP/s on {threads} threads, {ratio:.2} of float32's");
        }
        Ok(())
    }
}
