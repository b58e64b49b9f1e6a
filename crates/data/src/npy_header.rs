//! Header of an array of NumPy (NEP 1, "A Simple File Format for NumPy Arrays").

use crate::fault::Fault;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The most sizes of an array, NumPy's limit.
const MOST_SIZES: usize = 64;

/// Test for bytes that begin as an array does.
pub(crate) fn is_npy(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Header of an array.
#[derive(Clone, Debug)]
pub(crate) struct NpyHeader<'a> {
    /// Kind of the elements, such as `|u1`; that of a structure is a list, `[('a', ...)]`.
    pub(crate) element: &'a str,
    /// True where the first size is that of neighbours.
    pub(crate) fortran: bool,
    pub(crate) shape: Vec<usize>,
    /// Bytes of the header, behind which are the elements.
    pub(crate) length: usize,
}

impl<'a> NpyHeader<'a> {
    /// Reads the header at the start of `bytes`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        if !is_npy(bytes) && bytes.len() >= MAGIC.len() {
            return Err(Fault::Corrupt("not a NumPy array"));
        }
        let version = *bytes.get(6).ok_or(Fault::Truncated)?;
        let (length, start) = match version {
            1 => (bytes.get(8..10).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))), 10),
            2 | 3 => (bytes.get(8..12).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize), 12),
            _ => return Err(Fault::Unsupported("a NumPy array of an unknown version")),
        };
        let length = length.ok_or(Fault::Truncated)?;
        let header = bytes.get(start..).and_then(|rest| rest.get(..length)).ok_or(Fault::Truncated)?;
        let header = str::from_utf8(header).map_err(|_| Fault::Corrupt("a header that is no text"))?;
        let fortran = match value(header, "fortran_order")? {
            text if text.starts_with("True") => true,
            text if text.starts_with("False") => false,
            _ => return Err(Fault::Corrupt("a header without the order of its axes")),
        };
        let element = element(value(header, "descr")?);
        Ok(Self { element, fortran, shape: shape(value(header, "shape")?)?, length: start + length })
    }
}

/// Test for channels that come first: of three sizes they are the smaller one of the first and the last, which is the
/// last where they are equal.
pub(crate) fn channels_first([first, _, last]: [usize; 3]) -> bool {
    first < last
}

/// Value of a key of the header.
fn value<'a>(header: &'a str, key: &str) -> Result<&'a str, Fault> {
    let missing = Fault::Corrupt("a header without shape or type");
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let behind = quoted.iter().find_map(|key| header.split_once(key.as_str())).ok_or(missing)?.1;
    behind.trim_start().strip_prefix(':').map(str::trim_start).ok_or(missing)
}

fn element(text: &str) -> &str {
    match text.strip_prefix(['\'', '"']) {
        Some(rest) => rest.split(['\'', '"']).next().unwrap_or_default(),
        None => text,
    }
}

fn shape(text: &str) -> Result<Vec<usize>, Fault> {
    let corrupt = Fault::Corrupt("a header with an impossible shape");
    let inside = text.strip_prefix('(').and_then(|text| text.split_once(')')).ok_or(corrupt)?.0;
    let sides = inside.split(',').map(str::trim).filter(|side| !side.is_empty());
    let sides: Vec<usize> = sides
        .take(MOST_SIZES + 1)
        .map(|side| side.parse::<usize>())
        .collect::<Result<_, _>>()
        .map_err(|_| corrupt)?;
    if sides.len() > MOST_SIZES { Err(corrupt) } else { Ok(sides) }
}
