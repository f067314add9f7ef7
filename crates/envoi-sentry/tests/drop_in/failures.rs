//! Where the transports of the `sentry` crate lose events or hang, each with ours.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use envoi::core::Parcel;
use envoi::layers::outbox::Backoff;
use envoi::{DataCategory, Envelope, SentryBuilder};
use envoi_sentry::EnvoiTransportFactory;
use envoi_testkit::ingest::Step;
use http::{HeaderName, HeaderValue};
use sentry::Client;
use sentry::protocol::Event;
use tower::util::MapRequestLayer;

use crate::support::{App, PATIENCE, messages, must_end, options, server, wait_until};

/// The usual back-off is for outages that last; a test has no time.
fn impatient(builder: SentryBuilder) -> SentryBuilder {
    builder.backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(50)))
}

/// OC-4, TR-2: an outage. Theirs lose every envelope of it; ours wait, and a flush tries them at once.
#[test]
fn an_outage_costs_nothing() {
    let thread = server();
    let server = thread.server();
    let app = App::with(options(server), impatient);
    app.say("before");
    app.flush();
    thread.block_on(server.go_down());
    for number in 10..50 {
        app.say(&format!("during {number}"));
    }
    let transport = app.transport().clone();
    wait_until("the first failure", move || transport.stats().unwrap().outbox.last_failure.is_some());
    assert!(!app.client.flush(Some(Duration::ZERO)), "nothing can have arrived");
    thread.block_on(server.come_up()).unwrap();
    app.flush();
    assert_eq!(messages(server).len(), 41);
    let errors = app.transport().ledger().get(&DataCategory::Error).cloned().unwrap();
    assert_eq!((errors.delivered, errors.lost_total()), (41, 0));
    app.close();
}

/// TR-9: a server that closes idle connections. The default transport of theirs loses the event after each close.
#[test]
fn a_closed_idle_connection_costs_nothing() {
    let thread = server();
    let server = thread.server();
    let app = App::with(options(server), impatient);
    for number in 0..6 {
        app.say(&format!("number {number}"));
        app.flush();
        // Closes every connection, and listens again at once.
        thread.block_on(server.go_down());
        thread.block_on(server.come_up()).unwrap();
    }
    app.close();
    let expected: Vec<_> = (0..6).map(|number| format!("number {number}")).collect();
    assert_eq!(messages(server), expected);
}

/// TR-2, decision 16: a server that takes requests and never answers. Their close had not returned after 20 s; ours takes
/// its time and no more, and says what it cost.
#[test]
fn a_hung_server_does_not_hang_the_exit() {
    let thread = server();
    thread.server().otherwise(Step::stall());
    let app = Arc::new(App::new(options(thread.server())));
    for _ in 0..3 {
        app.say("stuck");
    }
    let (flushing, closing) = (Arc::clone(&app), Arc::clone(&app));
    let within = Duration::from_millis(100);
    assert!(!must_end("flush", move || flushing.client.flush(Some(within))));
    assert!(!must_end("close", move || closing.client.close(Some(within))));
    let errors = app.transport().ledger().get(&DataCategory::Error).cloned().unwrap();
    assert_eq!((errors.posted, errors.lost_total(), errors.held()), (3, 3, Some(0)), "{errors:?}");
    // The guard of an application closes when it is dropped: a second time, and at once.
    assert!(must_end("a second close", move || app.client.close(Some(PATIENCE))));
}

/// TR-1: no capture waits while the queue is full and the server hangs. Theirs block in `flush` then, whatever its time.
#[test]
fn a_full_queue_does_not_hang_the_flush() {
    let thread = server();
    thread.server().otherwise(Step::stall());
    let app = Arc::new(App::new(options(thread.server()).transport_channel_capacity(5)));
    for _ in 0..50 {
        app.say("stuck");
    }
    let errors = app.transport().ledger().get(&DataCategory::Error).cloned().unwrap();
    assert!(errors.lost_total() > 30, "the capacity is that of the options: {errors:?}");
    let flushing = Arc::clone(&app);
    assert!(!must_end("flush", move || flushing.client.flush(Some(Duration::from_millis(100)))));
    assert!(!must_end("close", move || app.client.close(Some(Duration::from_millis(100)))));
}

/// RL-3: white space in the header of the limits. Theirs ignore the limit and go on sending.
#[test]
fn limits_with_spaces_are_limits() {
    let thread = server();
    let server = thread.server();
    let limits = HeaderValue::from_static(" 600 : error ; monitor : key , 600 : session : organization ");
    let header = HeaderName::from_static("x-sentry-rate-limits");
    server.script([Step::judge().header(header, limits)]);
    let app = App::new(options(server).traces_sample_rate(1.0));
    app.say("the first");
    app.flush();
    for _ in 0..20 {
        app.say("limited");
    }
    app.run(|| sentry::start_transaction(sentry::TransactionContext::new("job", "task")).finish());
    app.close();
    assert_eq!(messages(server), ["the first"]);
    let received = server.received_tally();
    assert_eq!((received[&DataCategory::Error], received[&DataCategory::Transaction]), (1, 1));
}

/// TR-1, TR-2: inside a runtime, of either kind, a flush and a close block their thread and nothing else.
#[test]
fn works_inside_of_a_runtime() {
    let thread = server();
    let runtimes =
        [tokio::runtime::Builder::new_current_thread().enable_all().build(), tokio::runtime::Runtime::new()];
    for (number, runtime) in runtimes.into_iter().enumerate() {
        let app = App::new(options(thread.server()));
        runtime.unwrap().block_on(async {
            app.say(&format!("message {number}"));
            app.flush();
            app.close();
        });
    }
    assert_eq!(messages(thread.server()), ["message 0", "message 1"]);
}

/// TR-2: a panic hook flushes. If it was a layer of the transport that panicked, the flush is on the transport's own
/// thread; it does not wait for itself there.
#[test]
fn a_flush_from_inside_does_not_wait_for_itself() {
    let thread = server();
    let slot = Arc::new(OnceLock::new());
    let inside = Arc::clone(&slot);
    let factory = EnvoiTransportFactory::build_with(move |builder| {
        let inside: Arc<OnceLock<Arc<Client>>> = Arc::clone(&inside);
        let flush = move |parcel: Parcel<Envelope>| {
            let client = inside.wait();
            client.capture_event(Event::new(), None);
            assert!(!client.flush(Some(Duration::from_secs(3600))), "this one is not through");
            parcel
        };
        builder.delivery_layer(MapRequestLayer::new(flush)).build()
    });
    let client = Arc::new(Client::from(options(thread.server()).transport(factory)));
    slot.set(Arc::clone(&client)).unwrap();
    client.capture_event(Event { message: Some("hello".to_owned()), ..Event::default() }, None);
    // A close would take the transport out of the client's hands at once.
    assert!(must_end("flush", move || client.flush(Some(PATIENCE)) && client.close(Some(PATIENCE))));
    assert_eq!(messages(thread.server()), ["hello"]);
}

/// TR-2: what is captured after the close is counted, and disturbs nobody.
#[test]
fn a_closed_client_is_harmless() {
    let thread = server();
    let app = App::new(options(thread.server()));
    app.close();
    app.say("too late");
    assert!(!app.client.is_enabled());
    assert!(app.client.flush(Some(PATIENCE)));
    assert!(messages(thread.server()).is_empty());
}
