use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// How a [`MockBody`] ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    Complete,
    Error(io::ErrorKind),
    Never,
}

/// The body of a scripted response: some pieces, then its end, an error, or nothing ever again.
#[derive(Clone, Debug, Default)]
pub struct MockBody {
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) end: End,
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(piece) = self.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match std::mem::take(&mut self.end) {
            End::Complete => Poll::Ready(None),
            End::Error(kind) => Poll::Ready(Some(Err(kind.into()))),
            End::Never => {
                self.end = End::Never;
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.end == End::Complete
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Complete => SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum()),
            _ => SizeHint::default(),
        }
    }
}
