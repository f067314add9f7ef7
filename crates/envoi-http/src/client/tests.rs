use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use envoi_core::{Advice, Kind, Phase};
use http::Uri;
use hyper::rt::{Read, ReadBuf, Write};
use hyper_util::rt::TokioIo;
use tokio_test::io::Builder;
use tokio_test::task;
use tower::ServiceExt;

use super::status_first::StatusFirstIo;
use super::{TcpConnector, TlsUnavailable};

/// A write half that fails from the beginning or blocks, over a scripted read half.
struct Scripted {
    read: TokioIo<tokio_test::io::Mock>,
    write: Option<io::ErrorKind>,
}

impl Read for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl Write for Scripted {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        self.write.map_or(Poll::Pending, |kind| Poll::Ready(Err(kind.into())))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn io(reads: &mut Builder, write: Option<io::ErrorKind>) -> StatusFirstIo<Scripted> {
    StatusFirstIo::new(Scripted { read: TokioIo::new(reads.build()), write }, None)
}

fn read(io: &mut StatusFirstIo<Scripted>, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, io::ErrorKind>> {
    let mut memory = [0; 64];
    let mut buffer = ReadBuf::new(&mut memory);
    let polled = Pin::new(io).poll_read(cx, buffer.unfilled());
    polled.map(|result| result.map(|()| buffer.filled().to_vec()).map_err(|error| error.kind()))
}

fn write(io: &mut StatusFirstIo<Scripted>, cx: &mut Context<'_>) -> Poll<Result<usize, io::ErrorKind>> {
    Pin::new(io).poll_write(cx, b"more").map(|result| result.map_err(|error| error.kind()))
}

/// Decision 17: after a failed write the reply is read first, and only then both halves fail.
#[tokio::test]
async fn a_write_error_waits_until_the_reply_has_been_read() {
    for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionAborted]
    {
        let mut io = io(Builder::new().read(b"HTTP/1.1 413").read(b" Too Large"), Some(kind));
        let mut poll = task::spawn(());
        poll.enter(|cx, _| assert_eq!(write(&mut io, cx), Poll::Pending));
        assert!(poll.is_woken(), "or nobody would read");
        poll.enter(|cx, _| {
            assert_eq!(write(&mut io, cx), Poll::Pending);
            assert_eq!(read(&mut io, cx), Poll::Ready(Ok(b"HTTP/1.1 413".to_vec())));
            assert_eq!(read(&mut io, cx), Poll::Ready(Ok(b" Too Large".to_vec())));
            assert_eq!(read(&mut io, cx), Poll::Ready(Err(kind)), "instead of the end of file");
            assert_eq!(write(&mut io, cx), Poll::Ready(Err(kind)), "nothing waits for ever");
        });
    }
}

/// Decision 17: the end of file while a write waits is a cut; without a waiting write it is just the end.
#[tokio::test]
async fn an_end_of_file_is_a_cut_only_while_a_write_waits() {
    let mut idle = io(&mut Builder::new(), None);
    let mut busy = io(&mut Builder::new(), None);
    task::spawn(()).enter(|cx, _| {
        assert_eq!(read(&mut idle, cx), Poll::Ready(Ok(Vec::new())));
        assert_eq!(write(&mut busy, cx), Poll::Pending);
        assert_eq!(read(&mut busy, cx), Poll::Ready(Err(io::ErrorKind::BrokenPipe)));
        assert_eq!(write(&mut busy, cx), Poll::Ready(Err(io::ErrorKind::BrokenPipe)));
    });
}

/// Another error of a write, and an error of a read, are what they are.
#[tokio::test]
async fn other_errors_are_passed_on_at_once() {
    let mut unlucky = io(&mut Builder::new(), Some(io::ErrorKind::TimedOut));
    let error = io::Error::from(io::ErrorKind::HostUnreachable);
    let mut unreachable = io(Builder::new().read_error(error), None);
    task::spawn(()).enter(|cx, _| {
        assert_eq!(write(&mut unlucky, cx), Poll::Ready(Err(io::ErrorKind::TimedOut)));
        assert_eq!(write(&mut unreachable, cx), Poll::Pending);
        assert_eq!(read(&mut unreachable, cx), Poll::Ready(Err(io::ErrorKind::HostUnreachable)));
    });
}

/// TR-9: `https` without TLS is a typed error that says what to do, and no reason to try again.
#[tokio::test]
async fn https_without_tls_is_a_clear_error() {
    let uri = Uri::from_static("https://localhost:1/");
    let error = TcpConnector::new().oneshot(uri.clone()).await.unwrap_err();
    assert!(error.is::<TlsUnavailable>());
    let request = http::Request::post(uri).body(envoi_core::Segments::from("x")).unwrap();
    let error = super::HttpClient::new_http().oneshot(request).await.unwrap_err();
    let fault = crate::classify(error.into());
    assert_eq!((fault.kind(), fault.advice()), (Kind::Tls, Advice::Drop));
    let mut chain: Vec<String> = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&fault);
    while let Some(error) = cause {
        chain.push(error.to_string());
        cause = error.source();
    }
    assert!(chain.iter().any(|text| text.contains("TLS is not built into this client")), "{chain:?}");
}

/// A port that cannot be one is refused: to take the scheme's instead would be to send to somebody else.
#[tokio::test]
async fn a_port_that_is_none_is_refused() {
    for url in ["http://127.0.0.1:65536/", "http://[::1]:99999/", "https://user@localhost:123456/x"] {
        let error = TcpConnector::new().any_scheme().oneshot(url.parse().unwrap()).await.unwrap_err();
        let fault = crate::classify(error);
        assert_eq!((fault.kind(), fault.advice()), (Kind::Connect, Advice::Drop), "{url}: {fault:?}");
        assert!(
            fault.to_string().contains("is not a port") && !fault.to_string().contains("user"),
            "{fault}"
        );
    }
    for (url, port) in
        [("http://h/", None), ("http://h:/", None), ("http://u:7@[::1]:8/", Some(8)), ("/", None)]
    {
        assert_eq!(super::written_port(&url.parse().unwrap()), Some(port), "{url}");
    }
}

/// TR-9: a peer that does not answer the handshake costs the connect timeout and no more.
#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_come_about_ends_at_the_timeout() {
    // A listener whose queue is full: the kernel drops what else knocks.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_secs(60), tokio::net::TcpStream::connect(address)).await
    {
        queued.push(stream);
        assert!(queued.len() < 64, "the queue never fills");
    }
    let uri: Uri = format!("http://{address}/").parse().unwrap();
    let begun = tokio::time::Instant::now();
    let error = TcpConnector::new().connect_timeout(Duration::from_secs(7)).oneshot(uri).await.unwrap_err();
    assert!(begun.elapsed() <= Duration::from_millis(7_010), "{:?}", begun.elapsed());
    let fault = crate::classify(error);
    assert_eq!((fault.kind(), fault.phase()), (Kind::Timeout, Some(Phase::Connect)), "{fault:?}");
}
