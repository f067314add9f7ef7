use std::fmt;

use envoi_batch::{Batch, JsonArrayCodec};
use envoi_core::{BoxError, Deliver, Exchange, Fault, SharedClock};
use envoi_envelope::user_agent;
use envoi_http::client::Connect;
use envoi_http::{Auth, AuthLayer, Authorize, Compress, CompressLayer, Encode, EncodeLayer, HeaderAuth};
use http::header::USER_AGENT;
use http::request::Parts;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower::layer::util::Identity;
use tower::timeout::Timeout;
use tower_layer::Layer;

use super::BatchBuildError;
use super::settings::HttpSettings;
use crate::way::{Core, DefaultConnector, Source};
use crate::{ExtraHeaders, ExtraHeadersLayer};

/// What stands below an exchange layer of yours in the preset: credentials, headers, compression, the client.
pub type BatchExchange<C = DefaultConnector> = Auth<ExtraHeaders<Compress<Core<C>>>, Credentials>;

/// The receiver of the preset over HTTP, with the exchange `X`.
pub type BatchEndpoint<X> = Encode<Timeout<X>, JsonArrayCodec>;

/// Where batches go: [`Http`], or a [`Sink`] of yours. Nobody has to implement it.
pub trait Receiver: sealed::Sealed {
    /// The service that takes one attempt.
    type Service: Deliver<Batch>;

    #[doc(hidden)]
    fn make(self, common: Common) -> Result<Self::Service, BatchBuildError>;
}

/// What a receiver is made with.
#[doc(hidden)]
pub struct Common {
    pub(super) http: HttpSettings,
    pub(super) halt: CancellationToken,
    pub(super) clock: SharedClock,
    pub(super) connections: usize,
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common").finish_non_exhaustive()
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A server that is posted to, with exchange layers `H` and connector `C` of yours.
#[derive(Clone, Debug)]
pub struct Http<H = Identity, C = DefaultConnector> {
    pub(super) exchange: H,
    pub(super) connector: Source<C>,
}

impl<H, C> sealed::Sealed for Http<H, C> {}

impl<H, C> Receiver for Http<H, C>
where
    C: Connect,
    H: Layer<BatchExchange<C>>,
    H::Service: Exchange<Error: Into<BoxError>>,
{
    type Service = BatchEndpoint<H::Service>;

    fn make(self, common: Common) -> Result<Self::Service, BatchBuildError> {
        let Common { http, halt, clock, connections } = common;
        let url = http.url.map_err(BatchBuildError::Url)?;
        // Exactly this for all parts of an attempt (BD-6). The client keeps the same limit, is asked first, and knows what
        // it was busy with; only what layers in between took away from its time goes without a phase.
        let attempt = http.way.attempt_limit();
        let core = http.way.core(self.connector, &url, connections).map_err(BatchBuildError::Way)?;
        let auth = http.auth.transpose().map_err(BatchBuildError::Credential)?;
        let mut headers = http.headers;
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, user_agent(&http.user_agent));
        }
        let compress = CompressLayer::new(http.encoding);
        let compress = match http.level {
            Some(level) => compress.level(level),
            None => compress,
        };
        let exchange = self.exchange.layer(
            ServiceBuilder::new()
                .layer(AuthLayer::new(Credentials(auth)))
                .layer(ExtraHeadersLayer::new(headers))
                .layer(compress)
                .service(core),
        );
        Ok(ServiceBuilder::new()
            .layer(
                EncodeLayer::new(JsonArrayCodec::new(url).framing(http.framing))
                    .policy(http.policy)
                    .body_timeout(attempt)
                    .halt_on(halt)
                    .clock(clock),
            )
            .timeout(attempt)
            .service(exchange))
    }
}

/// A service of yours that takes the place of HTTP, see [`BatchBuilder::sink`](crate::BatchBuilder::sink).
#[derive(Clone, Debug)]
pub struct Sink<S>(pub(super) S);

impl<S> sealed::Sealed for Sink<S> {}

impl<S: Deliver<Batch>> Receiver for Sink<S> {
    type Service = S;

    fn make(self, _: Common) -> Result<S, BatchBuildError> {
        Ok(self.0)
    }
}

/// The credentials of the preset, if there are any (AU-8).
#[derive(Clone, Debug)]
pub struct Credentials(Option<HeaderAuth>);

impl Authorize for Credentials {
    fn authorize(&self, parts: &mut Parts) -> Result<(), Fault> {
        match &self.0 {
            Some(auth) => auth.authorize(parts),
            None => Ok(()),
        }
    }
}
