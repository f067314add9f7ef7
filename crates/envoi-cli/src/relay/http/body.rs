//! Bodies of requests: bounded in bytes, in time and in memory.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::Refusal;
use crate::relay::memory::Share;

/// What is read of a body that is refused, so that the client gets to read the answer.
const DRAIN: usize = 1 << 20;
const DRAIN_FOR: Duration = Duration::from_secs(2);

/// Reads a body of at most `limit` bytes within `within`.
///
/// # Errors
/// If it is larger, later, cut short, or there is no memory for it.
pub(super) async fn read<B>(
    body: &mut B,
    limit: usize,
    within: Duration,
    share: &mut Share,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(Refusal::TooLarge { limit });
    }
    timeout(within, collect(body, limit, share)).await.unwrap_or(Err(Refusal::TooSlow))
}

async fn collect<B>(body: &mut B, limit: usize, share: &mut Share) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Refusal::BodyCut) };
        let Ok(data) = frame.into_data() else { continue };
        let length = whole.len() + data.len();
        if length > limit {
            return Err(Refusal::TooLarge { limit });
        }
        if length > whole.capacity() {
            // Doubling, but never beyond what is allowed.
            let room = (whole.capacity() * 2).clamp(length, limit);
            share.grow_to(room).map_err(|_| Refusal::Memory)?;
            whole.reserve_exact(room - whole.len());
        }
        whole.extend_from_slice(&data);
    }
    whole.shrink_to_fit();
    Ok(whole.into())
}

/// Reads on for a moment and throws it away: a connection that is closed with unread data is reset, and the client may
/// never see the answer.
pub(super) async fn drain<B>(body: &mut B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let reading = async {
        let mut read = 0;
        while read < DRAIN
            && let Some(Ok(frame)) = body.frame().await
        {
            read += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // Who has more to say, or says it slower, may miss the answer.
    let _ = timeout(DRAIN_FOR, reading).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;
    use crate::relay::memory::Memory;

    const SECOND: Duration = Duration::from_secs(1);

    fn pieces(count: usize, bytes: usize) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let piece = Bytes::from(vec![b'x'; bytes]);
        StreamBody::new(tokio_stream_of((0..count).map(move |_| Ok(Frame::data(piece.clone())))))
    }

    /// The items of an iterator as a stream.
    fn tokio_stream_of<I: Iterator + Unpin>(
        mut items: I,
    ) -> impl futures_util::Stream<Item = I::Item> + Unpin {
        futures_util::stream::poll_fn(move |_| std::task::Poll::Ready(items.next()))
    }

    #[tokio::test]
    async fn a_body_is_bounded_with_and_without_a_length() {
        let memory = Memory::new(1 << 20);
        let mut share = memory.share();
        let read_whole = read(&mut Full::new(Bytes::from("abc")), 3, SECOND, &mut share).await;
        assert_eq!(read_whole.unwrap(), "abc");
        let refused = read(&mut Full::new(Bytes::from("abcd")), 3, SECOND, &mut share).await;
        assert!(matches!(refused, Err(Refusal::TooLarge { limit: 3 })));
        let refused = read(&mut pieces(100, 1000), 50_000, SECOND, &mut share).await;
        assert!(matches!(refused, Err(Refusal::TooLarge { .. })));
        assert!(memory.used() <= 50_000 + 1024, "{}", memory.used());
        let refused = read(&mut pieces(2000, 1000), 50 << 20, SECOND, &mut memory.share()).await;
        assert!(matches!(refused, Err(Refusal::Memory)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_ends_with_its_time() {
        let mut never = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let memory = Memory::new(1 << 20);
        let refused = read(&mut never, 10, SECOND, &mut memory.share()).await;
        assert!(matches!(refused, Err(Refusal::TooSlow)));
        drain(&mut never).await;
    }
}
