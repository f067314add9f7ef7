use tower_layer::Layer;

use super::Forward;
use crate::proxy::ProxyConfig;

/// The [`Layer`] of [`Forward`]: what requests to `http` targets need when a forward proxy carries them.
///
/// Place it directly above the client, with the config of the [`ProxyLayer`](crate::proxy::ProxyLayer) in it.
///
/// A forward proxy may close connections after each answer without having said so (tinyproxy does); with
/// [`Resend::Stale`](crate::client::Resend::Stale) that costs no envelope.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a client"]
pub struct ForwardLayer {
    config: ProxyConfig,
}

impl ForwardLayer {
    /// For these proxies, which must be those of the connector: else their credentials go to the server.
    pub const fn new(config: ProxyConfig) -> Self {
        Self { config }
    }
}

impl<S> Layer<S> for ForwardLayer {
    type Service = Forward<S>;

    fn layer(&self, inner: S) -> Forward<S> {
        Forward::new(inner, self.config.clone())
    }
}
