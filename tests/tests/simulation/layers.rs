//! Layers of users: some that behave and some that do not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_core::{BoxError, DiscardReason, Fate, Itemized, LossSink, Parcel, Receipt};
use envoi_envelope::{Envelope, ItemType};
use fastrand::Rng;
use tower::Service;
use tower::util::BoxService;

use crate::schedule::UserLayer;
use crate::server::throw;
use crate::world::World;

pub(crate) type Delivery = BoxService<Parcel<Envelope>, Receipt, BoxError>;
pub(crate) type Delivered = Pin<Box<dyn Future<Output = Result<Receipt, BoxError>> + Send>>;

/// Drops items now and then, as a hook of the application would, and says so to books and reports.
pub(crate) struct BeforeSend {
    pub(crate) inner: Delivery,
    pub(crate) world: Arc<World>,
    pub(crate) rng: Rng,
}

impl BeforeSend {
    fn lost(&self, envelope: &mut Envelope, whole: bool) {
        let sink = (self.world.ledger.clone(), self.world.reports.clone());
        let mut lost =
            |category: &_, quantity| LossSink::lost(&sink, DiscardReason::BeforeSend, category, quantity);
        if whole {
            envelope.carried_losses(&mut |reason, category, quantity| {
                sink.restore(reason, category, quantity);
            });
            envelope.clear(&mut lost);
            return;
        }
        // What nothing else belongs to.
        let mut before = Vec::new();
        envelope.tally(&mut |category, quantity| before.push((category.clone(), quantity)));
        envelope.retain(|item| {
            !matches!(item.item_type(), ItemType::Log | ItemType::CheckIn | ItemType::Session)
        });
        let mut after = Vec::new();
        envelope.tally(&mut |category, quantity| after.push((category.clone(), quantity)));
        for gone in before {
            match after.iter().position(|left| *left == gone) {
                Some(at) => drop(after.remove(at)),
                None => lost(&gone.0, gone.1),
            }
        }
    }
}

impl Service<Parcel<Envelope>> for BeforeSend {
    type Response = Receipt;
    type Error = BoxError;
    type Future = Delivered;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut parcel: Parcel<Envelope>) -> Delivered {
        match self.rng.u8(..4) {
            0 => self.lost(parcel.payload_mut(), true),
            1 => self.lost(parcel.payload_mut(), false),
            _ => {}
        }
        if parcel.payload().is_spent() {
            return Box::pin(async { Ok(Receipt::new(Fate::Spent)) });
        }
        Box::pin(self.inner.call(parcel))
    }
}

/// Panics now and then, or is wrong in another way.
pub(crate) struct Panics {
    pub(crate) inner: Delivery,
    pub(crate) place: UserLayer,
    pub(crate) rng: Rng,
}

impl Service<Parcel<Envelope>> for Panics {
    type Response = Receipt;
    type Error = BoxError;
    type Future = Delivered;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.place == UserLayer::PanicInReady && self.rng.u8(..4) == 0 {
            throw("a layer panics in poll_ready");
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, parcel: Parcel<Envelope>) -> Delivered {
        let now = self.rng.u8(..4) == 0;
        match self.place {
            UserLayer::PanicInCall if now => throw("a layer panics in call"),
            UserLayer::PanicLater if now => Box::pin(async move {
                let _parcel = parcel;
                tokio::task::yield_now().await;
                throw("a layer panics in its future")
            }),
            UserLayer::PanicAfterAnswer if now => {
                let call = self.inner.call(parcel);
                Box::pin(async move {
                    let _answer = call.await;
                    throw("a layer panics after the answer")
                })
            }
            UserLayer::ClaimsSpent if now => {
                drop(parcel);
                Box::pin(async { Ok(Receipt::new(Fate::Spent)) })
            }
            _ => Box::pin(self.inner.call(parcel)),
        }
    }
}
