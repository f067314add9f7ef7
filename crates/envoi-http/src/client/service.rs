use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use tower_service::Service;

use super::observe::SharedObserver;
use super::status_first::StatusFirst;
use super::tracked::Tracked;
use super::{ClientError, ClientFuture, Connect, HttpClientBuilder, Resend, TcpConnector, Timeouts};
use crate::RequestBody;

/// The core of a stack. See the module documentation.
///
/// Takes [`Segments`](envoi_core::Segments) and [`RequestBody`], so it works with and without a layer above that
/// changes the body. A clone shares the pool. Dropping the future of a call gives up the exchange: HTTP/1.1 closes
/// its connection, HTTP/2 resets its stream. Must be called inside a tokio runtime with I/O and time.
pub struct HttpClient<C = TcpConnector> {
    client: Client<StatusFirst<C>, Tracked>,
    settings: Arc<Settings>,
}

/// What a call needs to know.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) timeouts: Timeouts,
    pub(super) resend: Resend,
    pub(super) observer: Option<SharedObserver>,
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
    pub(super) fn new(client: Client<StatusFirst<C>, Tracked>, settings: Settings) -> Self {
        Self { client, settings: Arc::new(settings) }
    }
}

impl<C: Clone> Clone for HttpClient<C> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), settings: Arc::clone(&self.settings) }
    }
}

impl<C> fmt::Debug for HttpClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("timeouts", &self.settings.timeouts)
            .field("resend", &self.settings.resend)
            .finish_non_exhaustive()
    }
}

impl<C, B> Service<Request<B>> for HttpClient<C>
where
    B: Into<RequestBody>,
    C: Connect,
{
    type Response = Response<Incoming>;
    type Error = ClientError;
    type Future = ClientFuture<C>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        // Connections are made on demand; how many at once is for a layer above to say.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ClientFuture<C> {
        ClientFuture::new(self.client.clone(), Arc::clone(&self.settings), request.map(Into::into))
    }
}
