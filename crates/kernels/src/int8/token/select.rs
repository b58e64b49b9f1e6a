//! Which way to multiply bytes an instruction set has.

use std::fmt;

use super::dot::{Dot, DotKernel};
use super::portable::Portable;
#[cfg(target_arch = "x86_64")]
use super::{amx::Amx, ymm::Narrow, ymm::Vnni256, ymm::Wide, zmm::Vnni512};
use crate::Isa;

/// A way to sum products of bytes that this machine has.
///
/// | name | instructions | chosen with |
/// | --- | --- | --- |
/// | `amx` | `tdpbusd` on tiles | `avx512`, where the machine has AMX for bytes and the system permits it |
/// | `avx512-vnni` | `vpdpbusd` on 64 bytes | `avx512`, where the machine has AVX-512 VNNI |
/// | `avx-vnni` | `vpdpbusd` on 32 bytes | `avx512` and `avx2` where they are the machine's best, and it has AVX-VNNI |
/// | `avx2` | `vpmaddubsw` where weights have 7 bits, else `vpmaddwd` | `avx512`, `avx2` |
/// | `portable` | plain Rust | all others |
///
/// Sums are exact, and so have the same bits in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DotProduct(Token);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    #[cfg(target_arch = "x86_64")]
    Amx(Amx, Vnni512),
    #[cfg(target_arch = "x86_64")]
    Vnni512(Vnni512),
    #[cfg(target_arch = "x86_64")]
    Vnni256(Vnni256),
    #[cfg(target_arch = "x86_64")]
    Avx2(Narrow),
    Portable(Portable),
}

impl DotProduct {
    /// The fastest way that goes with `isa`. An instruction set that was asked for, and is not the machine's best, stands
    /// for a machine that has no better: `avx2` on a machine with AVX-512 does without AVX-VNNI.
    pub fn of(isa: Isa) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let widest = isa.name() == "avx512";
            if let Some(token) = Vnni512::detect().filter(|_| widest) {
                let amx = Amx::detect().filter(|_| !is_without_amx());
                return Self(amx.map_or(Token::Vnni512(token), |amx| Token::Amx(amx, token)));
            }
            let best = widest || (isa.name() == "avx2" && !is_x86_feature_detected!("avx512f"));
            if let Some(token) = Vnni256::detect().filter(|_| best) {
                return Self(Token::Vnni256(token));
            }
            if let Some(token) = Narrow::detect().filter(|_| widest || isa.name() == "avx2") {
                return Self(Token::Avx2(token));
            }
        }
        let _ = isa;
        Self(Token::Portable(Portable))
    }

    /// Ways that this machine has, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let vnni = Vnni512::detect();
            found.extend(Amx::detect().zip(vnni).map(|(amx, vnni)| Token::Amx(amx, vnni)));
            found.extend(vnni.map(Token::Vnni512));
            found.extend(Vnni256::detect().map(Token::Vnni256));
            found.extend(Narrow::detect().map(Token::Avx2));
        }
        found.push(Token::Portable(Portable));
        found.into_iter().map(Self).collect()
    }

    /// The token of AMX.
    #[cfg(target_arch = "x86_64")]
    pub(in crate::int8) fn amx(self) -> Option<Amx> {
        match self.0 {
            Token::Amx(amx, _) => Some(amx),
            _ => None,
        }
    }

    /// The fastest way without AMX.
    pub(in crate::int8) fn without_amx(self) -> Self {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Amx(_, vnni) => Self(Token::Vnni512(vnni)),
            _ => self,
        }
    }

    /// Name, as in the table above.
    pub fn name(&self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Amx(..) => "amx",
            #[cfg(target_arch = "x86_64")]
            Token::Vnni512(_) => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Token::Vnni256(_) => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => "avx2",
            Token::Portable(_) => "portable",
        }
    }

    /// Products of bytes in the time of one of floats in the same instruction set's direct convolutions. Rates of 3x3 and
    /// 1x1 convolutions of ResNet-50 over the peak of float32, two threads of a Xeon with AVX-512
    /// (`cargo bench -p residual-kernels --bench int8`): 3.0 to 4.0; with `RESIDUAL_ISA=avx2` 1.0 to 1.5 with weights of 7
    /// bits and 0.8 to 0.9 with 8. Plain Rust has a third of the rate of floats.
    pub(in crate::int8) fn products(self, narrow: bool) -> f64 {
        match (self.name(), narrow) {
            ("amx" | "avx512-vnni" | "avx-vnni", _) => 3.7,
            ("avx2", true) => 1.5,
            ("avx2", false) => 0.9,
            _ => 0.3,
        }
    }

    /// The most pixels of a tile: [`Dot::PIXELS`].
    pub(in crate::int8) fn pixels(self, narrow: bool) -> usize {
        let _ = narrow;
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Amx(..) | Token::Vnni512(_) => Vnni512::PIXELS,
            #[cfg(target_arch = "x86_64")]
            Token::Vnni256(_) => Vnni256::PIXELS,
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) if narrow => Narrow::PIXELS,
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => Wide::PIXELS,
            Token::Portable(_) => Portable::PIXELS,
        }
    }

    /// The most blocks of output channels of a tile: [`Dot::BLOCKS`].
    pub(in crate::int8) fn blocks(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Amx(..) | Token::Vnni512(_) => Vnni512::BLOCKS,
            _ => 1,
        }
    }

    /// Runs `kernel`; `narrow` says that no weight is beyond 63.
    pub(in crate::int8) fn run<K: DotKernel>(self, narrow: bool, kernel: K) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Amx(_, token) | Token::Vnni512(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Token::Vnni256(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(token) if narrow => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(token) => Wide::from(token).run(kernel),
            Token::Portable(token) => {
                let _ = narrow;
                token.run(kernel);
            }
        }
    }
}

/// True where the variable `RESIDUAL_AMX` is `0`: for measuring what AMX gives.
#[cfg(target_arch = "x86_64")]
fn is_without_amx() -> bool {
    static OFF: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *OFF.get_or_init(|| std::env::var_os("RESIDUAL_AMX").is_some_and(|value| value == "0"))
}

impl fmt::Display for DotProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
