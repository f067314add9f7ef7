use std::time::Duration;

/// How far a server is believed.
///
/// ```
/// use envoi_envelope::limits::LimitOptions;
/// use std::time::Duration;
/// let options = LimitOptions::new().ceiling(Duration::from_secs(3600)).retry_after_on_503(true);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct LimitOptions {
    ceiling: Duration,
    retry_after_on_503: bool,
}

impl LimitOptions {
    /// The ceiling unless told otherwise: a day (decision 3).
    pub const DEFAULT_CEILING: Duration = Duration::from_secs(24 * 60 * 60);
    /// No ceiling is higher than this, so that no end is out of the range of clocks: a year.
    pub const MAX_CEILING: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    /// A ceiling of 24 hours; `Retry-After` is obeyed on 429 only.
    pub const fn new() -> Self {
        Self { ceiling: Self::DEFAULT_CEILING, retry_after_on_503: false }
    }

    /// The longest time that a limit may last; longer ones are cut to it (RL-11). At most
    /// [`LimitOptions::MAX_CEILING`].
    pub const fn ceiling(mut self, ceiling: Duration) -> Self {
        let too_high = ceiling.as_nanos() > Self::MAX_CEILING.as_nanos();
        self.ceiling = if too_high { Self::MAX_CEILING } else { ceiling };
        self
    }

    /// Whether `Retry-After` is also obeyed on 503 (decision 6).
    pub const fn retry_after_on_503(mut self, obey: bool) -> Self {
        self.retry_after_on_503 = obey;
        self
    }

    /// A duration, cut to the ceiling.
    #[must_use]
    pub(super) fn cut(&self, duration: Duration) -> Duration {
        duration.min(self.ceiling)
    }

    /// Whether `Retry-After` counts with this status.
    #[must_use]
    pub(super) fn obeys_retry_after(&self, status: http::StatusCode) -> bool {
        use http::StatusCode;
        status == StatusCode::TOO_MANY_REQUESTS
            || self.retry_after_on_503 && status == StatusCode::SERVICE_UNAVAILABLE
    }
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self::new()
    }
}
