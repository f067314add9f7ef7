use std::time::Duration;

/// Reads a delay in seconds, as rate limits and `Retry-After` state it: decimal digits with an optional sign `+`, fraction
/// and exponent (decision 3).
///
/// Read exactly, without floating point: a fraction is rounded up to the millisecond, and what does not fit is the
/// longest delay there is, for the caller to cut. White space around is ignored. `None` for anything else, such as
/// negative numbers, `NaN`, `inf`, hexadecimal digits, or white space inside (decision 2).
///
/// ```
/// use envoi_core::parse_delay;
/// use std::time::Duration;
/// assert_eq!(parse_delay(b" 60 "), Some(Duration::from_secs(60)));
/// assert_eq!(parse_delay(b"0.0001"), Some(Duration::from_millis(1)));
/// assert_eq!(parse_delay(b"1.5e2"), Some(Duration::from_secs(150)));
/// assert_eq!(parse_delay(b"-1"), None);
/// ```
#[must_use]
pub fn parse_delay(text: &[u8]) -> Option<Duration> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let point = mantissa.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let digits = || whole.iter().chain(fraction);
    if digits().next().is_none() || !digits().all(u8::is_ascii_digit) {
        return None;
    }
    Some(Duration::from_millis(millis(digits().copied(), whole.len(), exponent)))
}

/// The exponent; one that is too large for an `i64` is as good as the largest.
fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits
        .iter()
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    Some(if negative { -size } else { size })
}

/// The milliseconds of `0.digits * 10^(whole + exponent)` seconds, rounded up, saturating.
fn millis(digits: impl Iterator<Item = u8>, whole: usize, exponent: i64) -> u64 {
    // How many of the digits make up whole milliseconds; the first non-zero one among the rest rounds up.
    let mut before = i64::try_from(whole).unwrap_or(i64::MAX).saturating_add(exponent).saturating_add(3);
    let mut sum = 0_u64;
    let mut rest = false;
    for digit in digits {
        if before > 0 {
            sum = sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        } else {
            rest |= digit != b'0';
        }
        before = before.saturating_sub(1);
    }
    while before > 0 && sum != 0 && sum != u64::MAX {
        sum = sum.saturating_mul(10);
        before -= 1;
    }
    sum.saturating_add(u64::from(rest))
}
