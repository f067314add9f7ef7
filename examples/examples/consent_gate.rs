//! A consent gate: telemetry is kept on disk until the user has agreed, also over a restart.
//!
//! The gate is one layer below the disk buffer. While there is no consent it is *not ready*, and a queue asks for readiness
//! before it takes anything out of its store: so envelopes stay on disk, in their order, with no timer, no retry and no
//! second copy in memory.
//!
//! Take away: "not now" is readiness (`Pending`, and a waker that is woken later), "not this one" is the answer of `call`.
//! A shutdown of a closed gate is no loss either: what waits is kept for the next run.
//!
//! ```console
//! $ cargo run -p envoi-examples --example consent_gate
//! ```

use std::future::pending;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use envoi::core::{Deliver, Parcel, Receipt};
use envoi::{Envelope, Item, Transport};
use envoi_testkit::ingest::IngestServer;
use tokio::sync::watch;
use tower::{Layer, Service};

#[derive(Clone)]
struct ConsentLayer(watch::Receiver<bool>);

impl<S> Layer<S> for ConsentLayer {
    type Service = Consent<S>;

    fn layer(&self, inner: S) -> Consent<S> {
        Consent { inner, given: self.0.clone(), waiting: None }
    }
}

struct Consent<S> {
    inner: S,
    given: watch::Receiver<bool>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S: Clone> Clone for Consent<S> {
    /// Who waits is an instance, not its clone.
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), given: self.given.clone(), waiting: None }
    }
}

async fn until_given(mut given: watch::Receiver<bool>) {
    if given.wait_for(|given| *given).await.is_err() {
        pending::<()>().await; // nobody is left who could agree
    }
}

impl<S: Deliver<Envelope>> Service<Parcel<Envelope>> for Consent<S> {
    type Response = Receipt;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        while !*self.given.borrow() {
            let waiting = self.waiting.get_or_insert_with(|| Box::pin(until_given(self.given.clone())));
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, parcel: Parcel<Envelope>) -> Self::Future {
        self.inner.call(parcel)
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

fn start(dsn: &str, folder: &Path, consent: watch::Receiver<bool>) -> Result<Transport, Error> {
    Ok(envoi::sentry(dsn)?.disk_buffer(folder).delivery_layer(ConsentLayer(consent)).build()?)
}

fn main() -> Result<(), Error> {
    let server = IngestServer::spawn_thread()?;
    let (dsn, folder) = (server.server().dsn(), tempfile::tempdir()?);
    let event = |text: &str| Envelope::new().with_item(Item::event(format!(r#"{{"message":"{text}"}}"#)));

    // The first run. The user has not been asked yet.
    let (_consent, asked) = watch::channel(false);
    let transport = start(&dsn, folder.path(), asked)?;
    transport.send(event("first run")?)?;
    assert_eq!(transport.flush_blocking(Duration::from_millis(50)).left, 1, "it waits");
    let closed = transport.close_blocking(Duration::from_millis(200));
    println!("first run: {closed:?}");
    assert_eq!((closed.kept, closed.lost), (1, 0));
    drop(transport); // a disk buffer has one owner at a time

    // The second run. Consent comes while it is running.
    let (consent, asked) = watch::channel(false);
    let transport = start(&dsn, folder.path(), asked)?;
    transport.send(event("second run, before")?)?;
    assert_eq!(transport.flush_blocking(Duration::from_millis(50)).left, 1, "of this run");
    assert_eq!(server.server().summary().begun, 0, "not a byte has left so far");

    consent.send_replace(true);
    transport.send(event("second run, after")?)?;
    // A close waits for what was posted in this run. For once the older ones are to be seen arriving, too.
    server.block_on(server.server().wait_for(3, Duration::from_secs(5)))?;
    let closed = transport.close_blocking(Duration::from_secs(5));
    println!("second run: {closed:?}");
    assert_eq!((closed.is_complete, closed.kept), (true, 0));
    Ok(())
}
