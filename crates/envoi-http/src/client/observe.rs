//! Watching the phases of an attempt: for `-v`, for diagnosis, for metrics (TR-9).
//!
//! An [`Observe`] is given to the parts of a stack that it wants to hear of ([`TcpConnector::observer`](super::TcpConnector::observer),
//! `TlsLayer::observer`, [`HttpClientBuilder::observer`](super::HttpClientBuilder::observer)) and is told of each
//! phase when it has ended, with what came of it and how long it took. It is called on the task that does the work, so
//! it should be quick.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoi_core::Phase;
use http::{StatusCode, Version};

/// Who is told of phases.
pub trait Observe: Send + Sync {
    /// A phase has ended.
    fn event(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync> Observe for F {
    fn event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// An observer that many parts share.
pub type SharedObserver = Arc<dyn Observe>;

/// The end of a phase.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A name was looked up.
    Resolved {
        /// The name.
        host: &'a str,
        /// Its addresses, in the order in which they are tried.
        addresses: &'a [SocketAddr],
        /// How long it took.
        took: Duration,
    },
    /// There is a TCP connection.
    Connected {
        /// To where.
        peer: Option<SocketAddr>,
        /// From where.
        local: Option<SocketAddr>,
        /// How long it took, after the look-up.
        took: Duration,
    },
    /// A proxy made the way free.
    Tunnelled {
        /// The proxy, without credentials.
        proxy: &'a str,
        /// Where to, by what protocol, or another detail for a reader.
        detail: &'a str,
        /// How long it took, after the connection to the proxy.
        took: Duration,
    },
    /// TLS was agreed on.
    Secured {
        /// Host and port of the server, or of the proxy.
        host: &'a str,
        /// What was agreed on.
        handshake: &'a Handshake,
        /// How long it took, after the connection.
        took: Duration,
    },
    /// A connection of the pool is used again: there are no phases before the request.
    Reused,
    /// The request was handed to the connection as a whole.
    Written {
        /// The size of its body.
        bytes: u64,
        /// How long it took, from the first byte on.
        took: Duration,
    },
    /// The head of the reply is there.
    Replied {
        /// Its status.
        status: StatusCode,
        /// The version of HTTP.
        version: Version,
        /// How long it took, after the request was written.
        took: Duration,
    },
    /// The receiver did not take the request, or the connection was stale: it is sent again.
    Again {
        /// Why, see its sources.
        error: &'a (dyn Error + 'static),
    },
    /// A phase failed.
    Failed {
        /// Which.
        phase: Phase,
        /// Why, see its sources.
        error: &'a (dyn Error + 'static),
        /// How long it took.
        took: Duration,
    },
}

/// What client and server agreed on in a TLS handshake.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Handshake {
    /// The version, like `TLSv1_3`.
    pub version: String,
    /// The cipher suite, like `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The protocol that was negotiated, like `h2`; `None` if the server does not negotiate.
    pub alpn: Option<String>,
    /// Whether it was the short form, with a ticket of an earlier connection.
    pub resumed: bool,
    /// The certificates of the server as DER, its own first.
    pub chain: Vec<Vec<u8>>,
}

#[cfg(feature = "tls")]
impl Handshake {
    pub(crate) fn of(session: &rustls::ClientConnection) -> Self {
        let name = |name: Option<&str>| name.unwrap_or("unknown").to_owned();
        Self {
            version: name(session.protocol_version().and_then(|version| version.as_str())),
            cipher: name(session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str())),
            alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            chain: session.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect(),
        }
    }
}

/// Tells an observer, if there is one, of a failure.
pub(crate) fn failed(
    observer: Option<&SharedObserver>,
    phase: Phase,
    error: &(dyn Error + 'static),
    took: Duration,
) {
    if let Some(observer) = observer {
        observer.event(&Event::Failed { phase, error, took });
    }
}

impl fmt::Debug for dyn Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observe")
    }
}
