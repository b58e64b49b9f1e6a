//! Plans: the same bits however they run, errors with their causes, no framework behind them.

mod common;

use std::process::Command;

use residual_arch::{
    AntiAlias, Attention, BlockSpec, ConvKind, MaxPool, NetSpec, NormKind, Shortcut, StageSpec, StemSpec,
    families::family,
};
use residual_engine::{Error, Images, Options, Plan, Tune};
use residual_kernels::{Cpu, Isa, Layout, convert};
use residual_testkit::formula;
use residual_testkit::naive::relative_error;
use residual_weights::{Model, Tensor};

fn compiled(spec: &NetSpec, options: &Options) -> Plan {
    Plan::compile(&common::model(spec), options).unwrap()
}

/// The values of a tensor.
fn values<'a>(model: &'a Model, path: &str) -> &'a [f32] {
    model.tensor(path.parse().unwrap()).map(Tensor::data).unwrap()
}

/// A network of all that there is, small: both attentions, groups, filters, average-pool shortcuts, both orders.
fn mixture() -> NetSpec {
    let mut spec = family("cifar_resnet8").unwrap().with_input([3, 13, 11]);
    let pooled = Shortcut::pooled_projection(40, 2);
    let se = BlockSpec::basic(16).with(|block| block.attention = Some(Attention::squeeze_excite(8)));
    let grouped = BlockSpec::bottleneck(16, 24, 40, 2).with(|block| block.groups = 4);
    spec.stages = [
        vec![se, BlockSpec::basic(16).preactivation(), grouped.with(|block| block.shortcut = pooled)],
        vec![BlockSpec::projection(33, 2).preactivation().with(|block| {
            (block.attention, block.anti_alias) = (Some(Attention::squeeze_excite(4)), Some(AntiAlias::Blur))
        })],
        vec![
            BlockSpec::basic(33).with(|block| block.attention = Some(Attention::Efficient { kernel: 5 })),
            BlockSpec::basic(33).plain(),
            BlockSpec::basic(50).with(|block| {
                (block.shortcut, block.stride) = (Shortcut::ZeroPad { channels: 50, stride: 2 }, 2)
            }),
        ],
    ]
    .map(StageSpec::new)
    .into();
    spec
}

/// The other kinds of norm, convolution and pool, small: in both orders, before an addition, with an attention, on
/// channels that fill no block of the layout.
fn other_kinds() -> NetSpec {
    let mut spec = family("cifar_resnet8").unwrap().with_input([3, 13, 11]);
    let group = |groups| move |block: &mut BlockSpec| block.norm = NormKind::group(groups);
    let standardised = BlockSpec::bottleneck(33, 22, 33, 1).preactivation().with(|block| {
        (block.norm, block.conv, block.first_width) = (NormKind::group(11), ConvKind::Standardised, Some(44));
    });
    let se = BlockSpec::projection(33, 2).with(|block| {
        (block.attention, block.norm) = (Some(Attention::squeeze_excite(4)), NormKind::group(3));
    });
    spec.stem.bare = true;
    spec.stem.pool = Some(MaxPool { kernel: 3, stride: 2, padding: 1, zeros: true });
    spec.stages = [
        vec![BlockSpec::basic(16).with(group(4)), BlockSpec::basic(16).preactivation().with(group(16))],
        vec![se, standardised],
        vec![BlockSpec::basic(33).with(|block| block.conv = ConvKind::Standardised)],
    ]
    .map(StageSpec::new)
    .into();
    spec.head = spec.head.with(|head| (head.norm, head.norm_kind) = (true, NormKind::group(1)));
    spec
}

fn images(spec: &NetSpec, batch: usize) -> Vec<f32> {
    let [channels, height, width] = spec.input;
    formula::input(&[batch, channels, height, width])
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_instruction_set_agrees() {
    for spec in [mixture(), other_kinds(), family("cifar_preact11").unwrap().with_input([3, 16, 16])] {
        let x = images(&spec, 3);
        let run = |isa| {
            let plan = compiled(
                &spec,
                &Options::default().with(|options| {
                    options.isa = Some(isa);
                    options.threads = Some(2);
                    options.max_batch = 3;
                }),
            );
            plan.run(Images::Planar(&x), &mut plan.scratch()).unwrap().to_vec()
        };
        let all: Vec<_> = Isa::available().into_iter().map(run).collect();
        let wanted: Vec<f64> = all[0].iter().map(|&value| f64::from(value)).collect();
        assert!(wanted.iter().any(|value| value.abs() > 1e-3), "{wanted:?}");
        for found in &all[1..] {
            assert!(relative_error(found, &wanted) < 2e-5, "{}: {found:?}, {wanted:?}", spec.name);
        }
    }
}

#[test]
fn an_image_has_the_same_bits_in_any_batch_with_any_threads() {
    for spec in [mixture(), other_kinds()] {
        same_bits(&spec);
    }
}

fn same_bits(spec: &NetSpec) {
    let x = images(spec, 7);
    let each = x.len() / 7;
    let mut wanted = None;
    for threads in [1, 2, 3, 5] {
        // On fewer cores as well.
        let isa = Some(Isa::detect().unwrap());
        let plan = compiled(
            spec,
            &Options::default().with(|options| {
                options.threads = Some(threads);
                options.isa = isa;
                options.max_batch = 7;
            }),
        );
        assert_eq!(plan.threads(), threads);
        let mut scratch = plan.scratch();
        let together = bits(plan.run(Images::Planar(&x), &mut scratch).unwrap());
        let alone: Vec<u32> = x
            .chunks(each)
            .flat_map(|image| bits(plan.run(Images::Planar(image), &mut scratch).unwrap()))
            .collect();
        let some = bits(plan.run(Images::Planar(&x[each..6 * each]), &mut scratch).unwrap());
        assert_eq!(together, alone);
        assert_eq!(together[10..60], some);
        assert_eq!(wanted.get_or_insert(together.clone()), &together, "{threads} threads");
    }
}

#[test]
fn one_plan_serves_eight_threads_at_once() {
    let spec = family("cifar_resnet8").unwrap().with_input([3, 8, 8]);
    let plan = compiled(
        &spec,
        &Options::default().with(|options| (options.threads, options.max_batch) = (Some(2), 2)),
    );
    let x = images(&spec, 2);
    let wanted = bits(plan.run(Images::Planar(&x), &mut plan.scratch()).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut scratch = plan.scratch();
                for _ in 0..1000 {
                    assert_eq!(bits(plan.run(Images::Planar(&x), &mut scratch).unwrap()), wanted);
                }
            });
        }
    });
}

#[test]
fn bytes_are_normalised_before_the_padding() {
    let mut spec = family("cifar_resnet8").unwrap().with_input([3, 9, 10]);
    (spec.preprocess.mean, spec.preprocess.std) = (vec![0.9, 0.1, 0.5], vec![0.2, 0.3, 0.4]);
    let plan = compiled(&spec, &Options::default().with(|options| options.max_batch = 2));
    let bytes: Vec<u8> = (0..2 * 9 * 10 * 3).map(|i| (i * 37 % 256) as u8).collect();
    let normal = |(i, &byte): (usize, &u8)| {
        (f32::from(byte) / 255.0 - spec.preprocess.mean[i % 3]) / spec.preprocess.std[i % 3]
    };
    let interleaved: Vec<f32> = bytes.iter().enumerate().map(normal).collect();
    let mut planar = vec![0.0; interleaved.len()];
    let [from, to] = [Layout::interleaved, Layout::planar].map(|layout| layout(2, 3, 9, 10).unwrap());
    convert(&Cpu::new(1).unwrap(), &interleaved, from, &mut planar, to).unwrap();
    let mut scratch = plan.scratch();
    let wanted: Vec<f64> = plan
        .run(Images::Planar(&planar), &mut scratch)
        .unwrap()
        .iter()
        .map(|&value| f64::from(value))
        .collect();
    assert!(relative_error(plan.run(Images::Interleaved(&bytes), &mut scratch).unwrap(), &wanted) < 1e-5);
}

#[test]
fn measured_choices_compute_the_same_and_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("tuned.json");
    let spec = family("cifar_resnet8").unwrap();
    let x = images(&spec, 1);
    let estimated = compiled(&spec, &Options::default());
    let wanted: Vec<f64> = estimated
        .run(Images::Planar(&x), &mut estimated.scratch())
        .unwrap()
        .iter()
        .map(|&v| f64::from(v))
        .collect();
    let tune = Some(Tune::default().with(|tune| tune.cache = Some(cache.clone())));
    let tuned = compiled(&spec, &Options::default().with(|options| options.tune = tune));
    assert!(relative_error(tuned.run(Images::Planar(&x), &mut tuned.scratch()).unwrap(), &wanted) < 2e-5);
    let kept = std::fs::read_to_string(&cache).unwrap();
    assert!(kept.contains("1x16x32x32 to 16") && kept.contains("1x64x8x8 to 64"), "{kept}");

    std::fs::write(&cache, "[]").unwrap();
    let tune = Some(Tune::default().with(|tune| tune.cache = Some(cache)));
    let error = Plan::compile(&common::model(&spec), &Options::default().with(|options| options.tune = tune));
    assert!(matches!(error.unwrap_err(), Error::Cache { .. }));
}

#[test]
fn embeddings_are_what_the_linear_layer_reads() {
    for (name, normed) in [("cifar_resnet8", false), ("cifar_preact8", true), ("cifar_preact11", true)] {
        let spec = family(name).unwrap().with_input([3, 18, 11]);
        assert_eq!(spec.head.norm, normed, "{name}");
        let plan = compiled(&spec, &Options::default().with(|options| options.max_batch = 3));
        let mut scratch = plan.scratch();
        let x = images(&spec, 3);
        let logits = plan.run(Images::Planar(&x), &mut scratch).unwrap().to_vec();
        let embeddings = plan.embed(Images::Planar(&x), &mut scratch).unwrap();
        assert_eq!(plan.run(Images::Planar(&x), &mut scratch).unwrap(), logits, "{name}");

        let model = common::model(&spec);
        let [weights, bias] = ["head.linear.weight", "head.linear.bias"].map(|path| values(&model, path));
        let width = embeddings.len() / 3;
        let dot = |row: &[f32], class: usize| {
            let products =
                row.iter().zip(&weights[class * width..]).map(|(&a, &b)| f64::from(a) * f64::from(b));
            products.sum::<f64>() + f64::from(bias[class])
        };
        let rows = embeddings.chunks_exact(width);
        let wanted: Vec<f64> = rows.flat_map(|row| (0..10).map(move |class| dot(row, class))).collect();
        assert!(relative_error(&logits, &wanted) < 1e-5, "{name}");
        // Image by image, to the bit.
        let alone =
            x.chunks(x.len() / 3).flat_map(|image| plan.embed(Images::Planar(image), &mut scratch).unwrap());
        assert_eq!(bits(&alone.collect::<Vec<_>>()), bits(&embeddings), "{name}");

        // The mean of the last maps is that only where no norm comes after them.
        let last = plan.features(Images::Planar(&x), "stage3", &mut scratch).unwrap();
        let pixels = last.shape[2] * last.shape[3];
        let means: Vec<f64> = last
            .values
            .chunks_exact(pixels)
            .map(|map| map.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels as f64)
            .collect();
        assert_eq!(relative_error(&embeddings, &means) < 1e-5, !normed, "{name}");
    }
}

#[test]
fn features_lead_to_the_logits() {
    let spec = mixture();
    let plan = compiled(&spec, &Options::default().with(|options| options.max_batch = 3));
    let mut scratch = plan.scratch();
    let x = images(&spec, 3);
    let logits = plan.run(Images::Planar(&x), &mut scratch).unwrap().to_vec();

    let stem = plan.features(Images::Planar(&x), "stem", &mut scratch).unwrap();
    assert_eq!(stem.shape, [3, 16, 13, 11]);
    assert!(stem.values.iter().all(|&value| value >= 0.0) && stem.values.iter().any(|&value| value > 0.0));
    let last = plan.features(Images::Planar(&x), "stage3", &mut scratch).unwrap();
    assert_eq!(last, plan.features(Images::Planar(&x), "stage3.block2", &mut scratch).unwrap());
    assert_eq!(last.shape, [3, 50, 2, 2]);

    // The mean of a class activation map is the class's logit without its bias.
    let model = common::model(&spec);
    let bias = values(&model, "head.linear.bias");
    let classes = [0, 9, 4];
    let maps = plan.class_activation(Images::Planar(&x), &classes, &mut scratch).unwrap();
    assert_eq!(maps.shape, [3, 1, 2, 2]);
    for (n, class) in classes.into_iter().enumerate() {
        let mean = maps.values[n * 4..(n + 1) * 4].iter().sum::<f32>() / 4.0;
        let wanted = logits[n * 10 + class] - bias[class];
        assert!((mean - wanted).abs() < 1e-4 * wanted.abs().max(1.0), "{mean}, {wanted}");
    }
}

#[test]
fn a_profile_names_every_layer() {
    let spec = mixture();
    let plan = compiled(&spec, &Options::default().with(|options| options.max_batch = 2));
    let profile = plan.profile(Images::Planar(&images(&spec, 2)), 3, &mut plan.scratch()).unwrap();
    let layer = |name: &str| profile.layers.iter().find(|layer| layer.name == name).unwrap();
    assert_eq!((profile.images, profile.layers[0].name.as_str()), (2, "input"));
    assert!(layer("stage1.block2.conv2").gflops > 0.0);
    assert!(layer("stage1.block0.se").kernel.ends_with("+ residual + ReLU"));
    assert!(layer("stage3.block2.shortcut.pad").ms >= 0.0);
    assert!(layer("stage1.block1.norm1").kernel.contains("batch norm"));
    assert_eq!(profile.layers.last().unwrap().name, "head");
}

#[test]
fn a_norm_without_another_reader_is_folded() {
    let names = |spec: &NetSpec| {
        let plan = compiled(spec, &Options::default());
        let profile = plan.profile(Images::Planar(&images(spec, 1)), 1, &mut plan.scratch()).unwrap();
        profile.layers.into_iter().map(|layer| layer.name).collect::<Vec<_>>()
    };
    // Projection first: the stem's result is read by the first norm alone.
    let bottleneck = names(&family("cifar_preact11").unwrap());
    assert!(!bottleneck.contains(&"stage1.block0.norm1".to_owned()), "{bottleneck:?}");
    assert!(bottleneck.contains(&"stage2.block0.norm1".to_owned()), "{bottleneck:?}");
    // Identity first: it is read by the addition as well.
    let basic = names(&family("cifar_preact8").unwrap());
    assert!(basic.contains(&"stage1.block0.norm1".to_owned()), "{basic:?}");
    assert!(basic.iter().all(|name| !name.ends_with("norm2")), "{basic:?}");
}

#[test]
fn what_cannot_run_says_why() {
    let spec = family("cifar_resnet8").unwrap();
    let model = common::model(&spec);
    let compile = |options: &Options| Plan::compile(&model, options).unwrap_err();
    for max_batch in [0, usize::MAX] {
        let options = Options::default().with(|options| options.max_batch = max_batch);
        assert!(matches!(compile(&options), Error::Option { option: "max_batch", .. }));
    }
    let none = Options::default().with(|options| options.threads = Some(0));
    assert!(matches!(compile(&none), Error::Option { option: "threads", .. }));
    let empty = Options::default().with(|options| options.size = Some([0, 32]));
    assert!(matches!(compile(&empty), Error::Shape(_)));
}

#[test]
fn wrong_images_are_errors() {
    let spec = family("cifar_resnet8").unwrap();
    let plan = compiled(&spec, &Options::default().with(|options| options.max_batch = 2));
    let mut scratch = plan.scratch();
    let each = 3 * 32 * 32;
    assert!(matches!(
        plan.embed(Images::Interleaved(&vec![0_u8; 3 * each]), &mut scratch),
        Err(Error::Batch { .. })
    ));
    assert!(matches!(
        plan.embed(Images::Interleaved(&vec![0_u8; each + 1]), &mut scratch),
        Err(Error::Images { .. })
    ));
    assert!(matches!(
        plan.run(Images::Interleaved(&vec![0_u8; each - 1]), &mut scratch),
        Err(Error::Images { .. })
    ));
    assert!(matches!(plan.run(Images::Planar(&[]), &mut scratch), Err(Error::Images { found: 0, .. })));
    let error = plan.run(Images::Interleaved(&vec![0_u8; 3 * each]), &mut scratch).unwrap_err();
    assert!(matches!(error, Error::Batch { found: 3, max_batch: 2 }), "{error}");
    let other = compiled(
        &family("cifar_resnet14").unwrap(),
        &Options::default().with(|options| options.max_batch = 3),
    );
    let error = plan.run(Images::Interleaved(&vec![0_u8; each]), &mut other.scratch()).unwrap_err();
    assert!(matches!(error, Error::Scratch));
    let error = plan.features(Images::Interleaved(&vec![0_u8; each]), "stage9", &mut scratch).unwrap_err();
    // Every name that is taken, stages too.
    let message = error.to_string();
    let (_, names) = message.split_once("name one of ").unwrap();
    assert!(names.starts_with("stem, stage1, stage1.block0"), "{names}");
    assert!(names.ends_with("stage3, stage3.block0"), "{names}");
    for name in names.split(", ") {
        assert!(plan.features(Images::Interleaved(&vec![0_u8; each]), name, &mut scratch).is_ok(), "{name}");
    }
    let error =
        plan.class_activation(Images::Interleaved(&vec![0_u8; each]), &[10], &mut scratch).unwrap_err();
    assert!(matches!(error, Error::Class { class: 10, classes: 10 }));
    let error = plan.class_activation(Images::Interleaved(&vec![0_u8; each]), &[], &mut scratch).unwrap_err();
    assert!(matches!(error, Error::Option { option: "classes", .. }));
}

#[test]
fn there_is_no_framework_in_the_tree() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            "residual-engine",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.status.success() && text.contains("residual-kernels"), "{text}");
    assert!(!text.to_lowercase().contains("burn"), "{text}");
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    let spec = family("cifar_preact20").unwrap();
    let sound = common::model(&spec);
    let allow = Options::default().with(|options| options.allow_not_finite = true);
    let names = residual_arch::names::names(&spec, spec.naming);
    let spoilt = |model: &mut Model, path: &str, value: f32| {
        let values = model.tensor_mut(path.parse().unwrap()).unwrap();
        *values.last_mut().unwrap() = value;
    };
    for named in &names {
        let mut model = sound.clone();
        spoilt(&mut model, &named.path, if named.name.ends_with("running_var") { -1e-9 } else { f32::NAN });
        let error = Plan::compile(&model, &Options::default()).unwrap_err().to_string();
        assert!(error.contains(&named.name), "{}: {error}", named.name);
        Plan::compile(&model, &allow).unwrap();
    }
    // Several at once are all named, whichever is met first.
    let (first, last) = (&names[0], &names[names.len() - 1]);
    let mut model = sound.clone();
    spoilt(&mut model, &first.path, f32::INFINITY);
    spoilt(&mut model, &last.path, f32::INFINITY);
    let error = Plan::compile(&model, &Options::default()).unwrap_err().to_string();
    assert!(error.contains(&first.name) && error.contains(&last.name), "{error}");
}

#[test]
fn answers_that_are_not_finite_name_their_image() {
    let spec = family("cifar_resnet8").unwrap();
    let model = common::model(&spec);
    let options = Options::default().with(|options| options.max_batch = 5);
    let plan = Plan::compile(&model, &options).unwrap();
    let mut images = vec![0.5_f32; 5 * 3 * 32 * 32];
    images[3 * 3072 + 17] = f32::NAN;
    let error = plan.run(Images::Planar(&images), &mut plan.scratch()).unwrap_err();
    assert!(matches!(error, Error::NotFinite { image: 3 }), "{error}");
    let error = plan.features(Images::Planar(&images), "stage2", &mut plan.scratch()).unwrap_err();
    assert!(matches!(error, Error::NotFinite { image: 3 }), "{error}");
    let any = Plan::compile(&model, &options.with(|options| options.allow_not_finite = true)).unwrap();
    let mut scratch = any.scratch();
    let logits = any.run(Images::Planar(&images), &mut scratch).unwrap();
    assert!(
        logits[30..40].iter().any(|logit| !logit.is_finite()) && logits[..30].iter().all(|l| l.is_finite())
    );
}

#[cfg(target_os = "linux")]
#[test]
fn maps_that_do_not_fit_into_memory_are_refused_before_they_are_made() {
    let mut spec = family("small").unwrap();
    spec.stem = StemSpec::cifar(1 << 16);
    spec.stages.clear();
    let model = common::model(&spec);
    // A map of 17 terabytes.
    let options = Options::default().with(|options| options.size = Some([8192, 8192]));
    let error = Plan::compile(&model, &options).unwrap_err();
    assert!(matches!(error, Error::TooLittleMemory { .. }), "{error}");
    assert!(error.to_string().contains("`small` for images of 8192x8192: needs"), "{error}");
}
