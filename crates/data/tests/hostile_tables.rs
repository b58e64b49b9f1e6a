//! Tables and shards made to take memory or time: reading one allocates no more than it may, whatever it claims.

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use peak_alloc::PeakAlloc;
use residual_data::{DataSource, Dataset, Error, OpenOptions};
use support::{png, tar_bytes};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes that opening may take.
const LIMIT: u64 = 16 << 20;
/// The most that it takes beside: buffers, and a page that is being read.
const BESIDE: usize = 8 << 20;

/// One test at a time: the allocator counts for all. A backtrace of a panic that is caught takes more than the reader,
/// where it is asked for.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens data and reads a few of the images, and checks what that took.
fn read(path: &Path) -> Result<usize, Error> {
    let options =
        OpenOptions::default().with(|options| (options.memory_limit, options.holdout) = (LIMIT, 0.0));
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = Dataset::open(&DataSource::Path(path.into()), &options).and_then(|data| {
        let mut read = 0;
        for split in data.splits() {
            let set = data.split(split)?;
            for index in 0..set.len().min(4) {
                set.read(index)?;
                read += 1;
            }
        }
        Ok(read)
    });
    let taken = ALLOCATOR.peak_usage() - before;
    assert!(taken < LIMIT as usize + BESIDE, "{}: {taken} bytes", path.display());
    result
}

/// Thrift's compact protocol.
#[derive(Default)]
struct Thrift(Vec<u8>);

impl Thrift {
    fn unsigned(mut self, mut value: u64) -> Self {
        while value > 127 {
            self.0.push(value as u8 | 128);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn number(mut self, step: u8, value: i64) -> Self {
        self.0.push(step << 4 | 6);
        self.unsigned((value << 1 ^ value >> 63) as u64)
    }

    /// A 32-bit number, whose kind differs.
    fn small(mut self, step: u8, value: i64) -> Self {
        self.0.push(step << 4 | 5);
        self.unsigned((value << 1 ^ value >> 63) as u64)
    }

    fn text(mut self, step: u8, text: &str) -> Self {
        self.0.push(step << 4 | 8);
        let mut whole = self.unsigned(text.len() as u64);
        whole.0.extend(text.as_bytes());
        whole
    }

    fn structure(mut self, step: u8, inner: Self) -> Self {
        self.0.push(step << 4 | 12);
        self.0.extend(inner.end());
        self
    }

    fn list(mut self, step: u8, kind: u8, elements: Vec<Vec<u8>>) -> Self {
        self.0.push(step << 4 | 9);
        self.0.push(0xf0 | kind);
        let mut whole = self.unsigned(elements.len() as u64);
        whole.0.extend(elements.concat());
        whole
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(0);
        self.0
    }
}

/// A table of a column of images and one of labels, in one row group.
struct Table {
    /// Type, number of values and encoding of the images' pages, bytes unpacked as they are claimed, and bytes.
    pages: Vec<(i64, i64, i64, i64, Vec<u8>)>,
    codec: i64,
    rows: i64,
    /// Elements of the schema: name, type, children.
    schema: Vec<(&'static str, Option<i64>, Option<i64>)>,
}

impl Table {
    /// Two images, as they should be.
    fn good() -> Self {
        let image = |tone| [&(png(tone).len() as u32).to_le_bytes()[..], &png(tone)].concat();
        let bytes = [image(1), image(2)].concat();
        Self {
            pages: vec![(0, 2, 0, bytes.len() as i64, bytes)],
            codec: 0,
            rows: 2,
            schema: vec![("root", None, Some(2)), ("image", Some(6), None), ("label", Some(1), None)],
        }
    }

    /// A page with its header.
    fn page(&(kind, values, encoding, unpacked, ref bytes): &(i64, i64, i64, i64, Vec<u8>)) -> Vec<u8> {
        let inner = Thrift::default().small(1, values).small(1, encoding);
        let inner = if kind == 0 { inner.small(1, 3).small(1, 3) } else { inner };
        let header = Thrift::default().small(1, kind).small(1, unpacked).small(1, bytes.len() as i64);
        [header.structure(if kind == 0 { 2 } else { 4 }, inner).end(), bytes.clone()].concat()
    }

    fn chunk(name: &str, [kind, codec, start, length, rows]: [i64; 5]) -> Vec<u8> {
        let name = [&[name.len() as u8], name.as_bytes()].concat();
        let meta = Thrift::default()
            .small(1, kind)
            .list(1, 5, vec![vec![0]])
            .list(1, 8, vec![name])
            .small(1, codec)
            .number(1, rows)
            .number(1, length)
            .number(1, length)
            .number(2, start);
        Thrift::default().number(2, 0).structure(1, meta).end()
    }

    fn write(&self, path: &Path) {
        let mut file = b"PAR1".to_vec();
        let images = self.pages.iter().flat_map(Self::page).collect::<Vec<_>>();
        let labels = Self::page(&(0, 2, 0, 8, [0i32.to_le_bytes(), 1i32.to_le_bytes()].concat()));
        let starts = [4, 4 + images.len() as i64];
        file.extend([&images[..], &labels].concat());
        let element = |&(name, kind, children): &(&str, Option<i64>, Option<i64>)| {
            let element = Thrift::default();
            let element = match kind {
                Some(kind) => element.small(1, kind).small(2, 0).text(1, name),
                None => element.text(4, name),
            };
            children.into_iter().fold(element, |element, children| element.small(1, children)).end()
        };
        let columns = vec![
            Self::chunk("image", [6, self.codec, starts[0], images.len() as i64, self.rows]),
            Self::chunk("label", [1, 0, starts[1], labels.len() as i64, self.rows]),
        ];
        let group = Thrift::default().list(1, 12, columns).number(1, 0).number(1, self.rows).end();
        let footer = Thrift::default()
            .small(1, 1)
            .list(1, 12, self.schema.iter().map(element).collect())
            .number(1, self.rows)
            .list(1, 12, vec![group])
            .end();
        file.extend(&footer);
        file.extend((footer.len() as u32).to_le_bytes());
        file.extend(b"PAR1");
        fs::write(path, file).unwrap();
    }
}

/// Result of a table that differs from a good one.
fn changed(change: impl FnOnce(&mut Table)) -> Result<usize, Error> {
    let place = tempfile::tempdir().unwrap();
    let mut table = Table::good();
    change(&mut table);
    let path = place.path().join("x.parquet");
    table.write(&path);
    read(&path)
}

#[test]
fn claims_of_rows_columns_and_bytes_are_refused_before_memory_is_taken() {
    let _alone = alone();
    assert_eq!(changed(|_| {}).unwrap(), 2);
    for rows in [3, 1 << 20, 1 << 33, 1 << 62, i64::MAX, -1, i64::MIN] {
        let error = changed(|table| table.rows = rows).unwrap_err();
        assert!(
            matches!(error, Error::CorruptArchive { .. } | Error::Sample { .. } | Error::OverMemory { .. }),
            "{error}"
        );
    }
    for children in [3, 1 << 20, i64::from(i32::MAX), -1] {
        let error = changed(|table| table.schema[0].2 = Some(children)).unwrap_err();
        assert!(matches!(error, Error::CorruptArchive { .. }), "{error}");
    }
    // Deeper than the stack.
    let error = changed(|table| table.schema = vec![("root", None, Some(1)); 200_000]).unwrap_err();
    assert!(matches!(error, Error::CorruptArchive { .. } | Error::OverMemory { .. }), "{error}");
    for (values, unpacked) in [(2, 1 << 30), (2, -1), (1 << 30, 60), (i64::from(i32::MAX), 60), (-1, 60)] {
        for codec in 0..8 {
            let error = changed(|table| {
                table.codec = codec;
                (table.pages[0].1, table.pages[0].3) = (values, unpacked);
            });
            assert!(error.is_err(), "{values} values, {unpacked} bytes, codec {codec}");
        }
    }
}

#[test]
fn dictionaries_of_claims_and_lengths_of_claims_are_refused() {
    let _alone = alone();
    for values in [3, 1 << 20, i64::from(i32::MAX)] {
        // Two bytes of places in it follow.
        let indices = vec![1, 3, 0b01];
        let error = changed(|table| {
            let dictionary = (2, values, 0, table.pages[0].3, table.pages[0].4.clone());
            table.pages = vec![dictionary, (0, 2, 8, 3, indices)];
        });
        let text = error.unwrap_err().to_string();
        assert!(text.contains("row 0: "), "{text}");
    }
    for encoding in [6, 7] {
        let text = changed(|table| table.pages[0].2 = encoding).unwrap_err().to_string();
        assert!(text.contains("x.parquet, row 0: ") && text.contains("lengths of a page's values"), "{text}");
    }
}

#[test]
fn a_page_of_gzip_unpacks_to_what_it_says_at_the_most() {
    let _alone = alone();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    (0..64).for_each(|_| encoder.write_all(&vec![0; 1 << 20]).unwrap());
    let bomb = encoder.finish().unwrap();
    let text = changed(|table| (table.codec, table.pages[0].4) = (2, bomb)).unwrap_err().to_string();
    assert!(text.contains("row 0: ") && text.contains("unpacks to more than the"), "{text}");
}

#[test]
fn footers_longer_than_the_file_and_of_nothing_but_claims_are_refused() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.parquet");
    for (footer, length) in [
        (vec![0; 4], u32::MAX),
        (vec![0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0], 8),
        (vec![0x1c; 60_000], 60_000),
    ] {
        fs::write(&path, [&b"PAR1"[..], &footer, &u32::to_le_bytes(length), b"PAR1"].concat()).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, Error::CorruptArchive { .. }), "{error}");
    }
    // A megabyte, which would be 40.
    fs::write(&path, [&b"PAR1"[..], &vec![0x15; 1 << 20], &u32::to_le_bytes(1 << 20), b"PAR1"].concat())
        .unwrap();
    assert!(matches!(read(&path), Err(Error::OverMemory { .. })));
}

#[test]
fn an_index_of_many_samples_is_charged_to_the_budget() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a-0.tar");
    let files =
        (0..100).flat_map(|i| [(format!("{i:090}.png"), png(0)), (format!("{i:090}.cls"), vec![b'0'])]);
    fs::write(&path, tar_bytes(&files.collect())).unwrap();
    let options = |limit| OpenOptions::default().with(|options| options.memory_limit = limit);
    let open = |limit| Dataset::open(&DataSource::Path(path.clone()), &options(limit));
    assert!(open(1 << 20).is_ok());
    assert!(matches!(open(10_000), Err(Error::OverMemory { .. })));
}
