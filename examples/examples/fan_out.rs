//! Fan-out to two DSNs: the team's project, and an archive of one's own.
//!
//! `FanOutLayer` posts a copy of every envelope to further sinks and sends the envelope itself on. Each sink stands behind
//! a queue of its own, so none of them can hold up, fail or slow down another: here the archive is down the whole time that
//! the first project is served, and gets everything later. A copy of an envelope shares its bytes.
//!
//! Take away: two destinations are two queues, two tables of limits and two books. There is no "delivered to both" that one
//! could wait for, so each is flushed and closed on its own.
//!
//! ```console
//! $ cargo run -p envoi-examples --example fan_out
//! ```

use std::time::Duration;

use envoi::core::Ledger;
use envoi::envelope::{EnvelopeCodec, LimitOptions, RateLimits};
use envoi::http::{AuthLayer, CompressLayer, EncodeLayer, HeaderAuth, HttpClient};
use envoi::layers::fan_out::FanOutLayer;
use envoi::layers::filter::FilterLayer;
use envoi::layers::outbox::{Outbox, OutboxConfig, OutboxLayer};
use envoi::{DataCategory, Dsn, Envelope, Item};
use envoi_testkit::ingest::{IngestServer, Step};
use http::{HeaderName, StatusCode};
use tower::ServiceBuilder;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A second project as a sink: a queue, limits and credentials of its own.
fn archive(dsn: &Dsn) -> Outbox<Envelope> {
    let (ledger, limits) = (Ledger::new(), RateLimits::new(LimitOptions::new()));
    let credentials =
        HeaderAuth::new(HeaderName::from_static("x-sentry-auth"), dsn.auth_header("archive/1.0"));
    ServiceBuilder::new()
        .layer(
            OutboxLayer::new(OutboxConfig::new().ledger(ledger.clone()).limits(limits.clone()))
                .on_own_thread(),
        )
        .layer(FilterLayer::new(limits).report_to(ledger))
        .layer(EncodeLayer::new(EnvelopeCodec::new(dsn)))
        .timeout(Duration::from_secs(30))
        .layer(AuthLayer::new(credentials))
        .layer(CompressLayer::gzip())
        .service(HttpClient::new_http())
}

fn main() -> Result<(), Error> {
    let (team, second) = (IngestServer::spawn_thread()?, IngestServer::spawn_thread()?);
    let archive = archive(&Dsn::parse(&second.server().dsn())?);
    let transport =
        envoi::sentry(&team.server().dsn())?.delivery_layer(FanOutLayer::new([archive.clone()])).build()?;

    // The archive is down. The project refuses one event, which is no business of the archive's.
    second.block_on(second.server().go_down());
    team.server().script([Step::reply(StatusCode::BAD_REQUEST)]);
    for number in 1..=3 {
        let event = Item::event(format!(r#"{{"message":"number {number}"}}"#));
        transport.send(Envelope::new().with_item(event)?)?;
        assert!(
            transport.flush_blocking(Duration::from_secs(5)).is_complete(),
            "nobody waits for the archive"
        );
    }
    println!("team: {:?}, archive: {} wait", team.server().received_tally(), archive.stats().queued());
    assert_eq!(team.server().received_tally()[&DataCategory::Error], 2);

    // It comes back. What waited is tried at once, and nothing is missing.
    second.block_on(second.server().come_up())?;
    archive.online();
    assert!(transport.close_blocking(Duration::from_secs(5)).is_complete);
    assert!(archive.close_blocking(Duration::from_secs(5)).is_complete);
    println!("archive: {}", second.server().envelopes().len());
    assert_eq!(second.server().received_tally()[&DataCategory::Error], 3);

    let (books, copies) = (transport.ledger(), archive.ledger().snapshot());
    assert!(books.is_settled() && copies.is_settled());
    assert_eq!(books.get(&DataCategory::Error).map(|errors| (errors.posted, errors.delivered)), Some((3, 2)));
    assert_eq!(
        copies.get(&DataCategory::Error).map(|errors| (errors.posted, errors.delivered)),
        Some((3, 3))
    );
    Ok(())
}
