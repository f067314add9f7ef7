use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use envoi_core::BoxError;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower_service::Service;

use super::script::Script;
use super::{Answer, MockBody};

/// A request that a [`MockExchange`] saw.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SeenExchange {
    /// The request with its whole body.
    pub request: Request<Bytes>,
    /// When its body was complete.
    pub at: Instant,
}

/// A scripted [`Exchange`](envoi_core::Exchange), for any type of request body. Clones share script and record.
///
/// A request is recorded once its body has been read; a body that fails is the error of the call.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use std::time::Duration;
/// use envoi_core::{Kind, Segments};
/// use envoi_testkit::mock::{Answer, MockExchange};
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
///
/// let exchange = MockExchange::new();
/// exchange.script([
///     Answer::status(StatusCode::SERVICE_UNAVAILABLE).after(Duration::from_secs(3600)),
///     Answer::error(Kind::Connect),
/// ]);
/// let request = || Request::post("http://localhost/").body(Segments::from("hello")).unwrap();
/// assert_eq!(exchange.clone().oneshot(request()).await.unwrap().status(), 503);
/// assert!(exchange.clone().oneshot(request()).await.is_err());
/// assert_eq!(exchange.clone().oneshot(request()).await.unwrap().status(), 200); // the default
/// assert_eq!(exchange.seen()[0].request.body(), "hello");
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct MockExchange {
    script: Arc<Script<Answer, SeenExchange>>,
}

impl Default for MockExchange {
    fn default() -> Self {
        Self::new()
    }
}

impl MockExchange {
    /// An exchange that answers 200.
    #[must_use]
    pub fn new() -> Self {
        Self::answering(Answer::ok())
    }

    /// An exchange that answers so whenever the script has no more steps.
    #[must_use]
    pub fn answering(otherwise: impl Into<Answer>) -> Self {
        Self { script: Arc::new(Script::new(otherwise.into())) }
    }

    /// Adds steps to the end of the script.
    pub fn script(&self, steps: impl IntoIterator<Item = Answer>) {
        self.script.extend(steps);
    }

    /// Changes what is answered whenever the script has no more steps.
    pub fn otherwise(&self, answer: impl Into<Answer>) {
        self.script.set_otherwise(answer.into());
    }

    /// How many steps of the script are left.
    #[must_use]
    pub fn steps_left(&self) -> usize {
        self.script.left()
    }

    /// The requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<SeenExchange> {
        self.script.seen()
    }

    /// Waits for the request number `count` and returns all so far. Cancel safe.
    pub async fn until_seen(&self, count: usize) -> Vec<SeenExchange> {
        self.script.until_seen(count).await
    }
}

impl<B> Service<Request<B>> for MockExchange
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<MockBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<MockBody>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let script = Arc::clone(&self.script);
        let answer = script.next();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            script.record(SeenExchange { request: Request::from_parts(parts, body), at: Instant::now() });
            answer.play().await
        })
    }
}
