//! TensorBoard event files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prost::Message as _;

use super::event::{Content, Event, SessionLog, Summary, Value};
use crate::{Error, Metrics, Observer, StepReport, Trainer};

/// TensorBoard event file of a training, as an [`Observer`]: `step/loss` and `step/learning_rate` of every step,
/// `loss/SPLIT`, `accuracy/SPLIT` (or `score/SPLIT`, of another task than single label) and `images_per_second/SPLIT` of
/// every pass, where a split is `train`, that of the evaluation, or `ema`; `gradient_norm/PART` of every epoch.
///
/// A file is a list of TFRecords, each an `Event` of `tensorflow/core/util/event.proto`. Each process writes one of its
/// own; that of a resumed training begins with a `SessionLog` at which readers drop what the interrupted one wrote
/// beyond its last checkpoint. An error of writing does not stop the training: [`take_error`](Self::take_error).
///
/// ```no_run
/// use residual_train::{TensorBoard, Training};
///
/// let mut trainer = Training::new("small").data("photos").begin("runs/first")?;
/// let events = TensorBoard::of(&trainer, "runs/first")?;
/// trainer.observe(events);
/// # Ok::<(), residual_train::Error>(())
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: BufWriter<File>,
    flushed: Instant,
    has_failed: bool,
    error: Option<io::Error>,
}

/// Beginning of every file's name; then seconds, by which readers order the files of a folder.
const PREFIX: &str = "events.out.tfevents.";

/// Status of a session that starts, in a [`SessionLog`].
const START: i32 = 1;

/// Between two moments at which a reader sees what there is.
const PAUSE: Duration = Duration::from_secs(5);

impl TensorBoard {
    /// Event file for the steps of a trainer that are still to be done, new in a folder that is made where it does not
    /// exist.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn of(trainer: &Trainer, folder: impl AsRef<Path>) -> Result<Self, Error> {
        let progress = &trainer.progress;
        // Where the epoch's evaluation is still to come, it is of the step that was done last.
        let is_evaluated = progress.batch < trainer.steps_per_epoch;
        Self::create(folder.as_ref(), progress.step + u64::from(is_evaluated))
    }

    /// New file in a folder, in place of all events there from step `first` on.
    fn create(folder: &Path, first: u64) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // A clock that was put back must not bring the newest file before the others.
        let number = newest(folder).map_or(now, |newest| now.max(newest + 1));
        let path = folder.join(format!("{PREFIX}{number:010}.residual"));
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = BufWriter::new(file.map_err(Error::io("create", &path))?);
        let mut events =
            Self { path: path.clone(), file, flushed: Instant::now(), has_failed: false, error: None };
        let head = events.write(0, Content::FileVersion("brain.Event:2".to_owned()));
        let log = head.and_then(|()| events.write(first, Content::SessionLog(SessionLog { status: START })));
        log.and_then(|()| events.file.flush()).map_err(Error::io("write", &path))?;
        Ok(events)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Error at which writing ended, the first time that it is asked for.
    pub fn take_error(&mut self) -> Option<Error> {
        self.error.take().map(Error::io("write", &self.path))
    }

    fn scalars(&mut self, step: u64, scalars: &[(impl AsRef<str>, f64)], now: bool) {
        if self.has_failed {
            return;
        }
        let values = scalars
            .iter()
            .map(|(tag, value)| Value { tag: tag.as_ref().to_owned(), simple_value: Some(*value as f32) });
        let summary = Summary { values: values.collect() };
        let due = now || self.flushed.elapsed() >= PAUSE;
        let written = self.write(step, Content::Summary(summary));
        let written = written.and_then(|()| if due { self.file.flush() } else { Ok(()) });
        if due {
            self.flushed = Instant::now();
        }
        self.has_failed = written.is_err();
        self.error = written.err();
    }

    /// Writes an event as a record: its length and its bytes, a checksum after each.
    fn write(&mut self, step: u64, content: Content) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let event = Event { wall_time: now, step: step as i64, content: Some(content) }.encode_to_vec();
        let length = (event.len() as u64).to_le_bytes();
        for part in [&length[..], &event] {
            self.file.write_all(part)?;
            self.file.write_all(&masked(crc32c(part)).to_le_bytes())?;
        }
        Ok(())
    }
}

impl Observer for TensorBoard {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        let scalars = [("step/loss", report.batch_loss), ("step/learning_rate", report.lr)];
        self.scalars(report.step, &scalars, false);
        ControlFlow::Continue(())
    }

    fn pass(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        let Metrics { step, split, loss, top1, images_per_s, score, .. } = metrics;
        let (name, value) = score.map_or(("accuracy", *top1), |score| ("score", score.value));
        let mut scalars = vec![
            (format!("loss/{split}"), *loss),
            (format!("{name}/{split}"), value),
            (format!("images_per_second/{split}"), *images_per_s),
        ];
        let norms = metrics.gradient_norms.iter().flatten();
        scalars.extend(norms.map(|(part, norm)| (format!("gradient_norm/{part}"), *norm)));
        self.scalars(*step, &scalars, true);
        ControlFlow::Continue(())
    }
}

/// Number in the name of the newest event file of a folder.
fn newest(folder: &Path) -> Option<u64> {
    let numbers = fs::read_dir(folder).ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let rest = name.strip_prefix(PREFIX)?;
        rest.split('.').next()?.parse::<u64>().ok().filter(|&number| number < u64::MAX)
    });
    numbers.max()
}

/// CRC-32C (Castagnoli), bits reflected: RFC 3720, appendix B.4.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

/// Checksum of a TFRecord, which is not that of data which hold checksums.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events of a file as their bytes behind the time.
    fn events(path: &Path) -> Vec<Vec<u8>> {
        let all = fs::read(path).unwrap();
        let (mut rest, mut events) = (&all[..], Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let sum = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let event = &rest[12..12 + length];
            assert_eq!((sum(8), sum(12 + length)), (masked(crc32c(&rest[..8])), masked(crc32c(event))));
            assert_eq!(event[0], 0x09);
            events.push(event[9..].to_vec());
            rest = &rest[16 + length..];
        }
        events
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_file_is_a_list_of_records() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = TensorBoard::create(&folder.path().join("a/b"), 0).unwrap();
        let _ = file.pass(&Metrics::default().with(|metrics| {
            (metrics.step, metrics.split, metrics.loss) = (7, "val".into(), 1.5);
        }));
        let found = events(file.path());
        assert_eq!(found[0], [&[0x1a, 13][..], b"brain.Event:2"].concat());
        assert_eq!(found[1], [0x3a, 2, 0x08, 1]);
        // Step 7, a summary of three values, its length in a byte.
        let first = [&[0x0a, 15, 0x0a, 8][..], b"loss/val", &[0x15, 0, 0, 0xc0, 0x3f]].concat();
        assert_eq!((&found[2][..3], &found[2][4..4 + first.len()]), (&[0x10, 7, 0x2a][..], &first[..]));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn a_later_file_comes_after_the_others_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let future = folder.path().join(format!("{PREFIX}9999999000.elsewhere"));
        fs::write(&future, b"").unwrap();
        let first = TensorBoard::create(folder.path(), 5).unwrap();
        let second = TensorBoard::create(folder.path(), 9).unwrap();
        assert!(future.as_path() < first.path() && first.path() < second.path());
        assert_eq!(events(second.path())[1][..2], [0x10, 9]);
    }
}
