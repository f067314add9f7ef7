//! Rate limits: refused at the door, held in the queue, free at the exact end.

use envoi_core::{DiscardReason, Fate, Lane, Parcel};

use crate::support::*;

/// TP-3: items under a known limit are dropped before they are queued, the rest goes.
#[tokio::test(start_paused = true)]
async fn limited_items_are_dropped_at_the_door() {
    let table = Table::default();
    let rig = Rig::new(Config::new().limits(table.clone()));
    table.limit(Some("attachment"), 60 * SECOND);
    assert_eq!(rig.outbox.post(error("a").and("attachment", 7)).unwrap(), Fate::Queued);
    assert_eq!(rig.lost("attachment", DiscardReason::RatelimitBackoff), 7);
    rig.assert_books();
    table.limit(Some("critical"), 60 * SECOND);
    assert_eq!(rig.outbox.post(error("b").and("attachment", 7)).unwrap(), Fate::Spent);
    let receipt = rig.outbox.try_post(Parcel::new(error("c"))).unwrap();
    assert_eq!(receipt.fate(), Fate::Spent, "nothing is left to hand back");
    assert_eq!(rig.outbox.stats().queued(), 1);
    assert_eq!(rig.lost("critical", DiscardReason::RatelimitBackoff), 2);
    rig.assert_books();
    tokio::time::sleep(60 * SECOND).await;
    rig.flush().await;
    assert_eq!(rig.mock.seen()[0].weight.items, 1);
    rig.assert_settled();
}

/// TP-3, CR-6: under a limit on everything the whole payload is dropped at the door, and the news that it carried is put
/// back.
#[tokio::test(start_paused = true)]
async fn under_a_limit_on_everything_nothing_is_queued() {
    let (table, reports) = (Table::default(), Reports::default());
    let rig = Rig::new(Config::new().limits(table.clone()).losses(reports.clone()));
    table.limit(None, 60 * SECOND);
    let payload = error("a").carrying(DiscardReason::SampleRate, "span", 3);
    assert_eq!(rig.outbox.post(payload).unwrap(), Fate::Spent);
    let pending = reports.take();
    assert_eq!(pending[&(DiscardReason::SampleRate, "span".into())], 3);
    assert_eq!(pending[&(DiscardReason::RatelimitBackoff, "critical".into())], 1);
    rig.assert_settled();
}

/// OC-8, decisions 7 and 22: while everything is limited nothing is taken, and at the exact end it goes on.
#[tokio::test(start_paused = true)]
async fn a_limit_on_everything_holds_the_queue_until_its_end() {
    let table = Table::default();
    let rig = Rig::new(Config::new().limits(table.clone()));
    rig.post_all([error("a"), log("b")]);
    table.limit(None, 2500 * MILLI);
    settle().await;
    assert_eq!(rig.outbox.stats().limited_until, Some(now() + 2500 * MILLI));
    rig.outbox.online();
    assert!(!rig.outbox.flush(SECOND).await.is_complete());
    assert!(rig.ids().is_empty());
    rig.assert_books();
    rig.flush().await;
    assert_eq!(rig.times(), [2500, 2500]);
    rig.assert_settled();
}

/// OC-8, decisions 7 and 22: what a category limit holds stays, others pass, and at the exact end it goes.
#[tokio::test(start_paused = true)]
async fn a_category_limit_holds_its_entries_until_its_end() {
    let table = Table::default();
    let rig = Rig::new(Config::new().limits(table.clone()).concurrency(1));
    rig.post_all([log("held"), log("mixed").and("profile", 1), error("free")]);
    table.limit(Some("low"), 1500 * MILLI);
    tokio::time::sleep(SECOND).await;
    assert_eq!(rig.ids(), ["free", "mixed"]);
    assert_eq!(rig.outbox.stats().queued(), 1);
    rig.assert_books();
    rig.flush().await;
    assert_eq!(rig.ids(), ["free", "mixed", "held"]);
    assert_eq!(rig.times()[2], 1500);
    rig.assert_settled();
}

/// RL-6, OC-8: a limit that is prolonged holds until its later end; one of another category does not matter.
#[tokio::test(start_paused = true)]
async fn a_prolonged_limit_holds_longer() {
    let table = Table::default();
    let rig = Rig::new(Config::new().limits(table.clone()));
    rig.post_all([log("a")]);
    table.limit(Some("low"), SECOND);
    table.limit(Some("high"), 500 * MILLI);
    settle().await;
    tokio::time::sleep(900 * MILLI).await;
    table.limit(Some("low"), 2 * SECOND);
    rig.flush().await;
    assert_eq!(rig.times(), [2900]);
    rig.assert_settled();
}

/// OC-8, OC-4: a parcel that waits for its back-off in a lane with held ones comes up in time, and so do they.
#[tokio::test(start_paused = true)]
async fn waits_and_limits_in_one_lane_do_not_hide_each_other() {
    let table = Table::default();
    let rig = Rig::new(Config::new().limits(table.clone()).seed(7));
    rig.mock.script([envoi_testkit::mock::Outcome::failure(envoi_core::Kind::Connect)]);
    let waiting = goods(Lane::Low, "waiting").and("profile", 1);
    rig.post_all([waiting]);
    settle().await;
    rig.post_all([log("held")]);
    table.limit(Some("low"), 2 * SECOND);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(rig.ids(), ["waiting", "held", "waiting"]);
    assert_eq!(rig.times()[1], 2000);
    rig.assert_settled();
}
