//! Parts that are wrong on purpose, to see that the simulation notices.

use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_core::{BoxError, DiscardReason, Fate, Itemized, LossSink, Parcel, Receipt, Reporter, Segments};
use envoi_envelope::reports::ClientReports;
use envoi_envelope::{DataCategory as Category, Envelope};
use http::{Request, Response};
use tower::util::BoxService;
use tower::{Service, ServiceExt, service_fn};

use crate::layers::{Delivered, Delivery};
use crate::server::{Answer, SimBody};
use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// A layer drops the parcel and says that it is delivered.
    ClaimsDelivery,
    /// A layer empties the parcel without a word.
    DropsQuietly,
    /// A layer records the loss and hands the goods back as well.
    RecordsAndReturns,
    /// A layer gives the server a copy and hands the goods back.
    DeliversAndReturns,
    /// A sink counts every loss twice.
    CountsTwice,
    /// A sink forgets every loss.
    ForgetsLosses,
    /// What a report on a failed carrier told of is not put back.
    NeverRestores,
    /// The report stays on a carrier that comes back, although it is put back.
    LeavesReportsOn,
    /// An exchange that sends every request twice.
    SendsTwice,
    /// The filter does not hear of limits.
    IgnoresLimits,
}

impl Sabotage {
    pub(crate) const ALL: [Self; 10] = [
        Self::ClaimsDelivery,
        Self::DropsQuietly,
        Self::RecordsAndReturns,
        Self::DeliversAndReturns,
        Self::CountsTwice,
        Self::ForgetsLosses,
        Self::NeverRestores,
        Self::LeavesReportsOn,
        Self::SendsTwice,
        Self::IgnoresLimits,
    ];
}

/// A layer of deliveries that is wrong.
pub(crate) struct Wrong {
    pub(crate) inner: Delivery,
    pub(crate) world: Arc<World>,
    pub(crate) sabotage: Sabotage,
}

impl Service<Parcel<Envelope>> for Wrong {
    type Response = Receipt;
    type Error = BoxError;
    type Future = Delivered;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut parcel: Parcel<Envelope>) -> Delivered {
        let answer = match self.sabotage {
            Sabotage::ClaimsDelivery => Ok(Receipt::delivered()),
            Sabotage::DropsQuietly => {
                parcel.payload_mut().clear(&mut |_, _| {});
                Ok(Receipt::new(Fate::Spent))
            }
            Sabotage::RecordsAndReturns => {
                let ledger = self.world.ledger.clone();
                parcel.payload().tally(&mut |category, quantity| {
                    ledger.lost(DiscardReason::Ignored, category, quantity);
                });
                let fault = envoi_core::Fault::new(envoi_core::Kind::Other);
                Err(envoi_core::Failure::new(fault, parcel).into())
            }
            Sabotage::DeliversAndReturns => {
                let copy = self.inner.call(Parcel::new(parcel.payload().clone()));
                return Box::pin(async move {
                    let _ = copy.await;
                    let fault = envoi_core::Fault::new(envoi_core::Kind::Io);
                    Err(envoi_core::Failure::new(fault, parcel).into())
                });
            }
            _ => return self.inner.call(parcel),
        };
        Box::pin(async { answer })
    }
}

/// The aggregator, as the bridge to reports and as a sink, perhaps with a flaw.
#[derive(Clone)]
pub(crate) struct Flawed {
    pub(crate) inner: ClientReports,
    pub(crate) sabotage: Option<Sabotage>,
}

impl Reporter<Envelope> for Flawed {
    fn is_pending(&self) -> bool {
        self.inner.is_pending()
    }

    fn attach(&self, envelope: &mut Envelope) -> bool {
        self.inner.attach(envelope)
    }

    fn detach(&self, envelope: &mut Envelope, restore: bool) {
        match self.sabotage {
            Some(Sabotage::NeverRestores) => self.inner.detach(envelope, false),
            Some(Sabotage::LeavesReportsOn) => self.inner.detach(&mut envelope.clone(), restore),
            _ => self.inner.detach(envelope, restore),
        }
    }

    fn standalone(&self) -> Option<Envelope> {
        self.inner.standalone()
    }
}

impl LossSink<Category> for Flawed {
    fn lost(&self, reason: DiscardReason, category: &Category, quantity: u64) {
        if self.sabotage == Some(Sabotage::ForgetsLosses) {
            return;
        }
        if self.sabotage == Some(Sabotage::CountsTwice) {
            self.inner.lost(reason.clone(), category, quantity);
        }
        self.inner.lost(reason, category, quantity);
    }

    fn restore(&self, reason: DiscardReason, category: &Category, quantity: u64) {
        self.inner.restore(reason, category, quantity);
    }
}

type Exchange = BoxService<Request<Segments>, Response<SimBody>, BoxError>;

/// Sends every request twice.
pub(crate) fn twice(inner: Exchange) -> Exchange {
    let inner = tower::buffer::Buffer::new(inner, 8);
    service_fn(move |request: Request<Segments>| -> Answer {
        let (mut first, mut second) = (inner.clone(), inner.clone());
        let mut copy = Request::new(request.body().clone());
        *copy.uri_mut() = request.uri().clone();
        Box::pin(async move {
            let _ = first.ready().await?.call(copy).await;
            second.ready().await?.call(request).await
        })
    })
    .boxed()
}
