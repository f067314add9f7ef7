//! What the server has and what it was told of is what was posted: the whole stack, over real connections, through a
//! storm.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use envoi::core::Itemized;
use envoi::layers::outbox::Backoff;
use envoi::{Capacity, DataCategory, Envelope, Fate, Item, Transport};
use envoi_testkit::corpus;
use envoi_testkit::ingest::{IngestServer, Step};
use fastrand::Rng;
use http::{HeaderName, HeaderValue, StatusCode};

type Counts = BTreeMap<DataCategory, u64>;

/// Generous: it only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn add(counts: &mut Counts, category: &DataCategory, quantity: u64) {
    if quantity > 0 {
        *counts.entry(category.clone()).or_default() += quantity;
    }
}

fn envelopes() -> impl Iterator<Item = Envelope> {
    corpus::all().iter().map(|sample| Envelope::parse(Bytes::from_static(sample.bytes)).unwrap())
}

/// What an envelope stands for: its items, and what reports of its own tell of.
fn count(envelope: &Envelope, into: &mut Counts) {
    envelope.tally(&mut |category, quantity| add(into, category, quantity));
    envelope.carried_losses(&mut |_, category, quantity| add(into, category, quantity));
}

/// One request in the storm: every fault but those after which client and server cannot know the same.
fn gust(rng: &mut Rng) -> Step {
    let limits = HeaderName::from_static("x-sentry-rate-limits");
    let limited = |step: Step, value| step.header(limits.clone(), HeaderValue::from_static(value));
    match rng.u8(..24) {
        0 => Step::reset(),
        1 => Step::reset().before_body(),
        2 => Step::close(),
        3 => Step::reply(StatusCode::OK).cut_in_head(),
        4 => Step::reply(StatusCode::OK).body("{\"id\":\"a reply that breaks off\"}").cut_in_body(),
        5 => Step::garbage("SSH-2.0-OpenSSH_9.6\r\n"),
        6 => StatusCode::INTERNAL_SERVER_ERROR.into(),
        7 => StatusCode::BAD_REQUEST.into(),
        8 => Step::reply(StatusCode::PAYLOAD_TOO_LARGE).before_body(),
        9 => StatusCode::FORBIDDEN.into(),
        10 => limited(StatusCode::TOO_MANY_REQUESTS.into(), "0.02:error;transaction:organization"),
        11 => limited(StatusCode::TOO_MANY_REQUESTS.into(), "0.01::organization"),
        12 => limited(Step::judge(), "0.05:log_item;attachment:key:quota, 0.02:session:key"),
        13 => Step::judge().after(Duration::from_millis(5)),
        _ => Step::judge(),
    }
}

/// Posts the corpus over and over, until the server has seen enough, and says what it was.
fn post(transport: &Transport, server: &IngestServer) -> Counts {
    let mut posted = Counts::new();
    while server.summary().requests < 150 {
        for envelope in envelopes() {
            count(&envelope, &mut posted);
            // What is refused at the door is a loss like any other.
            let _ = transport.send(envelope);
        }
        assert!(transport.flush_blocking(PATIENCE).is_complete());
    }
    posted
}

/// Lets the last limit end, and the last reports arrive.
async fn calm_down(transport: &Transport, server: &IngestServer, posted: &mut Counts) {
    server.on_request(|_, _| None);
    loop {
        let accepted = server.summary().accepted;
        let envelope = Envelope::new().with_item(Item::check_in("{}")).unwrap();
        count(&envelope, posted);
        let queued = transport.send(envelope).unwrap() == Fate::Queued;
        assert!(transport.flush(PATIENCE).await.is_complete());
        if queued && server.summary().accepted > accepted {
            break;
        }
    }
    assert!(transport.close(PATIENCE).await.is_complete);
}

/// CR-1, CR-3, CR-5, CR-6, RL-8, decision 14: per category, what was posted is what the server received, what it refused
/// with 429, and what it was told was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_posted_was_received_refused_or_reported() {
    for seed in 0..4 {
        let server = IngestServer::start().await.unwrap();
        let mut rng = Rng::with_seed(seed);
        server.on_request(move |_, _| Some(gust(&mut rng)));
        let transport = envoi::sentry(&server.dsn())
            .unwrap()
            .capacity(Capacity::new(if seed < 2 { 30 } else { 10_000 }, 64 << 20))
            .concurrency(4)
            .backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(8)))
            .max_attempts(3)
            .report_interval(Some(Duration::from_millis(10)))
            .hold_limited(seed % 2 == 0)
            .build()
            .unwrap();

        let mut posted = Counts::new();
        std::thread::scope(|scope| {
            let threads = [(); 3].map(|()| scope.spawn(|| post(&transport, &server)));
            for (category, quantity) in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
                add(&mut posted, &category, quantity);
            }
        });
        assert!(transport.flush(PATIENCE).await.is_complete());
        calm_down(&transport, &server, &mut posted).await;

        let mut accounted = server.received_tally();
        let refused = server.refused_tally().remove(&StatusCode::TOO_MANY_REQUESTS).unwrap_or_default();
        for (category, quantity) in refused {
            add(&mut accounted, &category, quantity);
        }
        for ((_, category), quantity) in server.reported_losses() {
            add(&mut accounted, &category, quantity);
        }
        assert_eq!(accounted, posted, "seed {seed}");
        assert!(transport.ledger().is_settled());
        let statuses = server.summary().statuses;
        assert!(statuses.len() >= 6, "the storm was none: {statuses:?}");
        assert!(server.reported_losses().len() >= 5);
    }
}
