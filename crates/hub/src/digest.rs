//! Published hashes of files.

use std::fmt::{self, Write as _};
use std::io::{self, Read};

use md5::Md5;
use sha2::Sha256;

/// Hash that a file is held against, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Digest {
    /// Beginning of the SHA-256: eight digits in the names of PyTorch's files.
    Sha256(String),
    /// MD5, which torchvision and fastai publish for datasets: it finds a broken file, not a forged one.
    Md5(String),
}

impl Digest {
    /// The digest of what `file` holds, of the same kind and length.
    pub(crate) fn compute(&self, file: &mut impl Read) -> io::Result<Self> {
        Ok(match self {
            Self::Sha256(expected) => {
                let mut found = hexadecimal::<Sha256>(file)?;
                found.truncate(expected.len());
                Self::Sha256(found)
            }
            Self::Md5(_) => Self::Md5(hexadecimal::<Md5>(file)?),
        })
    }
}

fn hexadecimal<D: sha2::Digest>(file: &mut impl Read) -> io::Result<String> {
    let (mut hasher, mut buffer) = (D::new(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digits) => write!(f, "SHA-256 {digits}"),
            Self::Md5(digits) => write!(f, "MD5 {digits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's and RFC 1321's `abc`.
    #[test]
    fn known_digests() {
        let of = |digest: Digest| digest.compute(&mut &b"abc"[..]).unwrap();
        assert_eq!(of(Digest::Sha256("x".repeat(8))), Digest::Sha256("ba7816bf".into()));
        assert_eq!(of(Digest::Md5(String::new())), Digest::Md5("900150983cd24fb0d6963f7d28e17f72".into()));
    }
}
