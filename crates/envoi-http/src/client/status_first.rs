//! A status that the server has sent beats the error of a write that it no longer reads (decision 17).
//!
//! A server that answers early (413) and closes with unread data makes TCP send a reset. The client's next write
//! fails, and hyper then ends the exchange with that error, although the reply lies in the receive buffer: whether
//! the status is seen depends on which half of the socket is polled first.
//!
//! So a write error is not passed on at once. It is noted, the write half is pending from then on, and reading goes
//! on: either the reply is there, and hyper hands it up, or the read half comes to its end, and then the noted error
//! is the answer of both halves. Nothing waits longer than that: a socket whose write half was reset has nothing
//! more to come on its read half than what has arrived.
//!
//! The same place hears a server that refuses the TLS handshake after it, and notes that for the request: if the connection
//! ends before the request was handed to it, the library does not say why.
//!
//! It also knows that the peer closed *while a write was waiting for room*, which is the cut that decision 17
//! counts, and reports it as such instead of as a bare end of file.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Uri;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

use super::again;
use super::progress::{self, Progress};

/// The connector around the user's.
#[derive(Clone, Debug)]
pub(super) struct StatusFirst<C> {
    inner: C,
}

impl<C> StatusFirst<C> {
    pub(super) const fn new(inner: C) -> Self {
        Self { inner }
    }
}

impl<C: Service<Uri>> Service<Uri> for StatusFirst<C> {
    type Response = StatusFirstIo<C::Response>;
    type Error = C::Error;
    type Future = StatusFirstConnecting<C::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        StatusFirstConnecting { inner: self.inner.call(uri) }
    }
}

pin_project_lite::pin_project! {
    #[derive(Debug)]
    pub(super) struct StatusFirstConnecting<F> {
        #[pin]
        inner: F,
    }
}

impl<F, T, E> Future for StatusFirstConnecting<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<StatusFirstIo<T>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(
            ready!(self.project().inner.poll(cx)).map(|io| StatusFirstIo::new(io, progress::connected())),
        )
    }
}

#[derive(Debug)]
enum WriteHalf {
    Open,
    /// The last write found no room.
    Blocked,
    /// A write failed; reading goes on.
    Failed(io::ErrorKind),
    /// A write failed and the read half has ended, too.
    Over(io::ErrorKind),
}

pin_project_lite::pin_project! {
    /// One connection.
    #[derive(Debug)]
    pub(super) struct StatusFirstIo<T> {
        #[pin]
        inner: T,
        write_half: WriteHalf,
        // The request that it was made for, until something has been read.
        maker: Option<Arc<Progress>>,
    }
}

impl<T> StatusFirstIo<T> {
    pub(super) const fn new(inner: T, maker: Option<Arc<Progress>>) -> Self {
        Self { inner, write_half: WriteHalf::Open, maker }
    }
}

impl<T: Read> StatusFirstIo<T> {
    /// Reads into a buffer of our own, to learn whether it is the end: a hyper cursor does not tell afterwards.
    fn poll_read_watched(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let mut memory = [MaybeUninit::uninit(); 4096];
        let room = buf.remaining().min(memory.len());
        let mut local = ReadBuf::uninit(&mut memory[..room]);
        let end = match ready!(this.inner.poll_read(cx, local.unfilled())) {
            Ok(()) if room > 0 && local.filled().is_empty() => None,
            Ok(()) => {
                buf.put_slice(local.filled());
                return Poll::Ready(Ok(()));
            }
            Err(error) => Some(error),
        };
        let error = match (&this.write_half, end) {
            // The read half knows more than that it is over: TLS read why the server hung up.
            (WriteHalf::Failed(_) | WriteHalf::Over(_), Some(error)) if error.get_ref().is_some() => error,
            (WriteHalf::Failed(kind) | WriteHalf::Over(kind), _) => cut(*kind),
            (_, Some(error)) => error,
            // The end of file while a write was waiting.
            (_, None) => cut(io::ErrorKind::BrokenPipe),
        };
        *this.write_half = WriteHalf::Over(error.kind());
        Poll::Ready(Err(error))
    }
}

impl<T: Read> Read for StatusFirstIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let result = ready!(match self.write_half {
            WriteHalf::Open => self.as_mut().project().inner.poll_read(cx, buf),
            _ => self.as_mut().poll_read_watched(cx, buf),
        });
        // A server that speaks TLS 1.3 refuses a client in the place of its first byte.
        if let Some(maker) = self.project().maker.take()
            && let Err(error) = &result
            && let Some(words) = again::refused_handshake(error)
        {
            maker.refused(words);
        }
        Poll::Ready(result)
    }
}

impl<T: Write> StatusFirstIo<T> {
    fn poll_write_half<R>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let this = self.project();
        match this.write_half {
            WriteHalf::Failed(_) => return Poll::Pending,
            WriteHalf::Over(kind) => return Poll::Ready(Err(cut(*kind))),
            WriteHalf::Open | WriteHalf::Blocked => {}
        }
        match write(this.inner, cx) {
            Poll::Ready(Err(error)) if is_cut(&error) => {
                *this.write_half = WriteHalf::Failed(error.kind());
                // The read half may have been asked before, so have it asked again: it will wake us from then on.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => {
                *this.write_half = WriteHalf::Blocked;
                Poll::Pending
            }
            ready => {
                *this.write_half = WriteHalf::Open;
                ready
            }
        }
    }
}

impl<T: Write> Write for StatusFirstIo<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_half(cx, |inner, cx| inner.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_half(cx, T::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_half(cx, |inner, cx| inner.poll_write_vectored(cx, bufs))
    }
}

impl<T: Connection> Connection for StatusFirstIo<T> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

fn is_cut(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}

fn cut(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, "the peer cut the connection while the request was being written")
}
