//! Frame and scan headers (ITU-T T.81, B.2).

use crate::fault::Fault;

/// Samples along a side of a block.
pub(super) const SIDE: usize = 8;

/// Blocks that one MCU may have.
const MAX_BLOCKS: usize = 10;

/// A colour plane of the image.
#[derive(Clone, Debug)]
pub(super) struct Component {
    /// The number by which scans name it.
    pub(super) id: u8,
    /// Blocks of an MCU, along a row and down a column: its sampling factors.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Number of its quantisation table.
    pub(super) table: usize,
    /// Samples that belong to the image.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks in a row and a column, with those that fill the last MCUs.
    pub(super) blocks_across: usize,
    pub(super) blocks_down: usize,
}

/// Frame: sizes and components, from a SOF segment.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) progressive: bool,
    pub(super) components: Vec<Component>,
    /// The largest sampling factors.
    pub(super) across: usize,
    pub(super) down: usize,
    /// MCUs of scans with all components.
    pub(super) mcus_across: usize,
    pub(super) mcus_down: usize,
}

impl Frame {
    /// The frame of a SOF segment with marker `code`.
    pub(super) fn parse(code: u8, segment: &[u8]) -> Result<Self, Fault> {
        match code {
            0xc0..=0xc2 => {}
            0xc9 | 0xca => return Err(Fault::Unsupported("a JPEG with arithmetic coding")),
            0xc3 => return Err(Fault::Unsupported("a lossless JPEG")),
            _ => return Err(Fault::Unsupported("a hierarchical or lossless JPEG")),
        }
        let Some((&[bits, h1, h0, w1, w0, count], rest)) = segment.split_first_chunk() else {
            return Err(Fault::Corrupt("a frame header is too short"));
        };
        match bits {
            8 => {}
            12 => return Err(Fault::Unsupported("a JPEG of 12 bits a sample")),
            _ => return Err(Fault::Corrupt("a frame header with an impossible number of bits")),
        }
        let (width, height) = (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into());
        if width == 0 || height == 0 {
            return Err(Fault::Corrupt("a frame header without width or height"));
        }
        if width * height > crate::MAX_PIXELS {
            return Err(Fault::TooLarge { width, height });
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Fault::Unsupported("a JPEG that is neither grey nor RGB, YCbCr, CMYK or YCCK"));
        }
        if rest.len() != 3 * usize::from(count) {
            return Err(Fault::Corrupt("a frame header of another length than its components need"));
        }
        let components = rest.as_chunks::<3>().0;
        Self::new([width, height], code == 0xc2, components)
    }

    fn new([width, height]: [usize; 2], progressive: bool, listed: &[[u8; 3]]) -> Result<Self, Fault> {
        let factors = |byte: u8| (usize::from(byte >> 4), usize::from(byte & 15));
        if listed
            .iter()
            .any(|&[_, byte, _]| !(1..=4).contains(&factors(byte).0) || !(1..=4).contains(&factors(byte).1))
        {
            return Err(Fault::Corrupt("a sampling factor that is not 1 to 4"));
        }
        // A lone component is never interleaved, so that its factors mean nothing.
        let lone = listed.len() == 1;
        let factors = |byte: u8| if lone { (1, 1) } else { factors(byte) };
        let largest =
            |of: fn((usize, usize)) -> usize| listed.iter().map(|c| of(factors(c[1]))).max().unwrap_or(1);
        let (across, down) = (largest(|factors| factors.0), largest(|factors| factors.1));
        let (mcus_across, mcus_down) = (width.div_ceil(SIDE * across), height.div_ceil(SIDE * down));
        let mut components = Vec::with_capacity(listed.len());
        for &[id, byte, table] in listed {
            let (own_across, own_down) = factors(byte);
            if !across.is_multiple_of(own_across) || !down.is_multiple_of(own_down) {
                return Err(Fault::Unsupported("a JPEG with sampling factors that do not divide each other"));
            }
            components.push(Component {
                id,
                across: own_across,
                down: own_down,
                table: table.into(),
                width: (width * own_across).div_ceil(across),
                height: (height * own_down).div_ceil(down),
                blocks_across: mcus_across * own_across,
                blocks_down: mcus_down * own_down,
            });
        }
        Ok(Self { width, height, progressive, components, across, down, mcus_across, mcus_down })
    }
}

/// A component of a scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Place among the frame's components.
    pub(super) component: usize,
    /// Numbers of its Huffman tables.
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// Scan: components and settings, from a SOS segment.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub(super) parts: Vec<Part>,
    /// The first and the last coefficient, in zigzag order.
    pub(super) first: usize,
    pub(super) last: usize,
    /// Low bits that a scan before left out; 0 where there was none.
    pub(super) high: u8,
    /// Low bits that this scan leaves out.
    pub(super) low: u8,
}

impl Scan {
    /// The scan of a SOS segment.
    pub(super) fn parse(segment: &[u8], frame: &Frame) -> Result<Self, Fault> {
        let short = Fault::Corrupt("a scan header of another length than its components need");
        let (&count, rest) = segment.split_first().ok_or(short)?;
        if !(1..=4).contains(&count) || rest.len() != 2 * usize::from(count) + 3 {
            return Err(short);
        }
        let (listed, &[first, last, bits]) = rest.split_last_chunk::<3>().ok_or(short)?;
        let mut parts: Vec<Part> = Vec::with_capacity(count.into());
        for &[id, tables] in listed.as_chunks::<2>().0 {
            // Where several components share a number, they come in the frame's order.
            let place = frame.components.iter().enumerate().position(|(place, component)| {
                component.id == id && parts.iter().all(|part| part.component != place)
            });
            let component =
                place.ok_or(Fault::Corrupt("a scan of a component that the frame does not have"))?;
            parts.push(Part { component, dc: (tables >> 4).into(), ac: (tables & 15).into() });
        }
        let blocks =
            |part: &Part| frame.components[part.component].across * frame.components[part.component].down;
        if parts.len() > 1 && parts.iter().map(blocks).sum::<usize>() > MAX_BLOCKS {
            return Err(Fault::Corrupt("a scan with more than 10 blocks in an MCU"));
        }
        let scan = Self { parts, first: first.into(), last: last.into(), high: bits >> 4, low: bits & 15 };
        if frame.progressive {
            scan.check_progressive()
        } else {
            Ok(Self { first: 0, last: 63, high: 0, low: 0, ..scan })
        }
    }

    fn check_progressive(self) -> Result<Self, Fault> {
        let band = match self.first {
            0 => self.last == 0,
            first => first <= self.last && self.last < 64 && self.parts.len() == 1,
        };
        if band && self.low <= 13 && (self.high == 0 || self.high == self.low + 1) {
            return Ok(self);
        }
        Err(Fault::Corrupt("a progressive scan of impossible coefficients"))
    }
}
