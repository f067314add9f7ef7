//! Times and sizes as a user writes them.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::text;

/// `10s`, `5m`, `30d`. Not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// `16 KiB`, `1 GiB`, or a number of bytes. Not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

const DAY: u64 = 24 * 60 * 60;
/// Nobody keeps telemetry for longer.
const MOST_DAYS: u64 = 3650;

impl Span {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let span = match text.strip_suffix('d') {
            Some(days) => match days.trim().parse::<u64>() {
                Ok(days) if days <= MOST_DAYS => Duration::from_secs(days * DAY),
                _ => return Err(format!("not a time; whole days from 1d to {MOST_DAYS}d, or `30s`, `5m`")),
            },
            None => text::duration(text)?,
        };
        if span.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(Self(span)) }
    }
}

impl Size {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let scale: u64 = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err("not a size; write for example `16 KiB`, `50 MiB`, `1 GiB`".to_owned()),
        };
        match number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale)) {
            Some(0) => Err("must be more than nothing".to_owned()),
            Some(bytes) => Ok(Self(bytes)),
            None => Err("not a size; write for example `16 KiB`, `50 MiB`, `1 GiB`".to_owned()),
        }
    }
}

/// Accepts a text, so that the error has the place of the value.
pub(super) struct Parsed<T>(pub(super) fn(&str) -> Result<T, String>, pub(super) &'static str);

impl<T> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed(Self::parse, "a time in quotes, such as \"30s\""))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed(Self::parse, "a size in quotes, such as \"50 MiB\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(Span::parse("30d"), Ok(Span(Duration::from_secs(30 * DAY))));
        assert_eq!(Span::parse(" 200ms "), Ok(Span(Duration::from_millis(200))));
        assert_eq!(Size::parse("16 KiB"), Ok(Size(16384)));
        assert_eq!(Size::parse("1GiB"), Ok(Size(1 << 30)));
        assert_eq!(Size::parse("77"), Ok(Size(77)));
        for bad in ["", "0s", "1w", "-1d", "99999999d", "d", "1.5d"] {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", "1 MB", "MiB", "-1", "1.5 MiB", "99999999999 TiB"] {
            assert!(Size::parse(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        /// Whatever somebody writes, it is a value within bounds or an error.
        #[test]
        fn any_text_is_a_value_or_an_error(text in "\\PC{0,12}|[0-9]{0,25} ?[a-zA-Z]{0,3}") {
            if let Ok(Span(span)) = Span::parse(&text) {
                proptest::prop_assert!(!span.is_zero());
            }
            if let Ok(Size(size)) = Size::parse(&text) {
                proptest::prop_assert!(size > 0);
            }
        }
    }
}
