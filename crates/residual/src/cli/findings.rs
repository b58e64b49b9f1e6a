//! Findings of the doctor as lines of 80 columns.

use residual::doctor::{Finding, Severity};

use super::table::WIDTH;

/// Numbers of faults, warnings and notes.
pub(crate) fn counts(findings: &[Finding]) -> [usize; 3] {
    [Severity::Fault, Severity::Warning, Severity::Note]
        .map(|severity| findings.iter().filter(|finding| finding.severity == severity).count())
}

/// `1 fault, 2 warnings`, or that nothing was found.
pub(crate) fn summary(findings: &[Finding]) -> String {
    let names = ["fault", "warning", "note"];
    let parts: Vec<String> = counts(findings)
        .into_iter()
        .zip(names)
        .filter(|&(count, _)| count > 0)
        .map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() { "nothing wrong found".into() } else { parts.join(", ") }
}

/// A paragraph for each, the worst first, an empty line before it.
pub(crate) fn paragraphs(findings: &[Finding]) -> Vec<String> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    sorted.into_iter().flat_map(|finding| std::iter::once(String::new()).chain(paragraph(finding))).collect()
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
pub(crate) fn wrapped(label: &str, text: &str) -> Vec<String> {
    let (indent, mut lines, mut line) = (" ".repeat(label.len()), vec![], label.to_owned());
    let room = WIDTH - label.len();
    let mut empty = true;
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for piece in letters.chunks(room) {
            if !empty && line.chars().count() + 1 + piece.len() > WIDTH {
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
        assert!(lines.len() > 4 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        assert!(lines[1].starts_with("        word"), "{lines:?}");
        let joined: String = lines.concat().split_whitespace().collect();
        assert_eq!(joined, format!("help{}", text.split_whitespace().collect::<String>()));
    }
}
