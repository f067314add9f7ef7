use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use envoi_core::{BoxError, Segments};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

pin_project_lite::pin_project! {
    /// What a client at the core of a stack sends: [`Segments`] as they are, or a stream.
    ///
    /// Layers that change the body ([`Compress`](crate::Compress), or one of yours) turn `Segments` into this.
    /// Segments have an exact size and so a `Content-Length`; a stream has what its size hint says and is sent in
    /// chunks otherwise (CO-2). Only a stream is boxed.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use envoi_core::Segments;
    /// use envoi_http::RequestBody;
    /// use http_body::Body;
    /// use http_body_util::StreamBody;
    ///
    /// let known = RequestBody::from(Segments::from("hello"));
    /// assert_eq!(known.size_hint().exact(), Some(5));
    /// # struct Lines;
    /// # impl Body for Lines {
    /// #     type Data = Bytes;
    /// #     type Error = std::convert::Infallible;
    /// #     fn poll_frame(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>)
    /// #     -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> { std::task::Poll::Ready(None) }
    /// # }
    /// let streamed = RequestBody::stream(Lines);
    /// assert_eq!(streamed.size_hint().exact(), None);
    /// ```
    pub struct RequestBody {
        #[pin]
        inner: Inner,
    }
}

pin_project_lite::pin_project! {
    #[project = InnerProj]
    enum Inner {
        Segments { #[pin] segments: Segments },
        Stream { #[pin] stream: UnsyncBoxBody<Bytes, BodyError> },
    }
}

impl RequestBody {
    /// A body that is produced while it is sent.
    #[must_use]
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let stream = body.map_err(|error| BodyError(error.into())).boxed_unsync();
        Self { inner: Inner::Stream { stream } }
    }

    /// The same body once more, if it is in memory: no bytes are copied.
    #[cfg(feature = "client")]
    pub(crate) fn duplicate(&self) -> Option<Self> {
        match &self.inner {
            Inner::Segments { segments } => Some(segments.clone().into()),
            Inner::Stream { .. } => None,
        }
    }

    /// Whether this is a stream, as opposed to bytes that are in memory.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        matches!(self.inner, Inner::Stream { .. })
    }
}

impl Default for RequestBody {
    fn default() -> Self {
        Segments::default().into()
    }
}

impl<T: Into<Segments>> From<T> for RequestBody {
    fn from(segments: T) -> Self {
        Self { inner: Inner::Segments { segments: segments.into() } }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.project().inner.project() {
            InnerProj::Segments { segments } => {
                segments.poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            InnerProj::Stream { stream } => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Segments { segments } => segments.is_end_stream(),
            Inner::Stream { stream } => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Segments { segments } => segments.size_hint(),
            Inner::Stream { stream } => stream.size_hint(),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = self.size_hint();
        f.debug_struct("RequestBody").field("stream", &self.is_stream()).field("size", &hint.exact()).finish()
    }
}

/// A streamed request body could not be produced. Judged as [`Kind::Encode`](envoi_core::Kind::Encode).
#[derive(Debug)]
pub struct BodyError(BoxError);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body could not be produced")
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}
