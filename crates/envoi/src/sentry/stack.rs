use envoi_core::{DiscardReason, Ledger, LossSink};
use envoi_envelope::{ClientReports, DataCategory, EnvelopeCodec, RateLimits};
use envoi_http::client::TcpConnector;
use envoi_http::{Auth, Compress, Encode, HeaderAuth, HttpClient};
use envoi_layers::filter::Filter;
use envoi_layers::report::Report;
use http::StatusCode;
use tower::timeout::Timeout;

use crate::ExtraHeaders;

/// What stands below an exchange layer of yours in the preset: credentials, headers, compression, the client.
pub type SentryExchange<C = TcpConnector> = Auth<ExtraHeaders<Compress<HttpClient<C>>>, HeaderAuth>;

/// What stands below a delivery layer of yours in the preset, over the exchange `X`.
pub type SentryDelivery<X> = Filter<
    Report<Encode<Timeout<X>, EnvelopeCodec>, ClientReports>,
    RateLimits,
    (Ledger<DataCategory>, Losses),
>;

/// Where the preset writes losses down besides the ledger: in the client reports, and as an event of `tracing`.
#[derive(Clone, Debug)]
pub struct Losses {
    pub(crate) reports: ClientReports,
}

impl LossSink<DataCategory> for Losses {
    fn lost(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        #[cfg(feature = "tracing")]
        crate::guard::emit(|| tracing::debug!(target: "envoi", %reason, %category, quantity, "lost"));
        self.reports.lost(reason, category, quantity);
    }

    fn refused(&self, status: StatusCode, category: &DataCategory, quantity: u64) {
        #[cfg(feature = "tracing")]
        crate::guard::emit(|| {
            tracing::debug!(target: "envoi", status = status.as_u16(), %category, quantity, "refused by the server");
        });
        self.reports.refused(status, category, quantity);
    }

    fn restore(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        self.reports.restore(reason, category, quantity);
    }
}
