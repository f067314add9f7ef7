//! Layers of users: some that behave and some that do not.

use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_batch::Batch;
use envoi_core::{BoxError, Fault, Kind, Parcel, Receipt};
use fastrand::Rng;
use tower::Service;

use crate::plan::UserLayer;
use crate::server::throw;
use crate::witness::{Delivered, Delivery};
use crate::world::World;

/// Panics now and then, or fails.
pub(crate) struct Unreliable {
    pub(crate) inner: Delivery,
    pub(crate) place: UserLayer,
    pub(crate) rng: Rng,
    pub(crate) world: Arc<World>,
}

impl Service<Parcel<Batch>> for Unreliable {
    type Response = Receipt;
    type Error = BoxError;
    type Future = Delivered;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.place == UserLayer::Unready {
            let mood = self.rng.u8(..8);
            self.world.state().unready += u64::from(mood < 2);
            match mood {
                0 => throw("a layer panics in poll_ready"),
                1 => return Poll::Ready(Err("out of order".into())),
                _ => {}
            }
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, parcel: Parcel<Batch>) -> Delivered {
        let (now, items) = (self.rng.u8(..4) == 0, parcel.payload().len());
        let world = Arc::clone(&self.world);
        match self.place {
            UserLayer::PanicInCall if now => {
                world.dies(items);
                throw("a layer panics in call")
            }
            UserLayer::PanicLater if now => Box::pin(async move {
                let _parcel = parcel;
                tokio::task::yield_now().await;
                world.dies(items);
                throw("a layer panics in its future")
            }),
            UserLayer::PanicAfterAnswer if now => {
                let call = self.inner.call(parcel);
                Box::pin(async move {
                    let _answer = call.await;
                    world.dies(items);
                    throw("a layer panics after the answer")
                })
            }
            UserLayer::Refuses if now => Box::pin(async move {
                let fault = Fault::new(Kind::Rejected).with_message("not this one");
                Err(envoi_core::Failure::new(fault, parcel).into())
            }),
            UserLayer::LosesParcel if now => {
                drop(parcel);
                Box::pin(async { Err("gone".into()) })
            }
            _ => Box::pin(self.inner.call(parcel)),
        }
    }
}
