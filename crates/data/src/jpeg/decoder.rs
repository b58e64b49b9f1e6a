//! A file from its first marker to the last that matters (ITU-T T.81, annex B).

use super::bits::{Bits, next_marker};
use super::colour::Colour;
use super::frame::{Component, Frame, Scan};
use super::huffman::Definition;
use super::idct::Block;
use super::rows::Rows;
use super::scan::{self, Plane, Settings};
use super::tables::ZIGZAG;
use crate::fault::Fault;
use crate::image::Within;
use crate::limits::corrupt;
use crate::{ChoosePart, Error, Image, Orientation, Part, exif};

/// Test for bytes that begin as a JPEG file does.
pub(crate) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
}

/// Decodes a JPEG file, or the part of it that is asked for; `file` is named in errors.
pub(crate) fn decode(bytes: &[u8], file: &str, choose: &ChoosePart<'_>) -> Result<Image, Error> {
    let orientation = orientation(bytes);
    let choose = |size: [usize; 2]| choose(size, orientation).filter(|part| part.is_in(size));
    let mut decoder = Decoder { choose: Some(&choose), ..Decoder::default() };
    let decoded = decoder.decode(bytes).map_err(|fault| fault.of(file))?;
    let Decoded { width, height, channels, pixels, within } = decoded;
    let image = Image::new(width, height, channels, pixels).map_err(|error| corrupt(file, error))?;
    Ok(image.with_orientation(orientation).with_whole(within))
}

/// Decodes a JPEG file inside another one, which tells whether three components are RGB or YCbCr.
pub(crate) fn decode_part(bytes: &[u8], is_rgb: bool) -> Result<Decoded, Fault> {
    let colour = if is_rgb { Colour::Rgb } else { Colour::YCbCr };
    Decoder { colour: Some(colour), ..Decoder::default() }.decode(bytes)
}

/// Orientation in the metadata before the first scan: EXIF, else XMP.
pub(crate) fn orientation(bytes: &[u8]) -> Orientation {
    let (mut xmp, mut at) = (None, 2);
    while let Some((code, behind)) = next_marker(bytes, at) {
        let length =
            bytes.get(behind..).and_then(<[u8]>::first_chunk).map(|&length| u16::from_be_bytes(length));
        at = match (code, length) {
            (0xd0..=0xd8 | 0x01, _) => behind,
            (0xd9 | 0xda, _) | (_, None | Some(0 | 1)) => break,
            (_, Some(length)) => behind + usize::from(length),
        };
        if let (0xe1, Some(segment)) = (code, bytes.get(behind + 2..at)) {
            if segment.starts_with(exif::EXIF)
                && let Some(turn) = exif::of_exif(segment)
            {
                return turn;
            }
            if segment.starts_with(exif::XMP) {
                xmp = xmp.or_else(|| exif::of_xmp(segment));
            }
        }
    }
    xmp.unwrap_or_default()
}

/// Coefficients 1 to 9 of a block, of which libjpeg guesses what is missing.
const GUESSED: std::ops::Range<usize> = 1..10;

/// A component whose coefficients are kept until the last scan is read.
struct Kept {
    plane: Plane,
    /// Quantisation table of its first scan: later ones may define others for other components.
    factors: Option<Block>,
    /// Progress by coefficient, in zigzag order: low bits that are still to come, once there was a scan of it.
    missing: [Option<u8>; 64],
}

impl Kept {
    fn new(component: &Component) -> Self {
        Self { plane: Plane::new(component), factors: None, missing: [None; 64] }
    }

    /// Notes what a scan brings. A coefficient comes in the order of its bits, and each bit once.
    fn note(&mut self, scan: &Scan) -> Result<(), Fault> {
        let expected = if scan.high == 0 { None } else { Some(scan.high) };
        for missing in &mut self.missing[scan.first..=scan.last] {
            if *missing != expected {
                return Err(Fault::Corrupt("scans that repeat others or lack one before"));
            }
            *missing = Some(scan.low);
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.missing == [Some(0); 64]
    }
}

/// State of the decoder so far.
#[derive(Default)]
struct Decoder<'c> {
    settings: Settings,
    frame: Option<Frame>,
    jfif: bool,
    adobe: Option<u8>,
    /// Meaning of three components, where what is around the file tells it.
    colour: Option<Colour>,
    kept: Vec<Kept>,
    /// Choice of a part by the size of the image.
    choose: Option<&'c dyn Fn([usize; 2]) -> Option<Part>>,
}

/// Pixels of a file.
pub(crate) struct Decoded {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// 1 for grey, 3 for RGB.
    pub(crate) channels: usize,
    pub(crate) pixels: Vec<u8>,
    /// Image that this is a part of.
    within: Option<Within>,
}

impl Decoder<'_> {
    fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Fault> {
        let mut at = 2;
        loop {
            let (code, behind) = next_marker(bytes, at).ok_or(Fault::Truncated)?;
            at = behind;
            match code {
                0xd9 => return self.end(),
                // Without a segment: restarts that belong to no scan, and TEM.
                0xd0..=0xd7 | 0x01 => continue,
                0xd8 => return Err(Fault::Corrupt("a second start of an image")),
                _ => {}
            }
            let &length = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(Fault::Truncated)?;
            let length = usize::from(u16::from_be_bytes(length));
            if length < 2 {
                return Err(Fault::Corrupt("a segment shorter than its length"));
            }
            let segment = bytes.get(at + 2..at + length).ok_or(Fault::Truncated)?;
            at += length;
            if code != 0xda {
                self.segment(code, segment)?;
                continue;
            }
            let frame = self.frame.take().ok_or(Fault::Corrupt("a scan before the frame header"))?;
            let scan = Scan::parse(segment, &frame)?;
            let mut bits = Bits::new(bytes, at);
            if !frame.progressive && scan.parts.len() == frame.components.len() && self.kept.is_empty() {
                let colour = self.colour(&frame)?;
                let mut rows = self.rows(&frame, colour);
                scan::sequential_rows(&mut bits, (&scan, &frame), &self.settings, &mut rows)?;
                return Ok(decoded(&frame, colour, rows));
            }
            self.keep(&mut bits, &scan, &frame)?;
            at = bits.position();
            self.frame = Some(frame);
            // With the last bit of every coefficient the image is whole, whatever follows.
            if self.kept.iter().all(Kept::is_whole) {
                return self.end();
            }
        }
    }

    fn segment(&mut self, code: u8, segment: &[u8]) -> Result<(), Fault> {
        match code {
            0xc4 => self.huffman_tables(segment),
            // DAC comes with arithmetic coding, which the frame header tells.
            0xc8 | 0xcc => Ok(()),
            0xc0..=0xcf => {
                if self.frame.is_some() {
                    return Err(Fault::Corrupt("a second frame header"));
                }
                self.frame = Some(Frame::parse(code, segment)?);
                Ok(())
            }
            0xdb => self.factors(segment),
            0xdd => {
                let &[high, low] = segment else {
                    return Err(Fault::Corrupt("a restart interval that is not two bytes long"));
                };
                self.settings.restart = u16::from_be_bytes([high, low]).into();
                Ok(())
            }
            0xe0 => {
                self.jfif |= segment.len() >= 14 && segment.starts_with(b"JFIF\0");
                Ok(())
            }
            0xee => {
                if segment.starts_with(b"Adobe") {
                    self.adobe = segment.get(11).copied().or(self.adobe);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn huffman_tables(&mut self, mut rest: &[u8]) -> Result<(), Fault> {
        let short = Fault::Corrupt("a Huffman table is too short");
        while let Some((&name, behind)) = rest.split_first() {
            let (&counts, behind) = behind.split_first_chunk::<16>().ok_or(short)?;
            let count = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, behind) = behind.split_at_checked(count).ok_or(short)?;
            let definition = Definition { counts, symbols: symbols.to_vec() };
            definition.check()?;
            let tables = match name >> 4 {
                0 => &mut self.settings.dc,
                1 => &mut self.settings.ac,
                _ => return Err(Fault::Corrupt("a Huffman table of an unknown class")),
            };
            let slot = tables.get_mut(usize::from(name & 15));
            *slot.ok_or(Fault::Corrupt("a Huffman table whose number is not 0 to 3"))? = Some(definition);
            rest = behind;
        }
        Ok(())
    }

    fn factors(&mut self, mut rest: &[u8]) -> Result<(), Fault> {
        let short = Fault::Corrupt("a quantisation table is too short");
        while let Some((&name, behind)) = rest.split_first() {
            let wide = match name >> 4 {
                0 => false,
                1 => true,
                _ => return Err(Fault::Corrupt("a quantisation table of an unknown precision")),
            };
            let (values, behind) = behind.split_at_checked(if wide { 128 } else { 64 }).ok_or(short)?;
            let mut factors = [0; 64];
            for (k, &place) in ZIGZAG.iter().enumerate() {
                let value = match wide {
                    true => u16::from_be_bytes([values[2 * k], values[2 * k + 1]]),
                    false => values[k].into(),
                };
                factors[usize::from(place)] = value.cast_signed();
            }
            let slot = self.settings.factors.get_mut(usize::from(name & 15));
            *slot.ok_or(Fault::Corrupt("a quantisation table whose number is not 0 to 3"))? = Some(factors);
            rest = behind;
        }
        Ok(())
    }

    fn colour(&self, frame: &Frame) -> Result<Colour, Fault> {
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        match (self.colour, &ids[..]) {
            (Some(colour), [_, _, _]) => Ok(colour),
            _ => Colour::of(&ids, self.jfif, self.adobe),
        }
    }

    fn rows(&self, frame: &Frame, colour: Colour) -> Rows {
        let size = [frame.height, frame.width];
        let part = self.choose.and_then(|choose| choose(size));
        Rows::new(frame, colour, part.unwrap_or(Part { corner: [0, 0], size }))
    }

    /// Decodes a scan of some components, or of some coefficients.
    fn keep(&mut self, bits: &mut Bits, scan: &Scan, frame: &Frame) -> Result<(), Fault> {
        if self.kept.is_empty() {
            self.kept = frame.components.iter().map(Kept::new).collect();
        }
        for part in &scan.parts {
            let kept = &mut self.kept[part.component];
            kept.note(scan)?;
            if kept.factors.is_none() {
                kept.factors = Some(self.settings.factors(&frame.components[part.component])?);
            }
        }
        let planes: Vec<&mut Plane> = self.kept.iter_mut().map(|kept| &mut kept.plane).collect();
        scan::coefficients(bits, (scan, frame), &self.settings, planes)
    }

    /// The image of the coefficients that were kept.
    fn end(&self) -> Result<Decoded, Fault> {
        let frame = self.frame.as_ref().filter(|_| !self.kept.is_empty());
        let Some(frame) = frame.cloned() else { return Err(Fault::Corrupt("no scan")) };
        let bits = |kept: &Kept, range: std::ops::Range<usize>| {
            kept.missing[range].iter().all(|&low| low == Some(0))
        };
        if self.kept.iter().any(|kept| kept.missing[0].is_none() || !bits(kept, GUESSED)) {
            return Err(Fault::Corrupt("it ends before its last scan"));
        }
        let colour = self.colour(&frame)?;
        let mut rows = self.rows(&frame, colour);
        for mcu in 0..frame.mcus_down {
            for (place, (kept, component)) in self.kept.iter().zip(&frame.components).enumerate() {
                let lines = mcu * component.down..(mcu + 1) * component.down;
                let factors = kept.factors.as_ref().ok_or(Fault::Corrupt("a component without a scan"))?;
                kept.plane.to_samples(place, lines, factors, &mut rows);
            }
            rows.finish_strip();
        }
        Ok(decoded(&frame, colour, rows))
    }
}

fn decoded(frame: &Frame, colour: Colour, rows: Rows) -> Decoded {
    let Part { corner, size: [height, width] } = rows.part();
    let size = [frame.height, frame.width];
    let within = (size != [height, width]).then_some(Within { size, corner });
    Decoded { width, height, channels: colour.channels(), pixels: rows.into_pixels(), within }
}
