use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

#[derive(Clone, Debug)]
enum Parts {
    One(Bytes),
    Many { list: Arc<[Bytes]>, next: usize },
}

/// A request body made of pieces that are shared, not copied.
///
/// An envelope of k items is written as its headers and the payloads that are already in memory: no payload byte is
/// copied, a clone is a reference count, and the size is exact, so the request has a `Content-Length`. Cancel safe:
/// a frame is taken only when it is returned.
///
/// ```
/// use bytes::Bytes;
/// use envoi_core::Segments;
/// let payload = Bytes::from(vec![7; 1 << 20]);
/// let body: Segments = [Bytes::from_static(b"{}\n"), payload.clone()].into_iter().collect();
/// assert_eq!(body.len(), 3 + (1 << 20));
/// assert_eq!(body.chunks().nth(1).unwrap().as_ptr(), payload.as_ptr()); // the same memory
/// ```
#[derive(Clone, Debug)]
pub struct Segments {
    parts: Parts,
    remaining: u64,
}

impl Default for Segments {
    fn default() -> Self {
        Self::from(Bytes::new())
    }
}

impl Segments {
    /// The number of bytes that are left.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.remaining
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    /// The pieces that are left, in order.
    pub fn chunks(&self) -> impl Iterator<Item = &Bytes> {
        let left = match &self.parts {
            Parts::One(bytes) => std::slice::from_ref(bytes),
            Parts::Many { list, next } => list.get(*next..).unwrap_or_default(),
        };
        left.iter().filter(|bytes| !bytes.is_empty())
    }

    /// Everything in one piece. Copies, unless there is only one piece.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut chunks = self.chunks();
        match (chunks.next(), chunks.next()) {
            (None, _) => Bytes::new(),
            (Some(only), None) => only.clone(),
            (Some(_), Some(_)) => {
                let mut whole = BytesMut::with_capacity(usize::try_from(self.remaining).unwrap_or(0));
                for chunk in self.chunks() {
                    whole.extend_from_slice(chunk);
                }
                whole.freeze()
            }
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let piece = match &mut self.parts {
            Parts::One(bytes) => std::mem::take(bytes),
            Parts::Many { list, next } => loop {
                let piece = list.get(*next)?.clone();
                *next += 1;
                if !piece.is_empty() {
                    break piece;
                }
            },
        };
        self.remaining = self.remaining.saturating_sub(piece.len() as u64);
        (!piece.is_empty()).then_some(piece)
    }
}

impl From<Bytes> for Segments {
    fn from(bytes: Bytes) -> Self {
        Self { remaining: bytes.len() as u64, parts: Parts::One(bytes) }
    }
}

impl From<Vec<u8>> for Segments {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Segments {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Segments {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<Vec<Bytes>> for Segments {
    fn from(mut list: Vec<Bytes>) -> Self {
        if list.len() == 1
            && let Some(only) = list.pop()
        {
            return only.into();
        }
        let remaining = list.iter().map(|piece| piece.len() as u64).sum();
        Self { remaining, parts: Parts::Many { list: list.into(), next: 0 } }
    }
}

impl FromIterator<Bytes> for Segments {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        pieces.into_iter().collect::<Vec<_>>().into()
    }
}

impl Body for Segments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pop().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests;
