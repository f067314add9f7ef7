use std::time::{Duration, SystemTime};

use envoi_core::DiscardReason;
use proptest::prelude::*;

use crate::DataCategory;
use crate::reports::{ClientReport, Discarded, ReportTime, parse_discarded};

fn carried(payload: &str) -> Vec<(String, String, u64)> {
    let mut rows = Vec::new();
    parse_discarded(payload.as_bytes(), |reason, category, quantity| {
        rows.push((reason.to_string(), category.to_string(), quantity));
    });
    rows
}

/// CR-8: what only relays use is kept for forwarding, and is no loss of this client.
#[test]
fn fields_of_relays_are_kept_but_not_carried() {
    let json = concat!(
        r#"{"timestamp":12.250,"discarded_events":[{"reason":"before_send","category":"error","quantity":1}],"#,
        r#""rate_limited_events":[{"reason":"key_quota","category":"error","quantity":2}],"#,
        r#""filtered_events":[{"reason":"web-crawlers","category":"error","quantity":3}],"#,
        r#""filtered_sampling_events":[{"reason":"Sampled:1,2","category":"transaction","quantity":4}]}"#
    );
    let report = ClientReport::parse(json.as_bytes()).unwrap();
    assert_eq!(
        report.timestamp,
        Some(ReportTime::At(SystemTime::UNIX_EPOCH + Duration::from_millis(12_250)))
    );
    assert_eq!(report.rate_limited_events[0].reason.as_str(), "key_quota");
    assert_eq!(report.to_json(), json);
    assert_eq!(carried(json), [("before_send".into(), "error".into(), 1)]);
}

/// CR-6: an entry that is not one is skipped; its neighbours are not lost.
#[test]
fn bad_entries_do_not_hurt_their_neighbours() {
    let json = r#"{"timestamp":null,"more":{"x":[]},"discarded_events":[
        7, null, [], {}, {"reason":"a","category":"b"}, {"reason":1,"category":"b","quantity":1},
        {"reason":"a","category":2,"quantity":1}, {"reason":"a","category":"b","quantity":-1},
        {"reason":"a","category":"b","quantity":1.5}, {"reason":"a","category":"b","quantity":"1"},
        {"reason":"a","category":"b","quantity":99999999999999999999999},
        {"reason":"send_error","category":"user_report_v2","quantity":2,"extra":true},
        {"reason":"mine","category":"teapot","quantity":18446744073709551615}
    ],"filtered_events":{}}"#;
    let most = u64::from(u32::MAX);
    assert_eq!(
        carried(json),
        [("send_error".into(), "feedback".into(), 2), ("mine".into(), "teapot".into(), most)]
    );
    assert_eq!(ClientReport::parse(json.as_bytes()).unwrap().timestamp, None);
    assert_eq!(carried(r#"{"discarded_events":{"reason":"a"}}"#), []);
}

/// CR-6: a payload that is no report carries nothing, and the error says why.
#[test]
fn unreadable_payloads_are_refused() {
    for bad in ["", "[]", "null", "{", "{\"discarded_events\":[", "\u{feff}{}"] {
        assert!(
            ClientReport::parse(bad.as_bytes())
                .unwrap_err()
                .to_string()
                .starts_with("unreadable client report: ")
        );
        assert_eq!(carried(bad), []);
    }
    let deep = format!("{{\"discarded_events\":{}", "[".repeat(60_000));
    assert!(ClientReport::parse(deep.as_bytes()).is_err());
    let long = format!("{{\"discarded_events\":[{}]}}", vec!["{}"; 100_000].join(","));
    assert_eq!(
        ClientReport::parse(long.as_bytes()).unwrap_err().to_string(),
        "unreadable client report: 300022 bytes, of which at most 65536 are read; split it"
    );
    assert!(ClientReport::parse(b"\xff\xfe").is_err());
}

/// CR-8: times come as numbers and as texts.
#[test]
fn times_are_numbers_or_texts() {
    for (json, time) in [
        (r#"{"timestamp":0}"#, Some(ReportTime::At(SystemTime::UNIX_EPOCH))),
        (r#"{"timestamp":"2031-01-01T00:00:00Z"}"#, Some(ReportTime::Text("2031-01-01T00:00:00Z".into()))),
        (r#"{"timestamp":-1}"#, None),
        (r#"{"timestamp":1e300}"#, None),
        (r#"{"timestamp":[]}"#, None),
        ("{}", None),
    ] {
        let report = ClientReport::parse(json.as_bytes()).unwrap();
        assert_eq!(report.timestamp, time, "{json}");
        assert_eq!(ClientReport::parse(report.to_json().as_bytes()).unwrap(), report);
    }
}

fn rows() -> impl Strategy<Value = Vec<Discarded>> {
    let row = (".{0,12}", ".{0,12}", any::<u64>()).prop_map(|(reason, category, quantity)| Discarded {
        reason: DiscardReason::from(reason.as_str()),
        category: DataCategory::from(category.as_str()),
        quantity,
    });
    proptest::collection::vec(row, 0..6)
}

proptest! {
    /// CR-8: a report survives being written and read.
    #[test]
    fn reports_survive_the_wire(
        millis in proptest::option::of(0_u64..4_000_000_000_000),
        lists in [rows(), rows(), rows(), rows()],
    ) {
        let [discarded_events, rate_limited_events, filtered_events, filtered_sampling_events] = lists;
        let timestamp = millis.map(|millis| ReportTime::At(SystemTime::UNIX_EPOCH + Duration::from_millis(millis)));
        let report = ClientReport {
            timestamp, discarded_events, rate_limited_events, filtered_events, filtered_sampling_events,
        };
        let read = ClientReport::parse(report.to_json().as_bytes()).unwrap();
        prop_assert_eq!(&read.discarded_events, &report.discarded_events);
        prop_assert_eq!(&read.rate_limited_events, &report.rate_limited_events);
        prop_assert_eq!(&read.filtered_events, &report.filtered_events);
        prop_assert_eq!(&read.filtered_sampling_events, &report.filtered_sampling_events);
        prop_assert_eq!(read.to_json(), report.to_json());
    }

    /// CR-6: any bytes are read or refused.
    #[test]
    fn any_payload_is_read(
        noise in proptest::collection::vec(any::<u8>(), 0..100),
        text in "\\{\"discarded_events\":\\[[\\[\\]{}\":,a-z0-9.e-]{0,60}\\]\\}",
    ) {
        for payload in [&noise[..], text.as_bytes()] {
            let readable = ClientReport::parse(payload).is_ok();
            let mut visited = 0;
            parse_discarded(payload, |_, _, quantity| {
                assert!(quantity <= u64::from(u32::MAX));
                visited += 1;
            });
            prop_assert!(readable || visited == 0);
        }
    }
}
