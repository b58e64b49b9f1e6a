//! Measures searches on request: the side of this project in `bench/peers/search.py`.
//!
//! `search THREADS` reads lines and answers each with one line:
//!
//! ```text
//! vectors FILE LENGTH              ready ROWS      raw 32-bit floats, row by row
//! queries FILE                     ready ROWS
//! exact COUNT BATCH TOP            ms MEDIAN       of a batch, beginning with another query each time
//! hits BATCH TOP                   rows ROW,ROW,...
//! index FILE.parquet               seconds S       writes the vectors as an index
//! clusters FILE.parquet            seconds S       makes the approximate index beside it
//! approximate COUNT BATCH TOP N    ms MEDIAN       of the N nearest lists
//! recall BATCH TOP N               recall R
//! anything else                    error REASON
//! ```

use std::fs::File;
use std::io::{BufRead, Write};
use std::time::Instant;

use residual_arch::Preprocess;
use residual_kernels::Cpu;
use residual_search::{
    Clusters, ClustersOptions, Error, Facts, Hit, Index, IndexWriter, Row, Vectors, WeightsFile,
};

type Failure = Box<dyn std::error::Error>;

/// Vectors and queries of a measurement.
struct Bench {
    cpu: Cpu,
    vectors: Option<Vectors>,
    queries: Vec<f32>,
    approximate: Option<(Index, Clusters)>,
}

fn floats(path: &str) -> Result<Vec<f32>, Failure> {
    Ok(std::fs::read(path)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

impl Bench {
    fn vectors(&self) -> Result<&Vectors, Failure> {
        self.vectors.as_ref().ok_or_else(|| "no vectors".into())
    }

    /// A batch of queries, the first of which is number `turn` of them.
    fn batch(&self, batch: usize, turn: usize) -> Result<Vec<f32>, Failure> {
        let length = self.vectors()?.length();
        let count = self.queries.len() / length;
        let row = |query: usize| &self.queries[(query % count) * length..][..length];
        Ok((turn * batch..(turn + 1) * batch).flat_map(row).copied().collect())
    }

    /// Median milliseconds of a search for a batch.
    fn time(
        &self,
        [count, batch]: [usize; 2],
        search: impl Fn(&[f32]) -> Result<Vec<Vec<Hit>>, Error>,
    ) -> Result<String, Failure> {
        let mut times = Vec::new();
        for turn in 0..count {
            let queries = self.batch(batch, turn)?;
            let begun = Instant::now();
            std::hint::black_box(search(&queries)?);
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok(format!("ms {}", times[times.len() / 2]))
    }

    fn write(&self, path: &str) -> Result<String, Failure> {
        let (vectors, begun) = (self.vectors()?, Instant::now());
        // The weights of a formula: the file itself, still empty.
        let file = File::create(path)?;
        let weights = WeightsFile::of(path.as_ref(), None, None)?;
        let facts = Facts::new(weights, "measured", Preprocess::normalise_only(), vectors.length());
        let mut writer = IndexWriter::new(file, facts)?;
        for row in 0..vectors.len() {
            writer.add(Row::new(row.to_string()), vectors.row(row))?;
        }
        writer.finish()?;
        Ok(format!("seconds {}", begun.elapsed().as_secs_f64()))
    }

    fn clusters(&mut self, path: &str) -> Result<String, Failure> {
        let (index, begun) = (Index::open(path)?, Instant::now());
        Clusters::build(&self.cpu, &index, &ClustersOptions::default(), |path, body| {
            let mut file = File::create(path).map_err(|error| Error::Write(error.to_string()))?;
            body(&mut file)
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        let clusters = Clusters::open(&index)?.ok_or("no approximate index")?;
        self.approximate = Some((index, clusters));
        Ok(format!("seconds {seconds}"))
    }

    fn answer(&mut self, line: &str) -> Result<String, Failure> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number =
            |at: usize| -> Result<usize, Failure> { Ok(words.get(at).ok_or("too few words")?.parse()?) };
        match words[..] {
            ["vectors", file, _] => {
                self.vectors = Some(Vectors::new(floats(file)?, number(2)?)?);
                Ok(format!("ready {}", self.vectors()?.len()))
            }
            ["queries", file] => {
                self.queries = floats(file)?;
                Ok(format!("ready {}", self.queries.len() / self.vectors()?.length()))
            }
            ["exact", _, _, _] => {
                let (vectors, top) = (self.vectors()?, number(3)?);
                self.time([number(1)?, number(2)?], |queries| vectors.search(&self.cpu, queries, top))
            }
            ["hits", _, _] => {
                let found = self.vectors()?.search(&self.cpu, &self.batch(number(1)?, 0)?, number(2)?)?;
                let rows: Vec<String> = found.iter().flatten().map(|hit| hit.row.to_string()).collect();
                Ok(format!("rows {}", rows.join(",")))
            }
            ["index", file] => self.write(file),
            ["clusters", file] => self.clusters(file),
            ["approximate", _, _, _, _] => {
                let (_, clusters) = self.approximate.as_ref().ok_or("no approximate index")?;
                let (top, probes) = (number(3)?, number(4)?);
                self.time([number(1)?, number(2)?], |queries| {
                    clusters.search(&self.cpu, queries, top, probes)
                })
            }
            ["recall", _, _, _] => {
                let (index, clusters) = self.approximate.as_ref().ok_or("no approximate index")?;
                let queries = self.batch(number(1)?, 0)?;
                Ok(format!("recall {}", clusters.recall(&self.cpu, index, &queries, number(2)?, number(3)?)?))
            }
            _ => Err("expected a line as the documentation has them".into()),
        }
    }
}

fn main() -> Result<(), Failure> {
    let threads = std::env::args().nth(1).ok_or("expected the number of threads")?.parse()?;
    let mut bench = Bench { cpu: Cpu::new(threads)?, vectors: None, queries: Vec::new(), approximate: None };
    let mut stdout = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = bench.answer(&line?).unwrap_or_else(|error| format!("error {error}"));
        writeln!(stdout, "{answer}")?;
        stdout.flush()?;
    }
    Ok(())
}
