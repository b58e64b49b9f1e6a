//! Softmax cross-entropy of a row, focal or not.

/// Sum over the classes of `-t (1 - p)^gamma ln p` of a row, with `p` the softmax of the logits, and its gradient.
pub(super) fn softmax_focal(
    logits: &[f32],
    target: impl Fn(usize) -> f64,
    gamma: f64,
    gradient: &mut [f32],
    divisor: f64,
) -> f64 {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |most, &logit| most.max(f64::from(logit)));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    let log_sum = largest + sum.ln();
    let log_p = |class: usize| f64::from(logits[class]) - log_sum;
    let term = |class: usize| Term::of(target(class), log_p(class), gamma);
    let (mut loss, mut total) = (0.0, 0.0);
    for class in 0..logits.len() {
        let Term { value, slope } = term(class);
        loss += value;
        total += slope;
    }
    for (class, slot) in gradient.iter_mut().enumerate() {
        *slot = ((term(class).slope - log_p(class).exp() * total) / divisor) as f32;
    }
    loss / divisor
}

/// Divergence of the softmax of a row at a temperature from the teacher's probabilities, times the temperature's square,
/// and its gradient.
pub(super) fn divergence(
    logits: &[f32],
    teacher: &[f32],
    temperature: f64,
    gradient: &mut [f32],
    divisor: f64,
) -> f64 {
    let at = |logit: f32| f64::from(logit) / temperature;
    let largest = logits.iter().fold(f64::NEG_INFINITY, |most, &logit| most.max(at(logit)));
    let sum: f64 = logits.iter().map(|&logit| (at(logit) - largest).exp()).sum();
    let log_sum = largest + sum.ln();
    let mut loss = 0.0;
    for ((&logit, &teacher), slot) in logits.iter().zip(teacher).zip(gradient) {
        let (log_p, teacher) = (at(logit) - log_sum, f64::from(teacher));
        if teacher > 0.0 {
            loss += teacher * (teacher.ln() - log_p);
        }
        *slot = (temperature * (log_p.exp() - teacher) / divisor) as f32;
    }
    loss * temperature * temperature / divisor
}

/// Term of one class, and its derivative with respect to the probability times the probability.
struct Term {
    value: f64,
    slope: f64,
}

impl Term {
    fn of(target: f64, log_p: f64, gamma: f64) -> Self {
        if target == 0.0 {
            return Self { value: 0.0, slope: 0.0 };
        }
        let rest = -log_p.exp_m1();
        let focus = rest.powf(gamma);
        // Towards a probability of 1 there is nothing left of it.
        let focused = match gamma == 0.0 || rest <= 0.0 {
            true => 0.0,
            false => gamma * log_p.exp() * rest.powf(gamma - 1.0) * log_p,
        };
        Self { value: -target * focus * log_p, slope: target * (focused - focus) }
    }
}
