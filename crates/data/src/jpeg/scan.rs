//! Scans: blocks in their order, restart intervals, and where the coefficients go.

use super::bits::Bits;
use super::frame::{Component, Frame, SIDE, Scan};
use super::huffman::{Codes, Definition, Steps};
use super::idct::{self, Block};
use super::progressive::Bands;
use super::rows::Rows;
use super::sequential;
use super::tables::standard;
use crate::fault::Fault;

/// Tables and settings that hold for the scans behind them.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) dc: [Option<Definition>; 4],
    pub(super) ac: [Option<Definition>; 4],
    /// Blocks by number, in rows.
    pub(super) factors: [Option<Block>; 4],
    /// MCUs between two restarts, or 0.
    pub(super) restart: usize,
}

impl Settings {
    /// A Huffman table; one that is missing is the standard one, as in Motion JPEG.
    fn huffman(&self, ac: bool, number: usize) -> Result<Definition, Fault> {
        let tables = if ac { &self.ac } else { &self.dc };
        match tables.get(number) {
            Some(Some(found)) => Ok(found.clone()),
            Some(None) if number < 2 => Ok(standard(ac, number == 1)),
            _ => Err(Fault::Corrupt("a scan with a Huffman table that is not defined")),
        }
    }

    fn codes(&self, number: usize) -> Result<Codes, Fault> {
        let definition = self.huffman(false, number)?;
        if definition.symbols.iter().any(|&size| size > 15) {
            return Err(Fault::Corrupt("a Huffman table of impossible differences"));
        }
        Ok(Codes::new(&definition))
    }

    /// The quantisation table of a component.
    pub(super) fn factors(&self, component: &Component) -> Result<Block, Fault> {
        let table = self.factors.get(component.table).copied().flatten();
        table.ok_or(Fault::Corrupt("a component with a quantisation table that is not defined"))
    }
}

/// Coefficients of a component, block by block, for scans that give them bit by bit.
pub(super) struct Plane {
    pub(super) blocks: Vec<Block>,
    across: usize,
}

impl Plane {
    /// Zeros; the system gives their memory when it is written to.
    pub(super) fn new(component: &Component) -> Self {
        let (across, down) = (component.blocks_across, component.blocks_down);
        Self { blocks: vec![[0; SIDE * SIDE]; across * down], across }
    }

    #[inline]
    fn block(&mut self, row: usize, column: usize) -> &mut Block {
        &mut self.blocks[row * self.across + column]
    }

    /// Turns the coefficients of the row of MCUs with this number to samples.
    pub(super) fn to_samples(
        &self,
        component: usize,
        lines: std::ops::Range<usize>,
        factors: &Block,
        rows: &mut Rows,
    ) {
        let first = lines.start;
        for row in lines {
            for (column, block) in self.blocks[row * self.across..][..self.across].iter().enumerate() {
                let (target, stride) = rows.block(component, row - first, column);
                if block[1..].iter().all(|&value| value == 0) {
                    idct::inverse_flat(block[0], factors[0], target, stride);
                } else {
                    idct::inverse(block, factors, target, stride);
                }
            }
        }
    }
}

/// Counts the MCUs up to a restart.
struct Restarts {
    interval: usize,
    left: usize,
    number: u8,
}

impl Restarts {
    fn new(interval: usize) -> Self {
        Self { interval, left: interval, number: 0 }
    }

    /// Before an MCU: whether decoding starts anew here.
    #[inline(always)]
    fn due(&mut self, bits: &mut Bits) -> Result<bool, Fault> {
        if self.interval == 0 {
            return Ok(false);
        }
        let due = self.left == 0;
        if due {
            bits.restart(self.number)?;
            self.number = (self.number + 1) % 8;
            self.left = self.interval;
        }
        self.left -= 1;
        Ok(due)
    }
}

/// The tables of a part of a sequential scan.
struct Coder {
    component: usize,
    dc: Codes,
    ac: Steps,
    factors: Block,
    predicted: i16,
}

fn coders(scan: &Scan, frame: &Frame, settings: &Settings) -> Result<Vec<Coder>, Fault> {
    let coder = |part: &super::frame::Part| {
        Ok(Coder {
            component: part.component,
            dc: settings.codes(part.dc)?,
            ac: Steps::new(&settings.huffman(true, part.ac)?),
            factors: settings.factors(&frame.components[part.component])?,
            predicted: 0,
        })
    };
    scan.parts.iter().map(coder).collect()
}

/// Decodes a sequential scan of all components straight to pixels.
pub(super) fn sequential_rows(
    bits: &mut Bits,
    (scan, frame): (&Scan, &Frame),
    settings: &Settings,
    rows: &mut Rows,
) -> Result<(), Fault> {
    let mut coders = coders(scan, frame, settings)?;
    let mut restarts = Restarts::new(settings.restart);
    for _ in 0..frame.mcus_down {
        for mcu in 0..frame.mcus_across {
            if restarts.due(bits)? {
                coders.iter_mut().for_each(|coder| coder.predicted = 0);
            }
            for coder in &mut coders {
                let component = &frame.components[coder.component];
                for (row, column) in places(component) {
                    let mut block = [0; SIDE * SIDE];
                    let tables = (&coder.dc, &coder.ac);
                    let detailed = sequential::block(bits, tables, &mut coder.predicted, &mut block)
                        .map_err(|fault| bits.blame(fault))?;
                    let (target, stride) = rows.block(coder.component, row, mcu * component.across + column);
                    if detailed {
                        idct::inverse(&block, &coder.factors, target, stride);
                    } else {
                        idct::inverse_flat(block[0], coder.factors[0], target, stride);
                    }
                }
            }
            bits.check()?;
        }
        rows.finish_strip();
    }
    Ok(())
}

/// Rows and columns of a component's blocks in an MCU.
fn places(component: &Component) -> impl Iterator<Item = (usize, usize)> {
    let (across, down) = (component.across, component.down);
    (0..down).flat_map(move |row| (0..across).map(move |column| (row, column)))
}

/// Coefficients of a block in a scan.
enum Decoder<'a> {
    Sequential(Box<Coder>),
    FirstDc { codes: Box<Codes>, predicted: i16, low: u8 },
    RefinedDc { low: u8 },
    Ac(Bands<'a>),
}

impl Decoder<'_> {
    fn start_anew(&mut self) {
        match self {
            Self::Sequential(coder) => coder.predicted = 0,
            Self::FirstDc { predicted, .. } => *predicted = 0,
            Self::Ac(bands) => bands.empty = 0,
            Self::RefinedDc { .. } => {}
        }
    }

    #[inline]
    fn block(&mut self, bits: &mut Bits, block: &mut Block) -> Result<(), Fault> {
        match self {
            Self::Sequential(coder) => {
                sequential::block(bits, (&coder.dc, &coder.ac), &mut coder.predicted, block).map(|_| ())
            }
            Self::FirstDc { codes, predicted, low } => {
                *predicted = predicted.wrapping_add(sequential::difference(bits, codes)?);
                block[0] = *predicted << *low;
                Ok(())
            }
            Self::RefinedDc { low } => {
                block[0] |= i16::from(bits.bit()) << *low;
                Ok(())
            }
            Self::Ac(bands) => bands.block(bits, block),
        }
    }
}

/// Decodes any scan into coefficients.
pub(super) fn coefficients(
    bits: &mut Bits,
    (scan, frame): (&Scan, &Frame),
    settings: &Settings,
    mut planes: Vec<&mut Plane>,
) -> Result<(), Fault> {
    let codes;
    let mut decoders = Vec::with_capacity(scan.parts.len());
    if !frame.progressive {
        decoders.extend(
            coders(scan, frame, settings)?.into_iter().map(|coder| Decoder::Sequential(Box::new(coder))),
        );
    } else if scan.first > 0 {
        codes = Codes::new(&settings.huffman(true, scan.parts[0].ac)?);
        decoders.push(Decoder::Ac(Bands { scan, codes: &codes, empty: 0 }));
    } else {
        for part in &scan.parts {
            decoders.push(match scan.high {
                0 => Decoder::FirstDc {
                    codes: Box::new(settings.codes(part.dc)?),
                    predicted: 0,
                    low: scan.low,
                },
                _ => Decoder::RefinedDc { low: scan.low },
            });
        }
    }
    let lone = scan.parts.len() == 1;
    let first = &frame.components[scan.parts[0].component];
    // A component that is alone in its scan has MCUs of one block, and none beyond the image.
    let (across, down) = match lone {
        true => (first.width.div_ceil(SIDE), first.height.div_ceil(SIDE)),
        false => (frame.mcus_across, frame.mcus_down),
    };
    let mut restarts = Restarts::new(settings.restart);
    for mcu_row in 0..down {
        for mcu in 0..across {
            if restarts.due(bits)? {
                decoders.iter_mut().for_each(Decoder::start_anew);
            }
            for (decoder, part) in decoders.iter_mut().zip(&scan.parts) {
                let plane = &mut planes[part.component];
                let mut decode = |row, column| {
                    decoder.block(bits, plane.block(row, column)).map_err(|fault| bits.blame(fault))
                };
                if lone {
                    decode(mcu_row, mcu)?;
                    continue;
                }
                let component = &frame.components[part.component];
                for (row, column) in places(component) {
                    decode(mcu_row * component.down + row, mcu * component.across + column)?;
                }
            }
            bits.check()?;
        }
    }
    Ok(())
}
