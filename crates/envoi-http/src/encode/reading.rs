use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use envoi_core::Reply;
use http_body::Body;

/// The most memory that is reserved before anything has come, in bytes.
const RESERVE: usize = 64 * 1024;

pin_project_lite::pin_project! {
    /// A reply whose body is being read, within bounds.
    pub(super) struct Reading<B> {
        #[pin]
        body: B,
        reply: Reply,
        kept: Vec<u8>,
        keep: usize,
        drain: u64,
    }
}

impl<B: Body> Reading<B> {
    pub(super) fn new(response: http::Response<B>, keep: usize, drain: u64) -> Self {
        let (head, body) = response.into_parts();
        let reply = Reply::new(head.status).with_headers(head.headers);
        // What a server announces is no reason to set memory aside; only what comes is.
        let expected = usize::try_from(body.size_hint().lower()).unwrap_or(keep).min(keep).min(RESERVE);
        Self { body, reply, kept: Vec::with_capacity(expected), keep, drain }
    }
}

impl<B: Body<Data = Bytes>> Reading<B> {
    /// Ready when the body is at its end, has failed, or is not worth reading on.
    pub(super) fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let mut this = self.project();
        loop {
            if this.body.is_end_stream() {
                break;
            }
            // A body that says it is longer than what we would drain is left alone at once.
            let room = (*this.keep - this.kept.len()) as u64;
            if room == 0 && this.body.size_hint().lower() > *this.drain {
                this.reply.truncated = true;
                break;
            }
            match ready!(this.body.as_mut().poll_frame(cx)) {
                None => break,
                Some(Err(_)) => {
                    // Decision 17: the status stands.
                    this.reply.truncated = true;
                    break;
                }
                Some(Ok(frame)) => {
                    let Ok(mut data) = frame.into_data() else { continue };
                    let taken = data.len().min(*this.keep - this.kept.len());
                    this.kept.extend_from_slice(&data[..taken]);
                    data.advance(taken);
                    if !data.is_empty() {
                        this.reply.truncated = true;
                        match this.drain.checked_sub(data.len() as u64) {
                            Some(left) => *this.drain = left,
                            None => break,
                        }
                    }
                }
            }
        }
        Poll::Ready(take(this.reply, this.kept))
    }

    /// What has been read so far, marked as incomplete.
    pub(super) fn cut_short(self: Pin<&mut Self>) -> Reply {
        let this = self.project();
        this.reply.truncated = true;
        take(this.reply, this.kept)
    }
}

fn take(reply: &mut Reply, kept: &mut Vec<u8>) -> Reply {
    let status = reply.status;
    std::mem::replace(reply, Reply::new(status)).with_body(std::mem::take(kept))
}
