use std::task::{Context, Poll};

use envoi_core::BoxError;
use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response};
use tower_service::Service;

use super::ForwardFuture;
use crate::proxy::ProxyConfig;

/// Puts the credentials for a forward proxy on requests that go through one, and turns answers that the proxy made
/// itself into faults of [`Kind::Proxy`](envoi_core::Kind::Proxy). See [`made_by_proxy`](super::made_by_proxy).
#[derive(Clone, Debug)]
pub struct Forward<S> {
    inner: S,
    config: ProxyConfig,
}

impl<S> Forward<S> {
    /// Around a client whose connector goes through these proxies.
    #[must_use]
    pub const fn new(inner: S, config: ProxyConfig) -> Self {
        Self { inner, config }
    }

    /// The client below.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The client below.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The client below, by value.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, R> Service<Request<B>> for Forward<S>
where
    S: Service<Request<B>, Response = Response<R>, Error: Into<BoxError>>,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = ForwardFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The header is ours alone: one from above would reach the server where no proxy takes it off.
        request.headers_mut().remove(PROXY_AUTHORIZATION);
        let proxy = self.config.forwarder(request.uri()).cloned();
        if let Some(credentials) = proxy.as_ref().and_then(|proxy| proxy.credentials()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, credentials.basic());
        }
        ForwardFuture::new(self.inner.call(request), proxy)
    }
}
