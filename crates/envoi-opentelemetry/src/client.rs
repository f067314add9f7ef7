use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use envoi_core::{BoxError, Deliver, Exchange, Failure, Fate, Fault, Kind, Parcel, Receipt, Reply, Segments};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use opentelemetry_http::{HttpClient, HttpError, ResponseBodyTooLarge};
use tower::ServiceExt;

use crate::{Background, OtlpRequest};

/// As much of an answer as the clients of `opentelemetry-http` take.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Says what became of a request that no server has answered yet: `queued`, `stored` or `spent`.
pub const FATE_HEADER: HeaderName = HeaderName::from_static("x-envoi-fate");

type Answer = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send>>;

/// The [`HttpClient`] that exporters are given. Clones are cheap and share the stack.
///
/// Over an [exchange](Self::exchange) it is one request and its answer. Over a [delivery](Self::delivery) stack
/// it is one parcel and what became of it, so that retry, breaker and the rest apply. Either way the exporter sees the
/// server's own status.
#[derive(Clone)]
pub struct OtlpClient {
    send: Arc<dyn Fn(Request<Bytes>) -> Answer + Send + Sync>,
    background: Background,
    limit: Option<Duration>,
}

impl OtlpClient {
    /// A client over a stack of the exchange level: authentication, compression, proxy, TLS, and tower-http's layers.
    ///
    /// A request has [10 s](Self::timeout), its answer included, of which 4 MiB are read.
    ///
    /// ```
    /// use envoi_http::{AuthLayer, CompressLayer, HttpClient, bearer};
    /// use envoi_opentelemetry::{Background, OtlpClient};
    /// use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
    /// use tower::ServiceBuilder;
    ///
    /// let exchange = ServiceBuilder::new()
    ///     .layer(AuthLayer::new(bearer("s3cret")?))
    ///     .layer(CompressLayer::gzip())
    ///     .service(HttpClient::new_http());
    /// let client = OtlpClient::exchange(exchange, Background::spawn()?);
    /// let exporter = SpanExporter::builder().with_http().with_http_client(client).build()?;
    /// # let _ = exporter;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn exchange<X>(exchange: X, background: impl Into<Background>) -> Self
    where
        X: Exchange<Body: Send, Future: Send> + Clone + Send + 'static,
    {
        let shared = Mutex::new(exchange);
        let send = move |request: Request<Bytes>| -> Answer {
            let exchange = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Box::pin(async move {
                let request = request.map(Segments::from);
                let response = exchange.oneshot(request).await.map_err(Into::into)?;
                let (head, body) = response.into_parts();
                let body = Limited::new(body, MAX_BODY).collect().await.map_err(too_large)?;
                Ok(Response::from_parts(head, body.to_bytes()))
            })
        };
        Self { send: Arc::new(send), background: background.into(), limit: Some(Duration::from_secs(10)) }
    }

    /// A client over a stack of the delivery level, `Service<Parcel<OtlpRequest>>`: retry, breaker, a queue, above an
    /// `Encode` with the [`OtlpCodec`](crate::OtlpCodec). Time is limited by the layers, unless
    /// [told otherwise](Self::timeout).
    ///
    /// What the exporter is answered:
    ///
    /// | the stack says | the exporter sees |
    /// |---|---|
    /// | delivered, or failed with a reply | the server's status, headers and body, whatever the status |
    /// | failed without a reply: network, open breaker | an error, the [`Fault`] |
    /// | a queue or a store took it over | 202 with `x-envoi-fate: queued` or `stored` |
    /// | a layer dropped and recorded it | 202 with `x-envoi-fate: spent` |
    ///
    /// Where the stack retries, tell the exporter not to: `RetryPolicy::default().with_max_retries(0)`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use envoi_http::{EncodeLayer, HttpClient, Policy};
    /// use envoi_layers::retry::{RetryLayer, Schedule};
    /// use envoi_opentelemetry::{Background, OtlpClient, OtlpCodec};
    /// use tower::ServiceBuilder;
    ///
    /// let stack = ServiceBuilder::new()
    ///     .layer(RetryLayer::new(Schedule::brief()))
    ///     .layer(EncodeLayer::new(OtlpCodec).policy(Policy::at_least_once()))
    ///     .timeout(Duration::from_secs(10))
    ///     .service(HttpClient::new_http());
    /// let client = OtlpClient::delivery(stack, Background::spawn()?);
    /// # let _ = client;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn delivery<S>(stack: S, background: impl Into<Background>) -> Self
    where
        S: Deliver<OtlpRequest, Future: Send> + Clone + Send + 'static,
    {
        let shared = Mutex::new(stack);
        let send = move |request: Request<Bytes>| -> Answer {
            let stack = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Box::pin(async move {
                match stack.oneshot(Parcel::new(request.into())).await.map_err(Into::into) {
                    Ok(receipt) => Ok(discharged(receipt)),
                    Err(failure) => failed(failure),
                }
            })
        };
        Self { send: Arc::new(send), background: background.into(), limit: None }
    }

    /// How long a request may take in all, its answer included; `None` leaves it to the stack. A request whose time is
    /// over is given up.
    #[must_use]
    pub const fn timeout(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }
}

fn too_large(error: BoxError) -> BoxError {
    // By this type an exporter knows that another attempt is in vain.
    if error.is::<LengthLimitError>() { Box::new(ResponseBodyTooLarge::new()) } else { error }
}

fn answer(reply: Reply) -> Response<Bytes> {
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

/// Nobody has answered yet, or ever will: 202 is "accepted for processing, and processing has not been completed"
/// (RFC 9110 §15.3.3).
fn discharged(receipt: Receipt) -> Response<Bytes> {
    let fate = match receipt.fate() {
        Fate::Queued => "queued",
        Fate::Stored => "stored",
        Fate::Spent => "spent",
        _ => "delivered",
    };
    receipt.into_reply().map_or_else(
        || {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::ACCEPTED;
            response.headers_mut().insert(FATE_HEADER, HeaderValue::from_static(fate));
            response
        },
        answer,
    )
}

fn failed(failure: Failure<OtlpRequest>) -> Result<Response<Bytes>, HttpError> {
    match failure.fault().reply() {
        Some(reply) => Ok(answer(reply.clone())),
        // The parcel goes with the failure: the exporter has the data, and answers for it.
        None => Err(failure.into_parts().0.into()),
    }
}

#[async_trait]
impl HttpClient for OtlpClient {
    /// Sends a request, from any thread. To drop the future gives it up.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = (self.send)(request);
        let limit = self.limit;
        let running = self.background.run(async move {
            match limit {
                None => answer.await,
                Some(limit) => tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
                    let words = format!("no complete answer within {limit:?}");
                    Err(Fault::new(Kind::Timeout).with_message(words).into())
                }),
            }
        });
        running.await?
    }
}

impl fmt::Debug for OtlpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpClient").field("timeout", &self.limit).finish_non_exhaustive()
    }
}
