//! Thrift's compact protocol, as far as headers need it.
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>)

/// Structures in structures deeper than this are in no file.
const DEPTH: usize = 32;

/// Reason for which bytes are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// They end too early.
    Short,
    /// They contradict the protocol.
    Wrong,
}

/// Kinds of values that are told apart.
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// Reader of a structure's fields, one after the other. It allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Field of a structure: its number and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: i16,
    pub(super) kind: u8,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Number of bytes that were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.at).ok_or(Malformed::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, length: u64) -> Result<(), Malformed> {
        let left = (self.bytes.len() - self.at) as u64;
        if length > left {
            return Err(Malformed::Short);
        }
        self.at += length as usize;
        Ok(())
    }

    fn unsigned(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Wrong)
    }

    /// A whole number.
    pub(super) fn number(&mut self) -> Result<i64, Malformed> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Number of elements of a list, each at least a byte, and their kind.
    pub(super) fn list(&mut self) -> Result<(usize, u8), Malformed> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.unsigned()?,
            count => u64::from(count),
        };
        match count <= (self.bytes.len() - self.at) as u64 {
            true => Ok((count as usize, header & 15)),
            false => Err(Malformed::Short),
        }
    }

    /// The next field of the structure whose last one was `last`; `None` at its end.
    pub(super) fn field(&mut self, last: &mut i16) -> Result<Option<Field>, Malformed> {
        let header = self.byte()?;
        if header & 15 == 0 {
            return Ok(None);
        }
        let number = match header >> 4 {
            0 => i16::try_from(self.number()?).map_err(|_| Malformed::Wrong)?,
            step => last.checked_add(i16::from(step)).ok_or(Malformed::Wrong)?,
        };
        *last = number;
        Ok(Some(Field { number, kind: header & 15 }))
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, kind: u8) -> Result<(), Malformed> {
        self.skip_within(kind, DEPTH, false)
    }

    fn skip_within(&mut self, kind: u8, depth: usize, in_list: bool) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed::Wrong)?;
        match kind {
            // A truth is in the header of its field; in a list it is a byte.
            1 | 2 => self.pass(u64::from(in_list)),
            3 => self.pass(1),
            4..=6 => self.unsigned().map(drop),
            7 => self.pass(8),
            BINARY => {
                let length = self.unsigned()?;
                self.pass(length)
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip_within(kind, depth, true))
            }
            11 => {
                let count = self.unsigned()?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                (0..count).try_for_each(|_| {
                    self.skip_within(kinds >> 4, depth, true)?;
                    self.skip_within(kinds & 15, depth, true)
                })
            }
            STRUCT => {
                let mut last = 0;
                while let Some(field) = self.field(&mut last)? {
                    self.skip_within(field.kind, depth, false)?;
                }
                Ok(())
            }
            13 => self.pass(16),
            _ => Err(Malformed::Wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_passed_over() {
        // 1: i32 = -3, 2: list of two i32, 20: binary, 21: struct {}, stop.
        let bytes = [0x15, 5, 0x19, 0x25, 2, 4, 0x08, 40, 3, b'a', b'b', b'c', 0x1c, 0, 0, 99];
        let mut thrift = Thrift::new(&bytes);
        let mut last = 0;
        assert_eq!(thrift.field(&mut last).unwrap(), Some(Field { number: 1, kind: 5 }));
        assert_eq!(thrift.number().unwrap(), -3);
        let mut numbers = Vec::new();
        while let Some(field) = thrift.field(&mut last).unwrap() {
            thrift.skip(field.kind).unwrap();
            numbers.push(field.number);
        }
        assert_eq!((numbers, thrift.position()), (vec![2, 20, 21], bytes.len() - 1));
    }

    #[test]
    fn what_is_malformed_is_an_error() {
        let skip = |bytes: &[u8]| Thrift::new(bytes).skip(STRUCT);
        assert_eq!(skip(&[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(Malformed::Short), "4 GB of text");
        assert_eq!(skip(&[0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 7]), Err(Malformed::Short), "a list of claims");
        assert_eq!(skip(&[0x1c; 100]), Err(Malformed::Wrong), "too deep");
        assert_eq!(skip(&[0x15]), Err(Malformed::Short));
        assert_eq!(skip(&[0x1f, 0]), Err(Malformed::Wrong), "no kind");
        assert_eq!(
            skip(&[0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Err(Malformed::Wrong)
        );
    }
}
