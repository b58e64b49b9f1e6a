//! A gzip stream of any number of members.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Unpacks gzip members, one behind the other. Zeros behind the last, with which tapes and disks are filled up, are
/// nothing; other bytes are an error that says so.
pub(crate) struct GzMembers<R> {
    state: State<R>,
}

enum State<R> {
    Member(GzDecoder<R>),
    /// Between two members, or behind the last: bytes passed by so far.
    Between(R, u64),
    Done,
}

impl<R: BufRead> GzMembers<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { state: State::Member(GzDecoder::new(reader)) }
    }
}

impl<R: BufRead> Read for GzMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return Ok(0),
                State::Member(mut decoder) => {
                    let read = decoder.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        self.state = State::Member(decoder);
                        return Ok(read);
                    }
                    self.state = State::Between(decoder.into_inner(), 0);
                }
                State::Between(mut reader, zeros) => {
                    let rest = reader.fill_buf()?;
                    let (length, padding) = (rest.len(), rest.iter().take_while(|&&byte| byte == 0).count());
                    match rest {
                        [] => return Ok(0),
                        [0x1f, ..] if zeros == 0 => self.state = State::Member(GzDecoder::new(reader)),
                        _ if padding == length => {
                            reader.consume(length);
                            self.state = State::Between(reader, zeros + length as u64);
                        }
                        _ => {
                            let text = "trailing data behind the end of the gzip stream; help: cut them off";
                            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        GzMembers::new(bytes).read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn members_follow_each_other_up_to_zeros() {
        let two = [packed(b"ab"), packed(b"c")].concat();
        assert_eq!(unpacked(&two).unwrap(), b"abc");
        assert_eq!(unpacked(&[two.clone(), vec![0; 9000]].concat()).unwrap(), b"abc");
        for tail in [&b"x"[..], b"\0\0x", b"\0\x1f\x8b"] {
            let error = unpacked(&[&two[..], tail].concat()).unwrap_err();
            assert!(error.to_string().starts_with("trailing data"), "{error}");
        }
        let error = unpacked(&two[..two.len() - 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
