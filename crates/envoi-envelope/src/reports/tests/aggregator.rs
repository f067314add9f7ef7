use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use envoi_core::{Clock, DiscardReason, LossSink, SystemClock};
use http::StatusCode;
use proptest::prelude::*;

use crate::DataCategory;
use crate::reports::{ClientReport, ClientReports, MAX_REPORT_BYTES, ReportTime};

/// A wall clock that stands still.
#[derive(Debug)]
struct Stopped(Duration);

impl Clock for Stopped {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0
    }
}

type Sums = BTreeMap<(String, String), u64>;

fn sum(reports: &[ClientReport]) -> Sums {
    let mut sums = Sums::new();
    for row in reports.iter().flat_map(|report| &report.discarded_events) {
        *sums.entry((row.reason.to_string(), row.category.to_string())).or_default() += row.quantity;
    }
    sums
}

fn pair(reason: &str, category: &str) -> (String, String) {
    (reason.to_owned(), category.to_owned())
}

/// CR-1: reason, category and quantity; taken and reset.
#[test]
fn losses_add_up_until_they_are_taken() {
    let reports = ClientReports::with_clock(Arc::new(Stopped(Duration::from_millis(1_795_320_770_969))));
    assert!(!reports.has_pending() && reports.take().is_empty());
    reports.lost(DiscardReason::QueueOverflow, &DataCategory::Error, 2);
    reports.clone().lost(DiscardReason::QueueOverflow, &DataCategory::Error, 1);
    reports.lost(DiscardReason::NetworkError, &DataCategory::LogByte, 4000);
    reports.lost(DiscardReason::NetworkError, &DataCategory::LogItem, 0);
    assert!(reports.has_pending());
    let taken = reports.take();
    let json: Vec<_> = taken.iter().map(ClientReport::to_json).collect();
    assert_eq!(
        json,
        [concat!(
            r#"{"timestamp":1795320770.969,"discarded_events":["#,
            r#"{"reason":"queue_overflow","category":"error","quantity":3},"#,
            r#"{"reason":"network_error","category":"log_byte","quantity":4000}]}"#
        )]
    );
    assert!(!reports.has_pending() && reports.take().is_empty());
}

/// CR-2: every reason of the protocol, and those of users, under its own name.
#[test]
fn all_reasons_are_reported_by_name() {
    let reports = ClientReports::new();
    let named = DiscardReason::KNOWN.into_iter().chain(["solar_flare".into()]);
    let names: Vec<_> = named.clone().map(|reason| pair(reason.as_str(), "error")).collect();
    for reason in named {
        reports.lost(reason, &DataCategory::Error, 1);
    }
    let taken = sum(&reports.take());
    assert_eq!(taken.len(), 15);
    assert!(names.iter().all(|name| taken.get(name) == Some(&1)), "{taken:?}");
}

/// CR-3: 4xx and 5xx give `send_error`, 413 too; a 429 gives nothing, because the server counts it itself.
#[test]
fn refusals_are_send_errors_but_for_429() {
    for status in [400, 401, 403, 404, 413, 500, 502, 503] {
        let reports = ClientReports::new();
        reports.refused(StatusCode::from_u16(status).unwrap(), &DataCategory::Error, 2);
        assert_eq!(sum(&reports.take()), Sums::from([(pair("send_error", "error"), 2)]), "{status}");
    }
    let reports = ClientReports::new();
    reports.refused(StatusCode::TOO_MANY_REQUESTS, &DataCategory::Error, 2);
    assert!(!reports.has_pending());
}

/// CR-6: a report is never itself reported.
#[test]
fn internal_items_are_not_counted() {
    let reports = ClientReports::new();
    reports.lost(DiscardReason::NetworkError, &DataCategory::Internal, 1);
    reports.lost(DiscardReason::NetworkError, &DataCategory::Other("internal".into()), 1);
    assert!(!reports.has_pending());
}

/// CR-6: what is put back is pending again, once.
#[test]
fn reports_that_did_not_arrive_are_put_back() {
    let reports = ClientReports::new();
    reports.lost(DiscardReason::BeforeSend, &DataCategory::Transaction, 1);
    reports.lost("mine".into(), &"teapot".into(), 7);
    let taken = reports.take();
    let before = sum(&taken);
    reports.lost(DiscardReason::BeforeSend, &DataCategory::Transaction, 10);
    taken.iter().for_each(|report| reports.put_back(report));
    let mut expected = before;
    *expected.get_mut(&pair("before_send", "transaction")).unwrap() += 10;
    assert_eq!(sum(&reports.take()), expected);
}

/// CR-7: a handle that is off keeps nothing.
#[test]
fn a_disabled_aggregator_does_nothing() {
    let reports = ClientReports::disabled();
    reports.lost(DiscardReason::BeforeSend, &DataCategory::Error, 1);
    reports.restore(DiscardReason::BeforeSend, &DataCategory::Error, 1);
    assert!(!reports.is_enabled() && !reports.has_pending() && reports.take().is_empty());
    assert!(std::mem::size_of::<ClientReports>() == std::mem::size_of::<usize>());
}

/// CR-8: reports are at most 4 KiB each, and together say everything.
#[test]
fn long_reports_are_split() {
    let reports = ClientReports::new();
    let mut expected = Sums::new();
    for reason in DiscardReason::KNOWN {
        for category in DataCategory::KNOWN.into_iter().filter(|category| *category != DataCategory::Internal)
        {
            reports.lost(reason.clone(), &category, 3);
            expected.insert(pair(reason.as_str(), category.as_str()), 3);
        }
    }
    let taken = reports.take();
    assert!(taken.len() > 5, "{}", taken.len());
    for report in &taken {
        let json = report.to_json();
        assert!(json.len() <= MAX_REPORT_BYTES, "{}", json.len());
        assert_eq!(&ClientReport::parse(json.as_bytes()).unwrap().discarded_events, &report.discarded_events);
    }
    let fill = taken.iter().map(|report| report.to_json().len()).sum::<usize>() / taken.len();
    assert!(fill > MAX_REPORT_BYTES / 2, "reports are filled before the next is begun: {fill}");
    assert_eq!(sum(&taken), expected);
}

/// CR-8: servers read 32 bits. What is above stays for the next report instead of spoiling this one.
#[test]
fn quantities_beyond_32_bits_are_spread_over_reports() {
    let most = u64::from(u32::MAX);
    let reports = ClientReports::new();
    reports.lost(DiscardReason::NetworkError, &DataCategory::Attachment, 2 * most + 5);
    reports.lost("mine".into(), &DataCategory::Attachment, most + 1);
    let mut total = Sums::new();
    let mut rounds = 0;
    while reports.has_pending() {
        rounds += 1;
        for (pair, quantity) in sum(&reports.take()) {
            assert!(quantity <= most);
            *total.entry(pair).or_default() += quantity;
        }
    }
    assert_eq!(rounds, 3);
    assert_eq!(total[&pair("network_error", "attachment")], 2 * most + 5);
    assert_eq!(total[&pair("mine", "attachment")], most + 1);
}

/// CR-1: counts stop at the top instead of wrapping to nearly nothing.
#[test]
fn counts_saturate() {
    let reports = ClientReports::new();
    for (reason, category) in [("network_error", "error"), ("mine", "error")] {
        for _ in 0..2 {
            reports.lost(reason.into(), &category.into(), u64::MAX);
        }
    }
    assert!(sum(&reports.take()).values().all(|quantity| *quantity == u64::from(u32::MAX)));
    assert!(reports.has_pending());
}

/// CR-1, CR-2: unknown names are bounded in number and length; the sum stays true.
#[test]
fn a_flood_of_unknown_names_is_merged() {
    let reports = ClientReports::new();
    for number in 0..1000 {
        reports.lost(format!("reason-{number}").as_str().into(), &DataCategory::Error, 1);
    }
    let long = "x".repeat(5000);
    reports.lost(long.as_str().into(), &long.as_str().into(), 20);
    reports.lost(DiscardReason::BeforeSend, &long.as_str().into(), 300);
    let taken = reports.take();
    assert!(taken.iter().all(|report| report.to_json().len() <= MAX_REPORT_BYTES));
    let sums = sum(&taken);
    assert_eq!(sums[&pair("reason-255", "error")], 1);
    assert_eq!(sums[&pair("other", "error")], 1000 - 256, "the known half of the pair is kept");
    assert_eq!(sums[&pair("other", "other")], 20);
    assert_eq!(sums[&pair("before_send", "other")], 300);
    assert_eq!(sums.values().sum::<u64>(), 1320);
    // What was put back under the merged name is merged again, and the map has room for new names.
    taken.iter().for_each(|report| reports.put_back(report));
    assert_eq!(sum(&reports.take()), sums);
}

/// CR-8: names that need the longest escapes still fit.
#[test]
fn the_longest_names_fit_in_a_report() {
    let reports = ClientReports::new();
    let name = "\u{1}".repeat(128);
    reports.lost(name.as_str().into(), &name.as_str().into(), u64::MAX);
    let taken = reports.take();
    assert!(taken[0].to_json().len() <= MAX_REPORT_BYTES);
    assert_eq!(taken[0].discarded_events[0].reason.as_str(), name);
}

/// CR-1: known names that hide in `Other` count as what they are.
#[test]
fn hidden_names_are_found() {
    let reports = ClientReports::new();
    reports.lost(
        DiscardReason::Other("before_send".into()),
        &DataCategory::Other("user_report_v2".into()),
        1,
    );
    reports.lost(DiscardReason::BeforeSend, &DataCategory::Feedback, 1);
    assert_eq!(sum(&reports.take()), Sums::from([(pair("before_send", "feedback"), 2)]));
}

/// CR-1: threads that lose, take and put back at once: nothing is lost and nothing doubled.
#[test]
fn concurrent_losses_are_taken_exactly_once() {
    const EACH: u64 = 2_000;
    let reports = ClientReports::new();
    let mut total = std::thread::scope(|scope| {
        for thread in 0..3 {
            let reports = &reports;
            scope.spawn(move || {
                for step in 0..EACH {
                    let reason = if step % 8 == 0 { "mine".into() } else { DiscardReason::NetworkError };
                    let category = if thread == 0 { DataCategory::Span } else { DataCategory::Error };
                    reports.lost(reason, &category, 1);
                }
            });
        }
        let taker = scope.spawn(|| {
            let mut total = Sums::new();
            for round in 0..200 {
                let taken = reports.take();
                if round % 3 == 0 {
                    taken.iter().for_each(|report| reports.put_back(report));
                } else {
                    sum(&taken)
                        .into_iter()
                        .for_each(|(pair, count)| *total.entry(pair).or_default() += count);
                }
                std::thread::yield_now();
            }
            total
        });
        taker.join().unwrap()
    });
    sum(&reports.take()).into_iter().for_each(|(pair, count)| *total.entry(pair).or_default() += count);
    assert!(!reports.has_pending());
    let eighth = EACH / 8;
    assert_eq!(
        total,
        Sums::from([
            (pair("mine", "error"), 2 * eighth),
            (pair("mine", "span"), eighth),
            (pair("network_error", "error"), 2 * (EACH - eighth)),
            (pair("network_error", "span"), EACH - eighth),
        ])
    );
}

/// CR-1: reports are stamped by the clock, and one from before 1970 does no harm.
#[test]
fn reports_are_stamped_by_the_clock() {
    let stopped = Stopped(Duration::from_micros(1_500_400));
    let reports = ClientReports::with_clock(Arc::new(stopped));
    reports.lost(DiscardReason::Invalid, &DataCategory::Error, 1);
    let report = reports.take().remove(0);
    assert!(report.to_json().starts_with(r#"{"timestamp":1.500,"#), "{}", report.to_json());
    let mut early = report;
    early.timestamp = Some(ReportTime::At(SystemTime::UNIX_EPOCH - Duration::from_secs(1)));
    assert!(early.to_json().starts_with(r#"{"timestamp":0.000,"#));
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(vec!["before_send", "queue_overflow", "error", "log_byte", "other", "internal"])
            .prop_map(str::to_owned),
        1 => "[a-c\"\\\\]{0,2}",
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Lose(String, String, u64),
    Take,
    PutBack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (name(), name(), 0_u64..10).prop_map(|(reason, category, quantity)| Step::Lose(reason, category, quantity)),
        1 => Just(Step::Take),
        1 => Just(Step::PutBack),
    ]
}

proptest! {
    /// CR-1, CR-6, CR-8: the aggregator behaves like a plain map from pair to sum, also over the wire.
    #[test]
    fn the_aggregator_agrees_with_a_map(steps in proptest::collection::vec(step(), 0..80)) {
        let reports = ClientReports::new();
        let mut model = Sums::new();
        let mut last = (Vec::new(), Sums::new());
        for step in steps {
            match step {
                Step::Lose(reason, category, quantity) => {
                    reports.lost(reason.as_str().into(), &category.as_str().into(), quantity);
                    if quantity > 0 && category != "internal" {
                        *model.entry((reason, category)).or_default() += quantity;
                    }
                }
                Step::Take => {
                    let taken: Vec<_> = reports.take().iter()
                        .map(|report| ClientReport::parse(report.to_json().as_bytes()).unwrap()).collect();
                    prop_assert_eq!(sum(&taken), model.clone());
                    last = (taken, std::mem::take(&mut model));
                }
                Step::PutBack => {
                    let (taken, sums) = std::mem::take(&mut last);
                    taken.iter().for_each(|report| reports.put_back(report));
                    sums.into_iter().for_each(|(pair, count)| *model.entry(pair).or_default() += count);
                }
            }
            prop_assert_eq!(reports.has_pending(), !model.is_empty());
        }
        prop_assert_eq!(sum(&reports.take()), model);
    }
}
