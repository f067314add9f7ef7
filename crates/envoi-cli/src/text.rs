//! Text that is safe to show, and numbers that are easy to read.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

/// Escapes what could move the cursor, colour or reorder the text of a terminal: files and servers are not trusted.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_unsafe(letter) {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most `most` characters of `text`, with a mark where it was cut.
pub(crate) fn shorten(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

/// Blots out the user information of every URL in `text`: a DSN that was put in the wrong place is still a secret
/// (AU-7).
pub(crate) fn redact(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        safe.push_str(before);
        let authority =
            after.find(|letter: char| letter == '/' || letter.is_whitespace()).unwrap_or(after.len());
        rest = match after.get(..authority).and_then(|authority| authority.rfind('@')) {
            Some(at) => {
                safe.push_str("***");
                after.get(at..).unwrap_or_default()
            }
            None => after,
        };
    }
    safe.push_str(rest);
    safe
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A number with its thousands set apart: `292,698`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 item`, `2 items`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let mut text = grouped(number);
    let _ = write!(text, " {noun}{}", if number == 1 { "" } else { "s" });
    text
}

/// A duration as a user writes it: `30s`, `200ms`, `1.5s`, `2m`; a bare number is seconds. At most a day.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{unit}` is not a unit of time; write ms, s, m or h, as in `30s`")),
    };
    let seconds: f64 =
        number.parse().map_err(|_| "not a duration; write for example `30s` or `200ms`".to_owned())?;
    match Duration::try_from_secs_f64(seconds * scale) {
        Ok(duration) if duration <= Duration::from_secs(24 * 3600) => Ok(duration),
        _ => Err("a duration is at most 24h".to_owned()),
    }
}

/// As [`duration`], for deadlines: not zero.
pub(crate) fn deadline(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than nothing".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_a_terminal_are_shown_not_obeyed() {
        assert_eq!(clean("plain ünï 漢字"), "plain ünï 漢字");
        assert_eq!(clean("a\u{1b}[31mb\r\n\u{9b}c\u{202e}d"), "a\\u{1b}[31mb\\r\\n\\u{9b}c\\u{202e}d");
    }

    /// AU-7: a DSN in the wrong place is not repeated.
    #[test]
    fn credentials_in_urls_are_blotted_out() {
        assert_eq!(redact("no `https://pub:sec@host/1` here"), "no `https://***@host/1` here");
        assert_eq!(redact("http://a@b@c/x http://plain/y@z ://"), "http://***@c/x http://plain/y@z ://");
    }

    #[test]
    fn numbers_are_grouped() {
        let all: Vec<_> = [0, 12, 123, 1234, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(all, ["0", "12", "123", "1,234", "1,234,567"]);
        assert_eq!((count(1, "item"), count(2000, "item")), ("1 item".to_owned(), "2,000 items".to_owned()));
    }

    #[test]
    fn durations_have_units_and_a_ceiling() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "-1s", "1d", "25h", "1..2s", "1e9", "NaN"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(deadline("0s").is_err());
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äöü…");
    }
}
