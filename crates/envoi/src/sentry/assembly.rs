use std::sync::Arc;
#[cfg(feature = "spool")]
use std::time::Duration;

use envoi_core::{BoxError, Deliver, Exchange, Lane};
use envoi_envelope::{ClientReports, Envelope, EnvelopeCodec, RateLimits, user_agent};
use envoi_http::client::Connect;
use envoi_http::{AuthLayer, CompressLayer, EncodeLayer, HeaderAuth};
use envoi_layers::filter::FilterLayer;
use envoi_layers::outbox::{MemoryStore, OutboxConfig, outbox};
use envoi_layers::report::ReportLayer;
use http::HeaderName;
use http::header::USER_AGENT;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_layer::Layer;

use super::{BuildError, SentryBuilder, SentryDelivery, SentryExchange};
use crate::ExtraHeadersLayer;
use crate::transport::{Parts, Transport, TransportDriver};

/// The handle, and what makes it work if there is anything to do.
type Built<S> = (Transport, Option<TransportDriver<S>>);

const AUTH_HEADER: HeaderName = HeaderName::from_static("x-sentry-auth");

impl<D, H, C> SentryBuilder<D, H, C>
where
    C: Connect,
    H: Layer<SentryExchange<C>>,
    H::Service: Exchange<Error: Into<BoxError> + Send, Future: Send, Body: Send> + Send + 'static,
    D: Layer<SentryDelivery<H::Service>>,
    D::Service: Deliver<Envelope, Future: Send> + Send + 'static,
{
    /// Builds the transport and runs it on a thread of its own. The usual choice: it works without a runtime, inside
    /// any runtime, in a panic hook and at exit.
    ///
    /// # Errors
    /// If the thread cannot be made, if there is no way to the server (the settings of TLS or of proxies are of no use), or
    /// if the disk buffer cannot be opened.
    pub fn build(self) -> Result<Transport, BuildError> {
        match self.build_driver()? {
            (transport, Some(driver)) => {
                driver.spawn_thread().map_err(BuildError::Thread)?;
                Ok(transport)
            }
            (transport, None) => Ok(transport),
        }
    }

    /// Builds the transport and runs it on the application's runtime. It must have timers and I/O enabled. What is not
    /// sent when that runtime ends is counted as lost.
    ///
    /// # Errors
    /// As [`SentryBuilder::build`], but for the thread.
    pub fn build_on(self, runtime: &Handle) -> Result<Transport, BuildError> {
        let (transport, driver) = self.build_driver()?;
        if let Some(driver) = driver {
            drop(runtime.spawn(driver));
        }
        Ok(transport)
    }

    /// Builds the transport and leaves it to you where its driver runs: a future that ends with the transport. There is
    /// none if there is no DSN.
    ///
    /// # Errors
    /// As [`SentryBuilder::build`], but for the thread.
    pub fn build_driver(self) -> Result<Built<D::Service>, BuildError> {
        let Self { dsn, settings, books, delivery, exchange, connector } = self;
        let Some(dsn) = dsn else { return Ok((Transport::disabled(), None)) };
        let (attempt, backstop) = (settings.way.attempt_limit(), settings.way.backstop());
        let core = settings.way.core(connector, dsn.envelope_url(), settings.concurrency)?;

        let clock = settings.clock;
        let (ledger, losses) = books;
        let limits = RateLimits::new(settings.limit_options);
        if let Some(saved) = &settings.saved_limits {
            limits.restore(saved, clock.now(), clock.wall());
        }
        let reports = if settings.client_reports {
            ClientReports::with_clock(Arc::clone(&clock))
        } else {
            ClientReports::disabled()
        };
        losses.report_to(reports.clone());
        let halt = CancellationToken::new();

        let mut headers = settings.headers;
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, user_agent(settings.user_agent.as_ref().unwrap_or(&settings.client)));
        }
        let auth = HeaderAuth::new(AUTH_HEADER, dsn.auth_header(&settings.client));
        let compress = CompressLayer::new(settings.encoding);
        let compress = match settings.level {
            Some(level) => compress.level(level),
            None => compress,
        };
        let codec =
            EnvelopeCodec::new(&dsn).with_clock(Arc::clone(&clock)).with_dsn_header(settings.dsn_header);

        let exchange = exchange.layer(
            ServiceBuilder::new()
                .layer(AuthLayer::new(auth))
                .layer(ExtraHeadersLayer::new(headers))
                .layer(compress)
                .service(core),
        );
        let service = delivery.layer(
            ServiceBuilder::new()
                .layer(
                    FilterLayer::new(limits.clone())
                        .report_to((ledger.clone(), losses.clone()))
                        .clock(Arc::clone(&clock)),
                )
                .layer(ReportLayer::new(reports.clone()))
                .layer(
                    EncodeLayer::new(codec)
                        .policy(settings.policy)
                        .body_timeout(attempt)
                        .halt_on(halt.clone())
                        .clock(Arc::clone(&clock)),
                )
                .timeout(backstop)
                .service(exchange),
        );

        let mut store = MemoryStore::new().overflow(settings.overflow);
        for lane in Lane::ALL {
            store = store.lane_capacity(lane, settings.capacities[lane.index()]);
        }
        let config = OutboxConfig::new()
            .concurrency(settings.concurrency)
            .lane_weights(settings.lane_weights)
            .backoff(settings.backoff)
            .max_attempts(settings.max_attempts)
            .max_age(settings.max_age)
            .replay_pace(settings.replay_pace)
            .replay_on_close(settings.replay_on_close)
            .report_interval(settings.report_interval)
            .linger(settings.shutdown_timeout)
            .halt_token(halt)
            .ledger(ledger.clone())
            .losses(losses.clone())
            .reporter(reports.clone())
            .clock(Arc::clone(&clock));
        // An outbox that knows no limits leaves them to the filter, which drops.
        let config = if settings.hold_limited { config.limits(limits.clone()) } else { config };
        #[cfg(feature = "spool")]
        let (spool, (outbox, driver)) = match settings.disk {
            Some((path, disk)) => {
                let spool = envoi_spool::Spool::open(path, disk.clock(Arc::clone(&clock)));
                let spool = Arc::new(spool.map_err(BuildError::Disk)?);
                restore_limits(&spool, &limits, &*clock);
                (Some(Arc::clone(&spool)), outbox(spool, config, service))
            }
            None => (None, outbox(store, config, service)),
        };
        #[cfg(not(feature = "spool"))]
        let (outbox, driver) = outbox(store, config, service);
        let parts = Parts {
            outbox,
            ledger,
            limits,
            reports,
            losses,
            clock,
            batching: settings.batching,
            #[cfg(feature = "spool")]
            spool,
        };
        let (transport, driver) = Transport::assemble(parts, driver);
        Ok((transport, Some(driver)))
    }
}

/// Takes over the limits that were in force when the last run ended (RL-12). They are a courtesy: without them the server
/// says it again.
#[cfg(feature = "spool")]
fn restore_limits(spool: &envoi_spool::Spool<Envelope>, limits: &RateLimits, clock: &dyn envoi_core::Clock) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    if let Ok(Some(saved)) = spool.load_state(crate::transport::LIMITS, DAY)
        && let Ok(saved) = envoi_envelope::limits::LimitsSnapshot::from_json(&saved)
    {
        limits.restore(&saved, clock.now(), clock.wall());
    }
}
