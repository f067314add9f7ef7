use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use envoi_core::Segments;
use http::Request;
use tokio::sync::oneshot;
use tower_service::Service;

use super::Encoding;
use super::service::compressed;
use crate::RequestBody;

pin_project_lite::pin_project! {
    /// The future of [`Compress`](super::Compress).
    ///
    /// Dropping it drops the exchange; a compression that is running stops at its next look, after 64 KiB at most.
    pub struct CompressFuture<S>
    where
        S: Service<Request<RequestBody>>,
    {
        #[pin]
        state: State<S, S::Future>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        Compressing {
            service: S,
            result: oneshot::Receiver<Option<Bytes>>,
            request: Option<Request<Segments>>,
            encoding: Encoding,
        },
        Calling { #[pin] call: F },
    }
}

impl<S: Service<Request<RequestBody>>> CompressFuture<S> {
    pub(super) const fn calling(call: S::Future) -> Self {
        Self { state: State::Calling { call } }
    }

    pub(super) const fn compressing(
        service: S,
        result: oneshot::Receiver<Option<Bytes>>,
        request: Request<Segments>,
        encoding: Encoding,
    ) -> Self {
        Self { state: State::Compressing { service, result, request: Some(request), encoding } }
    }
}

impl<S: Service<Request<RequestBody>>> Future for CompressFuture<S> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Compressing { service, result, request, encoding } => {
                    // A worker that died leaves the body as it was, so it is sent like that.
                    let small = ready!(Pin::new(result).poll(cx)).unwrap_or_default();
                    let Some(request) = request.take() else {
                        unreachable!("the request is sent once");
                    };
                    let (parts, body) = request.into_parts();
                    let call = service.call(compressed(parts, body, *encoding, |_| small));
                    this.state.set(State::Calling { call });
                }
                StateProj::Calling { call } => return call.poll(cx),
            }
        }
    }
}

impl<S: Service<Request<RequestBody>>> fmt::Debug for CompressFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Compressing { .. } => "compressing",
            State::Calling { .. } => "calling",
        };
        f.debug_struct("CompressFuture").field("state", &state).finish_non_exhaustive()
    }
}
