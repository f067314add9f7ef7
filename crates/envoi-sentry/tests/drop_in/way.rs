//! How the server is reached: TLS and proxies, by the options of the client.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoi::layers::outbox::Backoff;
use envoi::way::CaBundle;
use envoi_sentry::EnvoiTransportFactory;
use envoi_testkit::ingest::{IngestServer, IngestThread};
use envoi_testkit::tls::{Authority, ServerTls};
use sentry::{Client, ClientOptions};

use crate::support::{App, PATIENCE, messages, options, server};

fn say(client: &Client, words: &str) {
    let event = sentry::protocol::Event { message: Some(words.to_owned()), ..Default::default() };
    client.capture_event(event, None);
}

/// TR-3: a proxy of the options is used, and asked for the whole address. The ingest server plays it: it minds the path.
#[test]
fn a_proxy_of_the_options_is_used() {
    let thread = server();
    let proxy = format!("http://{}", thread.server().address());
    let app = App::new(ClientOptions::new().dsn("http://public@sentry.invalid/42").http_proxy(proxy));
    app.say("by proxy");
    app.close();
    assert_eq!(messages(thread.server()), ["by proxy"]);
    assert_eq!(thread.server().requests()[0].head.uri.host(), Some("sentry.invalid"));
}

/// TR-4: a proxy that cannot be read is told; nothing goes past it.
#[test]
fn an_unreadable_proxy_is_told_and_not_passed_by() {
    let thread = server();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let factory =
        EnvoiTransportFactory::new().on_error(move |error| sink.lock().unwrap().push(error.to_string()));
    let client = Client::from(options(thread.server()).http_proxy("gopher://proxy").transport(factory));
    say(&client, "nowhere");
    assert!(client.close(Some(PATIENCE)));
    assert_eq!(*told.lock().unwrap(), ["nothing is sent to Sentry: its proxy cannot be used"]);
    assert_eq!(thread.server().summary().requests, 0);
}

fn https(authority: &Authority) -> IngestThread {
    IngestServer::builder().tls(ServerTls::new(authority.for_localhost())).spawn_thread().unwrap()
}

/// TR-5: `https`, with a CA of one's own.
#[test]
fn a_server_with_a_private_ca_is_reached() {
    let authority = Authority::new("company CA");
    let thread = https(&authority);
    let bundle = CaBundle::from_pem(authority.pem()).unwrap();
    let app = App::with(options(thread.server()), move |builder| builder.ca_certificate(bundle.clone()));
    app.say("in private");
    app.close();
    assert_eq!(messages(thread.server()), ["in private"]);
}

/// TR-5: `accept_invalid_certs` is obeyed where that is built in. Elsewhere the application is told, and certificates are
/// checked.
#[test]
fn invalid_certificates_are_accepted_by_a_feature_only() {
    let thread = https(&Authority::new("nobody's CA"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let soon = Backoff::new(Duration::from_millis(10), Duration::from_millis(50));
    let factory =
        EnvoiTransportFactory::build_with(move |builder| builder.backoff(soon).max_attempts(2).build())
            .on_error(move |error| sink.lock().unwrap().push((error.to_string(), error.is_working())));
    let client = Client::from(options(thread.server()).accept_invalid_certs(true).transport(factory));
    say(&client, "to whom it may concern");
    assert!(client.close(Some(PATIENCE)));
    let (arrived, told) = (messages(thread.server()).len(), told.lock().unwrap());
    if cfg!(feature = "danger-insecure-tls") {
        assert_eq!((arrived, told.len()), (1, 0), "{told:?}");
    } else {
        assert_eq!((arrived, told.len()), (0, 1), "{told:?}");
        assert!(told[0].0.contains("danger-insecure-tls") && told[0].1, "{told:?}");
    }
}
