//! A proxy that does as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// What it does with every request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Opens a tunnel to this address, whatever it is asked for.
    Tunnel(SocketAddr),
    /// Answers this, and closes.
    Answer(&'static str),
}

/// The proxy. It ends with the runtime of the test.
pub(crate) struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) async fn start(role: Role) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let heads = Arc::clone(&proxy.heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, role, Arc::clone(&heads)));
            }
        });
        proxy
    }

    /// With a user and a password, which nobody should see.
    pub(crate) fn url(&self) -> String {
        format!("http://user:s3cret@{}", self.address)
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads of the requests, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, role: Role, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap().to_lowercase());
    match role {
        Role::Tunnel(address) => {
            let mut server = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            // Either side may end it.
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
        Role::Answer(text) => {
            stream.write_all(text.as_bytes()).await.unwrap();
            // What the client still writes is read, so that the answer is not lost in a reset.
            let _ = stream.shutdown().await;
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    }
}
