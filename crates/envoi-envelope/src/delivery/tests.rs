use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use envoi_core::{Clock, Codec, DiscardReason, Durable, Itemized, Lane, Payload};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::{DataCategory, Dsn, Envelope, EnvelopeCodec, Item, SizeLimits, rfc3339};

fn envelope(items: impl IntoIterator<Item = Item>) -> Envelope {
    let mut envelope = Envelope::new();
    for item in items {
        envelope.push(item).unwrap();
    }
    envelope
}

fn minidump() -> Item {
    Item::attachment("dump", "12345").with_attachment_type("event.minidump")
}

fn attachment() -> Item {
    Item::attachment("a", "123")
}

fn user_report() -> Item {
    Item::new("user_report", "{}")
}

fn report() -> Item {
    Item::client_report(
        r#"{"discarded_events":[{"reason":"queue_overflow","category":"error","quantity":3}]}"#,
    )
}

/// Sheds under limits of these names; what was lost, and what is left.
fn shed(envelope: &mut Envelope, limits: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut limited = |category: &DataCategory| limits.contains(&category.as_str());
    let held = envelope.is_held(&mut limited);
    let mut lost = Vec::new();
    envelope.shed(&mut limited, &mut |category, quantity| lost.push(format!("{category}:{quantity}")));
    if !lost.is_empty() || held {
        assert_eq!(held, envelope.is_spent(), "is_held foretells what shed leaves");
    }
    let left = envelope.items().iter().map(|item| item.item_type().to_string()).collect();
    (lost, left)
}

/// Items, the limits in force, what is lost, and the types that are left.
type Case = (Vec<Item>, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// RL-8, RL-10, decisions 8 to 10: who is held by what, and who goes along.
#[test]
fn limits_take_what_the_decisions_say() {
    let chunk = |platform| Item::profile_chunk(platform, "{}");
    let event = || Item::event("{}");
    let transaction = || Item::transaction(r#"{"spans":[1]}"#);
    let profile = || Item::profile("{}");
    let cases: Vec<Case> = vec![
        (vec![event(), attachment()], &["error"], &["error:1", "attachment:3"], &[]),
        (vec![event(), Item::session("{}")], &["error"], &["error:1"], &["session"]),
        (vec![event(), attachment()], &["attachment"], &["attachment:3"], &["event"]),
        (vec![event(), attachment()], &["attachment_item"], &["attachment:3"], &["event"]),
        (vec![event(), minidump()], &["attachment", "attachment_item"], &[], &["event", "attachment"]),
        (vec![event(), minidump()], &["error"], &["error:1", "attachment:5"], &[]),
        (vec![minidump(), attachment()], &["error"], &["error:1", "attachment:3"], &[]),
        (vec![minidump(), attachment()], &["attachment"], &["attachment:3"], &["attachment"]),
        (
            vec![transaction(), profile(), attachment()],
            &["transaction"],
            &["transaction:1", "span:2", "profile:1", "attachment:3"],
            &[],
        ),
        (vec![transaction(), profile()], &["profile"], &["profile:1"], &["transaction"]),
        (vec![transaction()], &["span", "error"], &[], &["transaction"]),
        (vec![profile()], &["transaction"], &[], &["profile"]),
        (vec![Item::feedback("{}"), attachment()], &["feedback"], &["feedback:1"], &["attachment"]),
        (vec![user_report()], &["feedback"], &[], &["user_report"]),
        (vec![Item::logs(2, "12")], &["log_byte"], &["log_item:2", "log_byte:2"], &[]),
        (vec![Item::logs(2, "12")], &["log_item"], &["log_item:2", "log_byte:2"], &[]),
        (
            vec![Item::metrics(1, "1")],
            &["trace_metric_byte"],
            &["trace_metric:1", "trace_metric_byte:1"],
            &[],
        ),
        (vec![Item::spans(4, "1")], &["span"], &["span:4"], &[]),
        (vec![Item::check_in("{}")], &["monitor"], &["monitor:1"], &[]),
        (vec![chunk("cocoa")], &["profile_duration_ui"], &["profile_chunk_ui:1"], &[]),
        (vec![chunk("python")], &["profile_chunk"], &["profile_chunk:1"], &[]),
        (vec![chunk("python")], &["profile_chunk_ui", "profile_duration_ui"], &[], &["profile_chunk"]),
        (
            vec![Item::new("profile_chunk", "{}")],
            &["profile_chunk", "profile_chunk_ui"],
            &[],
            &["profile_chunk"],
        ),
        (
            vec![Item::replay_event("{}"), Item::replay_recording("x")],
            &["replay"],
            &["replay:1", "replay:1"],
            &[],
        ),
        (vec![Item::new("security", "{}")], &["security"], &["security:1"], &[]),
        (vec![Item::new("statsd", "x")], &["metric_bucket"], &["metric_bucket:1"], &[]),
        (vec![Item::new("hologram", "x"), event()], &["default", "error"], &["error:1"], &["hologram"]),
        (vec![Item::client_report("{}")], &["internal", "default"], &[], &["client_report"]),
    ];
    for (items, limits, lost, left) in cases {
        let mut envelope = envelope(items);
        let shown = format!("{envelope:?} under {limits:?}");
        let found = shed(&mut envelope, limits);
        assert_eq!(
            found,
            (lost.iter().map(ToString::to_string).collect(), left.iter().map(ToString::to_string).collect()),
            "{shown}"
        );
    }
}

/// RL-8, decision 11: reports alone, left over from something else, are not worth a request; of their own they are.
#[test]
fn reports_that_are_left_over_are_not_sent() {
    let mut carrier = envelope([Item::event("{}"), report()]);
    assert_eq!(shed(&mut carrier, &["error"]).1, ["client_report"]);
    assert!(carrier.is_spent());
    carrier.push(report()).unwrap();
    assert!(carrier.is_spent(), "another report changes nothing");
    carrier.push(Item::session("{}")).unwrap();
    assert!(!carrier.is_spent());

    let mut own = envelope([report()]);
    assert_eq!(shed(&mut own, &["error", "internal"]).1, ["client_report"]);
    assert!(!own.is_spent() && !own.is_held(&mut |_| true));
    assert!(envelope([report().into_rider()]).is_spent());
    assert!(Envelope::new().is_spent(), "EN-6: an empty envelope is not sent");
    assert!(!Envelope::new().is_held(&mut |_| true), "and does not wait for a limit to end");
}

/// CR-6: a report that is destroyed gives its counts back; it is never counted itself.
#[test]
fn reports_give_their_counts_back() {
    let mut envelope = envelope([Item::event("{}"), report(), report().into_rider()]);
    let mut carried = Vec::new();
    envelope
        .carried_losses(&mut |reason, category, quantity| carried.push((reason, category.clone(), quantity)));
    let one = (DiscardReason::QueueOverflow, DataCategory::Error, 3);
    assert_eq!(carried, [one.clone(), one]);

    let mut lost = Vec::new();
    envelope.clear(&mut |category, quantity| lost.push((category.clone(), quantity)));
    assert_eq!(lost, [(DataCategory::Error, 1)]);
    envelope.carried_losses(&mut |_, _, _| panic!("nothing is carried any more"));
    envelope.tally(&mut |_, _| panic!("nothing is counted any more"));
}

/// TP-2: an envelope queues with the most urgent of its items.
#[test]
fn the_lane_is_that_of_the_most_urgent_item() {
    for (items, lane) in [
        (vec![Item::event("{}"), attachment()], Lane::Critical),
        (vec![Item::feedback("{}")], Lane::Critical),
        (vec![user_report()], Lane::Critical),
        (vec![minidump()], Lane::Critical),
        (vec![Item::session("{}")], Lane::High),
        (vec![Item::check_in("{}")], Lane::High),
        (vec![Item::transaction("{}"), Item::profile("{}")], Lane::Medium),
        (vec![Item::spans(1, "")], Lane::Medium),
        (vec![report()], Lane::Medium),
        (vec![Item::new("hologram", "")], Lane::Medium),
        (vec![Item::logs(1, "")], Lane::Low),
        (vec![Item::metrics(1, "")], Lane::Low),
        (vec![Item::profile_chunk("python", "")], Lane::Low),
        (vec![Item::replay_event("{}"), Item::replay_recording("x")], Lane::Lowest),
        (vec![Item::replay_event("{}"), report().into_rider()], Lane::Lowest),
        (vec![], Lane::Medium),
    ] {
        let envelope = envelope(items);
        assert_eq!(envelope.lane(), lane, "{envelope:?}");
    }
}

/// TP-1: the weight is what the envelope takes when written.
#[test]
fn the_weight_is_the_written_size() {
    let envelope = envelope([Item::event("{}"), attachment()]);
    assert_eq!(envelope.weight().items, 2);
    assert_eq!(envelope.weight().bytes, envelope.to_bytes().len());
    assert_eq!(Envelope::new().weight().items, 1);
}

/// EN-5, EN-8, decision 14: what is stored is what was given, without `sent_at` and without reports that only ride.
#[test]
fn freezing_adds_nothing_and_leaves_riders_out() {
    let input = Bytes::from_static(b"{ \"x\":1}\n{\"type\":\"event\"}\n{}");
    let mut envelope = Envelope::parse(input.clone()).unwrap();
    envelope.push(report().into_rider()).unwrap();
    assert_eq!(envelope.freeze().unwrap(), input);

    envelope.retain(|item| !item.is_rider());
    assert_eq!(Envelope::thaw(envelope.freeze().unwrap()).unwrap(), envelope);
    assert!(Envelope::thaw(Bytes::from_static(b"{}\r\n")).is_err());
}

/// Decision 21: an envelope of reports only can be told from others.
#[test]
fn envelopes_of_reports_are_recognised() {
    assert!(envelope([report()]).is_only_client_reports());
    assert!(!envelope([report(), Item::event("{}")]).is_only_client_reports());
    assert!(!Envelope::new().is_only_client_reports());
    assert!(!envelope([report(), report().into_rider()]).is_worth_storing());
    assert!(envelope([report(), Item::event("{}")]).is_worth_storing());
    assert!(envelope([report()]).into_forwarded().is_worth_storing(), "reports of others are goods");
    assert!(!envelope([report().into_rider()]).into_forwarded().is_worth_storing());
    assert!(!Envelope::new().into_forwarded().is_worth_storing());
}

#[derive(Debug)]
struct Wall(SystemTime);

impl Clock for Wall {
    fn now(&self) -> Instant {
        unreachable!("the codec has no use for monotonic time")
    }

    fn wall(&self) -> SystemTime {
        self.0
    }
}

fn codec() -> EnvelopeCodec {
    let clock = Wall(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_320_770_125));
    EnvelopeCodec::new(&Dsn::parse("https://pub:hunter2@h/x/1").unwrap()).with_clock(Arc::new(clock))
}

/// AU-2, AU-5, EN-5: the request, with the time of sending written once and nothing copied but the header.
#[test]
fn the_codec_writes_the_time_of_sending() {
    let input = Bytes::from_static(
        b"{\"sent_at\":\"2020-01-01T00:00:00Z\",\"x\":1}\n{\"type\":\"event\"}\n{}\n{\"type\":\"x\"}\nabc",
    );
    let envelope = Envelope::parse(input.clone()).unwrap();
    let request = codec().encode(&envelope).unwrap();
    assert_eq!(
        (request.method(), request.uri().to_string()),
        (&http::Method::POST, "https://h/x/api/1/envelope/".into())
    );
    assert_eq!(request.headers()["content-type"], "application/x-sentry-envelope");
    assert_eq!(request.headers().len(), 1, "credentials and the rest are other layers' business");
    let body = request.into_body();
    assert_eq!(
        body.to_bytes(),
        "{\"sent_at\":\"2026-11-22T04:12:50.125Z\",\"x\":1}\n{\"type\":\"event\"}\n{}\n{\"type\":\"x\"}\nabc"
    );
    let last = body.chunks().last().unwrap();
    assert_eq!(last.as_ptr(), input.slice(input.len() - last.len()..).as_ptr(), "payloads are not copied");
    assert_eq!(envelope.to_bytes(), input, "the envelope itself is as it was");
}

/// EN-5, AU-7: the DSN goes into the header if asked, without its secret.
#[test]
fn the_codec_writes_the_dsn_if_asked() {
    let envelope = envelope([Item::event("{}")]);
    let plain = codec().encode(&envelope).unwrap().into_body().to_bytes();
    assert_eq!(Envelope::parse(plain).unwrap().dsn(), None);
    let with_dsn = codec().with_dsn_header(true).encode(&envelope).unwrap().into_body().to_bytes();
    let sent = Envelope::parse(with_dsn).unwrap();
    assert_eq!(sent.dsn().unwrap().to_string_with_secret(), "https://pub@h/x/1");
    assert_eq!(rfc3339(sent.sent_at().unwrap()), "2026-11-22T04:12:50.125Z");
    assert!(!format!("{:?}", codec()).contains("hunter2"));
}

/// EN-6: an empty envelope makes no request.
#[test]
fn the_codec_refuses_an_empty_envelope() {
    let error = codec().encode(&Envelope::new()).unwrap_err();
    assert_eq!(error.to_string(), "the envelope has no items, there is nothing to send");
}

/// EN-7: a client can be told to check everything; unless told, it leaves the judgement to the server.
#[test]
fn the_codec_checks_sizes_if_asked() {
    let large = envelope([Item::check_in(vec![b' '; 100 * 1024 + 1])]);
    assert!(codec().encode(&large).is_ok());
    let strict = codec().with_size_limits(SizeLimits::default());
    let error = strict.encode(&large).unwrap_err();
    assert_eq!(error.to_string(), "the envelope is larger than a server takes");
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "item 0, a check_in, has 102401 bytes; at most 102400 are allowed");
    assert!(strict.encode(&envelope([Item::check_in(vec![b' '; 100 * 1024])])).is_ok());
}

fn any_item() -> impl Strategy<Value = Item> {
    let types: Vec<_> = crate::ItemType::KNOWN.to_vec();
    prop_oneof![
        (select(types), "[a-z]{0,9}").prop_map(|(ty, payload)| Item::new(ty, payload)),
        Just(minidump()),
        Just(Item::profile_chunk("cocoa", "{}")),
        Just(Item::new("hologram", "x")),
    ]
}

fn sums(envelope: &Envelope) -> BTreeMap<DataCategory, u64> {
    let mut sums = BTreeMap::new();
    envelope.tally(&mut |category, quantity| *sums.entry(category.clone()).or_default() += quantity);
    sums
}

proptest! {
    /// RL-8, CR-1: whatever is limited, what is lost and what is left add up to what there was.
    #[test]
    fn shedding_balances(
        items in proptest::collection::vec(any_item(), 0..6),
        limits in subsequence(DataCategory::KNOWN.to_vec(), 0..8),
    ) {
        let mut envelope = Envelope::new();
        for item in items {
            let _ = envelope.push(item);
        }
        let before = sums(&envelope);
        let was_empty = envelope.is_empty();
        let held = envelope.is_held(&mut |category| limits.contains(category));
        let mut groups = Vec::new();
        prop_assert!(envelope.holders(&mut |group| groups.push(group.iter().any(|category| limits.contains(category)))));
        prop_assert_eq!(held, !groups.is_empty() && groups.into_iter().all(|is_held| is_held), "decision 22");
        let mut after = BTreeMap::new();
        envelope.shed(&mut |category| limits.contains(category), &mut |category, quantity| {
            *after.entry(category.clone()).or_default() += quantity;
        });
        for (category, quantity) in sums(&envelope) {
            *after.entry(category).or_default() += quantity;
        }
        prop_assert_eq!(after, before);
        prop_assert_eq!(held, envelope.is_spent() && !was_empty);
        let again = envelope.items().len();
        envelope.shed(&mut |category| limits.contains(category), &mut |_, _| panic!("nothing is left to lose"));
        prop_assert_eq!(envelope.items().len(), again);
        prop_assert_eq!(Envelope::thaw(envelope.freeze().unwrap()).unwrap(), envelope);
    }
}
