use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;

use super::error::refused_late;

type Encrypted<T> = TokioIo<tokio_rustls::client::TlsStream<TokioIo<T>>>;

/// A connection that [`Tls`](super::Tls) made: encrypted, or as it came from the connector below.
pub struct TlsStream<T> {
    inner: Inner<T>,
}

enum Inner<T> {
    Plain(T),
    // A session is large, and there are few of them.
    Tls(Box<Session<T>>),
}

struct Session<T> {
    stream: Encrypted<T>,
    host: String,
}

impl<T> TlsStream<T> {
    pub(super) const fn plain(io: T) -> Self {
        Self { inner: Inner::Plain(io) }
    }

    pub(super) fn tls(stream: tokio_rustls::client::TlsStream<TokioIo<T>>, host: String) -> Self {
        Self { inner: Inner::Tls(Box::new(Session { stream: TokioIo::new(stream), host })) }
    }

    /// Whether it is encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        matches!(self.inner, Inner::Tls(_))
    }

    /// Whether HTTP/2 was agreed on.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        match &self.inner {
            Inner::Plain(_) => false,
            Inner::Tls(session) => session.stream.inner().get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// The connection below.
    pub fn get_ref(&self) -> &T {
        match &self.inner {
            Inner::Plain(io) => io,
            Inner::Tls(session) => session.stream.inner().get_ref().0.inner(),
        }
    }
}

impl<T: Connection + Read + Write + Unpin> Connection for TlsStream<T> {
    fn connected(&self) -> Connected {
        let connected = self.get_ref().connected();
        if self.is_http2() { connected.negotiated_h2() } else { connected }
    }
}

impl<T: Read + Write + Unpin> Read for TlsStream<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Inner::Tls(session) => {
                let Session { stream, host } = &mut **session;
                Pin::new(stream).poll_read(cx, buf).map_err(|error| refused_late(host, error))
            }
        }
    }
}

impl<T: Read + Write + Unpin> Write for TlsStream<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().inner {
            Inner::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Inner::Tls(session) => Pin::new(&mut session.stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(io) => Pin::new(io).poll_flush(cx),
            Inner::Tls(session) => Pin::new(&mut session.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Inner::Tls(session) => Pin::new(&mut session.stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Inner::Plain(io) => io.is_write_vectored(),
            Inner::Tls(session) => session.stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().inner {
            Inner::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Inner::Tls(session) => Pin::new(&mut session.stream).poll_write_vectored(cx, bufs),
        }
    }
}

impl<T> fmt::Debug for TlsStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("encrypted", &self.is_encrypted()).finish_non_exhaustive()
    }
}
