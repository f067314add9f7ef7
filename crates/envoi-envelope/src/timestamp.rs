//! RFC 3339 in UTC, as `sent_at` wants it (EN-5): one format to write, the whole grammar to read.

use std::time::{Duration, SystemTime};

const DAY: i64 = 86_400;
/// 9999-12-31T23:59:59Z: later times do not have four digits for the year.
const LAST_SECOND: i64 = 253_402_300_799;
/// 0000-01-01T00:00:00Z.
const FIRST_SECOND: i64 = -62_167_219_200;

/// `time` as `2026-11-22T04:12:46.926Z`: UTC, cut to the millisecond. Times before year 0 and after 9999 are moved
/// to that bound.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// assert_eq!(envoi_envelope::rfc3339(UNIX_EPOCH + Duration::from_millis(1_500)), "1970-01-01T00:00:01.500Z");
/// ```
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let (seconds, millis) = since_epoch(time);
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    // By hand, because it is done for every envelope: `format!` takes ten times as many instructions.
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let fields = [
        (0..4, year),
        (5..7, month),
        (8..10, day),
        (11..13, second / 3600),
        (14..16, second / 60 % 60),
        (17..19, second % 60),
        (20..23, millis.into()),
    ];
    for (place, mut number) in fields {
        for digit in text[place].iter_mut().rev() {
            *digit += u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn since_epoch(time: SystemTime) -> (i64, u32) {
    let (seconds, millis) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_millis()),
        Err(before) => {
            let before = before.duration();
            // Rounded down, also on this side of the epoch.
            let millis = before.as_millis() + u128::from(before.subsec_nanos() % 1_000_000 != 0);
            let millis = i64::try_from(millis).map_or(i64::MIN, |millis| -millis);
            (millis.div_euclid(1000), u32::try_from(millis.rem_euclid(1000)).unwrap_or(0))
        }
    };
    if seconds > LAST_SECOND {
        (LAST_SECOND, 999)
    } else if seconds < FIRST_SECOND {
        (FIRST_SECOND, 0)
    } else {
        (seconds, millis)
    }
}

/// The date of a day number, by counting in eras of 400 years that begin in March.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + carry, month, day)
}

/// The day number of a date; the inverse of [`civil`].
const fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// Reads any RFC 3339 time. Digits beyond the nanosecond are cut; a leap second is the second after it.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let text = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        text.get(from..to)?
            .iter()
            .try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let is = |at: usize, allowed: &[u8]| text.get(at).is_some_and(|byte| allowed.contains(byte));
    let shaped = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = (1..=12).contains(&month) && day >= 1 && hour < 24 && minute < 60 && second <= 60;
    let days = day_number(year, month, day);
    if !shaped || !in_range || civil(days) != (year, month, day) {
        return None;
    }

    let mut at = 19;
    let mut nanos = 0_u64;
    if is(at, b".") {
        let digits = text[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let used = digits.min(9);
        let fraction = number(at + 1, at + 1 + used).filter(|_| digits > 0)?;
        nanos = u64::try_from(fraction).ok()? * 10_u64.pow(u32::try_from(9 - used).ok()?);
        at += 1 + digits;
    }
    let offset = if is(at, b"Zz") {
        (at + 1 == text.len()).then_some(0)?
    } else {
        let sign = if is(at, b"+") { 1 } else { is(at, b"-").then_some(-1)? };
        let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
        let well_formed = is(at + 3, b":") && at + 6 == text.len() && hours < 24 && minutes < 60;
        well_formed.then_some(sign * (hours * 3600 + minutes * 60))?
    };
    let seconds = days * DAY + hour * 3600 + minute * 60 + second - offset;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    base?.checked_add(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> SystemTime {
        let distance = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
    }

    /// EN-5: dates that go wrong easily, from a calendar.
    #[test]
    fn known_dates_are_written_right() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
            (-62_167_219_200, "0000-01-01T00:00:00.000Z"),
            (i64::MAX / 2, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(at(seconds)), expected);
        }
    }

    /// EN-5: what clients send as `sent_at`, and what is not a time.
    #[test]
    fn times_of_clients_are_read() {
        let expected = Some(at(1_795_320_766) + Duration::from_micros(926_474));
        for text in ["2026-11-22T04:12:46.926474Z", "2026-11-22t05:12:46.926474+01:00"] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("2026-11-22T04:12:46Z"), Some(at(1_795_320_766)));
        for text in [
            "",
            "yesterday",
            "2026-11-22",
            "2026-11-22T04:12:46",
            "2026-02-29T04:12:46Z",
            "2026-11-22T24:12:46Z",
            "2026-11-22T04:12:46.Z",
            "2026-11-22T04:12:46Z ",
            "2026-11-22T04:12:46+0100",
            "2026-11-22T04:12:46+é1:00",
            "1795320766",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        /// EN-5: what is written is read back, to the millisecond.
        #[test]
        fn writing_and_reading_agree(millis in -60_000_000_000_000_i64..253_402_300_799_999) {
            let distance = Duration::from_millis(millis.unsigned_abs());
            let time = if millis < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance };
            prop_assert_eq!(parse(&rfc3339(time)), Some(time));
        }

        /// EN-3: reading never panics.
        #[test]
        fn reading_survives_anything(text in "\\PC{0,40}|[0-9TZ:.+-]{15,35}") {
            let _ = parse(&text);
        }
    }
}
