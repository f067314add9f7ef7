use std::fmt;
use std::task::{Context, Poll};

use envoi_core::BoxError;
use http::Request;
use tower_service::Service;

use super::{AuthFuture, Authorize};

/// Puts credentials on every request. See [`AuthLayer`](super::AuthLayer).
#[derive(Clone)]
pub struct Auth<S, A> {
    inner: S,
    authorize: A,
}

impl<S, A> Auth<S, A> {
    /// Authorizes every request to `inner`.
    #[must_use]
    pub const fn new(inner: S, authorize: A) -> Self {
        Self { inner, authorize }
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

impl<S: fmt::Debug, A> fmt::Debug for Auth<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, A, B> Service<Request<B>> for Auth<S, A>
where
    S: Service<Request<B>, Error: Into<BoxError>>,
    A: Authorize,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = AuthFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        match self.authorize.authorize(&mut parts) {
            Ok(()) => AuthFuture::calling(self.inner.call(Request::from_parts(parts, body))),
            Err(fault) => AuthFuture::refused(fault),
        }
    }
}
