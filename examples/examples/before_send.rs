//! A `before_send` of your own: nothing but a layer at the delivery level.
//!
//! `map_request` changes what leaves, `filter` decides whether anything does. Whoever drops an item records the loss at
//! that moment, so the books balance and the server is told. Here attachments with passwords stay at home, and so
//! does every envelope of the health check.
//!
//! ```console
//! $ cargo run -p envoi-examples --example before_send
//! ```

use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use envoi::core::{Deliver, Failure, Fate, Itemized, Parcel, Receipt};
use envoi::sentry::Books;
use envoi::{DataCategory, DiscardReason, Envelope, Item, LossSink};
use envoi_testkit::ingest::IngestServer;
use tower::{Layer, Service};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Asks `keep` for every envelope; what it refuses is dropped and recorded as `before_send`.
#[derive(Clone)]
struct BeforeSendLayer<F> {
    keep: F,
    books: Books,
}

impl<S, F: Clone> Layer<S> for BeforeSendLayer<F> {
    type Service = BeforeSend<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        BeforeSend { inner, keep: self.keep.clone(), books: self.books.clone() }
    }
}

struct BeforeSend<S, F> {
    inner: S,
    keep: F,
    books: Books,
}

impl<S, F> Service<Parcel<Envelope>> for BeforeSend<S, F>
where
    S: Deliver<Envelope, Future: Send + 'static>,
    F: Fn(&mut Envelope, &Books) -> bool,
{
    type Response = Receipt;
    type Error = Failure<Envelope>;
    type Future = Pin<Box<dyn Future<Output = Result<Receipt, Failure<Envelope>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut parcel: Parcel<Envelope>) -> Self::Future {
        if (self.keep)(parcel.payload_mut(), &self.books) {
            let call = self.inner.call(parcel);
            return Box::pin(async move { call.await.map_err(Into::into) });
        }
        // Empties the envelope and records what was in it; what is left has no items to account for.
        parcel.payload_mut().discard(DiscardReason::BeforeSend, &self.books);
        Box::pin(ready(Ok(Receipt::new(Fate::Spent))))
    }
}

fn main() -> Result<(), Error> {
    let server = IngestServer::spawn_thread()?;
    let keep = |envelope: &mut Envelope, books: &Books| {
        envelope.retain(|item| {
            let is_secret = item.filename().is_some_and(|name| name == "passwords.txt");
            if is_secret {
                let bytes = item.payload().len() as u64;
                books.lost(DiscardReason::BeforeSend, &DataCategory::Attachment, bytes);
            }
            !is_secret
        });
        !envelope.items().iter().any(|item| item.payload().windows(8).any(|word| word == b"/healthz"))
    };
    let builder = envoi::sentry(&server.server().dsn())?;
    let books = builder.books();
    let transport = builder.delivery_layer(BeforeSendLayer { keep, books }).build()?;

    let mut envelope = Envelope::new().with_item(Item::event(r#"{"message":"a real problem"}"#))?;
    envelope.push(Item::attachment("passwords.txt", "hunter2"))?;
    envelope.push(Item::attachment("notes.txt", "harmless"))?;
    transport.send(envelope)?;
    transport.send(Envelope::new().with_item(Item::event(r#"{"message":"GET /healthz failed"}"#))?)?;
    assert!(transport.flush_blocking(Duration::from_secs(5)).is_complete());
    let closed = transport.close_blocking(Duration::from_secs(5));
    assert!(closed.is_complete);

    let ledger = transport.ledger();
    for (category, account) in ledger.iter() {
        println!(
            "{category}: {} posted, {} delivered, lost {:?}",
            account.posted, account.delivered, account.lost
        );
    }
    assert!(ledger.is_settled());
    let received = server.server().received_tally();
    assert_eq!(received[&DataCategory::Error], 1);
    assert_eq!(received[&DataCategory::Attachment], 8);
    let reported = server.server().reported_losses();
    assert_eq!(reported[&(DiscardReason::BeforeSend, DataCategory::Attachment)], 7);
    assert_eq!(reported[&(DiscardReason::BeforeSend, DataCategory::Error)], 1);
    println!("the server was told: {reported:?}");
    Ok(())
}
