//! Fine-tuning: a trained network on images of other classes. The head is replaced, and the first layers stay as they
//! are.
//!
//! ```text
//! cargo run --release --example fine_tune -- resnet18 resnet18.safetensors photos/ runs/photos
//! ```

use std::error::Error;

use residual::train::{Outcome, Training};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [family, weights, data, out] = arguments.as_slice() else {
        return Err("usage: fine_tune FAMILY WEIGHTS DATA OUT".into());
    };

    let training = Training::new(family.as_str()).data(data).with(|recipe| {
        recipe.init = Some(weights.into());
        recipe.freeze = vec!["stem".into(), "stage1".into()];
        recipe.epochs = 3;
    });
    let mut trainer = training.begin(out)?;
    if let Some(head) = trainer.replaced_head() {
        println!("a new head: {} classes in place of {}", head.classes, head.found);
    }
    while let Some(report) = trainer.step()? {
        if report.step % 10 == 0 {
            println!("step {} of {}: loss {:.3}", report.step, trainer.total_steps(), report.loss);
        }
    }
    if let Outcome::Finished { best, .. } = trainer.run()? {
        println!("best: {:.1}%, epoch {}", 100.0 * best.top1, best.epoch);
    }
    Ok(())
}
