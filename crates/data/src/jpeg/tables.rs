//! Fixed tables: the order of coefficients, and the Huffman tables that a file may leave out.

use super::huffman::Definition;

/// Places of the coefficients of a scan in the rows of a block: from the upper left along the diagonals.
pub(super) const ZIGZAG: [u8; 64] = zigzag();

const fn zigzag() -> [u8; 64] {
    let mut order = [0; 64];
    let (mut row, mut column) = (0usize, 0usize);
    let mut k = 0;
    while k < 64 {
        order[k] = (row * 8 + column) as u8;
        let up = (row + column).is_multiple_of(2);
        match (up, row, column) {
            (true, _, 7) => row += 1,
            (true, 0, _) => column += 1,
            (true, ..) => (row, column) = (row - 1, column + 1),
            (false, 7, _) => column += 1,
            (false, _, 0) => row += 1,
            (false, ..) => (row, column) = (row + 1, column - 1),
        }
        k += 1;
    }
    order
}

/// The tables that Motion JPEG leaves out of its frames (ITU-T T.81, K.3): for luma (0) and chroma (1).
pub(super) fn standard(ac: bool, chroma: bool) -> Definition {
    let (counts, symbols): ([u8; 16], Vec<u8>) = match (ac, chroma) {
        (false, false) => ([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], (0..12).collect()),
        (false, true) => ([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], (0..12).collect()),
        (true, false) => ([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], with_rest(&LUMA)),
        (true, true) => ([0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], with_rest(&CHROMA)),
    };
    Definition { counts, symbols }
}

/// `first`, and behind them all other symbols that there can be, by rising number.
fn with_rest(first: &[u8]) -> Vec<u8> {
    let others = (0..=0xfau8).filter(|symbol| (1..=10).contains(&(symbol & 15)) && !first.contains(symbol));
    first.iter().copied().chain(others).collect()
}

/// Symbols of AC coefficients that have codes of less than 16 bits.
const LUMA: [u8; 37] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22,
    0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33,
    0x62, 0x72, 0x82,
];
const CHROMA: [u8; 43] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13,
    0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62,
    0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zigzag_goes_along_the_diagonals() {
        assert_eq!(ZIGZAG[..10], [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]);
        assert_eq!(ZIGZAG[60..], [47, 55, 62, 63]);
    }

    #[test]
    fn standard_tables_are_whole() {
        for (ac, symbols) in [(false, 12), (true, 162)] {
            for chroma in [false, true] {
                let table = standard(ac, chroma);
                table.check().unwrap();
                assert_eq!(table.symbols.len(), symbols);
                assert_eq!(table.counts.iter().map(|&count| usize::from(count)).sum::<usize>(), symbols);
            }
        }
    }
}
