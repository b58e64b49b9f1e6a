//! Images that grow in the course of a training.

use residual_arch::Preprocess;
use residual_train::{Error, LinearResizing, Resizing, SizedEpochs, Training, read_metrics};

use crate::toy;

#[test]
fn small_images_first_go_on_to_the_same_bits_and_are_judged_at_the_networks_size() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let growths = [
        Resizing::Steps(vec![SizedEpochs::new(1, 4), SizedEpochs::new(1, 6)]),
        Resizing::Linear(LinearResizing::new(4, 2).with(|growth| growth.multiple = 2)),
    ];
    // Sizes 4, 6 and then 8: the two are the same training.
    let mut results = Vec::new();
    for (number, growth) in growths.into_iter().enumerate() {
        let recipe = toy::recipe(data.path()).with(|recipe| recipe.resize = Some(growth));
        let [whole, parts] = ["whole", "parts"].map(|name| runs.path().join(format!("{name} {number}")));
        toy::train(&recipe, &whole);
        // In the middle of the first size, and of the second.
        toy::interrupt(Training::new(&recipe).begin(&parts).unwrap(), 2);
        toy::interrupt(Training::default().resume(&parts).unwrap(), 6);
        toy::finish(Training::default().resume(&parts).unwrap());
        assert_eq!(toy::Result::of(&parts), toy::Result::of(&whole));
        results.push(toy::Result::of(&whole));
    }
    assert_eq!(results[0], results[1]);
    let plain = runs.path().join("plain");
    toy::train(&toy::recipe(data.path()), &plain);
    assert_ne!(toy::Result::of(&plain).last, results[0].last);

    // One epoch of small images whose weights do not move: the evaluation is that of the whole size.
    let still = |resize| {
        let run = runs.path().join(format!("still {}", Option::is_some(&resize)));
        let recipe = toy::recipe(data.path()).with(|recipe| {
            (recipe.epochs, recipe.lr, recipe.resize) = (1, Some(1e-30), resize);
        });
        toy::train(&recipe, &run);
        read_metrics(run.join("metrics.jsonl")).unwrap()
    };
    let [small, whole] = [Some(Resizing::Steps(vec![SizedEpochs::new(1, 4)])), None].map(still);
    assert_eq!((small[1].loss, small[1].top1), (whole[1].loss, whole[1].top1));
    assert_ne!(small[0].loss, whole[0].loss);
}

#[test]
fn a_size_that_leaves_a_batch_norm_one_value_is_refused_before_the_first_step() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| {
        recipe.network = Some(toy::network(3).with(|net| net.preprocess = Preprocess::normalise_only()));
        // 33 images leave one behind 16 and 16, whose maps are a pixel wide at the end.
        (recipe.batch_size, recipe.drop_last) = (Some(16), Some(false));
        recipe.resize = Some(Resizing::Steps(vec![SizedEpochs::new(1, 2)]));
    });
    let error = Training::new(&recipe).begin(runs.path().join("run")).map(drop).unwrap_err();
    assert!(matches!(error, Error::LastBatch { images: 1, .. }), "{error}");
    assert!(!runs.path().join("run").exists());
}
