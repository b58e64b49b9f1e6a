//! A report as lines of 80 columns, and as an object.

use residual::doctor::{Finding, Report};
use serde::Serialize;

use crate::cli::findings::{counts, paragraphs, summary, wrapped};

/// The report as JSON.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    network: &'a str,
    faults: usize,
    warnings: usize,
    notes: usize,
    #[serde(flatten)]
    report: &'a Report,
}

impl<'a> Object<'a> {
    pub(super) fn of(network: &'a str, report: &'a Report) -> Self {
        let [faults, warnings, notes] = counts(&report.findings);
        Self { network, faults, warnings, notes, report }
    }
}

/// The report for people, the worst first.
pub(super) fn lines(network: &str, report: &Report) -> Vec<String> {
    let mut lines = wrapped("", &format!("{network}: {}", summary(&report.findings)));
    lines.extend(paragraphs(&report.findings));
    lines.push(String::new());
    lines.extend(wrapped("checked: ", &report.checked.join(", ")));
    for finding in &report.passed {
        let Finding { place, found, .. } = finding;
        let passed =
            format!("{place}: {}: {found}; the network is its paper's, as it stands", finding.kind.title());
        lines.extend(wrapped("passed: ", &passed));
    }
    for reason in &report.not_checked {
        lines.extend(wrapped("not checked: ", reason));
    }
    lines
}
