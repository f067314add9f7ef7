//! What the steps are made of: a sample, a clock that stands still, and services that do nothing.

use std::convert::Infallible;
use std::fmt::Write;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use envoi_core::{Clock, Failure, Parcel, Receipt, Segments, SharedClock};
use envoi_envelope::{Dsn, Envelope};
use http::{Request, Response};
use tower::Service;

const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

/// An event of 4 KiB as an SDK writes it, in an envelope.
pub(crate) fn input() -> Bytes {
    let mut event =
        format!(r#"{{"event_id":"{ID}","level":"error","platform":"rust","breadcrumbs":{{"values":["#);
    for number in 0.. {
        let crumb = format!(
            r#"{{"timestamp":{}.25,"category":"http","message":"GET /api/carts/{:08x}/items","data":{{"status_code":200}}}}"#,
            1_795_420_000 + number,
            number * 0x01f3_57bd_u64,
        );
        if event.len() + crumb.len() > 4 << 10 {
            break;
        }
        let _ = write!(event, "{}{crumb}", if number > 0 { "," } else { "" });
    }
    event.push_str("]}}");
    let length = event.len();
    format!(
        "{{\"event_id\":\"{ID}\",\"sdk\":{{\"name\":\"sentry.rust\",\"version\":\"0.49.5\"}}}}\n\
         {{\"type\":\"event\",\"length\":{length}}}\n{event}\n"
    )
    .into()
}

pub(crate) fn envelope() -> Envelope {
    Envelope::parse(input()).unwrap()
}

pub(crate) fn dsn() -> Dsn {
    Dsn::parse("https://public@o42.ingest.sentry.io/4711").unwrap()
}

/// A clock that stands still: a look at it is a call, and no deadline ever comes.
#[derive(Debug)]
pub(crate) struct Still(Instant);

impl Still {
    pub(crate) fn shared() -> SharedClock {
        Arc::new(Self(tokio::time::Instant::now().into_std()))
    }
}

impl Clock for Still {
    fn now(&self) -> Instant {
        self.0
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_420_800_125)
    }
}

/// Delivers everything, by dropping it.
#[derive(Clone, Debug)]
pub(crate) struct NoDelivery;

impl<P> Service<Parcel<P>> for NoDelivery {
    type Response = Receipt;
    type Error = Failure<P>;
    type Future = Ready<Result<Receipt, Failure<P>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure<P>>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, parcel: Parcel<P>) -> Self::Future {
        drop(parcel);
        ready(Ok(Receipt::delivered()))
    }
}

/// Answers 200 and `{}` to everything.
#[derive(Clone, Debug)]
pub(crate) struct NoExchange;

impl<B> Service<Request<B>> for NoExchange {
    type Response = Response<Segments>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Segments>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        drop(request);
        ready(Ok(Response::new(Segments::from("{}"))))
    }
}

/// One call of a service, from readiness to answer. All answers are there at once.
pub(crate) fn ask<S: Service<R>, R>(service: &mut S, request: R) -> Option<S::Response> {
    let mut context = Context::from_waker(Waker::noop());
    if !matches!(service.poll_ready(&mut context), Poll::Ready(Ok(()))) {
        return None;
    }
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(answer)) => Some(answer),
        _ => None,
    }
}
