//! The Sentry envelope protocol without I/O: DSN, envelopes, data categories, rate limits, client reports.
