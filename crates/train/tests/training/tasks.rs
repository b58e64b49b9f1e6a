//! Trainings of several labels and of numbers, of weighed and balanced classes, and with a teacher.

use std::path::Path;
use std::sync::Arc;

use residual_arch::{BlockSpec, NetSpec, StageSpec, StemSpec, Task, TaskKind};
use residual_data::{Image, LabelledImages, Source};
use residual_train::{
    ClassWeights, Error, EvaluateOptions, LossRecipe, Metric, Recipe, Sampling, TaskNumbers, Teacher,
    Training, evaluate_task, from_model, read_metrics,
};
use residual_weights::Model;

use crate::toy;

/// Images of 8x8 pixels with noise, and what is in them: a red, a green and a blue square, each or not, whose
/// brightness is the number.
fn squares(count: usize, first: u32) -> Vec<(Image, Vec<f64>, f64)> {
    let picture = |number: u32| {
        let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(97);
        let mut draw = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        let has: Vec<bool> = (0..3).map(|_| draw(2) == 1).collect();
        let bright = 100 + draw(150);
        let mut pixels: Vec<u8> = (0..192).map(|_| 20 + draw(40) as u8).collect();
        for (channel, _) in has.iter().enumerate().filter(|(_, has)| **has) {
            let (left, top) = (draw(4) as usize, draw(4) as usize);
            for (y, x) in (top..top + 4).flat_map(|y| (left..left + 4).map(move |x| (y, x))) {
                pixels[(y * 8 + x) * 3 + channel] = bright as u8;
            }
        }
        let labels = has.iter().map(|&has| f64::from(u8::from(has))).collect();
        let brightness = if has.contains(&true) { f64::from(bright) } else { 40.0 };
        (Image::new(8, 8, 3, pixels).unwrap(), labels, brightness)
    };
    (0..count as u32).map(|index| picture(first + index)).collect()
}

fn labels(count: usize, first: u32) -> LabelledImages {
    let images = squares(count, first).into_iter().map(|(image, labels, _)| (image, labels)).collect();
    LabelledImages::with_targets(TaskKind::MultiLabel, ["red", "green", "blue"], images).unwrap()
}

/// Brightness in thousandths, and the number of squares.
fn numbers(count: usize, first: u32) -> LabelledImages {
    let of = |(image, labels, brightness): (Image, Vec<f64>, f64)| {
        (image, vec![brightness / 1000.0, labels.iter().sum::<f64>()])
    };
    let images = squares(count, first).into_iter().map(of).collect();
    LabelledImages::with_targets(TaskKind::Regression, ["brightness", "squares"], images).unwrap()
}

/// A wider network without what is random in training, so that a short one learns.
fn network(classes: usize) -> NetSpec {
    let stage = |block| StageSpec::new(vec![block]);
    toy::network(classes).with(|net| {
        net.stem = StemSpec::cifar(8);
        net.stages = vec![stage(BlockSpec::basic(8)), stage(BlockSpec::projection(16, 2))];
        net.head.dropout = 0.0;
        net.stochastic_depth = 0.0;
    })
}

fn recipe(classes: usize) -> Recipe {
    toy::recipe(Path::new("")).with(|recipe| {
        recipe.network = Some(network(classes));
        recipe.label_smoothing = 0.0;
        recipe.batch_size = Some(16);
        recipe.lr = Some(0.1);
        recipe.epochs = 12;
        recipe.augment = Some(Vec::new());
    })
}

fn best(run: &Path) -> Model {
    Model::open(run.join("best.safetensors")).unwrap()
}

#[test]
fn several_labels_are_learnt_and_their_threshold_is_chosen() {
    let runs = tempfile::tempdir().unwrap();
    let run = runs.path().join("run");
    let training = Training::new(recipe(3)).images(labels(160, 0), labels(60, 5000));
    toy::finish(training.begin(&run).unwrap());
    let lines = read_metrics(run.join("metrics.jsonl")).unwrap();
    let score = |split: &str| lines.iter().rev().find(|line| line.split == split).unwrap().score.unwrap();
    assert_eq!((score("train").metric, score("val").metric), (Metric::F1, Metric::MeanAveragePrecision));
    assert!(score("val").value > 0.9, "{:?}", score("val"));
    assert!(!std::fs::read_to_string(run.join("metrics.jsonl")).unwrap().contains("top1"));

    let model = best(&run);
    let Task::MultiLabel { threshold } = model.spec().task else { panic!("{:?}", model.spec().task) };
    assert_eq!(model.classes().unwrap(), ["red", "green", "blue"]);
    let network = from_model(model, &burn::tensor::Device::flex()).unwrap();
    let found = evaluate_task(&network, Arc::new(labels(60, 5000)), &EvaluateOptions::default()).unwrap();
    let TaskNumbers::MultiLabel { counts, best, each, .. } = &found.numbers else { panic!() };
    let wanted = lines.iter().filter(|line| line.split == "val").map(|line| line.score.unwrap().value);
    let wanted = wanted.fold(0.0, f64::max);
    assert!((found.score().value - wanted).abs() < 1e-6, "the best network is kept");
    assert!((best.unwrap() - threshold).abs() < 1e-4, "chosen on the same images");
    assert!(counts.f1() > 0.85 && each.len() == 3, "{counts:?}");
}

#[test]
fn numbers_are_learnt_in_their_units() {
    let runs = tempfile::tempdir().unwrap();
    let run = runs.path().join("run");
    let recipe = recipe(2).with(|recipe| recipe.loss = Some(LossRecipe::Huber { delta: 1.0 }));
    let training = Training::new(recipe).images(numbers(160, 0), numbers(60, 5000));
    toy::finish(training.begin(&run).unwrap());
    let model = best(&run);
    let task = model.spec().task.clone();
    let [brightness, squares] = task.targets() else { panic!("{task:?}") };
    assert_eq!((brightness.name.as_str(), squares.name.as_str()), ("brightness", "squares"));
    let mean = (0..160).map(|index| numbers(160, 0).targets(index)[1]).sum::<f64>() / 160.0;
    assert!((squares.mean - mean).abs() < 1e-12 && brightness.deviation < 0.1);
    let network = from_model(model, &burn::tensor::Device::flex()).unwrap();
    let found = evaluate_task(&network, Arc::new(numbers(60, 5000)), &EvaluateOptions::default()).unwrap();
    let TaskNumbers::Regression { each, .. } = &found.numbers else { panic!() };
    assert!(each.iter().all(|errors| errors.r2 > 0.5), "{each:?}");
    assert!(each[0].mae < 0.05, "{each:?}");
    // Less is better.
    let lines = read_metrics(run.join("metrics.jsonl")).unwrap();
    let judged = lines.iter().filter(|line| line.split == "val").map(|line| line.score.unwrap().value);
    assert!((found.score().value - judged.fold(f64::INFINITY, f64::min)).abs() < 1e-5);
}

/// Of each kind of training: mixing, the average of the weights, weights of classes, balanced sampling, a teacher.
#[test]
fn every_task_is_resumed_to_the_same_bits_on_any_number_of_threads() {
    let runs = tempfile::tempdir().unwrap();
    let mix = residual_data::Mix::default().with(|mix| (mix.mixup, mix.cutmix) = (0.4, 1.0));
    let with = |change: &dyn Fn(&mut Recipe)| {
        recipe(3).with(|recipe| {
            (recipe.epochs, recipe.mix) = (3, Some(mix.clone()));
            recipe.network = Some(toy::network(3));
            recipe.ema = Some(residual_train::Ema::new(0.9));
            change(recipe);
        })
    };
    let teacher = runs.path().join("teacher");
    let data = toy::data();
    toy::train(&toy::recipe(data.path()).with(|recipe| recipe.epochs = 1), &teacher);
    let asymmetric = LossRecipe::Asymmetric { gamma_negative: 4.0, gamma_positive: 1.0, clip: 0.05 };
    let labelled = with(&|recipe| recipe.loss = Some(asymmetric.clone()));
    let numbered = with(&|recipe| recipe.network = Some(toy::network(2)));
    let single = with(&|recipe| {
        recipe.data.path = data.path().to_owned();
        recipe.loss = Some(LossRecipe::Focal { gamma: 2.0, alpha: None });
        recipe.class_weights = Some(ClassWeights::balanced());
        recipe.sampling = Sampling::Balanced;
        recipe.teacher = Some(Teacher::new(teacher.join("best.safetensors")));
    });
    for (name, recipe) in [("labels", labelled), ("numbers", numbered), ("single", single)] {
        let given = |training: Training<'static>| match name {
            "labels" => training.images(labels(33, 0), labels(12, 900)),
            "numbers" => training.images(numbers(33, 0), numbers(12, 900)),
            _ => training,
        };
        let [whole, run] = ["whole", "run"].map(|part| runs.path().join(format!("{name}-{part}")));
        toy::finish(given(Training::new(&recipe)).begin(&whole).unwrap());
        let one = recipe.clone().with(|recipe| recipe.threads = Some(1));
        toy::interrupt(given(Training::new(one)).begin(&run).unwrap(), 4);
        let mut resumed = given(Training::default()).resume(&run).unwrap();
        resumed.set_threads(3);
        toy::finish(resumed);
        assert_eq!(toy::Result::of(&run), toy::Result::of(&whole), "{name}");
        assert_eq!(best(&run).spec().task, best(&whole).spec().task, "{name}");
    }
}

#[test]
fn a_teacher_of_another_network_and_size_teaches() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let larger = network(3).with_input([3, 12, 12]).with(|net| {
        net.name = "larger".to_owned();
        net.preprocess.resize = Some(residual_arch::Resize::Exact([12, 12]));
        net.preprocess.mean = vec![0.5; 3];
    });
    let teacher = runs.path().join("teacher");
    let plain = toy::recipe(data.path()).with(|recipe| recipe.epochs = 4);
    toy::train(&plain.clone().with(|recipe| recipe.network = Some(larger)), &teacher);
    let taught = |alpha: f64, out: &str| {
        let teacher = Teacher::new(&teacher).with(|teacher| teacher.alpha = alpha);
        let recipe = plain.clone().with(|recipe| recipe.teacher = Some(teacher));
        toy::train(&recipe, &runs.path().join(out));
        toy::Result::of(&runs.path().join(out))
    };
    let (little, much) = (taught(0.01, "little"), taught(1.0, "much"));
    assert_ne!(little.last, much.last);
    let last = |result: &toy::Result| result.metrics.last().unwrap().top1;
    assert!(last(&much) > 0.5, "the teacher alone says which class it is: {}", last(&much));

    let refused = |classes: usize, change: &dyn Fn(NetSpec) -> NetSpec| {
        let network = change(toy::network(classes));
        let images = tempfile::tempdir().unwrap();
        toy::images(images.path(), classes, 8, 4, 8);
        let run = runs.path().join(format!("refused-{classes}"));
        let recipe = toy::recipe(images.path()).with(|recipe| recipe.network = Some(network));
        toy::train(&recipe.clone().with(|recipe| recipe.epochs = 2), &run);
        let recipe = plain.clone().with(|recipe| recipe.teacher = Some(Teacher::new(&run)));
        Training::new(recipe).begin(runs.path().join("none")).unwrap_err().to_string()
    };
    let said = refused(2, &|network| network);
    assert!(
        said.starts_with("teacher: ") && said.contains("2 classes, and the data have 3; help: "),
        "{said}"
    );
    assert!(!runs.path().join("none").exists());
}

#[test]
fn another_teacher_under_the_same_name_is_refused() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let plain = toy::recipe(data.path()).with(|recipe| recipe.epochs = 1);
    for (seed, name) in [(1, "one"), (2, "other")] {
        toy::train(&plain.clone().with(|recipe| recipe.seed = seed), &runs.path().join(name));
    }
    let file = |name: &str| runs.path().join(name).join("best.safetensors");
    let taught = runs.path().join("teacher.safetensors");
    std::fs::copy(file("one"), &taught).unwrap();
    let recipe = toy::recipe(data.path()).with(|recipe| recipe.teacher = Some(Teacher::new(&taught)));
    let [whole, run] = ["whole", "run"].map(|name| runs.path().join(name));
    toy::train(&recipe, &whole);
    toy::interrupt(Training::new(&recipe).begin(&run).unwrap(), 4);
    std::fs::copy(file("other"), &taught).unwrap();
    let error = Training::default().resume(&run).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::TeacherChanged { .. }), "{text}");
    assert!(text.contains("teacher.safetensors: another network") && text.contains("help: "), "{text}");
    std::fs::copy(file("one"), &taught).unwrap();
    toy::finish(Training::default().resume(&run).unwrap());
    assert_eq!(toy::Result::of(&run), toy::Result::of(&whole));
}

#[test]
fn targets_and_networks_that_do_not_fit_are_refused() {
    let runs = tempfile::tempdir().unwrap();
    let refused = |recipe: Recipe, train: LabelledImages, held_out: LabelledImages| {
        let training = Training::new(recipe).images(train, held_out);
        training.begin(runs.path().join("run")).unwrap_err().to_string()
    };
    let image = || Image::new(8, 8, 3, vec![0; 192]).unwrap();
    let same = |value: f64| {
        let images = (0..20).map(|_| (image(), vec![value])).collect();
        LabelledImages::with_targets(TaskKind::Regression, ["age"], images).unwrap()
    };
    let said = refused(recipe(1), same(3.5), same(3.5));
    assert!(said.starts_with("task: `age` is 3.5 for all training images; help: "), "{said}");
    let said = refused(recipe(3), labels(20, 0), numbers(20, 0));
    assert!(said.contains("multi label") || said.contains("classes"), "{said}");
    let unknown = recipe(3).with(|recipe| {
        recipe.class_weights = Some(ClassWeights::Each([("pink".to_owned(), 2.0)].into()));
    });
    let said = refused(unknown, labels(20, 0), labels(20, 50));
    assert!(said.contains("class_weights: there is no class `pink`; help: the classes are red"), "{said}");
    let said = refused(recipe(2), labels(20, 0), labels(20, 50));
    assert!(said.contains("2 classes"), "{said}");
}
