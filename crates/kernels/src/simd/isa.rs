//! Which instruction set to run on: detected, or forced by name.

use std::fmt;

use super::portable::Portable;
use super::vector::{Kernel, Simd};
use crate::Error;

#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use super::simd128::Simd128;
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};

/// The variable that forces an instruction set.
const VARIABLE: &str = "RESIDUAL_ISA";

/// An instruction set that this machine has, so that kernels may run on it.
///
/// | name | vector | machines |
/// | --- | --- | --- |
/// | `avx512` | 16 floats | x86-64 with AVX-512F |
/// | `avx2` | 8 floats | x86-64 with AVX2 and FMA |
/// | `neon` | 4 floats | every aarch64 |
/// | `simd128` | 8 floats, in pairs of vectors of 4 | WebAssembly, compiled with `-C target-feature=+simd128` |
/// | `portable` | 8 floats, plain Rust | every machine |
/// | `portable-wide` | 16 floats, plain Rust | every machine; AVX-512's panels, for tests: with the feature
/// `portable-wide` |
///
/// ```
/// use residual_kernels::Isa;
///
/// let portable = Isa::named("portable")?;
/// assert!(Isa::available().contains(&portable));
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Token);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128(Simd128),
    Portable(Portable<8>),
    #[cfg(feature = "portable-wide")]
    PortableWide(Portable<16>),
}

impl Isa {
    /// The instruction set that `RESIDUAL_ISA` names; where that is not set, the fastest one here.
    ///
    /// # Errors
    /// [`Error::Isa`] where the variable names none that this machine has.
    pub fn detect() -> Result<Self, Error> {
        match std::env::var_os(VARIABLE) {
            Some(name) => Self::named(&name.to_string_lossy()),
            None => Ok(Self::available()[0]),
        }
    }

    /// The instruction set called `name` (see the table above).
    ///
    /// # Errors
    /// [`Error::Isa`] where there is none of that name on this machine.
    pub fn named(name: &str) -> Result<Self, Error> {
        let available = Self::available();
        available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| Error::Isa {
            name: name.to_owned(),
            available: available.iter().map(Self::name).collect::<Vec<_>>().join(", "),
        })
    }

    /// Instruction sets of this machine, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(Avx512::detect().map(|token| Self(Token::Avx512(token))));
            found.extend(Avx2::detect().map(|token| Self(Token::Avx2(token))));
        }
        #[cfg(target_arch = "aarch64")]
        found.extend(Neon::detect().map(|token| Self(Token::Neon(token))));
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        found.extend([Self(Token::Simd128(Simd128::compiled_for()))]);
        found.push(Self(Token::Portable(Portable)));
        #[cfg(feature = "portable-wide")]
        found.push(Self(Token::PortableWide(Portable)));
        found
    }

    /// Name of the instruction set, as `RESIDUAL_ISA` takes it.
    pub fn name(&self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Token::Neon(_) => "neon",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Token::Simd128(_) => "simd128",
            Token::Portable(_) => "portable",
            #[cfg(feature = "portable-wide")]
            Token::PortableWide(_) => "portable-wide",
        }
    }

    /// Channel blocks in a panel of weights: [`Simd::TILE_BLOCKS`].
    pub(crate) fn panel_blocks(self) -> usize {
        struct Blocks;
        impl Kernel for Blocks {
            type Output = usize;
            fn run<S: Simd>(self, _: S) -> usize {
                S::TILE_BLOCKS
            }
        }
        self.run(Blocks)
    }

    /// Rows of the micro-kernel: [`Simd::TILE_ROWS`].
    pub(crate) fn tile_rows(self) -> usize {
        struct Rows;
        impl Kernel for Rows {
            type Output = usize;
            fn run<S: Simd>(self, _: S) -> usize {
                S::TILE_ROWS
            }
        }
        self.run(Rows)
    }

    /// Runs work that the compiler makes vectors of, compiled for this instruction set. Where that is AVX-512, it is
    /// compiled for AVX2, which has all there is for bytes and 16-bit numbers.
    ///
    /// ```
    /// use residual_kernels::{Isa, Vectorise};
    ///
    /// /// Averages of two rows of pixels, rounded down.
    /// struct Averages<'a>(&'a [u8], &'a [u8], &'a mut [u8]);
    ///
    /// impl Vectorise for Averages<'_> {
    ///     type Output = ();
    ///
    ///     #[inline(always)]
    ///     fn run(self) {
    ///         for ((target, &a), &b) in self.2.iter_mut().zip(self.0).zip(self.1) {
    ///             *target = ((u16::from(a) + u16::from(b)) / 2) as u8;
    ///         }
    ///     }
    /// }
    ///
    /// let mut averages = [0; 3];
    /// Isa::detect()?.vectorise(Averages(&[1, 100, 255], &[3, 101, 255], &mut averages));
    /// assert_eq!(averages, [2, 100, 255]);
    /// # Ok::<(), residual_kernels::Error>(())
    /// ```
    pub fn vectorise<W: Vectorise>(self, work: W) -> W::Output {
        struct Scalar<W>(W);
        impl<W: Vectorise> Kernel for Scalar<W> {
            type Output = W::Output;
            #[inline(always)]
            fn run<S: Simd>(self, _: S) -> W::Output {
                self.0.run()
            }
        }
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(token) => Avx2::from(token).run(Scalar(work)),
            _ => self.run(Scalar(work)),
        }
    }

    /// Runs `kernel` on this instruction set.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(token) => token.run(kernel),
            #[cfg(target_arch = "aarch64")]
            Token::Neon(token) => token.run(kernel),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Token::Simd128(token) => token.run(kernel),
            Token::Portable(token) => token.run(kernel),
            #[cfg(feature = "portable-wide")]
            Token::PortableWide(token) => token.run(kernel),
        }
    }
}

/// Work in plain Rust that is compiled once for every instruction set, and run on one of them ([`Isa::vectorise`]).
pub trait Vectorise {
    /// Result of the work.
    type Output;

    /// Does the work. It is `#[inline(always)]`, and so is all that it calls: what is not is compiled for the baseline.
    fn run(self) -> Self::Output;
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
