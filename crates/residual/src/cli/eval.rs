//! `residual eval`: how well a network does on labelled images.

use std::path::{Path, PathBuf};

use clap::Args;
use residual::evaluation::{Measured, Options, Share, Views, machine, pictures, sections};
use residual::report::Page;
use serde::Serialize;

use super::command::own_command;
use super::eval_task;
use super::failure::{Failure, Outcome};
use super::labelled::{Answered, Labelled, LabelledArguments, SplitName};
use super::network::NetworkArguments;
use super::output::Output;
use super::own_page;
use super::progress::note;

const EXAMPLE: &str = "\
Examples:
  residual eval --weights runs/first/best.safetensors --data sample
  residual eval --model cifar_resnet20 --weights resnet20.th \\
                --data cifar10-images.tar.gz --json
  residual eval --weights runs/first --data photos --tta flip --report eval.html

Weights without a description are told by their tensors; --model names another
network. Images are then prepared as for the published checkpoint that it names:
resnet50.a1_in1k, resnet50:IMAGENET1K_V1, or the default one of a bare resnet50.";

/// Evaluate a network on a folder or an archive of labelled images.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(flatten)]
    network: NetworkArguments,
    #[command(flatten)]
    labelled: LabelledArguments,
    /// Split of the data. Where there is only one of val and test, it is taken for either.
    #[arg(long, value_enum, default_value = "test")]
    split: SplitName,
    /// Test-time augmentation: the mean probabilities of the image and its mirror image, or of ten crops.
    #[arg(long, value_name = "none|flip|flip+crops", default_value_t, hide_default_value = true)]
    tta: Views,
    /// Write a page: intervals, confusion, calibration, classes, worst and best images with their heat maps.
    #[arg(long, value_name = "PAGE.html")]
    report: Option<PathBuf>,
    /// Print one JSON object: top1_correct, top5_correct, total, loss, and what the page shows.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    arguments.report.as_deref().map_or(Ok(()), own_page::check_free)?;
    let model = arguments.network.open()?;
    let (spec, naming) = (model.spec().clone(), model.naming());
    let Labelled { split, images } =
        arguments.labelled.open(&model, &arguments.network, arguments.split.into())?;
    let task = &spec.task;
    if !task.is_single_label() && (arguments.report.is_some() || arguments.tta != Views::One) {
        return Err(Failure::new(format_args!(
            "--report and --tta are for single labels, and this is a network of {}; help: leave them out",
            task.kind()
        )));
    }
    let options = Options::default().with(|options| {
        (options.views, options.keep_logits) = (arguments.tta, !task.is_single_label());
    });
    let Answered { classifier, answers } =
        arguments.labelled.answers(model, &arguments.network, &images, options)?;
    if !task.is_single_label() {
        let mut output = Output::new();
        let found = eval_task::found(task, &answers, &*images);
        if arguments.json {
            return eval_task::json(&mut output, &found, answers.classes());
        }
        output.line(format_args!("{} ({naming} names), {task}", spec.name))?;
        output.line(format_args!("{split} split, {} images", found.total))?;
        return eval_task::lines(&mut output, &found, answers.classes());
    }
    let measured = answers.measure();
    if let Some(path) = &arguments.report {
        let shown = pictures(&classifier, &*images, &answers);
        let words = format!("{} on the {split} split of {}", spec.name, arguments.labelled.data.display());
        write_report(path, &words, arguments.tta, sections(&answers, &measured, shown))?;
    }
    let mut output = Output::new();
    if arguments.json {
        return output.json(&Printed { measured: &measured, tta: arguments.tta.to_string() });
    }
    let total = measured.evaluation.total;
    output.line(format_args!("{} ({naming} names), {split} split, {total} images", spec.name))?;
    table(&measured, arguments.tta).iter().try_for_each(|line| output.line(line))
}

/// JSON of an evaluation.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    measured: &'a Measured,
    tta: String,
}

/// Lines of the result. Of fewer than six classes every answer is among the first five.
fn table(measured: &Measured, tta: Views) -> Vec<String> {
    let top = |k, share: &Share, correct| {
        let [value, low, high] = [share.value, share.low, share.high].map(|share| 100.0 * share);
        format!("top-{k}  {value:6.2}%  {correct} correct  (95%: {low:.1}% to {high:.1}%)")
    };
    let evaluation = &measured.evaluation;
    let mut lines = vec![top(1, &measured.top1, evaluation.top1_correct)];
    if measured.classes.len() > 5 {
        lines.push(top(5, &measured.top5, evaluation.top5_correct));
    }
    lines.push(format!("loss   {:7.4}", evaluation.loss));
    lines.push(format!("F1     {:6.2}%  mean of the classes", 100.0 * measured.macro_f1.value));
    lines.push(format!("ECE    {:6.2}%  calibration error", 100.0 * measured.ece));
    if tta != Views::One {
        lines.push(format!("mean of {} views of each image ({tta})", tta.count()));
    }
    lines
}

/// Writes the page of `--report`.
fn write_report(path: &Path, words: &str, tta: Views, sections: Page) -> Outcome {
    let views = match tta {
        Views::One => String::new(),
        _ => format!(" The probabilities are the mean of {} views of each image ({tta}).", tta.count()),
    };
    let threads = residual::kernels::Pool::machine_threads();
    let page = Page::new("Evaluation")
        .text(&format!("{words}.{views}"))
        .with(sections)
        .heading("To repeat it")
        .verbatim(&own_command())
        .text(&machine(threads));
    own_page::write(path, &page)?;
    note(&format!("report: {}", path.display()));
    Ok(())
}
