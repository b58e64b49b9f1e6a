//! Files that are no index, or a damaged one: an error that says so, in bounded memory.

use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArrayType, FloatType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use peak_alloc::PeakAlloc;
use residual_arch::Preprocess;
use residual_kernels::Cpu;
use residual_search::{Error, Facts, Index, IndexWriter, Row, WeightsFile};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const LISTS: &str = "message m { required binary path (STRING);
    required group embedding (LIST) { repeated group list { required float element; } } }";

fn facts(folder: &Path) -> Facts {
    let weights = folder.join("weights.bin");
    std::fs::write(&weights, b"weights").unwrap();
    Facts::new(WeightsFile::of(&weights, None, None).unwrap(), "toy", Preprocess::imagenet(256, 224), 4)
}

/// A table of lists of these lengths, with these values, and with `text` for its facts.
fn table(lengths: &[usize], values: &[f32], text: Option<&str>) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(LISTS).unwrap());
    let mut writer =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::new())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let paths = vec!["a".into(); lengths.len()];
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&paths, None, None).unwrap();
    column.close().unwrap();
    let starts: Vec<i16> =
        lengths.iter().flat_map(|&length| (0..length.max(1)).map(|at| i16::from(at > 0))).collect();
    let present: Vec<i16> =
        lengths.iter().flat_map(|&length| (0..length.max(1)).map(move |_| i16::from(length > 0))).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<FloatType>().write_batch(values, Some(&present), Some(&starts)).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    if let Some(text) = text {
        writer.append_key_value_metadata(KeyValue::new("residual.index".to_owned(), text.to_owned()));
    }
    writer.into_inner().unwrap()
}

fn json(folder: &Path) -> String {
    serde_json::to_string(&facts(folder)).unwrap()
}

/// Opens bytes as an index, and searches it.
fn search(folder: &Path, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join("x.parquet");
    std::fs::write(&path, bytes).unwrap();
    let index = Index::open(&path)?;
    index.search(&Cpu::new(1)?, &vec![1.0; index.facts().length], 3)?;
    index.rows()?;
    Ok(())
}

fn refused(folder: &Path, bytes: &[u8], part: &str) {
    let found = search(folder, bytes).unwrap_err().to_string();
    assert!(found.contains(part), "`{part}` is not in `{found}`");
    assert!(found.contains("x.parquet"), "{found}");
}

#[test]
fn what_is_no_index_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let json = json(folder);
    assert!(search(folder, &table(&[4, 4], &[0.5; 8], Some(&json))).is_ok());
    refused(folder, b"", "too short");
    refused(folder, &[0; 100], "does not");
    refused(folder, &table(&[4], &[0.5; 4], None), "help: `residual embed` writes one");
    refused(folder, &table(&[4], &[0.5; 4], Some("{}")), "missing field `version`");
    refused(folder, &table(&[4], &[0.5; 4], Some("no json")), "is damaged");
    refused(
        folder,
        &table(&[4], &[0.5; 4], Some(&json.replace("\"version\":1", "\"version\":2"))),
        "a newer build",
    );
    for length in ["0", "1000000000000"] {
        let claimed = json.replace("\"length\":4", &format!("\"length\":{length}"));
        refused(folder, &table(&[4], &[0.5; 4], Some(&claimed)), "where 1 to 65536 are possible");
    }
    let claimed = json.replace("\"length\":4", "\"length\":65536");
    refused(folder, &table(&[4], &[0.5; 4], Some(&claimed)), "1 rows of 65536 numbers, and 4 values");
}

#[test]
fn rows_of_other_lengths_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let json = json(folder.path());
    refused(folder.path(), &table(&[3, 5], &[0.5; 8], Some(&json)), "row 0 has not 4 numbers");
    refused(folder.path(), &table(&[4, 3], &[0.5; 7], Some(&json)), "2 rows of 4 numbers, and 7 values");
    refused(folder.path(), &table(&[4, 0, 4], &[0.5; 8], Some(&json)), "3 rows of 4 numbers, and 9 values");
}

#[test]
fn embeddings_that_are_not_finite_name_the_row() {
    let folder = tempfile::tempdir().unwrap();
    let json = json(folder.path());
    for bad in [f32::NAN, f32::INFINITY] {
        let mut values = [0.5; 12];
        values[9] = bad;
        refused(
            folder.path(),
            &table(&[4; 3], &values, Some(&json)),
            "row 2: an embedding that is not finite",
        );
    }
}

#[test]
fn tables_of_other_columns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for schema in [
        "message m { required binary path (STRING); }",
        "message m { required float embedding; }",
        "message m { required group embedding (LIST) { repeated group list { required int32 element; } } }",
    ] {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let writer =
            SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::new())).unwrap();
        refused(folder.path(), &writer.into_inner().unwrap(), "no column `embedding` of lists of numbers");
    }
}

#[test]
fn other_weights_are_refused_by_both_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let facts = facts(folder.path());
    let other = folder.path().join("other.bin");
    std::fs::write(&other, b"others").unwrap();
    let other = WeightsFile::of(&other, None, None).unwrap();
    assert!(facts.check_weights("x", &facts.weights).is_ok());
    let found = facts.check_weights("x", &other).unwrap_err().to_string();
    for part in [&facts.weights.sha256, &other.sha256, "weights.bin", "other.bin", "help: "] {
        assert!(found.contains(part), "{part} is not in {found}");
    }
}

/// An index of 40 rows in bytes.
fn index(folder: &Path) -> Vec<u8> {
    let mut writer = IndexWriter::new(Vec::new(), facts(folder)).unwrap();
    for number in 0..40u8 {
        writer.add(Row::new(format!("{number}.jpg")), &[f32::from(number), 1.0, 2.0, 3.0]).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn an_index_that_is_cut_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = index(folder.path());
    assert!(search(folder.path(), &bytes).is_ok());
    for end in (0..bytes.len()).step_by(7) {
        assert!(search(folder.path(), &bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn damaged_bytes_take_neither_the_process_nor_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = index(folder.path());
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    // Every byte of the footer, and some of the pages.
    let footer = bytes.len().saturating_sub(1000);
    for at in (0..footer).step_by(9).chain(footer..bytes.len()) {
        for value in [0x00, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            // An error, or other numbers.
            let _ = search(folder.path(), &damaged);
        }
    }
    let taken = MEMORY.peak_usage() - before;
    assert!(taken < 600 << 20, "{taken} bytes");
}
