//! A server that costs little: hyper on a thread of its own, which reads everything and answers 200 after a while.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// The name of its thread.
pub const THREAD: &str = "server";

const REPLY: &str = r#"{"id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#;

/// The server. Ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    up: watch::Sender<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    /// Connections are cut and refused.
    Down,
    Over,
}

#[derive(Debug, Default)]
struct Shared {
    received: AtomicU64,
    /// Who waits for how many.
    wanted: Mutex<Option<u64>>,
    reached: Condvar,
}

impl Server {
    /// Starts a server that answers `latency` after it has read a request.
    #[must_use]
    pub fn start(latency: Duration) -> Self {
        Self::start_with(latency, None)
    }

    /// Starts a server that speaks TLS, and HTTP/2 if that is what is agreed upon.
    #[must_use]
    pub fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::start_with(Duration::ZERO, Some(config.into()))
    }

    fn start_with(latency: Duration, tls: Option<TlsAcceptor>) -> Self {
        let shared = Arc::new(Shared::default());
        let (up, states) = watch::channel(State::Up);
        let (sender, receiver) = mpsc::channel();
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(THREAD.into()).spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(serve(Terms { latency, tls, shared }, states, &sender));
            })
        };
        let address = receiver.recv().unwrap();
        Self { address, shared, up, thread: Some(thread.unwrap()) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The DSN that leads here.
    #[must_use]
    pub fn dsn(&self) -> String {
        format!("http://public@{}/1", self.address)
    }

    /// How many requests it has answered with 200.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Acquire)
    }

    /// Waits until so many were received, at most `within`. Says whether they were.
    #[must_use]
    pub fn wait_for(&self, count: u64, within: Duration) -> bool {
        let mut wanted = self.shared.wanted.lock().unwrap();
        *wanted = Some(count);
        let (mut wanted, _) =
            self.shared.reached.wait_timeout_while(wanted, within, |_| self.received() < count).unwrap();
        *wanted = None;
        self.received() >= count
    }

    /// Cuts all connections and refuses new ones.
    pub fn down(&self) {
        self.up.send_replace(State::Down);
    }

    /// Accepts again, at the same address.
    pub fn up(&self) {
        self.up.send_replace(State::Up);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.up.send_replace(State::Over);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How a connection is served.
#[derive(Clone)]
struct Terms {
    latency: Duration,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
}

async fn serve(terms: Terms, mut states: watch::Receiver<State>, ready: &mpsc::Sender<SocketAddr>) {
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    loop {
        let state = *states.borrow_and_update();
        match state {
            State::Over => return,
            State::Down => {
                let _ = states.changed().await;
            }
            State::Up => {
                let listener = TcpListener::bind(address).await.unwrap();
                address = listener.local_addr().unwrap();
                let _ = ready.send(address);
                let current = states.clone();
                tokio::select! {
                    () = accept(&listener, &terms, &current) => {}
                    _ = states.changed() => {}
                }
            }
        }
    }
}

async fn accept(listener: &TcpListener, terms: &Terms, states: &watch::Receiver<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (terms, mut states) = (terms.clone(), states.clone());
        tokio::spawn(async move {
            let connection = async move {
                let Some(tls) = &terms.tls else { return http1(stream, &terms).await };
                let Ok(stream) = tls.accept(stream).await else { return };
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => http2(stream, &terms).await,
                    _ => http1(stream, &terms).await,
                }
            };
            tokio::select! {
                () = connection => {}
                _ = states.changed() => {}
            }
        });
    }
}

async fn http1(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, terms: &Terms) {
    let service =
        hyper::service::service_fn(|request| answer(request, terms.latency, Arc::clone(&terms.shared)));
    let mut http = hyper::server::conn::http1::Builder::new();
    let _ = http.pipeline_flush(true).serve_connection(TokioIo::new(stream), service).await;
}

async fn http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, terms: &Terms) {
    let (latency, shared) = (terms.latency, Arc::clone(&terms.shared));
    let service = hyper::service::service_fn(move |request| answer(request, latency, Arc::clone(&shared)));
    let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    latency: Duration,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let received = shared.received.fetch_add(1, Ordering::AcqRel) + 1;
    if shared.wanted.lock().unwrap().is_some_and(|wanted| received >= wanted) {
        shared.reached.notify_all();
    }
    Ok(Response::new(Full::from(REPLY)))
}
