//! Run lengths of a bitmap (RLE8 and RLE4).

use crate::fault::Fault;

/// A byte for each pixel, rows as they are stored. What the runs leave out has the palette's first colour.
pub(super) fn unpack(data: &[u8], [height, width]: [usize; 2], halves: bool) -> Result<Vec<u8>, Fault> {
    let size = width * height;
    let mut bytes = data.iter().copied();
    let mut next = || bytes.next().ok_or(Fault::Truncated);
    let (mut indices, mut x) = (Vec::new(), 0);
    while indices.len() < size {
        match (next()?, next()?) {
            (0, 0) => {
                indices.resize(indices.len().next_multiple_of(width).min(size), 0);
                x = 0;
            }
            (0, 1) => break,
            (0, 2) => {
                let (right, up) = (usize::from(next()?), usize::from(next()?));
                indices.resize((indices.len() + right + up * width).min(size), 0);
                x = indices.len() % width;
            }
            (0, count) => {
                let count = usize::from(count);
                let packed = if halves { count.div_ceil(2) } else { count };
                for place in 0..packed {
                    let byte = next()?;
                    let pair = if halves { &[byte >> 4, byte & 15][..] } else { &[byte] };
                    let left = if halves { count - 2 * place } else { 1 };
                    indices.extend(pair.iter().take(left));
                }
                if packed % 2 == 1 && indices.len() < size {
                    next()?;
                }
                x += count;
            }
            (count, byte) => {
                let pair = if halves { [byte >> 4, byte & 15] } else { [byte; 2] };
                let count = usize::from(count).min(width.saturating_sub(x));
                indices.extend(pair.iter().cycle().take(count));
                x += count;
            }
        }
    }
    indices.resize(size, 0);
    Ok(indices)
}
