//! The log: an event a line, on standard error.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use residual_files::escaped;
use serde_json::{Map, Value};

use crate::LogFormat;

/// The log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    format: LogFormat,
}

impl Log {
    pub(crate) fn new(format: LogFormat) -> Self {
        Self { format }
    }

    /// Writes an event and its facts.
    pub(crate) fn event(self, event: &str, facts: &[(&str, Value)]) {
        let line = match self.format {
            LogFormat::Off => return,
            LogFormat::Json => json(event, facts),
            LogFormat::Text => words(event, facts),
        };
        // There is nowhere left to complain.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

fn json(event: &str, facts: &[(&str, Value)]) -> String {
    let mut object = Map::new();
    object.insert("time".to_owned(), time(SystemTime::now()).into());
    object.insert("event".to_owned(), event.into());
    object.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    format!("{}\n", Value::Object(object))
}

fn words(event: &str, facts: &[(&str, Value)]) -> String {
    let mut line = format!("{} {event}", time(SystemTime::now()));
    for (name, value) in facts {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Writing to a string does not fail.
        let _ = write!(line, " {name}={}", escaped(&value));
    }
    line.push('\n');
    line
}

/// Time in UTC to the millisecond, as RFC 3339 has it.
fn time(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, milliseconds) = (since.as_secs(), since.subsec_millis());
    let [hour, minute, second] = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
    let (year, month, day) = date(seconds / 86_400);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// Year, month and day of a number of days since 1970, by eras of 400 years that begin in March.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, of_month)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_of_the_calendar() {
        let of = |seconds: u64| time(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7));
        assert_eq!(of(0), "1970-01-01T00:00:00.007Z");
        // `date -u -d 2000-02-29T12:00:01 +%s`
        assert_eq!(of(951_825_601), "2000-02-29T12:00:01.007Z");
        assert_eq!(of(1_735_689_599), "2024-12-31T23:59:59.007Z");
        assert_eq!(of(4_107_542_400), "2100-03-01T00:00:00.007Z");
    }

    #[test]
    fn what_strangers_wrote_stays_on_one_line() {
        let facts = [("path", Value::from("a\n\u{1b}[31m\"")), ("status", Value::from(404))];
        let line = json("request", &facts);
        assert!(line.contains("\"path\":\"a\\n\\u001b[31m\\\"\",\"status\":404"), "{line}");
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line}");
        let line = words("request", &facts);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains('\u{1b}') && line.ends_with(" status=404\n"), "{line}");
    }
}
