use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::exchange;
use super::io::Lent;
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
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    // It only costs latency where it fails.
    let _ = stream.set_nodelay(true);
    let lent = Lent::new(stream);
    let (sender, mut doomed) = oneshot::channel();
    let connection =
        Arc::new(Connection { number: shared.next_connection(), peer, doom: Mutex::new(Some(sender)) });
    let doom = {
        let handler = Arc::clone(&shared);
        let service = service_fn(move |request| {
            exchange::answer(request, Arc::clone(&connection), Arc::clone(&handler))
        });
        // Without a timer there are no time limits, see the module docs.
        let builder = auto::Builder::new(TokioExecutor::new());
        let mut http = pin!(builder.serve_connection(TokioIo::new(lent.clone()), service));
        let doom = tokio::select! {
            biased;
            doom = &mut doomed => doom.ok(),
            // What ends a connection (a client that goes away, bytes that are not HTTP) is no concern of others.
            _ = http.as_mut() => None,
            () = shared.closing.cancelled() => {
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
                let _ = stream.set_zero_linger();
            }
            Doom::Write(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
        }
    }
}
