//! The report in a run's folder.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use residual_train::{Metrics, Observer, Training};

use crate::toy;

/// Observer that keeps the report as it is after every pass, and the remarks.
#[derive(Clone, Default)]
struct Kept {
    path: PathBuf,
    pages: Arc<Mutex<Vec<String>>>,
    remarks: Arc<Mutex<Vec<String>>>,
}

impl Observer for Kept {
    fn pass(&mut self, _: &Metrics) -> ControlFlow<()> {
        self.pages.lock().unwrap().push(fs::read_to_string(&self.path).unwrap_or_default());
        ControlFlow::Continue(())
    }

    fn remark(&mut self, remark: &str) {
        self.remarks.lock().unwrap().push(remark.to_owned());
    }
}

fn data(root: &Path) -> PathBuf {
    let data = root.join("data");
    toy::images(&data, 3, 6, 4, 8);
    data
}

#[test]
fn a_report_is_written_as_the_training_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let recipe = toy::recipe(&data(root.path()));
    let run = root.path().join("run");
    let kept = Kept { path: run.join("report.html"), ..Kept::default() };
    let mut trainer = Training::new(&recipe).observer(kept.clone()).begin(&run).unwrap();
    let _ = trainer.run().unwrap();
    drop(trainer);
    let pages = kept.pages.lock().unwrap();
    assert!(pages.first().is_some_and(String::is_empty), "nothing before the first epoch");
    let last = pages.last().unwrap();
    assert!(last.contains("Learning rate") && !last.contains("Worst images"), "{last}");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    for part in
        ["finished", "What is taken for what", "Worst images", "brick", "residual train --recipe", "[data]"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script"));
    // Outside the pictures, whose letters may be any.
    let words =
        page.split("data:image/png;base64,").map(|part| part.split_once('"').map_or(part, |(_, rest)| rest));
    assert!(!words.skip(1).any(|words| words.contains("NaN")));
    assert!(kept.remarks.lock().unwrap().is_empty());
}

#[test]
fn a_report_that_cannot_be_written_stops_no_training() {
    let root = tempfile::tempdir().unwrap();
    let recipe = toy::recipe(&data(root.path()));
    let run = root.path().join("run");
    let kept = Kept::default();
    let mut trainer = Training::new(&recipe).observer(kept.clone()).begin(&run).unwrap();
    fs::create_dir_all(run.join("report.html/taken")).unwrap();
    let _ = trainer.run().unwrap();
    let remarks = kept.remarks.lock().unwrap();
    assert!(remarks.iter().any(|remark| remark.contains("report.html")), "{remarks:?}");
}
