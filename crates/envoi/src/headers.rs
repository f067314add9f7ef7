use std::task::{Context, Poll};

use http::{HeaderMap, Request};
use tower_layer::Layer;
use tower_service::Service;

/// Puts fixed headers on every request, replacing those of the same name: user agent and what a gateway asks for.
///
/// For one header tower-http's `SetRequestHeaderLayer` does the same; this one takes any number without nesting.
///
/// ```
/// use envoi::ExtraHeadersLayer;
/// let mut headers = http::HeaderMap::new();
/// headers.insert("x-team", http::HeaderValue::from_static("payments"));
/// let layer = ExtraHeadersLayer::new(headers);
/// # let _ = layer;
/// ```
#[derive(Clone, Debug, Default)]
pub struct ExtraHeadersLayer {
    headers: HeaderMap,
}

impl ExtraHeadersLayer {
    /// Sets `headers`. Mark secret values as sensitive, so that logs leave them out (AU-7).
    #[must_use]
    pub const fn new(headers: HeaderMap) -> Self {
        Self { headers }
    }
}

impl<S> Layer<S> for ExtraHeadersLayer {
    type Service = ExtraHeaders<S>;

    fn layer(&self, inner: S) -> ExtraHeaders<S> {
        ExtraHeaders { inner, headers: self.headers.clone() }
    }
}

/// The service of [`ExtraHeadersLayer`].
#[derive(Clone, Debug)]
pub struct ExtraHeaders<S> {
    inner: S,
    headers: HeaderMap,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for ExtraHeaders<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let headers = request.headers_mut();
        for name in self.headers.keys() {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests;
