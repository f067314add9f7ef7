//! Connections in memory: what paused time is exact with.

use std::future::{Ready, ready};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::task::{Context, Poll};

use envoi_http::client::{HttpClient, Timeouts};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tower::Service;

/// Where connections in memory seem to lead.
pub(crate) const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

/// What a peer may be behind with, in bytes.
const ROOM: usize = 64 * 1024;

pub(crate) struct Pipe(TokioIo<DuplexStream>);

#[derive(Clone)]
pub(crate) struct PipeConnector(mpsc::UnboundedSender<DuplexStream>);

/// A connector, and where its connections come out.
pub(crate) fn connector() -> (PipeConnector, mpsc::UnboundedReceiver<DuplexStream>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (PipeConnector(sender), receiver)
}

/// A client with these limits, and where its connections come out.
pub(crate) fn client(
    timeouts: Timeouts,
) -> (HttpClient<PipeConnector>, mpsc::UnboundedReceiver<DuplexStream>) {
    let (connector, receiver) = connector();
    (HttpClient::builder().connector(connector).timeouts(timeouts).build(), receiver)
}

impl Service<http::Uri> for PipeConnector {
    type Response = Pipe;
    type Error = io::Error;
    type Future = Ready<io::Result<Pipe>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let (near, far) = tokio::io::duplex(ROOM);
        let sent = self.0.send(far).map_err(|_| io::ErrorKind::ConnectionRefused.into());
        ready(sent.map(|()| Pipe(TokioIo::new(near))))
    }
}

impl Read for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Connection for Pipe {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
