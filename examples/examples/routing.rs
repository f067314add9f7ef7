//! Routing by DSN: one queue in front, one stack per destination behind it.
//!
//! Each envelope says in its header which project it is for. `Router` is a service at the delivery level that picks the
//! stack of that project. The stacks are whole ones: each has its own credentials and its own table of rate limits,
//! because limits are per DSN (RL-7). One project that is limited or refused takes nothing from the other.
//!
//! Take away: a service that *chooses* between services is always ready itself and makes the chosen one ready inside of
//! its future (`oneshot` does both). And "I know nobody like that" is not a success: the parcel is handed back.
//!
//! ```console
//! $ cargo run -p envoi-examples --example routing
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use envoi::core::{Failure, Fault, Kind, Ledger, Parcel, Receipt};
use envoi::envelope::{EnvelopeCodec, LimitOptions, RateLimits};
use envoi::http::{AuthLayer, EncodeLayer, HeaderAuth, HttpClient};
use envoi::layers::filter::FilterLayer;
use envoi::layers::outbox::{MemoryStore, OutboxConfig, outbox};
use envoi::{DataCategory, DiscardReason, Dsn, Envelope, Item};
use envoi_testkit::ingest::{IngestServer, Step};
use http::{HeaderName, HeaderValue};
use tower::util::{BoxCloneSyncService, Oneshot};
use tower::{Service, ServiceBuilder, ServiceExt};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Route = BoxCloneSyncService<Parcel<Envelope>, Receipt, Failure<Envelope>>;

fn route(dsn: &Dsn, ledger: &Ledger<DataCategory>) -> Route {
    let credentials = dsn.auth_header("routing/1.0");
    BoxCloneSyncService::new(
        ServiceBuilder::new()
            .layer(FilterLayer::new(RateLimits::new(LimitOptions::new())).report_to(ledger.clone()))
            .layer(EncodeLayer::new(EnvelopeCodec::new(dsn)))
            .layer(AuthLayer::new(HeaderAuth::new(HeaderName::from_static("x-sentry-auth"), credentials)))
            .service(HttpClient::new_http()),
    )
}

#[derive(Clone)]
struct Router {
    routes: Arc<HashMap<Dsn, Route>>,
    nobody: Route,
}

impl Router {
    fn new(dsns: impl IntoIterator<Item = Dsn>, ledger: &Ledger<DataCategory>) -> Self {
        let routes = dsns.into_iter().map(|dsn| (dsn.clone(), route(&dsn, ledger))).collect();
        let nobody = tower::service_fn(|parcel| async {
            let fault = Fault::new(Kind::Rejected).with_message("no route for the DSN in the header");
            Err(Failure::new(fault, parcel))
        });
        Self { routes: Arc::new(routes), nobody: BoxCloneSyncService::new(nobody) }
    }
}

impl Service<Parcel<Envelope>> for Router {
    type Response = Receipt;
    type Error = Failure<Envelope>;
    type Future = Oneshot<Route, Parcel<Envelope>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, parcel: Parcel<Envelope>) -> Self::Future {
        let route = parcel.payload().dsn().and_then(|dsn| self.routes.get(&dsn));
        route.unwrap_or(&self.nobody).clone().oneshot(parcel)
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let (shop, blog) = (IngestServer::start().await?, IngestServer::start().await?);
    let dsns = [Dsn::parse(&shop.dsn())?, Dsn::parse(&blog.dsn())?];
    let ledger = Ledger::new();
    let router = Router::new(dsns.clone(), &ledger);
    let (outbox, driver) =
        outbox(MemoryStore::new(), OutboxConfig::new().ledger(ledger).concurrency(1), router);
    tokio::spawn(driver);

    // The shop wants no more errors for a minute, beginning with its second one.
    let name = HeaderName::from_static("x-sentry-rate-limits");
    shop.script([Step::judge().header(name, HeaderValue::from_static("60:error:key"))]);
    let elsewhere = Dsn::parse("http://public@127.0.0.1:9/1")?;
    for dsn in [&dsns[0], &dsns[1], &dsns[0], &dsns[1], &elsewhere] {
        let mut envelope = Envelope::new().with_item(Item::event(r#"{"message":"hello"}"#))?;
        envelope.set_dsn(dsn)?;
        outbox.post(envelope)?;
    }
    assert!(outbox.close(Duration::from_secs(5)).await.is_complete);

    let books = outbox.ledger().snapshot();
    let errors = books.get(&DataCategory::Error).ok_or("no errors in the books")?;
    println!("shop {}, blog {}, lost {:?}", shop.envelopes().len(), blog.envelopes().len(), errors.lost);
    assert_eq!((shop.envelopes().len(), blog.envelopes().len()), (1, 2));
    assert_eq!(errors.lost[&DiscardReason::RatelimitBackoff], 1);
    assert_eq!(errors.lost[&DiscardReason::SendError], 1, "the one that nobody wanted");
    assert!(books.is_settled());
    Ok(())
}
