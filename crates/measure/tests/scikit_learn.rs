//! What scikit-learn and scipy compute, on random and on degenerate inputs (`bench/peers/measures.py`).

use residual_measure::{
    Average, COLDEST, Calibration, Confusion, Counts, Errors, HOTTEST, average, average_precision,
    best_threshold, brier, fit_temperature, mean_average_precision, negative_log_likelihood, softmax, wilson,
};
use serde_json::Value;

fn cases(of: &str) -> Vec<Value> {
    let text = include_str!("expected/scikit_learn.json");
    let all: Value = serde_json::from_str(text).unwrap();
    all[of].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap_or(f64::NAN)).collect()
}

fn whole(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize).collect()
}

fn column<T: Copy>(values: &[T], columns: usize, column: usize) -> Vec<T> {
    values.iter().skip(column).step_by(columns).copied().collect()
}

#[track_caller]
fn equal(found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap_or(f64::NAN);
    let same = found.is_nan() && expected.is_nan();
    assert!(same || (found - expected).abs() <= 1e-9, "{found}, not {expected}");
}

#[track_caller]
fn all_equal(found: &[f64], expected: &Value) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).for_each(|(&found, expected)| equal(found, expected));
}

#[test]
fn one_label() {
    for case in cases("single") {
        let classes = case["classes"].as_u64().unwrap() as usize;
        let confusion = Confusion::of(classes, &whole(&case["labels"]), &whole(&case["answers"]));
        for (label, row) in case["confusion"].as_array().unwrap().iter().enumerate() {
            let expected: Vec<u64> = whole(row).into_iter().map(|count| count as u64).collect();
            assert_eq!(confusion.row(label), expected);
        }
        equal(confusion.accuracy(), &case["accuracy"]);
        equal(confusion.balanced_accuracy(), &case["balanced_accuracy"]);
        for (class, counts) in confusion.each().into_iter().enumerate() {
            assert_eq!(confusion.counts(class), counts);
            all_equal(&[counts.precision(), counts.recall(), counts.f1()], &case["each"][class]);
        }
        for (how, name) in
            [(Average::Macro, "macro"), (Average::Micro, "micro"), (Average::Weighted, "weighted")]
        {
            let scores = confusion.average(how);
            all_equal(&[scores.precision, scores.recall, scores.f1], &case[name]);
        }
    }
}

#[test]
fn several_labels() {
    for case in cases("several") {
        let classes = case["classes"].as_u64().unwrap() as usize;
        let scores = numbers(&case["scores"]);
        let truths: Vec<bool> =
            case["truths"].as_array().unwrap().iter().map(|t| t.as_bool().unwrap()).collect();
        let threshold = case["threshold"].as_f64().unwrap();
        let class = |class| (column(&scores, classes, class), column(&truths, classes, class));
        let mut counts = Vec::new();
        for number in 0..classes {
            let (scores, truths) = class(number);
            equal(average_precision(&scores, &truths), &case["each"][number]);
            counts.push(Counts::at(&scores, &truths, threshold));
            let best = best_threshold(&scores, &truths);
            equal(best.map_or(0.0, |best| best.f1), &case["best_f1"][number]);
            if let Some(best) = best {
                assert_eq!(Counts::at(&scores, &truths, best.value).f1(), best.f1);
            }
        }
        equal(mean_average_precision(&scores, &truths, classes), &case["map"]);
        all_equal(&counts.iter().map(Counts::f1).collect::<Vec<_>>(), &case["f1_each"]);
        for (how, name) in
            [(Average::Macro, "macro"), (Average::Micro, "micro"), (Average::Weighted, "weighted")]
        {
            equal(average(&counts, how).f1, &case[format!("f1_{name}")]);
        }
    }
}

#[test]
fn numbers_that_are_predicted() {
    for case in cases("regression") {
        let targets = case["targets"].as_u64().unwrap() as usize;
        let each = Errors::each(&numbers(&case["predicted"]), &numbers(&case["truths"]), targets);
        all_equal(&each.iter().map(|errors| errors.r2).collect::<Vec<_>>(), &case["r2_each"]);
        let mean = Errors::mean(&each).unwrap();
        for (found, name) in [(mean.mae, "mae"), (mean.mse, "mse"), (mean.rmse, "rmse"), (mean.r2, "r2")] {
            equal(found, &case[name]);
        }
    }
}

#[test]
fn probabilities_of_classes() {
    for case in cases("probabilities") {
        let classes = case["classes"].as_u64().unwrap() as usize;
        let labels = whole(&case["labels"]);
        let logits: Vec<f32> = numbers(&case["logits"]).into_iter().map(|logit| logit as f32).collect();
        let rows: Vec<Vec<f64>> = logits.chunks_exact(classes).map(softmax).collect();
        equal(brier(&rows.concat(), &labels), &case["brier"]);
        equal(negative_log_likelihood(&logits, &labels, 1.0), &case["log_loss"]);
        let confidences: Vec<f64> =
            rows.iter().map(|row| row.iter().fold(0.0, |max: f64, &p| max.max(p))).collect();
        let answer = |row: &[f64], best: f64| row.iter().position(|&p| p == best).unwrap();
        let correct: Vec<bool> = rows
            .iter()
            .zip(&confidences)
            .zip(&labels)
            .map(|((row, &best), &label)| answer(row, best) == label)
            .collect();
        let calibration = Calibration::new(&confidences, &correct);
        equal(calibration.ece(), &case["ece"]);
        let counts: Vec<usize> = calibration.bins().iter().map(|bin| bin.count as usize).collect();
        assert_eq!(counts, whole(&case["bins"]));
        let filled: Vec<_> = calibration.bins().iter().filter(|bin| bin.count > 0).collect();
        all_equal(&filled.iter().map(|bin| bin.accuracy).collect::<Vec<_>>(), &case["accuracy"]);
        all_equal(&filled.iter().map(|bin| bin.confidence).collect::<Vec<_>>(), &case["confidence"]);
        let found = fit_temperature(&logits, &labels).unwrap();
        equal(found.before, &case["log_loss"]);
        let expected = case["log_loss_at_temperature"].as_f64().unwrap();
        assert!(found.after <= expected + 1e-9, "{found:?}, not {expected}");
        let inside = found.value > COLDEST * 1.001 && found.value < HOTTEST / 1.001 && found.value != 1.0;
        let wanted = case["temperature"].as_f64().unwrap();
        assert!(!inside || (found.value / wanted - 1.0).abs() < 1e-5, "{found:?}, not {wanted}");
    }
}

#[test]
fn intervals_of_a_fraction() {
    for case in cases("wilson") {
        let found = wilson(case[0].as_u64().unwrap(), case[1].as_u64().unwrap());
        all_equal(&[found.low, found.high], &Value::Array(case.as_array().unwrap()[2..].to_vec()));
    }
}
