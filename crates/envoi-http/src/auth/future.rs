use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use envoi_core::{BoxError, Fault};

pin_project_lite::pin_project! {
    /// The future of [`Auth`](super::Auth). Dropping it drops the exchange.
    #[derive(Debug)]
    pub struct AuthFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Calling { #[pin] call: F },
        Refused { fault: Option<Fault> },
    }
}

impl<F> AuthFuture<F> {
    pub(super) const fn calling(call: F) -> Self {
        Self { state: State::Calling { call } }
    }

    pub(super) const fn refused(fault: Fault) -> Self {
        Self { state: State::Refused { fault: Some(fault) } }
    }
}

impl<F, T, E> Future for AuthFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Calling { call } => call.poll(cx).map_err(Into::into),
            StateProj::Refused { fault } => match fault.take() {
                Some(fault) => Poll::Ready(Err(fault.into())),
                None => unreachable!("a future is not polled after it has finished"),
            },
        }
    }
}
