//! `residual eval`: how well a network does on labelled images.

use std::path::{Path, PathBuf};

use clap::Args;
use residual::arch::NetSpec;
use residual::evaluation::{
    Measured, Share, Views, machine, pictures, sections, task_pictures, task_sections,
};
use residual::report::Page;
use residual::weights::Model;
use serde::Serialize;

use super::command::own_command;
use super::eval_task;
use super::failure::Outcome;
use super::labelled::{Asking, Labelled, LabelledArguments, SplitName};
use super::network::NetworkArguments;
use super::output::Output;
use super::own_text::PAGE;
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
    /// Test-time augmentation: the mean answer about the image and its mirror image, or about ten crops.
    #[arg(long, value_name = "none|flip|flip+crops", default_value_t, hide_default_value = true)]
    tta: Views,
    /// Write a page: intervals, confusion or thresholds or residuals, calibration, worst and best images with heat maps.
    #[arg(long, value_name = "PAGE.html")]
    report: Option<PathBuf>,
    /// Print one JSON object: total, loss, top1_correct and top5_correct or those of the task, and what the page shows.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    arguments.report.as_deref().map_or(Ok(()), |path| PAGE.check_free(path))?;
    let model = arguments.network.open()?;
    let evaluated = Evaluated {
        spec: model.spec().clone(),
        naming: model.naming().to_string(),
        labelled: arguments.labelled.open(&model, &arguments.network, arguments.split.into())?,
        arguments,
    };
    match model.spec().task.is_single_label() {
        true => evaluated.single(model),
        false => evaluated.task(model),
    }
}

/// Evaluation that is asked for.
struct Evaluated<'a> {
    spec: NetSpec,
    naming: String,
    labelled: Labelled,
    arguments: &'a Arguments,
}

impl Evaluated<'_> {
    fn asking(&self, model: Model) -> Outcome<Asking> {
        let Arguments { labelled, network, tta, .. } = self.arguments;
        labelled.asking(model, network, &self.labelled.images, *tta)
    }

    fn single(self, model: Model) -> Outcome {
        let (images, tta) = (&self.labelled.images, self.arguments.tta);
        let asking = self.asking(model)?;
        let answers = asking.answers()?;
        let measured = answers.measure();
        if let Some(path) = &self.arguments.report {
            let shown = pictures(&asking.classifier, &**images, &answers);
            self.write_report(path, sections(&answers, &measured, shown))?;
        }
        let mut output = Output::new();
        if self.arguments.json {
            return output.json(&Printed { measured: &measured, tta: tta.to_string() });
        }
        let total = measured.evaluation.total;
        output.line(format_args!(
            "{} ({} names), {} split, {total} images",
            self.spec.name, self.naming, self.labelled.split
        ))?;
        table(&measured).iter().try_for_each(|line| output.line(line))?;
        views_line(tta).iter().try_for_each(|line| output.line(line))
    }

    fn task(self, model: Model) -> Outcome {
        let (images, tta) = (&self.labelled.images, self.arguments.tta);
        let asking = self.asking(model)?;
        let answers = asking.task_answers()?;
        let measured = answers.measure();
        if let Some(path) = &self.arguments.report {
            let shown = task_pictures(&asking.classifier, &**images, &answers);
            self.write_report(path, task_sections(&answers, &measured, shown))?;
        }
        let mut output = Output::new();
        if self.arguments.json {
            return output.json(&Printed { measured: &measured, tta: tta.to_string() });
        }
        output.line(format_args!("{} ({} names), {}", self.spec.name, self.naming, self.spec.task))?;
        output.line(format_args!("{} split, {} images", self.labelled.split, measured.total))?;
        eval_task::lines(&measured).iter().try_for_each(|line| output.line(line))?;
        views_line(tta).iter().try_for_each(|line| output.line(line))
    }

    /// Writes the page of `--report`.
    fn write_report(&self, path: &Path, sections: Page) -> Outcome {
        let (split, data) = (self.labelled.split, self.arguments.labelled.data.display());
        let views =
            views_line(self.arguments.tta).map_or(String::new(), |line| format!(" Answers are the {line}."));
        let threads = residual::kernels::Pool::machine_threads();
        let page = Page::new("Evaluation")
            .text(&format!("{} on the {split} split of {data}.{views}", self.spec.name))
            .with(sections)
            .heading("To repeat it")
            .verbatim(&own_command())
            .text(&machine(threads));
        PAGE.write(path, &page.html())?;
        note(&format!("report: {}", path.display()));
        Ok(())
    }
}

/// Line on test-time augmentation, where there is some.
fn views_line(tta: Views) -> Option<String> {
    (tta != Views::One).then(|| format!("mean of {} views of each image ({tta})", tta.count()))
}

/// JSON of an evaluation.
#[derive(Serialize)]
struct Printed<'a, M: Serialize> {
    #[serde(flatten)]
    measured: &'a M,
    tta: String,
}

/// Lines of the result. Of fewer than six classes every answer is among the first five.
fn table(measured: &Measured) -> Vec<String> {
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
    lines
}
