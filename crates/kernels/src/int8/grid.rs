//! Tiles of output pixels.

use std::ops::Range;

/// Output pixels of a batch, cut into tiles of equal size.
///
/// Maps are a single row of pixels where those of all rows are at one distance in the input. The last tile of a row or
/// column begins early enough to be whole; what it has in common with the one before is computed twice and written once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    images: usize,
    /// Rows and columns of pixels of an image.
    size: [usize; 2],
    /// Rows and columns of pixels of a tile.
    pub(super) tile: [usize; 2],
    /// Rows and columns of tiles of an image.
    counts: [usize; 2],
}

/// A tile: its image, its first pixel, and the rows and columns of it that other tiles have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) image: usize,
    pub(super) first: [usize; 2],
    pub(super) skip: [usize; 2],
}

/// Rows and columns of the tiles that there is code for, and the distances of their pixels in the input. Two rows
/// where a map is 7 or fewer pixels wide; all widths only where most of the work is, at stride 1.
const SIZES: [([usize; 2], &[usize]); 11] = [
    ([1, 14], &[4, 8, 16, 32]),
    ([2, 7], &[16, 32]),
    ([1, 13], &[16]),
    ([1, 11], &[16]),
    ([2, 4], &[16]),
    ([1, 8], &[4, 8, 16, 32]),
    ([1, 7], &[16]),
    ([1, 6], &[4, 8, 16, 32]),
    ([1, 4], &[4, 8, 16, 32]),
    ([1, 2], &[4, 8, 16, 32]),
    ([1, 1], &[4, 8, 16, 32]),
];

/// Work of a tile beside that of its pixels, in pixels.
const TILE: usize = 1;

impl Grid {
    /// The grid of least work for `images` maps of `size` pixels, of tiles of at most `pixels` pixels that are `step` bytes
    /// apart in the input.
    pub(super) fn new(images: usize, size: [usize; 2], pixels: usize, step: usize) -> Self {
        let grid = |tile: [usize; 2]| {
            let counts = [0, 1].map(|axis| size[axis].div_ceil(tile[axis]));
            Self { images, size, tile, counts }
        };
        let fits = |&&([rows, columns], steps): &&([usize; 2], &[usize])| {
            rows * columns <= pixels && rows <= size[0] && columns <= size[1] && steps.contains(&step)
        };
        let work = |grid: &Self| grid.per_image() * (grid.tile[0] * grid.tile[1] + TILE);
        let grids = SIZES.iter().filter(fits).map(|&(tile, _)| grid(tile));
        grids.min_by_key(work).unwrap_or_else(|| grid([1, 1]))
    }

    /// The grid of least work of tiles of two groups of at most `group` pixels: of two rows, or of the two halves of a part
    /// of a single row. `None` where there are not two.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn in_groups(images: usize, size: [usize; 2], group: usize) -> Option<Self> {
        let tile = |columns: usize| if size[0] == 1 { [1, 2 * columns] } else { [2, columns] };
        let grid = |tile: [usize; 2]| {
            let counts = [0, 1].map(|axis| size[axis].div_ceil(tile[axis]));
            Self { images, size, tile, counts }
        };
        let tiles = (1..=group).rev().map(tile).filter(|tile| tile[1] <= size[1]);
        tiles.map(grid).min_by_key(|grid| grid.per_image() * (grid.tile[0] * grid.tile[1] + 4 * TILE))
    }

    fn per_image(&self) -> usize {
        self.counts[0] * self.counts[1]
    }

    /// Tiles of all images.
    pub(super) fn tiles(&self) -> usize {
        self.images * self.per_image()
    }

    /// Tile `index` of all.
    #[inline(always)]
    pub(super) fn tile(&self, index: usize) -> Tile {
        let (image, rest) = (index / self.per_image(), index % self.per_image());
        let at = [rest / self.counts[1], rest % self.counts[1]];
        let start = [0, 1].map(|axis| at[axis] * self.tile[axis]);
        let first = [0, 1].map(|axis: usize| start[axis].min(self.size[axis] - self.tile[axis]));
        Tile { image, first, skip: [start[0] - first[0], start[1] - first[1]] }
    }
}

/// A share of the work: some tiles, for some panels of output channels.
#[derive(Clone, Debug)]
pub(super) struct Share {
    pub(super) tiles: Range<usize>,
    pub(super) panels: Range<usize>,
}

/// Division of the work into shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    tiles: usize,
    panels: usize,
    /// Groups that tiles and panels are divided into.
    groups: [usize; 2],
}

impl Shares {
    /// Shares of at most `most` tiles, at least `least` in number where there is so much to divide. Panels are divided
    /// where tiles are too few.
    pub(super) fn new(tiles: usize, panels: usize, most: usize, least: usize) -> Self {
        let by_tiles = tiles.div_ceil(most.max(1));
        let by_panels = least.div_ceil(by_tiles).min(panels);
        let by_tiles = by_tiles.max(least.div_ceil(by_panels).min(tiles));
        Self { tiles, panels, groups: [by_tiles, by_panels] }
    }

    /// Number of shares.
    pub(super) fn count(&self) -> usize {
        self.groups[0] * self.groups[1]
    }

    /// Share `index`.
    pub(super) fn share(&self, index: usize) -> Share {
        let part = |all: usize, groups: usize, at: usize| at * all / groups..(at + 1) * all / groups;
        let [by_tiles, by_panels] = self.groups;
        Share {
            tiles: part(self.tiles, by_tiles, index / by_panels),
            panels: part(self.panels, by_panels, index % by_panels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_is_written_once() {
        for size in [[1, 1], [7, 7], [8, 8], [1, 49], [3, 5], [56, 56], [14, 14], [5, 31], [2, 3]] {
            for pixels in [2, 4, 6, 14] {
                let grid = Grid::new(2, size, pixels, 16);
                let mut written = vec![0; 2 * size[0] * size[1]];
                for index in 0..grid.tiles() {
                    let tile = grid.tile(index);
                    for r in tile.skip[0]..grid.tile[0] {
                        for c in tile.skip[1]..grid.tile[1] {
                            let (y, x) = (tile.first[0] + r, tile.first[1] + c);
                            written[(tile.image * size[0] + y) * size[1] + x] += 1;
                        }
                    }
                }
                assert!(written.iter().all(|&times| times == 1), "{size:?} of {pixels}: {grid:?}");
            }
        }
    }

    #[test]
    fn every_tile_and_panel_is_in_one_share() {
        for (tiles, panels, most, least) in [(1, 1, 1, 8), (4, 64, 20, 8), (1000, 2, 13, 8), (7, 3, 100, 16)]
        {
            let shares = Shares::new(tiles, panels, most, least);
            let mut seen = vec![0; tiles * panels];
            for index in 0..shares.count() {
                let Share { tiles, panels: of } = shares.share(index);
                tiles.flat_map(|t| of.clone().map(move |p| t * panels + p)).for_each(|i| seen[i] += 1);
            }
            assert!(seen.iter().all(|&times| times == 1), "{shares:?}");
        }
    }
}
