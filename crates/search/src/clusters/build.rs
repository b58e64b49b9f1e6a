//! Building of the approximate index: centres, lists, and the file.

use std::io::Write;
use std::path::Path;

use residual_kernels::Cpu;

use super::file::{Header, path_of};
use super::{Clusters, ClustersOptions, assign};
use crate::{Error, Index, Vectors};

/// Bytes of vectors that are put in order at a time: an index of more is read several times.
const WINDOW: usize = 512 << 20;

/// Rows that are assigned at once.
const ROWS: usize = 4096;

impl Clusters {
    /// Builds the approximate index of `index`, and writes it through `write`: to a file beside it, such that no half of
    /// it is ever there.
    ///
    /// # Errors
    /// Those of reading the index; [`Error::Option`] for an index without rows; those of `write`.
    pub fn build<E: From<Error>>(
        cpu: &Cpu,
        index: &Index,
        options: &ClustersOptions,
        write: impl FnOnce(&Path, &mut dyn FnMut(&mut dyn Write) -> Result<(), Error>) -> Result<(), E>,
    ) -> Result<(), E> {
        if index.is_empty() {
            let reason = "the index has no rows".to_owned();
            return Err(Error::Option { what: "approximate", reason }.into());
        }
        let centres = options.centres(index.len());
        let sample = sample(cpu, index, options.sample.saturating_mul(centres))?;
        let centres = fit(cpu, &sample, centres, options.iterations)?;
        drop(sample);
        let lists = lists(cpu, index, &centres)?;
        let order = Order::of(&lists, centres.len());
        write(&path_of(index), &mut |out| write_file(cpu, index, (&centres, &order), out))
    }
}

/// Every so many-th row, about `wanted` of them.
fn sample(cpu: &Cpu, index: &Index, wanted: usize) -> Result<Vectors, Error> {
    let (length, rows) = (index.facts().length, index.len());
    let wanted = (wanted as u64).clamp(1, rows);
    let (mut taken, mut sample) = (0, Vec::new());
    index.for_each(cpu.pool().threads(), |first, vectors| {
        for (row, vector) in (u64::from(first)..).zip(vectors.chunks_exact(length)) {
            if row == taken * rows / wanted {
                sample.extend_from_slice(vector);
                taken += 1;
            }
        }
        Ok(())
    })?;
    Ok(Vectors::of_units(sample, length))
}

/// Centres of vectors by spherical k-means: those that each row is most similar to are averaged, and the averages
/// brought to length 1. The first centres are rows at equal distances; one that no row is close to stays as it is.
pub(crate) fn fit(cpu: &Cpu, sample: &Vectors, centres: usize, iterations: usize) -> Result<Vectors, Error> {
    let (rows, length) = (sample.len(), sample.length());
    let centres = centres.min(rows);
    let firsts = (0..centres).flat_map(|centre| sample.row(centre * rows / centres.max(1)));
    let mut found = Vectors::of_units(firsts.copied().collect(), length);
    for _ in 0..iterations {
        let mut sums = vec![0f64; centres * length];
        let mut counts = vec![0usize; centres];
        for rows in sample.values().chunks(ROWS * length) {
            for (row, nearest) in rows.chunks_exact(length).zip(assign(cpu, &found, rows, 1)?) {
                let list = nearest.first().map_or(0, |hit| hit.row) as usize;
                counts[list] += 1;
                let sum = &mut sums[list * length..][..length];
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            }
        }
        let mut next = Vec::with_capacity(centres * length);
        for (centre, sum) in sums.chunks_exact(length).enumerate() {
            let norm = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
            match counts[centre] > 0 && norm > 0.0 {
                true => next.extend(sum.iter().map(|value| (value / norm) as f32)),
                false => next.extend_from_slice(found.row(centre)),
            }
        }
        found = Vectors::of_units(next, length);
    }
    Ok(found)
}

/// List of every row.
fn lists(cpu: &Cpu, index: &Index, centres: &Vectors) -> Result<Vec<u32>, Error> {
    let mut lists = Vec::new();
    index.for_each(cpu.pool().threads(), |_, rows| {
        let nearest = assign(cpu, centres, &rows, 1)?;
        lists.extend(nearest.iter().map(|hits| hits.first().map_or(0, |hit| hit.row)));
        Ok(())
    })?;
    Ok(lists)
}

/// Order of the rows by list, and in a list as they are in the index.
struct Order {
    /// Row at which each list begins, and the number of rows.
    starts: Vec<u64>,
    /// Rows, list by list.
    rows: Vec<u32>,
    /// Place of each row.
    places: Vec<u32>,
}

impl Order {
    fn of(lists: &[u32], count: usize) -> Self {
        let mut starts = vec![0u64; count + 1];
        lists.iter().for_each(|&list| starts[list as usize + 1] += 1);
        for list in 0..count {
            starts[list + 1] += starts[list];
        }
        let mut next = starts.clone();
        let (mut rows, mut places) = (vec![0; lists.len()], vec![0; lists.len()]);
        for (row, &list) in lists.iter().enumerate() {
            let place = next[list as usize];
            next[list as usize] += 1;
            rows[place as usize] = row as u32;
            places[row] = place as u32;
        }
        Self { starts, rows, places }
    }
}

fn write_file(
    cpu: &Cpu,
    index: &Index,
    (centres, order): (&Vectors, &Order),
    out: &mut dyn Write,
) -> Result<(), Error> {
    let length = index.facts().length;
    let failed = |error: std::io::Error| Error::Write(error.to_string());
    let header = Header::new(index, centres.len());
    out.write_all(&header.bytes()?).map_err(failed)?;
    write_floats(out, centres.values()).map_err(failed)?;
    for start in &order.starts {
        out.write_all(&start.to_le_bytes()).map_err(failed)?;
    }
    for row in &order.rows {
        out.write_all(&row.to_le_bytes()).map_err(failed)?;
    }
    // A window of places at a time: the index is read once for each.
    let window = (WINDOW / (4 * length)).max(1);
    for start in (0..order.rows.len()).step_by(window) {
        let places = start..(start + window).min(order.rows.len());
        let mut vectors = vec![0f32; places.len() * length];
        index.for_each(cpu.pool().threads(), |first, rows| {
            for (place, row) in order.places[first as usize..].iter().zip(rows.chunks_exact(length)) {
                if places.contains(&(*place as usize)) {
                    vectors[(*place as usize - start) * length..][..length].copy_from_slice(row);
                }
            }
            Ok(())
        })?;
        write_floats(out, &vectors).map_err(failed)?;
    }
    Ok(())
}

fn write_floats(out: &mut dyn Write, values: &[f32]) -> std::io::Result<()> {
    for part in values.chunks(1 << 16) {
        let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}
