use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoi_core::Segments;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Request};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tower_service::Service;

use super::choose::{Sizes, Way, choose};
use super::pool::Pool;
use super::stream::CompressedStream;
use super::{CompressFuture, Encoding};
use crate::RequestBody;

/// Compresses request bodies. See [`CompressLayer`](super::CompressLayer).
#[derive(Clone)]
pub struct Compress<S> {
    inner: S,
    pool: Arc<Pool>,
    sizes: Sizes,
}

impl<S> Compress<S> {
    pub(super) const fn new(inner: S, pool: Arc<Pool>, sizes: Sizes) -> Self {
        Self { inner, pool, sizes }
    }

    /// The service below.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service below.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service below, by value.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: fmt::Debug> fmt::Debug for Compress<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compress")
            .field("inner", &self.inner)
            .field("encoding", &self.pool.encoding)
            .field("level", &self.pool.level)
            .field("sizes", &self.sizes)
            .finish()
    }
}

impl<S> Service<Request<Segments>> for Compress<S>
where
    S: Service<Request<RequestBody>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CompressFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Segments>) -> CompressFuture<S> {
        let encoding = self.pool.encoding;
        let size = request.body().len();
        let (mut parts, body) = request.into_parts();
        let request = match choose(encoding, &parts.headers, size, self.sizes) {
            Way::Plain => Request::from_parts(parts, body.into()),
            Way::Inline => compressed(parts, body, encoding, |body| self.pool.compress(body, || true)),
            Way::Offload => match Handle::try_current() {
                Ok(runtime) => {
                    let (sender, receiver) = oneshot::channel();
                    let (pool, shared) = (self.pool.clone(), body.clone());
                    drop(runtime.spawn_blocking(move || {
                        let result = pool.compress(&shared, || !sender.is_closed());
                        // Nobody waits any more: nothing is lost, the body is still with the caller.
                        let _ = sender.send(result);
                    }));
                    // The instance that was polled ready goes into the future; its clone stays behind.
                    let clone = self.inner.clone();
                    let ready = std::mem::replace(&mut self.inner, clone);
                    return CompressFuture::compressing(
                        ready,
                        receiver,
                        Request::from_parts(parts, body),
                        encoding,
                    );
                }
                Err(_) => compressed(parts, body, encoding, |body| self.pool.compress(body, || true)),
            },
            Way::Stream => {
                label(&mut parts.headers, encoding, None);
                let stream = CompressedStream::new(&body, self.pool.clone());
                Request::from_parts(parts, RequestBody::stream(stream))
            }
        };
        CompressFuture::calling(self.inner.call(request))
    }
}

/// The request with the compressed body, or as it was if there is none.
pub(super) fn compressed(
    mut parts: http::request::Parts,
    body: Segments,
    encoding: Encoding,
    compress: impl FnOnce(&Segments) -> Option<bytes::Bytes>,
) -> Request<RequestBody> {
    match compress(&body) {
        Some(small) => {
            label(&mut parts.headers, encoding, Some(small.len()));
            Request::from_parts(parts, small.into())
        }
        None => Request::from_parts(parts, body.into()),
    }
}

/// Sets `content-encoding`, and corrects a `content-length` that a codec may have set.
fn label(headers: &mut HeaderMap, encoding: Encoding, size: Option<usize>) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
    if headers.remove(CONTENT_LENGTH).is_some()
        && let Some(size) = size
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
}
