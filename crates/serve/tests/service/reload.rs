//! Models that are replaced while requests go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use residual_serve::{ModelSource, Options, Service};

use crate::given::{get, model, offline, picture, post};

/// A service whose model has the gain `1`, `0.9`, `0.8` whenever it is loaded, and cannot be loaded the fourth time.
fn changing() -> Service {
    let loads = Arc::new(AtomicUsize::new(0));
    let source = ModelSource::new("photos", move || match loads.fetch_add(1, Ordering::Relaxed) {
        3 => Err(std::io::Error::other("photos.safetensors: the file is broken")),
        number => Ok(model(1.0 - 0.1 * number as f32)),
    });
    Service::start(vec![source], Options::default()).unwrap()
}

#[test]
fn a_model_that_cannot_be_loaded_leaves_the_old_one() {
    let service = changing();
    let image = picture(1, [32, 32]);
    let wanted = |gain: f32| offline(gain).classify(&image).unwrap().best().probability;
    let found =
        || post(&service, "/v1/classify", image.clone()).ok()["top"][0]["probability"].as_f64().unwrap();
    assert_eq!(found(), wanted(1.0));
    for gain in [0.9, 0.8] {
        assert!(service.reload()[0].result.is_ok());
        assert_eq!(found(), wanted(gain));
    }
    let outcome = &service.reload()[0];
    let error = outcome.result.as_ref().unwrap_err().to_string();
    assert!(error.contains("photos, version 1") && error.contains("broken"), "{error}");
    assert_eq!(found(), wanted(0.8));
    let text = String::from_utf8(get(&service, "/metrics").bytes).unwrap();
    assert!(text.contains("residual_reloads_total{result=\"kept\"} 1\n"), "{text}");
    assert!(text.contains("residual_reloads_total{result=\"loaded\"} 2\n"), "{text}");
}

#[test]
fn no_request_is_lost_while_models_are_replaced() {
    let service = changing();
    let image = picture(2, [32, 32]);
    let possible = [1.0, 0.9, 0.8].map(|gain| offline(gain).classify(&image).unwrap().best().probability);
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let found = post(&service, "/v1/classify", image.clone()).ok();
                        let probability = found["top"][0]["probability"].as_f64().unwrap();
                        assert!(possible.contains(&probability), "{probability}: {possible:?}");
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            assert!(service.reload()[0].result.is_ok());
        }
        asking.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
