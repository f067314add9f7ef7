//! Reports of losses: on their own at the interval, at flush and at close; never lost, never doubled, never counted.

use envoi_core::{DiscardReason, Fault, Kind, Reply};
use envoi_layers::outbox::{Capacity, MemoryStore, Overflow};
use envoi_testkit::Goods;
use envoi_testkit::mock::Outcome;
use http::StatusCode;

use crate::support::*;

fn reporting() -> (Reports, Config) {
    let reports = Reports::default();
    let config = Config::new().losses(reports.clone()).reporter(reports.clone());
    (reports, config)
}

fn lose(reports: &Reports, quantity: u64) {
    envoi_core::LossSink::lost(reports, DiscardReason::SampleRate, &"span".into(), quantity);
}

/// CR-5: pending reports leave on their own at the interval, and not while there are none.
#[tokio::test(start_paused = true)]
async fn reports_leave_at_the_interval() {
    let (reports, config) = reporting();
    let rig = Rig::new(config);
    tokio::time::sleep(40 * SECOND).await;
    lose(&reports, 3);
    tokio::time::sleep(40 * SECOND).await;
    assert_eq!((rig.ids(), rig.times()), (vec!["report".to_owned()], vec![60_000]));
    assert_eq!(reports.pending(), 0);
    rig.assert_settled();
    assert_eq!(rig.outbox.ledger().snapshot().iter().count(), 0, "a report is nobody's posting");
}

/// CR-5: while something is under way that reports can ride on, none goes alone.
#[tokio::test(start_paused = true)]
async fn no_report_goes_alone_while_a_carrier_is_under_way() {
    let (reports, config) = reporting();
    let rig = Rig::new(config.report_interval(Some(SECOND)));
    rig.mock.script([Outcome::delivered().after(2500 * MILLI)]);
    rig.post_all([error("carrier")]);
    lose(&reports, 1);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!((rig.ids(), rig.times()), (vec!["carrier".to_owned(), "report".to_owned()], vec![0, 3000]));
    rig.assert_settled();
}

/// CR-5: the interval can be switched off; a flush sends what is pending.
#[tokio::test(start_paused = true)]
async fn a_flush_sends_reports() {
    let (reports, config) = reporting();
    let rig = Rig::new(config.report_interval(None));
    lose(&reports, 2);
    tokio::time::sleep(600 * SECOND).await;
    assert!(rig.ids().is_empty());
    rig.flush().await;
    assert_eq!((rig.ids(), reports.pending()), (vec!["report".to_owned()], 0));
    rig.assert_settled();
}

/// CR-5: a close sends what is pending, and at the end what was lost while it drained.
#[tokio::test(start_paused = true)]
async fn a_close_sends_the_last_report() {
    let (reports, config) = reporting();
    let rig = Rig::new(config.concurrency(1));
    rig.mock.script([Outcome::fault(|| {
        Fault::new(Kind::Rejected).with_reply(Reply::new(StatusCode::BAD_REQUEST))
    })]);
    rig.post_all([error("refused")]);
    lose(&reports, 2);
    let closed = rig.outbox.close(SECOND).await;
    assert!(closed.is_complete);
    assert_eq!(
        (rig.ids(), reports.pending()),
        (["refused", "report", "report"].map(str::to_owned).to_vec(), 0)
    );
    rig.assert_settled();
}

/// CR-5, CR-6: a report that the server refuses does not make a close go on for ever; its counts are back.
#[tokio::test(start_paused = true)]
async fn a_close_does_not_send_reports_for_ever() {
    let (reports, config) = reporting();
    let rig = Rig::new(config);
    rig.mock.otherwise(Outcome::fault(|| {
        Fault::new(Kind::Server).with_reply(Reply::new(StatusCode::INTERNAL_SERVER_ERROR))
    }));
    lose(&reports, 2);
    assert!(rig.outbox.close(SECOND).await.is_complete);
    assert_eq!((rig.ids().len(), reports.pending()), (2, 2));
    rig.assert_settled();
}

/// RL-9, decision 11: under a limit on everything no report leaves and its counts stay pending; a category holds none.
#[tokio::test(start_paused = true)]
async fn only_a_limit_on_everything_holds_reports() {
    let (reports, config) = reporting();
    let table = Table::default();
    let rig = Rig::new(config.limits(table.clone()).report_interval(Some(SECOND)));
    table.limit(None, 10 * SECOND);
    table.limit(Some("span"), 60 * SECOND);
    lose(&reports, 2);
    assert!(rig.outbox.flush(5 * SECOND).await.is_complete(), "nothing was posted");
    assert_eq!((rig.ids().len(), reports.pending()), (0, 2));
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!((rig.times(), reports.pending()), (vec![10_000], 0));
    rig.assert_settled();
}

/// CR-6, decision 14: whatever becomes of a report, its counts are back exactly once, unless the server has read it.
#[tokio::test(start_paused = true)]
async fn counts_of_a_report_come_back_unless_it_was_read() {
    let refused = |code| {
        Outcome::fault(move || {
            Fault::new(Kind::Server).with_reply(Reply::new(StatusCode::from_u16(code).unwrap()))
        })
    };
    let cases = [
        (Outcome::delivered(), 0),
        (refused(429), 0),
        (refused(413), 5),
        (refused(500), 5),
        (Outcome::panic(), 5),
        (Outcome::failure(Kind::Io).losing_the_parcel(), 5),
        (Outcome::failure(Kind::Encode), 5),
        (Outcome::receipt(envoi_core::Fate::Spent), 5),
    ];
    for (outcome, back) in cases {
        let (reports, config) = reporting();
        let rig = Rig::new(config);
        let what = format!("{outcome:?}");
        rig.mock.script([outcome]);
        lose(&reports, 5);
        rig.flush().await;
        assert_eq!((rig.ids().len(), reports.pending()), (1, back), "{what}");
        rig.assert_settled();
    }
}

/// CR-6, decision 14: while a report waits for another attempt its counts are on board, and nowhere else.
#[tokio::test(start_paused = true)]
async fn a_report_that_waits_keeps_its_counts() {
    let (reports, config) = reporting();
    let rig = Rig::new(config.seed(1));
    rig.mock.script([Outcome::failure(Kind::Connect)]);
    lose(&reports, 5);
    assert!(!rig.outbox.flush(SECOND).await.is_complete());
    assert_eq!(reports.pending(), 0);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!((rig.ids().len(), reports.pending()), (2, 0));
    rig.assert_settled();
}

/// CR-6: the counts of a report for which there is no room, and of one that a close cuts off, are back.
#[tokio::test(start_paused = true)]
async fn a_report_without_room_or_time_is_back() {
    let (reports, config) = reporting();
    let store = MemoryStore::new().capacity(Capacity::new(1, 1000)).overflow(Overflow::DropNewest);
    let rig = Rig::with_store(store, config.concurrency(1).report_interval(None));
    rig.mock.otherwise(Outcome::never());
    rig.post_all([Goods::new("span").with_id("in flight")]);
    settle().await;
    rig.post_all([Goods::new("span").with_id("queued")]);
    lose(&reports, 5);
    assert!(!rig.outbox.flush(SECOND).await.is_complete());
    assert_eq!(reports.pending(), 5);
    rig.outbox.close(SECOND).await;
    assert_eq!(reports.pending(), 7, "and the two that were cut off");
    rig.assert_settled();
}
