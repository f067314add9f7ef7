//! A stack without the preset: the parts that one wants, in the order that one wants.
//!
//! No queue, no reports: a command line tool that waits for the answer to each envelope and shows what the server said.
//! tower-http's layers stand between ours.
//!
//! ```console
//! $ cargo run -p envoi-examples --example custom_stack
//! ```

use std::time::Duration;

use envoi::core::{Fate, Parcel};
use envoi::envelope::{EnvelopeCodec, LimitOptions, RateLimits};
use envoi::http::{AuthLayer, CompressLayer, EncodeLayer, HeaderAuth, HttpClient, accepted_id};
use envoi::layers::filter::FilterLayer;
use envoi::{Dsn, Envelope, Item, Kind, Policy};
use envoi_testkit::ingest::{IngestServer, Step};
use http::header::USER_AGENT;
use http::{HeaderName, HeaderValue, StatusCode};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::set_header::SetRequestHeaderLayer;
use tower_http::trace::TraceLayer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let server = IngestServer::start().await?;
    let dsn = Dsn::parse(&server.dsn())?;

    let stack = ServiceBuilder::new()
        // delivery: Parcel<Envelope> -> Receipt
        .layer(FilterLayer::new(RateLimits::new(LimitOptions::new())))
        .layer(EncodeLayer::new(EnvelopeCodec::new(&dsn)).policy(Policy::sentry()))
        // exchange: http::Request -> http::Response
        .concurrency_limit(4)
        .timeout(Duration::from_secs(10))
        .layer(TraceLayer::new_for_http())
        .layer(AuthLayer::new(HeaderAuth::new(
            HeaderName::from_static("x-sentry-auth"),
            dsn.auth_header("custom/1.0"),
        )))
        .layer(SetRequestHeaderLayer::overriding(USER_AGENT, HeaderValue::from_static("custom/1.0")))
        .layer(CompressLayer::gzip())
        .service(HttpClient::new_http());

    let id = "9ec79c33ec9942ab8353589fcb2e04dc".parse()?;
    let event = || {
        let item = Item::event(r#"{"message":"from a stack of my own"}"#);
        Envelope::new().with_event_id(id).with_item(item)
    };

    let receipt = stack.clone().oneshot(Parcel::new(event()?)).await?;
    assert_eq!(receipt.fate(), Fate::Delivered);
    println!("delivered as {:?}", receipt.reply().and_then(accepted_id));

    // A refusal brings the goods back, with the server's words.
    server.script([Step::reply(StatusCode::BAD_REQUEST).body(r#"{"detail":"not today"}"#)]);
    let Err(failure) = stack.clone().oneshot(Parcel::new(event()?)).await else {
        return Err("the server refused it, and yet it was delivered".into());
    };
    println!("{failure}");
    assert_eq!(failure.fault().kind(), Kind::Rejected);
    let parcel = failure.into_parcel().ok_or("a failure brings the parcel back")?;
    assert_eq!(stack.oneshot(parcel).await?.fate(), Fate::Delivered);
    assert_eq!(server.envelopes().len(), 2);
    Ok(())
}
