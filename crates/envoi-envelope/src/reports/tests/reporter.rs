use envoi_core::{DiscardReason, Durable, Itemized, LossSink, Reporter};

use crate::reports::{ClientReport, ClientReports, MAX_REPORT_BYTES};
use crate::{DataCategory, Envelope, Item, ItemType, MAX_ITEMS};

const WIRE: &str = "{}\n{\"type\":\"event\"}\n{}";

fn envelope() -> Envelope {
    Envelope::parse(WIRE).unwrap()
}

fn losing(count: u64) -> ClientReports {
    let reports = ClientReports::new();
    reports.lost(DiscardReason::BeforeSend, &DataCategory::Error, count);
    reports
}

fn pending(reports: &ClientReports) -> u64 {
    reports.take().iter().flat_map(|report| &report.discarded_events).map(|row| row.quantity).sum()
}

fn carried(envelope: &Envelope) -> u64 {
    let mut sum = 0;
    envelope.carried_losses(&mut |_, _, quantity| sum += quantity);
    sum
}

/// CR-6: a report that comes back is restored exactly once, and the carrier is as it was.
#[test]
fn a_report_that_comes_back_is_restored_once() {
    let (reports, mut carrier) = (losing(4), envelope());
    assert!(reports.is_pending() && reports.attach(&mut carrier) && !reports.is_pending());
    assert_eq!((carrier.items().len(), carried(&carrier)), (2, 4));
    for _ in 0..2 {
        reports.detach(&mut carrier, true);
        assert_eq!(carrier.to_bytes(), WIRE);
        assert_eq!(carried(&carrier), 0);
    }
    assert_eq!(pending(&reports), 4);
}

/// Decision 14: a report that was read is taken off and not restored.
#[test]
fn a_report_that_was_read_is_only_taken_off() {
    let (reports, mut carrier) = (losing(4), envelope());
    assert!(reports.attach(&mut carrier));
    reports.detach(&mut carrier, false);
    assert_eq!((carrier.to_bytes().as_ref(), pending(&reports)), (WIRE.as_bytes(), 0));
}

/// CR-6: attaching twice never doubles; what was lost in between is added.
#[test]
fn attaching_twice_never_doubles() {
    let (reports, mut carrier) = (losing(4), envelope());
    assert!(reports.attach(&mut carrier));
    assert!(!reports.attach(&mut carrier));
    reports.lost(DiscardReason::BeforeSend, &DataCategory::Error, 10);
    assert!(reports.attach(&mut carrier));
    assert_eq!(carried(&carrier), 14);
    reports.detach(&mut carrier, true);
    assert_eq!((carrier.items().len(), pending(&reports)), (1, 14));
}

/// CR-8: a report that was in the envelope before is forwarded and left alone, relay-only fields and all.
#[test]
fn foreign_reports_are_left_alone() {
    let json =
        r#"{"filtered_events":[{"reason":"x","category":"error","quantity":9}],"discarded_events":[]}"#;
    let mut carrier = envelope().with_item(Item::client_report(json)).unwrap();
    let before = carrier.to_bytes();
    let reports = losing(4);
    assert!(reports.attach(&mut carrier));
    assert_eq!(carrier.items().len(), 3);
    assert!(carrier.items()[2].is_rider(), "ours is the last");
    reports.detach(&mut carrier, true);
    assert_eq!((carrier.to_bytes(), pending(&reports)), (before, 4));
}

/// Decision 14: a report is never persisted with the envelope that carries it.
#[test]
fn reports_that_ride_along_are_not_stored() {
    let (reports, mut carrier) = (losing(4), envelope());
    assert!(reports.attach(&mut carrier));
    assert_eq!(carrier.freeze().unwrap(), WIRE);
}

/// EN-6, decision 11: an envelope that is not worth a request carries nothing; counts stay pending.
#[test]
fn a_spent_envelope_carries_no_report() {
    let (reports, mut empty) = (losing(4), Envelope::new());
    assert!(!reports.attach(&mut empty));
    assert!(empty.is_empty());
    let foreign = Item::client_report(r#"{"discarded_events":[]}"#);
    let mut stripped = envelope().with_item(foreign).unwrap();
    stripped.shed(&mut |category| *category == DataCategory::Error, &mut |_, _| {});
    assert!(!reports.attach(&mut stripped) && stripped.is_spent());
    assert_eq!(pending(&reports), 4);
}

/// CR-5, CR-6: reports that go alone are goods like any other; whoever destroys them puts them back.
#[test]
fn reports_can_go_alone() {
    let reports = losing(4);
    let mut alone = reports.standalone().unwrap();
    assert!(reports.standalone().is_none() && !reports.is_pending());
    assert!(alone.is_only_client_reports() && !alone.is_spent());
    reports.detach(&mut alone, true); // nothing was attached
    assert_eq!(carried(&alone), 4);
    let mut counted = 0;
    alone.tally(&mut |_, quantity| counted += quantity);
    assert_eq!(counted, 0, "CR-6: a report is never itself reported as dropped");
    alone.carried_losses(&mut |reason, category, quantity| reports.restore(reason, category, quantity));
    assert_eq!(pending(&reports), 4);
}

/// CR-8: many counts travel as several items of at most 4 KiB.
#[test]
fn many_counts_are_several_items() {
    let reports = ClientReports::new();
    for reason in DiscardReason::KNOWN {
        for category in DataCategory::KNOWN {
            reports.lost(reason.clone(), &category, 1);
        }
    }
    let mut carrier = envelope();
    assert!(reports.attach(&mut carrier));
    let items = &carrier.items()[1..];
    assert!(items.len() > 5);
    for item in items {
        assert_eq!(*item.item_type(), ItemType::ClientReport);
        assert!(item.payload().len() <= MAX_REPORT_BYTES);
        assert!(ClientReport::parse(item.payload()).is_ok());
    }
    let all = 14 * (DataCategory::KNOWN.len() as u64 - 1);
    assert_eq!(carried(&carrier), all);
    reports.detach(&mut carrier, true);
    assert_eq!((carrier.items().len(), pending(&reports)), (1, all));
}

/// CR-6: counts for which an envelope has no room stay pending.
#[test]
fn a_full_envelope_takes_no_report() {
    let mut full = Envelope::new();
    for _ in 0..MAX_ITEMS {
        full.push(Item::new("attachment", "")).unwrap();
    }
    let reports = losing(4);
    assert!(!reports.attach(&mut full));
    assert_eq!((full.items().len(), pending(&reports)), (MAX_ITEMS, 4));
}

/// CR-7: what is switched off attaches nothing and sends nothing.
#[test]
fn a_disabled_reporter_is_a_no_op() {
    let (reports, mut carrier) = (ClientReports::disabled(), envelope());
    reports.lost(DiscardReason::BeforeSend, &DataCategory::Error, 1);
    assert!(!reports.is_pending() && !reports.attach(&mut carrier) && reports.standalone().is_none());
    assert_eq!(carrier.to_bytes(), WIRE);
}
