//! Orientation of a photograph, as EXIF records it.

/// Orientation of an image: how its stored pixels are to be turned and mirrored to be seen as the camera was held
/// (EXIF 2.32, tag 274).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Orientation {
    /// 1: as it is stored.
    #[default]
    Upright,
    /// 2: left and right are exchanged.
    Mirrored,
    /// 3: turned by 180 degrees.
    UpsideDown,
    /// 4: top and bottom are exchanged.
    Flipped,
    /// 5: mirrored along the diagonal from the upper left corner.
    Transposed,
    /// 6: to be turned clockwise by 90 degrees.
    Clockwise,
    /// 7: mirrored along the diagonal from the upper right corner.
    Transverse,
    /// 8: to be turned counterclockwise by 90 degrees.
    Counterclockwise,
}

impl Orientation {
    /// Orientation of EXIF's number, 1 to 8; any other says nothing.
    pub(crate) fn of_number(number: u64) -> Self {
        match number {
            2 => Self::Mirrored,
            3 => Self::UpsideDown,
            4 => Self::Flipped,
            5 => Self::Transposed,
            6 => Self::Clockwise,
            7 => Self::Transverse,
            8 => Self::Counterclockwise,
            _ => Self::Upright,
        }
    }

    /// Number of it in EXIF, 1 to 8.
    pub fn number(self) -> u8 {
        match self {
            Self::Upright => 1,
            Self::Mirrored => 2,
            Self::UpsideDown => 3,
            Self::Flipped => 4,
            Self::Transposed => 5,
            Self::Clockwise => 6,
            Self::Transverse => 7,
            Self::Counterclockwise => 8,
        }
    }

    /// `[height, width]` of an image of `[height, width]` once it is turned.
    pub(crate) fn size(self, [height, width]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::Upright | Self::Mirrored | Self::UpsideDown | Self::Flipped => [height, width],
            Self::Transposed | Self::Clockwise | Self::Transverse | Self::Counterclockwise => [width, height],
        }
    }

    /// The samples, `[height, width, channels]`, turned.
    pub(crate) fn apply<T: Copy>(self, source: &[T], size: [usize; 2], channels: usize) -> Vec<T> {
        let [height, width] = size;
        let [rows, columns] = self.size(size);
        let mut target = Vec::with_capacity(source.len());
        for y in 0..rows {
            for x in 0..columns {
                let (across, down) = match self {
                    Self::Upright => (x, y),
                    Self::Mirrored => (width - 1 - x, y),
                    Self::UpsideDown => (width - 1 - x, height - 1 - y),
                    Self::Flipped => (x, height - 1 - y),
                    Self::Transposed => (y, x),
                    Self::Clockwise => (y, height - 1 - x),
                    Self::Transverse => (width - 1 - y, height - 1 - x),
                    Self::Counterclockwise => (width - 1 - y, x),
                };
                let start = (down * width + across) * channels;
                target.extend_from_slice(&source[start..start + channels]);
            }
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pillow 13's `ImageOps.exif_transpose` of the 3x2 image 1 to 6.
    #[test]
    fn each_of_the_eight_turns_as_pillow_does() {
        let expected: [&[u8]; 8] = [
            &[1, 2, 3, 4, 5, 6],
            &[3, 2, 1, 6, 5, 4],
            &[6, 5, 4, 3, 2, 1],
            &[4, 5, 6, 1, 2, 3],
            &[1, 4, 2, 5, 3, 6],
            &[4, 1, 5, 2, 6, 3],
            &[6, 3, 5, 2, 4, 1],
            &[3, 6, 2, 5, 1, 4],
        ];
        for (number, expected) in (1..).zip(expected) {
            let turn = Orientation::of_number(number);
            assert_eq!(u64::from(turn.number()), number);
            assert_eq!(turn.apply(&[1, 2, 3, 4, 5, 6], [2, 3], 1), expected, "{number}");
            assert_eq!(turn.size([2, 3]), if number < 5 { [2, 3] } else { [3, 2] });
        }
        assert_eq!(Orientation::of_number(0), Orientation::Upright);
        assert_eq!(Orientation::of_number(9), Orientation::Upright);
    }
}
