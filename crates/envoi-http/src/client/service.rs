use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use tower_service::Service;

use super::status_first::StatusFirst;
use super::{Connect, HttpClientBuilder, TcpConnector};
use crate::RequestBody;

/// The core of a stack. See the module documentation.
///
/// Takes [`Segments`](envoi_core::Segments) and [`RequestBody`], so it works with and without a layer above that
/// changes the body. A clone shares the pool. Dropping the future of a call gives up the exchange: HTTP/1.1 closes
/// its connection, HTTP/2 resets its stream. Must be called inside a tokio runtime with I/O and time.
pub struct HttpClient<C = TcpConnector> {
    client: Client<StatusFirst<C>, RequestBody>,
}

impl HttpClient {
    /// A client over plain TCP.
    #[must_use]
    pub fn new_http() -> Self {
        Self::builder().build()
    }

    /// To change the settings.
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder::new()
    }
}

impl<C> HttpClient<C> {
    pub(super) const fn new(client: Client<StatusFirst<C>, RequestBody>) -> Self {
        Self { client }
    }
}

impl<C: Clone> Clone for HttpClient<C> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone() }
    }
}

impl<C> fmt::Debug for HttpClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl<C, B> Service<Request<B>> for HttpClient<C>
where
    B: Into<RequestBody>,
    C: Connect,
{
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Connections are made on demand; how many at once is for a layer above to say.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.client.request(request.map(Into::into))
    }
}
