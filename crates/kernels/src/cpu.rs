//! What the kernels run on.

use crate::{Error, Isa, Pool};

/// Processor: an instruction set, a pool of threads and the sizes of the caches, which every kernel is handed.
///
/// ```
/// use residual_kernels::Cpu;
///
/// let cpu = Cpu::new(2)?;
/// assert!(cpu.pool().threads() <= 2);
/// println!("{} on {} threads", cpu.isa(), cpu.pool().threads());
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Cpu {
    isa: Isa,
    pool: Pool,
    level2: usize,
    plain_forward: bool,
}

impl Cpu {
    /// Processor with those of `threads` threads that help on this machine ([`Pool::helpful_threads`]), with
    /// [`Isa::detect`].
    ///
    /// # Errors
    /// Those of [`Isa::detect`] and [`Pool::new`].
    pub fn new(threads: usize) -> Result<Self, Error> {
        Self::with_isa(Isa::detect()?, Pool::helpful_threads(threads))
    }

    /// Exactly `threads` threads that keep to `isa`, even where fewer would be faster.
    ///
    /// # Errors
    /// Those of [`Pool::new`].
    pub fn with_isa(isa: Isa, threads: usize) -> Result<Self, Error> {
        Ok(Self { isa, pool: Pool::new(threads)?, level2: level2_bytes(), plain_forward: false })
    }

    /// Processor with one thread: for a task of a loop that runs on all of them.
    ///
    /// # Errors
    /// Those of [`Pool::new`].
    pub(crate) fn alone(&self) -> Result<Self, Error> {
        let Self { isa, level2, plain_forward, .. } = *self;
        Ok(Self { isa, pool: Pool::new(1)?, level2, plain_forward })
    }

    /// Processor on which forward convolutions choose no Winograd form: slower, and within 1e-6 in place of 5e-6.
    /// Gradients are computed as always.
    ///
    /// For comparing gradients with another implementation's: the derivative of a ReLU jumps at zero, and a value
    /// within the rounding error of it has one gradient or the other.
    #[must_use]
    pub fn with_plain_forward(self) -> Self {
        Self { plain_forward: true, ..self }
    }

    /// Absence of Winograd forms in forward convolutions.
    pub fn plain_forward(&self) -> bool {
        self.plain_forward
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The threads.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Bytes of level 2 cache that one thread has.
    pub fn level2_bytes(&self) -> usize {
        self.level2
    }
}

/// Size of the first core's level 2 cache; where the system does not say, what most cores have.
fn level2_bytes() -> usize {
    const USUAL: usize = 512 << 10;
    let size = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index2/size");
    size.ok().and_then(|text| parse_size(text.trim())).unwrap_or(USUAL)
}

/// `"512K"` or `"2M"` in bytes.
fn parse_size(text: &str) -> Option<usize> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_the_system_writes_them() {
        assert_eq!(parse_size("512K"), Some(512 << 10));
        assert_eq!(parse_size("2M"), Some(2 << 20));
        assert_eq!(parse_size("4096"), Some(4096));
        for bad in ["", "K", "0K", "many", "-1K"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cpu_keeps_to_the_isa_it_was_given() {
        for isa in Isa::available() {
            let cpu = Cpu::with_isa(isa, 2).unwrap();
            assert_eq!((cpu.isa(), cpu.pool().threads()), (isa, 2));
            assert!(cpu.level2_bytes() > 0);
        }
    }

    #[test]
    fn threads_beyond_the_cores_are_not_started() {
        let cores = Pool::helpful_threads(usize::MAX);
        assert_eq!(Cpu::new(usize::MAX).unwrap().pool().threads(), cores);
        assert_eq!(Cpu::new(1).unwrap().pool().threads(), 1);
        assert_eq!(Cpu::new(0).unwrap_err(), Error::NoThreads);
    }
}
