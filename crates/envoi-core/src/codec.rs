use crate::{BoxError, Segments};

/// How a payload becomes an HTTP request: the protocol half of the bridge between delivery and exchange.
///
/// A codec is pure: no I/O, no runtime. It is called once per attempt, as late as possible, so that a time stamp
/// such as `sent_at` is true (EN-5). It does not add credentials (the auth layer does) and does not compress.
///
/// ```
/// use envoi_core::{BoxError, Codec, Payload, Segments, Weight};
/// use bytes::Bytes;
///
/// struct Line(Bytes);
/// impl Payload for Line {
///     fn weight(&self) -> Weight { Weight { items: 1, bytes: self.0.len() } }
/// }
///
/// struct PlainText;
/// impl Codec<Line> for PlainText {
///     fn encode(&self, line: &Line) -> Result<http::Request<Segments>, BoxError> {
///         Ok(http::Request::post("http://localhost/lines").body(line.0.clone().into())?)
///     }
/// }
/// # let _ = PlainText.encode(&Line(Bytes::from_static(b"x"))).unwrap();
/// ```
pub trait Codec<P>: Send + Sync + 'static {
    /// The request for one attempt.
    ///
    /// # Errors
    /// When the payload cannot be expressed. The parcel then comes back as [`Kind::Encode`](crate::Kind::Encode) with
    /// the advice to drop it: another attempt would fail the same way.
    fn encode(&self, payload: &P) -> Result<http::Request<Segments>, BoxError>;
}

impl<P, C: Codec<P> + ?Sized> Codec<P> for std::sync::Arc<C> {
    fn encode(&self, payload: &P) -> Result<http::Request<Segments>, BoxError> {
        (**self).encode(payload)
    }
}
