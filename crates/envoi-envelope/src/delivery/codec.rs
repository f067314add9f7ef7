use std::error::Error;
use std::fmt;
use std::sync::Arc;

use envoi_core::{BoxError, Codec, Segments, SharedClock, SystemClock};
use http::header::CONTENT_TYPE as CONTENT_TYPE_HEADER;
use http::{HeaderValue, Method, Request, Uri};

use crate::{Dsn, Envelope, HeaderError, SizeError, SizeLimits, json, rfc3339};

/// The content type of envelopes (AU-5).
pub const CONTENT_TYPE: &str = "application/x-sentry-envelope";

/// Makes the request for an envelope: a `POST` to the envelope URL of the project.
///
/// `sent_at` is written at this moment and nowhere else (EN-5); one that was there is replaced. No payload byte is
/// copied. Credentials are added by the auth layer, encodings by the compression layer.
///
/// ```
/// use envoi_core::Codec;
/// use envoi_envelope::{Dsn, Envelope, EnvelopeCodec, Item};
/// let codec = EnvelopeCodec::new(&Dsn::parse("https://public@sentry.io/1")?);
/// let request = codec.encode(&Envelope::new().with_item(Item::event("{}"))?)?;
/// assert_eq!(request.uri(), "https://sentry.io/api/1/envelope/");
/// assert_eq!(request.headers()["content-type"], "application/x-sentry-envelope");
/// let sent = Envelope::parse(request.into_body().to_bytes())?;
/// assert!(sent.sent_at().is_some());
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EnvelopeCodec {
    url: Uri,
    dsn: String,
    writes_dsn: bool,
    sizes: SizeLimits,
    clock: SharedClock,
}

impl EnvelopeCodec {
    /// A codec for the project at `dsn`, with the clock of the operating system.
    #[must_use]
    pub fn new(dsn: &Dsn) -> Self {
        Self {
            url: dsn.envelope_url().clone(),
            dsn: json::quote(&dsn.to_string()),
            writes_dsn: false,
            sizes: SizeLimits::none(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Takes the time of sending from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// Whether to write the DSN, without its secret, into the envelope header. Off by default.
    #[must_use]
    pub const fn with_dsn_header(mut self, writes_dsn: bool) -> Self {
        self.writes_dsn = writes_dsn;
        self
    }

    /// Checks each envelope, and refuses one that breaks a limit instead of sending it (EN-7). By default nothing is
    /// checked: the server has the last word, and its limits change.
    #[must_use]
    pub fn with_size_limits(mut self, sizes: SizeLimits) -> Self {
        self.sizes = sizes;
        self
    }
}

impl Codec<Envelope> for EnvelopeCodec {
    /// # Errors
    /// [`EnvelopeCodecError`]: if the envelope is empty (EN-6), if it breaks a limit that is to be checked (EN-7), or if its
    /// header has no room for the time.
    fn encode(&self, envelope: &Envelope) -> Result<Request<Segments>, BoxError> {
        if envelope.is_empty() {
            return Err(EnvelopeCodecError::Empty.into());
        }
        self.sizes.check(envelope).map_err(EnvelopeCodecError::TooLarge)?;
        let sent_at = ["\"", &rfc3339(self.clock.wall()), "\""].concat();
        let mut attributes = vec![("sent_at", sent_at)];
        if self.writes_dsn {
            attributes.push(("dsn", self.dsn.clone()));
        }
        let body = envelope.to_segments_with(&attributes).map_err(EnvelopeCodecError::Header)?;
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        request.headers_mut().insert(CONTENT_TYPE_HEADER, HeaderValue::from_static(CONTENT_TYPE));
        Ok(request)
    }
}

/// Why an envelope cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvelopeCodecError {
    /// It has no items, so there is nothing to send (EN-6).
    Empty,
    /// Its header takes no more attributes.
    Header(HeaderError),
    /// It breaks a limit that is to be checked (EN-7).
    TooLarge(SizeError),
}

impl fmt::Display for EnvelopeCodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the envelope has no items, there is nothing to send"),
            Self::Header(_) => f.write_str("the envelope header takes no more attributes"),
            Self::TooLarge(_) => f.write_str("the envelope is larger than a server takes"),
        }
    }
}

impl Error for EnvelopeCodecError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Empty => None,
            Self::Header(error) => Some(error),
            Self::TooLarge(error) => Some(error),
        }
    }
}
