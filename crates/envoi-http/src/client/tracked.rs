use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::progress::Progress;
use crate::{BodyError, RequestBody};

/// What is handed to a connection at once. A connection asks for more only when it has room, so that a large body in
/// small pieces shows whether anything moves.
const PIECE: usize = 128 * 1024;

pin_project_lite::pin_project! {
    /// A body that notes in the progress of its request how much of it was taken.
    pub(super) struct Tracked {
        #[pin]
        inner: RequestBody,
        rest: Bytes,
        progress: Option<Arc<Progress>>,
    }
}

impl Tracked {
    pub(super) const fn new(inner: RequestBody, progress: Arc<Progress>) -> Self {
        Self { inner, rest: Bytes::new(), progress: Some(progress) }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        let Some(progress) = this.progress else { return Poll::Ready(None) };
        progress.writing();
        if this.rest.is_empty() {
            match ready!(this.inner.poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => *this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    progress.written();
                    *this.progress = None;
                    return Poll::Ready(None);
                }
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        progress.wrote(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        let ended = self.rest.is_empty() && self.inner.is_end_stream();
        if let (true, Some(progress)) = (ended, &self.progress) {
            // A connection asks this when it begins with the request and after each piece, and not again after a yes.
            progress.writing();
            progress.written();
        }
        ended
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let mut hint = self.inner.size_hint();
        if rest > 0 {
            let upper = hint.upper();
            hint.set_lower(hint.lower().saturating_add(rest));
            if let Some(upper) = upper {
                hint.set_upper(upper.saturating_add(rest));
            }
        }
        hint
    }
}
