use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use super::exchange;
use super::io::{Lent, Stream};
use super::shared::Shared;

/// How a connection ends that a step wants to end.
#[derive(Debug)]
pub(super) enum Doom {
    /// Closed, as by a process that exits. Unread data makes the kernel send a reset.
    Close,
    /// Reset.
    Reset,
    /// Closed after what HTTP has to write.
    Flush,
    /// Closed after these bytes.
    Write(Bytes),
}

/// What a request may know of its connection and do to it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) peer: SocketAddr,
    doom: Mutex<Option<oneshot::Sender<Doom>>>,
    /// How many requests it may still begin.
    left: AtomicU64,
    used_up: Notify,
}

impl Connection {
    /// Ends the connection. The first one decides how.
    pub(super) fn end(&self, doom: Doom) {
        let sender = self.doom.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Without a receiver the connection has ended already.
            let _ = sender.send(doom);
        }
    }

    /// Counts a request that has begun.
    fn begin(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.used_up.notify_one();
        }
    }
}

/// Shakes hands, if the server speaks TLS. There is no stream if that fails.
#[cfg(feature = "tls")]
async fn secure(stream: TcpStream, shared: &Shared) -> Option<Stream> {
    let Some(config) = &shared.tls else { return Some(Stream::Plain(stream)) };
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(config));
    tokio::select! {
        biased;
        () = shared.closing.cancelled() => None,
        secured = acceptor.accept(stream) => match secured {
            Ok(stream) => Some(Stream::Tls(Box::new(stream))),
            Err(_) => {
                shared.handshake_failed();
                None
            }
        },
    }
}

#[cfg(not(feature = "tls"))]
async fn secure(stream: TcpStream, _: &Shared) -> Option<Stream> {
    Some(Stream::Plain(stream))
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    // It only costs latency where it fails.
    let _ = stream.set_nodelay(true);
    let number = shared.next_connection();
    let Some(stream) = secure(stream, &shared).await else { return };
    let lent = Lent::new(stream);
    let (sender, mut doomed) = oneshot::channel();
    let connection = Arc::new(Connection {
        number,
        peer,
        doom: Mutex::new(Some(sender)),
        left: AtomicU64::new(shared.requests_per_connection),
        used_up: Notify::new(),
    });
    let doom = {
        let handler = Arc::clone(&shared);
        let own = Arc::clone(&connection);
        let service = service_fn(move |request| {
            own.begin();
            exchange::answer(request, Arc::clone(&own), Arc::clone(&handler))
        });
        // Without a timer there are no time limits, see the module docs.
        let builder = auto::Builder::new(TokioExecutor::new());
        let mut http = pin!(builder.serve_connection(TokioIo::new(lent.clone()), service));
        let doom = tokio::select! {
            biased;
            doom = &mut doomed => doom.ok(),
            // What ends a connection (a client that goes away, bytes that are not HTTP) is no concern of others.
            _ = http.as_mut() => None,
            () = no_more(&connection, &shared) => {
                http.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    doom = &mut doomed => doom.ok(),
                    _ = http.as_mut() => None,
                    () = shared.dead.cancelled() => None,
                }
            }
        };
        if let Some(Doom::Flush) = doom {
            // One poll writes all that is queued.
            poll_fn(|cx| Poll::Ready(http.as_mut().poll(cx).is_ready())).await;
        }
        doom
    };
    if let (Some(doom), Some(mut stream)) = (doom, lent.take()) {
        match doom {
            Doom::Close | Doom::Flush => {}
            Doom::Reset => {
                // If it fails, the connection is gone anyway.
                let _ = stream.socket().set_zero_linger();
            }
            Doom::Write(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
        }
    }
}

/// Until the connection is to begin no further request.
async fn no_more(connection: &Connection, shared: &Shared) {
    tokio::select! {
        () = shared.closing.cancelled() => {}
        () = connection.used_up.notified() => {}
    }
}
