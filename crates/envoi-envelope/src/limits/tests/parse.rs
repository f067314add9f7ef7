use std::time::Duration;

use proptest::prelude::*;

use super::{brief, wall};
use crate::DataCategory;
use crate::limits::parse::{delay, rate_limits, retry_after};

fn read(line: &str) -> String {
    brief(&rate_limits([line.as_bytes()]))
}

/// RL-3: the grammar, and what may stand beyond the fields that we know.
#[test]
fn members_are_read_by_the_grammar() {
    for (line, limits) in [
        ("60:error:organization", "error 60000"),
        ("60:error", "error 60000"),
        (
            "60:transaction:key, 2700:default;error;security:organization",
            "error 2700000, transaction 60000, security 2700000",
        ),
        ("60::organization, 2700::organization", "* 2700000"),
        ("60:", "* 60000"),
        ("60", "* 60000"),
        ("1:error:project:reason:ns:more:and;more,2:session", "error 1000, session 2000"),
        (" 60 : error ; session : key ,\t7 :: key ", "* 7000, error 60000, session 60000"),
        ("", ""),
    ] {
        assert_eq!(read(line), limits, "{line}");
    }
}

/// Decision 2: each member by itself; a bare number; empty names.
#[test]
fn a_bad_member_does_not_hurt_its_neighbours() {
    for (line, limits) in [
        ("soon:error, 5:session", "session 5000"),
        ("-5:error, 5:session", "session 5000"),
        ("NaN:error, inf:error, infinity:, 5:session", "session 5000"),
        (":error, ::, ,,: , 5:session", "session 5000"),
        ("13", "* 13000"),
        ("13, 20:error", "* 13000, error 20000"),
        ("60:;", "* 60000"),
        ("60: ; ;:key", "* 60000"),
        ("60:;error;;session;", "error 60000, session 60000"),
    ] {
        assert_eq!(read(line), limits, "{line}");
    }
    let lines = [&b"\xff\xfe:error"[..], b"5:err\xffor;session", b"\x80"];
    assert_eq!(brief(&rate_limits(lines)), "session 5000");
}

/// Decision 1: several header lines are one list.
#[test]
fn several_lines_are_one_list() {
    assert_eq!(
        brief(&rate_limits([&b"60:error:key"[..], b"10:error, 7:session"])),
        "error 60000, session 7000"
    );
}

/// Decision 3, RL-11: numbers and white space.
#[test]
fn delays_are_exact_and_rounded_up() {
    let day = 24 * 60 * 60 * 1000;
    for (text, millis) in [
        ("0", 0),
        ("0.0", 0),
        ("0e9", 0),
        ("60", 60_000),
        (" \t60 ", 60_000),
        ("+60", 60_000),
        ("060", 60_000),
        ("1.5", 1_500),
        ("1.", 1_000),
        (".25", 250),
        ("2.3", 2_300),
        ("8.2", 8_200),
        ("1.0001", 1_001),
        ("1.00000000000000000000000000000000000001", 1_001),
        ("0.0009", 1),
        ("1e-400", 1),
        ("1e2", 100_000),
        ("1E+2", 100_000),
        ("12.345e1", 123_450),
        ("86400", day),
        ("0.00086400e8", day),
        ("18446744073709551.615", u64::MAX),
        ("18446744073709551.616", u64::MAX),
        ("99999999999999999999999999", u64::MAX),
        ("1e400", u64::MAX),
        ("1e99999999999999999999999", u64::MAX),
    ] {
        assert_eq!(delay(text.as_bytes()), Some(Duration::from_millis(millis)), "{text}");
    }
}

/// Decision 2, decision 3: what is no delay.
#[test]
fn unreadable_delays_are_refused() {
    for text in [
        "", " ", "+", "-", ".", "e5", "1e", "1e+", "1e1.5", "1.2.3", "-1", "-0", "+-1", "--1", "1 0", "1. 5",
        "1e 5", "1_000", "1,5", "0x10", "10s", "NaN", "nan", "inf", "-inf", "Infinity", "１",
    ] {
        assert_eq!(delay(text.as_bytes()), None, "{text}");
    }
    assert_eq!(delay(b"1\xff"), None);
}

/// RL-4, decision 4: unknown categories are ignored, the known ones in the same quota apply.
#[test]
fn unknown_categories_are_ignored() {
    for (line, limits) in [
        ("60:teapot;error;span_indexed", "error 60000"),
        ("60:teapot", ""),
        ("60:teapot;;another", ""),
        ("60:Error;ERROR", ""),
        ("60:err or", ""),
        ("60:transaction_processed;replay_video;uptime;monitor_seat;seer_autofix", ""),
        ("60:user_report_v2", "feedback 60000"),
        ("60:log_item, 70:log_byte", "log_item 60000, log_byte 70000"),
    ] {
        assert_eq!(read(line), limits, "{line}");
    }
}

/// RL-9, decision 10: no limit of these names holds anything.
#[test]
fn internal_and_default_have_no_limit_of_their_own() {
    assert_eq!(read("60:internal, 60:default"), "");
    assert_eq!(read("60:internal;default;error"), "error 60000");
}

/// RL-5, decision 5: namespaces of metrics.
#[test]
fn metrics_are_limited_by_namespace() {
    for (line, limits) in [
        ("60:metric_bucket", "metric_bucket 60000"),
        ("60:metric_bucket:organization:quota", "metric_bucket 60000"),
        ("60:metric_bucket:organization:quota:", "metric_bucket 60000"),
        ("60:metric_bucket:organization:quota: ; ;", "metric_bucket 60000"),
        ("60:metric_bucket:organization:quota:custom", "metric_bucket 60000"),
        ("60:metric_bucket:organization:quota:spans; custom ", "metric_bucket 60000"),
        ("60:metric_bucket:organization:quota:custom:more", "metric_bucket 60000"),
        ("60:metric_bucket:organization:quota:spans", ""),
        ("60:metric_bucket:organization:quota:Custom;customs", ""),
        ("60:metric_bucket;error:organization:quota:spans", "error 60000"),
        ("60:error:organization:quota:spans", "error 60000"),
        ("60::organization:quota:spans", "* 60000"),
    ] {
        assert_eq!(read(line), limits, "{line}");
    }
}

/// Decision 3: nought is accepted and limits nothing. RL-6: the longest in one header wins.
#[test]
fn nought_limits_nothing_and_the_longest_wins() {
    assert_eq!(read("0:error, 0::key, 0"), "");
    assert_eq!(read("5:error, 60:error, 0:error, 10:error"), "error 60000");
    assert_eq!(read("5, 60:error, 7:"), "* 7000, error 60000");
}

/// Decision 6: the forms of `Retry-After`.
#[test]
fn retry_after_is_seconds_or_a_date() {
    for (value, millis) in [
        ("60", Some(60_000)),
        (" 1.2345 ", Some(1_235)),
        ("0", Some(0)),
        ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000)),
        (" Sun, 06 Nov 1994 08:49:47 GMT\t", Some(10_000)),
        ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10_000)),
        ("Sun Nov  6 08:49:47 1994", Some(10_000)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("Sun, 06 Nov 1994 08:49:36 GMT", Some(0)),
        ("10 Seconds", None),
        ("-1", None),
        ("", None),
        ("tomorrow", None),
        ("5, 6", None),
        ("Sun, 36 Nov 1994 08:49:37 GMT", None),
    ] {
        assert_eq!(retry_after(value.as_bytes(), wall()), millis.map(Duration::from_millis), "{value}");
    }
    assert_eq!(retry_after(b"\xff", wall()), None);
}

/// A header line from the alphabet of the grammar, so that most of what is made is nearly right.
fn nearly_a_header() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("60".to_owned()),
        "[0-9]{0,4}(\\.[0-9]{0,3})?(e[-+]?[0-9]{0,3})?",
        proptest::sample::select(DataCategory::KNOWN.map(|category| category.as_str().to_owned()).to_vec()),
        Just("custom".to_owned()),
        "[ -~]{0,3}",
    ];
    let separator = proptest::sample::select(vec![",", ":", ";", " ", ", "]);
    proptest::collection::vec((token, separator), 0..24)
        .prop_map(|parts| parts.into_iter().map(|(token, separator)| token + separator).collect())
}

proptest! {
    /// RL-11: arbitrary bytes neither panic nor give more limits than there are categories.
    #[test]
    fn any_bytes_are_read(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..4)) {
        let limits = rate_limits(lines.iter().map(Vec::as_slice));
        prop_assert!(limits.len() <= DataCategory::KNOWN.len() + 1);
        for line in &lines {
            let _ = retry_after(line, wall());
            let _ = delay(line);
        }
    }

    /// Decisions 1 and 2: what a list says is the longest of what its members say one by one.
    #[test]
    fn a_list_is_the_sum_of_its_members(lines in proptest::collection::vec(nearly_a_header(), 0..4)) {
        let whole = rate_limits(lines.iter().map(String::as_bytes));
        let mut longest = std::collections::HashMap::new();
        for member in lines.iter().flat_map(|line| line.split(',')) {
            for limit in rate_limits([member.as_bytes()]) {
                let slot = longest.entry(limit.category).or_insert(limit.duration);
                *slot = limit.duration.max(*slot);
            }
        }
        prop_assert_eq!(whole.len(), longest.len());
        for limit in whole {
            prop_assert!(!limit.duration.is_zero());
            prop_assert!(limit.category.as_ref().is_none_or(DataCategory::is_limitable));
            prop_assert_eq!(longest.get(&limit.category), Some(&limit.duration));
        }
    }

    /// Decision 3: white space around tokens does not matter.
    #[test]
    fn white_space_is_ignored(line in "[0-9;:,.a-z_]{0,60}", space in "[ \t]{1,3}") {
        let airy: String = line.chars().map(|c| match c {
            ',' | ';' | ':' => format!("{space}{c}{space}"),
            c => c.to_string(),
        }).collect();
        prop_assert_eq!(read(&airy), read(&line));
    }

    /// Decision 3: a delay is the ceiling, in milliseconds, of the number as written.
    #[test]
    fn delays_agree_with_whole_numbers(micros in 0_u64..10_000_000_000, shift in -3_i32..4) {
        // The same number of seconds, once as a fraction and once with an exponent.
        let plain = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let expected = Some(Duration::from_millis(micros.div_ceil(1000)));
        prop_assert_eq!(delay(plain.as_bytes()), expected);
        prop_assert_eq!(delay(format!("{micros}e-6").as_bytes()), expected);
        let scaled = format!("{}e{}", micros, shift - 6);
        let as_float: f64 = scaled.parse().unwrap();
        let read = delay(scaled.as_bytes()).unwrap().as_secs_f64();
        prop_assert!(read >= as_float - 1e-6 * as_float && read <= as_float * (1.0 + 1e-9) + 0.001);
    }

    /// Decision 6: every date that can be written reads back as the time until it.
    #[test]
    fn dates_are_measured_from_the_base(ahead in -1_000_000_i64..100_000_000) {
        let date = wall().checked_add(Duration::from_secs(ahead.unsigned_abs())).filter(|_| ahead >= 0)
            .unwrap_or_else(|| wall() - Duration::from_secs(ahead.unsigned_abs()));
        let expected = Duration::from_secs(u64::try_from(ahead).unwrap_or(0));
        prop_assert_eq!(retry_after(httpdate::fmt_http_date(date).as_bytes(), wall()), Some(expected));
    }
}
