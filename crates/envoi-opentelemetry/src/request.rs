use std::fmt;

use bytes::Bytes;
use envoi_core::{BoxError, Codec, Itemized, Lane, Payload, Segments, Weight};
use http::Request;

/// What a request of an exporter carries, by the end of its path: what losses are counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// `…/traces`.
    Traces,
    /// `…/logs`.
    Logs,
    /// `…/metrics`.
    Metrics,
    /// Another path.
    Other,
}

impl Signal {
    fn of(path: &str) -> Self {
        match path.trim_end_matches('/').rsplit('/').next() {
            Some("traces") => Self::Traces,
            Some("logs") => Self::Logs,
            Some("metrics") => Self::Metrics,
            _ => Self::Other,
        }
    }

    /// The name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request of an exporter as the payload of a delivery stack: one item, of its [`Signal`].
///
/// The body is what the exporter serialised and is not looked into, so a request counts as one, however many spans it
/// carries.
///
/// ```
/// use envoi_opentelemetry::{OtlpRequest, Signal};
/// let request = http::Request::post("http://localhost:4318/v1/logs").body("protobuf".into())?;
/// assert_eq!(OtlpRequest::new(request).signal(), Signal::Logs);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone)]
pub struct OtlpRequest {
    request: Request<Bytes>,
    signal: Signal,
    spent: bool,
}

impl OtlpRequest {
    /// The payload for a request.
    #[must_use]
    pub fn new(request: Request<Bytes>) -> Self {
        let signal = Signal::of(request.uri().path());
        Self { request, signal, spent: false }
    }

    /// What it carries.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &Request<Bytes> {
        &self.request
    }
}

impl From<Request<Bytes>> for OtlpRequest {
    fn from(request: Request<Bytes>) -> Self {
        Self::new(request)
    }
}

impl Payload for OtlpRequest {
    fn weight(&self) -> Weight {
        Weight { items: 1, bytes: self.request.body().len() }
    }

    fn lane(&self) -> Lane {
        match self.signal {
            Signal::Traces | Signal::Other => Lane::Medium,
            Signal::Logs | Signal::Metrics => Lane::Low,
        }
    }
}

impl Itemized for OtlpRequest {
    type Category = Signal;

    fn tally(&self, visit: &mut dyn FnMut(&Signal, u64)) {
        if !self.spent {
            visit(&self.signal, 1);
        }
    }

    fn shed(&mut self, limited: &mut dyn FnMut(&Signal) -> bool, lost: &mut dyn FnMut(&Signal, u64)) {
        if !self.spent && limited(&self.signal) {
            self.spent = true;
            lost(&self.signal, 1);
        }
    }

    fn is_held(&self, limited: &mut dyn FnMut(&Signal) -> bool) -> bool {
        !self.spent && limited(&self.signal)
    }

    fn holders(&self, visit: &mut dyn FnMut(&[Signal])) -> bool {
        if !self.spent {
            visit(&[self.signal]);
        }
        true
    }

    fn is_spent(&self) -> bool {
        self.spent
    }
}

/// Shows no headers: an exporter may have put credentials there (AU-7).
impl fmt::Debug for OtlpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpRequest")
            .field("signal", &self.signal)
            .field("path", &self.request.uri().path())
            .field("bytes", &self.request.body().len())
            .finish()
    }
}

/// The codec of [`OtlpRequest`] for `EncodeLayer`: the request as the exporter made it, its body shared and not copied.
#[derive(Clone, Copy, Debug, Default)]
pub struct OtlpCodec;

impl Codec<OtlpRequest> for OtlpCodec {
    fn encode(&self, payload: &OtlpRequest) -> Result<Request<Segments>, BoxError> {
        Ok(payload.request.clone().map(Segments::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> OtlpRequest {
        let request = Request::post(format!("http://127.0.0.1:9{path}")).header("x-secret", "s3cret");
        request.body(Bytes::from_static(b"body")).unwrap().into()
    }

    /// TP-2, IT-1: what is told apart by the path alone.
    #[test]
    fn the_path_tells_the_signal() {
        let signals = [
            ("/v1/traces", Signal::Traces),
            ("/api/42/integration/otlp/v1/logs/", Signal::Logs),
            ("/v1/metrics", Signal::Metrics),
            ("/", Signal::Other),
            ("/v1/profiles", Signal::Other),
        ];
        for (path, signal) in signals {
            assert_eq!(request(path).signal(), signal, "{path}");
        }
    }

    /// RL-8: a request that is held back is lost once.
    #[test]
    fn what_was_shed_is_not_counted_again() {
        let mut logs = request("/v1/logs");
        assert!(!logs.is_held(&mut |signal| *signal == Signal::Traces));
        assert!(logs.is_held(&mut |signal| *signal == Signal::Logs));
        let mut lost = 0;
        for _ in 0..2 {
            logs.clear(&mut |_, count| lost += count);
        }
        logs.tally(&mut |_, count| lost += count);
        assert_eq!((lost, logs.is_spent()), (1, true));
    }

    /// AU-7: headers are not shown, and reach the wire.
    #[test]
    fn headers_are_kept_and_not_shown() {
        let request = request("/v1/logs");
        assert!(!format!("{request:?}").contains("s3cret"));
        assert_eq!(OtlpCodec.encode(&request).unwrap().headers()["x-secret"], "s3cret");
    }
}
