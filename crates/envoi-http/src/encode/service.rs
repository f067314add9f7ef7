use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_core::{Codec, Exchange, Failure, Fault, Kind, Parcel, Receipt};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::EncodeFuture;
use super::layer::Settings;

/// The bridge between delivery and exchange. See [`EncodeLayer`](super::EncodeLayer).
pub struct Encode<S, C> {
    inner: S,
    codec: Arc<C>,
    settings: Arc<Settings>,
}

impl<S, C> Encode<S, C> {
    pub(super) const fn new(inner: S, codec: Arc<C>, settings: Arc<Settings>) -> Self {
        Self { inner, codec, settings }
    }

    /// The exchange below.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The exchange below.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The exchange below, by value.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, C> Clone for Encode<S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), codec: self.codec.clone(), settings: self.settings.clone() }
    }
}

impl<S: fmt::Debug, C> fmt::Debug for Encode<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encode")
            .field("inner", &self.inner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<S, C, P> Service<Parcel<P>> for Encode<S, C>
where
    S: Exchange,
    C: Codec<P>,
{
    type Response = Receipt;
    type Error = Failure<P>;
    type Future = EncodeFuture<S::Future, S::Body, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure<P>>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| Failure::without_parcel(self.settings.policy.judge_error(error.into())))
    }

    fn call(&mut self, parcel: Parcel<P>) -> Self::Future {
        if self.settings.halt.as_ref().is_some_and(CancellationToken::is_cancelled) {
            return EncodeFuture::refused(Fault::new(Kind::Halted), parcel, self.settings.clone());
        }
        match self.codec.encode(parcel.payload()) {
            Ok(mut request) => {
                let extensions = &parcel.meta().extensions;
                if !extensions.is_empty() {
                    request.extensions_mut().extend(extensions.clone());
                }
                EncodeFuture::calling(self.inner.call(request), parcel, self.settings.clone())
            }
            Err(error) => {
                let fault = Fault::caused_by(Kind::Encode, error);
                EncodeFuture::refused(fault, parcel, self.settings.clone())
            }
        }
    }
}
