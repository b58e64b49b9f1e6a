//! Indices: written, opened, searched; and files that are none.

use std::path::{Path, PathBuf};

use residual_arch::Preprocess;
use residual_kernels::{Cpu, Isa};
use residual_search::{
    Clusters, ClustersOptions, Error, Facts, Hit, Index, IndexWriter, Row, Vectors, WeightsFile,
};
use tempfile::TempDir;

/// Vectors of a formula, in a few directions with noise.
fn vectors(rows: usize, length: usize) -> Vec<f32> {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let centres: Vec<f32> = (0..8 * length).map(|_| next()).collect();
    (0..rows)
        .flat_map(|row| (0..length).map(move |i| (row, i)))
        .map(|(row, i)| centres[row % 8 * length + i] + 0.5 * next())
        .collect()
}

fn facts(folder: &Path, length: usize) -> Facts {
    let weights = folder.join("weights.bin");
    std::fs::write(&weights, b"weights").unwrap();
    let weights = WeightsFile::of(&weights, None, None).unwrap();
    Facts::new(weights, "toy", Preprocess::imagenet(256, 224), length)
}

/// An index of these vectors, in `folder`.
fn written(folder: &Path, length: usize, vectors: &[f32]) -> PathBuf {
    let path = folder.join("index.parquet");
    let mut writer = IndexWriter::new(Vec::new(), facts(folder, length)).unwrap();
    for (number, vector) in vectors.chunks(length).enumerate() {
        let row = Row::new(format!("{number}.jpg")).with(|row| {
            row.split = number.is_multiple_of(2).then(|| "train".to_owned());
            row.label = Some(format!("class {}", number % 8));
        });
        writer.add(row, vector).unwrap();
    }
    std::fs::write(&path, writer.finish().unwrap()).unwrap();
    path
}

fn bench(rows: usize, length: usize) -> (TempDir, Index, Vec<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let values = vectors(rows, length);
    let index = Index::open(written(folder.path(), length, &values)).unwrap();
    (folder, index, values)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn what_is_written_is_read() {
    let (_folder, index, values) = bench(3000, 512);
    assert_eq!((index.len(), index.facts().length, index.facts().layer.as_str()), (3000, 512, "head.pool"));
    assert_eq!(index.facts().digest.len(), 64);
    for row in [0, 1, 2047, 2048, 2999] {
        assert_eq!(index.vector(row).unwrap(), values[row as usize * 512..][..512]);
        let found = index.row(row).unwrap();
        assert_eq!(
            (found.path.as_str(), found.split.is_some()),
            (format!("{row}.jpg").as_str(), row % 2 == 0)
        );
        assert_eq!(index.find(&found.path).unwrap(), row);
    }
    let rows = index.rows_at(&[2999, 0, 2999]).unwrap();
    assert_eq!(
        rows.iter().map(|row| row.path.as_str()).collect::<Vec<_>>(),
        ["2999.jpg", "0.jpg", "2999.jpg"]
    );
    assert_eq!(index.rows().unwrap().len(), 3000);
    assert!(matches!(index.row(3000), Err(Error::NoRow { rows: 3000, .. })));
    assert!(matches!(index.find("none"), Err(Error::NoPath { .. })));
}

#[test]
fn the_same_rows_give_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let values = vectors(100, 8);
    let first = std::fs::read(written(folder.path(), 8, &values)).unwrap();
    assert_eq!(first, std::fs::read(written(folder.path(), 8, &values)).unwrap());
}

#[test]
fn a_search_finds_the_most_similar_in_order_on_every_instruction_set() {
    let (_folder, index, values) = bench(5000, 40);
    let queries = &values[..3 * 40];
    for isa in Isa::available() {
        let one = Cpu::with_isa(isa, 1).unwrap();
        let hits = index.search(&one, queries, 20).unwrap();
        let all: Vec<Vec<Hit>> = index.search(&Cpu::with_isa(isa, 3).unwrap(), queries, 20).unwrap();
        assert_eq!(hits, all, "{isa}: depends on the threads");
        let memory = index.vectors(2).unwrap();
        assert_eq!(hits, memory.search(&one, queries, 20).unwrap(), "{isa}: in memory");
        for (query, hits) in queries.chunks(40).zip(&hits) {
            let mut exact: Vec<(f64, u32)> =
                values.chunks(40).zip(0..).map(|(row, number)| (cosine(query, row), number)).collect();
            exact.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (hit, (score, _)) in hits.iter().zip(&exact) {
                assert!((f64::from(hit.score) - score).abs() < 1e-5, "{isa} {hit:?} {score}");
            }
            assert_eq!(hits[0].row, exact[0].1);
        }
    }
}

#[test]
fn of_equal_rows_the_first_comes_first() {
    let values: Vec<f32> = (0..6000).flat_map(|row| [1.0, (row % 2) as f32]).collect();
    let found = Vectors::new(values, 2).unwrap().search(&Cpu::new(2).unwrap(), &[2.0, 2.0], 4).unwrap();
    assert_eq!(found[0].iter().map(|hit| hit.row).collect::<Vec<_>>(), [1, 3, 5, 7]);
}

#[test]
fn more_than_there_are_is_all_of_them_and_zeros_are_similar_to_nothing() {
    let vectors = Vectors::new(vec![0.0, 0.0, 1.0, 0.0, -1.0, 0.0], 2).unwrap();
    let cpu = Cpu::new(1).unwrap();
    let rows = |hits: &[Hit]| hits.iter().map(|hit| (hit.row, hit.score)).collect::<Vec<_>>();
    assert_eq!(rows(&vectors.search(&cpu, &[3.0, 0.0], 9).unwrap()[0]), [(1, 1.0), (0, 0.0), (2, -1.0)]);
    assert_eq!(rows(&vectors.search(&cpu, &[0.0, 0.0], 2).unwrap()[0]), [(0, 0.0), (1, 0.0)]);
    assert!(matches!(vectors.search(&cpu, &[1.0; 3], 2), Err(Error::Length { expected: 2, found: 3, .. })));
    assert!(matches!(vectors.search(&cpu, &[1.0, f32::NAN], 2), Err(Error::NotFinite { .. })));
}

#[test]
fn what_does_not_fit_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::new(Vec::new(), facts(folder.path(), 4)).unwrap();
    assert!(matches!(writer.add(Row::new("a"), &[1.0; 3]), Err(Error::Length { .. })));
    assert!(matches!(writer.add(Row::new("a"), &[f32::INFINITY; 4]), Err(Error::NotFinite { .. })));
}

#[test]
fn normalised_vectors_have_length_one() {
    let folder = tempfile::tempdir().unwrap();
    let facts = facts(folder.path(), 2).with(|facts| facts.normalised = true);
    let mut writer = IndexWriter::new(Vec::new(), facts).unwrap();
    writer.add(Row::new("a"), &[3.0, 4.0]).unwrap();
    let path = folder.path().join("unit.parquet");
    std::fs::write(&path, writer.finish().unwrap()).unwrap();
    let found = Index::open(&path).unwrap().vector(0).unwrap();
    assert!((found[0] - 0.6).abs() < 1e-6 && (found[1] - 0.8).abs() < 1e-6);
}

fn build(index: &Index, threads: usize) -> Clusters {
    let cpu = Cpu::new(threads).unwrap();
    Clusters::build(&cpu, index, &ClustersOptions::default(), |path, body| {
        body(&mut std::fs::File::create(path).unwrap())
    })
    .unwrap();
    Clusters::open(index).unwrap().unwrap()
}

#[test]
fn the_approximate_index_finds_what_the_exact_search_finds() {
    let (_folder, index, values) = bench(4000, 24);
    assert!(Clusters::open(&index).unwrap().is_none());
    let clusters = build(&index, 1);
    let bytes = std::fs::read(Clusters::path(&index)).unwrap();
    build(&index, 3);
    assert_eq!(bytes, std::fs::read(Clusters::path(&index)).unwrap(), "depends on the threads");
    let cpu = Cpu::new(2).unwrap();
    let queries = &values[..50 * 24];
    assert_eq!((clusters.rows(), clusters.lists()), (4000, 64));
    // All lists are all rows; a few have most of the nearest.
    let all = clusters.search(&cpu, queries, 10, 64).unwrap();
    assert_eq!(all, index.search(&cpu, queries, 10).unwrap());
    let few = clusters.recall(&cpu, &index, queries, 10, clusters.usual_probes()).unwrap();
    let one = clusters.recall(&cpu, &index, queries, 10, 1).unwrap();
    assert!(few > 0.6 && one < few, "{few} {one}");
    // A query beside others has the answer that it has alone.
    let alone = clusters.search(&cpu, &queries[24..48], 10, 4).unwrap();
    assert_eq!(alone[0], clusters.search(&cpu, queries, 10, 4).unwrap()[1]);
}

#[test]
fn an_approximate_index_of_another_is_refused_and_so_is_a_damaged_one() {
    let (_folder, index, _) = bench(300, 8);
    build(&index, 1);
    let path = Clusters::path(&index);
    let bytes = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8], part: &str| {
        std::fs::write(&path, bytes).unwrap();
        let found = Clusters::open(&index).map(|_| ()).unwrap_err().to_string();
        assert!(found.contains(part) && found.contains("help: "), "{found}");
    };
    refused(b"", "too short");
    refused(b"RESCLUS1\xff\xff\xff\xff", "no approximate index");
    refused(&bytes[..40], "header");
    refused(&bytes[..bytes.len() - 1], "not those that its header says");
    refused(&[&bytes[..], b"x"].concat(), "not those that its header says");
    let text = String::from_utf8_lossy(&bytes[12..60]).into_owned();
    assert!(text.starts_with("{\"lists\":32,\"length\":8,\"rows\":300"), "{text}");
    let changed = |from: &str, to: &str| {
        let mut changed = bytes.clone();
        let at = bytes.windows(from.len()).position(|found| found == from.as_bytes()).unwrap();
        changed[at..at + to.len()].copy_from_slice(to.as_bytes());
        changed
    };
    refused(&changed("\"lists\":32", "\"lists\":00"), "header");
    refused(&changed("\"lists\":32", "\"lists\":99"), "not those that its header says");
    refused(&changed("\"digest\":\"", "\"digest\":\"\u{40}"), "another index");
    // Rows that there are not, and lists that do not follow each other.
    let header = 12 + u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
    let starts = header + 32 * 8 * 4;
    let mut wrong = bytes.clone();
    wrong[starts + 8..starts + 16].fill(0xff);
    refused(&wrong, "do not follow");
    let mut wrong = bytes.clone();
    wrong[starts + 33 * 8..][..4].fill(0xff);
    std::fs::write(&path, &wrong).unwrap();
    let clusters = Clusters::open(&index).unwrap().unwrap();
    let found = clusters.search(&Cpu::new(1).unwrap(), &[1.0; 8], 3, 32);
    assert!(matches!(found, Err(Error::Clusters { .. })), "{found:?}");
}
