use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use envoi_core::{Advice, BoxError, Fault, Phase};
use http::Uri;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tower_service::Service;

use super::error::{ProxyError, ProxyProblem};
use super::handshake::{Target, shake_hands};
use super::stream::Io;
use super::{ProxyServer, ProxyStream};
use crate::client::observe::{self, Event, SharedObserver};
use crate::client::{Connect, TimedOut, entering};

type Stream<C> = ProxyStream<<C as Service<Uri>>::Response>;

/// The future of [`Proxy`](super::Proxy). Dropping it gives up the connection.
pub struct ProxyFuture<C: Connect> {
    state: State<C>,
}

enum State<C: Connect> {
    Direct(C::Future),
    /// One box for a connection that takes several trips to a proxy.
    Through(Pin<Box<dyn Future<Output = Result<Stream<C>, BoxError>> + Send>>),
}

/// What a proxy is asked for.
pub(super) struct Errand {
    /// Where the tunnel is to lead; none for a proxy that forwards.
    pub(super) target: Option<Target>,
    pub(super) limit: Duration,
    pub(super) observer: Option<SharedObserver>,
}

impl<C: Connect> ProxyFuture<C> {
    pub(super) const fn direct(connecting: C::Future) -> Self {
        Self { state: State::Direct(connecting) }
    }

    pub(super) fn failed(fault: Fault) -> Self {
        Self { state: State::Through(Box::pin(ready(Err(fault.into())))) }
    }

    pub(super) fn through<T, E>(
        connecting: impl Future<Output = Result<T, E>> + Send + 'static,
        wrap: impl FnOnce(T) -> Io<C::Response> + Send + 'static,
        server: ProxyServer,
        errand: Errand,
    ) -> Self
    where
        T: Read + Write + Unpin + Send + 'static,
        E: Into<BoxError>,
    {
        let way = async move {
            let io = match connecting.await {
                Ok(io) => io,
                Err(error) => return Err(unreachable_proxy(&server, error.into())),
            };
            let Some(target) = errand.target else { return Ok(ProxyStream::forwarded(wrap(io))) };
            entering(Phase::Proxy);
            let begun = Instant::now();
            let opened = tokio::time::timeout(errand.limit, open(io, &server, target)).await;
            let result = match opened {
                Ok(Ok(opened)) => Ok(opened),
                Ok(Err(error)) => Err(BoxError::from(error.into_fault(Phase::Proxy))),
                Err(_) => Err(TimedOut::new(Phase::Proxy, errand.limit).at(server.to_string()).into()),
            };
            tell(errand.observer.as_ref(), &server, result.as_ref().map(drop), begun.elapsed());
            let (io, early) = result?;
            Ok(ProxyStream::transparent(wrap(io), early))
        };
        Self { state: State::Through(Box::pin(way)) }
    }
}

fn tell(
    observer: Option<&SharedObserver>,
    server: &ProxyServer,
    result: Result<(), &BoxError>,
    took: Duration,
) {
    match (observer, result) {
        (None, _) => {}
        (Some(observer), Ok(())) => {
            let detail = if server.scheme().is_http() { "CONNECT" } else { server.scheme().as_str() };
            observer.event(&Event::Tunnelled { proxy: &server.to_string(), detail, took });
        }
        (Some(_), Err(error)) => observe::failed(observer, Phase::Proxy, error.as_ref(), took),
    }
}

async fn open<T>(io: T, server: &ProxyServer, target: Target) -> Result<(T, Bytes), ProxyError>
where
    T: Read + Write + Unpin,
{
    #[cfg(feature = "socks")]
    let target = super::lookup::resolved(server, target).await?;
    let mut io = TokioIo::new(io);
    let early = shake_hands(&mut io, server, &target).await?;
    Ok((io.into_inner(), early))
}

/// A proxy that is not there is the proxy's failure, whatever the connector calls it; what no later attempt would
/// mend stays what it is.
fn unreachable_proxy(server: &ProxyServer, error: BoxError) -> BoxError {
    let fault = crate::classify(error);
    if fault.advice() == Advice::Drop {
        return fault.into();
    }
    let phase = fault.phase().unwrap_or(Phase::Connect);
    ProxyError::new(server, ProxyProblem::Unreachable).caused_by(fault).into_fault(phase).into()
}

impl<C: Connect> Future for ProxyFuture<C> {
    type Output = Result<Stream<C>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Direct(connecting) => Pin::new(connecting).poll(cx).map(|result| match result {
                Ok(io) => Ok(ProxyStream::transparent(Io::Plain(io), Bytes::new())),
                Err(error) => Err(error.into()),
            }),
            State::Through(way) => way.as_mut().poll(cx),
        }
    }
}

impl<C: Connect> fmt::Debug for ProxyFuture<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyFuture").finish_non_exhaustive()
    }
}
