use std::sync::{Arc, OnceLock};

use envoi_core::{DiscardReason, Ledger, LossSink};
use envoi_envelope::{ClientReports, DataCategory, EnvelopeCodec, RateLimits};
use envoi_http::{Auth, Compress, Encode, HeaderAuth};
use envoi_layers::filter::Filter;
use envoi_layers::report::Report;
use http::StatusCode;
use tower::timeout::Timeout;

use crate::ExtraHeaders;
use crate::way::{Core, DefaultConnector};

/// What stands below an exchange layer of yours in the preset: credentials, headers, compression, the client.
pub type SentryExchange<C = DefaultConnector> = Auth<ExtraHeaders<Compress<Core<C>>>, HeaderAuth>;

/// What stands below a delivery layer of yours in the preset, over the exchange `X`.
pub type SentryDelivery<X> =
    Filter<Report<Encode<Timeout<X>, EnvelopeCodec>, ClientReports>, RateLimits, Books>;

/// Where a layer of yours writes down what it drops: the ledger and the client reports of the transport, as one
/// [`LossSink`]. From [`SentryBuilder::books`](crate::SentryBuilder::books).
pub type Books = (Ledger<DataCategory>, Losses);

/// Where the preset writes losses down besides the ledger: in the client reports, and as an event of `tracing`.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    // There are none until the transport is built, which settles whether and by which clock there are any.
    reports: Arc<OnceLock<ClientReports>>,
}

impl Losses {
    pub(super) fn report_to(&self, reports: ClientReports) {
        // A builder builds once.
        let _ = self.reports.set(reports);
    }
}

impl LossSink<DataCategory> for Losses {
    fn lost(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        #[cfg(feature = "tracing")]
        crate::guard::emit(|| tracing::debug!(target: "envoi", %reason, %category, quantity, "lost"));
        if let Some(reports) = self.reports.get() {
            reports.lost(reason, category, quantity);
        }
    }

    fn refused(&self, status: StatusCode, category: &DataCategory, quantity: u64) {
        #[cfg(feature = "tracing")]
        crate::guard::emit(|| {
            tracing::debug!(target: "envoi", status = status.as_u16(), %category, quantity, "refused by the server");
        });
        if let Some(reports) = self.reports.get() {
            reports.refused(status, category, quantity);
        }
    }

    fn restore(&self, reason: DiscardReason, category: &DataCategory, quantity: u64) {
        if let Some(reports) = self.reports.get() {
            reports.restore(reason, category, quantity);
        }
    }
}
