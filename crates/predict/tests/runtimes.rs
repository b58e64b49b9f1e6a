//! One classifier shared by the tasks of a thread pool (rayon) and of an asynchronous runtime (tokio).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use rayon::prelude::*;
use residual_arch::families::family;
use residual_predict::{Classifier, Image, Options};
use residual_testkit::networks;

const IMAGES: usize = 24;

fn classifier() -> Classifier {
    let model = networks::model(&family("cifar_resnet8").unwrap().with_classes(3), 1.0).unwrap();
    Classifier::new(model, Options::new().threads(2)).unwrap()
}

fn picture(seed: usize) -> Image {
    let [width, height] = [32 + seed % 3 * 5, 32];
    let pixels = (0..width * height * 3).map(|i| ((i * 91 + seed * 37) % 251) as u8).collect();
    Image::new(width, height, 3, pixels).unwrap()
}

fn answer(classifier: &Classifier, seed: usize) -> Vec<u64> {
    let prediction = classifier.classify(picture(seed)).unwrap();
    prediction.probabilities().iter().map(|p| p.to_bits()).collect()
}

#[test]
fn tasks_of_rayon_get_the_answers_of_one_thread() {
    let classifier = classifier();
    let wanted: Vec<_> = (0..IMAGES).map(|seed| answer(&classifier, seed)).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let found: Vec<_> =
        pool.install(|| (0..IMAGES).into_par_iter().map(|seed| answer(&classifier, seed)).collect());
    assert_eq!(found, wanted);
}

#[test]
fn an_asynchronous_runtime_goes_on_while_images_are_classified() {
    let classifier = Arc::new(classifier());
    let wanted: Vec<_> = (0..IMAGES).map(|seed| answer(&classifier, seed)).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (turns, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let counter = runtime.spawn({
        let (turns, done) = (turns.clone(), done.clone());
        async move {
            while !done.load(Relaxed) {
                turns.fetch_add(1, Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let found: Vec<_> = runtime.block_on(async {
        let tasks: Vec<_> = (0..IMAGES)
            .map(|seed| {
                let classifier = classifier.clone();
                tokio::task::spawn_blocking(move || answer(&classifier, seed))
            })
            .collect();
        let mut found = Vec::new();
        for task in tasks {
            found.push(task.await.unwrap());
            // The other task of the runtime has its turns meanwhile.
            let before = turns.load(Relaxed);
            while turns.load(Relaxed) == before {
                tokio::task::yield_now().await;
            }
        }
        done.store(true, Relaxed);
        counter.await.unwrap();
        found
    });
    assert_eq!(found, wanted);
}
