use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
#[cfg(feature = "spool")]
use std::time::Duration;

#[cfg(feature = "proxy")]
use envoi::way::ProxyConfig;
use envoi::{BuildError, Capacity, Dsn, SentryBuilder, Transport};
use sentry_core::types::Scheme;
use sentry_core::{TransportFactory, TransportOptions};

use crate::{EnvoiTransport, SetupError};

type Recipe = dyn Fn(SentryBuilder) -> Result<Transport, BuildError> + Send + Sync;
type Handler = dyn Fn(&SetupError) + Send + Sync;

/// Makes a transport for each client from the client's own options: the one line in `ClientOptions`.
///
/// ```
/// use envoi_sentry::EnvoiTransportFactory;
/// use sentry::ClientOptions;
///
/// let options = ClientOptions::new().transport(EnvoiTransportFactory::new());
/// # assert!(options.transport.is_some());
/// ```
///
/// What the options say is done:
///
/// | option | here |
/// |---|---|
/// | `dsn` | where to, and with which credentials; without one there is no transport |
/// | `user_agent` | the user agent, and `sentry_client` in the credentials |
/// | `http_proxy`, `https_proxy` | the proxies, with `no_proxy` and `all_proxy` of the environment; if neither is set, those of the environment; loopback is reached without |
/// | `accept_invalid_certs` | obeyed with the feature `danger-insecure-tls` only |
/// | `transport_channel_capacity` | how many items each of the five lanes holds, instead of 1000 |
/// | `shutdown_timeout` | the limit of a close without one of its own, as ever |
///
/// A transport runs on a thread of its own, so it works without a runtime, inside of any, in a panic hook and at exit.
#[derive(Clone)]
pub struct EnvoiTransportFactory {
    recipe: Arc<Recipe>,
    handler: Arc<Handler>,
    #[cfg(feature = "spool")]
    disk: Option<std::path::PathBuf>,
    #[cfg(feature = "spool")]
    patience: Option<Duration>,
}

impl EnvoiTransportFactory {
    /// All settings as the options of the client say, the rest as the [preset](envoi::sentry()) has it.
    #[must_use]
    pub fn new() -> Self {
        Self::build_with(SentryBuilder::build)
    }

    /// Settings, layers and the connector of your own: `recipe` is given a builder on which the options of the client
    /// are set, and builds. It is called once per client.
    ///
    /// ```
    /// use envoi::Encoding;
    /// use envoi_sentry::EnvoiTransportFactory;
    ///
    /// let factory = EnvoiTransportFactory::build_with(|builder| {
    ///     let transport = builder.concurrency(2).encoding(Encoding::Identity).build()?;
    ///     // … keep a clone of `transport` for its statistics, if you like.
    ///     Ok(transport)
    /// });
    /// # let _ = factory;
    /// ```
    #[must_use]
    pub fn build_with(
        recipe: impl Fn(SentryBuilder) -> Result<Transport, BuildError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            recipe: Arc::new(recipe),
            handler: Arc::new(complain),
            #[cfg(feature = "spool")]
            disk: None,
            #[cfg(feature = "spool")]
            patience: None,
        }
    }

    /// Keeps what is not sent yet in the directory `path`, so that it survives the process; see
    /// [`SentryBuilder::disk_buffer`]. If the directory cannot be used, the queue is in memory, and
    /// [the handler](Self::on_error) is told.
    ///
    /// Clients that live at the same time, in this process or in others, may share a directory.
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    #[must_use]
    pub fn disk_buffer(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.disk = Some(path.into());
        self
    }

    /// Lets whoever captures an error wait until the disk buffer has it, at most this long. Without it an error is on
    /// disk within moments, and nobody waits. See [`EnvoiTransport::wait_for_disk`].
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    #[must_use]
    pub const fn wait_for_disk(mut self, limit: Duration) -> Self {
        self.patience = Some(limit);
        self
    }

    /// Who is told, once per client, if the transport could not be set up as it should be. A factory cannot fail, so
    /// unless told otherwise the error is printed to the standard error stream.
    #[must_use]
    pub fn on_error(mut self, handler: impl Fn(&SetupError) + Send + Sync + 'static) -> Self {
        self.handler = Arc::new(handler);
        self
    }

    fn builder(options: &TransportOptions) -> Result<SentryBuilder, SetupError> {
        let dsn = Dsn::parse(&options.dsn.to_string()).map_err(SetupError::Dsn)?;
        let mut builder = SentryBuilder::new(Some(dsn)).client(&*options.user_agent);
        // A guard that is dropped at the end of a short program is to drain the queue, says the contract.
        #[cfg(feature = "spool")]
        {
            builder = builder.replay_on_close(true);
        }
        if let Some(items) = options.transport_channel_capacity {
            builder = builder.capacity(Capacity::new(items.get(), Capacity::default().bytes));
        }
        proxied(insecure(builder, options), options)
    }

    fn build(&self, options: &TransportOptions) -> Result<Transport, SetupError> {
        let builder = Self::builder(options)?;
        #[cfg(feature = "spool")]
        if let Some(path) = &self.disk {
            match (self.recipe)(builder.disk_buffer(path)) {
                Err(error @ BuildError::Disk(_)) => (self.handler)(&SetupError::Disk(error)),
                built => return built.map_err(SetupError::Build),
            }
            return (self.recipe)(Self::builder(options)?).map_err(SetupError::Build);
        }
        (self.recipe)(builder).map_err(SetupError::Build)
    }
}

impl Default for EnvoiTransportFactory {
    fn default() -> Self {
        Self::new()
    }
}

impl TransportFactory for EnvoiTransportFactory {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn sentry_core::Transport> {
        if options.accept_invalid_certs
            && options.dsn.scheme() == Scheme::Https
            && cfg!(not(feature = "danger-insecure-tls"))
        {
            (self.handler)(&SetupError::InsecureTlsUnavailable);
        }
        let transport = self.build(&options).unwrap_or_else(|error| {
            (self.handler)(&error);
            Transport::disabled()
        });
        let transport = EnvoiTransport::new(transport).record_with(options.client_report_recorder);
        #[cfg(feature = "spool")]
        let transport = match self.patience {
            Some(limit) => transport.wait_for_disk(limit),
            None => transport,
        };
        Arc::new(transport)
    }
}

#[cfg(feature = "danger-insecure-tls")]
fn insecure(builder: SentryBuilder, options: &TransportOptions) -> SentryBuilder {
    if options.accept_invalid_certs {
        return builder.tls(envoi::way::TlsConfig::new().danger_accept_invalid_certs());
    }
    builder
}

#[cfg(not(feature = "danger-insecure-tls"))]
const fn insecure(builder: SentryBuilder, _: &TransportOptions) -> SentryBuilder {
    builder
}

/// The options stand in the place of the variables of their names, from which `sentry::init` has taken them. Without any
/// the builder looks at the environment itself.
#[cfg(feature = "proxy")]
fn proxied(builder: SentryBuilder, options: &TransportOptions) -> Result<SentryBuilder, SetupError> {
    let set = |option: &Option<Cow<'_, str>>| option.as_ref().map(|url| url.trim().to_owned());
    let (https, http) = (set(&options.https_proxy), set(&options.http_proxy));
    if https.is_none() && http.is_none() {
        return Ok(builder);
    }
    let config = ProxyConfig::from_vars(|name| match name {
        "https_proxy" => https.clone(),
        "http_proxy" => http.clone(),
        "HTTPS_PROXY" | "HTTP_PROXY" => None,
        other => std::env::var(other).ok(),
    });
    config.map(|config| builder.proxy(config)).map_err(SetupError::Proxy)
}

#[cfg(not(feature = "proxy"))]
fn proxied(builder: SentryBuilder, options: &TransportOptions) -> Result<SentryBuilder, SetupError> {
    let is_set = |option: &Option<Cow<'_, str>>| option.as_ref().is_some_and(|url| !url.trim().is_empty());
    if is_set(&options.https_proxy) || is_set(&options.http_proxy) {
        return Err(SetupError::ProxyUnavailable);
    }
    Ok(builder)
}

/// Silence would be taken for success.
fn complain(error: &SetupError) {
    let mut line = format!("envoi: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    eprintln!("{line}");
}

impl fmt::Debug for EnvoiTransportFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvoiTransportFactory").finish_non_exhaustive()
    }
}
