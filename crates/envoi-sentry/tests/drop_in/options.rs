//! What the options of a client say is done.

use std::sync::{Arc, Mutex};

use envoi_sentry::{EnvoiTransport, EnvoiTransportFactory};
use sentry::{Client, ClientOptions};

use crate::support::{App, PATIENCE, messages, options, server};

/// AU-3, AU-5, CO-1: credentials, user agent, encoding.
#[test]
fn requests_are_those_of_the_client() {
    let thread = server();
    let dsn = thread.server().dsn().replacen('@', ":s3cret@", 1);
    let app = App::new(ClientOptions::new().dsn(&dsn).user_agent("my.sdk/7.0"));
    // Small bodies are not worth compressing.
    app.say(&"hello ".repeat(1000));
    app.close();
    let requests = thread.server().requests();
    let headers = &requests[0].head.headers;
    assert_eq!(headers["user-agent"], "my.sdk/7.0");
    let auth = headers["x-sentry-auth"].to_str().unwrap();
    assert!(auth.contains("sentry_client=my.sdk/7.0") && auth.contains("sentry_secret=s3cret"), "{auth}");
    assert!(!auth.contains("sentry_timestamp"), "{auth}");
    assert_eq!(headers.get("content-encoding").is_some(), cfg!(feature = "gzip"));
    assert!(!format!("{:?}", app.transport()).contains("s3cret"));
}

/// AU-6: without a DSN there is no transport.
#[test]
fn without_a_dsn_nothing_is_made() {
    let options = ClientOptions::new();
    assert!(options.dsn.is_none());
    let factory = EnvoiTransportFactory::build_with(|_| unreachable!("there is nothing to build"));
    let client = Client::from(options.transport(factory));
    assert!(!client.is_enabled());
    assert!(client.close(Some(PATIENCE)));
}

/// Two clients of one factory are two transports.
#[test]
fn a_factory_serves_several_clients() {
    let thread = server();
    let options = options(thread.server()).transport(EnvoiTransportFactory::new());
    let clients = [Client::from(options.clone()), Client::from(options)];
    for (number, client) in clients.iter().enumerate() {
        let event =
            sentry::protocol::Event { message: Some(format!("client {number}")), ..Default::default() };
        client.capture_event(event, None);
        assert!(client.close(Some(PATIENCE)));
    }
    assert_eq!(messages(thread.server()), ["client 0", "client 1"]);
}

/// OC-10: two clients that live at the same time share a directory for their disk buffers, and each sends its own.
#[cfg(feature = "spool")]
#[test]
fn clients_share_a_directory() {
    let thread = server();
    let dir = tempfile::tempdir().unwrap();
    let factory = EnvoiTransportFactory::new().disk_buffer(dir.path()).on_error(|error| panic!("{error}"));
    let options = options(thread.server()).transport(factory);
    let clients = [Client::from(options.clone()), Client::from(options)];
    for (number, client) in clients.iter().enumerate() {
        let event =
            sentry::protocol::Event { message: Some(format!("client {number}")), ..Default::default() };
        client.capture_event(event, None);
        assert!(client.flush(Some(PATIENCE)));
    }
    assert!(clients.iter().all(|client| client.close(Some(PATIENCE))));
    assert_eq!(messages(thread.server()), ["client 0", "client 1"]);
}

/// TR-2: a transport that the application built itself.
#[test]
fn a_transport_of_ones_own_serves_a_client() {
    let thread = server();
    let transport = envoi::sentry(&thread.server().dsn()).unwrap().build().unwrap();
    let ours = Arc::new(EnvoiTransport::new(transport.clone()));
    assert!(ours.transport().is_enabled());
    let client = Client::from(options(thread.server()).transport(ours));
    let event = sentry::protocol::Event { message: Some("hello".to_owned()), ..Default::default() };
    client.capture_event(event, None);
    assert!(client.close(Some(PATIENCE)));
    assert_eq!(messages(thread.server()), ["hello"]);
    assert!(transport.stats().unwrap().outbox.is_closed);
}

/// A transport that cannot be built takes nobody down: the application is told, and goes on.
#[test]
fn a_failed_setup_is_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let failing = |_| Err(envoi::BuildError::Thread(std::io::Error::other("no more threads")));
    let factory = EnvoiTransportFactory::build_with(failing)
        .on_error(move |error| sink.lock().unwrap().push((error.to_string(), error.is_working())));
    let client = Client::from(ClientOptions::new().dsn("http://public@127.0.0.1:9/42").transport(factory));
    client.capture_event(sentry::protocol::Event::new(), None);
    assert!(client.close(Some(PATIENCE)));
    let told = told.lock().unwrap();
    assert_eq!(*told, [("nothing is sent to Sentry: the transport could not be built".to_owned(), false)]);
}

/// OC-11: a directory that cannot be used costs the buffer on disk, not the transport.
#[cfg(feature = "spool")]
#[test]
fn a_bad_directory_costs_the_disk_buffer_only() {
    let thread = server();
    let file = tempfile::NamedTempFile::new().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let factory = EnvoiTransportFactory::new()
        .disk_buffer(file.path())
        .on_error(move |error| sink.lock().unwrap().push(error.is_working()));
    let client = Client::from(options(thread.server()).transport(factory));
    let event = sentry::protocol::Event { message: Some("hello".to_owned()), ..Default::default() };
    client.capture_event(event, None);
    assert!(client.close(Some(PATIENCE)));
    assert_eq!(*told.lock().unwrap(), [true]);
    assert_eq!(messages(thread.server()), ["hello"]);
}
