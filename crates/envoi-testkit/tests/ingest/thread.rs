use std::io::{Read, Write};
use std::net::TcpStream;

use envoi_testkit::ingest::{IngestServer, Step};
use http::StatusCode;

use crate::support::{ENVELOPE, PATIENCE, head};

fn send(server: &IngestServer) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let request =
        format!("{}{ENVELOPE}", head(ENVELOPE.len())).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A caller without a runtime has all that others have.
#[test]
fn a_server_runs_on_its_own_thread() {
    let thread = IngestServer::spawn_thread().unwrap();
    let server = thread.server();
    server.script([Step::reply(StatusCode::BAD_GATEWAY)]);
    assert!(send(server).starts_with("HTTP/1.1 502 "));
    assert!(send(server).starts_with("HTTP/1.1 200 "));
    assert_eq!(thread.block_on(server.wait_for(1, PATIENCE)).unwrap().len(), 1);
    thread.block_on(server.go_down());
    assert!(TcpStream::connect(server.address()).is_err());
    thread.block_on(server.come_up()).unwrap();
    assert!(send(server).starts_with("HTTP/1.1 200 "));
    let address = server.address();
    assert_eq!(thread.shutdown().requests, 3);
    assert!(TcpStream::connect(address).is_err());

    let thread = IngestServer::spawn_thread().unwrap();
    let address = thread.server().address();
    drop(thread);
    assert!(TcpStream::connect(address).is_err(), "dropping it ends it too");
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let thread = IngestServer::spawn_thread().unwrap();
    let error = IngestServer::builder().with_address(thread.server().address()).spawn_thread().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
