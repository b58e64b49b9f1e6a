//! Scans: blocks in their order, restart intervals, and where the coefficients go.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use super::bits::Bits;
use super::frame::{Component, Frame, SIDE, Scan};
use super::huffman::{Codes, Definition, Recent, Steps};
use super::idct::{Block, LANES, Lanes};
use super::progressive::Bands;
use super::rows::{Rows, Wanted};
use super::sequential;
use super::tables::standard;
use crate::fault::Fault;

thread_local! {
    static CODES: RefCell<Recent<Codes>> = const { RefCell::new(Recent::new()) };
    static STEPS: RefCell<Recent<Steps>> = const { RefCell::new(Recent::new()) };
}

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
    fn huffman(&self, ac: bool, number: usize) -> Result<Cow<'_, Definition>, Fault> {
        let tables = if ac { &self.ac } else { &self.dc };
        match tables.get(number) {
            Some(Some(found)) => Ok(Cow::Borrowed(found)),
            Some(None) if number < 2 => Ok(Cow::Owned(standard(ac, number == 1))),
            _ => Err(Fault::Corrupt("a scan with a Huffman table that is not defined")),
        }
    }

    fn codes(&self, number: usize) -> Result<Rc<Codes>, Fault> {
        let definition = self.huffman(false, number)?;
        if definition.symbols.iter().any(|&size| size > 15) {
            return Err(Fault::Corrupt("a Huffman table of impossible differences"));
        }
        Ok(CODES.with_borrow_mut(|recent| recent.of(&definition, Codes::new)))
    }

    fn steps(&self, number: usize) -> Result<Rc<Steps>, Fault> {
        let definition = self.huffman(true, number)?;
        Ok(STEPS.with_borrow_mut(|recent| recent.of(&definition, Steps::new)))
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
        mcu_rows: Range<usize>,
        factors: &Block,
        rows: &mut Rows,
    ) {
        let wanted = rows.wanted(component);
        let mut lanes = vec![[[0; LANES]; SIDE * SIDE]; wanted.count().div_ceil(LANES)];
        let mut number = 0;
        for row in wanted.rows {
            let first = (mcu_rows.start + row) * self.across;
            for block in &self.blocks[first + wanted.columns.start..first + wanted.columns.end] {
                let (group, lane) = (&mut lanes[number / LANES], number % LANES);
                group.iter_mut().zip(block).for_each(|(values, &value)| values[lane] = value);
                number += 1;
            }
        }
        rows.transform(component, &lanes, factors);
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
    dc: Rc<Codes>,
    ac: Rc<Steps>,
    factors: Block,
    predicted: i16,
    /// Coefficients of the blocks that are wanted of a row of MCUs.
    lanes: Vec<Lanes>,
}

fn coders(scan: &Scan, frame: &Frame, settings: &Settings) -> Result<Vec<Coder>, Fault> {
    let coder = |part: &super::frame::Part| {
        Ok(Coder {
            component: part.component,
            dc: settings.codes(part.dc)?,
            ac: settings.steps(part.ac)?,
            factors: settings.factors(&frame.components[part.component])?,
            predicted: 0,
            lanes: Vec::new(),
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
        let wanted: Vec<Wanted> = coders.iter().map(|coder| rows.wanted(coder.component)).collect();
        for (coder, wanted) in coders.iter_mut().zip(&wanted) {
            coder.lanes.clear();
            coder.lanes.resize(wanted.count().div_ceil(LANES), [[0; LANES]; SIDE * SIDE]);
        }
        for mcu in 0..frame.mcus_across {
            if restarts.due(bits)? {
                coders.iter_mut().for_each(|coder| coder.predicted = 0);
            }
            for (coder, wanted) in coders.iter_mut().zip(&wanted) {
                let component = &frame.components[coder.component];
                for row in 0..component.down {
                    for column in mcu * component.across..(mcu + 1) * component.across {
                        let number = wanted.number(row, column);
                        coder.block(bits, number).map_err(|fault| bits.blame(fault))?;
                    }
                }
            }
            bits.check()?;
        }
        for coder in &coders {
            rows.transform(coder.component, &coder.lanes, &coder.factors);
        }
        rows.finish_strip();
    }
    Ok(())
}

impl Coder {
    /// Decodes the next block, to the lane with this number; without one, passes over it.
    #[inline(always)]
    fn block(&mut self, bits: &mut Bits, number: Option<usize>) -> Result<(), Fault> {
        let tables = (&*self.dc, &*self.ac);
        let Some(number) = number else {
            return sequential::block(bits, tables, &mut self.predicted, |_, _| ());
        };
        let (lanes, lane) = (&mut self.lanes[number / LANES], number % LANES);
        sequential::block(bits, tables, &mut self.predicted, |place, value| lanes[place][lane] = value)
    }
}

/// Rows and columns of a component's blocks in an MCU.
fn places(component: &Component) -> impl Iterator<Item = (usize, usize)> {
    let (across, down) = (component.across, component.down);
    (0..down).flat_map(move |row| (0..across).map(move |column| (row, column)))
}

/// Coefficients of a block in a scan.
enum Decoder<'a> {
    Sequential(Box<Coder>),
    FirstDc { codes: Rc<Codes>, predicted: i16, low: u8 },
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
                let tables = (&*coder.dc, &*coder.ac);
                sequential::block(bits, tables, &mut coder.predicted, |place, value| block[place] = value)
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
        let definition = settings.huffman(true, scan.parts[0].ac)?;
        codes = CODES.with_borrow_mut(|recent| recent.of(&definition, Codes::new));
        decoders.push(Decoder::Ac(Bands { scan, codes: &codes, empty: 0 }));
    } else {
        for part in &scan.parts {
            decoders.push(match scan.high {
                0 => Decoder::FirstDc { codes: settings.codes(part.dc)?, predicted: 0, low: scan.low },
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
