//! Training on a folder of images, with a line after each epoch, an early stop, and the best network kept.
//!
//! ```text
//! cargo run --release --example train -- photos/ runs/photos
//! ```

use std::error::Error;
use std::ops::ControlFlow;

use residual::Classifier;
use residual::train::{Metrics, Observer, Outcome, Training};

/// Stops after three evaluations in a row that were not better than the best.
#[derive(Default)]
struct EarlyStop {
    best: f64,
    worse: usize,
}

impl Observer for EarlyStop {
    fn pass(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        println!("epoch {} {}: {:.1}%", metrics.epoch, metrics.split, 100.0 * metrics.top1);
        if metrics.split == "train" {
            return ControlFlow::Continue(());
        }
        self.worse = if metrics.top1 > self.best { 0 } else { self.worse + 1 };
        self.best = self.best.max(metrics.top1);
        if self.worse < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, out] = arguments.as_slice() else {
        return Err("usage: train DATA OUT".into());
    };

    // `data/CLASS/*.jpg`, or `data/train/CLASS/*.jpg` and `data/val/CLASS/*.jpg`; also archives.
    let training = Training::new("small").data(data).observer(EarlyStop::default());
    let mut trainer = training.with(|recipe| recipe.epochs = 6).begin(out)?;
    match trainer.run()? {
        Outcome::Finished { best, .. } => println!("best: {:.1}%, epoch {}", 100.0 * best.top1, best.epoch),
        Outcome::Interrupted { epoch, .. } => println!("stopped in epoch {epoch}"),
    }

    // The folder holds the best network; `Training::default().resume(out)` goes on where it stopped.
    let classifier = Classifier::open(out)?;
    println!("{} classes: {}", classifier.classes().len(), classifier.classes().join(", "));
    Ok(())
}
