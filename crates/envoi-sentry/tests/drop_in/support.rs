use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use envoi::{SentryBuilder, Transport};
use envoi_sentry::EnvoiTransportFactory;
use envoi_testkit::ingest::{IngestServer, IngestThread};
use sentry::{Client, ClientOptions, Hub, Scope};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An application: a client of the `sentry` crate, and a look at the transport below it.
pub(crate) struct App {
    pub(crate) client: Arc<Client>,
    hub: Arc<Hub>,
    transport: Arc<OnceLock<Transport>>,
}

/// The least that a client needs for the server.
pub(crate) fn options(server: &IngestServer) -> ClientOptions {
    ClientOptions::new().dsn(&server.dsn()).release("app@1.0")
}

impl App {
    pub(crate) fn new(options: ClientOptions) -> Self {
        Self::with(options, |builder| builder)
    }

    pub(crate) fn with(
        options: ClientOptions,
        configure: impl Fn(SentryBuilder) -> SentryBuilder + Send + Sync + 'static,
    ) -> Self {
        let transport = Arc::new(OnceLock::new());
        let slot = Arc::clone(&transport);
        let factory = EnvoiTransportFactory::build_with(move |builder| {
            let transport = configure(builder).build()?;
            slot.set(transport.clone()).unwrap();
            Ok(transport)
        });
        let client = Arc::new(Client::from(options.transport(factory)));
        assert!(client.is_enabled());
        let hub = Arc::new(Hub::new(Some(Arc::clone(&client)), Arc::new(Scope::default())));
        Self { client, hub, transport }
    }

    pub(crate) fn run<T>(&self, run: impl FnOnce() -> T) -> T {
        Hub::run(Arc::clone(&self.hub), run)
    }

    pub(crate) fn say(&self, message: &str) {
        self.run(|| sentry::capture_message(message, sentry::Level::Error));
    }

    pub(crate) fn flush(&self) {
        assert!(self.client.flush(Some(PATIENCE)), "{:?}", self.transport().stats());
    }

    pub(crate) fn close(&self) {
        assert!(self.client.close(Some(PATIENCE)), "{:?}", self.transport().stats());
    }

    pub(crate) fn transport(&self) -> &Transport {
        self.transport.get().unwrap()
    }
}

pub(crate) fn server() -> IngestThread {
    IngestServer::spawn_thread().unwrap()
}

/// The words of the events that arrived.
pub(crate) fn messages(server: &IngestServer) -> Vec<String> {
    let mut found = Vec::new();
    for envelope in server.envelopes() {
        for item in envelope.items().iter().filter(|item| item.item_type().as_str() == "event") {
            let text = String::from_utf8_lossy(item.payload());
            let (_, rest) = text.split_once("\"message\":\"").unwrap();
            found.push(rest.split('"').next().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

/// Runs what must not hang, on a thread of its own: a test that hangs says nothing.
pub(crate) fn must_end<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(run()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(value) => value,
        Err(error) => panic!("{what} does not end: {error}"),
    }
}

/// Waits until `is_so`, without sleeping.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool + Send + 'static) {
    must_end(what, move || {
        while !is_so() {
            std::thread::yield_now();
        }
    });
}
