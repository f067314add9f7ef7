use std::fmt;

use tower_layer::Layer;

use super::Report;

/// Makes services that attach pending reports to what leaves, see the [module](super).
#[derive(Clone)]
pub struct ReportLayer<R> {
    reporter: R,
}

impl<R> ReportLayer<R> {
    /// Attaches what `reporter` has pending: a cheap handle, or an `Arc` of it.
    #[must_use]
    pub const fn new(reporter: R) -> Self {
        Self { reporter }
    }
}

impl<S, R: Clone> Layer<S> for ReportLayer<R> {
    type Service = Report<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Report::new(inner, self.reporter.clone())
    }
}

impl<R> fmt::Debug for ReportLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportLayer").finish_non_exhaustive()
    }
}
