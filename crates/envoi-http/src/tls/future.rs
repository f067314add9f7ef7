use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use envoi_core::{BoxError, Phase};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, Sleep};

use super::layer::Setup;
use super::{TlsError, TlsStream};
use crate::client::observe::{self, Event, Handshake, SharedObserver};
use crate::client::{TimedOut, entering};

/// What is to be done once there is a connection.
pub(super) struct Plan {
    pub(super) setup: Arc<Setup>,
    pub(super) name: ServerName<'static>,
    pub(super) host: String,
    pub(super) limit: Duration,
    pub(super) observer: Option<SharedObserver>,
}

pin_project_lite::pin_project! {
    /// The future of [`Tls`](super::Tls). Dropping it gives up the connection.
    pub struct TlsFuture<F, T> {
        #[pin]
        state: State<F, T>,
        plan: Option<Plan>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProj]
    enum State<F, T> {
        Connecting { #[pin] connecting: F },
        Handshaking { connect: Box<tokio_rustls::Connect<TokioIo<T>>>, sleep: Pin<Box<Sleep>>, begun: Instant },
        Refused { error: Option<BoxError> },
    }
}

impl<F, T> TlsFuture<F, T> {
    pub(super) const fn connecting(connecting: F, plan: Option<Plan>) -> Self {
        Self { state: State::Connecting { connecting }, plan }
    }

    pub(super) const fn refused(error: BoxError) -> Self {
        Self { state: State::Refused { error: Some(error) }, plan: None }
    }
}

impl<F, T, E> Future for TlsFuture<F, T>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
    T: Read + Write + Unpin,
{
    type Output = Result<TlsStream<T>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Connecting { connecting } => {
                    let io = ready!(connecting.poll(cx)).map_err(Into::into)?;
                    let Some(plan) = this.plan.as_ref() else {
                        return Poll::Ready(Ok(TlsStream::plain(io)));
                    };
                    let connect = plan.setup.connector.connect(plan.name.clone(), TokioIo::new(io));
                    let sleep = Box::pin(tokio::time::sleep(plan.limit));
                    this.state.set(State::Handshaking {
                        connect: Box::new(connect),
                        sleep,
                        begun: Instant::now(),
                    });
                }
                StateProj::Handshaking { connect, sleep, begun } => {
                    let Some(plan) = this.plan.as_ref() else {
                        unreachable!("no handshake is begun without a plan")
                    };
                    entering(Phase::Tls);
                    let result = match Pin::new(&mut **connect).poll(cx) {
                        Poll::Ready(result) => plan.conclude(result, begun.elapsed()),
                        Poll::Pending => {
                            ready!(sleep.as_mut().poll(cx));
                            Err(TimedOut::new(Phase::Tls, plan.limit).at(&plan.host).into())
                        }
                    };
                    if let Err(error) = &result {
                        observe::failed(plan.observer.as_ref(), Phase::Tls, error.as_ref(), begun.elapsed());
                    }
                    return Poll::Ready(result);
                }
                StateProj::Refused { error } => match error.take() {
                    Some(error) => return Poll::Ready(Err(error)),
                    None => unreachable!("a future is not polled after it has finished"),
                },
            }
        }
    }
}

impl Plan {
    fn conclude<T: Read + Write + Unpin>(
        &self,
        result: std::io::Result<tokio_rustls::client::TlsStream<TokioIo<T>>>,
        took: Duration,
    ) -> Result<TlsStream<T>, BoxError> {
        let stream = result.map_err(|error| TlsError::handshake(self.host.clone(), error))?;
        let session = stream.get_ref().1;
        // A server that knows nothing of ALPN ignores it (RFC 7301 §3.2), which is fine unless nothing else would do.
        if self.setup.only_http2 && session.alpn_protocol() != Some(b"h2") {
            return Err(TlsError::no_common_protocol(self.host.clone()).into());
        }
        if let Some(observer) = &self.observer {
            let handshake = Handshake::of(session);
            observer.event(&Event::Secured { host: &self.host, handshake: &handshake, took });
        }
        Ok(TlsStream::tls(stream, self.host.clone()))
    }
}

impl<F, T> fmt::Debug for TlsFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Connecting { .. } => "connecting",
            State::Handshaking { .. } => "handshaking",
            State::Refused { .. } => "refused",
        };
        f.debug_struct("TlsFuture").field("state", &state).finish_non_exhaustive()
    }
}
