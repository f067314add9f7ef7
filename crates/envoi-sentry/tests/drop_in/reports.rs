//! Client reports: the `sentry` crate has some, we have some, and each loss is in one of them.

use std::collections::BTreeMap;

use envoi::{DataCategory, DiscardReason};
use envoi_testkit::ingest::Step;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::support::{App, options, server};

/// CR-1, CR-6: what the client drops before us, what we drop, what the server refuses: the sum that the server is told of is
/// the sum of what was lost, although a report of theirs and one of ours were on the way when their carrier was refused.
#[test]
fn each_loss_is_reported_once() {
    let server = server();
    let hooked = |event: sentry::protocol::Event<'static>| {
        (event.message.as_deref() != Some("dropped")).then_some(event)
    };
    let app = App::new(options(server.server()).before_send(hooked).traces_sample_rate(1.0));
    let transaction = || {
        app.run(|| {
            let transaction = sentry::start_transaction(sentry::TransactionContext::new("job", "task"));
            transaction.start_child("db", "select").finish();
            transaction.finish();
        });
    };
    // Theirs: before_send.
    app.say("dropped");
    app.say("dropped");
    // This one carries their report, and is refused; with the answer comes a limit.
    let limit =
        (HeaderName::from_static("x-sentry-rate-limits"), HeaderValue::from_static("600:transaction:key"));
    server.server().script([Step::reply(StatusCode::INTERNAL_SERVER_ERROR).header(limit.0, limit.1)]);
    app.say("refused");
    app.flush();
    // Ours: a known limit.
    transaction();
    transaction();
    // This one carries ours, and is refused as well.
    server.server().script([Step::reply(StatusCode::BAD_REQUEST)]);
    app.say("refused too");
    app.flush();
    // Theirs again, and then everything arrives.
    app.say("dropped");
    app.say("arrives");
    app.close();

    let expected = BTreeMap::from([
        ((DiscardReason::BeforeSend, DataCategory::Error), 3),
        ((DiscardReason::SendError, DataCategory::Error), 2),
        ((DiscardReason::RatelimitBackoff, DataCategory::Transaction), 2),
        ((DiscardReason::RatelimitBackoff, DataCategory::Span), 4),
    ]);
    assert_eq!(server.server().reported_losses(), expected);
    assert_eq!(crate::support::messages(server.server()), ["arrives"]);
    // The ledger knows what reached us: their hook dropped the rest before.
    let ledger = app.transport().ledger();
    let errors = ledger.get(&DataCategory::Error).unwrap();
    assert_eq!((errors.posted, errors.delivered, errors.refused_total(), errors.lost_total()), (3, 1, 2, 0));
    assert!(ledger.is_settled());
}

/// CR-5: losses that find no carrier any more are reported at close. The `sentry` crate's own transports lose them.
#[test]
fn losses_before_the_end_are_reported() {
    let server = server();
    let app = App::new(options(server.server()));
    server.server().script([Step::reply(StatusCode::BAD_REQUEST)]);
    app.say("refused");
    app.flush();
    app.close();
    let expected = BTreeMap::from([((DiscardReason::SendError, DataCategory::Error), 1)]);
    assert_eq!(server.server().reported_losses(), expected);
}
