use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

#[cfg(feature = "tls")]
use crate::tls::TlsStream;

/// A connection of [`Proxy`](super::Proxy): straight to the target, through a tunnel, or to a proxy that forwards.
pub struct ProxyStream<T> {
    io: Io<T>,
    /// What the target had sent before the tunnel was handed over.
    early: Bytes,
    forwarded: bool,
}

/// The connection to the target or the proxy.
pub(super) enum Io<T> {
    Plain(T),
    #[cfg(feature = "tls")]
    Secure(TlsStream<T>),
}

impl<T> ProxyStream<T> {
    /// As if there were no proxy: straight, or through a tunnel.
    pub(super) const fn transparent(io: Io<T>, early: Bytes) -> Self {
        Self { io, early, forwarded: false }
    }

    /// To a proxy that is sent requests in absolute-form.
    pub(super) const fn forwarded(io: Io<T>) -> Self {
        Self { io, early: Bytes::new(), forwarded: true }
    }

    /// Whether requests go to a proxy in absolute-form, and the answers may be its own.
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        self.forwarded
    }
}

impl<T> fmt::Debug for ProxyStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyStream").field("forwarded", &self.forwarded).finish_non_exhaustive()
    }
}

impl<T: Read + Write + Unpin> Read for ProxyStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let count = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early[..count]);
        self.early.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<T: Read + Write + Unpin> Write for ProxyStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

impl<T: Connection> Connection for ProxyStream<T> {
    fn connected(&self) -> Connected {
        match &self.io {
            Io::Plain(io) if !self.forwarded => io.connected(),
            // This is what makes hyper write the absolute-form (RFC 9112 §3.2.2).
            Io::Plain(io) => io.connected().proxy(true),
            // What was negotiated with the proxy is not the target's.
            #[cfg(feature = "tls")]
            Io::Secure(_) => Connected::new().proxy(self.forwarded),
        }
    }
}

impl<T: Read + Write + Unpin> Read for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            #[cfg(feature = "tls")]
            Self::Secure(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl<T: Read + Write + Unpin> Write for Io<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            #[cfg(feature = "tls")]
            Self::Secure(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Secure(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Secure(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            #[cfg(feature = "tls")]
            Self::Secure(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            #[cfg(feature = "tls")]
            Self::Secure(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }
}
