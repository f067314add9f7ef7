use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use envoi_core::{BoxError, Failure, Fault, Kind, Parcel, Receipt, Reply};
use http_body::Body;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::layer::Settings;
use super::log;
use super::reading::Reading;

pin_project_lite::pin_project! {
    /// The future of [`Encode`](super::Encode).
    ///
    /// Dropping it drops the exchange and the parcel with it; a parcel in custody says so (see
    /// [`Custodian`](envoi_core::Custodian)). Use the halt token to get the parcel back instead.
    pub struct EncodeFuture<F, B, P> {
        #[pin]
        state: State<F, B>,
        #[pin]
        halted: Option<WaitForCancellationFutureOwned>,
        parcel: Option<Parcel<P>>,
        settings: Arc<Settings>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProj]
    enum State<F, B> {
        Calling { #[pin] call: F },
        Reading { #[pin] reading: Reading<B>, #[pin] deadline: Option<Sleep> },
        Refused { fault: Option<Fault> },
        Done,
    }
}

impl<F, B, P> EncodeFuture<F, B, P> {
    pub(super) fn calling(call: F, parcel: Parcel<P>, settings: Arc<Settings>) -> Self {
        // No future, no cost, where there is no token.
        let halted = settings.halt.clone().map(CancellationToken::cancelled_owned);
        Self { state: State::Calling { call }, halted, parcel: Some(parcel), settings }
    }

    pub(super) fn refused(fault: Fault, parcel: Parcel<P>, settings: Arc<Settings>) -> Self {
        Self { state: State::Refused { fault: Some(fault) }, halted: None, parcel: Some(parcel), settings }
    }
}

impl<F, B, P, E> Future for EncodeFuture<F, B, P>
where
    F: Future<Output = Result<http::Response<B>, E>>,
    E: Into<BoxError>,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Output = Result<Receipt, Failure<P>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let verdict = loop {
            match this.state.as_mut().project() {
                // The exchange is asked first: an answer that is there beats a halt and a deadline.
                StateProj::Calling { call } => match call.poll(cx) {
                    Poll::Ready(Ok(response)) => {
                        let reading = Reading::new(response, this.settings.keep, this.settings.drain);
                        this.state.set(State::Reading { reading, deadline: None });
                    }
                    Poll::Ready(Err(error)) => break Err(this.settings.policy.judge_error(error.into())),
                    Poll::Pending if is_halted(this.halted.as_mut(), cx) => {
                        break Err(Fault::new(Kind::Halted));
                    }
                    Poll::Pending => return Poll::Pending,
                },
                StateProj::Reading { mut reading, mut deadline } => {
                    if let Poll::Ready(reply) = reading.as_mut().poll(cx) {
                        break judge(this.settings, reply);
                    }
                    if deadline.is_none() {
                        deadline.set(Some(tokio::time::sleep(this.settings.body_timeout)));
                    }
                    let late = deadline.as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_ready());
                    if late || is_halted(this.halted.as_mut(), cx) {
                        break judge(this.settings, reading.cut_short());
                    }
                    return Poll::Pending;
                }
                StateProj::Refused { fault } => match fault.take() {
                    Some(fault) => break Err(fault),
                    None => unreachable!("a refused call is answered once"),
                },
                StateProj::Done => unreachable!("a future is not polled after it has finished"),
            }
        };
        // The exchange and its connection go before the answer is acted on.
        this.state.set(State::Done);
        Poll::Ready(verdict.map_err(|fault| {
            log::failure(&fault);
            match this.parcel.take() {
                Some(parcel) => Failure::new(fault, parcel),
                None => unreachable!("the parcel is given back once"),
            }
        }))
    }
}

fn is_halted(halted: Pin<&mut Option<WaitForCancellationFutureOwned>>, cx: &mut Context<'_>) -> bool {
    halted.as_pin_mut().is_some_and(|halted| halted.poll(cx).is_ready())
}

fn judge(settings: &Settings, reply: Reply) -> Result<Receipt, Fault> {
    settings.policy.judge(reply, settings.clock.wall())
}

impl<F, B, P> fmt::Debug for EncodeFuture<F, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Calling { .. } => "calling",
            State::Reading { .. } => "reading",
            State::Refused { .. } => "refused",
            State::Done => "done",
        };
        f.debug_struct("EncodeFuture").field("state", &state).finish_non_exhaustive()
    }
}
