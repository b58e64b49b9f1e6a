//! A report as lines of 80 columns, and as an object.

use residual::doctor::{Finding, Report, Severity};
use serde::Serialize;

const COLUMNS: usize = 80;

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
        let [faults, warnings, notes] = counts(report);
        Self { network, faults, warnings, notes, report }
    }
}

fn counts(report: &Report) -> [usize; 3] {
    [Severity::Fault, Severity::Warning, Severity::Note].map(|severity| report.count(severity))
}

/// The report for people, the worst first.
pub(super) fn lines(network: &str, report: &Report) -> Vec<String> {
    let mut lines = wrapped("", &format!("{network}: {}", summary(report)));
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in findings {
        lines.push(String::new());
        lines.extend(paragraph(finding));
    }
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

fn summary(report: &Report) -> String {
    let names = ["fault", "warning", "note"];
    let parts: Vec<String> = counts(report)
        .into_iter()
        .zip(names)
        .filter(|&(count, _)| count > 0)
        .map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() { "nothing wrong found".into() } else { parts.join(", ") }
}

fn paragraph(finding: &Finding) -> Vec<String> {
    let severity = match finding.severity {
        Severity::Fault => "fault",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let parts = [
        ("  found     ", finding.found.as_str()),
        ("  expected  ", &finding.expected),
        ("  help      ", &finding.help),
        ("  source    ", finding.source),
    ];
    let mut lines =
        wrapped(&format!("{severity}: "), &format!("{}: {}", finding.place, finding.kind.title()));
    lines.extend(parts.into_iter().flat_map(|(label, text)| wrapped(label, text)));
    lines
}

/// `text` after `label`, broken at blanks, its further lines as far in as its first. A word that is longer
/// than a line is cut.
fn wrapped(label: &str, text: &str) -> Vec<String> {
    let (indent, mut lines, mut line) = (" ".repeat(label.len()), vec![], label.to_owned());
    let room = COLUMNS - label.len();
    let mut empty = true;
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for piece in letters.chunks(room) {
            if !empty && line.chars().count() + 1 + piece.len() > COLUMNS {
                lines.push(std::mem::replace(&mut line, indent.clone()));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.extend(piece);
            empty = false;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_and_indented() {
        let text = "word ".repeat(40) + &"x".repeat(200);
        let lines = wrapped("  help  ", &text);
        assert!(lines.len() > 4 && lines.iter().all(|line| line.chars().count() <= COLUMNS), "{lines:?}");
        assert!(lines[1].starts_with("        word"), "{lines:?}");
        let joined: String = lines.concat().split_whitespace().collect();
        assert_eq!(joined, format!("help{}", text.split_whitespace().collect::<String>()));
    }
}
