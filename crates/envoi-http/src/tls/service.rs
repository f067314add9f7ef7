use std::task::{Context, Poll};

use envoi_core::BoxError;
use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, Write};
use tower_service::Service;

use super::build::server_name;
use super::future::Plan;
use super::{TlsError, TlsFuture, TlsLayer};
use crate::client::{TlsUnavailable, host_and_port};

/// A connector that speaks TLS where the address is `https`. Other addresses it leaves to the connector below, as they
/// are. See the module documentation.
#[derive(Clone, Debug)]
pub struct Tls<C> {
    inner: C,
    layer: TlsLayer,
}

impl<C> Tls<C> {
    pub(super) const fn new(inner: C, layer: TlsLayer) -> Self {
        Self { inner, layer }
    }

    /// The connector below.
    pub const fn get_ref(&self) -> &C {
        &self.inner
    }

    /// The connector below, to change it.
    pub const fn get_mut(&mut self) -> &mut C {
        &mut self.inner
    }

    /// The connector below by value.
    pub fn into_inner(self) -> C {
        self.inner
    }
}

impl<C> Service<Uri> for Tls<C>
where
    C: Service<Uri, Error: Into<BoxError>>,
    C::Response: Read + Write + Unpin,
{
    type Response = super::TlsStream<C::Response>;
    type Error = BoxError;
    type Future = TlsFuture<C::Future, C::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return TlsFuture::connecting(self.inner.call(uri), None);
        }
        let Some(setup) = &self.layer.setup else {
            return TlsFuture::refused(TlsUnavailable::new().into());
        };
        let host = uri.authority().map_or_else(String::new, host_and_port);
        let name = setup.name.clone().or_else(|| server_name(uri.host().unwrap_or_default()));
        let Some(name) = name else {
            return TlsFuture::refused(TlsError::bad_name(host).into());
        };
        let plan = Plan {
            setup: setup.clone(),
            name,
            host,
            limit: self.layer.limit,
            observer: self.layer.observer.clone(),
        };
        TlsFuture::connecting(self.inner.call(uri), Some(plan))
    }
}
