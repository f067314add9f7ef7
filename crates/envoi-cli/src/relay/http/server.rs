//! Connections: so many at once, and none for longer than it moves.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::router;
use crate::relay::state::Relay;

/// Headers of one request.
const MOST_HEADERS: usize = 100;

/// When the system has no more file descriptors, others have to end first.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until the relay stops; then lets requests that have begun end, at most for `grace`, and cuts the rest.
pub(crate) async fn serve(listener: TcpListener, relay: Arc<Relay>, grace: Duration) {
    let places = Arc::new(Semaphore::new(relay.settings().limits.connections));
    let cut = CancellationToken::new();
    let mut connections = JoinSet::new();
    loop {
        // The place first: who finds none waits in the kernel, and costs nothing here.
        let accepting = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, accept(&listener).await)
        };
        let (place, stream) = tokio::select! {
            biased;
            () = relay.stopping.cancelled() => break,
            accepted = accepting => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (relay, cut) = (Arc::clone(&relay), cut.clone());
        connections.spawn(async move {
            let _place = place;
            let _counted = Counted::new(&relay.counters.connections);
            connection(stream, &relay, &cut).await;
        });
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, all).await.is_err() {
        cut.cancel();
        connections.shutdown().await;
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

/// Counts one as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(stream: TcpStream, relay: &Arc<Relay>, cut: &CancellationToken) {
    let settings = relay.settings();
    // It only costs latency where it fails.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(Some(settings.timeouts.idle));
    stream.set_write_timeout(Some(settings.timeouts.idle));
    let handler = Arc::clone(relay);
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(router::answer(request, handler).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(settings.timeouts.header)
        .max_headers(MOST_HEADERS)
        .max_header_size(settings.limits.header)
        .max_buf_size(settings.limits.header.max(64 * 1024));
    let mut serving = pin!(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
    // What ends a connection (a client that goes away, bytes that are not HTTP, time) is no concern of others.
    tokio::select! {
        _ = serving.as_mut() => return,
        () = relay.stopping.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = serving.as_mut() => {}
        () = cut.cancelled() => {}
    }
}
