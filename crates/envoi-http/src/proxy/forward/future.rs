use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use envoi_core::{BoxError, Phase};
use http::Response;
use http::header::PROXY_AUTHENTICATE;

use super::made_by_proxy;
use crate::proxy::ProxyServer;
use crate::proxy::error::ProxyError;
use crate::proxy::handshake::offers_basic;

pin_project_lite::pin_project! {
    /// The future of [`Forward`](super::Forward). Dropping it drops the exchange.
    #[derive(Debug)]
    pub struct ForwardFuture<F> {
        #[pin]
        call: F,
        proxy: Option<ProxyServer>,
    }
}

impl<F> ForwardFuture<F> {
    pub(super) const fn new(call: F, proxy: Option<ProxyServer>) -> Self {
        Self { call, proxy }
    }
}

impl<F, R, E> Future for ForwardFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<R>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.call.poll(cx)).map_err(Into::into)?;
        let (status, headers) = (response.status(), response.headers());
        match this.proxy {
            Some(proxy) if made_by_proxy(status, headers) => {
                let mut asked = headers.get_all(PROXY_AUTHENTICATE).iter();
                let knows_basic = asked.any(|value| offers_basic(value.as_bytes()));
                let error = ProxyError::answered(proxy, status, knows_basic);
                // A proxy that could not bring an answer may have handed the request on before (502, 504).
                let phase = if status.is_server_error() { Phase::Reply } else { Phase::Proxy };
                Poll::Ready(Err(error.into_fault(phase).into()))
            }
            _ => Poll::Ready(Ok(response)),
        }
    }
}
