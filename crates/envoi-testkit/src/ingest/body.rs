use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::Problem;
use super::connection::{Connection, Doom};

/// The body of a reply: whole, or with the end of the connection after what there is.
#[derive(Debug)]
pub(super) struct ReplyBody {
    data: Option<Bytes>,
    breaks: Option<Arc<Connection>>,
}

impl ReplyBody {
    pub(super) fn whole(data: Bytes) -> Self {
        Self { data: Some(data).filter(|data| !data.is_empty()), breaks: None }
    }

    pub(super) fn broken(data: Bytes, connection: Arc<Connection>) -> Self {
        Self { breaks: Some(connection), ..Self::whole(data) }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match &self.breaks {
            None => Poll::Ready(None),
            Some(connection) => {
                connection.end(Doom::Flush);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.breaks.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.breaks {
            None => SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64)),
            Some(_) => SizeHint::default(),
        }
    }
}

/// Reads a request body, up to `limit` bytes. What came is returned also where it ends badly.
pub(super) async fn read(body: &mut Incoming, limit: u64) -> (Bytes, Option<Problem>) {
    if body.size_hint().lower() > limit {
        return (Bytes::new(), Some(Problem::TooLarge { limit }));
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return (whole.freeze(), Some(Problem::BodyCut));
        };
        let Ok(data) = frame.into_data() else { continue };
        if (whole.len() + data.len()) as u64 > limit {
            return (whole.freeze(), Some(Problem::TooLarge { limit }));
        }
        whole.extend_from_slice(&data);
    }
    (whole.freeze(), None)
}
