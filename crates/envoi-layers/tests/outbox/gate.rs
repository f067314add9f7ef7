//! A transport that is switched off: nothing is taken on, and what is queued goes without a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use envoi_core::{DiscardReason, Kind, Payload};
use envoi_testkit::mock::Outcome;

use crate::support::*;

fn gated() -> (Arc<AtomicBool>, Config) {
    let is_open = Arc::new(AtomicBool::new(true));
    let config = Config::new().concurrency(1).gate({
        let is_open = Arc::clone(&is_open);
        move || is_open.load(Ordering::Relaxed)
    });
    (is_open, config)
}

/// BD-5: behind a shut gate a post is refused without being queued, and booked; opened again it is taken on.
#[tokio::test(start_paused = true)]
async fn a_shut_gate_refuses_at_the_door() {
    let (is_open, config) = gated();
    let rig = Rig::new(config);
    is_open.store(false, Ordering::Relaxed);
    assert_eq!(rig.outbox.post(error("a")).unwrap_err().kind(), Kind::Disabled);
    assert_eq!(rig.outbox.stats().queued(), 0);
    let failure = rig.outbox.try_post(error("b").into()).unwrap_err();
    assert_eq!(failure.fault().kind(), Kind::Disabled);
    assert_eq!(failure.into_parcel().unwrap().payload().id().unwrap(), "b", "handed back, and not booked");
    assert_eq!(rig.lost("critical", DiscardReason::SendError), 1);
    rig.assert_settled();

    is_open.store(true, Ordering::Relaxed);
    rig.post_all([error("c")]);
    rig.flush().await;
    assert_eq!(rig.ids(), ["c"]);
    rig.assert_settled();
}

/// BD-5: what is queued when the gate shuts is discarded in its turn, at once and without a request, and booked; the failure
/// that led to it stays the last one to be seen.
#[tokio::test(start_paused = true)]
async fn what_is_queued_is_discarded_without_a_request() {
    let (is_open, config) = gated();
    let rig = Rig::new(config);
    rig.mock.script([Outcome::failure(Kind::Unauthorized).after(SECOND)]);
    rig.post_all((0..500).map(|number| error(number.to_string())));
    rig.mock.until_seen(1).await;
    is_open.store(false, Ordering::Relaxed);
    rig.flush().await;
    assert_eq!(rig.elapsed(), SECOND, "no time passes over the rest");
    assert_eq!(rig.ids(), ["0"]);
    assert_eq!(rig.lost("critical", DiscardReason::SendError), 500);
    assert_eq!(rig.outbox.stats().last_failure.unwrap().kind, Kind::Unauthorized);
    rig.assert_settled();
}
