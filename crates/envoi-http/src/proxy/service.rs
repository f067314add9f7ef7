use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use envoi_core::{BoxError, Phase};
use http::Uri;
use http::uri::Scheme;
use tower_service::Service;

use super::error::{ProxyError, ProxyProblem};
use super::future::Errand;
use super::handshake::Target;
use super::stream::Io;
use super::{ProxyConfig, ProxyFuture, ProxyLayer, ProxyScheme, ProxyServer, ProxyStream};
use crate::client::Connect;
use crate::client::observe::SharedObserver;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// A connector that goes through a proxy where one applies. See the module documentation.
#[derive(Clone)]
pub struct Proxy<C> {
    inner: C,
    config: ProxyConfig,
    limit: Duration,
    observer: Option<SharedObserver>,
    /// The way to proxies that are spoken to by TLS.
    #[cfg(feature = "tls")]
    secure: Option<Tls<C>>,
}

impl<C: Clone> Proxy<C> {
    pub(super) fn new(inner: C, layer: &ProxyLayer) -> Self {
        Self {
            #[cfg(feature = "tls")]
            secure: layer.tls.clone().map(|tls| {
                let tls = tls.timeout(layer.tls_timeout);
                let tls = match &layer.observer {
                    Some(observer) => tls.observer(observer.clone()),
                    None => tls,
                };
                tower_layer::Layer::layer(&tls, inner.clone())
            }),
            inner,
            config: layer.config.clone(),
            limit: layer.handshake_timeout,
            observer: layer.observer.clone(),
        }
    }
}

impl<C> Proxy<C> {
    /// The connector below.
    pub const fn get_ref(&self) -> &C {
        &self.inner
    }

    /// The connector below by value.
    pub fn into_inner(self) -> C {
        self.inner
    }

    /// What decides which proxy it is.
    pub const fn config(&self) -> &ProxyConfig {
        &self.config
    }
}

impl<C: fmt::Debug> fmt::Debug for Proxy<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("inner", &self.inner)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<C: Connect> Proxy<C> {
    fn through(&mut self, server: ProxyServer, uri: &Uri) -> ProxyFuture<C> {
        let forwarded = self.config.forwarder(uri).is_some();
        let Some(target) = Target::of(uri) else {
            return ProxyFuture::failed(
                ProxyError::new(&server, ProxyProblem::BadTarget).into_fault(Phase::Proxy),
            );
        };
        let target = (!forwarded).then_some(target);
        let errand = Errand { target, limit: self.limit, observer: self.observer.clone() };
        if server.scheme() == ProxyScheme::Https {
            #[cfg(feature = "tls")]
            if let Some(secure) = &mut self.secure {
                let connecting = secure.call(server.uri(&Scheme::HTTPS));
                return ProxyFuture::through(connecting, Io::Secure, server, errand);
            }
            return ProxyFuture::failed(
                ProxyError::new(&server, ProxyProblem::NoTls).into_fault(Phase::Proxy),
            );
        }
        // The scheme of the target, so that a connector which refuses `https` for want of TLS does so here, too:
        // else a stack without TLS would send credentials through the tunnel in clear text.
        let scheme = uri.scheme().unwrap_or(&Scheme::HTTP);
        let connecting = self.inner.call(server.uri(scheme));
        ProxyFuture::through(connecting, Io::Plain, server, errand)
    }
}

impl<C: Connect> Service<Uri> for Proxy<C> {
    type Response = ProxyStream<C::Response>;
    type Error = BoxError;
    type Future = ProxyFuture<C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Which of the two is called is known when the target is.
        #[cfg(feature = "tls")]
        if let Some(secure) = &mut self.secure {
            std::task::ready!(secure.poll_ready(cx))?;
        }
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> ProxyFuture<C> {
        match self.config.choose(&uri).cloned() {
            None => ProxyFuture::direct(self.inner.call(uri)),
            Some(server) => self.through(server, &uri),
        }
    }
}
