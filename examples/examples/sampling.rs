//! A sampling layer of your own: one trace in four leaves, and the books know of the other three.
//!
//! This is a whole layer as one writes it: `SampleLayer`, `Sample`, and a future without a box. It sheds transactions
//! *by category*, so that their spans, profiles and attachments go along and are counted as the protocol asks; what else
//! is in the envelope (a session, an error) is none of its business and passes.
//!
//! Take away, the three duties of a layer that drops:
//! 1. Record the loss where it happens, in the books of the transport ([`SentryBuilder::books`]).
//! 2. If nothing is left, answer `Spent`, not `Delivered`.
//! 3. Decide the same each time: a parcel comes by once per attempt.
//!
//! ```console
//! $ cargo run -p envoi-examples --example sampling
//! ```
//!
//! [`SentryBuilder::books`]: envoi::SentryBuilder::books

use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use envoi::core::{Deliver, Failure, Fate, Itemized, Parcel, Receipt};
use envoi::envelope::EventId;
use envoi::sentry::Books;
use envoi::{DataCategory, DiscardReason, Envelope, Item, LossSink};
use envoi_testkit::ingest::IngestServer;
use futures_util::TryFutureExt;
use futures_util::future::{Either, MapErr};
use tower::{Layer, Service};

#[derive(Clone)]
struct SampleLayer {
    one_in: u128,
    books: Books,
}

impl<S> Layer<S> for SampleLayer {
    type Service = Sample<S>;

    fn layer(&self, inner: S) -> Sample<S> {
        Sample { inner, settings: self.clone() }
    }
}

#[derive(Clone)]
struct Sample<S> {
    inner: S,
    settings: SampleLayer,
}

/// By the id, so that each attempt comes to the same decision.
fn is_sampled(id: Option<EventId>, one_in: u128) -> bool {
    id.is_none_or(|id| u128::from_be_bytes(*id.as_bytes()) % one_in == 0)
}

impl<S: Deliver<Envelope>> Service<Parcel<Envelope>> for Sample<S> {
    type Response = Receipt;
    type Error = Failure<Envelope>;
    type Future = Either<
        MapErr<S::Future, fn(S::Error) -> Failure<Envelope>>,
        Ready<Result<Receipt, Failure<Envelope>>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut parcel: Parcel<Envelope>) -> Self::Future {
        let (envelope, books) = (parcel.payload_mut(), &self.settings.books);
        if !is_sampled(envelope.event_id(), self.settings.one_in) {
            envelope.shed(
                &mut |category| *category == DataCategory::Transaction,
                &mut |category, quantity| {
                    books.lost(DiscardReason::SampleRate, category, quantity);
                },
            );
        }
        if envelope.is_spent() {
            // Nothing is left to count; client reports that were on board are put back.
            envelope.discard(DiscardReason::SampleRate, books);
            return Either::Right(ready(Ok(Receipt::new(Fate::Spent))));
        }
        Either::Left(self.inner.call(parcel).map_err(Into::into))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let server = IngestServer::spawn_thread()?;
    let builder = envoi::sentry(&server.server().dsn())?;
    let books = builder.books();
    let transport = builder.delivery_layer(SampleLayer { one_in: 4, books }).build()?;

    for number in 0..8_u8 {
        let transaction = Item::transaction(r#"{"transaction":"GET /","spans":[{},{}]}"#);
        let mut envelope =
            Envelope::new().with_event_id(EventId::from_bytes([number; 16])).with_item(transaction)?;
        envelope.push(Item::session("{}"))?;
        transport.send(envelope)?;
    }
    assert!(transport.flush_blocking(Duration::from_secs(5)).is_complete());
    assert!(transport.close_blocking(Duration::from_secs(5)).is_complete);

    let ledger = transport.ledger();
    assert!(ledger.is_settled(), "posted = delivered + refused + lost");
    let received = server.server().received_tally();
    assert_eq!((received[&DataCategory::Transaction], received[&DataCategory::Session]), (2, 8));
    let reported = server.server().reported_losses();
    let lost = |category| reported[&(DiscardReason::SampleRate, category)];
    assert_eq!((lost(DataCategory::Transaction), lost(DataCategory::Span)), (6, 18));
    println!("received {received:?}\nthe server was told of {reported:?}");
    Ok(())
}
